//! One call of AWS for all who may share its answer, and for nobody else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::Duration;

use stand_in::aws::{ACCESS_KEY_ID, Fault, SECRET_ACCESS_KEY, StatusCode};

use super::World;
use crate::plugin::{IMAGE, Outcome, Plugin, binary};

/// Runs `plugin` for `image` in many processes at once.
fn at_once(processes: usize, plugin: &Plugin, image: &str) -> Vec<Outcome> {
    thread::scope(|scope| {
        let running: Vec<_> = (0..processes).map(|_| scope.spawn(|| plugin.ask(image))).collect();
        running.into_iter().map(|process| process.join().expect("it ran")).collect()
    })
}

#[test]
fn fifty_processes_on_an_empty_cache_make_one_call() {
    let world = World::new();
    world.aws.behave(|aws| aws.latency = Duration::from_millis(300));
    let outcomes = at_once(50, &world.plugin(), IMAGE);
    let (password, _) = outcomes[0].credentials();
    assert!(world.aws.accepts_password(&password));
    for outcome in outcomes {
        // One after the other would take 15 s.
        assert_eq!(outcome.within(Duration::from_secs(3)).credentials().0, password);
    }
    assert_eq!(world.calls(), 1);
}

/// On a disk that takes nothing the lock works, but its holder cannot share.
#[test]
fn on_a_full_disk_nobody_stands_in_line() {
    let world = World::new();
    world.aws.behave(|aws| aws.latency = Duration::from_secs(1));
    let script = world.folder.path().join("plugin");
    let text = format!("#!/bin/sh\ntrap '' XFSZ\nulimit -f 0\nexec {}\n", binary().display());
    fs::write(&script, text).expect("written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("changed");
    let outcomes = at_once(20, &world.plugin().program(&script), IMAGE);
    for outcome in outcomes {
        outcome.within(Duration::from_secs(8)).credentials();
    }
    assert_eq!((world.calls(), world.files("token").len(), world.files("tmp").len()), (20, 0, 0));
}

#[test]
fn fifty_processes_that_meet_one_failure_make_one_call() {
    let world = World::new();
    let fault = Fault::Error(StatusCode::BAD_REQUEST, "AccessDeniedException", "no".to_owned());
    world.aws.behave(|aws| (aws.latency, aws.fault) = (Duration::from_millis(300), Some(fault)));
    let outcomes = at_once(50, &world.plugin(), IMAGE);
    let cause = "asking for a password for `571600876202.dkr.ecr.eu-central-1.amazonaws.com` at `AWS`: \
                 AccessDeniedException: no (status 400, request id 00000000-1111-2222-3333-444444444444); allow the \
                 action that is named for this identity (private registries need `ecr:GetAuthorizationToken` on `*`)";
    let mut first_hand = 0;
    for outcome in outcomes {
        let outcome = outcome.masking(&world.aws.address(), "AWS");
        if outcome.stderr.contains(" ago, ") {
            outcome
                .failed(&format!("ECRP401 AWS denies access: found [..] s ago, next try after 5 s: {cause}"));
        } else {
            first_hand += 1;
            outcome.failed(&format!("ECRP401 AWS denies access: {cause}"));
        }
    }
    assert_eq!((first_hand, world.calls()), (1, 1));
}

/// ECR's tokens are for a principal and a region.
#[test]
fn the_host_names_of_a_region_share_a_token() {
    let world = World::new();
    let hosts = [
        "571600876202.dkr.ecr.eu-central-1.amazonaws.com",
        "123456789012.dkr.ecr.eu-central-1.amazonaws.com",
        "571600876202.dkr-ecr.eu-central-1.on.aws",
        "571600876202.dkr.ecr.eu-central-1.amazonaws.com:443",
    ];
    let (password, _) = world.plugin().ask(IMAGE).credentials();
    for host in hosts {
        assert_eq!(world.plugin().ask(&format!("{host}/team/app")).credentials().0, password, "{host}");
    }
    assert_eq!(world.calls(), 1);
}

#[test]
fn what_does_not_matter_to_aws_does_not_part_them() {
    let world = World::new();
    let plugin = world.plugin();
    plugin.ask(IMAGE).credentials();
    let others = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_RETRY_MODE", "adaptive"),
        ("HTTPS_PROXY", "http://127.0.0.1:1"),
        ("ECR_CREDENTIAL_PROVIDER_DEADLINE", "5s"),
        ("SSL_CERT_FILE", "/nonexistent"),
    ];
    for (name, value) in others {
        plugin.clone().env(name, value).ask(IMAGE).credentials();
    }
    assert_eq!(world.calls(), 1);
}

