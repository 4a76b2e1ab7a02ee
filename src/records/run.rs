//! A run that is over.

use std::time::Duration;

use jiff::Timestamp;

use super::Draft;
use crate::error::Error;
use crate::host;
use crate::registry::Registry;

/// What came of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// A password that AWS has just issued.
    Ok,
    /// A password of the cache.
    Cached,
    /// The answer that there is no password.
    Empty,
    /// No answer.
    #[default]
    Error,
}

impl Outcome {
    pub(super) const ALL: [Self; 4] = [Self::Ok, Self::Cached, Self::Empty, Self::Error];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Cached => "cached",
            Self::Empty => "empty",
            Self::Error => "error",
        }
    }
}

/// What is known of a run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) ended_at: Timestamp,
    pub(super) took: Duration,
    pub(super) process: u32,
    pub(super) image: Option<String>,
    pub(super) rule: Option<String>,
    pub(super) registry: Option<Registry>,
    pub(super) identity: Option<String>,
    pub(super) outcome: Outcome,
    pub(super) error: Option<Error>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) aws_took: Option<Duration>,
    pub(super) trace: Vec<(Timestamp, String)>,
}

impl Run {
    pub(super) fn new(draft: Draft, took: Duration) -> Self {
        let aws_took = draft.asks_aws_since.map(|since| {
            let until = draft.has_aws_until.unwrap_or(took);
            until.saturating_sub(since)
        });
        Self {
            ended_at: host::now(),
            took,
            process: host::process_id(),
            image: draft.image,
            rule: draft.rule.map(|rule| rule.trim_matches('`').to_owned()),
            registry: draft.registry,
            identity: draft.identity,
            outcome: draft.outcome,
            error: draft.error,
            expires_at: draft.expires_at,
            aws_took,
            trace: draft.trace,
        }
    }

    /// The code of the error, as in `ECRP301`.
    pub(super) fn code(&self) -> Option<String> {
        self.error.as_ref().map(|error| error.code().to_string())
    }

    /// Whether a line was written to stderr at the end.
    pub(super) fn has_last_words(&self) -> bool {
        matches!(self.outcome, Outcome::Empty | Outcome::Error)
    }

    /// What is to be said of it: names and values.
    pub(super) fn fields(&self) -> Vec<(&'static str, String)> {
        let fields = [
            ("result", Some(self.outcome.as_str().to_owned())),
            ("code", self.code()),
            ("image", self.image.clone()),
            ("registry", self.registry.as_ref().map(ToString::to_string)),
            ("rule", self.rule.clone()),
            ("identity", self.identity.clone()),
            ("duration", Some(format!("{:.3}s", self.took.as_secs_f64()))),
            ("error", self.error.as_ref().map(ToString::to_string)),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}
