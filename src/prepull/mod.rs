//! Has the container runtime pull images before anything asks for them, several at a time.
//!
//! The runtime pulls; here is known which images, with which password, what to try again, and when to give up.
//! What the runtime has is not pulled again, so a run that was interrupted is taken up by the next one.
//!
//! | module | owns |
//! |---|---|
//! | `list` | from what was asked for to the list of images |
//! | `kubeadm` | the list of kubeadm |
//! | `plan` | what is known of each image before it is pulled |
//! | `passwords` | one password for all images that need the same |
//! | `worker` | one image after the other |
//! | `report` | what people and scripts see of it |

pub(crate) mod kubeadm;
pub(crate) mod list;
mod passwords;
mod plan;
mod report;
mod worker;

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc;
use std::time::Duration;

use self::passwords::Passwords;
use self::report::Report;
use self::worker::Worker;
use crate::context::Context;
use crate::cri::Runtime;
use crate::error::Error;
use crate::settings::Configuration;

/// How to pull.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// How many at a time.
    pub(crate) jobs: NonZeroUsize,
    /// How often to try again after a failure that may pass.
    pub(crate) retries: u32,
    /// Also what the runtime has, whose tag may stand for another image by now.
    pub(crate) always: bool,
    pub(crate) pin: bool,
    /// For one image, with all tries.
    pub(crate) timeout: Duration,
    /// For all, from the start of the process.
    pub(crate) total_timeout: Duration,
}

/// Pulls `images`. All are tried; it fails if one does.
pub(crate) fn pull(
    images: &[String],
    manner: &Manner,
    runtime: &Runtime,
    configuration: &Configuration,
    context: &Context<'_>,
) -> Result<(), Error> {
    let jobs = plan::of(images, configuration)?;
    if manner.pin {
        runtime.can_pin()?;
    }
    let mut report = Report::new(&jobs, context.host);
    report.begin(&runtime.described());
    let (next, passwords) = (AtomicUsize::new(0), Passwords::default());
    let (sender, events) = mpsc::channel();
    let worker = Worker { jobs: &jobs, next: &next, manner, runtime, passwords: &passwords, context };
    std::thread::scope(|scope| {
        for _ in 0..manner.jobs.get().min(jobs.len()) {
            let sender = sender.clone();
            scope.spawn(move || worker.work(&sender));
        }
        drop(sender);
        report.follow(&events);
    });
    report.finish()
}
