//! Runs our binary under a real kubelet. Started by `tests/node/run`, in namespaces that look like a node.

#![expect(clippy::print_stdout, reason = "the report of the test")]

mod agreement;
mod cases;
mod judge;
mod node;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::cases::CASES;
use crate::node::{Node, Places};

fn main() -> ExitCode {
    match run_cases() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("FAIL the node test: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the cases whose names hold one of the arguments, or all; true if all pass.
#[expect(clippy::disallowed_methods, reason = "the test is started with arguments, and its cases are timed")]
fn run_cases() -> Result<bool> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let wanted: Vec<_> = CASES.iter().filter(|(name, _)| is_wanted(name)).collect();
    ensure!(!wanted.is_empty(), "no case has a name with {words:?}");
    let mut node = Node::new(places()?)?;
    let mut all_pass = true;
    for (name, case) in wanted {
        let started = Instant::now();
        let outcome = case(&mut node).and_then(|()| node.clean_up());
        let seconds = started.elapsed().as_secs_f32();
        match outcome {
            Ok(()) => println!("PASS {name} ({seconds:.1} s)"),
            Err(error) => {
                all_pass = false;
                println!("FAIL {name} ({seconds:.1} s): {error:#}\n{}", node.last_of_journal());
                node.clean_up()?;
            }
        }
    }
    Ok(all_pass)
}

#[expect(clippy::disallowed_methods, reason = "tests/node/run says by environment where things are")]
fn places() -> Result<Places> {
    let variable = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
    let path = |name: &str| variable(name).map(PathBuf::from);
    Ok(Places {
        work: path("NODE_TEST_WORK")?,
        tools: path("NODE_TEST_TOOLS")?,
        repository: path("NODE_TEST_REPOSITORY")?,
        cgroup: variable("NODE_TEST_CGROUP")?,
    })
}
