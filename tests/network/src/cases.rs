//! The cases of the network test. A new capability adds its own here.
//!
//! Each runs on a machine of its own, see `tests/network/inside`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use stand_in::aws::{Aws, SECRET_ACCESS_KEY};
use stand_in::tls::TestCa;

use crate::machine::{
    BlackHole, add_address, add_names, certificate_file, ip, reset_connections, set_resolver, set_vendor,
};
use crate::plugin::{Plugin, REGISTRY};
use crate::proxies::{Mitmproxy, Squid};

type Case = fn() -> Result<()>;

/// All cases by name, in the order in which they run.
pub(crate) const CASES: &[(&str, Case)] = &[
    ("a_proxy_wants_a_password", proxy_with_password),
    ("exceptions_from_a_proxy", exceptions_from_proxy),
    ("a_proxy_inspects_tls", inspecting_proxy),
    ("nobody_is_asked_where_there_is_no_metadata_service", no_metadata_service),
    ("the_metadata_service_of_an_ec2_machine", metadata_service),
    ("a_machine_with_ipv6_only", ipv6_only),
    ("a_resolver_that_does_not_answer", dead_resolver),
    ("a_firewall_that_drops_packets", dropped_packets),
    ("a_firewall_that_refuses", refused_port),
    ("a_firewall_that_resets_tls", reset_tls),
    ("every_form_of_host_name_asks_its_own_endpoint", endpoints),
];

const API: &str = "api.ecr.eu-central-1.amazonaws.com";
const DOING: &str = "asking for a password for `571600876202.dkr.ecr.eu-central-1.amazonaws.com` at";

/// AWS over TLS under these names, at an address of this machine, and a plugin that trusts it.
fn aws_at(address: &str, names: &[&str]) -> Result<(Aws, Plugin)> {
    let ca = TestCa::new();
    let bundle = certificate_file("aws-ca.pem", &ca)?;
    let rows: Vec<_> = names.iter().map(|name| (address, *name)).collect();
    add_names(&rows)?;
    let aws = Aws::start_tls_at((address.parse::<std::net::IpAddr>()?, 443).into(), &ca);
    Ok((aws, Plugin::with_key().env("AWS_CA_BUNDLE", bundle.display().to_string())))
}

fn proxy_with_password() -> Result<()> {
    let (aws, plugin) = aws_at("127.0.0.2", &[API, Squid::FORBIDDEN])?;
    let squid = Squid::start("127.0.0.3:3128")?;
    let good = format!("node:{}@", Squid::PASSWORD);
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let before = squid.connected().len();
        plugin.clone().env(variable, squid.url(&good)).ask(REGISTRY)?.answered(&aws)?;
        ensure!(squid.connected()[before..] == [format!("{API}:443")], "{variable}: {:?}", squid.connected());
    }

    let refused = |cause: &str, api: &str, registry: &str| {
        format!(
            "ECRP506 the proxy did not connect us: asking for a password for `{registry}` at `{api}` through the \
             proxy of `HTTPS_PROXY` (`127.0.0.3:3128`): tunnel error: {cause}; check address, user and password of \
             the proxy, and that it allows this host"
        )
    };
    let before = aws.seen().len();
    for user in ["", "node:wrong@", "other:canary%40corp@"] {
        let line = refused("proxy authorization required", API, REGISTRY);
        plugin.clone().env("HTTPS_PROXY", squid.url(user)).ask(REGISTRY)?.failed(&line)?;
    }
    let registry = REGISTRY.replace("eu-central-1", "us-east-1");
    let line = refused("unsuccessful", Squid::FORBIDDEN, &registry);
    plugin.env("HTTPS_PROXY", squid.url(&good)).ask(&registry)?.failed(&line)?;
    ensure!(aws.seen().len() == before, "AWS was asked");
    Ok(())
}

