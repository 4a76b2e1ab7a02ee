//! Passwords for the images of one run, by the way of a call of the kubelet: the same settings, identity and cache.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::plan::Access;
use crate::context::Context;
use crate::cri::Login;
use crate::error::Error;
use crate::provider;
use crate::registry::Registry;
use crate::tokens;

/// What was supplied, for all who need the same. One asks at a time: the cache may be off, and what is behind the
/// settings of an identity (a process, say) is started once at a time.
#[derive(Debug, Default)]
pub(super) struct Passwords {
    held: Mutex<Vec<Held>>,
}

#[derive(Debug)]
struct Held {
    registry: Registry,
    rule: Option<String>,
    /// When it came, from the start of the process.
    at: Duration,
    /// How long it may be used, as the kubelet would be told.
    keep: Duration,
    outcome: Result<Option<Login>, Error>,
}

impl Passwords {
    /// A password, or none where ECR Public goes without.
    pub(super) fn login(&self, access: &Access, context: &Context<'_>) -> Result<Option<Login>, Error> {
        let asked_at = context.host.stopwatch().elapsed();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |held: &Held| held.registry == access.registry && held.rule == access.rule;
        if let Some(index) = held.iter().position(is_same) {
            if held[index].serves(asked_at) {
                return held[index].outcome.clone();
            }
            held.swap_remove(index);
        }
        let (outcome, keep) = ask(access, context);
        let at = context.host.stopwatch().elapsed();
        let (registry, rule) = (access.registry.clone(), access.rule.clone());
        held.push(Held { registry, rule, at, keep, outcome: outcome.clone() });
        outcome
    }
}

impl Held {
    /// A failure is shared by those who waited for it; who comes later asks again.
    fn serves(&self, asked_at: Duration) -> bool {
        match self.outcome {
            Ok(_) => asked_at < self.at.saturating_add(self.keep),
            Err(_) => asked_at <= self.at,
        }
    }
}

fn ask(access: &Access, context: &Context<'_>) -> (Result<Option<Login>, Error>, Duration) {
    let supply = context
        .for_one_password(access.settings.clone())
        .and_then(|context| tokens::supply(&access.registry, &context));
    match supply {
        Ok(supply) => {
            let (username, password) = (supply.token.username, supply.token.password);
            let login = Login { username, password, identity: supply.identity };
            (Ok(Some(login)), supply.keep.as_std())
        }
        Err(error) if provider::may_go_without(&access.registry, &error) => {
            (Ok(None), provider::PUBLIC_WITHOUT_PASSWORD.as_std())
        }
        Err(error) => (Err(error), Duration::ZERO),
    }
}
