//! User data for cloud-init.

use super::File;
use super::kubeadm;
use super::talos::SAMPLE_KEY;
use super::wanted::{Distribution, Wanted};
use super::yaml::{indented, scalar};

/// Everything is on the node before its kubelet starts, so nothing has to be restarted.
pub(super) fn files(wanted: &Wanted) -> Vec<File> {
    let config = wanted.config_file();
    let mut files = file(&config.goes_to, "0644", &config.text);
    if wanted.needs_settings() {
        let settings = wanted.settings_file();
        files += &file(&settings.goes_to, "0644", &settings.text);
    }
    if let Some(path) = wanted.key_file() {
        files += "  # Yours; who may read user data may read it.\n";
        files += &file(path, "0600", SAMPLE_KEY);
    }
    if wanted.distribution == Distribution::Kubeadm {
        let drop_in = kubeadm::drop_in(wanted);
        files += &file(&drop_in.goes_to, "0644", &drop_in.text);
    }
    let then = match wanted.distribution {
        Distribution::Kubeadm => {
            "  # Then yours, which ends with `kubeadm join`.\n  - systemctl daemon-reload\n"
        }
        Distribution::K3s => "  # Then yours, which installs k3s; it takes the files without any flag.\n",
        Distribution::Rke2 => "  # Then yours, which installs RKE2; it takes the files without any flag.\n",
    };
    let fetch = wanted.download.as_ref().map(|download| download.command(&wanted.places.bin_dir, 2));
    let fetch = fetch.unwrap_or_default();
    let comes_with = if fetch.is_empty() { "  # The program is in the image of the machine.\n" } else { "" };
    let run = format!("{comes_with}{fetch}{then}");
    let runs = run.lines().any(|line| line.starts_with("  - "));
    let key = if runs { "runcmd:\n" } else { "# runcmd:\n" };
    let text = format!("#cloud-config\nwrite_files:\n{files}{key}{run}");
    vec![File { name: "user-data.yaml", goes_to: "user data".into(), text }]
}

fn file(path: &str, mode: &str, text: &str) -> String {
    let content = indented(text, 6);
    format!(
        "  - path: {}\n    owner: root:root\n    permissions: \"{mode}\"\n    content: |\n{content}",
        scalar(path)
    )
}
