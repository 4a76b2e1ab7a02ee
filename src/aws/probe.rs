//! The steps of [`super::issue_token`] one by one, for who wants to see where it fails.

use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt;
use jiff::SignedDuration;
use tokio::runtime::Runtime;

use super::classify::{Doing, connector_error, innermost};
use super::http::Transport;
use super::identity::{self, Identity};
use super::way::Way;
use super::{Budget, ecr, issuer, named_issuer, profiles, runtime};
use crate::context::Context;
use crate::error::{Code, Error};
use crate::host;
use crate::registry::Registry;
use crate::token::AuthorizationToken;

/// How long a look at a certificate may take.
const LOOK: Duration = Duration::from_secs(3);

/// A way to AWS that is gone step by step.
pub(crate) struct Probe<'a> {
    runtime: Runtime,
    transport: Transport,
    region: String,
    context: &'a Context<'a>,
}

/// What was seen of the last request.
pub(crate) struct Seen {
    /// `host[:port]`; empty if there was none.
    pub(crate) endpoint: String,
    proxy: Option<String>,
    /// Of the host, or of the proxy; none where no name was resolved.
    pub(crate) addresses: Vec<String>,
    /// How far the local clock is ahead of the answer's.
    pub(crate) skew: Option<SignedDuration>,
}

impl Seen {
    pub(crate) fn proxy_in_words(&self) -> String {
        self.proxy
            .as_ref()
            .map_or_else(|| "without a proxy".into(), |proxy| format!("through the proxy of {proxy}"))
    }
}

/// An answer of a registry.
pub(crate) struct Answer {
    what: String,
    status: u16,
    pub(crate) location: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The answer if it is a good one. `what` was asked for.
    pub(crate) fn expect(self, what: &str) -> Result<Self, Error> {
        match self.status {
            200..=299 => Ok(self),
            status => {
                Err(Error::new(Code::Pull, format!("{what}: {} answers with status {status}", self.what)))
            }
        }
    }
}

impl<'a> Probe<'a> {
    pub(crate) fn new(registry: &Registry, context: &'a Context<'a>) -> Result<Self, Error> {
        let runtime = runtime()?;
        let ca_bundle = runtime.block_on(profiles::ca_bundle(context));
        let transport = Transport::new(context, ca_bundle);
        Ok(Self { runtime, transport, region: registry.region().to_owned(), context })
    }

    /// Finds credentials.
    pub(crate) fn identity(&self) -> Result<Identity, Error> {
        self.runtime.block_on(async {
            let outcome = identity::resolve(&self.way_to_aws()).await;
            named_issuer(outcome, &self.transport, self.context).await
        })
    }

    /// Asks AWS for a token.
    pub(crate) fn ask(&self, registry: &Registry, identity: Identity) -> Result<AuthorizationToken, Error> {
        self.runtime.block_on(async {
            let outcome = ecr::ask(registry, identity.credentials, &self.way_to_aws()).await;
            named_issuer(outcome, &self.transport, self.context).await
        })
    }

    /// Asks a registry, or its storage, without following it elsewhere.
    pub(crate) fn get(
        &self,
        url: &str,
        token: Option<&AuthorizationToken>,
        accept: &str,
    ) -> Result<Answer, Error> {
        let malformed = || Error::new(Code::Pull, "the registry names a URL that is malformed");
        let mut request = HttpRequest::get(url).map_err(|_| malformed())?;
        request.headers_mut().insert("accept", accept.to_owned());
        // One byte is enough to see that it is there.
        request.headers_mut().insert("range", if accept == "*/*" { "bytes=0-0" } else { "bytes=0-" });
        if let Some(AuthorizationToken { username, password, .. }) = token {
            let credentials = STANDARD.encode(format!("{username}:{}", password.expose()));
            request.headers_mut().insert("authorization", format!("Basic {credentials}"));
        }
        self.runtime.block_on(async {
            let doing = Doing::start("asking the registry".into(), &self.transport, None);
            let answer = self.transport.send(request, Budget::whole(self.context)).await;
            let answer = answer.map_err(|error| connector_error(&error, &doing));
            let answer = named_issuer(answer, &self.transport, self.context).await?;
            let status = answer.status().as_u16();
            let location = answer.headers().get("location").map(str::to_owned);
            let body = match location {
                Some(_) => Vec::new(),
                None => read(answer.into_body())
                    .await
                    .map_err(|error| Error::new(Code::ConnectionBroken, error))?,
            };
            Ok(Answer {
                what: format!("`{}`", self.transport.last_exchange().endpoint),
                status,
                location,
                body,
            })
        })
    }

    /// What was seen of the last request.
    pub(crate) fn way(&self) -> Seen {
        let last = self.transport.last_exchange();
        Seen {
            endpoint: last.endpoint,
            proxy: last.proxy.map(|proxy| proxy.to_string()),
            addresses: last.addresses.iter().map(ToString::to_string).collect(),
            skew: last.date.map(|there| {
                let seconds = host::now().duration_since(there).as_secs();
                SignedDuration::from_secs(seconds)
            }),
        }
    }

    /// Who issued the certificate of the last endpoint; none without TLS, or if it does not show it.
    pub(crate) fn issuer(&self) -> Option<String> {
        let has_tls = !self.trusted().is_empty();
        has_tls.then(|| self.runtime.block_on(issuer::of_last(&self.transport, LOOK))).flatten()
    }

    /// How many certificates of which source are trusted; empty without TLS.
    pub(crate) fn trusted(&self) -> &str {
        self.transport.description_of_trusted()
    }

    fn way_to_aws(&self) -> Way<'_> {
        let budget = Budget::of(self.context.settings.deadline);
        Way { region: &self.region, budget, transport: &self.transport, context: self.context }
    }
}

async fn read(body: SdkBody) -> Result<Vec<u8>, String> {
    let collected = body.collect().await.map_err(|error| innermost(&*error))?;
    Ok(collected.to_bytes().to_vec())
}
