//! What a run leaves behind, because the kubelet throws away what a plugin says when it succeeds.
//!
//! | module | owns |
//! |---|---|
//! | `run` | what is known of a run that is over |
//! | `log` | a line for the administrator, in a file or in the journal |
//! | `metrics` | counters and times for Prometheus |
//! | `last` | the last news of each registry, for whoever looks for a cause later |
//! | `file` | opening files where others may write too |
//!
//! All of it happens once the answer is written and the last word is said. So it cannot fail a call, and as the
//! kubelet waits for the end of the process, it takes a limited time. Nothing that is noted is secret.

mod file;
pub(crate) mod last;
mod log;
mod metrics;
mod run;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use jiff::Timestamp;

pub(crate) use self::run::Outcome;
use self::run::Run;
use crate::error::Error;
use crate::host::{self, Stopwatch};
use crate::registry::Registry;
use crate::settings::{LogLevel, LogTarget, Settings};

/// How long the end of the process may wait for a disk that is busy with images.
const LONGEST: Duration = Duration::from_secs(1);

/// Where to leave something.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    log: Option<LogTarget>,
    metrics: Option<PathBuf>,
    is_talkative: bool,
}

impl Targets {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            log: settings.log_target.clone(),
            metrics: settings.metrics_file.clone(),
            is_talkative: settings.log == LogLevel::Debug,
        }
    }
}

/// What becomes known in the course of a run.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// Whether this is a run that answers a request.
    pub(crate) is_wanted: bool,
    pub(crate) targets: Targets,
    /// The directory of the cache, if there is to be one.
    pub(crate) cache: Option<PathBuf>,
    pub(crate) image: Option<String>,
    pub(crate) rule: Option<String>,
    pub(crate) registry: Option<Registry>,
    pub(crate) identity: Option<String>,
    pub(crate) outcome: Outcome,
    /// Why there is no password, or what one from the cache made up for.
    pub(crate) error: Option<Error>,
    /// Whether other processes have said it already: the cache knew the answer.
    pub(crate) is_old_news: bool,
    pub(crate) expires_at: Option<Timestamp>,
    /// The time since the process started at which AWS was asked, and that at which it had answered.
    pub(crate) asks_aws_since: Option<Duration>,
    pub(crate) has_aws_until: Option<Duration>,
    /// The steps, if they are traced.
    pub(crate) trace: Vec<(Timestamp, String)>,
}

/// Gathers what becomes known, and writes it at the end. All copies are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    draft: Arc<Mutex<Draft>>,
    stopwatch: Stopwatch,
}

impl Record {
    pub(crate) fn new(stopwatch: Stopwatch) -> Self {
        Self { draft: Arc::default(), stopwatch }
    }

    pub(crate) fn note(&self, change: impl FnOnce(&mut Draft)) {
        change(&mut self.draft());
    }

    /// Writes what is wanted about a run that ended in this way, each record in a thread of its own: one that is
    /// stuck does not hold up the others.
    pub(crate) fn write(&self, error: Option<&Error>) {
        let mut draft = std::mem::take(&mut *self.draft());
        if !draft.is_wanted {
            return;
        }
        // An empty answer is none that failed, even if its protocol has no other word for it.
        if let Some(error) = error.filter(|_| draft.outcome != Outcome::Empty) {
            (draft.outcome, draft.error) = (Outcome::Error, Some(error.clone()));
        }
        let Targets { log, metrics, is_talkative } = std::mem::take(&mut draft.targets);
        let cache = draft.cache.take().filter(|_| draft.registry.is_some() && !draft.is_old_news);
        let mut jobs: Vec<Job> = Vec::new();
        if let Some(target) = log {
            jobs.push(("log", Box::new(move |run| log::write(&target, run))));
        }
        if let Some(path) = metrics {
            jobs.push(("metrics file", Box::new(move |run| metrics::count(&path, run))));
        }
        if let Some(cache) = cache {
            jobs.push(("last result", Box::new(move |run| last::keep(&cache, run))));
        }
        if !jobs.is_empty() {
            let run = Arc::new(Run::new(draft, self.stopwatch.elapsed()));
            do_within(LONGEST, jobs, &run, is_talkative);
        }
    }

    fn draft(&self) -> MutexGuard<'_, Draft> {
        self.draft.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A record and how to write it.
type Job = (&'static str, Box<dyn FnOnce(&Run) -> Result<(), String> + Send>);

fn do_within(limit: Duration, jobs: Vec<Job>, run: &Arc<Run>, is_talkative: bool) {
    let (sender, receiver) = mpsc::channel::<()>();
    for (name, write) in jobs {
        let (run, sender) = (run.clone(), sender.clone());
        // One that cannot be started is one that is not written.
        let _ = std::thread::Builder::new().spawn(move || {
            if let (Err(reason), true) = (write(&run), is_talkative) {
                // The last words have no line break at their end.
                let line_break = if run.has_last_words() { "\n" } else { "" };
                host::write_stderr(&format!("{line_break}debug the {name} is not written: {reason}"));
            }
            drop(sender);
        });
    }
    drop(sender);
    // Nothing is sent: it ends when the last of them is gone.
    let _ = receiver.recv_timeout(limit);
}
