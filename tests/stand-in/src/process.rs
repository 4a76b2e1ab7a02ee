//! A server that is not ours: started, observed by its log, and ended.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// How long to wait for something that should happen soon.
pub const SOON: Duration = Duration::from_mins(1);

/// A running program that writes to a log.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, with both outputs appended to `<folder>/<name>.log`.
    pub fn start(name: &'static str, command: &mut Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = OpenOptions::new().create(true).append(true).open(&log).context("opening a log")?;
        let child = command.stdout(file.try_clone()?).stderr(file).spawn();
        let child = child.with_context(|| format!("starting {name}"))?;
        Ok(Self { name, child, log })
    }

    /// What it has written so far, including what earlier processes of its name have.
    pub fn log(&self) -> String {
        read(&self.log)
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        eventually(&format!("{} to end", self.name), SOON, || Ok(self.child.try_wait()?))
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().context("running kill")?;
        self.wait().map(drop)
    }

    /// Fails if it has ended.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} has ended with {status}", self.name),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end and returns what it wrote to stdout.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Asks again and again until there is a value.
pub fn eventually<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let pause = Duration::from_millis(100);
    for _ in 0..limit.as_millis() / pause.as_millis() {
        if let Some(value) = ask()? {
            return Ok(value);
        }
        std::thread::sleep(pause);
    }
    bail!("waited {} s for {what}", limit.as_secs())
}

#[expect(clippy::disallowed_methods, reason = "the test reads the logs of what it runs")]
/// What is in a file; nothing if there is no such file.
pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Makes a file anew.
pub fn write(path: &Path, text: impl AsRef<[u8]>) -> Result<()> {
    let context = || format!("writing {}", path.display());
    std::fs::create_dir_all(path.parent().context("a file has a folder")?).with_context(context)?;
    File::create(path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_ref()))
        .with_context(context)
}
