//! Talos, whose machines are described by one document.

use super::File;
use super::wanted::{Wanted, WantedError};
use super::yaml::{indented, scalar};

/// The key that AWS shows in its documentation.
pub(super) const SAMPLE_KEY: &str = "\
[default]
aws_access_key_id = AKIAIOSFODNN7EXAMPLE
aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
";

const HEAD: &str = "# talosctl patch machineconfig --patch @machine-config.yaml\n";

const ABOUT_FILES: &str = "    \
# Talos takes files below /var only, and its kubelet, in a container, sees those below /var/lib/kubelet.
";

const DOCUMENT: &str = "\
# From Talos 1.14 on.
apiVersion: v1alpha1
kind: KubeCredentialProviderConfig
configuration:
";

/// A patch of the machine configuration. The program itself comes with a system extension.
pub(super) fn files(wanted: &Wanted) -> Result<Vec<File>, WantedError> {
    let is_document = wanted.api(&["machine", "document"])? == "document";
    let config = wanted.document().to_yaml();
    let mut machine = Vec::new();
    if !is_document {
        machine.push(format!("  kubelet:\n    credentialProviderConfig:\n{}", indented(&config, 6)));
    }
    let key = wanted.key_file().map(|path| file(path, "0o600", SAMPLE_KEY));
    let settings =
        wanted.needs_settings().then(|| file(&wanted.places.settings, "0o644", &wanted.settings_file().text));
    let files: Vec<_> = key.into_iter().chain(settings).collect();
    if !files.is_empty() {
        machine.push(format!("  files:\n{ABOUT_FILES}{}", files.concat()));
    }
    let mut documents = Vec::new();
    if !machine.is_empty() {
        documents.push(format!("machine:\n{}", machine.concat()));
    }
    if is_document {
        documents.push(format!("{DOCUMENT}{}", indented(&config, 2)));
    }
    let text = format!("{HEAD}{}", documents.join("---\n"));
    Ok(vec![File { name: "machine-config.yaml", goes_to: "talosctl patch machineconfig".into(), text }])
}

fn file(path: &str, mode: &str, text: &str) -> String {
    let (path, content) = (scalar(path), indented(text, 8));
    format!("    - path: {path}\n      permissions: {mode}\n      op: create\n      content: |\n{content}")
}
