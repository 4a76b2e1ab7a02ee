//! The kubelet image credential provider for Amazon ECR.
//!
//! This library exists for the binary `ecr-credential-provider` and its tests; it makes no promise of a
//! stable interface. Users start at `README.md`.
//!
//! ```text
//! stdin ─▶ protocol ─▶ image ─▶ registry ─▶ provider ─▶ tokens ─▶ protocol ─▶ stdout
//!                                                         │
//!                                              cache ◀────┴────▶ aws
//! ```
//!
//! Dependencies point down only:
//!
//! | layer | modules | may use |
//! |---|---|---|
//! | edge | `host`, `watchdog`, `ownership`, [`role`], `kubelet`, `cli`, `cache_command`, `doctor` | the process |
//! | edge, reading only | [`node`] | the files of the kubelet, by way of `host` |
//! | orchestration | `context`, `aws_files`, `provider`, `tokens`, `cache`, `aws` | files in the directory of `cache`; the network, through the AWS SDK, and the `credential_process` in `aws` |
//! | core | [`protocol`], [`image`], [`pattern`], [`registry`], [`partition`], [`token`], [`freshness`], [`clock`], [`duration`], [`settings`], [`secret`], [`error`] | their arguments |

mod aws;
mod aws_files;
mod cache;
mod cache_command;
mod cli;
pub mod clock;
mod context;
mod dmi;
mod doctor;
pub mod duration;
pub mod error;
pub mod freshness;
mod host;
pub mod image;
mod kubelet;
mod log;
pub mod node;
mod ownership;
pub mod partition;
pub mod pattern;
pub mod protocol;
mod provider;
pub mod registry;
pub mod role;
pub mod secret;
pub mod settings;
pub mod token;
mod tokens;
mod watchdog;

use std::process::ExitCode;

use error::{Code, Error};
pub use host::Host;
use role::Role;

/// Runs the role that the arguments ask for. On failure one line goes to stderr and nothing to stdout.
pub fn run(host: &Host) -> ExitCode {
    report_panics_in_one_line();
    let outcome = match Role::of(host.arguments()) {
        Role::Kubelet if host::stdin_is_terminal() => cli::explain(),
        Role::Kubelet => kubelet::answer_request(host),
        Role::Human => cli::run(host),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            host::write_last_words(&error.to_string());
            error.exit_code()
        }
    }
}

/// A panic is our defect, but whoever reads the kubelet's journal still deserves a code and one line. The
/// message of the panic is left out: it may quote what must not be seen.
fn report_panics_in_one_line() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        host::write_last_words(&Error::new(Code::Internal, format!("panic at {place}")).to_string());
        host::exit_with_failure();
    }));
}
