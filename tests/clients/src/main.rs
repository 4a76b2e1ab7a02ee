//! Runs our binary as the credential helper of real clients. Started by `tests/clients/run`, in namespaces of its own.

#![expect(clippy::print_stdout, reason = "the report of the test")]

mod cases;
mod compare;
mod page;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::cases::CASES;
use crate::world::{Places, World};

fn main() -> ExitCode {
    match run_cases() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("FAIL the clients test: {error:#}");
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
    let mut world = World::new(places()?)?;
    let mut all_pass = true;
    for (name, case) in wanted {
        let started = Instant::now();
        let outcome = world.clean_up().and_then(|()| case(&mut world));
        let seconds = started.elapsed().as_secs_f32();
        match outcome {
            Ok(None) => println!("PASS {name} ({seconds:.1} s)"),
            Ok(Some(reason)) => println!("SKIPPED {name}: {reason}"),
            Err(error) => {
                all_pass = false;
                println!("FAIL {name} ({seconds:.1} s): {error:#}");
            }
        }
    }
    Ok(all_pass)
}

#[expect(clippy::disallowed_methods, reason = "tests/clients/run says by environment where things are")]
fn places() -> Result<Places> {
    let path =
        |name: &str| std::env::var(name).map(PathBuf::from).with_context(|| format!("{name} is not set"));
    Ok(Places {
        work: path("CLIENTS_TEST_WORK")?,
        tools: path("CLIENTS_TEST_TOOLS")?,
        repository: path("CLIENTS_TEST_REPOSITORY")?,
    })
}
