//! Certificates, proxies and endpoints.

use std::fs;
use std::time::Duration;

use ecr_credential_provider::protocol::ApiVersion;
use stand_in::aws::{ACCESS_KEY_ID, Aws, SECRET_ACCESS_KEY};
use stand_in::proxy::{Manner, Proxy};
use stand_in::tls::{self, TestCa};
use tempfile::TempDir;

use crate::plugin::{HOST, IMAGE, Plugin};

const DOING: &str = "asking for a password for `571600876202.dkr.ecr.eu-central-1.amazonaws.com` at";
const API: &str = "api.ecr.eu-central-1.amazonaws.com";

/// AWS over TLS, and a folder for certificates.
struct Tls {
    aws: Aws,
    ca: TestCa,
    folder: TempDir,
}

impl Tls {
    fn new() -> Self {
        Self::with(TestCa::new())
    }

    fn with(ca: TestCa) -> Self {
        Self { aws: Aws::start_tls(&ca), ca, folder: tempfile::tempdir().expect("a directory") }
    }

    fn file(&self, text: &str) -> String {
        let path = self.folder.path().join("ca.pem");
        fs::write(&path, text).expect("written");
        path.display().to_string()
    }

    /// Through a proxy, under the real name.
    fn plugin(&self, proxy: &Proxy) -> Plugin {
        Plugin::with_key(&self.aws)
            .without("AWS_ENDPOINT_URL_ECR")
            .env("AWS_CA_BUNDLE", self.file(&self.ca.pem()))
            .env("HTTPS_PROXY", format!("http://{}", proxy.authority()))
    }
}

#[test]
fn the_bundle_is_trusted_in_addition_to_the_store_of_the_node() {
    let tls = Tls::new();
    let plugin = Plugin::with_key(&tls.aws);
    plugin.ask(IMAGE).masking(&tls.aws.address(), "AWS").failed(&format!(
        "ECRP505 the TLS connection cannot be trusted: {DOING} `AWS`: invalid peer certificate: UnknownIssuer: issued by \
         `CN=ecr-credential-provider test CA`, while trusted are [..] of `[..]`; if a proxy inspects TLS here, name its \
         CA certificate in `AWS_CA_BUNDLE`"
    ));
    let (pem, other) = (tls.ca.pem(), TestCa::new().pem());
    let unusable = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for bundle in
        [pem.clone(), format!("{other}{pem}"), format!("{unusable}{pem}"), format!("# corp\n{pem}\n# end\n")]
    {
        let plugin = plugin.clone().env("AWS_CA_BUNDLE", tls.file(&bundle));
        plugin.ask(IMAGE).answered(ApiVersion::V1, HOST, "6h0m0s");
    }
}

/// Each of them may hold the one that counts, whatever is in the others.
#[test]
fn all_sources_of_certificates_add_up() {
    let tls = Tls::new();
    let file = tls.file(&tls.ca.pem());
    let folder = tls.folder.path().display().to_string();
    let other = tls.folder.path().join("other.pem");
    fs::write(&other, TestCa::new().pem()).expect("written");
    let other = other.display().to_string();
    let (nowhere, folders) = ("/nonexistent/ca.pem".to_owned(), format!("/nonexistent:{folder}"));
    for variables in [
        vec![("SSL_CERT_FILE", file.clone())],
        vec![("SSL_CERT_DIR", folder.clone())],
        vec![("SSL_CERT_DIR", folders), ("SSL_CERT_FILE", nowhere)],
        vec![("SSL_CERT_DIR", "/etc/ssl/certs".to_owned()), ("SSL_CERT_FILE", file.clone())],
        vec![("AWS_CA_BUNDLE", other.clone()), ("SSL_CERT_FILE", file.clone())],
        vec![("AWS_CA_BUNDLE", other.clone()), ("SSL_CERT_DIR", folder)],
        vec![("AWS_CA_BUNDLE", file.clone()), ("SSL_CERT_FILE", other)],
        vec![("AWS_CA_BUNDLE", file.clone()), ("SSL_CERT_FILE", file)],
    ] {
        let plugin = Plugin::with_key(&tls.aws);
        let plugin = variables.into_iter().fold(plugin, |plugin, (name, value)| plugin.env(name, value));
        plugin.ask(IMAGE).answered(ApiVersion::V1, HOST, "6h0m0s");
    }
}

