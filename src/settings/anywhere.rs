//! The keys below `rolesAnywhere`: a role for whoever holds a certificate.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::checked::{AbsolutePath, checked_text};
use crate::arn::Arn;
use crate::duration::GoDuration;

/// Where the kubelet keeps its own certificate and key, in one file, and renews them.
const OF_KUBELET: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";

/// A role that IAM Roles Anywhere gives to whoever holds a certificate.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RolesAnywhereSection {
    /// The trust anchor: the CA, as AWS knows it. Its region is asked.
    trust_anchor_arn: TrustAnchorArn,
    /// The profile that has the role, of the same region.
    profile_arn: ProfileArn,
    /// The role.
    role_arn: AnywhereRoleArn,
    /// A PEM file with the certificate and, behind it, those between it and the CA. Without this, the kubelet's own,
    /// `/var/lib/kubelet/pki/kubelet-client-current.pem`.
    certificate: Option<AbsolutePath>,
    /// A PEM file with its key, which nobody but its owner may read. Without this, the file of the certificate.
    private_key: Option<AbsolutePath>,
    /// A PEM file with more certificates between it and the CA.
    intermediates: Option<AbsolutePath>,
    /// The name of the session; the profile has to accept one. Without this, AWS takes the serial number.
    session_name: Option<SessionName>,
    /// How long the session lasts: `15m` to `12h`, as Go writes durations. Without this, as the profile says.
    duration: Option<SessionDuration>,
}

/// What the settings say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RolesAnywhereSetting {
    pub(crate) trust_anchor: Arn,
    pub(crate) profile: Arn,
    pub(crate) role: Arn,
    pub(crate) certificate: PathBuf,
    /// It may be the same file.
    pub(crate) private_key: PathBuf,
    pub(crate) intermediates: Option<PathBuf>,
    pub(crate) session_name: Option<String>,
    pub(crate) duration: Option<Duration>,
}

impl RolesAnywhereSection {
    pub(super) fn setting(&self) -> RolesAnywhereSetting {
        let certificate =
            self.certificate.as_ref().map_or_else(|| PathBuf::from(OF_KUBELET), |path| path.0.clone());
        RolesAnywhereSetting {
            trust_anchor: self.trust_anchor_arn.0.clone(),
            profile: self.profile_arn.0.clone(),
            role: self.role_arn.0.clone(),
            private_key: self.private_key.as_ref().map_or_else(|| certificate.clone(), |path| path.0.clone()),
            certificate,
            intermediates: self.intermediates.as_ref().map(|path| path.0.clone()),
            session_name: self.session_name.as_ref().map(|name| name.0.clone()),
            duration: self.duration.as_ref().map(|duration| duration.0),
        }
    }

    /// Why the three do not go together.
    pub(super) fn mismatch(&self) -> Option<String> {
        let (anchor, profile) = (&self.trust_anchor_arn.0, &self.profile_arn.0);
        if anchor.region() != profile.region() {
            return Some(format!(
                "the trust anchor is of the region {}, and the profile of {}",
                anchor.region(),
                profile.region()
            ));
        }
        let partitions = [anchor, profile, &self.role_arn.0].map(Arn::partition);
        let is_one = partitions.iter().all(|partition| *partition == partitions[0]);
        (!is_one).then(|| format!("the three are of different partitions: {}", partitions.join(", ")))
    }
}

checked_text! {
    TrustAnchorArn(Arn) = |text| Arn::of(&text, "rolesanywhere", "trust-anchor")
        .filter(|arn| !arn.region().is_empty())
        .ok_or_else(|| "this is not the ARN of a trust anchor: `arn:aws:rolesanywhere:REGION:ACCOUNT:trust-anchor/ID`".into())
}

checked_text! {
    ProfileArn(Arn) = |text| Arn::of(&text, "rolesanywhere", "profile")
        .filter(|arn| !arn.region().is_empty())
        .ok_or_else(|| "this is not the ARN of a profile: `arn:aws:rolesanywhere:REGION:ACCOUNT:profile/ID`".into())
}

checked_text! {
    AnywhereRoleArn(Arn) = |text| Arn::of_role(&text)
        .ok_or_else(|| "this is not the ARN of a role: `arn:aws:iam::ACCOUNT:role/NAME`".into())
}

checked_text! {
    SessionName(String) = |text| {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        if (2..=64).contains(&text.len()) && text.chars().all(is_allowed) {
            Ok(text)
        } else {
            Err("this is not the name of a session: 2 to 64 letters, digits and `_+=,.@-`".into())
        }
    }
}

checked_text! {
    SessionDuration(Duration) = |text| {
        let duration: Option<GoDuration> = text.parse().ok();
        let range = Duration::from_mins(15)..=Duration::from_hours(12);
        match duration.map(GoDuration::as_std) {
            Some(duration) if range.contains(&duration) => Ok(duration),
            _ => Err("this is not a duration from 15m to 12h".into()),
        }
    }
}
