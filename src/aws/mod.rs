//! The way to AWS: identity, network, the call to ECR, and what its failures mean.
//!
//! No other module names a crate of the AWS SDK. Each step below may wait for the network; the watchdog ends
//! what does not end by itself.
//!
//! | module | owns |
//! |---|---|
//! | `identity` | where credentials come from, and in which order |
//! | `profiles` | the AWS configuration files |
//! | `ecr` | the configuration of the client, and the call |
//! | `http` | connections: which way, with TLS or without, the size of an answer |
//! | `proxy` | which proxy a request goes through |
//! | `trust` | the certificates that TLS trusts |
//! | `classify` | from an error of the SDK to one of ours, without secrets |

mod classify;
mod ecr;
mod http;
mod identity;
mod profiles;
mod proxy;
mod trust;

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;

use crate::context::Context;
use crate::error::{Code, Error};
use crate::registry::Registry;
use crate::token::AuthorizationToken;

/// The defaults of the SDK that we were tested with; they change only with this constant.
const BEHAVIOR: fn() -> BehaviorVersion = BehaviorVersion::v2026_01_12;

/// Asks AWS for a token for `registry`. Blocks until there is an answer, or until the watchdog ends it.
pub(crate) fn issue_token(registry: &Registry, context: &Context<'_>) -> Result<AuthorizationToken, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(Code::Internal, format!("cannot start the runtime: {error}")))?;
    let transport = http::Transport::new(context);
    let outcome = runtime.block_on(async {
        let credentials = identity::resolve(registry.region(), &transport, context).await?;
        ecr::ask(registry, credentials, &transport, context).await
    });
    // Name resolution runs in a thread that cannot be cancelled; a plain drop would wait for it for up to
    // ten seconds after an attempt has given up on it.
    runtime.shutdown_background();
    outcome
}

/// A quarter of the budget for each of three attempts, so that three always fit.
///
/// Set in code and not left to the environment: the SDK has no limit on waiting for an answer, and panics
/// on a malformed `AWS_MAX_ATTEMPTS`.
fn timeouts(budget: Duration) -> TimeoutConfig {
    let attempt = budget / 4;
    TimeoutConfig::builder()
        .connect_timeout(attempt.min(Duration::from_millis(3100)))
        .read_timeout(attempt)
        .operation_attempt_timeout(attempt)
        .build()
}

fn retries(budget: Duration) -> RetryConfig {
    RetryConfig::standard().with_max_attempts(3).with_initial_backoff(budget / 20)
}
