//! What is at a path of the node, and how it is changed: the only place of `install` that writes.
//!
//! A file or link is made beside its place under a name of ours, and moved there when it is whole and on the disk. So
//! at any moment there is the old one or the new one, also for a program that runs, which cannot be written to.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::process::geteuid;
use sha2::{Digest, Sha256};

use crate::error::{Code, Error};
use crate::host;
use crate::node::root;

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Absent,
    /// A file.
    File(Content),
    /// A symbolic link to this.
    Link(PathBuf),
    /// A folder of this mode.
    Folder(u32),
    /// A device or the like, which is never changed.
    Other,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its mode, without its type.
    pub mode: u32,
    /// User and group; root if it is new, or who runs this without being root.
    pub owner: Option<(u32, u32)>,
    /// When it was modified, in seconds and nanoseconds; now if it is new.
    pub modified: Option<(u64, u32)>,
}

impl Content {
    /// A new file of root.
    pub fn new(bytes: impl Into<Vec<u8>>, mode: u32) -> Self {
        Self { bytes: bytes.into(), mode, owner: Some((0, 0)), modified: None }
    }

    /// The file with other bytes.
    #[must_use]
    pub fn with_bytes(&self, bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), modified: None, ..self.clone() }
    }

    /// A name for the bytes.
    pub fn hash(&self) -> String {
        hash(&self.bytes)
    }
}

/// A path that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The path, without links in it.
    pub path: PathBuf,
    /// What is there.
    pub before: State,
    /// What will be there.
    pub after: State,
}

/// A name for bytes.
pub(crate) fn hash(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Looks at a path, without following a link there.
pub fn look(root: &Path, path: &Path) -> Result<State, Error> {
    let here = root::on(root, path);
    let status = match here.symlink_metadata() {
        Ok(status) => status,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(State::Absent);
        }
        Err(error) => return Err(failed("look at", path, &error)),
    };
    let mode = status.mode() & 0o7777;
    if status.is_symlink() {
        let target = here.read_link().map_err(|error| failed("read the link", path, &error))?;
        return Ok(State::Link(target));
    }
    if status.is_dir() {
        return Ok(State::Folder(mode));
    }
    if !status.is_file() {
        return Ok(State::Other);
    }
    let bytes = host::read_file(&here).map_err(|error| Error::new(Code::NodeUnwritable, error))?;
    let modified =
        Some((status.mtime().unsigned_abs(), u32::try_from(status.mtime_nsec()).unwrap_or_default()));
    Ok(State::File(Content { bytes, mode, owner: Some((status.uid(), status.gid())), modified }))
}

/// One step that is done as a whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Makes a folder; it may be there.
    MakeFolder(PathBuf, u32),
    /// Writes a file beside its place.
    Write(PathBuf, Content),
    /// Makes a link beside its place.
    WriteLink(PathBuf, PathBuf),
    /// Moves what was made beside a place there.
    Put(PathBuf),
    /// Removes what was made beside a place; it may be gone.
    Discard(PathBuf),
    /// Adds a line to the end of a file of ours.
    Append(PathBuf, String),
    /// Cuts a file of ours to this length.
    Cut(PathBuf, u64),
    /// Removes a file or link, and what was made beside it; it may be gone.
    Remove(PathBuf),
    /// Removes a folder, unless there is something in it; it may be gone.
    RemoveFolder(PathBuf),
}

impl Step {
    /// Does it below `root`.
    pub fn perform(&self, root: &Path) -> Result<(), Error> {
        let on = |path: &Path| root::on(root, path);
        let (action, path, done) = match self {
            Self::MakeFolder(path, mode) => ("make the folder", path, make_folder(&on(path), *mode)),
            Self::Write(path, content) => ("write", path, write_beside(&on(path), content)),
            Self::WriteLink(path, target) => ("make the link", path, link_beside(&on(path), target)),
            Self::Put(path) => ("replace", path, put(&on(path))),
            Self::Discard(path) => ("clean up beside", path, remove_one(&beside(&on(path)))),
            Self::Append(path, line) => ("write to", path, append(&on(path), line)),
            Self::Cut(path, length) => ("cut", path, cut(&on(path), *length)),
            Self::Remove(path) => ("remove", path, remove(&on(path))),
            Self::RemoveFolder(path) => ("remove the folder", path, remove_folder(&on(path))),
        };
        done.map_err(|error| failed(action, path, &error))
    }
}

fn failed(action: &str, path: &Path, error: &io::Error) -> Error {
    Error::new(Code::NodeUnwritable, format!("cannot {action} `{}`: {error}", path.display()))
}

/// Its name is the same each time, so that what an interrupted run has left is used up by the next.
fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".ecr-credential-provider-new");
    path.with_file_name(name)
}

fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
        outcome => outcome?,
    }
    // Whatever the umask is.
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    sync_parent(path)
}

fn write_beside(path: &Path, content: &Content) -> io::Result<()> {
    let new = beside(path);
    remove_one(&new)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(&content.bytes)?;
    if geteuid().is_root()
        && let Some((user, group)) = content.owner
    {
        std::os::unix::fs::fchown(&file, Some(user), Some(group))?;
    }
    copy_label(path, &file);
    file.set_permissions(Permissions::from_mode(content.mode))?;
    if let Some((seconds, nanoseconds)) = content.modified {
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds))?;
    }
    file.sync_all()
}

/// What SELinux calls the file that is replaced, so that the new one is called the same. Where it is refused,
/// `restorecon` follows.
fn copy_label(path: &Path, file: &File) {
    let label = c"security.selinux";
    let mut value = [0; 256];
    if let Ok(length) = rustix::fs::lgetxattr(path, label, &mut value) {
        let _ = rustix::fs::fsetxattr(file, label, &value[..length], rustix::fs::XattrFlags::empty());
    }
}

fn link_beside(path: &Path, target: &Path) -> io::Result<()> {
    let new = beside(path);
    remove_one(&new)?;
    symlink(target, new)
}

fn put(path: &Path) -> io::Result<()> {
    fs::rename(beside(path), path)?;
    sync_parent(path)
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()?;
    sync_parent(path)
}

fn cut(path: &Path, length: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(length)?;
    file.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    remove_one(&beside(path))?;
    remove_one(path)?;
    sync_parent(path)
}

fn remove_one(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(()),
        removed => removed,
    }
}

fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) => Ok(()),
        removed => removed,
    }
}

/// So that the new name is on the disk, too.
fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent().map(File::open) {
        Some(Ok(folder)) => folder.sync_all(),
        _ => Ok(()),
    }
}