/// The proxy would refuse, so an answer came without it.
fn exceptions_from_proxy() -> Result<()> {
    let (aws, plugin) = aws_at("127.0.0.2", &[API])?;
    let squid = Squid::start("127.0.0.3:3128")?;
    let proxied = plugin.env("HTTPS_PROXY", squid.url("node:wrong@"));
    let with_port = format!("{API}:443");
    let excepted = [
        ".amazonaws.com",
        "amazonaws.com",
        "*.amazonaws.com",
        API,
        &with_port,
        "*",
        "10.0.0.0/8, localhost ,.AMAZONAWS.COM",
    ];
    for list in excepted {
        for variable in ["NO_PROXY", "no_proxy"] {
            proxied.clone().env(variable, list).ask(REGISTRY)?.answered(&aws)?;
        }
    }
    let lower = proxied.clone().without("HTTPS_PROXY").env("https_proxy", squid.url("node:wrong@"));
    lower.env("no_proxy", "*").ask(REGISTRY)?.answered(&aws)?;
    let other_port = format!("{API}:8443");
    for list in ["zonaws.com", "example.com", "10.0.0.0/8", &other_port, "api.ecr"] {
        let line = format!("ECRP506 …`{API}` through the proxy of `HTTPS_PROXY` …");
        proxied.clone().env("NO_PROXY", list).ask(REGISTRY)?.failed(&line)?;
    }

    add_address("10.1.2.3")?;
    let aws = Aws::start_at("10.1.2.3:80".parse()?);
    let proxied = Plugin::with_key()
        .env("AWS_ENDPOINT_URL_ECR", "http://10.1.2.3")
        .env("HTTP_PROXY", squid.url("node:wrong@"));
    for list in ["10.0.0.0/8", "10.1.2.3", "10.1.2.3:80", "192.168.0.0/16,10.1.2.0/24"] {
        proxied.clone().env("NO_PROXY", list).ask(REGISTRY)?.answered(&aws)?;
    }
    for list in ["10.2.0.0/16", "10.1.2.3:443"] {
        let line = "ECRP506 …`10.1.2.3` through the proxy of `HTTP_PROXY` (`127.0.0.3:3128`): …";
        proxied.clone().env("NO_PROXY", list).ask(REGISTRY)?.failed(line)?;
    }
    Ok(())
}

fn inspecting_proxy() -> Result<()> {
    let (aws, plugin) = aws_at("127.0.0.2", &[API])?;
    let mitmproxy = Mitmproxy::start(Path::new("/mnt/aws-ca.pem"))?;
    let plugin = plugin.env("HTTPS_PROXY", mitmproxy.url());
    // It shows what mitmproxy issued, so the certificate of AWS does not help.
    plugin.ask(REGISTRY)?.failed(&format!(
        "ECRP505 the TLS connection cannot be trusted: {DOING} `{API}` through the proxy of `HTTPS_PROXY` \
         (`127.0.0.1:8080`): invalid peer certificate: UnknownIssuer: issued by `O=mitmproxy, CN=mitmproxy`, while \
         trusted are …1 of `/mnt/aws-ca.pem` (`AWS_CA_BUNDLE`); if a proxy inspects TLS here, name its CA certificate \
         in `AWS_CA_BUNDLE`"
    ))?;
    ensure!(aws.seen().is_empty(), "AWS was asked");
    let bare = plugin.clone().without("AWS_CA_BUNDLE");
    for variable in ["AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
        bare.clone().env(variable, mitmproxy.certificate()).ask(REGISTRY)?.answered(&aws)?;
    }
    plugin.env("SSL_CERT_FILE", mitmproxy.certificate()).ask(REGISTRY)?.answered(&aws)
}

/// On a machine that is not EC2 its packets would vanish, and with them the time.
fn no_metadata_service() -> Result<()> {
    let black_hole = BlackHole::start(&["169.254.0.0/16"])?;
    let nobody = Plugin::bare().env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "5s");
    nobody.ask(REGISTRY)?.within(Duration::from_secs(1))?.failed(
        "ECRP301 no AWS identity found: environment: no `AWS_ACCESS_KEY_ID`; …; instance metadata: not asked, this \
         machine is not EC2; give the provider one: …",
    )?;
    ensure!(black_hole.packets()? == 0, "{} packets to the metadata service", black_hole.packets()?);

    let outcome = nobody.env("ECR_CREDENTIAL_PROVIDER_IMDS", "enabled").ask(REGISTRY)?;
    outcome.within(Duration::from_secs(6))?.failed(
        "ECRP301 no AWS identity found: environment: no `AWS_ACCESS_KEY_ID`; …; instance metadata: could not \
         communicate with IMDS: …timed out; give the provider one: …",
    )?;
    ensure!(black_hole.packets()? > 0, "no packet was counted");
    Ok(())
}

