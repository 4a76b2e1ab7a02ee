//! The last news of a registry: what came of the last call for it that asked AWS, or failed before.
//!
//! What other processes have found out already (a password or a failure that is in the cache) is no news, so a
//! call that the cache answers writes nothing.

use std::fmt;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::run::Run;
use crate::cache;
use crate::context::Context;
use crate::registry::Registry;

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LastResult {
    /// When, by this machine's clock.
    pub(crate) at: Timestamp,
    pub(crate) registry: String,
    pub(crate) image: Option<String>,
    pub(crate) identity: Option<String>,
    /// `ok`; `cached` if a password of the cache served as AWS was out of reach; `empty`; `error`.
    pub(crate) result: String,
    /// As in `ECRP301`; none if all was well.
    pub(crate) code: Option<String>,
    /// The whole line.
    pub(crate) error: Option<String>,
}

/// For people. A call that failed, or for which the cache had to stand in, has its error.
impl fmt::Display for LastResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {:.0}: {}", self.at, self.result)?;
        if let Some(identity) = &self.identity {
            write!(f, ", as {identity}")?;
        }
        match &self.error {
            Some(error) => write!(f, ", {error}"),
            None => Ok(()),
        }
    }
}

/// What came of the last call for `registry`; none if that is not known.
pub(crate) fn of(registry: &Registry, context: &Context<'_>) -> Option<LastResult> {
    let json = cache::last(&cache::place(context)?, registry).ok()??;
    serde_json::from_slice(&json).ok()
}

/// All registries of which something is known.
pub(crate) fn registries(context: &Context<'_>) -> Vec<Registry> {
    let all = cache::place(context).and_then(|path| cache::all_last(&path).ok()).unwrap_or_default();
    let results = all.iter().filter_map(|json| serde_json::from_slice::<LastResult>(json).ok());
    results.filter_map(|result| Registry::from_host(&result.registry).ok()).collect()
}

/// Keeps it in the cache at `path`.
pub(super) fn keep(path: &Path, run: &Run) -> Result<(), String> {
    let Some(registry) = &run.registry else { return Ok(()) };
    let result = LastResult {
        at: run.ended_at,
        registry: registry.to_string(),
        image: run.image.clone(),
        identity: run.identity.clone(),
        result: run.outcome.as_str().to_owned(),
        code: run.code(),
        error: run.error.as_ref().map(ToString::to_string),
    };
    let content = serde_json::to_vec(&result).map_err(|error| error.to_string())?;
    cache::keep_last(path, registry, &content).map_err(|error| error.to_string())
}
