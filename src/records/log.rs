//! The log of the calls: one line for each, in [logfmt], in a file or in the journal of systemd.
//!
//! A file is renamed to `<file>.1` once it is full, so there are never more than two. The journal takes [datagrams
//! with fields][journal], by which `journalctl ECRP_CODE=ECRP401` finds them.
//!
//! [logfmt]: https://brandur.org/logfmt
//! [journal]: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::{Mode, OFlags};

use super::file;
use super::run::{Outcome, Run};
use crate::settings::LogTarget;

const JOURNAL: &str = "/run/systemd/journal/socket";
const IDENTIFIER: &str = "ecr-credential-provider";

/// The size at which a new file begins.
const FULL: u64 = 1 << 20;
/// Read by the group, which the administrator may choose.
const MODE: Mode = Mode::RUSR.union(Mode::WUSR).union(Mode::RGRP);

pub(super) fn write(target: &LogTarget, run: &Run) -> Result<(), String> {
    match target {
        LogTarget::File(path) => append(path, &lines(run))
            .map_err(|error| format!("cannot append to `{}`: {error}", path.display())),
        LogTarget::Journald => {
            send(Path::new(JOURNAL), run).map_err(|error| format!("cannot send to `{JOURNAL}`: {error}"))
        }
    }
}

/// Appends in one `write`, so that lines of processes that run at the same time do not mix.
fn append(path: &Path, lines: &str) -> io::Result<()> {
    let open = || file::open(path, OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE, MODE);
    let mut file = open()?;
    if file.metadata()?.len() + lines.len() as u64 > FULL && file.try_lock().is_ok() {
        // Who was first may have renamed it already.
        let (ours, there) = (file.metadata()?, std::fs::symlink_metadata(path)?);
        if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) {
            std::fs::rename(path, file::with_suffix(path, ".1"))?;
        }
        file = open()?;
    }
    let written = file.write(lines.as_bytes())?;
    if written < lines.len() { Err(io::Error::other("the disk is full")) } else { Ok(()) }
}

/// The trace, if there is one, and the line of the run.
fn lines(run: &Run) -> String {
    let mut text = String::new();
    let mut add = |at: Timestamp, message: &str| {
        let _ = writeln!(text, "time={at:.3} pid={} {message}", run.process);
    };
    for (at, step) in &run.trace {
        add(*at, &logfmt(&[("trace", step.clone())]));
    }
    add(run.ended_at, &logfmt(&run.fields()));
    text
}

fn logfmt(fields: &[(&str, String)]) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:/@*+[]".contains(c);
    let mut text = String::new();
    for (name, value) in fields {
        let space = if text.is_empty() { "" } else { " " };
        let _ = if !value.is_empty() && value.chars().all(is_plain) {
            write!(text, "{space}{name}={value}")
        } else {
            let escaped = value.replace('\\', r"\\").replace('"', "\\\"").replace(char::is_control, " ");
            write!(text, "{space}{name}=\"{escaped}\"")
        };
    }
    text
}

/// Sends a datagram for each step of the trace, and one for the run.
fn send(socket: &Path, run: &Run) -> io::Result<()> {
    let journal = UnixDatagram::unbound()?;
    // A journal that is stuck is not waited for.
    journal.set_nonblocking(true)?;
    journal.connect(socket)?;
    for (_, step) in &run.trace {
        journal.send(&datagram(Priority::Debug, step, &[]))?;
    }
    let priority = match (run.outcome, &run.error) {
        (Outcome::Error, _) => Priority::Error,
        (Outcome::Cached, Some(_)) => Priority::Warning,
        _ => Priority::Information,
    };
    let fields = run.fields();
    journal.send(&datagram(priority, &logfmt(&fields), &fields))?;
    Ok(())
}

/// Those of syslog.
#[derive(Clone, Copy, Debug)]
enum Priority {
    Error = 3,
    Warning = 4,
    Information = 6,
    Debug = 7,
}

