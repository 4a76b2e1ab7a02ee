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
use crate::node;
use crate::prepull::{self, Manner, kubeadm, list};
use crate::records::Record;
use crate::secret::Secret;
use crate::settings::Configuration;

/// How much longer than all pulls the run itself may take, to say how they ended.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// What to pull, and how.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct PrepullCommand {
    #[command(flatten)]
    wanted: Wanted,
    /// The socket of the container runtime, such as unix:///run/containerd/containerd.sock; else
    /// CONTAINER_RUNTIME_ENDPOINT, what the kubelet of this node uses, or the first usual one that answers
    #[arg(long, value_name = "SOCKET")]
    runtime_endpoint: Option<String>,
    #[command(flatten)]
    how: How,
    /// Set once this process has the environment that the kubelet would give it, too
    #[arg(long, hide = true)]
    as_plugin: bool,
}

#[derive(Debug, clap::Args)]
struct Wanted {
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
}

#[derive(Clone, Copy, Debug, clap::Args)]
struct How {
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
    if !command.as_plugin {
        start_as_plugin(host);
    }
    within_deadline(host, record, |configuration, context| {
        let longest = command.how.total_timeout.as_std();
        context.watchdog.move_deadline(host.deadline(longest.saturating_add(LAST_WORDS)));
        pull(command, configuration, context)
    })
}

/// Starts anew with what the kubelet of this node would give its plugin, for which the administrator named key and
/// proxy, as far as this shell does not say otherwise. Where no kubelet would ask this program, this shell is all.
fn start_as_plugin(host: &Host) {
    let Some(plugin) = node::plugin(Path::new("/"), Path::new("/proc/self/exe")) else { return };
    let ours = host.variables().filter_map(|(name, value)| {
        Some((name.to_str()?.to_owned(), Secret::from(value.to_str()?.to_owned())))
    });
    let ours: Vec<_> = ours.collect();
    let environment = plugin.environment.iter().flatten().chain(&plugin.provider.env).chain(&ours);
    // It returns if it fails; then this shell has to do.
    let _ = host.start_anew("--as-plugin", environment);
}

fn pull(command: &PrepullCommand, configuration: &Configuration, context: &Context<'_>) -> Result<(), Error> {
    let wanted = &command.wanted;
    let mut images = images_of(wanted, context)?;
    let wants_sandbox = wanted.sandbox || wanted.kubeadm.is_some();
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
            Err(error) if wanted.sandbox => return Err(error),
            // kubeadm has listed one that most runtimes use.
            Err(error) => host::write_stderr(&format!("note: without the sandbox image: {}", error.cause())),
        }
    }
    let How { jobs, retries, pin, always, timeout, total_timeout } = command.how;
    let (timeout, total_timeout) = (timeout.as_std(), total_timeout.as_std());
    let manner = Manner { jobs, retries, always, pin, timeout, total_timeout };
    prepull::pull(&images, &manner, &runtime, configuration, context)
}

fn images_of(wanted: &Wanted, context: &Context<'_>) -> Result<Vec<String>, Error> {
    let mut images = wanted.images.clone();
    for path in &wanted.file {
        images.extend(list::read(path)?);
    }
    if let Some(version) = &wanted.kubeadm {
        context.watchdog.enter("running kubeadm");
        let version = Some(version.as_str()).filter(|version| !version.is_empty());
        if version.is_some() && wanted.kubeadm_config.is_some() {
            let cause =
                "`--kubeadm VERSION` and `--kubeadm-config` exclude each other: the file names the version";
            return Err(Error::new(Code::Usage, cause));
        }
        images.extend(kubeadm::images(version, wanted.kubeadm_config.as_deref())?);
    }
    Ok(images)
}

/// A word that can be a version; an image that follows `--kubeadm` by mistake is none.
fn version(text: &str) -> Result<String, String> {
    if text.contains(['/', ':', '@']) {
        return Err("it is no version; name images before `--kubeadm`".into());
    }
    Ok(text.to_owned())
}
