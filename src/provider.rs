//! From a registry to what the kubelet may know: a password, or nothing, and for how long.

use crate::cache;
use crate::context::Context;
use crate::duration::GoDuration;
use crate::error::{Code, Error, Kind};
use crate::image::ImageReference;
use crate::records::Outcome;
use crate::registry::{NotEcr, Registry};
use crate::secret::Secret;
use crate::settings::{Choice, Configuration, Settings};
use crate::token::AuthorizationToken;
use crate::tokens::{self, Source, Supply};

/// How long the kubelet may remember that ECR Public goes without a password on this node. Short enough
/// that a repaired permission takes effect soon, long enough that a burst of pulls asks once.
pub(crate) const PUBLIC_WITHOUT_PASSWORD: GoDuration = GoDuration::from_secs(300);

/// What an image or a server stands for: a registry, or a stranger.
#[derive(Debug)]
pub(crate) struct Target {
    /// The host name that was looked at.
    pub(crate) host: String,
    pub(crate) registry: Result<Registry, NotEcr>,
    /// What holds for it.
    pub(crate) settings: Settings,
}

/// Finds that out by what the settings say of it, and notes it.
pub(crate) fn look_up(
    image: &ImageReference,
    choice: Choice,
    configuration: &Configuration,
    context: &Context<'_>,
) -> Target {
    let Choice { rule, registry, settings, .. } = choice;
    if let Some(rule) = &rule {
        context.log.debug(|| format!("the settings file has {rule} for it"));
    }
    let host = registry.unwrap_or_else(|| image.host().to_owned());
    let registry = Registry::from_host_in(&host, &configuration.partitions());
    let cache = cache::place(context);
    context.record.note(|draft| {
        draft.image = Some(image.to_string());
        draft.rule = rule;
        draft.registry = registry.as_ref().ok().cloned();
        draft.cache = cache;
    });
    Target { host, registry, settings }
}

/// What to answer.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A password, and for how long to keep it.
    Password { username: String, password: Secret, cache_duration: GoDuration },
    /// No password; the reason goes to stderr.
    Nothing { because: Error, cache_duration: GoDuration },
}

impl Answer {
    /// Not for us. The kubelet must not remember that: it would be remembered for all images of the host.
    pub(crate) fn not_ecr(host: &str, reason: &NotEcr) -> Self {
        let because = Error::new(Code::NotEcr, format!("`{host}` gets no password: {reason}"));
        Self::Nothing { because, cache_duration: GoDuration::ZERO }
    }
}

/// Gets a password for `registry`.
///
/// ECR Public is best effort. It serves without a password, at a lower rate, and a node without AWS
/// identity, without the permission, or of another partition must still be able to pull from it.
pub(crate) fn answer(registry: &Registry, context: &Context<'_>) -> Result<Answer, Error> {
    match tokens::supply(registry, context) {
        Ok(Supply { token, keep, identity, source }) => {
            context.record.note(|draft| {
                draft.identity = Some(identity);
                draft.expires_at = Some(token.expires_at);
                (draft.outcome, draft.error) = match source {
                    Source::Aws => (Outcome::Ok, None),
                    Source::Cache { despite } => (Outcome::Cached, despite),
                };
            });
            context
                .log
                .debug(|| format!("password valid until {:.0}, kubelet keeps it {keep}", token.expires_at));
            let AuthorizationToken { username, password, .. } = token;
            Ok(Answer::Password { username, password, cache_duration: keep })
        }
        Err(error) if may_go_without(registry, &error) => {
            Ok(Answer::Nothing { because: error, cache_duration: PUBLIC_WITHOUT_PASSWORD })
        }
        Err(error) => Err(error),
    }
}

/// ECR Public is pulled from without a password after such a failure.
pub(crate) fn may_go_without(registry: &Registry, error: &Error) -> bool {
    matches!(registry, Registry::Public { .. })
        && (error.code() == Code::NoIdentity || error.code().kind() == Kind::Denied)
}
