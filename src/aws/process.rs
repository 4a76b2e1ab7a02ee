//! Running a `credential_process`.
//!
//! The command line is split into arguments, with quotes, and nothing else is done to it: there is no shell. The
//! process leads a group of its own, and once it has ended, or the time is over, nothing of that group is left. A
//! process that it leaves behind, with its stdout open, is not waited for.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::process::{Command, ExitStatus, Stdio};
use std::task::{Context as Task, Poll};

use aws_credential_types::Credentials;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe::Receiver;

use crate::context::Context;
use crate::error::{Code, Error, one_line};
use crate::host;
use crate::watchdog::Group;

/// How much of its stdout is read. Credentials are a few kilobytes.
const LARGEST_STDOUT: usize = 64 * 1024;
/// How much of its stderr is read, of which the first line is shown.
const LARGEST_STDERR: usize = 16 * 1024;
/// The longest line of stderr that is shown, in characters.
const LONGEST_LINE: usize = 300;

/// Runs the process of `command_line` and takes the credentials from its stdout.
pub(super) async fn credentials(
    command_line: &str,
    what: &str,
    context: &Context<'_>,
) -> Result<Credentials, Error> {
    let wrong = |cause| Error::new(Code::AwsConfig, format!("{what}: {cause}"));
    let words =
        shlex::split(command_line).ok_or_else(|| wrong("a quote in `credential_process` is not closed"))?;
    let (program, arguments) =
        words.split_first().ok_or_else(|| wrong("`credential_process` names no program"))?;
    // The arguments are not shown: people write secrets into them.
    let doing = format!("{what}, running `{program}`");
    context.watchdog.enter(doing.as_str());
    let mut command = Command::new(program);
    command.args(arguments);
    let ended = run(command, context).await.map_err(|error| error.while_doing(&doing))?;
    if ended.stdout.len() > LARGEST_STDOUT {
        let cause = format!("{doing}: it wrote more than {LARGEST_STDOUT} bytes");
        return Err(Error::new(Code::IdentityMalformed, cause).with_remedy(WHAT_TO_PRINT));
    }
    if !ended.status.success() {
        // "exit status: 3", "signal: 9 (SIGKILL)"
        let status = ended.status.to_string().replacen(": ", " ", 1);
        let cause = format!("{doing}: it ended with {status}{}", ended.complaint());
        return Err(Error::new(Code::IdentitySource, cause));
    }
    parse(&ended.stdout, host::now()).map_err(|error| error.while_doing(&doing))
}

/// A process that has ended, and what it wrote.
struct Ended {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

async fn run(mut command: Command, context: &Context<'_>) -> Result<Ended, Error> {
    let failed = |error: io::Error| Error::new(Code::IdentitySource, error);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (mut child, group) = context
        .watchdog
        .spawn(&mut command)
        .map_err(|error| Error::new(Code::AwsConfig, format!("it cannot be run: {error}")))?;
    let pipes = (child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from));
    let group = KilledAtEnd(std::sync::Arc::new(group));
    let (Some(stdout), Some(stderr)) = pipes else { unreachable!("both were asked for") };
    let mut stdout = Output::new(stdout, LARGEST_STDOUT).map_err(failed)?;
    let mut stderr = Output::new(stderr, LARGEST_STDERR).map_err(failed)?;
    let waiting = group.0.clone();
    let mut end = tokio::task::spawn_blocking(move || waiting.wait_for_leader(&mut child));
    let status = poll_fn(|task| {
        stdout.poll(task);
        stderr.poll(task);
        if stdout.is_too_long() {
            group.0.kill();
        }
        Pin::new(&mut end).poll(task)
    });
    let status = status.await.map_err(|error| Error::new(Code::Internal, error))?.map_err(failed)?;
    Ok(Ended { status, stdout: stdout.all().map_err(failed)?, stderr: stderr.all().map_err(failed)? })
}

/// Kills the group where nobody waits for it any more.
struct KilledAtEnd(std::sync::Arc<Group>);

impl Drop for KilledAtEnd {
    fn drop(&mut self) {
        self.0.kill();
    }
}

/// One of the two pipes from the process, and what came out of it.
struct Output {
    pipe: Receiver,
    is_open: bool,
    bytes: Vec<u8>,
    limit: usize,
}

