//! k3s and RKE2: both use a provider without any flag if its files lie where they look for them.

use super::File;
use super::wanted::Wanted;
use super::yaml::scalar;
use crate::node::layout::{RANCHER_BIN_DIR, RANCHER_CONFIG};

pub(super) fn files(wanted: &Wanted, distribution: &str) -> Vec<File> {
    let mut files = vec![wanted.config_file()];
    if wanted.needs_settings() {
        files[0].name = "credential-provider-config.yaml";
        files.push(wanted.settings_file());
    }
    let places = &wanted.places;
    if places.config != RANCHER_CONFIG || places.bin_dir != RANCHER_BIN_DIR {
        let keys = places.flags().map(|(name, value)| format!("{name}: {}\n", scalar(value))).concat();
        let name = "ecr-credential-provider.yaml";
        files.push(File {
            name,
            goes_to: format!("/etc/rancher/{distribution}/config.yaml.d/{name}"),
            text: format!(
                "# Where {distribution} finds the provider, as it is not where it looks by itself.\n{keys}"
            ),
        });
    }
    files
}
