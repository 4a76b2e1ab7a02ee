//! The end of the deadline.
//!
//! What takes too long here cannot be asked to stop: a file on a dead network mount, a name resolution in
//! libc, a caller that does not close stdin. So one thread waits for the deadline, says what was being done,
//! and ends the process, with the one that we have started. Whatever is finer (three attempts within the
//! budget, say) is only finer.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::error::{Code, Error};
use crate::host::{self, Deadline};
use crate::records::Record;
use crate::voice::Voice;

/// Knows what is being done, and ends the process if it is still being done at the deadline.
#[derive(Clone, Debug)]
pub(crate) struct Watchdog {
    deadline: Arc<(Mutex<Deadline>, Condvar)>,
    step: Arc<Mutex<String>>,
    /// What to do about a deadline that is not the usual one.
    remedy: Arc<OnceLock<&'static str>>,
    over: Arc<AtomicBool>,
    running: Arc<Mutex<Option<Pid>>>,
}

impl Watchdog {
    /// Starts to watch. A machine that cannot start a thread is not watched, and not refused either.
    pub(crate) fn arm(deadline: Deadline, record: Record, voice: Voice) -> Self {
        let watchdog = Self {
            deadline: Arc::new((Mutex::new(deadline), Condvar::new())),
            step: Arc::default(),
            remedy: Arc::default(),
            over: Arc::default(),
            running: Arc::default(),
        };
        let watching = watchdog.clone();
        let _ = std::thread::Builder::new().spawn(move || {
            let deadline = watching.wait();
            if watching.ends_the_run() {
                watching.kill_in_passing();
                let limit = deadline.limit().as_secs_f32();
                let cause = format!("{limit} s were over while {}", watching.step());
                let error = Error::new(Code::DeadlinePassed, cause);
                let error = match watching.remedy.get() {
                    Some(remedy) => error.with_remedy(remedy),
                    None => error,
                };
                voice.say(&error);
                record.write(Some(&error));
                host::exit_with_failure();
            }
        });
        watchdog
    }

    /// Another deadline holds from now on.
    pub(crate) fn move_deadline(&self, deadline: Deadline) {
        let (current, moved) = &*self.deadline;
        *lock(current) = deadline;
        moved.notify_all();
    }

    /// The deadline is one that is raised in another way than the usual one.
    pub(crate) fn set_remedy(&self, remedy: &'static str) {
        let _ = self.remedy.set(remedy);
    }

    /// Waits for the deadline, wherever it is moved to.
    fn wait(&self) -> Deadline {
        let (current, moved) = &*self.deadline;
        let mut deadline = lock(current);
        while !deadline.remaining().is_zero() {
            let remaining = deadline.remaining();
            deadline = moved.wait_timeout(deadline, remaining).unwrap_or_else(PoisonError::into_inner).0;
        }
        *deadline
    }

    /// Says what is done from now on: "waiting for …", "reading …".
    pub(crate) fn enter(&self, step: impl Into<String>) {
        *lock(&self.step) = step.into();
    }

    /// Claims the last word: true for the first who asks, the run itself or the watching thread.
    pub(crate) fn ends_the_run(&self) -> bool {
        !self.over.swap(true, Ordering::SeqCst)
    }

    /// What is being done.
    pub(crate) fn step(&self) -> String {
        lock(&self.step).clone()
    }

    /// Starts a process that leads a group of its own, which does not outlive the run. One at a time.
    pub(crate) fn spawn(&self, command: &mut Command) -> io::Result<(Child, Group)> {
        let mut running = lock(&self.running);
        if self.over.load(Ordering::SeqCst) {
            drop(running);
            host::wait_for_the_end();
        }
        let child = command.process_group(0).spawn()?;
        let leader = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        *running = leader;
        Ok((child, Group { running: self.running.clone(), leader }))
    }

    /// Kills what was started and still runs. The end must come, even if a process is just starting from a file on
    /// a dead network mount; then there is nothing to kill yet.
    fn kill_in_passing(&self) {
        for _ in 0..20 {
            if let Ok(mut running) = self.running.try_lock() {
                return kill(&mut running);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A process and all that it has started, as far as they have not left its group.
#[derive(Debug)]
pub(crate) struct Group {
    /// The leader of the group that runs. It is taken away before its number can become another's.
    running: Arc<Mutex<Option<Pid>>>,
    leader: Option<Pid>,
}

impl Group {
    /// Waits until the leader has ended, and kills those that it leaves behind. Blocks.
    pub(crate) fn wait_for_leader(&self, child: &mut Child) -> io::Result<ExitStatus> {
        if let Some(leader) = self.leader {
            let ended = || waitid(WaitId::Pid(leader), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
            // It stays a zombie for now, so its number stays its own.
            while ended().err() == Some(Errno::INTR) {}
        }
        self.kill();
        child.wait()
    }

    /// Kills all of them, if that has not been done.
    pub(crate) fn kill(&self) {
        let mut running = lock(&self.running);
        if *running == self.leader {
            kill(&mut running);
        }
    }
}

fn kill(leader: &mut Option<Pid>) {
    if let Some(leader) = leader.take() {
        // It fails if nothing is left to kill.
        let _ = kill_process_group(leader, Signal::KILL);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
