//! Processes that die or stop at any instant.

use std::io::Write;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use ecr_credential_provider::protocol::ApiVersion;
use jiff::SignedDuration;
use rustix::process::{Pid, Signal, kill_process};

use super::World;
use crate::plugin::{IMAGE, Plugin, now, request};

fn start(plugin: &Plugin) -> Child {
    let mut command = plugin.command();
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the binary runs");
    let input = request(ApiVersion::V1, IMAGE);
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
    child
}

/// One writes all the time and is killed, others look and must never see half of a token.
#[test]
fn killed_at_any_instant_it_leaves_the_old_token_or_the_new() {
    let world = World::new();
    world.plugin().ask(IMAGE).credentials();
    let list = world.talking().args(&["cache", "list", "--output", "json"]);
    let end = now() + Duration::from_secs(5);
    let mut killed = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            while now() < end {
                let outcome = list.send("");
                assert!(outcome.code == Some(0) && outcome.stdout.contains("expiresAt"), "{outcome:#?}");
            }
        });
        for step in (0..).take_while(|_| now() < end) {
            // Due, so that there is something to write.
            world.age("token", SignedDuration::from_hours(8));
            let mut writer = start(&world.plugin());
            thread::sleep(Duration::from_micros(step * 397 % 25_000));
            let _ = writer.kill();
            killed += usize::from(!writer.wait().expect("it ends").success());
            let outcome = world.talking().ask(IMAGE);
            assert!(!outcome.stderr.contains("passing over"), "{}", outcome.stderr);
            assert_eq!(outcome.code, Some(0), "{outcome:#?}");
        }
    });
    assert!(killed > 10, "{killed} were killed before they were done");
}

/// The holder is stopped for longer than anybody can wait.
#[test]
fn a_stopped_holder_of_the_lock_keeps_nobody_from_a_password() {
    let world = World::new();
    world.aws.behave(|aws| aws.latency = Duration::from_secs(1));
    let mut holder = start(&world.plugin());
    while world.calls() == 0 {
        thread::sleep(Duration::from_millis(5));
    }
    let pid = Pid::from_child(&holder);
    kill_process(pid, Signal::STOP).expect("stopped");
    world.aws.behave(|aws| aws.latency = Duration::ZERO);
    let impatient = world.talking().env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "12s");
    let outcome = impatient.ask(IMAGE).within(Duration::from_secs(12));
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    let line = format!("waited for `{}` for too long", world.file("lock").display());
    assert!(outcome.stderr.contains(&line), "{}", outcome.stderr);
    // What it got serves all others, without the lock.
    let before = world.calls();
    world.plugin().ask(IMAGE).within(Duration::from_secs(5)).credentials();
    assert_eq!(world.calls(), before);
    // One that is due is not waited for either.
    world.age("token", SignedDuration::from_hours(8));
    world.plugin().ask(IMAGE).within(Duration::from_secs(5)).credentials();
    assert_eq!(world.calls(), before);
    // The lock goes with its holder.
    holder.kill().expect("killed");
    holder.wait().expect("it ends");
    world.plugin().ask(IMAGE).credentials();
    assert_eq!(world.calls(), before + 1);
}

/// Those who wait for a holder that meets a dead network learn of it from the holder.
#[test]
fn who_waits_for_a_failure_gets_the_failure() {
    let world = World::new();
    world.aws.behave(|aws| aws.fault = Some(stand_in::aws::Fault::Hang));
    let plugin = world.plugin().env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "10s");
    let outcomes: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = (0..10).map(|_| scope.spawn(|| plugin.ask(IMAGE))).collect();
        running.into_iter().map(|process| process.join().expect("it ran")).collect()
    });
    for outcome in outcomes {
        let outcome = outcome.within(Duration::from_secs(10));
        assert!(outcome.stderr.starts_with("ECRP504 no answer in time: "), "{outcome:#?}");
    }
    assert_eq!(world.calls(), 3, "one process asked, three times");
}
