//! `cache list` and `cache clear`, and where the secrets are.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use serde_json::Value;
use stand_in::aws::SECRET_ACCESS_KEY;

use super::{World, read};
use crate::plugin::{IMAGE, Plugin};

const LIST: [&str; 2] = ["cache", "list"];
const CLEAR: [&str; 2] = ["cache", "clear"];

impl World {
    /// The binary for people: no key, no AWS.
    fn command(&self, arguments: &[&str]) -> Plugin {
        Plugin::bare().with_cache(&self.directory()).args(arguments)
    }
}

#[test]
fn list_shows_everything_but_the_password() {
    let world = World::new();
    world.plugin().ask(IMAGE).credentials();
    world.plugin().ask("public.ecr.aws/docker/library/busybox").credentials();
    let json = world.command(&["cache", "list", "--output", "json"]).send("");
    assert_eq!((json.code, json.stderr.as_str()), (Some(0), ""));
    let mut rows: Vec<Value> = serde_json::from_str(&json.stdout).expect("JSON");
    for row in &mut rows {
        let mut time = |name: &str| row[name].take().as_str().expect("a time").parse().expect("a time");
        let [issued, refresh, expires]: [jiff::Timestamp; 3] =
            [time("issuedAt"), time("refreshAt"), time("expiresAt")];
        assert_eq!(expires.duration_since(issued), SignedDuration::from_hours(12));
        let due = refresh.duration_since(issued);
        assert!(due >= SignedDuration::from_hours(6) && due <= SignedDuration::from_mins(432), "{due:#}");
    }
    let row = |registries: &str, region: &str| {
        serde_json::json!({
            "registries": registries, "region": region,
            "identity": "the environment, key AKIAIOSFODNN7EXAMPLE",
            "issuedAt": null, "refreshAt": null, "expiresAt": null, "state": "fresh",
        })
    };
    assert_eq!(
        rows,
        [row("*.dkr.ecr.eu-central-1.amazonaws.com", "eu-central-1"), row("public.ecr.aws", "us-east-1")]
    );

    world.command(&LIST).send("").is(
        0,
        "REGISTRIES                            REGION        IDENTITY                                   ISSUED                REFRESH DUE           EXPIRES               STATE\n\
         *.dkr.ecr.eu-central-1.amazonaws.com  eu-central-1  the environment, key AKIAIOSFODNN7EXAMPLE  [..]Z  [..]Z  [..]Z  fresh\n\
         public.ecr.aws                        us-east-1     the environment, key AKIAIOSFODNN7EXAMPLE  [..]Z  [..]Z  [..]Z  fresh\n",
        "",
    );
}

#[test]
fn list_tells_the_stages_apart() {
    let world = World::new();
    world.plugin().ask(IMAGE).credentials();
    let state = || {
        let json = world.command(&["cache", "list", "--output", "json"]).send("");
        let rows: Value = serde_json::from_str(&json.stdout).expect("JSON");
        rows[0]["state"].as_str().expect("a state").to_owned()
    };
    assert_eq!(state(), "fresh");
    world.age("token", SignedDuration::from_hours(8));
    assert_eq!(state(), "due");
    world.age("token", SignedDuration::from_hours(8));
    assert_eq!(state(), "expired");
    world.age("token", SignedDuration::from_hours(-8));
    world.reboot();
    assert_eq!(state(), "from before the last boot");
}

#[test]
fn an_empty_cache_is_nothing_special() {
    let world = World::new();
    let directory = world.directory().display().to_string();
    for _ in 0..2 {
        world.command(&LIST).send("").is(0, &format!("no tokens in {directory}\n"), "");
        world.command(&["cache", "list", "--output", "json"]).send("").is(0, "[]\n", "");
        world.command(&CLEAR).send("").is(0, &format!("removed 0 tokens from {directory}\n"), "");
        let _ = fs::create_dir(world.directory());
    }
}

#[test]
fn clear_removes_everything_that_is_of_the_cache() {
    let world = World::new();
    world.plugin().ask(IMAGE).credentials();
    let token = world.file("token");
    fs::write(token.with_extension("failed"), "{}").expect("written");
    fs::write(token.with_extension("token.123.tmp"), "half of a token").expect("written");
    fs::write(world.directory().join("README"), "not ours").expect("written");
    let directory = world.directory().display().to_string();
    world.command(&CLEAR).send("").is(0, &format!("removed 1 token from {directory}\n"), "");
    let left: Vec<_> = fs::read_dir(&directory).expect("readable").collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(world.directory().join("README").exists());
    world.plugin().ask(IMAGE).credentials();
    assert_eq!(world.calls(), 2);
}

