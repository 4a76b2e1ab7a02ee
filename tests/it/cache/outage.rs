//! AWS is away, at each point of a token's life.

use std::time::Duration;

use ecr_credential_provider::duration::GoDuration;
use jiff::{SignedDuration, Timestamp};
use stand_in::aws::{Fault, StatusCode};

use super::World;
use crate::credential_process::{answer as process_answer, assert_gone};
use crate::identity::Files;
use crate::plugin::IMAGE;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn minutes(minutes: u64) -> GoDuration {
    GoDuration::from_secs(minutes * 60)
}

/// With a token that is `age` old, and an AWS that does not answer.
fn outage_at(age: SignedDuration) -> World {
    let world = World::new();
    world.plugin().ask(IMAGE).credentials();
    world.age("token", age);
    world.aws.behave(|aws| aws.fault = Some(Fault::Hang));
    world
}

#[test]
fn a_fresh_token_needs_no_aws() {
    let world = outage_at(HOUR * 3);
    let (password, keep) = world.plugin().ask(IMAGE).credentials();
    assert!(world.aws.accepts_password(&password));
    // Until it is due, at 6 to 7.2 hours.
    assert!(keep > minutes(3 * 60 - 1) && keep <= minutes(252), "{keep}");
    assert_eq!(world.calls(), 1);
}

/// The first call spends a fifth of its deadline on another try, those after it nothing.
#[test]
fn a_token_that_is_due_is_served_for_a_minute_at_a_time() {
    let world = outage_at(HOUR * 8);
    let plugin = world.plugin().env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "5s");
    let outcome = plugin.ask(IMAGE).within(Duration::from_secs(1));
    assert_eq!(outcome.credentials().1, minutes(1));
    assert_eq!(world.calls(), 2);
    assert_eq!(plugin.ask(IMAGE).credentials().1, minutes(1));
    assert_eq!(world.calls(), 2);
    let trace = world.talking().ask(IMAGE).stderr;
    assert!(trace.contains("AWS is not asked: ECRP504 no answer in time: found "), "{trace}");
}

/// The source of the credentials hangs. It gets no more time than AWS does, and is not left behind.
#[test]
fn a_process_for_the_identity_is_killed_when_the_time_for_another_try_is_over() {
    let (world, files) = (World::new(), Files::new());
    let [hangs, number] = ["hangs", "number"].map(|name| files.path(name).display().to_string());
    let text =
        format!("test -e '{hangs}' && echo $$ > '{number}' && exec sleep 300\necho '{}'", process_answer());
    let config = format!("[default]\ncredential_process = {}\n", files.script("process", &text));
    let plugin = world
        .plugin()
        .without("AWS_ACCESS_KEY_ID")
        .without("AWS_SECRET_ACCESS_KEY")
        .env("PATH", "/usr/bin:/bin")
        .env("AWS_CONFIG_FILE", files.write("config", &config));
    let (password, _) = plugin.ask(IMAGE).credentials();
    world.age("token", HOUR * 8);
    files.write("hangs", "");
    assert_eq!(plugin.ask(IMAGE).credentials(), (password, minutes(1)));
    assert_gone(&files, "number");
}

#[test]
fn whatever_the_failure_a_token_that_serves_is_served() {
    let denied = Fault::Error(StatusCode::BAD_REQUEST, "AccessDeniedException", "no".to_owned());
    let faults = [
        denied,
        Fault::Error(StatusCode::BAD_REQUEST, "ThrottlingException", "Rate exceeded".to_owned()),
        Fault::Raw(StatusCode::OK, "text/html", "<p>Sign in</p>".to_owned()),
        Fault::Reset,
        Fault::Data(r#"{"authorizationData": []}"#.to_owned()),
    ];
    for fault in faults {
        let world = outage_at(HOUR * 8);
        world.aws.behave(|aws| aws.fault = Some(fault.clone()));
        let plugin = world.plugin().env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "2s");
        assert_eq!(plugin.ask(IMAGE).credentials().1, minutes(1), "{fault:?}");
    }
}

#[test]
fn near_its_end_a_token_is_served_and_not_kept() {
    let world = outage_at(HOUR * 12 - SignedDuration::from_mins(2));
    let plugin = world.plugin().env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "2s");
    assert_eq!(plugin.ask(IMAGE).credentials().1, GoDuration::ZERO);
}

