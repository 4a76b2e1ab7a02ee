//! The wall clock is wrong, or jumps.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use ecr_credential_provider::duration::GoDuration;
use jiff::SignedDuration;
use stand_in::aws::Fault;

use super::World;
use crate::plugin::{IMAGE, Plugin};

const HOUR: i64 = 3600;

/// The wall clock of a process, set ahead by so many seconds.
struct Clock(String);

impl Clock {
    /// A library that the loader puts before libc. Only the wall clock is changed, as when somebody sets it.
    fn new(folder: &Path) -> Self {
        let library = folder.join("clock.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/cache/clock.c");
        let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status();
        assert!(built.expect("cc runs").success());
        Self(library.display().to_string())
    }

    fn ahead_by(&self, seconds: i64, plugin: &Plugin) -> Plugin {
        plugin.clone().env("LD_PRELOAD", self.0.clone()).env("CLOCK_AHEAD", seconds.to_string())
    }
}

#[test]
fn a_clock_that_jumps_leaves_the_token_as_it_is() {
    let world = World::new();
    let clock = Clock::new(world.folder.path());
    let (password, _) = world.plugin().ask(IMAGE).credentials();
    for ahead in [2 * HOUR, -2 * HOUR] {
        let outcome = clock.ahead_by(ahead, &world.plugin()).ask(IMAGE);
        assert_eq!(outcome.credentials().0, password, "{ahead}");
    }
    assert_eq!(world.calls(), 1);
}

/// A machine that was paused, or whose clock ran wrong: the token may have expired, so it is not served.
#[test]
fn after_a_jump_over_its_life_the_token_is_not_served() {
    let world = World::new();
    let clock = Clock::new(world.folder.path());
    let (password, _) = world.plugin().ask(IMAGE).credentials();
    let ahead = clock.ahead_by(13 * HOUR, &world.plugin());
    world.aws.behave(|aws| aws.clock_ahead = SignedDuration::from_hours(13));
    assert_ne!(ahead.ask(IMAGE).credentials().0, password);
    assert_eq!(world.calls(), 2);
}

/// What it got from AWS while the clock was wrong is as good as any.
#[test]
fn a_wrong_clock_is_named_and_does_not_spoil_the_token() {
    for ahead in [2 * HOUR, -2 * HOUR, 20 * HOUR, -20 * HOUR] {
        let world = World::new();
        let clock = Clock::new(world.folder.path());
        let outcome = clock.ahead_by(ahead, &world.talking()).ask(IMAGE);
        let expected = "the local clock differs from that of AWS by ";
        assert!(outcome.stderr.contains(expected), "{ahead}: {}", outcome.stderr);
        let calls = world.calls();
        assert!(outcome.stdout.contains("\"cacheDuration\":\"6h0m0s\""), "{ahead}: {outcome:#?}");
        // The same wrong clock, a few moments later.
        let (_, keep) = clock.ahead_by(ahead, &world.plugin()).ask(IMAGE).credentials();
        assert!(keep > GoDuration::from_secs(6 * 3600 - 60), "{ahead}: {keep}");
        assert_eq!(world.calls(), calls, "{ahead}");
    }
}

/// Set back, the clock says that the token is young. It is not.
#[test]
fn a_clock_that_is_set_back_does_not_prolong_a_life() {
    let world = World::new();
    let clock = Clock::new(world.folder.path());
    world.aws.behave(|aws| aws.password_life = SignedDuration::from_secs(3));
    let (password, _) = world.plugin().ask(IMAGE).credentials();
    thread::sleep(Duration::from_secs(3));
    assert!(!world.aws.accepts_password(&password));
    world.aws.behave(|aws| aws.fault = Some(Fault::Reset));
    let outcome = clock.ahead_by(-2 * HOUR, &world.plugin()).ask(IMAGE);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{outcome:#?}");
    assert!(outcome.stderr.starts_with("ECRP503 the connection broke: "), "{outcome:#?}");
}
