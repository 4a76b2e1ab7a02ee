//! Files in directories that others may write to: of a collector of metrics, say. Nobody can make us write to
//! another file than the one that is named.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::process::geteuid;

/// Opens a regular file of this user, or makes it with `mode` if the flags say so.
pub(super) fn open(path: &Path, flags: OFlags, mode: Mode) -> io::Result<File> {
    // A named pipe would otherwise be waited for.
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, mode)?);
    let status = file.metadata()?;
    if !status.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    if status.uid() != geteuid().as_raw() || status.nlink() > 1 {
        return Err(io::Error::other("it is not this user's alone"));
    }
    Ok(file)
}

/// The same path with more at its end.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut longer = path.as_os_str().to_owned();
    longer.push(suffix);
    longer.into()
}
