//! The binary: everything is in the library.

use std::process::ExitCode;

use ecr_credential_provider::{Host, run};

fn main() -> ExitCode {
    run(&Host::of_this_process())
}
