//! Whatever is in the place of the cache, it is never why a pull fails.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use super::{World, read};
use crate::plugin::IMAGE;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("changed");
}

fn make_pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo runs").success());
}

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it is there").mode() & 0o7777
}

#[test]
fn a_missing_directory_is_made_for_the_owner_alone() {
    let world = World::new();
    world.plugin().ask(IMAGE).credentials();
    assert_eq!(mode_of(&world.directory()), 0o700);
    assert_eq!(mode_of(&world.file("token")), 0o600);
    assert_eq!(mode_of(&world.file("lock")), 0o600);
}

/// A way to spoil the directory, and the words that tell.
type Spoiled = (fn(&World, &Path), &'static str);

#[test]
fn a_directory_that_cannot_be_trusted_is_passed_over() {
    let rows: &[Spoiled] = &[
        (|_, path| fs::write(path, "").expect("written"), "`DIR` is not a directory"),
        (|_, path| symlink("/nonexistent", path).expect("linked"), "`DIR` is not a directory"),
        (
            |world, path| {
                fs::create_dir(world.folder.path().join("elsewhere")).expect("created");
                symlink(world.folder.path().join("elsewhere"), path).expect("linked");
            },
            "`DIR` is not a directory (a symbolic link does not count as one)",
        ),
        (
            |_, path| {
                fs::create_dir(path).expect("created");
                set_mode(path, 0o777);
            },
            "others can write to `DIR` (mode 0777); chmod 0700 DIR",
        ),
        (
            |_, path| {
                fs::create_dir(path).expect("created");
                set_mode(path, 0o1770);
            },
            "others can write to `DIR` (mode 1770); chmod 0700 DIR",
        ),
    ];
    for (spoil, reason) in rows {
        let world = World::new();
        let directory = world.directory();
        spoil(&world, &directory);
        let before = fs::symlink_metadata(&directory).expect("there");
        assert!(world.aws.accepts_password(&world.plugin().ask(IMAGE).credentials().0), "{reason}");
        let trace = world.talking().ask(IMAGE).masking(&directory.display(), "DIR").stderr;
        let line =
            format!("going on without the cache: ECRP204 the cache directory cannot be used: {reason}");
        assert!(trace.contains(&line), "{trace}");
        assert_eq!(world.calls(), 2, "nothing was kept: {reason}");
        let after = fs::symlink_metadata(&directory).expect("there");
        assert_eq!((before.ino(), before.mode()), (after.ino(), after.mode()), "{reason}");
        let elsewhere = world.folder.path().join("elsewhere");
        assert!(!elsewhere.exists() || fs::read_dir(elsewhere).expect("readable").next().is_none());
    }
}

/// Places where nobody, not even root, can make a directory, and one that belongs to somebody else.
#[test]
fn a_directory_that_cannot_be_had_is_passed_over() {
    let world = World::new();
    let of_another = world.folder.path().join("of-another");
    fs::create_dir(&of_another).expect("created");
    let is_root = std::os::unix::fs::chown(&of_another, Some(12345), None).is_ok();
    let of_another = if is_root { of_another.display().to_string() } else { "/usr".to_owned() };
    let rows = [
        ("/proc/cache".to_owned(), "cannot create `/proc/cache`: "),
        ("/dev/null/cache".to_owned(), "`/dev/null/cache` is not a directory"),
        ("relative".to_owned(), "`relative` is not an absolute path"),
        (of_another.clone(), &format!("`{of_another}` belongs to user ")),
    ];
    for (path, reason) in rows {
        let plugin = world.talking().env("ECR_CREDENTIAL_PROVIDER_CACHE_DIR", path);
        let outcome = plugin.ask(IMAGE);
        assert_eq!(outcome.code, Some(0), "{outcome:#?}");
        let line =
            format!("going on without the cache: ECRP204 the cache directory cannot be used: {reason}");
        assert!(outcome.stderr.contains(&line), "{}", outcome.stderr);
    }
}

/// A user without any directory to call its own, as in a plugin of a kubelet that does not run as root.
#[test]
fn no_usual_place_is_no_reason_to_fail() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let world = World::new();
    // The build's folder may be root's alone, so the binary goes to where everybody can run it.
    let binary = world.folder.path().join("plugin");
    fs::copy(crate::plugin::binary(), &binary).expect("copied");
    set_mode(world.folder.path(), 0o755);
    let plugin = world.talking().without("ECR_CREDENTIAL_PROVIDER_CACHE_DIR");
    let outcome = plugin.program(&binary).user(12345).ask(IMAGE);
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    let reason = "there is no usual place: no XDG_RUNTIME_DIR, no XDG_CACHE_HOME, no HOME";
    assert!(outcome.stderr.contains(reason), "{}", outcome.stderr);
}