/// Who wonders why a certificate is missing sees what was read, and what was not there.
#[test]
fn an_issuer_that_is_not_trusted_is_named_with_those_that_are() {
    let tls = Tls::new();
    let proxy = Proxy::start(tls.aws.address(), Manner::Password("node:canary-proxy-password"));
    // Of the same name, as the new one after the old one was lost.
    let other = TestCa::new();
    let plugin = tls
        .plugin(&proxy)
        .env("HTTPS_PROXY", format!("http://node:canary-proxy-password@{}", proxy.authority()))
        .env("AWS_CA_BUNDLE", tls.file(&format!("{0}{0}", other.pem())))
        .env("SSL_CERT_FILE", "/nonexistent/ca.pem");
    let outcome = plugin.ask(IMAGE).masking(&proxy.authority(), "PROXY");
    outcome.masking(&tls.folder.path().display(), "FOLDER").failed(&format!(
        "ECRP505 the TLS connection cannot be trusted: {DOING} `{API}` through the proxy of `HTTPS_PROXY` (`PROXY`): \
         invalid peer certificate: BadSignature: issued by `CN=ecr-credential-provider test CA`, while trusted are [..]2 \
         of `FOLDER/ca.pem` (`AWS_CA_BUNDLE`), 0 of `/nonexistent/ca.pem` (`SSL_CERT_FILE`); if a proxy inspects TLS \
         here, name its CA certificate in `AWS_CA_BUNDLE`"
    ));
    let asked = format!("CONNECT {API}:443 HTTP/1.1");
    assert_eq!(proxy.asked(), [asked.clone(), asked], "once for the call, and once for the certificates");
    assert!(tls.aws.seen().is_empty());
}

#[test]
fn a_certificate_that_does_not_fit_says_why() {
    let rows = [
        (
            tls::Manner::Expired,
            "certificate expired[..]",
            "set this machine's clock if it is wrong, otherwise that certificate must be renewed",
        ),
        (
            tls::Manner::WrongName,
            "certificate not valid for name[..]",
            "find out who answers in the place of this host: DNS, /etc/hosts, a proxy",
        ),
    ];
    for (manner, cause, remedy) in rows {
        let tls = Tls::with(TestCa::with_manner(manner));
        let plugin = Plugin::with_key(&tls.aws).env("AWS_CA_BUNDLE", tls.file(&tls.ca.pem()));
        plugin.ask(IMAGE).masking(&tls.aws.address(), "AWS").failed(&format!(
            "ECRP505 the TLS connection cannot be trusted: {DOING} `AWS`: invalid peer certificate: {cause}; {remedy}"
        ));
    }
}

#[test]
fn a_bundle_that_cannot_be_used_is_named() {
    let tls = Tls::new();
    let remedy = "make the variable or file that is named a readable file of PEM certificates";
    let unusable = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for text in ["", "not a certificate", unusable] {
        let bundle = tls.file(text);
        let plugin = Plugin::with_key(&tls.aws).env("AWS_CA_BUNDLE", bundle.clone());
        plugin.ask(IMAGE).masking(&tls.aws.address(), "AWS").masking(&bundle, "BUNDLE").failed(&format!(
            "ECRP202 the CA certificates cannot be used: {DOING} `AWS`: `AWS_CA_BUNDLE`: `BUNDLE` holds no usable PEM \
             certificate; {remedy}"
        ));
    }
    let plugin = Plugin::with_key(&tls.aws).env("AWS_CA_BUNDLE", "/nonexistent/ca.pem");
    plugin.ask(IMAGE).masking(&tls.aws.address(), "AWS").failed(&format!(
        "ECRP202 the CA certificates cannot be used: {DOING} `AWS`: `AWS_CA_BUNDLE`: cannot read `/nonexistent/ca.pem`: No \
         such file or directory (os error 2); {remedy}"
    ));
}