impl Output {
    fn new(pipe: OwnedFd, limit: usize) -> io::Result<Self> {
        Ok(Self { pipe: Receiver::from_owned_fd(pipe)?, is_open: true, bytes: Vec::new(), limit })
    }

    fn is_too_long(&self) -> bool {
        self.bytes.len() > self.limit
    }

    /// Takes what is there. The pipe is emptied even if nobody wants that much, so that the process can go on.
    fn poll(&mut self, task: &mut Task<'_>) {
        let mut chunk = [0; 4096];
        while self.is_open {
            let mut chunk = ReadBuf::new(&mut chunk);
            match Pin::new(&mut self.pipe).poll_read(task, &mut chunk) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) if !chunk.filled().is_empty() => {
                    let room = (self.limit + 1).saturating_sub(self.bytes.len());
                    self.bytes.extend(chunk.filled().iter().take(room));
                }
                Poll::Ready(_) => self.is_open = false,
            }
        }
    }

    /// All that the process wrote, once it has ended: the rest is in the pipe. It has no end if another process
    /// holds it open.
    fn all(self) -> io::Result<Vec<u8>> {
        let Self { pipe, mut bytes, limit, .. } = self;
        let room = u64::try_from((limit + 1).saturating_sub(bytes.len())).unwrap_or(u64::MAX);
        match File::from(pipe.into_nonblocking_fd()?).take(room).read_to_end(&mut bytes) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(bytes),
        }
    }
}

impl Ended {
    /// The first line of its stderr, without what it wrote to stdout, which may be a secret.
    fn complaint(&self) -> String {
        let stderr = String::from_utf8_lossy(&self.stderr);
        let Some(line) = stderr.lines().map(one_line).find(|line| !line.is_empty()) else {
            return String::new();
        };
        let stdout = String::from_utf8_lossy(&self.stdout);
        let is_part_of_secret = |c: char| c.is_alphanumeric() || "+/-_.".contains(c);
        let mut words: Vec<_> =
            stdout.split(|c| !is_part_of_secret(c)).filter(|word| word.len() >= 8).collect();
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        let line = words.iter().fold(line, |line, word| line.replace(word, "[redacted]"));
        format!(": {}", line.chars().take(LONGEST_LINE).collect::<String>())
    }
}

const WHAT_TO_PRINT: &str = "make it print what AWS documents for `credential_process`: a JSON object with `Version` \
                             1, `AccessKeyId`, `SecretAccessKey` and, for temporary credentials, `SessionToken` and \
                             `Expiration`";

/// What the process prints. Each field may be missing, so that the first to be missed is named.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    version: Option<serde_json::Value>,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    session_token: Option<String>,
    expiration: Option<String>,
}

/// The errors do not quote the answer.
fn parse(stdout: &[u8], now: Timestamp) -> Result<Credentials, Error> {
    let malformed = |cause: &str| Error::new(Code::IdentityMalformed, cause).with_remedy(WHAT_TO_PRINT);
    if stdout.trim_ascii().is_empty() {
        return Err(malformed("it printed nothing"));
    }
    let answer: Answer = serde_json::from_slice(stdout).map_err(|error| {
        malformed(if error.is_data() {
            "what it printed is not a JSON object of strings"
        } else {
            "what it printed is not JSON"
        })
    })?;
    match answer.version {
        None => return Err(malformed("what it printed has no `Version`")),
        Some(version) if version != 1 => return Err(malformed("the `Version` of what it printed is not 1")),
        Some(_) => {}
    }
    let id = answer.access_key_id.ok_or_else(|| malformed("what it printed has no `AccessKeyId`"))?;
    let secret =
        answer.secret_access_key.ok_or_else(|| malformed("what it printed has no `SecretAccessKey`"))?;
    if let Some(expiration) = answer.expiration {
        let expiration: Timestamp =
            expiration.parse().map_err(|_| malformed("the `Expiration` of what it printed is not a time"))?;
        if expiration <= now {
            let cause = format!("the credentials that it printed expired at {expiration:.0}, it is {now:.0}");
            return Err(Error::new(Code::IdentitySource, cause).with_remedy(
                "find out why it prints old credentials, or set this machine's clock if it is wrong",
            ));
        }
    }
    Ok(Credentials::new(id, secret, answer.session_token, None, "process"))
}
