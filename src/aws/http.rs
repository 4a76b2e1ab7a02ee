//! Connections to AWS.
//!
//! The SDK's ready-made client is not used, for what it does not do: with a CA bundle of one's own it
//! ignores proxies, with a proxy it sends requests for the instance metadata service to the proxy, it reads
//! the trust store even if nothing needs TLS, and it takes a body of any size.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::date_time::Format;
use http::Uri;
use http_body_util::Limited;
use jiff::Timestamp;
use rustls::CertificateError;

use super::Budget;
use super::proxy::{Proxies, Proxy};
use super::{classify, trust};
use crate::context::Context;
use crate::error::{Code, Error};
use crate::log::Log;
use crate::watchdog::Watchdog;

/// An answer of AWS with a token has about 3 KiB. A body that is larger than this is cut off with an error.
const LARGEST_BODY: usize = 1 << 20;

/// The HTTP client for everything that the SDK does, and the witness of its last exchange.
#[derive(Clone, Debug)]
pub(super) struct Transport(Arc<Shared>);

struct Shared {
    proxies: Proxies,
    trust: trust::Sources,
    trusted: OnceLock<Result<Trusted, Error>>,
    connectors: Mutex<Vec<(Key, SharedHttpConnector)>>,
    last: Arc<Mutex<Exchange>>,
    watchdog: Watchdog,
    log: Log,
}

/// The trust store for the client, and for people.
struct Trusted {
    context: TlsContext,
    description: String,
}

/// The last request that was sent, and what came back.
#[derive(Clone, Debug, Default)]
pub(super) struct Exchange {
    /// `host[:port]` of the request; empty before the first.
    pub(super) endpoint: String,
    /// The proxy that it goes through.
    pub(super) proxy: Option<Proxy>,
    /// Whether the name of the server, or of the proxy, is still being resolved.
    pub(super) is_resolving: bool,
    /// Whether the connection failed because nobody who is trusted issued the certificate of the server.
    pub(super) is_issuer_unknown: bool,
    /// The addresses of the name that was resolved for it: of the server or, with a proxy, of that.
    pub(super) addresses: Vec<IpAddr>,
    /// The time of the answer by the clock of who answered.
    pub(super) date: Option<Timestamp>,
}

/// What distinguishes one connector from another.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    route: Route,
    proxy: Option<Proxy>,
    connect_timeout: Option<Duration>,
    read_timeout: Option<Duration>,
}

/// How to connect to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    /// On this machine or this link, without TLS: no proxy could reach it, no certificate is needed.
    LocalPlain,
    /// On this machine or this link, with TLS.
    LocalTls,
    /// Anywhere else: through the proxy if the environment names one for this host.
    Far,
}

impl Route {
    fn to(uri: &Uri) -> Self {
        let host = uri.host().unwrap_or_default();
        match (is_local(host), uri.scheme_str()) {
            (true, Some("https")) => Self::LocalTls,
            (true, _) => Self::LocalPlain,
            (false, _) => Self::Far,
        }
    }
}