#[test]
fn proxies_of_the_environment_are_used() {
    let tls = Tls::new();
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let proxy = Proxy::start(tls.aws.address(), Manner::Open);
        let plugin =
            tls.plugin(&proxy).without("HTTPS_PROXY").env(variable, format!("http://{}", proxy.authority()));
        plugin.ask(IMAGE).answered(ApiVersion::V1, HOST, "6h0m0s");
        assert_eq!(proxy.asked(), [format!("CONNECT {API}:443 HTTP/1.1")], "{variable}");
    }
}

#[test]
fn a_proxy_may_want_user_and_password() {
    let tls = Tls::new();
    let proxy = Proxy::start(tls.aws.address(), Manner::Password("node:canary-proxy-password"));
    let with_password = format!("http://node:canary-proxy-password@{}", proxy.authority());
    tls.plugin(&proxy).env("HTTPS_PROXY", with_password).ask(IMAGE).answered(ApiVersion::V1, HOST, "6h0m0s");

    let refused = tls.plugin(&proxy).ask(IMAGE).masking(&proxy.authority(), "PROXY");
    refused.failed(&proxy_failure("tunnel error: proxy authorization required"));
    assert_eq!(proxy.asked().len(), 2, "once each: companies lock users out after some wrong passwords");
}

fn proxy_failure(cause: &str) -> String {
    format!(
        "ECRP506 the proxy did not connect us: {DOING} `{API}` through the proxy of `HTTPS_PROXY` (`PROXY`): {cause}; check \
         address, user and password of the proxy, and that it allows this host"
    )
}

#[test]
fn proxies_that_do_not_do_their_work() {
    let tls = Tls::new();
    let remedy = "see whether the proxy lets this host through";
    let at = format!("{DOING} `{API}` through the proxy of `HTTPS_PROXY` (`PROXY`)");
    let rows = [
        (Manner::Refuses("403 Forbidden"), proxy_failure("tunnel error: unsuccessful")),
        (Manner::Refuses("502 Bad Gateway"), proxy_failure("tunnel error: unsuccessful")),
        (Manner::Closes, format!("ECRP503 the connection broke: {at}: [..]")),
        (Manner::Hangs, format!("ECRP504 no answer in time: {at}: [..]; {remedy}")),
    ];
    for (manner, line) in rows {
        let proxy = Proxy::start(tls.aws.address(), manner);
        let plugin = tls.plugin(&proxy).env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "2s");
        let outcome = plugin.ask(IMAGE).within(Duration::from_secs(2));
        outcome.masking(&proxy.authority(), "PROXY").failed(&line);
    }
}

#[test]
fn a_proxy_that_is_not_there() {
    let tls = Tls::new();
    let proxy = Proxy::start(tls.aws.address(), Manner::Open);
    let authority = proxy.authority();
    let plugin = tls.plugin(&proxy).env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "2s");
    drop(proxy);
    let outcome = plugin.ask(IMAGE).masking(&authority, "PROXY");
    outcome.failed(&proxy_failure("Connection refused (os error 111)"));

    let nowhere = format!("{}.example:3128", "a".repeat(64));
    let outcome =
        plugin.env("HTTPS_PROXY", format!("http://{nowhere}")).ask(IMAGE).masking(&nowhere, "PROXY");
    outcome.failed(&proxy_failure("failed to lookup address information: [..]"));
}

/// Both at once, as systemd units have them where one was switched off.
#[test]
fn an_empty_variable_does_not_hide_the_other() {
    let tls = Tls::new();
    let proxy = Proxy::start(tls.aws.address(), Manner::Open);
    let plugin =
        tls.plugin(&proxy).env("HTTPS_PROXY", "").env("https_proxy", format!("http://{}", proxy.authority()));
    plugin.ask(IMAGE).answered(ApiVersion::V1, HOST, "6h0m0s");
    assert_eq!(proxy.asked().len(), 1);
}