/// At its real address, which no proxy may see.
fn metadata_service() -> Result<()> {
    let (aws, plugin) = aws_at("127.0.0.2", &[API])?;
    add_address("169.254.169.254")?;
    let metadata = Aws::start_at("169.254.169.254:80".parse()?);
    let keyless = plugin
        .without("AWS_ACCESS_KEY_ID")
        .without("AWS_SECRET_ACCESS_KEY")
        .env("HTTP_PROXY", "http://127.0.0.9:3128");
    keyless.ask(REGISTRY)?.failed("ECRP301 …not asked, this machine is not EC2; …")?;
    ensure!(metadata.seen().is_empty(), "it was asked");
    set_vendor("Amazon EC2")?;
    // The two stand-ins do not know each other's identities.
    keyless.ask(REGISTRY)?.failed("ECRP402 …")?;
    ensure!(metadata.seen().len() == 3, "{:?}", metadata.seen());
    ensure!(aws.seen().iter().all(|call| call.access_key_id.starts_with("ASIA")), "{:?}", aws.seen());
    Ok(())
}

fn ipv6_only() -> Result<()> {
    ip("address del 127.0.0.1/8 dev lo")?;
    let (address, proxy) = ("2001:db8::443", "2001:db8::3128");
    add_address(address)?;
    add_address(proxy)?;
    let dual_stack = "ecr.eu-central-1.api.aws";
    let (aws, plugin) = aws_at(address, &[dual_stack, API])?;
    let registry = "571600876202.dkr-ecr.eu-central-1.on.aws";
    plugin.ask(registry)?.answered(&aws)?;
    plugin.clone().env("AWS_USE_DUALSTACK_ENDPOINT", "true").ask(REGISTRY)?.answered(&aws)?;

    let squid = Squid::start(&format!("[{proxy}]:3128"))?;
    let user = format!("node:{}@", Squid::PASSWORD);
    plugin.clone().env("HTTPS_PROXY", squid.url(&user)).ask(registry)?.answered(&aws)?;
    ensure!(squid.connected() == [format!("{dual_stack}:443")], "{:?}", squid.connected());

    // A name with an address of each family, of which one cannot be reached.
    add_names(&[("192.0.2.1", dual_stack), (address, dual_stack)])?;
    plugin.ask(registry)?.answered(&aws)?;
    add_names(&[("192.0.2.1", API)])?;
    let outcome = plugin.env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "5s").ask(REGISTRY)?;
    outcome
        .failed(&format!("ECRP502 cannot connect: {DOING} `{API}`: Network …unreachable (os error 101); …"))
}

fn dead_resolver() -> Result<()> {
    let black_hole = BlackHole::start(&["198.51.100.0/24"])?;
    set_resolver("198.51.100.53")?;
    let plugin = Plugin::with_key().env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "5s");
    plugin.ask(REGISTRY)?.within(Duration::from_secs(6))?.failed(&format!(
        "ECRP501 the host name cannot be resolved: {DOING} `{API}`: the resolver does not answer: …; check the node's \
         DNS (/etc/resolv.conf) and that this region has this endpoint"
    ))?;
    ensure!(black_hole.packets()? > 0, "the resolver was not asked");
    Ok(())
}

