//! Where the flags of a kubelet are configured, for a node whose kubelet does not run or hides them.

use std::path::{Path, PathBuf};

use super::flags::Flags;
use super::kubelet::{Program, microk8s_flags};
use super::layout::{
    DROP_INS, EXTRA_ARGUMENTS, KUBEADM_FLAGS, MICROK8S_ARGUMENTS, RANCHER_BIN_DIR, RANCHER_CONFIG,
};
use super::on;
use crate::host;

/// Flags and the places that they were found in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configured {
    /// What the places say together.
    pub flags: Flags,
    /// The files that name at least one of the flags; or the default path of k3s.
    pub places: Vec<PathBuf>,
    /// Drop-ins whose flags systemd erases, see [`ErasedDropIn`].
    pub erased: Vec<ErasedDropIn>,
}

/// A drop-in that sets `KUBELET_EXTRA_ARGS` with `Environment=`, while an environment file sets it too. The file
/// wins, even if it sets nothing, and the packages of the kubelet bring one that does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasedDropIn {
    /// The drop-in.
    pub drop_in: PathBuf,
    /// The environment file that wins.
    pub file: PathBuf,
}

/// The flags for a kubelet of `program`; where none runs, the first of all kinds of node that has some.
pub fn find(root: &Path, program: Option<Program>) -> Configured {
    let all = [Program::Kubelet, Program::MicroK8s, Program::K3s];
    let programs = program.map_or(all.to_vec(), |program| vec![program]);
    let mut erased = Vec::new();
    for program in programs {
        let found = match program {
            Program::Kubelet => of_service(root),
            Program::MicroK8s => of_microk8s(root),
            Program::K3s => of_k3s(root),
        };
        if !found.flags.are_absent() {
            return found;
        }
        erased.extend(found.erased);
    }
    Configured { erased, ..Configured::default() }
}

fn of_service(root: &Path) -> Configured {
    let mut found = Configured::default();
    let mut add = |path: PathBuf, text: &str| {
        let flags = Flags::of_text(text);
        if !flags.are_absent() {
            found.flags = std::mem::take(&mut found.flags).overridden_by(flags);
            found.places.push(path);
        }
    };
    if let Some(text) = text_of(root, Path::new(KUBEADM_FLAGS)) {
        add(KUBEADM_FLAGS.into(), &text);
    }
    let extra =
        EXTRA_ARGUMENTS.map(|path| (PathBuf::from(path), text_of(root, Path::new(path)).unwrap_or_default()));
    let winner =
        extra.iter().find(|(_, text)| text.lines().any(|line| line.starts_with("KUBELET_EXTRA_ARGS=")));
    let mut erased = Vec::new();
    for (drop_in, text) in drop_ins(root) {
        match winner {
            Some((file, _)) if sets_extra_arguments(&text) && !Flags::of_text(&text).are_absent() => {
                erased.push(ErasedDropIn { drop_in, file: file.clone() });
            }
            _ => add(drop_in, &text),
        }
    }
    for (path, text) in extra {
        add(path, &text);
    }
    Configured { erased, ..found }
}

fn drop_ins(root: &Path) -> Vec<(PathBuf, String)> {
    let files = DROP_INS.iter().flat_map(|folder| {
        let mut names = host::list_directory(&on(root, folder)).unwrap_or_default();
        names.sort();
        let names =
            names.into_iter().filter(|name| Path::new(name).extension().is_some_and(|end| end == "conf"));
        names.map(|name| Path::new(folder).join(name)).collect::<Vec<_>>()
    });
    files.filter_map(|path| Some((text_of(root, &path)?, path))).map(|(text, path)| (path, text)).collect()
}

fn sets_extra_arguments(drop_in: &str) -> bool {
    let values = drop_in.lines().filter_map(|line| line.trim_start().strip_prefix("Environment="));
    values.into_iter().any(|value| value.trim_start_matches(['"', '\'']).starts_with("KUBELET_EXTRA_ARGS="))
}

fn of_microk8s(root: &Path) -> Configured {
    Configured { flags: microk8s_flags(root), places: vec![MICROK8S_ARGUMENTS.into()], erased: Vec::new() }
}

