//! Takes one image after the other, and tries again what may pass.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use super::Manner;
use super::passwords::Passwords;
use super::plan::Job;
use crate::context::Context;
use crate::cri::{Failed, Login, Present, Runtime};
use crate::error::{Code, Error, Kind};

/// How long to wait before the second try; each later wait is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// What all workers share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Worker<'a> {
    pub(super) jobs: &'a [Job],
    /// The first that nobody has taken.
    pub(super) next: &'a AtomicUsize,
    pub(super) manner: &'a Manner,
    pub(super) runtime: &'a Runtime,
    pub(super) passwords: &'a Passwords,
    pub(super) context: &'a Context<'a>,
}

/// What happens to an image, by its place in the list.
#[derive(Debug)]
pub(super) enum Event {
    Begins(usize),
    /// A try failed, and after a pause there is another.
    Pauses(usize, Error, Duration),
    Ends(usize, Result<Ending, Error>),
}

/// How an image came to be at hand.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) was_pulled: bool,
    pub(super) is_pinned: bool,
    /// In bytes, if the runtime says so.
    pub(super) size: Option<u64>,
}

impl Worker<'_> {
    /// Works until no image is left.
    pub(super) fn work(self, events: &Sender<Event>) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = self.jobs.get(index) else { return };
            // Who reads the events reads them to the end.
            let _ = events.send(Event::Begins(index));
            let outcome = self.bring(job, |error, pause| {
                let _ = events.send(Event::Pauses(index, error, pause));
            });
            let _ = events.send(Event::Ends(index, outcome));
        }
    }

    fn bring(self, job: &Job, says_of_pause: impl Fn(Error, Duration)) -> Result<Ending, Error> {
        let elapsed = || self.context.host.stopwatch().elapsed();
        let end = elapsed().saturating_add(self.manner.timeout).min(self.manner.total_timeout);
        let mut pause = FIRST_PAUSE.mul_f64(0.75 + fastrand::f64() / 2.0);
        let mut retries = self.manner.retries;
        loop {
            let left = end.saturating_sub(elapsed());
            let Failed { error, may_pass } = match self.try_once(job, left) {
                Ok(ending) => return Ok(ending),
                Err(failed) => failed,
            };
            if !may_pass || retries == 0 || end.saturating_sub(elapsed()) <= pause {
                return Err(error);
            }
            says_of_pause(error, pause);
            std::thread::sleep(pause);
            retries -= 1;
            pause *= 2;
        }
    }

    fn try_once(self, job: &Job, limit: Duration) -> Result<Ending, Failed> {
        if limit.is_zero() {
            let error = Error::new(Code::PullTimeout, "the time for all images is over");
            return Err(Failed { error, may_pass: false });
        }
        self.context.watchdog.enter("the container runtime pulls");
        let present = if self.manner.always { None } else { self.runtime.find(&job.image)? };
        let ending = if present.is_some() {
            ending_of(false, present)
        } else {
            let login = self.login(job)?;
            self.runtime.pull(&job.image, login.as_ref(), limit)?;
            ending_of(true, self.runtime.find(&job.image)?)
        };
        if self.manner.pin && !ending.is_pinned {
            self.runtime.pin(&job.image, &job.name)?;
            return Ok(Ending { is_pinned: true, ..ending });
        }
        Ok(ending)
    }

    fn login(self, job: &Job) -> Result<Option<Login>, Failed> {
        let Some(access) = &job.access else { return Ok(None) };
        self.passwords.login(access, self.context).map_err(|error| {
            let may_pass = matches!(error.code().kind(), Kind::Unreachable | Kind::Answer);
            Failed { error, may_pass }
        })
    }
}

fn ending_of(was_pulled: bool, present: Option<Present>) -> Ending {
    let is_pinned = present.is_some_and(|present| present.is_pinned);
    Ending { was_pulled, is_pinned, size: present.map(|present| present.size) }
}
