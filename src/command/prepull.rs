//! `prepull`: the images of a node, before its first pod.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::context::{Context, within_deadline};
use crate::cri::Runtime;
use crate::cri::endpoint;
use crate::duration::GoDuration;
use crate::error::{Code, Error};
use crate::host::{self, Host};
use crate::prepull::{self, Manner, kubeadm, list};
use crate::records::Record;
use crate::settings::Configuration;

/// How much longer than all pulls the run itself may take, to say how they ended.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// What to pull, and how.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct PrepullCommand {
    /// Images, as pods name them
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// Also the images in this file: one on each line, `#` begins a comment, `-` is stdin
    #[arg(long, value_name = "LIST")]
    file: Vec<PathBuf>,
    /// Also the images of `kubeadm config images list`, for this version or that of the kubeadm on this node,
    /// and the sandbox image
    #[arg(long, value_name = "VERSION", num_args = 0..=1, default_missing_value = "", value_parser = version)]
    kubeadm: Option<String>,
    /// What kubeadm is to read its version and `imageRepository` from
    #[arg(long, value_name = "FILE", requires = "kubeadm")]
    kubeadm_config: Option<PathBuf>,
    /// Also the image of which the container runtime makes the sandbox of each pod (pause)
    #[arg(long)]
    sandbox: bool,
    /// The socket of the container runtime, such as unix:///run/containerd/containerd.sock; else
    /// CONTAINER_RUNTIME_ENDPOINT, what the kubelet of this node uses, or the first usual one that answers
    #[arg(long, value_name = "SOCKET")]
    runtime_endpoint: Option<String>,
    /// How many images to pull at a time
    #[arg(long, value_name = "N", default_value = "4")]
    jobs: NonZeroUsize,
    /// How often to try again after a failure that may pass
    #[arg(long, value_name = "N", default_value_t = 3)]
    retries: u32,
    /// Have the kubelet's garbage collection leave the images alone (containerd)
    #[arg(long)]
    pin: bool,
    /// Pull images that are present, too: the tag may stand for another one by now
    #[arg(long)]
    always: bool,
    /// How long one image may take, with all tries
    #[arg(long, value_name = "DURATION", default_value = "15m")]
    timeout: GoDuration,
    /// How long all of them may take
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    total_timeout: GoDuration,
}

const EXAMPLES: &str = "\
Images of ECR are pulled with the identity and settings by which the kubelet gets
passwords, others without a password. What is present is left alone, so the same
command goes on after an interruption.

Exit status: 0 all images are present; 1 one is not, or is not pinned; 2 wrong arguments.

  ecr-credential-provider prepull --file /etc/images.txt --sandbox --pin
  ecr-credential-provider prepull --kubeadm --kubeadm-config kubeadm.yaml";

/// Runs the command.
pub(crate) fn run(host: &Host, record: &Record, command: &PrepullCommand) -> Result<(), Error> {
    within_deadline(host, record, |configuration, context| {
        let longest = command.total_timeout.as_std();
        context.watchdog.move_deadline(host.deadline(longest.saturating_add(LAST_WORDS)));
        pull(command, configuration, context)
    })
}

fn pull(command: &PrepullCommand, configuration: &Configuration, context: &Context<'_>) -> Result<(), Error> {
    let mut images = command.images.clone();
    for path in &command.file {
        images.extend(list::read(path)?);
    }
    if let Some(version) = &command.kubeadm {
        context.watchdog.enter("running kubeadm");
        let version = Some(version.as_str()).filter(|version| !version.is_empty());
        if version.is_some() && command.kubeadm_config.is_some() {
            let cause =
                "`--kubeadm VERSION` and `--kubeadm-config` exclude each other: the file names the version";
            return Err(Error::new(Code::Usage, cause));
        }
        images.extend(kubeadm::images(version, command.kubeadm_config.as_deref())?);
    }
    let wants_sandbox = command.sandbox || command.kubeadm.is_some();
    if images.is_empty() && !wants_sandbox {
        return Err(Error::new(Code::ImageList, "no image is named"));
    }
    context.watchdog.enter("looking for the container runtime");
    let variable = context.host.variable(endpoint::VARIABLE).and_then(|value| value.to_str());
    let candidates = endpoint::candidates(command.runtime_endpoint.as_deref(), variable, Path::new("/"))?;
    let runtime = Runtime::first_of(candidates)?;
    if wants_sandbox {
        match runtime.sandbox_image() {
            Ok(image) => images.push(image),
            Err(error) if command.sandbox => return Err(error),
            // kubeadm has listed one that most runtimes use.
            Err(error) => host::write_stderr(&format!("note: without the sandbox image: {}", error.cause())),
        }
    }
    let manner = Manner {
        jobs: command.jobs,
        retries: command.retries,
        always: command.always,
        pin: command.pin,
        timeout: command.timeout.as_std(),
        total_timeout: command.total_timeout.as_std(),
    };
    prepull::pull(&images, &manner, &runtime, configuration, context)
}

/// A word that can be a version; an image that follows `--kubeadm` by mistake is none.
fn version(text: &str) -> Result<String, String> {
    if text.contains(['/', ':', '@']) {
        return Err("it is no version; name images before `--kubeadm`".into());
    }
    Ok(text.to_owned())
}
