//! The one directory of the cache, and what may be done in it.
//!
//! It is opened once, checked, and from then on everything is done relative to it, so nobody can put another
//! in its place. No symbolic link is followed out of it.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::error::{Code, Error};

/// An entry has about 3 KiB.
const USUAL_FILE: usize = 4 << 10;
const LARGEST_FILE: u64 = 64 << 10;

/// The extension of a file that is being written.
pub(super) const TEMPORARY: &str = "tmp";

const ONLY_OWNER: Mode = Mode::RUSR.union(Mode::WUSR);
const BY_OTHERS: u32 = 0o077;
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// An open directory that nobody else can write to.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    descriptor: OwnedFd,
}

impl Directory {
    /// Opens it, and makes it first if it is not there.
    pub(super) fn open_or_create(path: &Path) -> Result<Self, Error> {
        if let Some(directory) = Self::open(path)? {
            return Ok(directory);
        }
        let name = path.display();
        let refused = |cause: String| Error::new(Code::CacheDirectory, cause);
        let created = DirBuilder::new().recursive(true).mode(0o700).create(path);
        created.map_err(|error| refused(format!("cannot create `{name}`: {error}")))?;
        Self::open(path)?.ok_or_else(|| refused(format!("`{name}` is gone again")))
    }

    /// Opens it; none if it is not there.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, Error> {
        let name = path.display();
        let refused = |cause: String| Err(Error::new(Code::CacheDirectory, cause));
        if !path.is_absolute() {
            return refused(format!("`{name}` is not an absolute path"));
        }
        // A slash at the end would have the kernel follow a link.
        let path: &PathBuf = &path.components().collect();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(CWD, path, flags, Mode::empty());
        let opened = opened.and_then(|descriptor| Ok((rustix::fs::fstat(&descriptor)?, descriptor)));
        let (status, descriptor) = match opened {
            Ok(opened) => opened,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                return refused(format!(
                    "`{name}` is not a directory (a symbolic link does not count as one)"
                ));
            }
            Err(error) => return refused(format!("cannot open `{name}`: {error}")),
        };
        let user = geteuid().as_raw();
        if status.st_uid != user {
            let cause =
                format!("`{name}` belongs to user {}, and this process runs as {user}", status.st_uid);
            return refused(cause);
        }
        if status.st_mode & WRITABLE_BY_OTHERS != 0 {
            let mode = status.st_mode & 0o7777;
            let cause = format!("others can write to `{name}` (mode {mode:04o})");
            return Err(Error::new(Code::CacheDirectory, cause).with_remedy(format!("chmod 0700 {name}")));
        }
        Ok(Some(Self { path: path.to_owned(), descriptor }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The content of a file; none if there is no such file. One that is not ours alone, or no file at all, is
    /// an error.
    pub(super) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        // A named pipe would otherwise be waited for.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let file = match self.open_file(name, flags) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut content = Vec::with_capacity(USUAL_FILE);
        file.take(LARGEST_FILE + 1).read_to_end(&mut content)?;
        if content.len() as u64 > LARGEST_FILE {
            return Err(io::Error::other("it is too large"));
        }
        Ok(Some(content))
    }

    /// Puts a file in the place of the one that is there. Whoever reads it, and whenever this process dies,
    /// gets the old content or the new.
    pub(super) fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let temporary = format!("{name}.{:016x}.{TEMPORARY}", fastrand::u64(..));
        let mut file = self.open_file(&temporary, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
        let written = file
            .write_all(content)
            .and_then(|()| file.sync_all())
            .and_then(|()| Ok(rustix::fs::renameat(&self.descriptor, &temporary, &self.descriptor, name)?));
        written.inspect_err(|_| drop(self.remove(&temporary)))
    }

    /// Locks a file, which is made if it is not there; none if another process holds the lock.
    ///
    /// The lock is advisory and goes with the process that holds it. A network file system may know no locks,
    /// which is an error here, or may wait for its server, which ends at the deadline.
    pub(super) fn try_lock(&self, name: &str) -> io::Result<Option<File>> {
        let file = self.open_file(name, OFlags::RDWR | OFlags::CREATE | OFlags::NONBLOCK)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn open_file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let descriptor = rustix::fs::openat(&self.descriptor, name, flags, ONLY_OWNER)?;
        let status = rustix::fs::fstat(&descriptor)?;
        if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("it is not a file"));
        }
        if status.st_uid != geteuid().as_raw() || status.st_mode & BY_OTHERS != 0 {
            return Err(io::Error::other("it is not this user's alone"));
        }
        Ok(File::from(descriptor))
    }

    /// The files in it.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let entries = Dir::read_from(&self.descriptor)?;
        let names = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_str().ok()?.to_owned()));
        Ok(names.filter(|name| name != "." && name != "..").collect())
    }

    /// When a file was last written, in seconds since 1970 by the wall clock.
    pub(super) fn written_at(&self, name: &str) -> Option<i64> {
        let status: Stat = rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some(status.st_mtime)
    }

    /// Removes a file.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.descriptor, name, AtFlags::empty())?)
    }
}