fn dropped_packets() -> Result<()> {
    let black_hole = BlackHole::start(&["198.51.100.0/24"])?;
    add_names(&[("198.51.100.7", API)])?;
    let plugin = Plugin::with_key().env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "5s");
    plugin.ask(REGISTRY)?.within(Duration::from_secs(6))?.failed(&format!(
        "ECRP504 no answer in time: {DOING} `{API}`: …; look for a firewall that drops packets to this host; set \
         `HTTPS_PROXY` if the node needs a proxy"
    ))?;
    ensure!(black_hole.packets()? >= 3, "fewer than three attempts");

    let proxied = plugin.env("HTTPS_PROXY", "http://198.51.100.8:3128").ask(REGISTRY)?;
    proxied.within(Duration::from_secs(6))?.failed(&format!(
        "ECRP504 no answer in time: {DOING} `{API}` through the proxy of `HTTPS_PROXY` (`198.51.100.8:3128`): …; see \
         whether the proxy lets this host through"
    ))
}

fn refused_port() -> Result<()> {
    add_names(&[("127.0.0.9", API)])?;
    Plugin::with_key().ask(REGISTRY)?.within(Duration::from_secs(5))?.failed(&format!(
        "ECRP502 cannot connect: {DOING} `{API}`: Connection refused (os error 111); open the firewall to this host \
         and port, or set `HTTPS_PROXY` in the `env` of the CredentialProviderConfig"
    ))
}

/// As those do that look at the name in the first message of TLS.
fn reset_tls() -> Result<()> {
    add_names(&[("127.0.0.9", API)])?;
    reset_connections("127.0.0.9:443")?;
    Plugin::with_key().ask(REGISTRY)?.within(Duration::from_secs(5))?.failed(&format!(
        "ECRP503 the connection broke: {DOING} `{API}`: Connection reset by peer (os error 104); look for a firewall \
         or proxy that cuts connections to this host, then try again"
    ))
}

fn endpoints() -> Result<()> {
    const FIPS: &str = "AWS_USE_FIPS_ENDPOINT";
    const DUAL_STACK: &str = "AWS_USE_DUALSTACK_ENDPOINT";
    let plain = REGISTRY;
    let rows: [(&str, &[&str], &str); 12] = [
        (plain, &[], API),
        (plain, &[FIPS], "api.ecr-fips.eu-central-1.amazonaws.com"),
        (plain, &[DUAL_STACK], "ecr.eu-central-1.api.aws"),
        (plain, &[FIPS, DUAL_STACK], "ecr-fips.eu-central-1.api.aws"),
        (
            "571600876202.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
            &[],
            "api.ecr-fips.us-gov-west-1.amazonaws.com",
        ),
        ("571600876202.dkr.ecr-fips.us-east-1.amazonaws.com", &[DUAL_STACK], "ecr-fips.us-east-1.api.aws"),
        ("571600876202.dkr-ecr.eu-central-1.on.aws", &[], "ecr.eu-central-1.api.aws"),
        ("571600876202.dkr-ecr-fips.us-east-1.on.aws", &[], "ecr-fips.us-east-1.api.aws"),
        ("571600876202.dkr.ecr.cn-north-1.amazonaws.com.cn", &[], "api.ecr.cn-north-1.amazonaws.com.cn"),
        (
            "571600876202.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
            &[],
            "ecr.cn-north-1.api.amazonwebservices.com.cn",
        ),
        ("571600876202.dkr.ecr.eusc-de-east-1.amazonaws.eu", &[], "api.ecr.eusc-de-east-1.amazonaws.eu"),
        ("public.ecr.aws", &[], "api.ecr-public.us-east-1.amazonaws.com"),
    ];
    let names: Vec<_> = rows.iter().map(|(_, _, endpoint)| *endpoint).collect();
    let (aws, plugin) = aws_at("127.0.0.2", &names)?;
    for (registry, variables, endpoint) in rows {
        let plugin = variables.iter().fold(plugin.clone(), |plugin, name| plugin.env(name, "true"));
        plugin.ask(registry)?.answered(&aws)?;
        let hosts: Vec<_> = aws.seen().into_iter().map(|call| call.host).collect();
        ensure!(hosts.last().is_some_and(|host| host == endpoint), "{registry} {variables:?}: {hosts:?}");
    }
    ensure!(aws.seen().len() == rows.len(), "more than one call for a password");
    ensure!(!aws.seen().iter().any(|call| call.body.contains(SECRET_ACCESS_KEY)), "the key was sent");
    Ok(())
}
