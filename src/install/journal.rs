//! What was changed on this node, so that it can be undone.
//!
//! Before a change, a line about it is added to the journal, and what was there is kept beside it. So after an
//! interruption at any point the journal has all that was changed, and perhaps one change that was not made.

use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::files::{self, Change, Content, State, Step};
use crate::error::{Code, Error};
use crate::node::root;

/// Our folder for things that must last.
pub(crate) const OWN_FOLDER: &str = "/var/lib/ecr-credential-provider";
/// What belongs to `install` in it.
pub(crate) const FOLDER: &str = "/var/lib/ecr-credential-provider/install";
const JOURNAL: &str = "/var/lib/ecr-credential-provider/install/journal";
const ORIGINALS: &str = "/var/lib/ecr-credential-provider/install/originals";

/// The journal of a node.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    lines: Vec<Line>,
    /// The length of all whole lines; what follows was being written when the machine stopped.
    whole: u64,
    is_torn: bool,
}

/// A line has one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    change: Option<Entry>,
    /// The service that has to start again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restart: Option<String>,
    /// What stands above holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settled: Option<bool>,
}

/// A change of one path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) path: PathBuf,
    pub(crate) before: Snapshot,
    pub(crate) after: Snapshot,
}

/// A state with a name in the place of bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<(u32, u32)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modified: Option<(u64, u32)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Absent,
    File,
    Link,
    Folder,
}

impl Snapshot {
    fn of(state: &State) -> Self {
        match state {
            State::Absent | State::Other => Self::default(),
            State::File(content) => Self {
                kind: Kind::File,
                hash: Some(content.hash()),
                mode: Some(content.mode),
                owner: content.owner,
                modified: content.modified,
                ..Self::default()
            },
            State::Link(target) => Self { kind: Kind::Link, target: Some(target.clone()), ..Self::default() },
            State::Folder(mode) => Self { kind: Kind::Folder, mode: Some(*mode), ..Self::default() },
        }
    }

    pub(crate) fn is_absent(&self) -> bool {
        self.kind == Kind::Absent
    }

    /// Whether nobody has changed it since; a mode and an owner are no edits.
    pub(crate) fn is(&self, state: &State) -> bool {
        let now = Self::of(state);
        (self.kind, &self.hash, &self.target) == (now.kind, &now.hash, &now.target)
    }

    /// The state itself.
    pub(crate) fn load(&self, root: &Path) -> Result<State, Error> {
        Ok(match self.kind {
            Kind::Absent => State::Absent,
            Kind::Folder => State::Folder(self.mode.unwrap_or(0o755)),
            Kind::Link => State::Link(self.target.clone().unwrap_or_default()),
            Kind::File => {
                let hash = self.hash.as_deref().unwrap_or_default();
                let bytes = kept(root, hash)?;
                State::File(Content {
                    bytes,
                    mode: self.mode.unwrap_or(0o600),
                    owner: self.owner,
                    modified: self.modified,
                })
            }
        })
    }

    /// The bytes of a file, if they are kept and still the same.
    pub(crate) fn bytes(&self, root: &Path) -> Option<Vec<u8>> {
        kept(root, self.hash.as_deref()?).ok()
    }
}

fn kept(root: &Path, hash: &str) -> Result<Vec<u8>, Error> {
    let path = Path::new(ORIGINALS).join(hash);
    match files::look(root, &path)? {
        State::File(content) if content.hash() == hash => Ok(content.bytes),
        _ => Err(Error::new(Code::RollbackFailed, format!("`{}` is gone or damaged", path.display()))),
    }
}

impl Journal {
    /// Reads it; an empty one if there is none.
    pub fn read(root: &Path) -> Result<Self, Error> {
        let State::File(content) = files::look(root, Path::new(JOURNAL))? else { return Ok(Self::default()) };
        let whole = content.bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let text = String::from_utf8_lossy(&content.bytes[..whole]);
        let lines = text.lines().map(serde_json::from_str).collect::<Result<Vec<Line>, _>>();
        let lines = lines
            .map_err(|error| Error::new(Code::RollbackFailed, format!("`{JOURNAL}` is damaged: {error}")))?;
        let is_torn = whole < content.bytes.len();
        Ok(Self { lines, whole: u64::try_from(whole).unwrap_or_default(), is_torn })
    }

    /// Whether there is anything to undo.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// All changes, in order.
    pub(crate) fn entries(&self) -> Vec<&Entry> {
        self.lines.iter().filter_map(|line| line.change.as_ref()).collect()
    }

    /// Those that are not yet known to be good, in order.
    pub(crate) fn unsettled(&self) -> Vec<&Entry> {
        self.lines[self.settled()..].iter().filter_map(|line| line.change.as_ref()).collect()
    }

    /// How many lines are settled.
    fn settled(&self) -> usize {
        self.lines.iter().rposition(|line| line.settled.is_some()).map_or(0, |at| at + 1)
    }

    /// The service that was to be restarted when an earlier run was interrupted.
    pub(crate) fn restart_is_due(&self) -> bool {
        self.lines[self.settled()..].iter().any(|line| line.restart.is_some())
    }

