//! The trace of the steps on stderr, for `ECR_CREDENTIAL_PROVIDER_LOG=debug`.
//!
//! Not the `tracing` crate: its events of the SDK hold requests and answers, and so tokens.

use crate::error::one_line;
use crate::host::{self, Stopwatch};
use crate::records::Record;
use crate::settings::LogLevel;

/// Writes one line for each step, with the time since the process started, and adds it to the record.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    level: LogLevel,
    stopwatch: Stopwatch,
    record: Record,
}

impl Log {
    pub(crate) fn new(level: LogLevel, stopwatch: Stopwatch, record: Record) -> Self {
        Self { level, stopwatch, record }
    }

    /// The message is built only if it is wanted.
    pub(crate) fn debug(&self, message: impl FnOnce() -> String) {
        if self.level == LogLevel::Debug {
            let seconds = self.stopwatch.elapsed().as_secs_f64();
            let step = format!("{seconds:.3}s {}", one_line(&message()));
            host::write_stderr(&format!("debug {step}"));
            self.record.note(|draft| draft.trace.push((host::now(), step)));
        }
    }
}
