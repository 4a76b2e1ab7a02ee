//! Runs the cases of a test that is a program of its own, and reports.

#![expect(clippy::print_stdout, reason = "the report of the test")]

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, ensure};

/// What happens in a world.
pub type Case<W> = fn(&mut W) -> Result<()>;

/// Where the cases happen, one after the other.
pub trait World: Sized {
    /// Makes it.
    fn start() -> Result<Self>;
    /// Leaves nothing of a case for the next one.
    fn clean_up(&mut self) -> Result<()>;
    /// What else is known when a case has failed.
    fn last_words(&self) -> String;
}

/// Runs the cases whose names hold one of the arguments of this process, or all.
pub fn run<W: World>(cases: &[(&str, Case<W>)]) -> ExitCode {
    match run_wanted(cases) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("FAIL the test: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True if all pass.
#[expect(clippy::disallowed_methods, reason = "the test is started with arguments, and its cases are timed")]
fn run_wanted<W: World>(cases: &[(&str, Case<W>)]) -> Result<bool> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let wanted: Vec<_> = cases.iter().filter(|(name, _)| is_wanted(name)).collect();
    ensure!(!wanted.is_empty(), "no case has a name with {words:?}");
    let mut world = W::start()?;
    let mut all_pass = true;
    for (name, case) in wanted {
        let started = Instant::now();
        let outcome = case(&mut world).and_then(|()| world.clean_up());
        let seconds = started.elapsed().as_secs_f32();
        match outcome {
            Ok(()) => println!("PASS {name} ({seconds:.1} s)"),
            Err(error) => {
                all_pass = false;
                println!("FAIL {name} ({seconds:.1} s): {error:#}\n{}", world.last_words());
                world.clean_up()?;
            }
        }
    }
    Ok(all_pass)
}
