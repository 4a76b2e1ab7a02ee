//! Other programs: the service manager, its journal, `restorecon`, and ours once it is in its place. Nothing else of
//! `install` runs a process.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::error::{Code, Error, one_line};
use crate::host::Stopwatch;
use crate::node::distribution::Manager;

/// The service of the kubelet, and who starts it.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) manager: Manager,
    pub(crate) stopwatch: Stopwatch,
}

/// How long a service manager may take. k3s counts as started when its API answers.
const LONGEST_RESTART: Duration = Duration::from_mins(3);
const LONGEST_RUN: Duration = Duration::from_secs(20);

impl Service {
    /// Has the units read again, where there are units.
    pub(crate) fn reload(&self) -> Result<(), Error> {
        match self.manager {
            Manager::Systemd => self.run("systemctl", &["daemon-reload"]),
            Manager::OpenRc => Ok(()),
        }
    }

    pub(crate) fn restart(&self) -> Result<(), Error> {
        match self.manager {
            Manager::Systemd => self.run("systemctl", &["restart", &self.name]),
            Manager::OpenRc => self.run("rc-service", &[&self.name, "restart"]),
        }
    }

    /// What people type for it.
    pub(crate) fn restart_in_words(&self) -> String {
        match self.manager {
            Manager::Systemd => format!("systemctl daemon-reload && systemctl restart {}", self.name),
            Manager::OpenRc => format!("rc-service {} restart", self.name),
        }
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<(), Error> {
        let done = run(Command::new(program).args(arguments), LONGEST_RESTART, self.stopwatch);
        done.map(drop).map_err(|cause| {
            Error::new(Code::ServiceManager, format!("`{program} {}`: {cause}", arguments.join(" ")))
        })
    }

    /// The last line of the service's journal that says why it does not run; none if it cannot be had.
    pub(crate) fn last_words(&self) -> Option<String> {
        let arguments = ["--unit", &self.name, "--since", "-5min", "--output", "cat", "--no-pager"];
        let text = run(Command::new("journalctl").args(arguments), LONGEST_RUN, self.stopwatch).ok()?;
        let is_failure =
            |line: &&str| line.starts_with(['E', 'F']) || line.contains("\"err\"") || line.contains(" err=");
        let lines = text.lines().rev();
        let line = lines.clone().find(|line| line.contains("Failed to register CRI auth plugins"));
        line.or_else(|| lines.clone().find(is_failure)).map(one_line)
    }
}

/// Runs the installed file once. It fails on a machine of another kind, or where nothing may be run.
pub(crate) fn try_program(program: &Path, stopwatch: Stopwatch) -> Result<(), Error> {
    let ran = run(Command::new(program).arg("--version").env_clear(), LONGEST_RUN, stopwatch);
    ran.map(drop).map_err(|cause| {
        Error::new(Code::InstallRefused, format!("`{} --version`: {cause}", program.display()))
            .with_remedy("take the program for this machine's architecture, and see whether SELinux or a mount option forbids to run it there")
    })
}

/// Gives the files their SELinux types, where there is SELinux. Without it the ones of their folders hold.
pub(crate) fn restore_labels<'a>(paths: impl Iterator<Item = &'a Path>, stopwatch: Stopwatch) {
    if Path::new("/sys/fs/selinux/enforce").exists() {
        let _ = run(Command::new("restorecon").args(paths), LONGEST_RUN, stopwatch);
    }
}

/// Runs the installed `doctor`, which prints to where this program prints. True if it finds nothing wrong.
pub(crate) fn doctor(program: &Path, image: Option<&str>) -> bool {
    let status = Command::new(program).arg("doctor").args(image).stdin(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Runs a program to its end, and returns what it wrote to stdout; or why that failed.
fn run(command: &mut Command, limit: Duration, stopwatch: Stopwatch) -> Result<String, String> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let mut outputs = (child.stdout.take(), child.stderr.take());
    let reader = std::thread::spawn(move || {
        let mut texts = (Vec::new(), Vec::new());
        // One after the other: no program here says much on stderr.
        let _ = outputs.0.as_mut().map(|pipe| pipe.read_to_end(&mut texts.0));
        let _ = outputs.1.as_mut().map(|pipe| pipe.read_to_end(&mut texts.1));
        texts
    });
    let started = stopwatch.elapsed();
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if stopwatch.elapsed().saturating_sub(started) > limit => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it has not ended after {} s", limit.as_secs()));
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let (stdout, stderr) = reader.join().unwrap_or_default();
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let words = one_line(&String::from_utf8_lossy(&stderr));
    Err(if words.is_empty() { status.to_string() } else { format!("{status}: {words}") })
}
