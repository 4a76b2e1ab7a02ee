//! A container runtime, as far as pulling images goes: version 1 of CRI over a Unix socket, and the part of containerd's
//! own API that changes labels.
//!
//! For what a real containerd cannot be made to do. What it does otherwise is in the node test.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::convert::Infallible;
use std::future::ready;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::UnixListener;
use tokio::sync::oneshot;

/// What gRPC calls `UNKNOWN`, which is what runtimes answer for most failures of a pull.
pub const UNKNOWN: u16 = 2;
/// The method, or the whole API, is not there.
pub const UNIMPLEMENTED: u16 = 12;
/// The runtime is not ready.
pub const UNAVAILABLE: u16 = 14;

const LABEL: &str = "io.cri-containerd.pinned";
const SIZE: u64 = 12_345_678;

/// How a pull ends.
#[derive(Clone, Debug)]
pub enum Pull {
    /// The image is there.
    Done,
    /// A gRPC status and its message.
    Fails(u16, String),
    /// Nothing is heard any more.
    Hangs,
    /// All pulls that wait for each other go on once this many do.
    Meets(usize),
}

/// How the runtime behaves. Tests change it.
#[derive(Debug)]
pub struct Behaviour {
    /// What it calls itself.
    pub name: String,
    /// The `config` that it shows of itself.
    pub config: Option<String>,
    /// The images that it has, and whether they are pinned.
    pub images: BTreeMap<String, bool>,
    /// How the next pulls of an image end; after them they succeed.
    pub pulls: BTreeMap<String, VecDeque<Pull>>,
    /// A status with which all calls fail.
    pub fault: Option<(u16, String)>,
    /// Whether it knows what the label means.
    pub knows_pinned: bool,
}

/// A pull that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The image.
    pub image: String,
    /// User name and password.
    pub login: Option<(String, String)>,
}

#[derive(Debug)]
struct World {
    behaviour: Behaviour,
    seen: Vec<Seen>,
    waiting: usize,
}

/// A running one.
#[derive(Debug)]
pub struct Cri {
    socket: PathBuf,
    world: Arc<Mutex<World>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Cri {
    /// Listens in a folder.
    pub fn start(folder: &Path) -> Self {
        let socket = folder.join("cri.sock");
        let listener = std::os::unix::net::UnixListener::bind(&socket).expect("a free path");
        listener.set_nonblocking(true).expect("a socket option");
        let behaviour = Behaviour {
            name: "containerd".to_owned(),
            config: None,
            images: BTreeMap::new(),
            pulls: BTreeMap::new(),
            fault: None,
            knows_pinned: true,
        };
        let world = Arc::new(Mutex::new(World { behaviour, seen: Vec::new(), waiting: 0 }));
        let (stop, stopped) = oneshot::channel();
        let serving = world.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            runtime.block_on(async {
                let listener = UnixListener::from_std(listener).expect("a listener");
                let accept = async {
                    while let Ok((stream, _)) = listener.accept().await {
                        let world = serving.clone();
                        let service =
                            hyper::service::service_fn(move |request| answer(request, world.clone()));
                        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
                    }
                };
                tokio::select! { () = accept => {}, _ = stopped => {} }
            });
            runtime.shutdown_background();
        });
        Self { socket, world, stop: Some(stop), thread: Some(thread) }
    }

    /// `unix:///…`
    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Changes how it behaves.
    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut locked(&self.world).behaviour);
    }

    /// The pulls so far, in the order in which they came.
    pub fn seen(&self) -> Vec<Seen> {
        locked(&self.world).seen.clone()
    }

    /// The images that it has, and whether they are pinned.
    pub fn images(&self) -> BTreeMap<String, bool> {
        locked(&self.world).behaviour.images.clone()
    }
}

impl Drop for Cri {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn locked(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().expect("no test panics with it")
}

type Status = (u16, String);
type Shared = Arc<Mutex<World>>;

/// One call: a message in five bytes more, and the status in the trailers.
async fn answer(
    request: Request<Incoming>,
    world: Shared,
) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let question = body.get(5..).unwrap_or_default();
    let outcome = match parts.uri.path() {
        "/runtime.v1.ImageService/PullImage" => pull(question, world).await,
        path => quick(path, question, parts.headers.get("containerd-namespace"), &mut locked(&world)),
    };
    let (message, (status, text)) = match outcome {
        Ok(message) => (message, (0, String::new())),
        Err(status) => (Vec::new(), status),
    };
    let mut framed = Vec::new();
    if status == 0 {
        framed.push(0);
        framed.extend(u32::try_from(message.len()).expect("a small message").to_be_bytes());
        framed.extend(message);
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(status));
    let text: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    trailers.insert("grpc-message", text.replace('+', "%20").parse().expect("ASCII"));
    let response = Response::builder().header("content-type", "application/grpc");
    let body = Full::new(Bytes::from(framed)).with_trailers(ready(Some(Ok(trailers))));
    Ok(response.body(body).expect("a valid response"))
}

