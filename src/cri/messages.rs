//! The messages of the published protobufs, as prost-build makes them of `proto/*.proto`.
//!
//! The generated code is checked in: to build this program takes neither `protoc` nor a build script. A test
//! (tests/it/protos.rs) generates it anew and compares.

#![expect(unreachable_pub, clippy::derive_partial_eq_without_eq, reason = "prost-build writes them so")]

use std::fmt;

use super::Login;

/// `k8s.io/cri-api`, version 1 of the API.
pub(super) mod cri {
    include!("generated/runtime.v1.rs");
}

/// The image service of containerd's own API.
pub(super) mod containerd {
    include!("generated/containerd.services.images.v1.rs");
}

impl From<&Login> for cri::AuthConfig {
    fn from(login: &Login) -> Self {
        Self { username: login.username.clone(), password: login.password.expose().to_owned() }
    }
}

/// Without the password.
impl fmt::Debug for cri::AuthConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthConfig").field("username", &self.username).finish_non_exhaustive()
    }
}
