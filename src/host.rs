//! The process and its machine: the only module that reads the environment, the arguments, the clock,
//! stdin and files, and that writes to stdout and stderr. The directory of the cache belongs to `cache`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::system::uname;
use rustix::time::{ClockId, clock_gettime};

use crate::clock::{Moment, SinceBoot};
use crate::error::{Code, Error};
use crate::role::Role;
use crate::secret::Secret;

/// What `main` hands down: arguments and environment as they were at the start, and the start itself.
#[derive(Debug)]
pub struct Host {
    arguments: Vec<OsString>,
    environment: BTreeMap<OsString, OsString>,
    stopwatch: Stopwatch,
}

impl Host {
    /// The process that runs.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads process state")]
    pub fn of_this_process() -> Self {
        Self {
            arguments: std::env::args_os().collect(),
            environment: std::env::vars_os().collect(),
            stopwatch: Stopwatch(Instant::now()),
        }
    }

    /// The arguments, the program's name first.
    pub(crate) fn arguments(&self) -> &[OsString] {
        &self.arguments
    }

    /// What the program is used as.
    pub(crate) fn role(&self) -> Role {
        Role::of(&self.arguments)
    }

    /// An environment variable. One that is empty counts as not set, as in the AWS SDKs.
    pub(crate) fn variable(&self, name: &str) -> Option<&OsStr> {
        self.environment.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// All environment variables that are not empty.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        let all = self.environment.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()));
        all.filter(|(_, value)| !value.is_empty())
    }

    /// Starts this program anew in the place of this process, with `flag` after the name of the command, and with
    /// `environment` and nothing of its own. Returns only if that fails.
    pub(crate) fn start_anew<'a>(
        &self,
        flag: &str,
        environment: impl Iterator<Item = &'a (String, Secret)>,
    ) -> io::Error {
        let mut command = Command::new("/proc/self/exe");
        command.args(self.arguments.get(1..2).unwrap_or_default()).arg(flag);
        command.args(self.arguments.get(2..).unwrap_or_default());
        command.env_clear().envs(environment.map(|(name, value)| (name, value.expose())));
        command.exec()
    }

    /// The time since the process started.
    pub(crate) fn stopwatch(&self) -> Stopwatch {
        self.stopwatch
    }

    /// A point in time, counted from the start of the process.
    pub(crate) fn deadline(&self, limit: Duration) -> Deadline {
        Deadline { stopwatch: self.stopwatch, limit }
    }
}

/// The time since the process started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// When everything must be over. All waiting is cut from this one budget.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    stopwatch: Stopwatch,
    limit: Duration,
}

impl Deadline {
    pub(crate) fn limit(self) -> Duration {
        self.limit
    }

    pub(crate) fn remaining(self) -> Duration {
        self.limit.saturating_sub(self.stopwatch.elapsed())
    }
}

/// The time of the local clock. It may be wrong; nothing that decides over a token may rest on it alone.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// Now, in a form that can be compared with that of another process.
pub(crate) fn moment() -> Moment {
    let boot_id = read_file(Path::new("/proc/sys/kernel/random/boot_id")).ok();
    let boot_id = boot_id.and_then(|bytes| Some(String::from_utf8(bytes).ok()?.trim().to_owned()));
    let since_boot = Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default();
    let milliseconds = u64::try_from(since_boot.as_millis()).unwrap_or(u64::MAX);
    Moment { wall: now(), boot: boot_id.map(|id| SinceBoot { id, milliseconds }) }
}

/// The name of this machine, which is that of the node unless the kubelet was told another.
pub(crate) fn node_name() -> String {
    uname().nodename().to_string_lossy().into_owned()
}

pub(crate) fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// How many characters fit into a line of the terminal.
pub(crate) fn stdout_columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// The number of this process.
pub(crate) fn process_id() -> u32 {
    std::process::id()
}

pub(crate) fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Reads stdin to its end, or `limit` bytes and one more, by which the caller knows that there are too many.
pub(crate) fn read_stdin(limit: usize) -> io::Result<Vec<u8>> {
    let mut input = Vec::new();
    let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    io::stdin().lock().take(one_more).read_to_end(&mut input)?;
    Ok(input)
}

