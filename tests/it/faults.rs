//! AWS in every state but well: each fault ends inside the deadline, with its own code.

use std::net::TcpListener;
use std::time::Duration;

use ecr_credential_provider::protocol::ApiVersion;
use stand_in::aws::{Aws, Fault, StatusCode};

use crate::plugin::{HOST, IMAGE, Plugin};

const DOING: &str = "asking for a password for `571600876202.dkr.ecr.eu-central-1.amazonaws.com` at `AWS`";
/// What a login page of a guest network, or the blocking page of a proxy, looks like.
const PORTAL: &str = "<!DOCTYPE html><html><title>Welcome</title><form>canary-portal</form></html>";

/// The faults of the service, the line that reports each, and how many calls were made.
#[expect(clippy::too_many_lines, reason = "a table")]
fn faults() -> Vec<(Fault, String, usize)> {
    let error = |status, code, message: &str| Fault::Error(status, code, message.to_owned());
    let raw = |status, content_type, body: &str| Fault::Raw(status, content_type, body.to_owned());
    let data = |text: &str| Fault::Data(text.to_owned());
    let request = "request id 00000000-1111-2222-3333-444444444444";
    let denied = "User: arn:aws:iam::571600876202:user/node is not authorized to perform: ecr:GetAuthorizationToken on resource: *";
    vec![
        (
            Fault::Reset,
            format!("ECRP503 the connection broke: {DOING}: Connection reset by peer (os error 104); [..]"),
            3,
        ),
        (
            Fault::Close,
            format!(
                "ECRP503 the connection broke: {DOING}: connection closed before message completed; [..]"
            ),
            3,
        ),
        (Fault::Hang, format!("ECRP504 no answer in time: {DOING}: [..]"), 3),
        (Fault::Drip(Duration::from_millis(50)), format!("ECRP504 no answer in time: {DOING}: [..]"), 3),
        (
            error(
                StatusCode::INTERNAL_SERVER_ERROR,
                "ServerException",
                "These errors are usually caused by a server-side issue.",
            ),
            format!(
                "ECRP602 AWS failed to answer: {DOING}: ServerException: These errors are usually caused by a server-side issue. (status 500, {request}); [..]"
            ),
            3,
        ),
        (
            raw(StatusCode::SERVICE_UNAVAILABLE, "text/html", "<h1>503</h1>"),
            format!("ECRP602 AWS failed to answer: {DOING}: status 503, {request}; [..]"),
            3,
        ),
        (
            error(StatusCode::BAD_REQUEST, "ThrottlingException", "Rate exceeded"),
            format!(
                "ECRP601 AWS throttles us: {DOING}: ThrottlingException: Rate exceeded (status 400, {request}); [..]"
            ),
            3,
        ),
        (
            error(StatusCode::BAD_REQUEST, "AccessDeniedException", denied),
            format!(
                "ECRP401 AWS denies access: {DOING}: AccessDeniedException: {denied} (status 400, {request}); allow the action that is named for this identity (private registries need `ecr:GetAuthorizationToken` on `*`)"
            ),
            1,
        ),
        (
            error(
                StatusCode::BAD_REQUEST,
                "ExpiredTokenException",
                "The security token included in the request is expired",
            ),
            format!(
                "ECRP403 the AWS session has expired: {DOING}: ExpiredTokenException: The security token included in the request is expired (status 400, {request}); [..]"
            ),
            1,
        ),
        (
            error(StatusCode::BAD_REQUEST, "InvalidParameterException", "what is this"),
            format!(
                "ECRP607 AWS refuses the request: {DOING}: InvalidParameterException: what is this (status 400, {request}); [..]"
            ),
            1,
        ),
        (
            raw(StatusCode::OK, "application/x-amz-json-1.1", "%$&garbage"),
            format!(
                "ECRP603 the answer is not from AWS: {DOING}: status 200, content type `application/x-amz-json-1.1`; [..]"
            ),
            1,
        ),
        (
            raw(StatusCode::OK, "text/html", PORTAL),
            format!(
                "ECRP603 the answer is not from AWS: {DOING}: status 200, content type `text/html`; look for a captive portal or proxy that answers in the place of AWS"
            ),
            1,
        ),
        (
            raw(StatusCode::FORBIDDEN, "text/html", PORTAL),
            format!(
                "ECRP603 the answer is not from AWS: {DOING}: status 403, content type `text/html`; [..]"
            ),
            1,
        ),
        (
            raw(StatusCode::FOUND, "text/html", PORTAL),
            format!(
                "ECRP603 the answer is not from AWS: {DOING}: status 302, content type `text/html`; [..]"
            ),
            1,
        ),
        (
            raw(StatusCode::OK, "text/html", &"x".repeat(3 << 20)),
            format!("ECRP603 the answer is not from AWS: {DOING}: status 200, [..]"),
            3,
        ),
        (
            data("{}"),
            format!(
                "ECRP604 the answer holds no authorization token: {DOING}: `authorizationData` is empty; [..]"
            ),
            1,
        ),
        (
            data(r#"{"authorizationData": []}"#),
            format!(
                "ECRP604 the answer holds no authorization token: {DOING}: `authorizationData` is empty; [..]"
            ),
            1,
        ),
        (
            data(r#"{"authorizationData": [{"expiresAt": {expires}}]}"#),
            format!(
                "ECRP604 the answer holds no authorization token: {DOING}: there is no `authorizationToken`; [..]"
            ),
            1,
        ),
        (
            data(r#"{"authorizationData": [{"authorizationToken": "{token}"}]}"#),
            format!(
                "ECRP604 the answer holds no authorization token: {DOING}: there is no `expiresAt`; [..]"
            ),
            1,
        ),
        (
            data(r#"{"authorizationData": [{"authorizationToken": "QVdT", "expiresAt": {expires}}]}"#),
            format!(
                "ECRP605 the authorization token cannot be decoded: {DOING}: there is no colon between user and password; [..]"
            ),
            1,
        ),
        (
            data(r#"{"authorizationData": [{"authorizationToken": "{token}", "expiresAt": 1420070400}]}"#),
            format!(
                "ECRP606 the authorization token has expired already: {DOING}: it was issued at [..]Z and is valid until 2015-01-01T00:00:00Z; [..]"
            ),
            1,
        ),
    ]
}

#[test]
fn each_fault_of_aws_has_its_own_code() {
    for (fault, line, calls) in faults() {
        let aws = Aws::start();
        aws.behave(|aws| aws.fault = Some(fault.clone()));
        let plugin = Plugin::with_key(&aws).env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "2s");
        plugin.ask(IMAGE).within(Duration::from_secs(2)).masking(&aws.address(), "AWS").failed(&line);
        assert_eq!(aws.seen().len(), calls, "calls to AWS: {line}");
    }
}

#[test]
fn a_port_where_nobody_listens() {
    let address =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let aws = Aws::start();
    let plugin = Plugin::with_key(&aws).env("AWS_ENDPOINT_URL_ECR", format!("http://{address}"));
    plugin.ask(IMAGE).masking(&address, "AWS").failed(&format!(
        "ECRP502 cannot connect: {DOING}: Connection refused (os error 111); open the firewall to this host and \
         port, or set `HTTPS_PROXY` in the `env` of the CredentialProviderConfig"
    ));
}

#[test]
fn a_connection_that_breaks_once_is_tried_again() {
    let aws = Aws::start();
    aws.behave(|aws| aws.fault = Some(Fault::ResetTimes(2)));
    let plugin = Plugin::with_key(&aws).env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "5s");
    plugin.ask(IMAGE).answered(ApiVersion::V1, HOST, "6h0m0s");
    assert_eq!(aws.seen().len(), 3);
}

#[test]
fn a_slow_answer_is_waited_for_within_the_deadline() {
    let aws = Aws::start();
    aws.behave(|aws| aws.latency = Duration::from_millis(300));
    Plugin::with_key(&aws).ask(IMAGE).answered(ApiVersion::V1, HOST, "6h0m0s");
}

#[test]
fn the_password_is_kept_for_half_of_its_life_by_the_clock_of_aws() {
    let rows = [
        // Life of the password, how far AWS's clock is ahead, what the kubelet is told.
        (12 * 3600, 0, "6h0m0s"),
        (12 * 3600, 240, "6h0m0s"),
        (12 * 3600, -240, "6h0m0s"),
        (3600, -240, "30m0s"),
        (61, 0, "30s"),
        (1, 0, "0s"),
        // Nobody gets to keep a password for 12 hours, whatever AWS says.
        (7 * 24 * 3600, 0, "6h0m0s"),
    ];
    for (life, ahead, cache_duration) in rows {
        let aws = Aws::start();
        aws.behave(|aws| {
            aws.password_life = jiff::SignedDuration::from_secs(life);
            aws.clock_ahead = jiff::SignedDuration::from_secs(ahead);
        });
        Plugin::with_key(&aws).ask(IMAGE).answered(ApiVersion::V1, HOST, cache_duration);
    }
}

/// The clock of this machine is two hours off. AWS says so, the SDK signs again with the corrected time.
#[test]
fn a_wrong_clock_is_corrected_by_that_of_aws() {
    for hours in [-2, 2] {
        let aws = Aws::start();
        aws.behave(|aws| aws.clock_ahead = jiff::SignedDuration::from_hours(hours));
        let plugin = Plugin::with_key(&aws).env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "10s");
        plugin.ask(IMAGE).answered(ApiVersion::V1, HOST, "6h0m0s");
        assert_eq!(aws.seen().len(), 2, "refused once, then accepted");
    }
}

#[test]
fn a_clock_that_aws_does_not_forgive_is_named() {
    let aws = Aws::start();
    let message = "Signature expired: 20261123T100000Z is now earlier than 20261123T120000Z";
    aws.behave(|aws| {
        aws.fault =
            Some(Fault::Error(StatusCode::BAD_REQUEST, "InvalidSignatureException", message.to_owned()));
    });
    let plugin = Plugin::with_key(&aws).env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "2s");
    plugin.ask(IMAGE).masking(&aws.address(), "AWS").failed(&format!(
        "ECRP701 AWS finds our clock wrong: {DOING}: InvalidSignatureException: {message} (status 400, request id \
         00000000-1111-2222-3333-444444444444); set this machine's clock (`timedatectl`, chrony)"
    ));
}

/// ECR Public serves without a password too, so what only means "no password" is no failure there.
#[test]
fn the_public_gallery_goes_without_a_password_where_aws_refuses_one() {
    let denied = Fault::Error(StatusCode::BAD_REQUEST, "AccessDeniedException", "no".to_owned());
    let unknown = Fault::Error(StatusCode::BAD_REQUEST, "UnrecognizedClientException", "no".to_owned());
    let rows = [(denied, "ECRP401"), (unknown, "ECRP402")];
    for (fault, code) in rows {
        let aws = Aws::start();
        aws.behave(|aws| aws.fault = Some(fault.clone()));
        let outcome = Plugin::with_key(&aws).ask("public.ecr.aws/docker/library/nginx");
        outcome.answered_nothing("5m0s", &format!("{code} [..]"));
    }
    Plugin::bare().ask("public.ecr.aws/docker/library/nginx").answered_nothing("5m0s", "ECRP301 [..]");

    let aws = Aws::start();
    aws.behave(|aws| aws.fault = Some(Fault::Hang));
    let plugin = Plugin::with_key(&aws).env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "2s");
    let outcome = plugin.ask("public.ecr.aws/docker/library/nginx");
    outcome.within(Duration::from_secs(2)).failed("ECRP504 [..]");
}