#[test]
fn an_expired_token_is_not_served() {
    let world = outage_at(HOUR * 12);
    world.aws.behave(|aws| {
        aws.fault =
            Some(Fault::Error(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", "away".to_owned()));
    });
    let plugin = world.plugin().env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "2s");
    let what = "asking for a password for `571600876202.dkr.ecr.eu-central-1.amazonaws.com` at `AWS`: \
                ServiceUnavailable: away (status 503, request id 00000000-1111-2222-3333-444444444444); \
                try again; see the AWS health page of this region if it lasts";
    let ask = || plugin.ask(IMAGE).masking(&world.aws.address(), "AWS");
    ask().failed(&format!("ECRP602 AWS failed to answer: {what}"));
    let calls = world.calls();
    // What was found a moment ago is said again, with its age, and AWS is left alone.
    world.age("failed", SignedDuration::from_secs(3));
    ask().failed(&format!("ECRP602 AWS failed to answer: found 3.[..] s ago, next try after 5 s: {what}"));
    assert_eq!(world.calls(), calls);
    world.age("failed", SignedDuration::from_secs(3));
    world.aws.behave(|aws| aws.fault = None);
    ask().credentials();
    assert_eq!((world.calls(), world.files("failed").len()), (calls + 1, 0));
}

#[test]
fn a_token_that_is_due_is_replaced_when_aws_is_back() {
    let world = outage_at(HOUR * 8);
    world.aws.behave(|aws| aws.fault = None);
    assert_eq!(world.plugin().ask(IMAGE).credentials().1, minutes(360));
    let (_, keep) = world.plugin().ask(IMAGE).credentials();
    assert!(keep > minutes(359) && keep < minutes(360), "{keep}");
    assert_eq!(world.calls(), 2);
}

/// It expires while AWS does not answer, and is not served then.
#[test]
fn a_token_that_expires_during_the_attempt_is_not_served() {
    let world = World::new();
    world.aws.behave(|aws| aws.password_life = SignedDuration::from_secs(4));
    world.plugin().ask(IMAGE).credentials();
    std::thread::sleep(Duration::from_millis(2700));
    world.aws.behave(|aws| aws.fault = Some(Fault::Hang));
    let outcome = world.plugin().env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "10s").ask(IMAGE);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{outcome:#?}");
    assert!(outcome.stderr.starts_with("ECRP504 no answer in time: "), "{outcome:#?}");
}

/// Who has no token has more time than who has one, so what a hasty try met does not bar another.
#[test]
fn a_hasty_failure_is_none_for_those_without_a_token() {
    let world = outage_at(HOUR * 8);
    let plugin = world.plugin().env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "2s");
    plugin.ask(IMAGE).credentials();
    world.age("token", HOUR * 8);
    world.aws.behave(|aws| aws.fault = None);
    assert_eq!(plugin.ask(IMAGE).credentials().1, minutes(360));
}

/// A firewall may know one name of the API and not the other.
#[test]
fn a_failure_by_one_way_is_none_by_another() {
    let world = World::new();
    world.aws.behave(|aws| aws.fault = Some(Fault::Reset));
    let plugin = world.plugin().env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "2s");
    let outcome = plugin.ask("571600876202.dkr-ecr.eu-central-1.on.aws/team/app");
    assert!(outcome.stderr.starts_with("ECRP503 the connection broke: asking"), "{outcome:#?}");
    world.aws.behave(|aws| aws.fault = None);
    plugin.ask(IMAGE).credentials();
}

/// Of a token from before the last boot only the wall clock knows the age.
#[test]
fn a_token_from_before_the_last_boot_is_served_for_want_of_another() {
    let world = outage_at(HOUR);
    world.reboot();
    let plugin = world.plugin().env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "2s");
    assert_eq!(plugin.ask(IMAGE).credentials().1, minutes(1));
    assert_eq!(world.calls(), 2);

    let world = outage_at(HOUR);
    world.reboot();
    world.aws.behave(|aws| aws.fault = None);
    assert_eq!(world.plugin().ask(IMAGE).credentials().1, minutes(360));
    assert_eq!(world.calls(), 2);

    // The clock ran two hours ahead when AWS was asked, and is right again: AWS's own word counts.
    let world = outage_at(HOUR * 11);
    world.reboot();
    world.edit("token", |json| {
        for time in ["issuedAt", "expiresAt"] {
            let shifted: Timestamp = json[time].as_str().expect("a time").parse().expect("a time");
            json[time] = (shifted - HOUR * 13).to_string().into();
        }
    });
    let outcome = world.plugin().env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "2s").ask(IMAGE);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{outcome:#?}");

    // Expired, and from the future.
    for age in [HOUR * 12, -HOUR] {
        let world = outage_at(age);
        world.reboot();
        let outcome = world.plugin().env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "2s").ask(IMAGE);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{age:#}: {outcome:#?}");
    }
}

/// ECR Public denies: it goes without a password, and AWS is not asked for each image again.
#[test]
fn ecr_public_goes_without_a_password_for_all() {
    let world = World::new();
    let fault = Fault::Error(StatusCode::BAD_REQUEST, "AccessDeniedException", "no".to_owned());
    world.aws.behave(|aws| aws.fault = Some(fault));
    for _ in 0..3 {
        let outcome = world.plugin().ask("public.ecr.aws/docker/library/busybox");
        outcome.answered_nothing("5m0s", "ECRP401 AWS denies access: [..]");
    }
    assert_eq!(world.calls(), 1);
}