/// Writes the whole answer, or reports why not (a closed pipe is not a reason to be killed by a signal).
pub(crate) fn write_stdout(bytes: &[u8]) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    written.map_err(|error| Error::new(Code::ResponseUnwritten, error))
}

/// Writes a line to stderr. Nothing can be done if that fails, so nothing is.
pub(crate) fn write_stderr(line: &str) {
    let _ = io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

/// Writes the last line to stderr. The kubelet puts it into a line of its journal, and spreads that over three
/// if it ends with a line break, of which the middle one, with the cause, is not marked as an error. So it
/// gets one only at a terminal.
pub(crate) fn write_last_words(line: &str) {
    let line_break = if io::stderr().is_terminal() { "\n" } else { "" };
    let _ = io::stderr().lock().write_all(format!("{line}{line_break}").as_bytes());
}

/// A file that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{}`: {source}", path.display())]
pub(crate) struct FileError {
    path: PathBuf,
    source: io::Error,
}

impl FileError {
    pub(crate) fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

/// Far more than any file that is read has, in MiB. Devices have no end.
const LARGEST_FILE: u64 = 256;

/// Reads a file that is small by nature.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, FileError> {
    let limit = LARGEST_FILE << 20;
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
    match read {
        Ok(size) if size as u64 > limit => {
            let reason = format!("it has more than {LARGEST_FILE} MiB");
            Err(io::Error::new(io::ErrorKind::FileTooLarge, reason))
        }
        read => read.map(|_| bytes),
    }
    .map_err(|source| FileError { path: path.to_owned(), source })
}

/// Writes a file that is nobody's yet to rely on, and the folders above it.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(path, bytes));
    written.map_err(|error| format!("`{}`: {error}", path.display()))
}

/// Writes a file for its owner alone. Whoever reads it meanwhile gets the old one or the new one.
pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let _ = std::fs::remove_file(&new);
    let folder = path.parent().unwrap_or(Path::new("/"));
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| options.open(&new))
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&new, path));
    written.map_err(|error| format!("`{}`: {error}", path.display()))
}

/// Makes a folder the `/` of this process.
pub(crate) fn enter_root(folder: &Path) -> io::Result<()> {
    rustix::process::chroot(folder)?;
    std::env::set_current_dir("/")
}

/// Runs a program to its end; what it says is told only if it fails.
pub(crate) fn run_quietly(program: &str, arguments: &[OsString]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("running `{program}`: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("`{program}` ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// The names in a directory, in no order.
pub(crate) fn list_directory(path: &Path) -> Result<Vec<OsString>, FileError> {
    let names =
        std::fs::read_dir(path).and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect());
    names.map_err(|source| FileError { path: path.to_owned(), source })
}

/// What a program prints when it is started with `argument` and nothing else, if it ends well within `limit`.
pub(crate) fn output_of(program: &Path, argument: &str, limit: Duration) -> Option<String> {
    let mut command = Command::new(program);
    command.arg(argument).env_clear().current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let patience = Duration::from_millis(10);
    let mut waited = Duration::ZERO;
    let status = loop {
        match child.try_wait() {
            Ok(None) if waited < limit => {
                std::thread::sleep(patience);
                waited += patience;
            }
            Ok(Some(status)) => break status,
            Ok(None) | Err(_) => {
                let _ = child.kill().and_then(|()| child.wait());
                return None;
            }
        }
    };
    let mut output = String::new();
    child.stdout.take()?.take(4096).read_to_string(&mut output).ok()?;
    status.success().then_some(output)
}

/// Ends the process from a place that cannot return to `main`.
#[expect(clippy::exit, reason = "a panic hook and a watching thread cannot return")]
pub(crate) fn exit_with_failure() -> ! {
    std::process::exit(1)
}

/// Leaves the end to another thread.
pub(crate) fn wait_for_the_end() -> ! {
    loop {
        std::thread::park();
    }
}
