//! Every form of host name, in every version of the protocol, at the real endpoint names of AWS.
//!
//! A proxy leads those names to the stand-in, over TLS with a test CA, so region, endpoint, signature and
//! certificate are what they are in production.

use std::fs;

use ecr_credential_provider::protocol::ApiVersion;
use stand_in::aws::{ACCESS_KEY_ID, Aws, SECRET_ACCESS_KEY};
use stand_in::kubelet::CredentialProviderConfig;
use stand_in::proxy::{Manner, Proxy};
use stand_in::tls::TestCa;

use crate::plugin::{Plugin, repository_file, request};

/// Host, region of the signature, host name of the API.
///
/// The FIPS names are those of the AWS SDKs' rules for endpoints.
pub(crate) const FORMS: &[(&str, &str, &str)] = &[
    ("571600876202.dkr.ecr.eu-central-1.amazonaws.com", "eu-central-1", "api.ecr.eu-central-1.amazonaws.com"),
    (
        "571600876202.dkr.ecr.eu-central-1.amazonaws.com:443",
        "eu-central-1",
        "api.ecr.eu-central-1.amazonaws.com",
    ),
    (
        "571600876202.dkr.ecr-fips.us-east-2.amazonaws.com",
        "us-east-2",
        "api.ecr-fips.us-east-2.amazonaws.com",
    ),
    ("571600876202.dkr-ecr.eu-central-1.on.aws", "eu-central-1", "ecr.eu-central-1.api.aws"),
    ("571600876202.dkr-ecr-fips.us-west-2.on.aws", "us-west-2", "ecr-fips.us-west-2.api.aws"),
    (
        "571600876202.dkr.ecr.us-gov-west-1.amazonaws.com",
        "us-gov-west-1",
        "api.ecr.us-gov-west-1.amazonaws.com",
    ),
    (
        "571600876202.dkr.ecr-fips.us-gov-east-1.amazonaws.com",
        "us-gov-east-1",
        "api.ecr-fips.us-gov-east-1.amazonaws.com",
    ),
    ("571600876202.dkr-ecr.us-gov-west-1.on.aws", "us-gov-west-1", "ecr.us-gov-west-1.api.aws"),
    ("571600876202.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1", "api.ecr.cn-north-1.amazonaws.com.cn"),
    (
        "571600876202.dkr-ecr.cn-northwest-1.on.amazonwebservices.com.cn",
        "cn-northwest-1",
        "ecr.cn-northwest-1.api.amazonwebservices.com.cn",
    ),
    ("571600876202.dkr.ecr.us-iso-east-1.c2s.ic.gov", "us-iso-east-1", "api.ecr.us-iso-east-1.c2s.ic.gov"),
    (
        "571600876202.dkr.ecr.us-isob-east-1.sc2s.sgov.gov",
        "us-isob-east-1",
        "api.ecr.us-isob-east-1.sc2s.sgov.gov",
    ),
    (
        "571600876202.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk",
        "eu-isoe-west-1",
        "api.ecr.eu-isoe-west-1.cloud.adc-e.uk",
    ),
    (
        "571600876202.dkr.ecr.us-isof-south-1.csp.hci.ic.gov",
        "us-isof-south-1",
        "api.ecr.us-isof-south-1.csp.hci.ic.gov",
    ),
    (
        "571600876202.dkr.ecr.eusc-de-east-1.amazonaws.eu",
        "eusc-de-east-1",
        "api.ecr.eusc-de-east-1.amazonaws.eu",
    ),
    ("public.ecr.aws", "us-east-1", "api.ecr-public.us-east-1.amazonaws.com"),
    ("ecr-public.aws.com", "us-east-1", "ecr-public.us-east-1.api.aws"),
];

const VERSIONS: [ApiVersion; 3] = [ApiVersion::V1, ApiVersion::V1Beta1, ApiVersion::V1Alpha1];

#[test]
fn every_host_form_gets_a_working_password_from_its_own_endpoint() {
    let ca = TestCa::new();
    let aws = Aws::start_tls(&ca);
    let scratch = tempfile::tempdir().expect("a directory");
    let bundle = scratch.path().join("ca.pem");
    fs::write(&bundle, ca.pem()).expect("write");
    for (host, region, endpoint) in FORMS {
        for version in VERSIONS {
            let proxy = Proxy::start(aws.address(), Manner::Open);
            let plugin = Plugin::bare()
                .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
                .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
                .env("AWS_CA_BUNDLE", bundle.display().to_string())
                .env("HTTPS_PROXY", format!("http://{}", proxy.authority()))
                // The region in the host name wins.
                .env("AWS_REGION", "ap-southeast-2");
            let password =
                plugin.send(request(version, &format!("{host}/team/app"))).answered(version, host, "6h0m0s");
            assert!(aws.accepts_password(&password), "{host}");
            let last = aws.seen().pop().expect("a call");
            assert_eq!((last.region.as_str(), last.host.as_str()), (*region, *endpoint), "{host}");
            assert_eq!(proxy.asked(), [format!("CONNECT {endpoint}:443 HTTP/1.1")], "{host}");
        }
    }
    assert_eq!(aws.seen().len(), FORMS.len() * VERSIONS.len(), "one call for each request");
}

#[test]
fn a_custom_endpoint_replaces_the_kind_of_endpoint_that_the_host_asks_for() {
    let aws = Aws::start();
    let host = "571600876202.dkr-ecr-fips.us-west-2.on.aws";
    let image = format!("{host}/team/app");
    Plugin::with_key(&aws).ask(&image).answered(ApiVersion::V1, host, "6h0m0s");
    let for_all_services =
        Plugin::with_key(&aws).without("AWS_ENDPOINT_URL_ECR").env("AWS_ENDPOINT_URL", aws.url());
    for_all_services.ask(&image).answered(ApiVersion::V1, host, "6h0m0s");
    let regions: Vec<_> = aws.seen().into_iter().map(|seen| seen.region).collect();
    assert_eq!(regions, ["us-west-2", "us-west-2"]);
}

#[test]
fn a_registry_without_a_repository_is_understood_too() {
    let aws = Aws::start();
    let host = "571600876202.dkr.ecr.eu-central-1.amazonaws.com";
    Plugin::with_key(&aws).ask(host).answered(ApiVersion::V1, host, "6h0m0s");
}

#[test]
fn the_shipped_configuration_matches_every_host_form() {
    let config = repository_file("node-config/credential-provider-config.yaml");
    let config = CredentialProviderConfig::parse(&config).expect("the kubelet would take it");
    for (host, ..) in FORMS.iter().filter(|(host, ..)| !host.contains(':')) {
        assert!(config.provider_for(&format!("{host}/team/app")).is_some(), "{host}");
    }
    assert!(config.provider_for("registry.k8s.io/pause").is_none());
}
