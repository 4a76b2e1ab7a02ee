//! Where the container runtime listens.
//!
//! Whoever names a socket is believed: a flag, the variable that `crictl` knows too, the kubelet of this node.
//! Where nobody does, as on a node that has not joined yet, the usual sockets that exist are tried in turn.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Code, Error};
use crate::host;
use crate::node::layout::{EXTRA_ARGUMENTS, KUBEADM_FLAGS, KUBELET_SETTINGS, RUNTIME_SOCKETS};

/// The variable of `crictl`.
pub(crate) const VARIABLE: &str = "CONTAINER_RUNTIME_ENDPOINT";

/// A Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(super) socket: PathBuf,
    /// Who names it, for people.
    by: Option<String>,
}

impl Endpoint {
    /// `unix:///run/…`, or the path alone, as `by` names it.
    pub(crate) fn named(text: &str, by: &str) -> Result<Self, Error> {
        let path = text.strip_prefix("unix://").unwrap_or(text);
        if !path.starts_with('/') {
            let cause = format!("{by} names `{text}`, which is not a Unix socket");
            return Err(Error::new(Code::RuntimeNotFound, cause));
        }
        Ok(Self { socket: path.into(), by: Some(by.to_owned()) })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`unix://{}`", self.socket.display())?;
        match &self.by {
            Some(by) => write!(f, " (named by {by})"),
            None => Ok(()),
        }
    }
}

/// The sockets to try, in this order. `flag` and `variable` are what the command line and the environment say.
pub(crate) fn candidates(
    flag: Option<&str>,
    variable: Option<&str>,
    root: &Path,
) -> Result<Vec<Endpoint>, Error> {
    if let Some(text) = flag {
        return Ok(vec![Endpoint::named(text, "`--runtime-endpoint`")?]);
    }
    if let Some(text) = variable {
        return Ok(vec![Endpoint::named(text, &format!("`{VARIABLE}`"))?]);
    }
    if let Some((text, file)) = of_kubelet(root) {
        return Ok(vec![Endpoint::named(&text, &format!("the kubelet's `{file}`"))?]);
    }
    let existing = RUNTIME_SOCKETS.iter().filter(|path| on(root, path).exists());
    let found: Vec<_> = existing.map(|path| Endpoint { socket: path.into(), by: None }).collect();
    if found.is_empty() {
        let cause = format!("there is none of {}", RUNTIME_SOCKETS.join(", "));
        return Err(Error::new(Code::RuntimeNotFound, cause));
    }
    Ok(found)
}

/// What the kubelet is told, and the file that tells it. Its flags come before its settings.
fn of_kubelet(root: &Path) -> Option<(String, &'static str)> {
    let read = |path: &&str| host::read_file(&on(root, path)).ok();
    let of_flags = EXTRA_ARGUMENTS.into_iter().chain([KUBEADM_FLAGS]).find_map(|path| {
        let text = read(&path)?;
        Some((flag_in(&String::from_utf8_lossy(&text))?, path))
    });
    of_flags.or_else(|| {
        KUBELET_SETTINGS.into_iter().find_map(|path| {
            let settings: KubeletSettings = serde_saphyr::from_slice(&read(&path)?).ok()?;
            Some((settings.container_runtime_endpoint.filter(|text| !text.is_empty())?, path))
        })
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KubeletSettings {
    container_runtime_endpoint: Option<String>,
}

fn flag_in(text: &str) -> Option<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let mut words = lines.flat_map(|line| line.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')));
    let mut found = None;
    while let Some(word) = words.next() {
        let Some((_, rest)) = word.split_once("--container-runtime-endpoint") else { continue };
        found = match rest.strip_prefix('=') {
            Some(value) => Some(value.to_owned()),
            None => words.next().map(str::to_owned),
        };
    }
    found.filter(|value| !value.is_empty())
}

fn on(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a directory");
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        root
    }

    #[test]
    fn whoever_names_a_socket_is_believed_and_else_those_that_exist_are_tried() {
        let settings = (
            "var/lib/kubelet/config.yaml",
            "kind: KubeletConfiguration\ncontainerRuntimeEndpoint: unix:///run/a.sock\n",
        );
        let instance = ("var/lib/kubelet/instance-config.yaml", "containerRuntimeEndpoint: /run/b.sock\n");
        let flags = (
            "var/lib/kubelet/kubeadm-flags.env",
            "KUBELET_KUBEADM_ARGS=\"--v=1 --container-runtime-endpoint=unix:///run/c.sock\"\n",
        );
        let extra =
            ("etc/default/kubelet", "KUBELET_EXTRA_ARGS=--container-runtime-endpoint unix:///run/d.sock\n");
        let silent =
            ("etc/default/kubelet", "#--container-runtime-endpoint=unix:///no\nKUBELET_EXTRA_ARGS=\n");
        let crio = ("run/crio/crio.sock", "");
        let k3s = ("run/k3s/containerd/containerd.sock", "");
        let rows = [
            (vec![settings, crio], vec!["/run/a.sock"]),
            (vec![settings, instance], vec!["/run/b.sock"]),
            (vec![settings, instance, flags], vec!["/run/c.sock"]),
            (vec![flags, extra], vec!["/run/d.sock"]),
            (vec![silent, settings], vec!["/run/a.sock"]),
            (vec![crio], vec!["/run/crio/crio.sock"]),
            (vec![k3s, crio], vec!["/run/crio/crio.sock", "/run/k3s/containerd/containerd.sock"]),
            (vec![], vec![]),
        ];
        for (files, expected) in rows {
            let found = candidates(None, None, node(&files).path()).unwrap_or_default();
            let sockets: Vec<_> = found.iter().map(|endpoint| endpoint.socket.to_string_lossy()).collect();
            assert_eq!(sockets, expected, "{files:?}");
        }
        let root = node(&[settings]);
        for (flag, variable, expected) in [
            (Some("unix:///f.sock"), Some("/v.sock"), "`unix:///f.sock` (named by `--runtime-endpoint`)"),
            (None, Some("/v.sock"), "`unix:///v.sock` (named by `CONTAINER_RUNTIME_ENDPOINT`)"),
            (None, None, "`unix:///run/a.sock` (named by the kubelet's `/var/lib/kubelet/config.yaml`)"),
        ] {
            let found = candidates(flag, variable, root.path()).expect("an endpoint");
            assert_eq!(found[0].to_string(), expected);
        }
        let error = candidates(Some("tcp://10.0.0.1:1"), None, root.path()).expect_err("no socket");
        assert_eq!(error.code(), Code::RuntimeNotFound);
    }
}
