//! Runs our binary under a real kubelet. Started by `tests/node/run`, in namespaces that look like a node.

mod agreement;
mod cases;
mod installation;
mod judge;
mod node;
mod prepull;
mod protos;
mod service;

use std::process::ExitCode;

use crate::cases::CASES;

fn main() -> ExitCode {
    stand_in::cases::run(CASES)
}