#[test]
fn a_directory_that_cannot_be_used_is_said_so() {
    let world = World::new();
    fs::create_dir(world.directory()).expect("created");
    fs::set_permissions(world.directory(), fs::Permissions::from_mode(0o777)).expect("changed");
    let directory = world.directory().display().to_string();
    for arguments in [LIST, CLEAR] {
        world.command(&arguments).send("").failed(&format!(
            "ECRP204 the cache directory cannot be used: others can write to `{directory}` (mode 0777); chmod 0700 \
             {directory}"
        ));
    }
}

/// A leftover of a process that was killed, and the files of an identity that is long gone, go with the next
/// token.
#[test]
fn what_nobody_needs_does_not_stay() {
    let world = World::new();
    world.plugin().ask(IMAGE).credentials();
    let token = world.file("token");
    let write = |name: String, content: &[u8], is_old: bool| {
        let path = world.directory().join(name);
        let mut file = fs::File::options().create(true).write(true).truncate(true).mode(0o600).open(&path);
        let file = file.as_mut().expect("created");
        file.write_all(content).expect("written");
        if is_old {
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("changed");
        }
        path
    };
    let [gone, alive] = ["a", "b"].map(|digit| digit.repeat(64));
    let stays = [
        write(format!("{gone}.token.2.tmp"), b"being written", false),
        write(format!("{alive}.token"), &read(&token), true),
        write(format!("{alive}.1.lock"), b"", true),
    ];
    let goes = [
        write(format!("{gone}.token.1.tmp"), b"half of a token", true),
        write(format!("{gone}.token"), b"of another version", false),
        write(format!("{gone}.1.lock"), b"", true),
        write(format!("{gone}.1.failed"), b"{}", true),
    ];
    for _ in 0..2 {
        fs::remove_file(&token).expect("removed");
        world.plugin().ask(IMAGE).credentials();
    }
    assert!(stays.iter().all(|path| path.exists()), "{stays:?}");
    assert!(!goes.iter().any(|path| path.exists()), "{goes:?}");
}

/// One that cannot be removed does not keep the others.
#[test]
fn clear_goes_on_after_a_failure() {
    let world = World::new();
    world.plugin().ask(IMAGE).credentials();
    let lock = world.file("lock");
    fs::remove_file(&lock).expect("removed");
    fs::create_dir(&lock).expect("created");
    world.command(&CLEAR).send("").failed(&format!(
        "ECRP204 the cache directory cannot be used: cannot remove `{}`: Is a directory (os error 21); [..]",
        lock.display()
    ));
    assert_eq!(world.files("token").len(), 0);
}

/// The password is in the file of the token and nowhere else; the key that it was got with is nowhere.
#[test]
fn secrets_are_where_they_belong() {
    let world = World::new();
    let credentials = world.folder.path().join("credentials");
    let key = format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n",
        stand_in::aws::ACCESS_KEY_ID
    );
    fs::write(&credentials, key).expect("written");
    let plugin = world.talking().without("AWS_ACCESS_KEY_ID").without("AWS_SECRET_ACCESS_KEY");
    let plugin = plugin
        .env("AWS_SHARED_CREDENTIALS_FILE", credentials.display().to_string())
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "full");
    let mut shown = String::new();
    for age in [0, 8, 16] {
        let outcome = plugin.ask(IMAGE);
        assert_eq!(outcome.code, Some(0), "{outcome:#?}");
        shown += &outcome.stderr;
        world.age("token", SignedDuration::from_hours(age));
    }
    for arguments in [&LIST[..], &["cache", "list", "--output", "json"]] {
        let outcome = world.command(arguments).env("ECR_CREDENTIAL_PROVIDER_LOG", "debug").send("");
        shown += &(outcome.stdout + &outcome.stderr);
    }
    assert!(!shown.contains("canary"), "{shown}");
    let token = world.file("token");
    assert!(find(&read(&token), b"canary-password-"));
    for path in files_below(world.folder.path()).into_iter().filter(|path| *path != credentials) {
        assert!(!path.to_string_lossy().contains("canary"), "{}", path.display());
        assert!(!find(&read(&path), b"canary-secret"), "{}", path.display());
        assert!(path == token || !find(&read(&path), b"canary"), "{}", path.display());
    }
}

fn find(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
