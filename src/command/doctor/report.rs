//! What `doctor` prints: a line for each step, as soon as it is done.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use crate::error::{Code, Error};
use crate::host::{self, Stopwatch};

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// A line for each step
    Text,
    /// One JSON object at the end
    Json,
}

/// The steps so far.
#[derive(Debug)]
pub(super) struct Report {
    output: Output,
    marks: Marks,
    stopwatch: Stopwatch,
    last: Duration,
    steps: Vec<Step>,
    first_failure: Option<Error>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    #[serde(rename = "step")]
    name: &'static str,
    verdict: Verdict,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
    milliseconds: u128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Verdict {
    /// As it should be.
    Good,
    /// Worth knowing; no pull fails of it.
    Note,
    /// A pull fails of it.
    Bad,
    /// It cannot run without a step that failed.
    Skipped,
}

/// How the verdicts look.
#[derive(Debug)]
struct Marks([&'static str; 4]);

impl Marks {
    fn of(verdict: Verdict, marks: &Self) -> &'static str {
        marks.0[verdict as usize]
    }
}

impl Report {
    /// On a terminal the verdicts are coloured signs, elsewhere words.
    pub(super) fn new(output: Output, stopwatch: Stopwatch) -> Self {
        let marks = if host::stdout_is_terminal() {
            Marks(["\u{1b}[32m✓\u{1b}[0m", "\u{1b}[33m!\u{1b}[0m", "\u{1b}[31m✗\u{1b}[0m", "-"])
        } else {
            Marks(["ok  ", "note", "FAIL", "skip"])
        };
        let last = stopwatch.elapsed();
        Self { output, marks, stopwatch, last, steps: Vec::new(), first_failure: None }
    }

    pub(super) fn good(&mut self, step: &'static str, text: impl Into<String>) {
        self.add(step, Verdict::Good, text.into(), None, None);
    }

    pub(super) fn note(&mut self, step: &'static str, text: impl Into<String>) {
        self.add(step, Verdict::Note, text.into(), None, None);
    }

    pub(super) fn skipped(&mut self, step: &'static str, because: impl Into<String>) {
        self.add(step, Verdict::Skipped, because.into(), None, None);
    }

    pub(super) fn bad(&mut self, step: &'static str, error: &Error) {
        let text = format!("{}: {}", error.code().title(), error.cause());
        self.add(step, Verdict::Bad, text, Some(error.code()), Some(error.remedy().to_owned()));
        self.first_failure.get_or_insert_with(|| error.clone());
    }

    /// The value of a step that went well; none, and a line, of one that failed.
    pub(super) fn check<T>(&mut self, step: &'static str, outcome: Result<T, Error>) -> Option<T> {
        outcome.inspect_err(|error| self.bad(step, error)).ok()
    }

    fn add(
        &mut self,
        name: &'static str,
        verdict: Verdict,
        text: String,
        code: Option<Code>,
        remedy: Option<String>,
    ) {
        let now = self.stopwatch.elapsed();
        let milliseconds = now.saturating_sub(self.last).as_millis();
        self.last = now;
        let step =
            Step { name, verdict, text, code: code.map(|code| code.to_string()), remedy, milliseconds };
        if self.output == Output::Text {
            // Who reads it has gone if it cannot be written; the steps go on.
            let _ = host::write_stdout(step.line(&self.marks).as_bytes());
        }
        self.steps.push(step);
    }

    /// The end: the JSON object, and the first failure for stderr and the exit status.
    pub(super) fn finish(self) -> Result<(), Error> {
        if self.output == Output::Json {
            let json = serde_json::json!({ "ok": self.first_failure.is_none(), "steps": self.steps });
            let text = format!("{json:#}\n");
            host::write_stdout(text.as_bytes())?;
        }
        self.first_failure.map_or(Ok(()), Err)
    }
}

impl Step {
    fn line(&self, marks: &Marks) -> String {
        let mark = Marks::of(self.verdict, marks);
        let mut line = format!("{mark} {:<9} {:>5} ms  ", self.name, self.milliseconds);
        if let Some(code) = &self.code {
            let _ = write!(line, "{code} ");
        }
        line.push_str(&self.text);
        if let Some(remedy) = &self.remedy {
            let _ = write!(line, "; {remedy}");
        }
        line.push('\n');
        line
    }
}
