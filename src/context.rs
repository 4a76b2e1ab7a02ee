//! What one run carries from the edge down to AWS.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::aws_files::AwsFiles;
use crate::error::{Code, Error};
use crate::host::{self, Deadline, Host};
use crate::log::Log;
use crate::ownership::{self, Readers};
use crate::settings::{self, Configuration, Settings};
use crate::watchdog::Watchdog;

/// The host, its settings, the AWS configuration files, the one deadline and who guards it, and where to trace.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) host: &'a Host,
    /// What holds for the image that is asked for, once that is known.
    pub(crate) settings: Settings,
    pub(crate) aws_files: AwsFiles,
    pub(crate) deadline: Deadline,
    pub(crate) watchdog: Watchdog,
    pub(crate) log: Log,
}

impl<'a> Context<'a> {
    pub(crate) fn new(host: &'a Host, settings: Settings) -> Self {
        Self::lasting(settings.deadline, host, settings)
    }

    /// With another deadline than that of one call.
    pub(crate) fn lasting(limit: Duration, host: &'a Host, settings: Settings) -> Self {
        let deadline = host.deadline(limit);
        let log = Log::new(settings.log, host.stopwatch());
        let watchdog = Watchdog::arm(deadline);
        let aws_files = AwsFiles::new(settings.identity.as_ref(), |name| host.variable(name));
        Self { host, settings, aws_files, deadline, watchdog, log }
    }

    /// The same run with other settings and their deadline, once it is known which image it is for.
    pub(crate) fn with(&self, settings: Settings) -> Result<Self, Error> {
        let deadline = self.host.deadline(settings.deadline);
        self.watchdog.move_deadline(deadline);
        Ok(Self { deadline, ..self.with_settings(settings)? })
    }

    /// The same run with other settings, but the same deadline. The files that they name are checked.
    pub(crate) fn with_settings(&self, settings: Settings) -> Result<Self, Error> {
        let identity = settings.identity.clone().unwrap_or_default();
        let named = [(identity.credentials_file, Readers::Owner), (identity.config_file, Readers::Anybody)];
        for (path, readers) in named {
            // One that is not there is told when it is read.
            if let Some(path) = path.filter(|path| path.exists()) {
                ownership::check(&path, readers)?;
            }
        }
        let aws_files = AwsFiles::new(settings.identity.as_ref(), |name| self.host.variable(name));
        let Self { host, deadline, log, .. } = *self;
        Ok(Self { host, settings, aws_files, deadline, watchdog: self.watchdog.clone(), log })
    }
}

/// Reads the settings and does `work`, which has to be over at the deadline.
pub(crate) fn within_deadline(
    host: &Host,
    work: impl FnOnce(&Configuration, &Context<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let configuration = Configuration::from_environment(|name| host.variable(name))?;
    let context = Context::new(host, configuration.defaults());
    let outcome = read_settings_file(&context).and_then(|file| {
        let configuration = match file {
            Some((path, text)) => configuration.with_file(&path, &text)?,
            None => configuration,
        };
        work(&configuration, &context.with(configuration.defaults())?)
    });
    if !context.watchdog.ends_the_run() {
        // The deadline has passed just now, and its line is being written.
        host::wait_for_the_end();
    }
    outcome
}

/// The settings file and what is in it. It need not be there, unless a variable names it.
pub(crate) fn read_settings_file(context: &Context<'_>) -> Result<Option<(PathBuf, String)>, Error> {
    let named = context.host.variable(settings::CONFIG.name).map(Path::new);
    let path = named.unwrap_or(Path::new(settings::USUAL_FILE));
    context.watchdog.enter(format!("reading `{}`", path.display()));
    let text = match host::read_file(path) {
        Err(error) if error.is_not_found() && named.is_none() => return Ok(None),
        text => text.map_err(|error| Error::new(Code::SettingsFile, error))?,
    };
    ownership::check(path, Readers::Anybody)?;
    let not_text = |_| Error::new(Code::SettingsFile, format!("`{}` is not UTF-8 text", path.display()));
    let text = String::from_utf8(text).map_err(not_text)?;
    context.log.debug(|| format!("settings of `{}`", path.display()));
    Ok(Some((path.to_owned(), text)))
}
