//! The cache of tokens, through the binary.

mod clock;
mod commands;
mod crash;
mod hostile;
mod outage;
mod sharing;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use stand_in::aws::Aws;
use tempfile::TempDir;

use crate::plugin::Plugin;

/// A cache of a test's own, in a directory that does not exist yet, and an AWS to fill it.
struct World {
    aws: Aws,
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        Self { aws: Aws::start(), folder: tempfile::tempdir().expect("a directory") }
    }

    fn directory(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn plugin(&self) -> Plugin {
        Plugin::with_key(&self.aws).with_cache(&self.directory())
    }

    /// With its trace on stderr.
    fn talking(&self) -> Plugin {
        self.plugin().env("ECR_CREDENTIAL_PROVIDER_LOG", "debug")
    }

    fn calls(&self) -> usize {
        self.aws.seen().len()
    }

    /// The files of the cache with this extension.
    fn files(&self, extension: &str) -> Vec<PathBuf> {
        let entries =
            fs::read_dir(self.directory()).expect("a cache").map(|entry| entry.expect("an entry").path());
        entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
    }

    /// The only file of the cache with this extension.
    #[track_caller]
    fn file(&self, extension: &str) -> PathBuf {
        let files = self.files(extension);
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }

    /// Makes what is in the only file with this extension older.
    #[track_caller]
    fn age(&self, extension: &str, by: SignedDuration) {
        self.edit(extension, |json| {
            // The time since boot cannot be shifted so far on a machine that was just started.
            let moment = if extension == "token" { "askedAt" } else { "at" };
            let wall: Timestamp = json[moment]["wall"].as_str().expect("a time").parse().expect("a time");
            json[moment]["wall"] = (wall - by).to_string().into();
        });
    }

    /// Makes the token one of another boot.
    fn reboot(&self) {
        self.edit("token", |json| json["askedAt"]["boot"]["id"] = "another boot".into());
    }

    /// Changes a file at once, as other processes may read it.
    fn edit(&self, extension: &str, change: impl FnOnce(&mut Value)) {
        let file = self.file(extension);
        let mut json: Value = serde_json::from_slice(&read(&file)).expect("JSON");
        change(&mut json);
        let edited = self.folder.path().join("edited");
        fs::write(&edited, json.to_string()).expect("written");
        fs::set_permissions(&edited, Permissions::from_mode(0o600)).expect("changed");
        fs::rename(edited, file).expect("renamed");
    }
}

#[expect(clippy::disallowed_methods, reason = "tests look into the cache")]
fn read(path: &Path) -> Vec<u8> {
    fs::read(path).expect("readable")
}
