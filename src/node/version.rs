//! The version of a kubelet, and what changed for credential providers from one to the next.
//!
//! Sources: `CHANGELOG` of Kubernetes 1.24, 1.26, 1.32 (#128062), 1.33 (#129669) and 1.34 (#131658, #132617), and
//! `kube_features.go` of 1.37.

use std::fmt;
use std::str::FromStr;

/// A version of Kubernetes, `1.x`; patches do not change what is looked at here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    minor: u32,
}

impl Version {
    /// The newest whose rules are known here. Those of later ones are taken to be the same.
    pub const NEWEST: Self = Self { minor: 37 };
    /// The first that has providers without a feature gate.
    const OLDEST: Self = Self { minor: 24 };

    /// From this one on there is v1 of the configuration and of the protocol.
    pub(crate) const HAS_V1: Self = Self { minor: 26 };
    /// From this one on an unknown or repeated field is an error.
    pub(crate) const IS_STRICT: Self = Self { minor: 32 };
    /// From this one on there are `tokenAttributes`, at first behind a feature gate; and providers are asked in the
    /// order of the file, no longer in that of their names.
    pub(crate) const HAS_TOKENS: Self = Self { minor: 33 };
    /// From this one on that gate is open, a token has a `cacheType`, and the configuration may be a folder.
    pub(crate) const HAS_FOLDERS: Self = Self { minor: 34 };

    pub(crate) fn has_v1(self) -> bool {
        self >= Self::HAS_V1
    }

    pub(crate) fn is_strict(self) -> bool {
        self >= Self::IS_STRICT
    }

    pub(crate) fn has_tokens(self) -> bool {
        self >= Self::HAS_TOKENS
    }

    pub(crate) fn asks_in_order_of_file(self) -> bool {
        self >= Self::HAS_TOKENS
    }

    pub(crate) fn has_tokens_without_gate(self) -> bool {
        self >= Self::HAS_FOLDERS
    }

    pub(crate) fn has_cache_type(self) -> bool {
        self >= Self::HAS_FOLDERS
    }

    /// From 1.31 on kubeadm has v1beta4, in which arguments are lists.
    pub(crate) fn has_kubeadm_lists(self) -> bool {
        self >= Self { minor: 31 }
    }

    pub(crate) fn reads_folders(self) -> bool {
        self >= Self::HAS_FOLDERS
    }

    /// The version in what `kubelet --version` or `k3s --version` prints.
    pub(crate) fn in_output(text: &str) -> Option<Self> {
        text.split_whitespace().find(|word| word.starts_with("v1."))?.parse().ok()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.minor)
    }
}

/// Why a text is no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// Not of the form of one.
    #[error("it is not of the form 1.34, v1.34.2 or v1.34.2+k3s1")]
    Malformed,
    /// Without credential providers, or only behind a feature gate.
    #[error(
        "kubelets before {} have no credential providers, or only behind a feature gate",
        Version::OLDEST
    )]
    TooOld,
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let rest =
            text.strip_prefix('v').unwrap_or(text).strip_prefix("1.").ok_or(VersionError::Malformed)?;
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (minor, rest) = rest.split_at(end);
        let minor = minor.parse().map_err(|_| VersionError::Malformed)?;
        if !(rest.is_empty() || rest.starts_with(['.', '-', '+'])) {
            return Err(VersionError::Malformed);
        }
        let version = Self { minor };
        if version < Self::OLDEST { Err(VersionError::TooOld) } else { Ok(version) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_forms_of_every_distribution() {
        let rows = [
            ("1.31", Ok(31)),
            ("v1.31.4", Ok(31)),
            ("1.31.4+k3s1", Ok(31)),
            ("v1.31.4-eks-1552ad0", Ok(31)),
            ("v1.35.0-rc.1", Ok(35)),
            ("1.36+", Ok(36)),
            ("1.99", Ok(99)),
            ("1.23.9", Err(VersionError::TooOld)),
            ("2.0", Err(VersionError::Malformed)),
            ("1", Err(VersionError::Malformed)),
            ("1.x", Err(VersionError::Malformed)),
            ("1.31x", Err(VersionError::Malformed)),
            ("31", Err(VersionError::Malformed)),
            ("", Err(VersionError::Malformed)),
        ];
        for (text, expected) in rows {
            assert_eq!(text.parse(), expected.map(|minor| Version { minor }), "{text}");
        }
    }

    #[test]
    fn finds_the_version_in_what_programs_print() {
        let rows = [
            ("Kubernetes v1.37.2\n", Some(37)),
            ("k3s version v1.31.4+k3s1 (a562d090)\ngo version go1.22.9\n", Some(31)),
            ("rke2 version v1.30.1+rke2r1 (e7f87c6d)\n", Some(30)),
            ("sleep (GNU coreutils) 9.1\n", None),
        ];
        for (text, expected) in rows {
            assert_eq!(Version::in_output(text), expected.map(|minor| Version { minor }), "{text}");
        }
    }
}
