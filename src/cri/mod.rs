//! The container runtime of this node, over CRI, the API by which the kubelet uses it.
//!
//! | module | owns |
//! |---|---|
//! | `endpoint` | which socket |
//! | `transport` | one call |
//! | `messages` | the published protobufs |
//! | `failure` | what an answer means that is not the wished one |
//! | `containerd` | what only containerd can do, by its own API: pinning |

mod containerd;
pub(crate) mod endpoint;
mod failure;
mod messages;
mod transport;

use std::time::Duration;

use self::endpoint::Endpoint;
pub(crate) use self::failure::Failed;
use self::messages::cri::{
    AuthConfig, Image, ImageSpec, ImageStatusRequest, ImageStatusResponse, PullImageRequest,
    PullImageResponse, StatusRequest, StatusResponse, VersionRequest, VersionResponse,
};
use crate::error::{Code, Error};
use crate::secret::Secret;

/// How long a runtime may take for an answer that needs no network.
const SOON: Duration = Duration::from_secs(15);

/// A runtime that answers.
#[derive(Debug)]
pub(crate) struct Runtime {
    endpoint: Endpoint,
    name: String,
    version: String,
}

/// User name and password for a registry.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) password: Secret,
    /// Whom the password was issued to, for people.
    pub(crate) identity: String,
}

/// An image that the runtime has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Present {
    /// In bytes.
    pub(crate) size: u64,
    /// Whether the kubelet's garbage collection leaves it alone.
    pub(crate) is_pinned: bool,
}

impl Runtime {
    /// The first of `candidates` that answers. The first failure is reported: the order is that of likelihood.
    pub(crate) fn first_of(candidates: Vec<Endpoint>) -> Result<Self, Error> {
        let mut failures = Vec::new();
        for endpoint in candidates {
            match Self::at(endpoint) {
                Ok(runtime) => return Ok(runtime),
                Err(failed) => failures.push(failed.error),
            }
        }
        let none = || Error::new(Code::RuntimeNotFound, "there is no socket to try");
        Err(failures.into_iter().next().unwrap_or_else(none))
    }

    fn at(endpoint: Endpoint) -> Result<Self, Failed> {
        let question = VersionRequest { version: String::new() };
        let answer = transport::call(&endpoint.socket, "/runtime.v1.RuntimeService/Version", &question, SOON);
        let VersionResponse { runtime_name: name, runtime_version: version, .. } =
            answer.map_err(|failure| failure::of_runtime(failure, &endpoint))?;
        Ok(Self { endpoint, name, version })
    }

    /// Name, version and place, for people.
    pub(crate) fn described(&self) -> String {
        format!("{} {} at {}", self.name, self.version, self.endpoint)
    }

    /// The image of which the runtime makes the sandbox of every pod.
    pub(crate) fn sandbox_image(&self) -> Result<String, Error> {
        let answer: StatusResponse = transport::call(
            &self.endpoint.socket,
            "/runtime.v1.RuntimeService/Status",
            &StatusRequest { verbose: true },
            SOON,
        )
        .map_err(|failure| failure::of_runtime(failure, &self.endpoint).error)?;
        let told = answer.info.get("config").and_then(|config| sandbox_image_in(config));
        let found = told.or_else(|| {
            self.is_containerd()
                .then(|| containerd::configured_sandbox_image(&self.endpoint.socket))
                .flatten()
        });
        found.ok_or_else(|| {
            let cause = format!("{} does not say which image its sandboxes are made of", self.described());
            Error::new(Code::ImageList, cause).with_remedy("name it as one of the images")
        })
    }

    /// What the runtime has of `image`, if it has it.
    pub(crate) fn find(&self, image: &str) -> Result<Option<Present>, Failed> {
        let answer: ImageStatusResponse = transport::call(
            &self.endpoint.socket,
            "/runtime.v1.ImageService/ImageStatus",
            &ImageStatusRequest { image: Some(ImageSpec { image: image.to_owned() }) },
            SOON,
        )
        .map_err(|failure| failure::of_runtime(failure, &self.endpoint))?;
        Ok(answer.image.map(|Image { size, pinned }| Present { size, is_pinned: pinned }))
    }

    /// Has the runtime pull `image`, which takes as long as it takes, but no longer than `limit`.
    pub(crate) fn pull(&self, image: &str, login: Option<&Login>, limit: Duration) -> Result<(), Failed> {
        let auth = login.map(AuthConfig::from);
        let question = PullImageRequest { image: Some(ImageSpec { image: image.to_owned() }), auth };
        let pulled: Result<PullImageResponse, _> =
            transport::call(&self.endpoint.socket, "/runtime.v1.ImageService/PullImage", &question, limit);
        let who = login.map_or("pulled without a password".to_owned(), |login| {
            format!("pulled with a password of {}", login.identity)
        });
        pulled.map(drop).map_err(|failure| failure::of_pull(failure, &self.endpoint, &who))
    }

    /// Fails where an image cannot be pinned over an API.
    pub(crate) fn can_pin(&self) -> Result<(), Error> {
        if self.is_containerd() {
            return Ok(());
        }
        let cause = format!("{} has no way to pin an image from outside", self.described());
        let remedy = match self.name.as_str() {
            "cri-o" => {
                "leave out `--pin`; list the images in `pinned_images` of `[crio.image]` in /etc/crio/crio.conf.d/, \
                 and reload crio"
            }
            _ => "leave out `--pin`",
        };
        Err(Error::new(Code::PinFailed, cause).with_remedy(remedy))
    }

    /// Has the kubelet's garbage collection leave `image` alone, which the runtime keeps as `name`, and waits until
    /// the runtime says so.
    pub(crate) fn pin(&self, image: &str, name: &str) -> Result<(), Failed> {
        containerd::label_as_pinned(&self.endpoint.socket, name)
            .map_err(|failure| failure::of_runtime(failure, &self.endpoint))?;
        for _ in 0..containerd::LOOKS {
            if self.find(image)?.is_some_and(|present| present.is_pinned) {
                return Ok(());
            }
            std::thread::sleep(containerd::PAUSE);
        }
        let cause = format!("it has its label, but {} does not show it as pinned", self.described());
        Err(Failed { error: Error::new(Code::PinFailed, cause), may_pass: false })
    }

    fn is_containerd(&self) -> bool {
        self.name == "containerd"
    }
}

/// In the configuration that the runtime shows of itself, as kubeadm looks for it.
fn sandbox_image_in(config: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Config {
        sandbox_image: String,
    }
    let config: Config = serde_json::from_str(config).ok()?;
    Some(config.sandbox_image).filter(|image| !image.is_empty())
}
