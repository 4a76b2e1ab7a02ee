//! What CRI has no call for, and containerd's own API has, at the same socket.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::SOON;
use super::messages::containerd::{
    FieldMask, GetImageRequest, GetImageResponse, UpdateImageRequest, UpdateImageResponse,
};
use super::transport::{self, Failure};

/// The label by which containerd's CRI knows a pinned image, and its value.
const PINNED: (&str, &str) = ("io.cri-containerd.pinned", "pinned");

/// How often to look whether the label has its effect: CRI hears of it by an event.
pub(super) const LOOKS: u32 = 30;
/// How long to wait between two looks.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// Adds the label to the image of this very name. The rest of the image is read before and sent along: containerd 2
/// crashes of an image without it, though the mask says that only the label is to change.
pub(super) fn label_as_pinned(socket: &Path, name: &str) -> Result<(), Failure> {
    let question = GetImageRequest { name: name.to_owned() };
    let answer: GetImageResponse =
        transport::call(socket, "/containerd.services.images.v1.Images/Get", &question, SOON)?;
    let image = answer.image.filter(|image| image.target.is_some());
    let mut image =
        image.ok_or_else(|| Failure::Broken(format!("containerd shows no target of `{name}`")))?;
    let (label, value) = PINNED;
    image.labels.insert(label.to_owned(), value.to_owned());
    let update_mask = Some(FieldMask { paths: vec![format!("labels.{label}")] });
    let question = UpdateImageRequest { image: Some(image), update_mask };
    let path = "/containerd.services.images.v1.Images/Update";
    transport::call::<_, UpdateImageResponse>(socket, path, &question, SOON).map(drop)
}

/// The sandbox image of containerd 2, which does not show it over CRI any more, by its own command. None if what it
/// prints is about a containerd at another socket.
pub(super) fn configured_sandbox_image(socket: &Path) -> Option<String> {
    let mut command = Command::new("containerd");
    let output = command.args(["config", "dump"]).stdin(Stdio::null()).output().ok()?;
    sandbox_image_in(&String::from_utf8_lossy(&output.stdout), socket)
}

/// The value of `sandbox` in the table `pinned_images` of what `containerd config dump` prints, or that of
/// `sandbox_image` of a version before 2.
fn sandbox_image_in(dump: &str, socket: &Path) -> Option<String> {
    let mut table = "";
    let (mut is_about_socket, mut image) = (false, None);
    for line in dump.lines().map(str::trim) {
        if line.starts_with('[') {
            table = line;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        let value = value.trim().trim_matches(['"', '\'']);
        match key.trim() {
            "address" => is_about_socket |= below_run(Path::new(value)) == below_run(socket),
            "sandbox" if table.ends_with(".pinned_images]") => image = Some(value),
            "sandbox_image" => image = Some(value),
            _ => {}
        }
    }
    image.filter(|image| is_about_socket && !image.is_empty()).map(str::to_owned)
}

/// `/var/run` is `/run`.
fn below_run(path: &Path) -> PathBuf {
    path.strip_prefix("/var/run").map_or_else(|_| path.to_owned(), |below| Path::new("/run").join(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_sandbox_image_in_what_containerd_prints() {
        let two = "version = 4\n[plugins]\n  [plugins.'io.containerd.cri.v1.images']\n    snapshotter = 'overlayfs'\n\
                   [plugins.'io.containerd.cri.v1.images'.pinned_images]\n      sandbox = 'registry.test/pause:3.10'\n\
                   [plugins.'io.containerd.server.v1.grpc']\n    address = '/run/containerd/containerd.sock'\n";
        let one = "[grpc]\n  address = \"/run/containerd/containerd.sock\"\n[plugins.\"io.containerd.grpc.v1.cri\"]\n    \
                   sandbox_image = \"registry.test/pause:1\"\n";
        let other =
            "[grpc]\n  address = \"/run/containerd/containerd.sock\"\n[plugins.'x'.y]\n sandbox = 'no'\n";
        let rows = [
            (two, "/run/containerd/containerd.sock", Some("registry.test/pause:3.10")),
            (one, "/var/run/containerd/containerd.sock", Some("registry.test/pause:1")),
            (one, "/run/k3s/containerd/containerd.sock", None),
            (other, "/run/containerd/containerd.sock", None),
            ("", "/run/containerd/containerd.sock", None),
        ];
        for (dump, socket, expected) in rows {
            assert_eq!(sandbox_image_in(dump, Path::new(socket)).as_deref(), expected, "{dump}");
        }
    }
}