/// Loopback, link-local (IMDS, ECS and EKS credentials), and the IPv6 address of the instance metadata.
fn is_local(host: &str) -> bool {
    match host.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_link_local(),
        Ok(IpAddr::V6(address)) => {
            address.is_loopback()
                || address.is_unicast_link_local()
                || address.segments()[..2] == [0xfd00, 0xec2]
        }
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

impl Transport {
    /// `ca_bundle` is what the AWS configuration file names.
    pub(super) fn new(context: &Context<'_>, ca_bundle: Option<PathBuf>) -> Self {
        Self(Arc::new(Shared {
            proxies: Proxies::new(&context.settings, |name| context.host.variable(name)),
            trust: trust::Sources::of(context, ca_bundle),
            trusted: OnceLock::new(),
            connectors: Mutex::default(),
            last: Arc::default(),
            watchdog: context.watchdog.clone(),
            log: context.log.clone(),
        }))
    }

    /// Forgets the last exchange, so that it is not taken for one of what is done next.
    pub(super) fn start_afresh(&self) {
        *lock(&self.0.last) = Exchange::default();
    }

    /// Sends one request, without the SDK.
    pub(super) async fn send(
        &self,
        request: HttpRequest,
        budget: Budget,
    ) -> Result<HttpResponse, ConnectorError> {
        let sleep = Some(SharedAsyncSleep::new(TokioSleep::new()));
        let dispatcher = Dispatcher { shared: self.0.clone(), settings: budget.connector_settings(), sleep };
        dispatcher.call(request).await
    }

    pub(super) fn last_exchange(&self) -> Exchange {
        lock(&self.0.last).clone()
    }

    /// How many certificates of which source are trusted; nothing before the first connection with TLS.
    pub(super) fn description_of_trusted(&self) -> &str {
        match self.0.trusted.get() {
            Some(Ok(trusted)) => &trusted.description,
            _ => "",
        }
    }
}

impl HttpClient for Transport {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Dispatcher {
            shared: self.0.clone(),
            settings: settings.clone(),
            sleep: components.sleep_impl(),
        })
    }
}

/// Picks the connector once the request, and so the host, is known.
#[derive(Debug)]
struct Dispatcher {
    shared: Arc<Shared>,
    settings: HttpConnectorSettings,
    sleep: Option<SharedAsyncSleep>,
}

impl HttpConnector for Dispatcher {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = match request.uri().parse() {
            Ok(uri) => self.connector_for(&uri),
            Err(error) => Err(ConnectorError::user(Box::new(error))),
        };
        let connector = match connector {
            Ok(connector) => connector,
            Err(error) => return HttpConnectorFuture::ready(Err(error)),
        };
        let shared = self.shared.clone();
        // No path and no query: they may be a secret, as in the container credentials of ECS.
        let what = format!("{} to `{}`", request.method(), lock(&shared.last).endpoint);
        HttpConnectorFuture::new(async move {
            let response = connector.call(request).await.map_err(|error| shared.judged(error))?;
            shared.log.debug(|| format!("{what} is answered with status {}", response.status().as_u16()));
            lock(&shared.last).date = date_of(&response);
            Ok(response.map(|body| SdkBody::from_body_1_x(Limited::new(body, LARGEST_BODY))))
        })
    }
}

impl Dispatcher {
    fn connector_for(&self, uri: &Uri) -> Result<SharedHttpConnector, ConnectorError> {
        let endpoint = host_and_port(uri);
        *lock(&self.shared.last) = Exchange { endpoint: endpoint.clone(), ..Exchange::default() };
        let refused = |error| ConnectorError::user(Box::new(error));
        let route = Route::to(uri);
        let proxy = match route {
            Route::Far => self.shared.proxies.for_request(uri).map_err(refused)?.cloned(),
            Route::LocalPlain | Route::LocalTls => None,
        };
        let by = proxy.as_ref().map(|proxy| format!(" through the proxy of {proxy}")).unwrap_or_default();
        self.shared.log.debug(|| format!("connecting to `{endpoint}`{by}"));
        self.shared.watchdog.enter(format!("waiting for `{endpoint}`{by}"));
        lock(&self.shared.last).proxy.clone_from(&proxy);
        let key = Key {
            route,
            proxy,
            connect_timeout: self.settings.connect_timeout(),
            read_timeout: self.settings.read_timeout(),
        };
        let mut connectors = lock(&self.shared.connectors);
        if let Some((_, connector)) = connectors.iter().find(|(known, _)| *known == key) {
            return Ok(connector.clone());
        }
        let connector = self.connect(&key).map_err(refused)?;
        connectors.push((key, connector.clone()));
        Ok(connector)
    }

