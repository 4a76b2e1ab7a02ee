//! Who can change a file, and who can read it.
//!
//! The settings file decides who gets a password, and as whom. So it must be root's or this user's, and so must
//! be every directory and every symbolic link on the way to it, or its owner could put another in its place.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use rustix::process::geteuid;

use crate::error::{Code, Error};
use crate::node::root::on;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// It holds no secret.
    Anybody,
    /// It holds one.
    Owner,
}

const STICKY: u32 = 0o1000;
/// As many as the kernel follows.
pub(crate) const MOST_LINKS: usize = 40;

/// Goes the way to a file, and checks each step and the file. Returns where it ends, which is a path without
/// symbolic links that nobody else can change; nothing if the file is not there.
pub(crate) fn trusted(path: &Path, readers: Readers) -> Result<Option<PathBuf>, Error> {
    trusted_below(Path::new("/"), path, readers)
}

/// The same for a path of the file system in the folder `root`, out of which no link leads. Who owns the folder, and
/// those that it is in, is not looked at.
pub(crate) fn trusted_below(root: &Path, path: &Path, readers: Readers) -> Result<Option<PathBuf>, Error> {
    if !path.is_absolute() {
        let error = Error::new(Code::Untrusted, format!("`{}` is not an absolute path", path.display()));
        return Err(error.with_remedy("name it from `/` on"));
    }
    let mut ahead = steps_of(path);
    let mut place = PathBuf::from("/");
    let mut links = 0;
    if root == place {
        check(&place, &look(&place)?.ok_or_else(|| missing(&place))?, readers)?;
    }
    while let Some(step) = ahead.pop() {
        if step == ".." {
            place.pop();
            continue;
        }
        let next = place.join(&step);
        let here = on(root, &next);
        let Some(status) = look(&here)? else { return Ok(None) };
        check(&next, &status, if ahead.is_empty() { readers } else { Readers::Anybody })?;
        if !status.is_symlink() {
            place = next;
            continue;
        }
        links += 1;
        let target = here.read_link().ok().filter(|_| links <= MOST_LINKS).ok_or_else(|| missing(&next))?;
        if target.is_absolute() {
            place = PathBuf::from("/");
        }
        ahead.extend(steps_of(&target));
    }
    Ok(Some(place))
}

/// The names in a path, the last first.
pub(crate) fn steps_of(path: &Path) -> Vec<OsString> {
    let steps = path.components().rev().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    steps.collect()
}

fn look(path: &Path) -> Result<Option<Metadata>, Error> {
    match path.symlink_metadata() {
        Ok(status) => Ok(Some(status)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(Error::new(Code::Untrusted, format!("cannot look at `{}`: {error}", path.display())))
        }
    }
}

fn missing(path: &Path) -> Error {
    Error::new(Code::Untrusted, format!("`{}` leads nowhere", path.display()))
        .with_remedy("correct the link, or remove it")
}

fn check(path: &Path, status: &Metadata, readers: Readers) -> Result<(), Error> {
    let name = path.display();
    let refused = |cause: String, remedy: String| Err(Error::new(Code::Untrusted, cause).with_remedy(remedy));
    let mode = status.mode() & 0o7777;
    if ![0, geteuid().as_raw()].contains(&status.uid()) {
        return refused(
            format!("`{name}` belongs to user {}", status.uid()),
            format!("chown -h root {name}"),
        );
    }
    // The mode of a link says nothing, and /dev/null is everybody's, and empty.
    if status.is_symlink() || status.file_type().is_char_device() {
        return Ok(());
    }
    // In a sticky directory, such as /tmp, nobody can replace what is another's.
    let is_sticky = status.is_dir() && mode & STICKY != 0;
    if mode & 0o022 != 0 && !is_sticky {
        return refused(
            format!("others can write to `{name}` (mode {mode:04o})"),
            format!("chmod go-w {name}"),
        );
    }
    if readers == Readers::Owner && !status.is_dir() && mode & 0o044 != 0 {
        return refused(format!("others can read `{name}` (mode {mode:04o})"), format!("chmod 0600 {name}"));
    }
    Ok(())
}
