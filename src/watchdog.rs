//! The end of the deadline.
//!
//! What takes too long here cannot be asked to stop: a file on a dead network mount, a name resolution in
//! libc, a caller that does not close stdin. So one thread waits for the deadline, says what was being done,
//! and ends the process. Whatever is finer (three attempts within the budget, say) is only finer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Code, Error};
use crate::host::{self, Deadline};

/// Knows what is being done, and ends the process if it is still being done at the deadline.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watchdog {
    step: Arc<Mutex<String>>,
    over: Arc<AtomicBool>,
}

impl Watchdog {
    /// Starts to watch. A machine that cannot start a thread is not watched, and not refused either.
    pub(crate) fn arm(deadline: Deadline) -> Self {
        let watchdog = Self::default();
        let watching = watchdog.clone();
        let _ = std::thread::Builder::new().spawn(move || {
            std::thread::sleep(deadline.remaining());
            if watching.ends_the_run() {
                let limit = deadline.limit().as_secs_f32();
                let cause = format!("{limit} s were over while {}", watching.step());
                host::write_last_words(&Error::new(Code::DeadlinePassed, cause).to_string());
                host::exit_with_failure();
            }
        });
        watchdog
    }

    /// Says what is done from now on: "waiting for …", "reading …".
    pub(crate) fn enter(&self, step: impl Into<String>) {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner) = step.into();
    }

    /// Claims the last word: true for the first who asks, the run itself or the watching thread.
    pub(crate) fn ends_the_run(&self) -> bool {
        !self.over.swap(true, Ordering::SeqCst)
    }

    /// What is being done.
    pub(crate) fn step(&self) -> String {
        self.step.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
