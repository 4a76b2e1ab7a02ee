//! The images of a control plane, as kubeadm on this node lists them.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::list::images_in;
use crate::error::{Code, Error};

/// What `kubeadm config images list` prints.
///
/// Without a version or a configuration it would ask the internet which version is the newest; then the version of
/// kubeadm itself is meant.
pub(crate) fn images(version: Option<&str>, config: Option<&Path>) -> Result<Vec<String>, Error> {
    let mut command = Command::new("kubeadm");
    command.args(["config", "images", "list"]);
    if let Some(config) = config {
        command.arg("--config").arg(config);
    } else {
        let version = match version {
            Some(version) => version.to_owned(),
            None => run(Command::new("kubeadm").args(["version", "--output", "short"]))?.trim().to_owned(),
        };
        command.arg("--kubernetes-version").arg(version);
    }
    let images = images_in(&run(&mut command)?);
    if images.is_empty() {
        return Err(Error::new(Code::Kubeadm, "`kubeadm config images list` printed no image"));
    }
    Ok(images)
}

fn run(command: &mut Command) -> Result<String, Error> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| {
        let cause = match error.kind() {
            io::ErrorKind::NotFound => "there is no kubeadm in the PATH of this node".to_owned(),
            _ => format!("kubeadm cannot be run: {error}"),
        };
        Error::new(Code::Kubeadm, cause)
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let cause = format!("it ended with {}: {}", output.status, said.trim());
        return Err(Error::new(Code::Kubeadm, cause)
            .with_remedy("see what it says, and the version or file it was given"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
