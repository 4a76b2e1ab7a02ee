//! The steps of [`super::issue_token`] one by one, for who wants to see where it fails.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use tokio::runtime::Runtime;

use super::classify::{Doing, connector_error};
use super::http::Transport;
use super::identity::{self, Identity};
use super::way::Way;
use super::{Budget, ecr, images, issuer, named_issuer, profiles, read_body, runtime};
use crate::context::Context;
use crate::error::{Code, Error, Kind};
use crate::host;
use crate::latest::PushedImage;
use crate::registry::Registry;
use crate::token::AuthorizationToken;

/// How often a registry may send on.
const MOST_HOPS: usize = 5;

/// How long a look at a certificate may take.
const LOOK: Duration = Duration::from_secs(3);

/// A way to AWS that is gone step by step.
pub(crate) struct Probe<'a> {
    /// There until the end.
    runtime: Option<Runtime>,
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

/// What is wanted of a registry.
#[derive(Clone, Copy)]
pub(crate) enum Want {
    /// The text, of one of these media types.
    Manifest(&'static str),
    /// To know that it is there.
    Presence,
}

/// An answer of a registry.
pub(crate) struct Answer {
    what: String,
    status: u16,
    location: Option<String>,
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
        Ok(Self { runtime: Some(runtime), transport, region: registry.region().to_owned(), context })
    }

    /// Finds credentials.
    pub(crate) fn identity(&self) -> Result<Identity, Error> {
        self.block_on(async {
            let outcome = identity::resolve(&self.way_to_aws()).await;
            named_issuer(outcome, &self.transport, self.context).await
        })
    }

    /// Asks AWS with a key that nobody has. Any answer will do.
    pub(crate) fn knock(&self, registry: &Registry) -> Result<(), Error> {
        let nobody = Credentials::new("AKIAXXXXXXXXXXXXXXXX", "nobody", None, None, "nobody");
        let identity = Identity { credentials: nobody, name: String::new() };
        match self.ask(registry, identity) {
            Err(error) if error.code().kind() == Kind::Unreachable => Err(error),
            _ => Ok(()),
        }
    }

    /// Asks AWS for a token.
    pub(crate) fn ask(&self, registry: &Registry, identity: Identity) -> Result<AuthorizationToken, Error> {
        self.block_on(async {
            let outcome = ecr::ask(registry, identity.credentials, &self.way_to_aws()).await;
            named_issuer(outcome, &self.transport, self.context).await
        })
    }

    /// Lists the images of a repository that can be the latest.
    pub(crate) fn images(&self, registry: &Registry, repository: &str) -> Result<Vec<PushedImage>, Error> {
        self.block_on(async {
            let way = self.way_to_aws();
            let outcome = async {
                let identity = identity::resolve(&way).await?;
                images::all(registry, repository, identity.credentials, &way).await
            };
            named_issuer(outcome.await, &self.transport, self.context).await
        })
    }

    /// Asks a registry, and follows it to where it sends. The password does not leave its host.
    pub(crate) fn get(&self, url: &str, token: &AuthorizationToken, want: Want) -> Result<Answer, Error> {
        let mut url = url.to_owned();
        let origin = origin_of(&url).to_owned();
        for _ in 0..MOST_HOPS {
            let password = (origin_of(&url) == origin).then_some(token);
            let answer = self.get_once(&url, password, want)?;
            match &answer.location {
                None => return Ok(answer),
                Some(location) if location.starts_with('/') => url = format!("{}{location}", origin_of(&url)),
                Some(location) => url.clone_from(location),
            }
        }
        Err(Error::new(Code::Pull, format!("the registry sends on for more than {MOST_HOPS} times")))
    }

    fn get_once(&self, url: &str, token: Option<&AuthorizationToken>, want: Want) -> Result<Answer, Error> {
        // The URL may be signed, so it is not shown.
        let malformed = |_| Error::new(Code::Pull, "the registry names a URL that is malformed");
        let mut request = HttpRequest::get(url).map_err(malformed)?;
        match want {
            Want::Manifest(accept) => request.headers_mut().insert("accept", accept),
            // One byte is enough to see that it is there.
            Want::Presence => request.headers_mut().insert("range", "bytes=0-0"),
        };
        if let Some(AuthorizationToken { username, password, .. }) = token {
            let credentials = STANDARD.encode(format!("{username}:{}", password.expose()));
            request.headers_mut().insert("authorization", format!("Basic {credentials}"));
        }
        self.block_on(async {
            let doing = Doing::start("asking the registry".into(), &self.transport, None);
            let budget = Budget::of(self.context.settings.deadline);
            let answer = self.transport.send(request, budget).await;
            let answer = answer.map_err(|error| connector_error(&error, &doing));
            let answer = named_issuer(answer, &self.transport, self.context).await?;
            let status = answer.status().as_u16();
            let location = answer.headers().get("location").map(str::to_owned);
            let location = location.filter(|_| matches!(status, 301 | 302 | 303 | 307 | 308));
            let body = match want {
                Want::Manifest(_) if location.is_none() => read_body(answer.into_body()).await?,
                _ => Vec::new(),
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
        let look = async { Ok(issuer::of_last(&self.transport, LOOK).await) };
        has_tls.then(|| self.block_on(look).ok().flatten()).flatten()
    }

    /// How many certificates of which source are trusted; empty without TLS.
    pub(crate) fn trusted(&self) -> &str {
        self.transport.description_of_trusted()
    }

    fn block_on<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        match &self.runtime {
            Some(runtime) => runtime.block_on(work),
            None => Err(Error::new(Code::Internal, "there is no runtime")),
        }
    }

    fn way_to_aws(&self) -> Way<'_> {
        let budget = Budget::of(self.context.settings.deadline);
        Way { region: &self.region, budget, transport: &self.transport, context: self.context }
    }
}

impl Drop for Probe<'_> {
    /// A plain drop would wait for threads that wait for the network.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Scheme, host and port of a URL.
fn origin_of(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find('/').map_or(url.len(), |at| host + at);
    &url[..end]
}
