//! Runs our binary as the credential helper of real clients. Started by `tests/clients/run`, in namespaces of its own.

mod cases;
mod compare;
mod page;
mod world;

use std::process::ExitCode;

use crate::cases::cases;

fn main() -> ExitCode {
    stand_in::cases::run(&cases())
}