/// What is in its place, how it comes there, and the words that tell.
type SpoiledToken<'a> = (&'a str, &'a dyn Fn(&Path), &'a str);

/// What is in the place of the token is as good as nothing, and is replaced if it can be.
#[test]
fn a_token_that_cannot_be_read_is_replaced() {
    let replace = |path: &Path, content: &[u8]| fs::write(path, content).expect("written");
    let rows: &[SpoiledToken<'_>] = &[
        ("empty", &|path| replace(path, b""), "not an entry of this version"),
        ("cut off", &|path| replace(path, &read(path)[..700]), "not an entry of this version"),
        ("binary", &|path| replace(path, b"\x00\xff\xfe"), "not an entry of this version"),
        ("huge", &|path| replace(path, &vec![b' '; 1 << 20]), "it is too large"),
        ("newer", &|path| replace(path, br#"{"version":2,"tokens":[{}]}"#), "not an entry of this version"),
        (
            "without a password",
            &|path| {
                let mut json: serde_json::Value = serde_json::from_slice(&read(path)).expect("JSON");
                json["password"] = "".into();
                replace(path, json.to_string().as_bytes());
            },
            "it holds no valid token",
        ),
        ("readable by others", &|path| set_mode(path, 0o644), "it is not this user's alone"),
        ("a pipe", &|path| (fs::remove_file(path).expect("removed"), make_pipe(path)).1, "it is not a file"),
        (
            "a link to a good one",
            &|path| {
                let outside = path.parent().and_then(Path::parent).expect("a folder").join("outside");
                fs::rename(path, &outside).expect("moved");
                symlink(outside, path).expect("linked");
            },
            "Too many levels of symbolic links",
        ),
    ];
    for (name, spoil, reason) in rows {
        let world = World::new();
        let (first, _) = world.plugin().ask(IMAGE).credentials();
        spoil(&world.file("token"));
        let outcome = world.talking().ask(IMAGE);
        let trace = &outcome.stderr;
        let line = format!("passing over `{}`: ", world.file("token").display());
        assert!(trace.contains(&line) && trace.contains(reason), "{name}: {trace}");
        assert!(!trace.contains("canary"), "{name}: {trace}");
        assert_eq!((outcome.code, world.calls()), (Some(0), 2), "{name}");
        let (again, _) = world.plugin().ask(IMAGE).credentials();
        assert_eq!(world.calls(), 2, "{name}: the new one was kept");
        assert_ne!(again, first, "{name}");
        assert_eq!(mode_of(&world.file("token")), 0o600, "{name}");
    }
}

#[test]
fn a_place_that_cannot_be_written_to_is_no_reason_to_fail() {
    let rows: &[(&str, &str)] =
        &[("token", "cannot write"), ("lock", "cannot lock"), ("failed", "passing over")];
    for (extension, words) in rows {
        let world = World::new();
        world.plugin().ask(IMAGE).credentials();
        let base = world.file(if *extension == "token" { "token" } else { "lock" });
        let place = base.with_extension(extension);
        fs::remove_file(world.file("token")).expect("removed");
        let _ = fs::remove_file(&place);
        fs::create_dir(&place).expect("created");
        let outcome = world.talking().ask(IMAGE);
        assert_eq!((outcome.code, world.calls()), (Some(0), 2), "{extension}: {outcome:#?}");
        assert!(outcome.stderr.contains(&format!("{words} `{}`", place.display())), "{}", outcome.stderr);
    }
}

#[test]
fn a_lock_that_is_a_pipe_is_no_reason_to_wait() {
    let world = World::new();
    world.plugin().ask(IMAGE).credentials();
    let lock = world.file("lock");
    fs::remove_file(world.file("token")).expect("removed");
    fs::remove_file(&lock).expect("removed");
    make_pipe(&lock);
    world.plugin().ask(IMAGE).credentials();
}
