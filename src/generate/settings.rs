//! The settings file: rules for names of one's own, and identities that the environment cannot name.

use super::File;
use super::wanted::{RolesAnywhere, Wanted};
use super::yaml::scalar;
use crate::service_account::ROLE_ANNOTATION;

const HEAD: &str = "\
# The settings file of ecr-credential-provider, of root and writable by nobody else. Read at every run: a change needs
# no restart of the kubelet. packaging/doc/settings.md has all keys.
";

impl Wanted {
    pub(super) fn settings_file(&self) -> File {
        let mut text = vec![HEAD.to_owned()];
        let mut defaults = Vec::new();
        if let Some(roles_anywhere) = &self.identity.roles_anywhere {
            defaults.push(roles_anywhere.to_yaml());
            if let Some([certificate, key]) = self.places.kubelet_certificate {
                defaults.push(format!("    certificate: {certificate}\n    privateKey: {key}\n"));
            }
        }
        if let Some(account) =
            self.identity.service_account.as_ref().filter(|one| one.annotation != ROLE_ANNOTATION)
        {
            defaults
                .push(format!("  serviceAccount:\n    roleAnnotation: {}\n", scalar(&account.annotation)));
        }
        if !defaults.is_empty() {
            text.push(format!("\ndefaults:\n{}", defaults.concat()));
        }
        if !self.mirrors.is_empty() {
            text.push("\n# The first rule that matches holds. matchImages of the CredentialProviderConfig has these names too.\nregistries:\n".to_owned());
        }
        for mirror in &self.mirrors {
            let (name, registry) = (scalar(&mirror.name), scalar(&mirror.registry));
            text.push(format!("  - match: [{name}]\n    registry: {registry}\n"));
        }
        File { name: "config.yaml", goes_to: self.places.settings.clone(), text: text.concat() }
    }
}

impl RolesAnywhere {
    fn to_yaml(&self) -> String {
        let Self { trust_anchor, profile, role } = self;
        let [trust_anchor, profile, role] = [trust_anchor, profile, role].map(|text| scalar(text));
        format!(
            "  \
  # The kubelet's own certificate is exchanged for a session of the role: no key on the node.
  rolesAnywhere:
    trustAnchorArn: {trust_anchor}
    profileArn: {profile}
    roleArn: {role}
"
        )
    }
}
