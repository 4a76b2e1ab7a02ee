//! What is written into the cache, as JSON.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::aws::Issued;
use crate::clock::{Age, Moment};
use crate::duration::GoDuration;
use crate::error::{Code, Error};
use crate::freshness::{Freshness, Stage};
use crate::registry::Registry;
use crate::token::AuthorizationToken;

/// For how long a failure is reported again without another try.
const FAILURE_LASTS: Duration = Duration::from_secs(5);

/// A token and all that is known of it. The three times are AWS's.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The host names that it is for, with `*` for any account.
    pub(crate) registries: String,
    pub(crate) region: String,
    /// Whom AWS issued it to.
    pub(crate) identity: String,
    pub(crate) token: AuthorizationToken,
    pub(crate) refresh_at: Timestamp,
    /// When AWS was asked, by this machine's clocks.
    asked_at: Moment,
}

impl Entry {
    /// A token that was just issued. `jitter`, from 0 to 1, is this node's share of the time in which tokens are
    /// replaced.
    pub(crate) fn new(registry: &Registry, issued: Issued, asked_at: Moment, jitter: f64) -> Self {
        let Issued { token, identity } = issued;
        let due_after = Freshness::new(token.life(), jitter).due_after();
        let due_after = SignedDuration::try_from(due_after).unwrap_or_default();
        Self {
            registries: registry.all_accounts(),
            region: registry.region().to_owned(),
            identity,
            refresh_at: token.issued_at.saturating_add(due_after).unwrap_or(token.expires_at),
            token,
            asked_at,
        }
    }

    /// An age that rests on the wall clock alone is also held against AWS's own word.
    pub(crate) fn stage(&self, now: &Moment) -> Stage {
        match now.age_of(&self.asked_at) {
            Age::Assumed(_) if now.wall >= self.token.expires_at => Stage::Expired,
            age => self.freshness().stage(age),
        }
    }

    /// For how long the kubelet may keep it if AWS has just issued it.
    pub(crate) fn first_keep(&self) -> GoDuration {
        match self.freshness().stage(Age::Counted(Duration::ZERO)) {
            Stage::Fresh(keep) | Stage::Due(keep) | Stage::Doubtful(keep) => keep,
            Stage::Expired => GoDuration::ZERO,
        }
    }

    fn freshness(&self) -> Freshness {
        let due_after = self.refresh_at.duration_since(self.token.issued_at);
        Freshness::known(self.token.life(), Duration::try_from(due_after).unwrap_or_default())
    }

    pub(super) fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let Self { registries, region, identity, token, refresh_at, asked_at } = self;
        serde_json::to_vec(&WireEntry {
            registries: registries.clone(),
            region: region.clone(),
            identity: identity.clone(),
            username: token.username.clone(),
            password: token.password.expose().to_owned(),
            issued_at: token.issued_at,
            refresh_at: *refresh_at,
            expires_at: token.expires_at,
            asked_at: asked_at.clone(),
        })
    }

    /// The error says no more than the kind of mistake: the text may hold the password.
    pub(super) fn from_json(bytes: &[u8]) -> Result<Self, &'static str> {
        let wire: WireEntry =
            serde_json::from_slice(bytes).map_err(|_| "it is not an entry of this version")?;
        let token = AuthorizationToken::new(&wire.username, &wire.password, wire.expires_at, wire.issued_at);
        Ok(Self {
            registries: wire.registries,
            region: wire.region,
            identity: wire.identity,
            token: token.map_err(|_| "it holds no valid token")?,
            refresh_at: wire.refresh_at,
            asked_at: wire.asked_at,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEntry {
    registries: String,
    region: String,
    identity: String,
    username: String,
    password: String,
    issued_at: Timestamp,
    refresh_at: Timestamp,
    expires_at: Timestamp,
    asked_at: Moment,
}

/// A failure that other calls need not run into again at once.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Failure {
    code: u16,
    cause: String,
    remedy: Option<String>,
    /// Whether a token was at hand, so that not much was spent on another.
    was_hasty: bool,
    at: Moment,
}

impl Failure {
    pub(super) fn new(error: &Error, was_hasty: bool, at: Moment) -> Self {
        let remedy = error.special_remedy().map(str::to_owned);
        Self { code: error.code().number(), cause: error.cause().to_owned(), remedy, was_hasty, at }
    }

    /// The error as it is to be reported now; none if it is time for another try. What a hasty try met says
    /// nothing to those who have no token at hand: they have more time.
    pub(super) fn as_of(&self, now: &Moment, is_token_at_hand: bool) -> Option<Error> {
        if self.was_hasty && !is_token_at_hand {
            return None;
        }
        let Age::Counted(age) = now.age_of(&self.at) else { return None };
        let code = Code::of_number(self.code).filter(|_| age < FAILURE_LASTS)?;
        let error = Error::new(code, &self.cause).while_doing(format!(
            "found {:.1} s ago, next try after {} s",
            age.as_secs_f32(),
            FAILURE_LASTS.as_secs()
        ));
        Some(match &self.remedy {
            Some(remedy) => error.with_remedy(remedy),
            None => error,
        })
    }
}
