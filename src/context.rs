//! What one run carries from the edge down to AWS.

use crate::error::Error;
use crate::host::{Deadline, Host};
use crate::log::Log;
use crate::settings::Settings;
use crate::watchdog::Watchdog;

/// The host, its settings, the one deadline and who guards it, and where to trace.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) host: &'a Host,
    pub(crate) settings: Settings,
    pub(crate) deadline: Deadline,
    pub(crate) watchdog: Watchdog,
    pub(crate) log: Log,
}

impl<'a> Context<'a> {
    pub(crate) fn new(host: &'a Host) -> Result<Self, Error> {
        let settings = Settings::from_environment(|name| host.variable(name))?;
        let deadline = host.deadline(settings.deadline);
        let log = Log::new(settings.log, host.stopwatch());
        Ok(Self { host, settings, deadline, watchdog: Watchdog::arm(deadline), log })
    }
}
