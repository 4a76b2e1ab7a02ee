//! Who can change a file, and who can read it.
//!
//! The settings file decides who gets a password, and as whom. So it must be root's or this user's, and so must
//! be every directory on the way to it, or its owner could put another in its place.

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::process::geteuid;

use crate::error::{Code, Error};

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// It holds no secret.
    Anybody,
    /// It holds one.
    Owner,
}

const STICKY: u32 = 0o1000;

/// Checks a file and the directories on the way to it, also those behind symbolic links.
pub(crate) fn check(path: &Path, readers: Readers) -> Result<(), Error> {
    let cannot = |path: &Path, error| {
        Error::new(Code::Untrusted, format!("cannot look at `{}`: {error}", path.display()))
    };
    let real = path.canonicalize().map_err(|error| cannot(path, error))?;
    for place in path.ancestors().chain(real.ancestors()).filter(|place| place.is_absolute()) {
        let status = place.metadata().map_err(|error| cannot(place, error))?;
        // /dev/null is everybody's, and empty.
        if !status.file_type().is_char_device() {
            check_one(place, &status, if status.is_dir() { Readers::Anybody } else { readers })?;
        }
    }
    Ok(())
}

fn check_one(path: &Path, status: &Metadata, readers: Readers) -> Result<(), Error> {
    let name = path.display();
    let refused = |cause: String, remedy: String| Err(Error::new(Code::Untrusted, cause).with_remedy(remedy));
    let mode = status.mode() & 0o7777;
    if ![0, geteuid().as_raw()].contains(&status.uid()) {
        return refused(format!("`{name}` belongs to user {}", status.uid()), format!("chown root {name}"));
    }
    // In a sticky directory, such as /tmp, nobody can replace what is another's.
    let is_sticky = status.is_dir() && mode & STICKY != 0;
    if mode & 0o022 != 0 && !is_sticky {
        return refused(
            format!("others can write to `{name}` (mode {mode:04o})"),
            format!("chmod go-w {name}"),
        );
    }
    if readers == Readers::Owner && mode & 0o044 != 0 {
        return refused(format!("others can read `{name}` (mode {mode:04o})"), format!("chmod 0600 {name}"));
    }
    Ok(())
}