fn of_k3s(root: &Path) -> Configured {
    if !on(root, RANCHER_CONFIG).is_file() || !on(root, RANCHER_BIN_DIR).is_dir() {
        return Configured::default();
    }
    let flags = Flags { config: Some(RANCHER_CONFIG.to_owned()), bin_dir: Some(RANCHER_BIN_DIR.to_owned()) };
    Configured { flags, places: vec![RANCHER_CONFIG.into()], erased: Vec::new() }
}

fn text_of(root: &Path, path: &Path) -> Option<String> {
    host::read_file(&on(root, path)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::tests::made_up;
    use super::*;

    const BOTH: &str = "--image-credential-provider-config=/c --image-credential-provider-bin-dir=/b";

    fn drop_in(name: &str) -> String {
        format!("etc/systemd/system/kubelet.service.d/{name}")
    }

    #[test]
    fn finds_the_flags_where_each_kind_of_node_has_them() {
        let environment = format!("KUBELET_KUBEADM_ARGS=\"--v=1 {BOTH}\"\n");
        let extra = format!("KUBELET_EXTRA_ARGS={BOTH}\n");
        let exec = format!("[Service]\nExecStart=\nExecStart=/usr/bin/kubelet {BOTH}\n");
        let rows = [
            ("var/lib/kubelet/kubeadm-flags.env".to_owned(), environment.as_str()),
            ("etc/default/kubelet".to_owned(), &extra),
            ("etc/sysconfig/kubelet".to_owned(), &extra),
            (drop_in("20-ecr.conf"), &exec),
            ("usr/lib/systemd/system/kubelet.service.d/20-ecr.conf".to_owned(), &exec),
            ("var/snap/microk8s/current/args/kubelet".to_owned(), BOTH),
        ];
        for (path, text) in rows {
            let found = find(made_up(&[(&path, text)]).path(), None);
            let flags = Flags { config: Some("/c".into()), bin_dir: Some("/b".into()) };
            let places = vec![Path::new("/").join(&path)];
            assert_eq!(found, Configured { flags, places, erased: vec![] }, "{path}");
        }
        assert_eq!(find(made_up(&[(&drop_in("x.bak"), BOTH)]).path(), None), Configured::default());
    }

    #[test]
    fn k3s_needs_a_file_and_a_folder() {
        let config = "var/lib/rancher/credentialprovider/config.yaml";
        let binary = "var/lib/rancher/credentialprovider/bin/ecr-credential-provider";
        assert_eq!(find(made_up(&[(config, "")]).path(), Some(Program::K3s)), Configured::default());
        assert_eq!(
            find(made_up(&[(&format!("{config}/a.yaml"), ""), (binary, "")]).path(), None),
            Configured::default()
        );
        let found = find(made_up(&[(config, ""), (binary, "")]).path(), Some(Program::K3s));
        assert_eq!(found.flags.config.as_deref(), Some(RANCHER_CONFIG));
        assert_eq!(found.flags.bin_dir.as_deref(), Some(RANCHER_BIN_DIR));
    }

    #[test]
    fn extra_arguments_win_and_erase_those_of_a_drop_in() {
        let environment = "KUBELET_KUBEADM_ARGS=\"--image-credential-provider-config=/kubeadm --image-credential-provider-bin-dir=/b\"";
        let extra = "KUBELET_EXTRA_ARGS=--image-credential-provider-config=/extra";
        let root = made_up(&[(&KUBEADM_FLAGS[1..], environment), ("etc/default/kubelet", extra)]);
        let flags = find(root.path(), None).flags;
        assert_eq!(flags, Flags { config: Some("/extra".into()), bin_dir: Some("/b".into()) });

        let text = format!("[Service]\nEnvironment=\"KUBELET_EXTRA_ARGS={BOTH}\"\n");
        let root = made_up(&[(&drop_in("20.conf"), &text), ("etc/default/kubelet", "KUBELET_EXTRA_ARGS=\n")]);
        let found = find(root.path(), None);
        assert!(found.flags.are_absent());
        assert_eq!(found.erased[0].file, Path::new("/etc/default/kubelet"));
        let root =
            made_up(&[(&drop_in("20.conf"), &text), ("etc/default/kubelet", "#KUBELET_EXTRA_ARGS=\n")]);
        assert!(!find(root.path(), None).flags.are_absent(), "nothing erases it");
    }
}
