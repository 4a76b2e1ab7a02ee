//! Which role the arguments ask for.

use std::ffi::OsString;

/// What the program is used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The kubelet's credential provider.
    Kubelet,
    /// A person or a script at the command line.
    Human,
}

impl Role {
    /// Decides by the arguments, of which the first is the program's name. The kubelet passes the `args` of
    /// the CredentialProviderConfig: none, or the `get-credentials` that the configurations for the Go
    /// provider carry.
    pub fn of(arguments: &[OsString]) -> Self {
        match arguments.get(1..).unwrap_or_default() {
            [] => Self::Kubelet,
            [only] if only == "get-credentials" => Self::Kubelet,
            _ => Self::Human,
        }
    }
}
