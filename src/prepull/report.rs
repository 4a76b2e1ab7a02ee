//! What is seen of a run: a line for each image once it is over, and at a terminal below them what goes on.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::plan::Job;
use super::worker::{Ending, Event};
use crate::error::{Code, Error};
use crate::host::{self, Host};

/// How often a terminal is painted anew.
const TICK: Duration = Duration::from_millis(200);
/// How wide the bar of a terminal is.
const BAR: usize = 20;

/// Follows a run and remembers how it ends.
#[derive(Debug)]
pub(super) struct Report<'a> {
    jobs: &'a [Job],
    host: &'a Host,
    states: Vec<State>,
    failures: Vec<(usize, Error)>,
    pulled: usize,
    present: usize,
    /// What the first lines could not be written for.
    unwritten: Option<Error>,
    is_terminal: bool,
    /// How many lines of the terminal are painted over.
    painted: usize,
}

/// Where an image is on its way; times are from the start of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Pulling { since: Duration },
    Pausing { since: Duration, until: Duration },
    Over,
}

impl<'a> Report<'a> {
    pub(super) fn new(jobs: &'a [Job], host: &'a Host) -> Self {
        Self {
            jobs,
            host,
            states: vec![State::Waiting; jobs.len()],
            failures: Vec::new(),
            pulled: 0,
            present: 0,
            unwritten: None,
            is_terminal: host::stdout_is_terminal()
                && host.variable("TERM").is_some_and(|term| term != "dumb"),
            painted: 0,
        }
    }

    /// Says where the images go.
    pub(super) fn begin(&mut self, runtime: &str) {
        let number = counted(self.jobs.len(), "image");
        self.write(&format!("{number} for {runtime}"));
    }