fn datagram(priority: Priority, message: &str, fields: &[(&str, String)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    add_field("MESSAGE", message, &mut bytes);
    add_field("PRIORITY", &(priority as u8).to_string(), &mut bytes);
    add_field("SYSLOG_IDENTIFIER", IDENTIFIER, &mut bytes);
    for (name, value) in fields {
        add_field(&format!("ECRP_{}", name.to_ascii_uppercase()), value, &mut bytes);
    }
    bytes
}

/// A value with a line break goes with its length, or its second line would be another field.
fn add_field(name: &str, value: &str, bytes: &mut Vec<u8>) {
    bytes.extend(name.as_bytes());
    if value.contains('\n') {
        bytes.push(b'\n');
        bytes.extend((value.len() as u64).to_le_bytes());
    } else {
        bytes.push(b'=');
    }
    bytes.extend(value.as_bytes());
    bytes.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::error::{Code, Error};
    use crate::records::Draft;

    fn run() -> Run {
        let draft = Draft {
            image: Some("host/a".into()),
            error: Some(Error::new(Code::NotEcr, "`host` gets \"no\" password")),
            trace: vec![(Timestamp::UNIX_EPOCH, "0.001s a step".into())],
            ..Draft::default()
        };
        Run { ended_at: Timestamp::UNIX_EPOCH, process: 7, ..Run::new(draft, Duration::from_millis(2)) }
    }

    const FIELDS: &str = "result=error code=ECRP100 image=host/a duration=0.002s error=\"ECRP100 not an ECR registry: \
        `host` gets \\\"no\\\" password; nothing to do if this image needs no ECR password; otherwise correct the host \
        name, or narrow `matchImages`\"";

    #[test]
    fn a_run_is_a_line_and_so_is_each_step() {
        let start = "time=1970-01-01T00:00:00.000Z pid=7";
        let expected = format!("{start} trace=\"0.001s a step\"\n{start} {FIELDS}\n");
        assert_eq!(lines(&run()), expected);
        assert_eq!(logfmt(&[("a", String::new()), ("b", "c\nd".into())]), "a=\"\" b=\"c d\"");
    }

    #[test]
    fn the_journal_gets_fields() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("socket");
        let journal = UnixDatagram::bind(&path).expect("a socket");
        send(&path, &run()).expect("sent");
        let receive = || {
            let mut bytes = vec![0; 1 << 16];
            let length = journal.recv(&mut bytes).expect("a datagram");
            String::from_utf8(bytes[..length].to_vec()).expect("text")
        };
        let identifier = "SYSLOG_IDENTIFIER=ecr-credential-provider\n";
        assert_eq!(receive(), format!("MESSAGE=0.001s a step\nPRIORITY=7\n{identifier}"));
        let last = receive();
        let start = format!(
            "MESSAGE={FIELDS}\nPRIORITY=3\n{identifier}ECRP_RESULT=error\nECRP_CODE=ECRP100\nECRP_IMAGE=host/a\n"
        );
        assert!(last.starts_with(&start), "{last}");
        assert!(
            last.contains("\nECRP_ERROR=ECRP100 not an ECR registry: `host` gets \"no\" password; "),
            "{last}"
        );
    }

    #[test]
    fn a_line_break_does_not_begin_another_field() {
        let mut bytes = Vec::new();
        add_field("MESSAGE", "a\nPRIORITY=0", &mut bytes);
        assert_eq!(bytes, b"MESSAGE\n\x0c\0\0\0\0\0\0\0a\nPRIORITY=0\n");
    }

    #[test]
    fn a_journal_that_is_away_or_full_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("socket");
        send(&path, &run()).expect_err("there is none");
        let _stuck = UnixDatagram::bind(&path).expect("a socket");
        assert!((0..100_000).any(|_| send(&path, &run()).is_err()), "its buffer is bounded");
    }
}
