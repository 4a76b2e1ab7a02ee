//! Writing the configuration of a client.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use crate::host;

/// The clients' own mode for a file that may hold passwords, and for its directory.
const MODE: u32 = 0o600;
const MODE_OF_DIRECTORY: u32 = 0o700;

/// Puts a file with `text` in the place of the one that is there, or makes it. Whoever reads it gets the old text or
/// the new. Owner and mode stay; a symbolic link stays one, and the file that it leads to is replaced.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let before = place.metadata().ok();
    let directory = place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(MODE_OF_DIRECTORY).create(directory)?;
    let temporary = beside(&place);
    let written = write(&temporary, text, before.as_ref()).and_then(|()| std::fs::rename(&temporary, &place));
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written?;
    File::open(directory)?.sync_all()
}

/// Removes the file.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    std::fs::remove_file(path.canonicalize()?)
}

fn write(path: &Path, text: &str, like: Option<&Metadata>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    if let Some(like) = like {
        let made = file.metadata()?;
        if (made.uid(), made.gid()) != (like.uid(), like.gid()) {
            fchown(&file, Some(like.uid()), Some(like.gid()))?;
        }
        file.set_permissions(Permissions::from_mode(like.mode() & 0o7777))?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}", host::process_id()))
}
