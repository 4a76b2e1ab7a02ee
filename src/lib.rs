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
//! | edge | `host`, `voice`, `watchdog`, `ownership`, [`role`], `kubelet`, `docker`, `command`, `prepull` | the process |
//! | edge, reading only | [`node`] | the files of the kubelet, and what it prints as its version, by way of `host` |
//! | edge, writing | [`install`] | the files of a node, its service manager |
//! | orchestration | `context`, `aws_files`, `key_pair`, `provider`, `tokens`, `cache`, `aws`, `records`, `cri` | files in the directory of `cache`, and those that the settings name for `records`; the network, through the AWS SDK, and the `credential_process` in `aws`; the socket of the container runtime in `cri` |
//! | core | [`protocol`], [`service_account`], [`arn`], [`image`], [`pattern`], [`registry`], [`partition`], [`token`], [`freshness`], [`clock`], [`duration`], [`settings`], [`x509`], [`generate`], [`secret`], [`error`], `latest`, `migrate`, `words` | their arguments; names of files from `node::layout` |

pub mod arn;
mod aws;
mod aws_files;
mod cache;
pub mod clock;
mod command;
mod context;
mod cri;
mod dmi;
mod docker;
pub mod duration;
pub mod error;
pub mod freshness;
pub mod generate;
mod host;
pub mod image;
pub mod install;
mod key_pair;
mod kubelet;
mod latest;
mod log;
mod login;
mod migrate;
pub mod node;
mod ownership;
pub mod partition;
pub mod pattern;
mod prepull;
pub mod protocol;
mod provider;
mod records;
pub mod registry;
pub mod role;
pub mod secret;
pub mod service_account;
pub mod settings;
pub mod token;
mod tokens;
mod voice;
mod watchdog;
mod words;
pub mod x509;

use std::process::ExitCode;

pub use command::definition;
use error::{Code, Error};
pub use host::Host;
use records::Record;
use role::Role;
use voice::Voice;

/// Runs the role that the arguments ask for. On failure one line goes to stderr and nothing to stdout; to both in
/// docker's role.
pub fn run(host: &Host) -> ExitCode {
    let role = host.role();
    let voice = role.voice();
    report_panics_in_one_line(voice);
    let record = Record::new(host.stopwatch());
    let outcome = match role {
        Role::Kubelet if host::stdin_is_terminal() => command::explain(),
        Role::Kubelet => kubelet::answer_request(host, &record),
        Role::Docker(call) => docker::answer(host, &record, &call),
        Role::Human => command::run(host, &record),
    };
    if let Err(error) = &outcome {
        voice.say(error);
    }
    record.write(outcome.as_ref().err());
    outcome.map_or_else(|error| error.exit_code(), |()| ExitCode::SUCCESS)
}

/// A panic is our defect, but whoever reads the kubelet's journal still deserves a code and one line. The
/// message of the panic is left out: it may quote what must not be seen.
fn report_panics_in_one_line(voice: Voice) {
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        voice.say(&Error::new(Code::Internal, format!("panic at {place}")));
        host::exit_with_failure();
    }));
}