#[test]
fn another_region_partition_service_or_kind_of_endpoint_has_another_token() {
    let world = World::new();
    let hosts = [
        "571600876202.dkr.ecr.eu-central-1.amazonaws.com",
        "571600876202.dkr.ecr.eu-west-1.amazonaws.com",
        "571600876202.dkr.ecr-fips.us-east-1.amazonaws.com",
        "571600876202.dkr.ecr.us-east-1.amazonaws.com",
        "571600876202.dkr.ecr.cn-north-1.amazonaws.com.cn",
        "public.ecr.aws",
    ];
    for round in 0..2 {
        for host in hosts {
            world.plugin().ask(&format!("{host}/team/app")).credentials();
        }
        assert_eq!(world.calls(), hosts.len(), "round {round}");
    }
}

/// Each row is another identity, another way to it, or another AWS.
#[test]
fn another_identity_has_another_token() {
    let world = World::new();
    let write = |name: &str, text: &str| {
        let path = world.folder.path().join(name);
        fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let key = |profile: &str| {
        format!("[{profile}]\naws_access_key_id={ACCESS_KEY_ID}\naws_secret_access_key={SECRET_ACCESS_KEY}\n")
    };
    let plugin = world.plugin();
    let without_key = plugin.clone().without("AWS_ACCESS_KEY_ID").without("AWS_SECRET_ACCESS_KEY");
    let two = write("two", &(key("default") + &key("other")));
    let role = "[default]\nrole_arn = arn:aws:iam::571600876202:role/pull\nsource_profile = base\n";
    let in_file = without_key.clone().env("AWS_SHARED_CREDENTIALS_FILE", two);
    let another_role = role.replace("pull", "push");
    let by_role = without_key
        .env("AWS_SHARED_CREDENTIALS_FILE", write("base", &key("base")))
        .env("AWS_CONFIG_FILE", write("config", role))
        .env("AWS_ENDPOINT_URL_STS", world.aws.url());
    let rows = [
        plugin.clone(),
        plugin.clone().env("AWS_ENDPOINT_URL", world.aws.url()),
        plugin.env("AWS_ENDPOINT_URL_ECR", format!("{}/", world.aws.url())),
        in_file.clone(),
        in_file.env("AWS_PROFILE", "other"),
        by_role.clone(),
    ];
    for round in 0..2 {
        for row in &rows {
            row.ask(IMAGE).credentials();
        }
        let calls = world.aws.seen().iter().filter(|call| call.operation.starts_with("ecr:")).count();
        assert_eq!(calls, rows.len(), "round {round}");
    }
    // The same file with another role in it.
    let before = world.calls();
    write("config", &another_role);
    by_role.ask(IMAGE).credentials();
    assert_eq!(world.calls(), before + 2, "STS and ECR");
}

/// A new key in the place of the old, or the old key with a corrected secret.
#[test]
fn a_changed_key_file_takes_effect_at_the_next_call() {
    let world = World::new();
    let file = world.folder.path().join("credentials");
    let write = |id: &str, secret: &str| {
        let text = format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n");
        fs::write(&file, text).expect("written");
    };
    let plugin = world.plugin().without("AWS_ACCESS_KEY_ID").without("AWS_SECRET_ACCESS_KEY");
    let plugin = plugin.env("AWS_SHARED_CREDENTIALS_FILE", file.display().to_string());
    write(ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    plugin.ask(IMAGE).credentials();
    write("AKIAOFSOMEBODYELSE00", SECRET_ACCESS_KEY);
    let outcome = plugin.ask(IMAGE);
    assert!(outcome.stderr.starts_with("ECRP402 AWS does not accept the access key: asking"), "{outcome:#?}");
    write(ACCESS_KEY_ID, "a-wrong-secret");
    let outcome = plugin.ask(IMAGE);
    assert!(outcome.stderr.starts_with("ECRP402 AWS does not accept the access key: asking"), "{outcome:#?}");
    write(ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    plugin.ask(IMAGE).credentials();
    assert_eq!(world.calls(), 3);
}

#[test]
fn off_means_neither_written_nor_read() {
    let world = World::new();
    let off = world.plugin().env("ECR_CREDENTIAL_PROVIDER_CACHE", "off");
    off.ask(IMAGE).credentials();
    assert!(!world.directory().exists());
    let (cached, _) = world.plugin().ask(IMAGE).credentials();
    assert_ne!(off.ask(IMAGE).credentials().0, cached);
    assert_eq!(world.calls(), 3);
}
