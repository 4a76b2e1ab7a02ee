//! How the end of a run is told: each caller listens elsewhere.

use std::sync::mpsc;
use std::time::Duration;

use crate::docker::protocol;
use crate::error::{Code, Error};
use crate::host;

/// How long to try to write to a stdout that may be stuck.
const LONGEST: Duration = Duration::from_secs(1);

/// Whom to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    /// The kubelet, or a person: stderr.
    Plain,
    /// A client of the credential helper: it takes what stands on stdout for the reason. Many clients go on
    /// without a password and do not show it, so their user gets it on stderr too.
    Docker,
}

impl Voice {
    /// Says why the run fails.
    pub(crate) fn say(self, error: &Error) {
        match self {
            Self::Plain => host::write_last_words(&error.to_string()),
            Self::Docker => {
                // Such clients ask about every registry that there is. That is no news for their user.
                match error.code() {
                    Code::NoCredentials => {}
                    Code::HelperForKubelet => host::write_last_words(&error.to_string()),
                    _ => host::write_stderr(&error.to_string()),
                }
                write_within(LONGEST, format!("{}\n", protocol::words_for(error)));
            }
        }
    }
}

/// Nobody may read stdout any more, or another thread may have it.
fn write_within(limit: Duration, text: String) {
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::Builder::new().spawn(move || {
        // If it cannot be written, it cannot be said either.
        let _ = sender.send(host::write_stdout(text.as_bytes()));
    });
    if thread.is_ok() {
        let _ = receiver.recv_timeout(limit);
    }
}
