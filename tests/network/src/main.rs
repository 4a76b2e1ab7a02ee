//! Runs our binary in networks as they are around nodes. Started by `tests/network/run`.

#![expect(clippy::print_stdout, reason = "the report of the test")]

mod cases;
mod machine;
mod plugin;
mod proxies;

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::cases::CASES;

/// In seconds. No case has as much to wait for.
const LONGEST_CASE: &str = "60";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the test is started with arguments")]
fn run() -> Result<bool> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [option, name] if option == "--case" => {
            let (_, case) = CASES.iter().find(|(known, _)| known == name).context("no such case")?;
            case().map(|()| true)
        }
        words => run_cases(words),
    }
}

/// Runs the cases whose names hold one of the words, or all; true if all pass.
#[expect(clippy::disallowed_methods, reason = "cases are timed")]
fn run_cases(words: &[String]) -> Result<bool> {
    let is_wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let wanted: Vec<_> = CASES.iter().map(|(name, _)| *name).filter(|name| is_wanted(name)).collect();
    ensure!(!wanted.is_empty(), "no case has a name with {words:?}");
    let mut all_pass = true;
    for name in wanted {
        let started = Instant::now();
        let outcome = run_apart(name);
        let seconds = started.elapsed().as_secs_f32();
        match outcome {
            Ok(()) => println!("PASS {name} ({seconds:.1} s)"),
            Err(error) => {
                all_pass = false;
                println!("FAIL {name} ({seconds:.1} s): {error:#}");
            }
        }
    }
    Ok(all_pass)
}

/// Runs a case in namespaces of its own, so that whatever it starts and changes is gone after it.
#[expect(clippy::disallowed_methods, reason = "tests/network/run says by environment where things are")]
fn run_apart(name: &str) -> Result<()> {
    let inside = std::env::var("NETWORK_TEST_INSIDE").context("NETWORK_TEST_INSIDE is not set")?;
    let output = Command::new("timeout")
        .args(["--signal=KILL", LONGEST_CASE])
        .args(["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"])
        .arg(inside)
        .arg(std::env::current_exe()?)
        .args(["--case", name])
        .output()
        .context("running unshare")?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        bail!("{}: {}", output.status, String::from_utf8_lossy(&said).trim());
    }
    Ok(())
}