/// The calls that take no time.
fn quick(
    path: &str,
    question: &[u8],
    namespace: Option<&HeaderValue>,
    world: &mut World,
) -> Result<Vec<u8>, Status> {
    let behaviour = &mut world.behaviour;
    if let Some(fault) = &behaviour.fault {
        return Err(fault.clone());
    }
    match path {
        "/runtime.v1.RuntimeService/Version" => {
            let (name, version) = (behaviour.name.clone(), "9.9.9".to_owned());
            Ok(VersionResponse { name, version }.encode_to_vec())
        }
        "/runtime.v1.RuntimeService/Status" => {
            let config = behaviour.config.iter().map(|config| ("config".to_owned(), config.clone()));
            Ok(StatusResponse { info: config.collect() }.encode_to_vec())
        }
        "/runtime.v1.ImageService/ImageStatus" => {
            let image = decoded::<OfImage>(question).image.unwrap_or_default().image;
            let pinned = behaviour.images.get(&image).copied();
            Ok(ImageStatusResponse { image: pinned.map(|pinned| Image { size: SIZE, pinned }) }
                .encode_to_vec())
        }
        // The label counts in this namespace alone, and without its target containerd 2 crashes of an image.
        _ if namespace.is_none_or(|namespace| namespace != "k8s.io") => {
            Err((UNKNOWN, "namespace".to_owned()))
        }
        "/containerd.services.images.v1.Images/Get" => {
            let name = decoded::<ByName>(question).name;
            if !behaviour.images.contains_key(&name) {
                return Err((5, format!("image {name:?}: not found")));
            }
            let target = Some(Descriptor { digest: "sha256:00".to_owned() });
            let image = Some(Labelled { name, labels: HashMap::new(), target });
            Ok(OfLabelled { image, mask: None }.encode_to_vec())
        }
        "/containerd.services.images.v1.Images/Update" => {
            let OfLabelled { image, mask } = decoded(question);
            let Labelled { name, labels, target } = image.unwrap_or_default();
            assert_eq!(mask.unwrap_or_default().paths, [format!("labels.{LABEL}")], "nothing else changes");
            assert_eq!(target.unwrap_or_default().digest, "sha256:00", "the target stays");
            if labels.get(LABEL).is_some_and(|value| value == "pinned") && behaviour.knows_pinned {
                behaviour.images.insert(name, true);
            }
            Ok(Vec::new())
        }
        other => Err((UNIMPLEMENTED, format!("unknown method {other}"))),
    }
}

async fn pull(question: &[u8], world: Shared) -> Result<Vec<u8>, Status> {
    let PullImageRequest { image, auth } = decoded(question);
    let image = image.unwrap_or_default().image;
    let next = {
        let mut world = locked(&world);
        let login = auth.map(|auth| (auth.username, auth.password));
        world.seen.push(Seen { image: image.clone(), login });
        if let Some(fault) = &world.behaviour.fault {
            return Err(fault.clone());
        }
        world.behaviour.pulls.get_mut(&image).and_then(VecDeque::pop_front).unwrap_or(Pull::Done)
    };
    match next {
        Pull::Done => {}
        Pull::Fails(status, text) => return Err((status, text)),
        Pull::Hangs => std::future::pending().await,
        Pull::Meets(number) => {
            locked(&world).waiting += 1;
            while locked(&world).waiting < number {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    locked(&world).behaviour.images.entry(image).or_insert(false);
    Ok(PullImageResponse { image_ref: "sha256:00".to_owned() }.encode_to_vec())
}

fn decoded<M: Message + Default>(bytes: &[u8]) -> M {
    M::decode(bytes).expect("a message of the API")
}

// What follows is of the published protobufs: k8s.io/cri-api/pkg/apis/runtime/v1/api.proto, and
// github.com/containerd/containerd/api/services/images/v1/images.proto.

#[derive(Message)]
struct VersionResponse {
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    version: String,
}

#[derive(Message)]
struct StatusResponse {
    #[prost(map = "string, string", tag = "2")]
    info: HashMap<String, String>,
}

#[derive(Message)]
struct ImageSpec {
    #[prost(string, tag = "1")]
    image: String,
}

#[derive(Message)]
struct OfImage {
    #[prost(message, optional, tag = "1")]
    image: Option<ImageSpec>,
}

#[derive(Message)]
struct Image {
    #[prost(uint64, tag = "4")]
    size: u64,
    #[prost(bool, tag = "8")]
    pinned: bool,
}

#[derive(Message)]
struct ImageStatusResponse {
    #[prost(message, optional, tag = "1")]
    image: Option<Image>,
}

#[derive(Message)]
struct AuthConfig {
    #[prost(string, tag = "1")]
    username: String,
    #[prost(string, tag = "2")]
    password: String,
}

#[derive(Message)]
struct PullImageRequest {
    #[prost(message, optional, tag = "1")]
    image: Option<ImageSpec>,
    #[prost(message, optional, tag = "2")]
    auth: Option<AuthConfig>,
}

#[derive(Message)]
struct PullImageResponse {
    #[prost(string, tag = "1")]
    image_ref: String,
}

#[derive(Message)]
struct ByName {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Message)]
struct Descriptor {
    #[prost(string, tag = "2")]
    digest: String,
}

#[derive(Message)]
struct Labelled {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(map = "string, string", tag = "2")]
    labels: HashMap<String, String>,
    #[prost(message, optional, tag = "3")]
    target: Option<Descriptor>,
}

#[derive(Message)]
struct FieldMask {
    #[prost(string, repeated, tag = "1")]
    paths: Vec<String>,
}

#[derive(Message)]
struct OfLabelled {
    #[prost(message, optional, tag = "1")]
    image: Option<Labelled>,
    #[prost(message, optional, tag = "2")]
    mask: Option<FieldMask>,
}