    /// Says what happens until nobody can say anything any more.
    pub(super) fn follow(&mut self, events: &Receiver<Event>) {
        loop {
            let event = if self.is_terminal {
                events.recv_timeout(TICK)
            } else {
                events.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            let line = match event {
                Ok(event) => self.take(event),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            match line {
                Some(line) => self.write(&line),
                None if self.is_terminal => self.paint(""),
                None => {}
            }
        }
    }

    /// Sums up, and fails if an image did.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        let mut parts = vec![format!("{} pulled", self.pulled)];
        if self.present > 0 {
            parts.push(format!("{} already present", self.present));
        }
        if !self.failures.is_empty() {
            parts.push(format!("{} failed", self.failures.len()));
        }
        let elapsed = seconds(self.elapsed());
        self.write(&format!("{} in {elapsed}", parts.join(", ")));
        let image = |index: usize| &self.jobs[index].image;
        match &self.failures[..] {
            [] => self.unwritten.map_or(Ok(()), Err),
            [(index, error)] => Err(error.clone().while_doing(format!("`{}`", image(*index)))),
            several => {
                let each = several.iter().map(|(index, error)| {
                    let code = error.code();
                    format!("`{}` ({code} {})", image(*index), code.title())
                });
                let each = each.collect::<Vec<_>>().join(", ");
                let cause = format!("{} of {}: {each}", several.len(), self.jobs.len());
                Err(Error::new(Code::NotAllPulled, cause))
            }
        }
    }

    /// The line for an event, if it has one.
    fn take(&mut self, event: Event) -> Option<String> {
        let now = self.elapsed();
        match event {
            Event::Begins(index) => {
                self.states[index] = State::Pulling { since: now };
                None
            }
            Event::Pauses(index, error, pause) => {
                self.states[index] = State::Pausing { since: self.since(index), until: now + pause };
                let image = &self.jobs[index].image;
                Some(format!("retry    {image}  in {}: {error}", seconds(pause)))
            }
            Event::Ends(index, outcome) => {
                let took = seconds(now.saturating_sub(self.since(index)));
                self.states[index] = State::Over;
                let image = &self.jobs[index].image;
                Some(match outcome {
                    Ok(Ending { was_pulled, is_pinned, size }) => {
                        let word = if was_pulled { "pulled " } else { "present" };
                        *(if was_pulled { &mut self.pulled } else { &mut self.present }) += 1;
                        let size = size.map(|size| format!("  {}", readable(size))).unwrap_or_default();
                        let pinned = if is_pinned { "  pinned" } else { "" };
                        format!("{word}  {image}  {took}{size}{pinned}")
                    }
                    Err(error) => {
                        let line = format!("failed   {image}  {took}  {error}");
                        self.failures.push((index, error));
                        line
                    }
                })
            }
        }
    }

    fn since(&self, index: usize) -> Duration {
        match self.states[index] {
            State::Pulling { since } | State::Pausing { since, .. } => since,
            State::Waiting | State::Over => self.elapsed(),
        }
    }

    /// Writes a line that stays.
    fn write(&mut self, line: &str) {
        if self.is_terminal {
            return self.paint(&format!("{line}\n"));
        }
        self.put(&format!("{line}\n"));
    }

    /// Paints over what the last call painted: first what stays, then what goes on.
    fn paint(&mut self, stays: &str) {
        let up = match self.painted {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\x1b[J"),
        };
        let columns = host::stdout_columns().unwrap_or(80);
        let rows: Vec<_> = self.rows().iter().map(|row| cut(row, columns)).collect();
        self.painted = rows.len();
        let below: String = rows.iter().flat_map(|row| [row, "\n"]).collect();
        self.put(&format!("{up}{stays}{below}"));
    }

    /// A row for each image that is on its way, and one for all.
    fn rows(&self) -> Vec<String> {
        let now = self.elapsed();
        let mut rows = Vec::new();
        for (state, Job { image, .. }) in self.states.iter().zip(self.jobs) {
            match *state {
                State::Pausing { until, .. } if until > now => {
                    rows.push(format!("retry    {image}  in {}", seconds(until.saturating_sub(now))));
                }
                State::Pulling { since } | State::Pausing { since, .. } => {
                    rows.push(format!("pulling  {image}  {}", seconds(now.saturating_sub(since))));
                }
                State::Waiting | State::Over => {}
            }
        }
        let over = self.states.iter().filter(|state| **state == State::Over).count();
        let total = self.states.len();
        if over < total && !rows.is_empty() {
            let full = BAR * over / total;
            let waiting = total - over - rows.len();
            rows.push(format!(
                "[{}{}] {over} of {total}, {} pulling, {waiting} waiting  {}",
                "#".repeat(full),
                "-".repeat(BAR - full),
                rows.len(),
                seconds(now)
            ));
        }
        rows
    }

    fn put(&mut self, text: &str) {
        if let Err(error) = host::write_stdout(text.as_bytes()) {
            self.unwritten.get_or_insert(error);
        }
    }

    fn elapsed(&self) -> Duration {
        self.host.stopwatch().elapsed()
    }
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn seconds(duration: Duration) -> String {
    format!("{:.1}s", duration.as_secs_f32())
}

/// As registries and `crictl` count: a MB has 1000 kB.
fn readable(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        1_000_000..1_000_000_000 => tenths(bytes / 100_000, "MB"),
        _ => tenths(bytes / 100_000_000, "GB"),
    }
}

fn tenths(tenths: u64, unit: &str) -> String {
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// A row that is no longer than the terminal is wide. The middle goes: the start of an image is the host, its end
/// what tells it apart.
fn cut(row: &str, columns: usize) -> String {
    let length = row.chars().count();
    if length <= columns {
        return row.to_owned();
    }
    let (before, after) =
        (columns.saturating_sub(1) / 3, columns.saturating_sub(1) - columns.saturating_sub(1) / 3);
    let start: String = row.chars().take(before).collect();
    let end: String = row.chars().skip(length - after).collect();
    format!("{start}…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_rows_are_for_people() {
        let rows =
            [(0, "0 B"), (999, "999 B"), (1_500, "1 kB"), (12_345_678, "12.3 MB"), (2_999_999_999, "2.9 GB")];
        for (bytes, expected) in rows {
            assert_eq!(readable(bytes), expected);
        }
        for (columns, expected) in [(20, "pulling  host/app:10"), (10, "pul…app:10"), (1, "…"), (0, "…")]
        {
            assert_eq!(cut("pulling  host/app:10", columns), expected);
        }
    }
}
