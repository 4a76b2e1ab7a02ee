//! The trace of the steps on stderr, for `ECR_CREDENTIAL_PROVIDER_LOG=debug`.
//!
//! Not the `tracing` crate: its events of the SDK hold requests and answers, and so tokens.

use crate::error::one_line;
use crate::host::{self, Stopwatch};
use crate::settings::LogLevel;

/// Writes one line for each step, with the time since the process started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    level: LogLevel,
    stopwatch: Stopwatch,
}

impl Log {
    pub(crate) fn new(level: LogLevel, stopwatch: Stopwatch) -> Self {
        Self { level, stopwatch }
    }

    /// The message is built only if it is wanted.
    pub(crate) fn debug(self, message: impl FnOnce() -> String) {
        if self.level == LogLevel::Debug {
            let seconds = self.stopwatch.elapsed().as_secs_f64();
            host::write_stderr(&format!("debug {seconds:.3}s {}", one_line(&message())));
        }
    }
}