    /// What was at `path` before us, if what is there now is ours, untouched.
    pub(crate) fn original(&self, root: &Path, path: &Path, now: &State) -> Option<State> {
        let mine: Vec<_> = self.entries().into_iter().filter(|entry| entry.path == path).collect();
        if !mine.last()?.after.is(now) {
            return None;
        }
        // Back over changes that followed each other without an edit in between.
        let mut first = mine.last()?;
        for entry in mine.iter().rev().skip(1) {
            if (entry.after.kind, &entry.after.hash) != (first.before.kind, &first.before.hash) {
                break;
            }
            first = entry;
        }
        first.before.load(root).ok()
    }

    /// The steps by which the journal is made ready, then `changes` are noted and made.
    pub fn steps(&self, restart: Option<&str>, changes: &[Change]) -> Vec<Step> {
        let mut steps = self.ready();
        if let Some(service) = restart.filter(|_| !self.restart_is_due()) {
            steps.push(note(&Line { restart: Some(service.to_owned()), ..Line::default() }));
        }
        for Change { path, before, after } in changes {
            for state in [before, after] {
                if let State::File(content) = state
                    && (state == before || content.bytes.len() < LARGEST_TEXT)
                {
                    let kept = Path::new(ORIGINALS).join(content.hash());
                    steps.push(Step::Write(kept.clone(), Content::new(content.bytes.clone(), 0o600)));
                    steps.push(Step::Put(kept));
                }
            }
            let entry =
                Entry { path: path.clone(), before: Snapshot::of(before), after: Snapshot::of(after) };
            steps.push(note(&Line { change: Some(entry), ..Line::default() }));
            steps.extend(making(path, after));
        }
        steps
    }

    fn ready(&self) -> Vec<Step> {
        let mut steps = vec![
            Step::MakeFolder(OWN_FOLDER.into(), 0o755),
            Step::MakeFolder(FOLDER.into(), 0o700),
            Step::MakeFolder(ORIGINALS.into(), 0o700),
        ];
        if self.is_torn {
            steps.push(Step::Cut(JOURNAL.into(), self.whole));
        }
        steps
    }

    /// The step by which everything so far is known to be good.
    pub fn settle(&self) -> Vec<Step> {
        let is_settled = self.settled() == self.lines.len();
        let line = Line { settled: Some(true), ..Line::default() };
        if is_settled { Vec::new() } else { vec![note(&line)] }
    }

    /// The steps by which the journal forgets what is not settled.
    pub(crate) fn forget_unsettled(&self) -> Vec<Step> {
        let settled = &self.lines[..self.settled()];
        let length: usize = settled.iter().map(|line| text_of(line).len()).sum();
        vec![Step::Cut(JOURNAL.into(), u64::try_from(length).unwrap_or_default())]
    }

    /// The steps by which it is gone, with what it kept.
    pub fn remove(root: &Path) -> Vec<Step> {
        let kept = crate::host::list_directory(&root::on(root, Path::new(ORIGINALS))).unwrap_or_default();
        let mut steps: Vec<_> =
            kept.iter().map(|name| Step::Remove(Path::new(ORIGINALS).join(name))).collect();
        steps.push(Step::RemoveFolder(ORIGINALS.into()));
        steps.push(Step::Remove(JOURNAL.into()));
        steps.push(Step::RemoveFolder(FOLDER.into()));
        steps.push(Step::RemoveFolder(OWN_FOLDER.into()));
        steps
    }
}

/// Larger files are programs: what they were replaced by need not be kept to know what is theirs.
const LARGEST_TEXT: usize = 256 << 10;

fn text_of(line: &Line) -> String {
    // A path that is no text cannot be written so; those that we change are texts.
    serde_json::to_string(line).unwrap_or_default() + "\n"
}

fn note(line: &Line) -> Step {
    Step::Append(JOURNAL.into(), text_of(line))
}

/// The steps that bring a path into a state.
pub(crate) fn making(path: &Path, state: &State) -> Vec<Step> {
    let path = path.to_owned();
    match state {
        State::Absent | State::Other => vec![Step::Remove(path)],
        State::Folder(mode) => vec![Step::MakeFolder(path, *mode)],
        State::File(content) => vec![Step::Write(path.clone(), content.clone()), Step::Put(path)],
        State::Link(target) => vec![Step::WriteLink(path.clone(), target.clone()), Step::Put(path)],
    }
}

/// Keeps others out for as long as it lives. On the folder itself, so that nothing is left of it.
#[derive(Debug)]
pub(crate) struct Lock {
    _folder: OwnedFd,
}

impl Lock {
    /// Fails at once if another run has it. None where there is no folder, so nothing to protect.
    pub(crate) fn take(root: &Path) -> Result<Option<Self>, Error> {
        let path = root::on(root, Path::new(FOLDER));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(folder) = rustix::fs::openat(CWD, &path, flags, Mode::empty()) else { return Ok(None) };
        // A file system may have no locks.
        if rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
            return Err(Error::new(Code::InstallBusy, format!("it has locked `{FOLDER}`")));
        }
        Ok(Some(Self { _folder: folder }))
    }
}
