//! Our own settings, as the plugin would have them: the `env` of its provider, the settings file, and the AWS files
//! that these name. AWS is not asked.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::aws_files::AwsFiles;
use crate::context::read_trusted_settings;
use crate::error::Error;
use crate::host;
use crate::key_pair;
use crate::node::config::Provider;
use crate::node::problem::{Fault, Place, Problem, Severity};
use crate::node::{self, document::Position};
use crate::ownership::{self, Readers};
use crate::pattern::Pattern;
use crate::settings::mistakes::{self, place};
use crate::settings::{self, Configuration, IdentitySetting};

/// What holds for this program.
pub(super) struct Settings {
    /// The providers that are this program.
    pub(super) providers: Vec<String>,
    /// Nothing if there is an error in it.
    pub(super) configuration: Option<Configuration>,
}

/// Looks at the settings of each provider that is this program; without any, at the file where it usually is.
pub(super) fn check(root: &Path, ours: &[&Provider], problems: &mut Vec<Problem>) -> Settings {
    let nobody = [None];
    let somebody: Vec<_> = ours.iter().map(|provider| Some(*provider)).collect();
    let mut configuration = None;
    for provider in if ours.is_empty() { &nobody[..] } else { &somebody[..] } {
        let mut found = Vec::new();
        let mut checker = Checker::new(root, *provider, ours, &mut found);
        configuration = configuration.or(checker.configuration());
        for problem in found {
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
    }
    Settings { providers: ours.iter().map(|provider| provider.name.clone()).collect(), configuration }
}

struct Checker<'a> {
    root: &'a Path,
    provider: Option<&'a Provider>,
    ours: &'a [&'a Provider],
    problems: &'a mut Vec<Problem>,
}

