//! What one run carries from the edge down to AWS.

use crate::aws_files::AwsFiles;
use crate::error::Error;
use crate::host::{self, Deadline, Host};
use crate::log::Log;
use crate::settings::Settings;
use crate::watchdog::Watchdog;

/// The host, its settings, the AWS configuration files, the one deadline and who guards it, and where to trace.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) host: &'a Host,
    pub(crate) settings: Settings,
    pub(crate) aws_files: AwsFiles,
    pub(crate) deadline: Deadline,
    pub(crate) watchdog: Watchdog,
    pub(crate) log: Log,
}

/// Reads the settings and does `work`, which has to be over at the deadline.
pub(crate) fn within_deadline(
    host: &Host,
    work: impl FnOnce(&Context<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let settings = Settings::from_environment(|name| host.variable(name))?;
    let deadline = host.deadline(settings.deadline);
    let log = Log::new(settings.log, host.stopwatch());
    let aws_files = AwsFiles::from_environment(|name| host.variable(name));
    let context = Context { host, settings, aws_files, deadline, watchdog: Watchdog::arm(deadline), log };
    let outcome = work(&context);
    if !context.watchdog.ends_the_run() {
        // The deadline has passed just now, and its line is being written.
        host::wait_for_the_end();
    }
    outcome
}