/// A proxy setting that would silently be ignored is refused, and may hold a password.
#[test]
fn a_proxy_of_a_kind_that_is_not_supported_is_named() {
    let tls = Tls::new();
    let proxy = Proxy::start(tls.aws.address(), Manner::Open);
    for url in ["socks5://node:canary@127.0.0.1:1080", "node:canary@", "http://proxy of corp:3128"] {
        tls.plugin(&proxy).env("HTTPS_PROXY", url).ask(IMAGE).failed(&format!(
            "ECRP201 a setting has an invalid value: {DOING} `{API}`: `HTTPS_PROXY` is not the URL of an HTTP proxy \
             (`http://HOST:PORT`); correct it where the kubelet's environment or the `env` of the \
             CredentialProviderConfig sets it"
        ));
    }
}

#[test]
fn loopback_is_never_proxied() {
    let aws = Aws::start();
    let proxy = Proxy::start(aws.address(), Manner::Open);
    let plugin = Plugin::with_key(&aws)
        .env("HTTP_PROXY", format!("http://{}", proxy.authority()))
        .env("AWS_ENDPOINT_URL_ECR", format!("http://localhost:{}", aws.address().port()));
    plugin.ask(IMAGE).answered(ApiVersion::V1, HOST, "6h0m0s");
    assert_eq!(proxy.asked().len(), 0);
}

#[test]
fn the_kind_of_endpoint_can_be_set_by_the_variables_of_the_sdk() {
    let tls = Tls::new();
    let rows = [
        ("AWS_USE_FIPS_ENDPOINT", "api.ecr-fips.eu-central-1.amazonaws.com"),
        ("AWS_USE_DUALSTACK_ENDPOINT", "ecr.eu-central-1.api.aws"),
    ];
    for (variable, endpoint) in rows {
        let proxy = Proxy::start(tls.aws.address(), Manner::Open);
        tls.plugin(&proxy).env(variable, "true").ask(IMAGE).answered(ApiVersion::V1, HOST, "6h0m0s");
        assert_eq!(proxy.asked(), [format!("CONNECT {endpoint}:443 HTTP/1.1")]);
    }
}

#[test]
fn an_endpoint_that_cannot_be_used_is_named() {
    let aws = Aws::start();
    Plugin::with_key(&aws).env("AWS_ENDPOINT_URL_ECR", "not a url").ask(IMAGE).failed(
        "ECRP203 the AWS configuration cannot be used: asking for a password for \
         `571600876202.dkr.ecr.eu-central-1.amazonaws.com`: invalid uri character; correct the file, profile or variable \
         that is named",
    );
    Plugin::with_key(&aws).env("AWS_USE_FIPS_ENDPOINT", "true").ask(IMAGE).failed(
        "ECRP203 the AWS configuration cannot be used: asking for a password for \
         `571600876202.dkr.ecr.eu-central-1.amazonaws.com`: Invalid Configuration: FIPS and custom endpoint are not supported; correct the \
         file, profile or variable that is named",
    );
}

/// A label of 64 characters cannot be a DNS name, so the resolver says no without asking anyone.
#[test]
fn a_name_that_does_not_resolve() {
    let aws = Aws::start();
    let name = format!("{}.example", "a".repeat(64));
    let plugin = Plugin::with_key(&aws)
        .env("AWS_ENDPOINT_URL_ECR", format!("http://{name}:80"))
        .env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "2s");
    plugin.ask(IMAGE).failed(&format!(
        "ECRP501 the host name cannot be resolved: {DOING} `{name}:80`: failed to lookup address information: [..]; check \
         the node's DNS (/etc/resolv.conf) and that this region has this endpoint"
    ));
}

/// The SDK panics on these, if it is left to read them.
#[test]
fn junk_in_the_retry_variables_of_the_sdk_does_no_harm() {
    let aws = Aws::start();
    let plugin = Plugin::bare()
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
        .env("AWS_ENDPOINT_URL", aws.url())
        .env("AWS_MAX_ATTEMPTS", "junk")
        .env("AWS_RETRY_MODE", "junk");
    plugin.ask(IMAGE).answered(ApiVersion::V1, HOST, "6h0m0s");
}