    fn connect(&self, key: &Key) -> Result<SharedHttpConnector, Error> {
        let tls = match key.route {
            Route::LocalPlain => trusting(TrustStore::empty())?,
            Route::LocalTls | Route::Far => self.shared.trusted()?.context.clone(),
        };
        let proxy = key.proxy.as_ref().and_then(Proxy::config).unwrap_or_else(ProxyConfig::disabled);
        let mut builder = Connector::builder().connector_settings(self.settings.clone()).proxy_config(proxy);
        builder.set_sleep_impl(self.sleep.clone());
        let builder = builder.tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls);
        Ok(SharedHttpConnector::new(builder.build_with_resolver(Resolver {
            last: self.shared.last.clone(),
            watchdog: self.shared.watchdog.clone(),
        })))
    }
}

/// The resolver of libc, in a thread of its own as libc knows no other way, and observed: a resolver that
/// does not answer is told from a server that does not.
#[derive(Clone, Debug)]
struct Resolver {
    last: Arc<Mutex<Exchange>>,
    watchdog: Watchdog,
}

impl ResolveDns for Resolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            lock(&self.last).is_resolving = true;
            self.watchdog.enter(format!("resolving the name `{name}`"));
            let addresses = tokio::net::lookup_host((name, 0)).await;
            lock(&self.last).is_resolving = false;
            self.watchdog.enter(format!("waiting for `{name}`"));
            match addresses {
                Ok(addresses) => {
                    let addresses: Vec<_> = addresses.map(|address| address.ip()).collect();
                    lock(&self.last).addresses.clone_from(&addresses);
                    Ok(addresses)
                }
                Err(error) => Err(ResolveDnsError::new(Error::new(Code::NameNotFound, error))),
            }
        })
    }
}

impl Shared {
    /// Keeps the client from trying again where it would only meet the same: the same certificate, or a proxy
    /// that counts wrong passwords.
    fn judged(&self, error: ConnectorError) -> ConnectorError {
        let certificate = classify::refused_certificate(&error);
        if certificate.is_none() && !classify::is_unknown_to_proxy(&error) {
            return error;
        }
        // A bad signature is that of an issuer with the name of one that is trusted, and another key.
        lock(&self.last).is_issuer_unknown =
            matches!(certificate, Some(CertificateError::UnknownIssuer | CertificateError::BadSignature));
        ConnectorError::user(Box::new(error))
    }

    /// The trust store, read at the first need and then kept.
    fn trusted(&self) -> Result<&Trusted, Error> {
        let load = || {
            let trust::Trusted { store, description } = self.trust.load(&self.watchdog, &self.log)?;
            Ok(Trusted { context: trusting(store)?, description })
        };
        self.trusted.get_or_init(load).as_ref().map_err(Clone::clone)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// Without user and password, which a URL may hold.
pub(super) fn host_and_port(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    uri.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn trusting(store: TrustStore) -> Result<TlsContext, Error> {
    TlsContext::builder().with_trust_store(store).build().map_err(|error| Error::new(Code::Internal, error))
}

fn date_of(response: &HttpResponse) -> Option<Timestamp> {
    let text = response.headers().get("date")?;
    let date = DateTime::from_str(text, Format::HttpDate).ok()?;
    Timestamp::from_second(date.secs()).ok()
}

/// A panic elsewhere has ended the process, so a poisoned lock cannot be met.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_and_this_link_are_local() {
        let rows = [
            ("http://169.254.169.254/latest/api/token", Route::LocalPlain),
            ("http://[fd00:ec2::254]/latest/api/token", Route::LocalPlain),
            ("http://[fe80::1]/x", Route::LocalPlain),
            ("http://127.0.0.1:8080/", Route::LocalPlain),
            ("https://localhost:8443/", Route::LocalTls),
            ("https://[::1]/", Route::LocalTls),
            ("https://api.ecr.eu-central-1.amazonaws.com/", Route::Far),
            ("http://169.254.169.254.evil.example/", Route::Far),
            ("http://10.0.0.1/", Route::Far),
            ("http://[fd00:ec3::254]/", Route::Far),
        ];
        for (uri, route) in rows {
            assert_eq!(Route::to(&uri.parse().expect("a URI")), route, "{uri}");
        }
    }
}
