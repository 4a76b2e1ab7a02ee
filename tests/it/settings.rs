//! Settings from the environment, as far as a run shows them; `src/settings.rs` tests the rest.

use stand_in::aws::Aws;

use crate::plugin::{IMAGE, Plugin};

const REMEDY: &str =
    "correct it where the kubelet's environment or the `env` of the CredentialProviderConfig sets it";

#[test]
fn a_bad_value_fails_every_call_at_once() {
    let aws = Aws::start();
    let rows = [
        ("ECR_CREDENTIAL_PROVIDER_DEADLINE", "2m", "it must be from 1s to 55s"),
        ("ECR_CREDENTIAL_PROVIDER_DEADLINE", "soon", "the unit `soon` is unknown (h, m, s, ms)"),
        ("ECR_CREDENTIAL_PROVIDER_IMDS", "yes", "it must be one of auto, enabled, disabled"),
        ("ECR_CREDENTIAL_PROVIDER_LOG", "verbose", "it must be one of error, debug"),
    ];
    for (name, value, reason) in rows {
        Plugin::with_key(&aws).env(name, value).ask(IMAGE).failed(&format!(
            "ECRP201 a setting has an invalid value: `{name}` is `{value}`: {reason}; {REMEDY}"
        ));
    }
    assert_eq!(aws.seen().len(), 0);
}

#[test]
fn an_empty_value_is_no_value() {
    let aws = Aws::start();
    let plugin = Plugin::with_key(&aws)
        .env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "")
        .env("ECR_CREDENTIAL_PROVIDER_LOG", "")
        .env("AWS_CA_BUNDLE", "")
        .env("AWS_ENDPOINT_URL", "")
        .env("AWS_ENDPOINT_URL_STS", "");
    assert_eq!(plugin.ask(IMAGE).code, Some(0));
    let name = "at `api.ecr.eu-central-1.amazonaws.com`: ";
    let outcome = plugin.env("AWS_ENDPOINT_URL_ECR", "").ask(IMAGE);
    assert!(outcome.stderr.starts_with("ECRP501 ") && outcome.stderr.contains(name), "{outcome:#?}");
}
