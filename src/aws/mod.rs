//! The way to AWS: identity, network, the call to ECR, and what its failures mean.
//!
//! No other module names a crate of the AWS SDK. Each step below may wait for the network; the watchdog ends
//! what does not end by itself.
//!
//! | module | owns |
//! |---|---|
//! | `identity` | where credentials come from, and in which order |
//! | `profiles` | what the AWS configuration files say about that |
//! | `chain` | the roles of a profile, and what the first of them starts from |
//! | `process` | running a `credential_process` |
//! | `sts` | assuming a role |
//! | `token_error` | why STS does not take a token, and what to write where |
//! | `anywhere` | a session for a certificate |
//! | `x509_signature` | how a request is signed with one |
//! | `ecr` | the call for the token |
//! | `images` | the calls that list the images of a repository |
//! | `way` | the configuration of every client of the SDK |
//! | `http` | connections: which way, with TLS or without, the size of an answer |
//! | `proxy` | which proxy a request goes through |
//! | `trust` | the certificates that TLS trusts |
//! | `issuer` | who issued the certificate of a server that is not trusted |
//! | `budget` | how long all of it may take |
//! | `probe` | the same steps one by one, for `doctor` |
//! | `classify` | from an error of the SDK to one of ours, without secrets |

mod anywhere;
mod budget;
mod chain;
mod classify;
mod ecr;
mod http;
mod identity;
mod images;
mod issuer;
mod probe;
mod process;
mod profiles;
mod proxy;
mod sts;
mod token_error;
mod trust;
mod way;
mod x509_signature;

use aws_config::BehaviorVersion;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt;
use tokio::runtime::Runtime;

pub(crate) use self::budget::Budget;
pub(crate) use self::identity::Identity;
pub(crate) use self::probe::{Probe, Want};
use self::way::Way;
use crate::context::Context;
use crate::error::{Code, Error};
use crate::registry::Registry;
use crate::token::AuthorizationToken;

/// The defaults of the SDK that we were tested with; they change only with this constant.
const BEHAVIOR: fn() -> BehaviorVersion = BehaviorVersion::v2026_01_12;

/// A token, and the identity that AWS issued it to, in words for people.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) token: AuthorizationToken,
    pub(crate) identity: String,
}

/// Asks AWS for a token for `registry`. Blocks until there is an answer or the budget is spent.
pub(crate) fn issue_token(
    registry: &Registry,
    budget: Budget,
    context: &Context<'_>,
) -> Result<Issued, Error> {
    let runtime = runtime()?;
    let issue = async {
        let transport = http::Transport::new(context, profiles::ca_bundle(context).await);
        let way = Way { region: registry.region(), budget, transport: &transport, context };
        named_issuer(issue_by(&way, registry).await, &transport, context).await
    };
    let outcome = runtime.block_on(async {
        let Some(limit) = budget.gives_up_after else { return issue.await };
        tokio::time::timeout(limit, issue).await.unwrap_or_else(|_| {
            let cause = format!("{} s were over while {}", limit.as_secs_f32(), context.watchdog.step());
            Err(Error::new(Code::NoAnswer, cause))
        })
    });
    // Name resolution runs in a thread that cannot be cancelled; a plain drop would wait for it for up to
    // ten seconds after an attempt has given up on it.
    runtime.shutdown_background();
    outcome
}

async fn issue_by(way: &Way<'_>, registry: &Registry) -> Result<Issued, Error> {
    let identity = identity::resolve(way).await?;
    let Context { host, record, .. } = way.context;
    record.note(|draft| {
        draft.identity = Some(identity.name.clone());
        draft.asks_aws_since = Some(host.stopwatch().elapsed());
    });
    let token = ecr::ask(registry, identity.credentials, way).await;
    record.note(|draft| draft.has_aws_until = Some(host.stopwatch().elapsed()));
    Ok(Issued { token: token?, identity: identity.name })
}

fn runtime() -> Result<Runtime, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::new(Code::Internal, format!("cannot start the runtime: {error}")))
}

/// The body of an answer to a request that is not the SDK's.
async fn read_body(body: SdkBody) -> Result<Vec<u8>, Error> {
    let collected = body.collect().await;
    let collected =
        collected.map_err(|error| Error::new(Code::ConnectionBroken, classify::innermost(&*error)))?;
    Ok(collected.to_bytes().to_vec())
}

/// The outcome or, if nobody who is trusted vouches for a server, the error with who does.
async fn named_issuer<T>(
    outcome: Result<T, Error>,
    transport: &http::Transport,
    context: &Context<'_>,
) -> Result<T, Error> {
    match outcome {
        Err(error) if transport.last_exchange().is_issuer_unknown => {
            Err(issuer::named(error, transport, context.deadline.remaining() / 2).await)
        }
        outcome => outcome,
    }
}
