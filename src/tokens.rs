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

/// How long to wait for the cache to take a token.
const LONGEST_STORE: Duration = Duration::from_secs(1);

/// A token, and for how long the kubelet may keep it.
#[derive(Debug)]
pub(crate) struct Supply {
    pub(crate) token: AuthorizationToken,
    pub(crate) keep: GoDuration,
    /// Whom AWS issued it to.
    pub(crate) identity: String,
    pub(crate) source: Source,
}

/// Where a token comes from.
#[derive(Debug)]
pub(crate) enum Source {
    Aws,
    Cache {
        /// Why there is no newer one, if it should be replaced and AWS was asked.
        despite: Option<Error>,
    },
}

/// Gets a token for `registry`.
///
/// A fresh one from the cache is the end of it. Otherwise one process asks AWS, and the others serve what they
/// have meanwhile, or wait for its result: a token, or a failure, which they report as theirs. Who waits for
/// too long, or in vain, asks alone.
pub(crate) fn supply(registry: &Registry, context: &Context<'_>) -> Result<Supply, Error> {
    let Some(slot) = Slot::of(registry, context) else { return ask_aws(registry, None, false, context) };
    let mut has_waited = false;
    loop {
        let at_hand = match look(&slot, context) {
            Seen::Enough(outcome) => return outcome,
            Seen::NotEnough(at_hand) => at_hand,
        };
        match slot.try_lock() {
            Lock::Ours(lock) => {
                // Who had it a moment ago may have left what we need.
                let at_hand = match look(&slot, context) {
                    Seen::Enough(outcome) => return outcome,
                    Seen::NotEnough(at_hand) => at_hand,
                };
                // If not, it could not share, nor can we: those behind us need not stand in line.
                let _held = (!has_waited).then_some(lock);
                return ask_aws(registry, Some(&slot), at_hand.is_some(), context);
            }
            Lock::Theirs => match at_hand {
                Some(AtHand { supply, standing: Standing::Due }) => {
                    context.log.debug(|| "another process asks for a new token".into());
                    context.record.note(|draft| draft.is_old_news = true);
                    return Ok(supply);
                }
                at_hand if is_time_to_go_alone(context) => {
                    context.log.debug(|| format!("waited for `{}` for too long", slot.lock_path()));
                    return ask_aws(registry, Some(&slot), at_hand.is_some(), context);
                }
                _ => {
                    has_waited = true;
                    context.watchdog.enter(format!(
                        "waiting for another process to get this password (it holds `{}`)",
                        slot.lock_path()
                    ));
                    std::thread::sleep(PAUSE);
                }
            },
            Lock::Unavailable => return ask_aws(registry, Some(&slot), at_hand.is_some(), context),
        }
    }
}

/// What is in the cache.
enum Seen {
    /// A fresh token, or a failure that is too young for another try.
    Enough(Result<Supply, Error>),
    /// AWS should be asked; meanwhile, or if that fails, there may be this.
    NotEnough(Option<AtHand>),
}

/// A token in the cache that serves now.
struct AtHand {
    supply: Supply,
    standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Fresh,
    /// It should be replaced.
    Due,
    /// It is from before the last boot, so only the wall clock says that it serves.
    Doubtful,
}

fn look(slot: &Slot, context: &Context<'_>) -> Seen {
    let at_hand = at_hand(slot);
    if let Some(AtHand { standing, .. }) = &at_hand {
        context.log.debug(|| format!("cached token: {standing:?}"));
    }
    match at_hand {
        Some(AtHand { supply, standing: Standing::Fresh }) => {
            context.record.note(|draft| draft.is_old_news = true);
            Seen::Enough(Ok(supply))
        }
        at_hand => match slot.failure(at_hand.is_some(), &host::moment()) {
            Some(failure) => {
                context.log.debug(|| format!("AWS is not asked: {failure}"));
                context.record.note(|draft| draft.is_old_news = true);
                Seen::Enough(served_despite(failure, at_hand))
            }
            None => Seen::NotEnough(at_hand),
        },
    }
}

fn at_hand(slot: &Slot) -> Option<AtHand> {
    let entry = slot.token()?;
    let (keep, standing) = match entry.stage(&host::moment()) {
        Stage::Fresh(keep) => (keep, Standing::Fresh),
        Stage::Due(keep) => (keep, Standing::Due),
        Stage::Doubtful(keep) => (keep, Standing::Doubtful),
        Stage::Expired => return None,
    };
    let source = Source::Cache { despite: None };
    let supply = Supply { token: entry.token, keep, identity: entry.identity, source };
    Some(AtHand { supply, standing })
}

/// A failure matters only to those who have nothing at hand.
fn served_despite(failure: Error, at_hand: Option<AtHand>) -> Result<Supply, Error> {
    match at_hand {
        Some(AtHand { supply, .. }) => {
            Ok(Supply { source: Source::Cache { despite: Some(failure) }, ..supply })
        }
        None => Err(failure),
    }
}

/// The rest of the deadline must do for one call to an AWS that is well. Who holds the lock and meets one that
/// is not has failed by now, and said so to all.
fn is_time_to_go_alone(context: &Context<'_>) -> bool {
    context.deadline.remaining() < context.deadline.limit() / 10
}

/// Asks AWS: in haste, if there is a token at hand in case that it fails.
fn ask_aws(
    registry: &Registry,
    slot: Option<&Slot>,
    in_haste: bool,
    context: &Context<'_>,
) -> Result<Supply, Error> {
    let budget = if in_haste { Budget::short(context) } else { Budget::whole(context) };
    let asked_at = host::moment();
    match aws::issue_token(registry, budget, context) {
        Ok(issued) => {
            let entry = Entry::new(registry, issued, asked_at, fastrand::f64());
            let supply = Supply {
                token: entry.token.clone(),
                keep: entry.first_keep(),
                identity: entry.identity.clone(),
                source: Source::Aws,
            };
            if let Some(slot) = slot {
                store(slot, entry, context);
            }
            Ok(supply)
        }
        Err(error) => {
            let Some(slot) = slot else { return Err(error) };
            slot.remember(&error, in_haste);
            // Looked at again: it may have expired while AWS did not answer.
            let at_hand = if in_haste { at_hand(slot) } else { None };
            context.log.debug(|| format!("failed, a cached token serves: {}: {error}", at_hand.is_some()));
            served_despite(error, at_hand)
        }
    }
}

/// Stores a token, for a limited time: the answer does not wait for a disk that is busy with images.
fn store(slot: &Slot, entry: Entry, context: &Context<'_>) {
    context.watchdog.enter("writing the token to the cache");
    let (sender, receiver) = std::sync::mpsc::channel();
    let storing = slot.clone();
    let thread = std::thread::Builder::new().spawn(move || {
        storing.store(&entry);
        let _ = sender.send(());
    });
    let limit = LONGEST_STORE.min(context.deadline.remaining() / 2);
    if thread.is_err() || receiver.recv_timeout(limit).is_err() {
        context.log.debug(|| "the cache does not take the token in time".into());
    }
}
