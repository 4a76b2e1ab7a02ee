//! What one run carries from the edge down to AWS.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::aws_files::AwsFiles;
use crate::error::{Code, Error};
use crate::host::{self, Deadline, Host};
use crate::key_pair::{KeyPair, KeyPairFiles};
use crate::log::Log;
use crate::ownership::{self, Readers};
use crate::protocol::ServiceAccount;
use crate::records::{Record, Targets};
use crate::service_account::{PodRole, ROLE_VARIABLE};
use crate::settings::{self, Configuration, IdentitySetting, RolesAnywhereSetting, Settings};
use crate::watchdog::Watchdog;

/// The host, its settings, the AWS configuration files, the one deadline and who guards it, where to trace,
/// and what becomes known on the way.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) host: &'a Host,
    /// What holds for the image that is asked for, once that is known.
    pub(crate) settings: Settings,
    /// The role that asks AWS for a pod, if it is not the node that does.
    pub(crate) pod_role: Option<PodRole>,
    pub(crate) aws_files: AwsFiles,
    key_pair: KeyPairFiles,
    pub(crate) deadline: Deadline,
    pub(crate) watchdog: Watchdog,
    pub(crate) log: Log,
    pub(crate) record: Record,
}

impl<'a> Context<'a> {
    pub(crate) fn new(host: &'a Host, settings: Settings, record: &Record) -> Self {
        Self::lasting(settings.deadline, host, settings, record)
    }

    /// With another deadline than that of one call.
    pub(crate) fn lasting(limit: Duration, host: &'a Host, settings: Settings, record: &Record) -> Self {
        let deadline = host.deadline(limit);
        let log = Log::new(settings.log, host.stopwatch(), record.clone());
        let watchdog = Watchdog::arm(deadline, record.clone(), host.role().voice());
        let aws_files = AwsFiles::new(settings.identity.as_ref(), |name| host.variable(name));
        Self {
            host,
            settings,
            pod_role: None,
            aws_files,
            key_pair: KeyPairFiles::default(),
            deadline,
            watchdog,
            log,
            record: record.clone(),
        }
    }

    /// The same run with other settings and their deadline, once it is known which image it is for.
    pub(crate) fn with(&self, settings: Settings) -> Result<Self, Error> {
        let deadline = self.host.deadline(settings.deadline);
        self.watchdog.move_deadline(deadline);
        Ok(Self { deadline, ..self.with_settings(settings)? })
    }

    /// The same run with a deadline that is not that of one call; `remedy` says how to raise it.
    pub(crate) fn lasting_for(self, limit: Duration, remedy: &'static str) -> Self {
        let deadline = self.host.deadline(limit);
        self.watchdog.move_deadline(deadline);
        self.watchdog.set_remedy(remedy);
        Self { deadline, ..self }
    }

    /// The same run for a pod of this service account: if a role is named for it, that asks AWS.
    pub(crate) fn for_pod(self, account: Option<&ServiceAccount>) -> Result<Self, Error> {
        let variable = self.host.variable(ROLE_VARIABLE).map(OsStr::to_string_lossy);
        let pod_role = self.settings.pod.role_for(account, variable.as_deref())?;
        if account.is_some() && pod_role.is_none() {
            self.log.debug(|| "no role is named for the service account: the node asks AWS".into());
        }
        Ok(Self { pod_role, ..self })
    }

    /// The role that IAM Roles Anywhere gives, if it is to ask AWS, and the certificate for it.
    pub(crate) fn roles_anywhere(&self) -> Option<(&RolesAnywhereSetting, Result<&KeyPair, Error>)> {
        let setting = self.settings.identity.as_ref()?.roles_anywhere.as_ref()?;
        Some((setting, self.key_pair.read(setting, self.deadline, &self.watchdog)))
    }

    /// The same run for one password of many, with the deadline of a call for it. Who guards it goes on to guard the
    /// whole run.
    pub(crate) fn for_one_password(&self, settings: Settings) -> Result<Self, Error> {
        let deadline = self.host.deadline(self.host.stopwatch().elapsed().saturating_add(settings.deadline));
        Ok(Self { deadline, ..self.with_settings(settings)? })
    }

    /// The same run with other settings, but the same deadline. The files that they name are checked.
    pub(crate) fn with_settings(&self, mut settings: Settings) -> Result<Self, Error> {
        if let Some(identity) = &mut settings.identity {
            let named = [
                ("credentialsFile", &mut identity.credentials_file, Readers::Owner),
                ("configFile", &mut identity.config_file, Readers::Anybody),
            ];
            for (key, path, readers) in named {
                if let Some(path) = path {
                    *path = trusted_file(key, path, readers)?;
                }
            }
        }
        let aws_files = AwsFiles::new(settings.identity.as_ref(), |name| self.host.variable(name));
        if let Some(IdentitySetting { config_file: Some(path), .. }) = &settings.identity {
            // It may hold a key as the credentials file does.
            let content = aws_files.config.content(&self.watchdog).ok().flatten().unwrap_or_default();
            if String::from_utf8_lossy(content).contains("aws_secret_access_key") {
                trusted_file("configFile", path, Readers::Owner)?;
            }
        }
        Ok(Self {
            host: self.host,
            settings,
            pod_role: self.pod_role.clone(),
            aws_files,
            key_pair: KeyPairFiles::default(),
            deadline: self.deadline,
            watchdog: self.watchdog.clone(),
            log: self.log.clone(),
            record: self.record.clone(),
        })
    }
}

fn trusted_file(key: &str, path: &Path, readers: Readers) -> Result<PathBuf, Error> {
    ownership::trusted(path, readers)?.ok_or_else(|| {
        let cause = format!("`{key}` names `{}`, which does not exist", path.display());
        Error::new(Code::AwsConfig, cause)
    })
}

/// Reads the settings and does `work`, which has to be over at the deadline.
pub(crate) fn within_deadline(
    host: &Host,
    record: &Record,
    work: impl FnOnce(&Configuration, &Context<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let configuration = Configuration::from_environment(|name| host.variable(name))?;
    let context = Context::new(host, configuration.defaults(), record);
    let outcome = read_settings_file(&context).and_then(|file| {
        let configuration = match file {
            Some((path, text)) => configuration.with_file(&path, &text)?,
            None => configuration,
        };
        let settings = configuration.defaults();
        record.note(|draft| draft.targets = Targets::of(&settings));
        work(&configuration, &context.with(settings)?)
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
    let Some(text) = read_trusted_settings(path, named.is_some())? else { return Ok(None) };
    context.log.debug(|| format!("settings of `{}`", path.display()));
    Ok(Some((path.to_owned(), text)))
}

/// What is in the settings file at `path`, if nobody else could have put it there.
pub(crate) fn read_trusted_settings(path: &Path, must_exist: bool) -> Result<Option<String>, Error> {
    let unusable = |cause: String| Error::new(Code::SettingsFile, cause);
    let real = match ownership::trusted(path, Readers::Anybody)? {
        Some(real) => real,
        None if !must_exist => return Ok(None),
        None => return Err(unusable(format!("`{}` does not exist", path.display()))),
    };
    let text = host::read_file(&real).map_err(|error| unusable(error.to_string()))?;
    let text =
        String::from_utf8(text).map_err(|_| unusable(format!("`{}` is not UTF-8 text", path.display())))?;
    // Checked before it is parsed: it may have a mistake, too.
    if settings::has_password(&text) {
        ownership::trusted(path, Readers::Owner)?;
    }
    Ok(Some(text))
}
