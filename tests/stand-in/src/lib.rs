//! The world around `ecr-credential-provider`, on loopback, for its tests and its demonstration.
//!
//! Nothing of this is in the shipped binary, and nothing of the shipped library is used here: what both
//! sides must agree on (signatures, the kubelet's protocol, its matching rules) is written a second time
//! from its specification, so that an error on one side shows.

#![expect(clippy::missing_panics_doc, reason = "a stand-in that cannot start ends the test")]
#![expect(clippy::expect_used, reason = "a stand-in that cannot start ends the test")]

pub mod anywhere;
pub mod aws;
pub mod cases;
pub mod cluster;
pub mod configurations;
pub mod cri;
pub mod distribution;
pub mod http;
pub mod images;
pub mod kubelet;
pub mod link;
pub mod pki;
pub mod process;
pub mod proxy;
pub mod registry;
mod server;
mod sigv4;
pub mod tls;
pub mod vendor;

pub use server::Reply;
