//! The kubelet that runs on this node.

use std::path::Path;
use std::time::Duration;

use super::flags::Flags;
use super::layout::MICROK8S_ARGUMENTS;
use super::on;
use super::version::Version;
use crate::host;
use crate::ownership::{self, Readers};
use crate::secret::Secret;

const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"];

/// The program in which a kubelet runs. Those of RKE2 and k0s are processes named `kubelet`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The kubelet itself.
    Kubelet,
    /// k3s, which hides its flags from the process table.
    K3s,
    /// The `kubelite` of MicroK8s, which reads its flags from a file.
    MicroK8s,
}

/// A running kubelet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubelet {
    /// Its process.
    pub pid: u32,
    /// The program that it is part of.
    pub program: Program,
    /// The flags in its command line.
    pub flags: Flags,
    /// Which variables for a proxy it hands on to its plugins; none if that may not be read. Never their values,
    /// which may hold a password.
    pub proxy_variables: Option<Vec<String>>,
}

/// The kubelets that run, oldest process number first. More than one where containers are nodes too.
pub fn running(root: &Path) -> Vec<Kubelet> {
    let mut pids: Vec<u32> = host::list_directory(&root.join("proc"))
        .unwrap_or_default()
        .iter()
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    pids.into_iter().filter_map(|pid| of_process(root, pid)).collect()
}

fn of_process(root: &Path, pid: u32) -> Option<Kubelet> {
    let process = root.join("proc").join(pid.to_string());
    let command_line = text_of(&process.join("cmdline"))?;
    let words: Vec<&str> = command_line.split('\0').filter(|word| !word.is_empty()).collect();
    let program = program_of(&words)?;
    let flags = match program {
        Program::MicroK8s => microk8s_flags(root),
        Program::Kubelet | Program::K3s => Flags::of_words(words.iter().copied().skip(1)),
    };
    let proxy_variables = text_of(&process.join("environ")).map(|environment| proxy_variables(&environment));
    Some(Kubelet { pid, program, flags, proxy_variables })
}

/// k3s writes `/usr/local/bin/k3s server` over its command line, as one word.
fn program_of(words: &[&str]) -> Option<Program> {
    let mut words = words.iter().flat_map(|word| word.split_whitespace());
    match words.next()?.rsplit('/').next()? {
        "kubelet" => Some(Program::Kubelet),
        "kubelite" => Some(Program::MicroK8s),
        "k3s" if matches!(words.next(), Some("server" | "agent")) => Some(Program::K3s),
        "k3s-server" | "k3s-agent" => Some(Program::K3s),
        _ => None,
    }
}

/// The snap's own variables stand for its folders.
pub(super) fn microk8s_flags(root: &Path) -> Flags {
    let text = text_of(&on(root, MICROK8S_ARGUMENTS)).unwrap_or_default();
    let text = text.replace("${SNAP_COMMON}", "/var/snap/microk8s/common");
    Flags::of_text(&text.replace("${SNAP_DATA}", "/var/snap/microk8s/current"))
}

/// The environment of the kubelet that is looked at.
pub(super) fn environment(root: &Path) -> Option<Vec<(String, Secret)>> {
    let pid = running(root).first()?.pid;
    let text = text_of(&on(root, format!("/proc/{pid}/environ")))?;
    let pairs = text.split('\0').filter_map(|entry| entry.split_once('='));
    Some(pairs.map(|(name, value)| (name.to_owned(), Secret::from(value.to_owned()))).collect())
}

/// How long a kubelet may take to say its version.
const PATIENCE: Duration = Duration::from_secs(5);

/// The version of the kubelet that runs, as its program says. Asked is only a program that root and this user
/// alone could have put there: a process of anybody's can have the name of a kubelet.
pub(crate) fn version() -> Option<Version> {
    let root = Path::new("/");
    let pid = running(root).first()?.pid;
    let program = Path::new("/proc").join(pid.to_string()).join("exe").read_link().ok()?;
    let program = ownership::trusted(&program, Readers::Anybody).ok()??;
    let name = program.file_name()?.to_str()?;
    if !["kubelet", "kubelite", "k3s"].iter().any(|known| name.starts_with(known)) {
        return None;
    }
    Version::in_output(&host::output_of(&program, "--version", PATIENCE)?)
}

fn proxy_variables(environment: &str) -> Vec<String> {
    let set = environment
        .split('\0')
        .filter_map(|entry| entry.split_once('='))
        .filter(|(_, value)| !value.is_empty());
    let names =
        set.map(|(name, _)| name).filter(|name| PROXY_VARIABLES.contains(&name.to_uppercase().as_str()));
    names.map(str::to_owned).collect()
}

fn text_of(path: &Path) -> Option<String> {
    host::read_file(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::tests::made_up;
    use super::*;

    #[test]
    fn knows_a_kubelet_by_its_command_line() {
        let rows = [
            (
                "/usr/bin/kubelet\0--image-credential-provider-config\0/c\0",
                Some((Program::Kubelet, Some("/c"))),
            ),
            ("kubelet\0-image-credential-provider-config=/c\0", Some((Program::Kubelet, Some("/c")))),
            ("/var/lib/k0s/bin/kubelet\0--v=1\0", Some((Program::Kubelet, None))),
            ("/usr/local/bin/k3s server\0\0\0", Some((Program::K3s, None))),
            ("/usr/local/bin/k3s\0agent\0", Some((Program::K3s, None))),
            (
                "/snap/microk8s/1/kubelite\0--kubelet-args-file=x\0",
                Some((Program::MicroK8s, Some("/var/snap/microk8s/common/c"))),
            ),
            ("/usr/local/bin/k3s\0kubectl\0get\0", None),
            ("vi\0/usr/bin/kubelet\0", None),
            ("/usr/bin/kubelet-wrapper\0", None),
            ("", None),
        ];
        for (command_line, expected) in rows {
            let arguments = "# flags\n--image-credential-provider-config=${SNAP_COMMON}/c\n";
            let root = made_up(&[("proc/7/cmdline", command_line), (&MICROK8S_ARGUMENTS[1..], arguments)]);
            let found = running(root.path()).pop().map(|kubelet| (kubelet.program, kubelet.flags.config));
            let expected = expected.map(|(program, config)| (program, config.map(str::to_owned)));
            assert_eq!(found, expected, "{command_line:?}");
        }
    }

    #[test]
    fn names_proxy_variables_and_keeps_no_value() {
        let environment =
            "PATH=/bin\0HTTPS_PROXY=http://u:hunter2@proxy:3128\0no_proxy=10.0.0.0/8\0HTTP_PROXY=\0";
        let root = made_up(&[
            ("proc/9/cmdline", "kubelet\0"),
            ("proc/9/environ", environment),
            ("proc/1/cmdline", "init\0"),
        ]);
        let kubelets = running(root.path());
        assert_eq!(kubelets.len(), 1);
        assert_eq!(kubelets[0].proxy_variables, Some(vec!["HTTPS_PROXY".to_owned(), "no_proxy".to_owned()]));
        assert!(!format!("{kubelets:?}").contains("hunter2"));
        let root = made_up(&[("proc/9/cmdline", "kubelet\0")]);
        assert_eq!(running(root.path())[0].proxy_variables, None, "unreadable is not unset");
    }
}
