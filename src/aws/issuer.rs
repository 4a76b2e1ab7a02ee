//! Who vouches for a server that is not trusted.
//!
//! The error of a handshake does not say it, and the SDK's client lets nobody see the certificates. So the
//! server is asked for them once more, the same way. The verifier here keeps them and refuses always, so
//! nothing is ever sent over a connection that nobody has checked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{HeaderValue, Uri};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use webpki::EndEntityCert;

use super::http::Transport;
use super::proxy::Proxy;
use crate::error::Error;
use crate::x509::name_in_words;

/// How long to wait for each step of the connection.
const PATIENCE: Duration = Duration::from_secs(3);

/// The longest answer of a proxy to `CONNECT` that is read.
const LONGEST_HEAD: u64 = 1 << 14;

/// Adds to `error`, of a server that the transport was connected to last, who issued its certificate and who
/// could have. Leaves it as it is if that cannot be found out within `limit`.
pub(super) async fn named(error: Error, transport: &Transport, limit: Duration) -> Error {
    match of_last(transport, limit).await {
        Some(issuer) => {
            let trusted = transport.description_of_trusted();
            error.with_detail(format!("issued by `{issuer}`, while trusted are {trusted}"))
        }
        None => error,
    }
}

/// Who issued the certificate of the server that the transport was connected to last.
pub(super) async fn of_last(transport: &Transport, limit: Duration) -> Option<String> {
    let last = transport.last_exchange();
    // In a thread of its own, which nobody waits for once the limit is over.
    let look = tokio::task::spawn_blocking(move || chain_of(&last.endpoint, last.proxy.as_ref()));
    last_issuer(&tokio::time::timeout(limit, look).await.ok()?.ok()??)
}

/// The certificates that the server at `endpoint` shows, its own first.
fn chain_of(endpoint: &str, proxy: Option<&Proxy>) -> Option<Vec<CertificateDer<'static>>> {
    let uri: Uri = format!("https://{endpoint}/").parse().ok()?;
    let (host, port) = (uri.host()?, uri.port_u16().unwrap_or(443));
    let mut stream = match proxy {
        None => connect(&uri, 443)?,
        Some(proxy) => {
            let (address, authorization) = proxy.address_and_authorization(&uri)?;
            let mut stream = connect(&address, 80)?;
            open_tunnel(&mut stream, &format!("{host}:{port}"), authorization.as_ref())?;
            stream
        }
    };
    let witness = Arc::new(Witness::new());
    let config = ClientConfig::builder_with_provider(witness.crypto.clone())
        .with_safe_default_protocol_versions()
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(witness.clone())
        .with_no_client_auth();
    let name = ServerName::try_from(without_brackets(host)).ok()?.to_owned();
    let mut connection = ClientConnection::new(Arc::new(config), name).ok()?;
    // It fails always; what counts is what the witness has seen.
    let _ = connection.complete_io(&mut stream);
    witness.chain.get().cloned()
}

fn connect(uri: &Uri, default_port: u16) -> Option<TcpStream> {
    let name = (without_brackets(uri.host()?), uri.port_u16().unwrap_or(default_port));
    let stream =
        name.to_socket_addrs().ok()?.find_map(|to| TcpStream::connect_timeout(&to, PATIENCE).ok())?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    Some(stream)
}

/// `TcpStream` and `ServerName` want the address of `[::1]` without them.
fn without_brackets(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn open_tunnel(stream: &mut TcpStream, to: &str, authorization: Option<&HeaderValue>) -> Option<()> {
    let mut request = format!("CONNECT {to} HTTP/1.1\r\nhost: {to}\r\n").into_bytes();
    if let Some(authorization) = authorization {
        request.extend_from_slice(b"proxy-authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).ok()?;
    // The server says nothing before TLS has begun, so the buffer takes nothing away but the head.
    let mut lines = BufReader::new(stream.take(LONGEST_HEAD)).lines();
    let status = lines.next()?.ok()?;
    while !lines.next()?.ok()?.is_empty() {}
    status.split(' ').nth(1)?.starts_with('2').then_some(())
}

/// The issuer that the last certificate of the chain names: the one that would have to be trusted.
fn last_issuer(chain: &[CertificateDer<'_>]) -> Option<String> {
    let chain: Vec<_> = chain.iter().filter_map(|der| EndEntityCert::try_from(der).ok()).collect();
    let mut last = chain.first()?;
    // At most once each, as they may vouch for each other in a circle.
    for _ in &chain {
        match chain.iter().find(|above| above.subject() == last.issuer()) {
            Some(above) => last = above,
            None => break,
        }
    }
    name_in_words(last.issuer())
}

/// Sees certificates and trusts none.
#[derive(Debug)]
struct Witness {
    crypto: Arc<CryptoProvider>,
    chain: OnceLock<Vec<CertificateDer<'static>>>,
}

impl Witness {
    fn new() -> Self {
        Self { crypto: Arc::new(ring::default_provider()), chain: OnceLock::new() }
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = std::iter::once(end_entity).chain(intermediates);
        let _ = self.chain.set(chain.map(|certificate| certificate.clone().into_owned()).collect());
        Err(CertificateError::UnknownIssuer.into())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(CertificateError::UnknownIssuer.into())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(CertificateError::UnknownIssuer.into())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.crypto.signature_verification_algorithms.supported_schemes()
    }
}