impl<'a> Checker<'a> {
    fn new(
        root: &'a Path,
        provider: Option<&'a Provider>,
        ours: &'a [&'a Provider],
        problems: &'a mut Vec<Problem>,
    ) -> Self {
        Self { root, provider, ours, problems }
    }

    fn variable(&self, name: &str) -> Option<&'a OsStr> {
        let (_, value) = self.provider?.env.iter().rfind(|(it, _)| it == name)?;
        Some(OsStr::new(value.expose())).filter(|value| !value.is_empty())
    }

    fn is_this_node(&self) -> bool {
        self.root == Path::new("/")
    }

    fn configuration(&mut self) -> Option<Configuration> {
        let configuration = match Configuration::from_environment(|name| self.variable(name)) {
            Ok(configuration) => configuration,
            Err(error) => {
                let place = self.provider.map(|provider| provider.place.clone())?;
                self.fail(place, Severity::Failing, &error);
                return None;
            }
        };
        let named = self.variable(settings::CONFIG.name).map(PathBuf::from);
        let path = named.clone().unwrap_or_else(|| settings::USUAL_FILE.into());
        let text = match self.read(&path, named.is_some()) {
            Ok(Some(text)) => text,
            Ok(None) => {
                self.check_identity(None, &self.place_of_env());
                return Some(configuration);
            }
            Err(error) => {
                self.fail(Place::file(&path), Severity::Failing, &error);
                return None;
            }
        };
        let mistakes = mistakes::find(&text);
        let configuration = configuration.with_file(&path, &text);
        for mistake in mistakes {
            let remedy = mistake.remedy.unwrap_or_default();
            self.say(located(&path, mistake.at), Severity::Failing, mistake.what, remedy);
        }
        let configuration = configuration.ok()?;
        self.check_patterns(&configuration, &path, &text);
        self.check_identities(&configuration, &path, &text);
        Some(configuration)
    }

    /// Who may change it counts on this node alone: offline, files belong to who builds the node.
    fn read(&self, path: &Path, must_exist: bool) -> Result<Option<String>, Error> {
        if self.is_this_node() {
            return read_trusted_settings(path, must_exist);
        }
        match host::read_file(&node::on(self.root, path)) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.is_not_found() && !must_exist => Ok(None),
            Err(error) => Err(Error::new(crate::error::Code::SettingsFile, error)),
        }
    }

    /// Patterns that no image comes to: an earlier one takes all of them, or the kubelet asks for none.
    fn check_patterns(&mut self, configuration: &Configuration, path: &Path, text: &str) {
        let asked: Vec<Pattern> = self
            .ours
            .iter()
            .flat_map(|provider| &provider.match_images)
            .filter_map(|it| it.value.parse().ok())
            .collect();
        let mut earlier: Vec<(String, &Pattern)> = Vec::new();
        for rule in configuration.rules() {
            let before = earlier.len();
            for (index, pattern) in rule.patterns.iter().enumerate() {
                let at = place(text, &format!("{}.match[{index}]", rule.name));
                let covering = earlier[..before].iter().find(|(_, one)| one.covers(pattern));
                if let Some((name, covering)) = covering {
                    let cause = format!("`{pattern}` is never looked at: `{covering}` of {name} comes first");
                    let remedy = "put the rule for fewer images first".to_owned();
                    self.say(located(path, at), Severity::Warning, cause, remedy);
                } else if !asked.is_empty() && !asked.iter().any(|one| one.overlaps(pattern)) {
                    let cause = format!(
                        "the kubelet never asks for `{pattern}`: no pattern of `matchImages` is for it"
                    );
                    let remedy = "add it to `matchImages`, or remove it here".to_owned();
                    self.say(located(path, at), Severity::Warning, cause, remedy);
                }
                earlier.push((rule.name.clone(), pattern));
            }
        }
    }

    fn check_identities(&mut self, configuration: &Configuration, path: &Path, text: &str) {
        let defaults = configuration.defaults().identity;
        let at = |name: &str| located(path, place(text, name));
        let of_defaults = if defaults.is_some() { at("defaults") } else { self.place_of_env() };
        self.check_identity(defaults.as_ref(), &of_defaults);
        for rule in configuration.rules() {
            if rule.settings.identity != defaults {
                self.check_identity(rule.settings.identity.as_ref(), &at(&rule.name));
            }
        }
    }

    /// The AWS files that hold for a rule, and the profile in them. Where the settings file names none, those of the
    /// `env` are as every SDK has them: they need not exist.
    fn check_identity(&mut self, setting: Option<&IdentitySetting>, at: &Place) {
        if let Some(anywhere) = setting.and_then(|setting| setting.roles_anywhere.as_ref()) {
            // The certificate of a kubelet is made on its node.
            if let Err(error) = key_pair::check(anywhere)
                && self.is_this_node()
            {
                self.fail(at.clone(), Severity::Failing, &error);
            }
            return;
        }
        let files = AwsFiles::new(setting, |name| self.variable(name));
        let severity = if setting.is_some() { Severity::Failing } else { Severity::Warning };
        let mut sections = Vec::new();
        let mut is_missing = false;
        let both = [(files.credentials.path(), Readers::Owner), (files.config.path(), Readers::Anybody)];
        for (path, readers) in both.into_iter().filter_map(|(path, readers)| Some((path?, readers))) {
            match host::read_file(&node::on(self.root, path)) {
                Ok(bytes) => sections.extend(sections_of(&String::from_utf8_lossy(&bytes))),
                Err(error) => {
                    is_missing = true;
                    let remedy = "put the file there, or correct its name".to_owned();
                    self.say(at.clone(), severity, error.to_string(), remedy);
                    continue;
                }
            }
            if let Err(error) = ownership::trusted(path, readers)
                && self.is_this_node()
            {
                self.fail(at.clone(), severity, &error);
            }
        }
        if let Some(who) = files.names_profile
            && !is_missing
            && !sections.contains(&files.profile)
        {
            let cause =
                format!("{who} names the profile `{}`, which is in none of the AWS files", files.profile);
            self.say(
                at.clone(),
                Severity::Failing,
                cause,
                format!("known there are {}", sections.join(", ")),
            );
        }
    }

    fn place_of_env(&self) -> Place {
        let place = self.provider.map(|provider| provider.place.clone());
        place.unwrap_or_else(|| Place::file(Path::new(settings::USUAL_FILE)))
    }

    fn fail(&mut self, place: Place, severity: Severity, error: &Error) {
        self.say(place, severity, error.cause().to_owned(), error.remedy().to_owned());
    }

    fn say(&mut self, place: Place, severity: Severity, cause: String, remedy: String) {
        self.problems.push(Problem { place, severity, fault: Fault::Setting { cause, remedy } });
    }
}

fn located(path: &Path, at: Option<(u64, u64)>) -> Place {
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let at = at.map(|(line, column)| Position { line: number(line), column: number(column) });
    Place { file: path.to_owned(), at }
}

/// The names of the profiles in an AWS file.
fn sections_of(text: &str) -> Vec<String> {
    let headers = text.lines().filter_map(|line| line.trim().strip_prefix('[')?.split(']').next());
    let names = headers.map(|header| header.trim().strip_prefix("profile ").unwrap_or(header.trim()));
    names.map(|name| name.trim().trim_matches('"').to_owned()).collect()
}
