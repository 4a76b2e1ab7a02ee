//! Where a token comes from: the cache of this node or, once for all who need it at the same time, AWS.

use std::time::Duration;

use crate::aws::{self, Budget};
use crate::cache::{Entry, Lock, Slot};
use crate::context::Context;
use crate::duration::GoDuration;
use crate::error::Error;
use crate::freshness::Stage;
use crate::host;
use crate::registry::Registry;
use crate::token::AuthorizationToken;

/// How often those who wait for another process look again.
const PAUSE: Duration = Duration::from_millis(10);

/// A token, and for how long the kubelet may keep it.
#[derive(Debug)]
pub(crate) struct Supply {
    pub(crate) token: AuthorizationToken,
    pub(crate) keep: GoDuration,
}

/// Gets a token for `registry`.
///
/// A fresh one from the cache is the end of it. Otherwise one process asks AWS, and the others serve what they
/// have meanwhile, or wait for its result: a token, or a failure, which they report as theirs. Who waits for
/// too long asks alone.
pub(crate) fn supply(registry: &Registry, context: &Context<'_>) -> Result<Supply, Error> {
    let Some(slot) = Slot::of(registry, context) else { return ask_aws(registry, None, None, context) };
    loop {
        let spare = match look(&slot, context) {
            Seen::Enough(outcome) => return outcome,
            Seen::NotEnough(spare) => spare,
        };
        match slot.try_lock() {
            Lock::Ours(_lock) => {
                // Who had it a moment ago may have left what we need.
                return match look(&slot, context) {
                    Seen::Enough(outcome) => outcome,
                    Seen::NotEnough(spare) => ask_aws(registry, Some(&slot), spare, context),
                };
            }
            Lock::Theirs => match spare {
                Some(Spare { supply, is_doubtful: false }) => {
                    context.log.debug(|| "another process asks for a new token".into());
                    return Ok(supply);
                }
                spare if is_time_to_go_alone(context) => {
                    context.log.debug(|| format!("waited for `{}` for too long", slot.lock_path()));
                    return ask_aws(registry, Some(&slot), spare, context);
                }
                _ => {
                    context.watchdog.enter(format!(
                        "waiting for another process to get this password (it holds `{}`)",
                        slot.lock_path()
                    ));
                    std::thread::sleep(PAUSE);
                }
            },
            Lock::Unavailable => return ask_aws(registry, Some(&slot), spare, context),
        }
    }
}

/// What is in the cache.
enum Seen {
    /// A fresh token, or a failure that is too young for another try.
    Enough(Result<Supply, Error>),
    /// AWS should be asked; meanwhile, or if that fails, there may be this.
    NotEnough(Option<Spare>),
}

/// A token that serves, but should be replaced.
struct Spare {
    supply: Supply,
    /// It is from before the last boot, so only the wall clock says that it serves.
    is_doubtful: bool,
}

fn look(slot: &Slot, context: &Context<'_>) -> Seen {
    let now = host::moment();
    let cached = slot.token().map(|entry| (entry.stage(&now), entry));
    let spare = match cached {
        Some((Stage::Fresh(keep), entry)) => {
            context.log.debug(|| format!("the cached token is fresh until {:.0}", entry.refresh_at));
            return Seen::Enough(Ok(Supply { token: entry.token, keep }));
        }
        Some((Stage::Due(keep), entry)) => {
            context.log.debug(|| "the cached token is due to be replaced".into());
            Some(Spare { supply: Supply { token: entry.token, keep }, is_doubtful: false })
        }
        Some((Stage::Doubtful(keep), entry)) => {
            context.log.debug(|| "the cached token is from before the last boot".into());
            Some(Spare { supply: Supply { token: entry.token, keep }, is_doubtful: true })
        }
        Some((Stage::Expired, _)) => {
            context.log.debug(|| "the cached token has expired".into());
            None
        }
        None => None,
    };
    match slot.failure(&now) {
        Some(failure) => Seen::Enough(spare_or(spare, failure, context)),
        None => Seen::NotEnough(spare),
    }
}

/// The rest of the deadline must do for one call to an AWS that is well. Who holds the lock and meets one that
/// is not has failed by now, and said so to all.
fn is_time_to_go_alone(context: &Context<'_>) -> bool {
    context.deadline.remaining() < context.deadline.limit() / 10
}

fn ask_aws(
    registry: &Registry,
    slot: Option<&Slot>,
    spare: Option<Spare>,
    context: &Context<'_>,
) -> Result<Supply, Error> {
    let budget = if spare.is_some() { Budget::short(context) } else { Budget::whole(context) };
    let asked_at = host::moment();
    match aws::issue_token(registry, budget, context) {
        Ok(issued) => {
            let entry = Entry::new(registry, issued, asked_at, fastrand::f64());
            if let Some(slot) = slot {
                slot.store(&entry);
            }
            let keep = match entry.first_stage() {
                Stage::Fresh(keep) | Stage::Due(keep) | Stage::Doubtful(keep) => keep,
                Stage::Expired => GoDuration::ZERO,
            };
            Ok(Supply { token: entry.token, keep })
        }
        Err(error) => {
            if let Some(slot) = slot {
                slot.remember(&error);
            }
            spare_or(spare, error, context)
        }
    }
}

/// A token that serves is better than a failure to replace it.
fn spare_or(spare: Option<Spare>, failure: Error, context: &Context<'_>) -> Result<Supply, Error> {
    match spare {
        Some(Spare { supply, .. }) => {
            context
                .log
                .debug(|| format!("the cached token still serves; it could not be replaced: {failure}"));
            Ok(supply)
        }
        None => Err(failure),
    }
}
