//! What `validate` prints: a line for each problem as compilers have it, then one for each image, then the sum.

use std::fmt::Write;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::json;

use super::super::doctor::Output;
use super::print;
use crate::error::{Code, Error};
use crate::node::Asked;
use crate::node::finding::{Finding, Weight};
use crate::node::problem::{Place, Problem, Severity};
use crate::node::version::Version;

/// All that was found.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) version: Version,
    config: Option<PathBuf>,
    bin_dir: Option<PathBuf>,
    providers: usize,
    lines: Vec<Line>,
    images: Vec<Image>,
}

/// A problem, and where it is if that is a place in a file.
#[derive(Debug)]
pub(super) struct Line {
    place: Option<Place>,
    level: Level,
    message: String,
    remedy: String,
    ends_kubelet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Level {
    Error,
    Warning,
}

/// What becomes of an image.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) name: String,
    pub(super) asked: Asked,
    /// The rule of the settings file, if this program is asked.
    pub(super) rule: Option<String>,
    /// The registry whose password it gets.
    pub(super) registry: Option<String>,
    /// Why it gets none.
    pub(super) stranger: Option<String>,
}

impl Line {
    pub(super) fn of(problem: Problem) -> Self {
        let Problem { place, severity, fault } = problem;
        Self {
            place: Some(place),
            level: if severity == Severity::Warning { Level::Warning } else { Level::Error },
            message: fault.to_string(),
            remedy: fault.remedy(),
            ends_kubelet: severity == Severity::Refused,
        }
    }

    fn text(&self) -> String {
        let place = self.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
        let level = if self.level == Level::Error { "error" } else { "warning" };
        let remedy = if self.remedy.is_empty() { String::new() } else { format!("; {}", self.remedy) };
        format!("{place}{level}: {}{remedy}\n", self.message)
    }
}

impl Image {
    fn is_lost(&self) -> bool {
        self.asked.matches.is_empty() || self.stranger.is_some()
    }

    fn text(&self) -> String {
        let Self { name, asked: Asked { matches, nearest }, rule, registry, stranger } = self;
        let mut text = format!("image {name}: ");
        if matches.is_empty() {
            text.push_str("error: no pattern matches, the kubelet asks no provider");
            if let Some((provider, pattern, miss)) = nearest {
                let _ = write!(text, "; the nearest is `{pattern}` of `{provider}`, but {miss}");
            }
        }
        let asked: Vec<_> =
            matches.iter().map(|(provider, pattern)| format!("`{provider}` by `{pattern}`")).collect();
        if !asked.is_empty() {
            let _ = write!(text, "the kubelet asks {}", asked.join(", then "));
        }
        if let Some(rule) = rule {
            let _ = write!(text, "; the settings file has {rule} for it");
        }
        match (registry, stranger) {
            (Some(registry), _) if !name.starts_with(registry) => {
                let _ = write!(text, "; it gets the password of `{registry}`");
            }
            (_, Some(reason)) => {
                let _ = write!(text, "; error: {reason}");
            }
            _ => {}
        }
        text.push('\n');
        text
    }

    fn json(&self) -> serde_json::Value {
        let Self { name, asked: Asked { matches, nearest }, rule, registry, stranger } = self;
        let pair = |(provider, pattern): &(String, String)| json!({"provider": provider, "pattern": pattern});
        json!({
            "image": name,
            "asked": matches.iter().map(pair).collect::<Vec<_>>(),
            "nearest": nearest.as_ref().map(|(provider, pattern, miss)| {
                json!({"provider": provider, "pattern": pattern, "reason": miss.to_string()})
            }),
            "rule": rule,
            "registry": registry,
            "noPassword": stranger,
        })
    }
}

impl Report {
    pub(super) fn new(version: Version) -> Self {
        Self { version, config: None, bin_dir: None, providers: 0, lines: Vec::new(), images: Vec::new() }
    }

    pub(super) fn looked_at(&mut self, config: PathBuf, bin_dir: Option<PathBuf>, providers: usize) {
        (self.config, self.bin_dir, self.providers) = (Some(config), bin_dir, providers);
    }

    pub(super) fn add(&mut self, line: Line) {
        self.lines.push(line);
    }

    pub(super) fn add_image(&mut self, image: Image) {
        self.images.push(image);
    }

    /// What was found on the way to the configuration, if it is no good. That no kubelet runs is no matter here.
    pub(super) fn add_finding(&mut self, finding: &Finding) {
        let level = match (finding, finding.weight()) {
            (_, Weight::Fine) | (Finding::NoKubelet | Finding::Proxy(_) | Finding::Kubelet { .. }, _) => {
                return;
            }
            // It will have them when it starts, which is what is looked at here.
            (Finding::Flags { .. }, _) | (_, Weight::Notice) => Level::Warning,
            (_, Weight::Wrong) => Level::Error,
        };
        self.add(Line {
            place: None,
            level,
            message: finding.to_string(),
            remedy: String::new(),
            ends_kubelet: matches!(finding, Finding::FlagMissing(_)),
        });
    }

    /// Prints all, and fails if something is wrong.
    pub(super) fn finish(self, output: Output, is_strict: bool) -> Result<(), Error> {
        let count = |level| self.lines.iter().filter(|line| line.level == level).count();
        let (errors, warnings) = (count(Level::Error), count(Level::Warning));
        let lost = self.images.iter().filter(|image| image.is_lost()).count();
        let fails = errors > 0 || (is_strict && warnings > 0);
        match output {
            Output::Text => print(&self.text(errors, warnings))?,
            Output::Json => print(&format!("{:#}\n", self.json(!fails && lost == 0)))?,
        }
        let sum = format!("{}, {}", counted(errors, "error"), counted(warnings, "warning"));
        if fails {
            return Err(Error::new(Code::Validation, sum));
        }
        match self.images.iter().find(|image| image.is_lost()) {
            None => Ok(()),
            Some(image) => {
                let of = if lost > 1 { format!(", and {} more", lost - 1) } else { String::new() };
                Err(Error::new(Code::NotAsked, format!("`{}`{of}", image.name)))
            }
        }
    }

    fn starts(&self) -> bool {
        self.config.is_some() && !self.lines.iter().any(|line| line.ends_kubelet)
    }

    fn text(&self, errors: usize, warnings: usize) -> String {
        let mut text: String = self.lines.iter().map(Line::text).collect();
        text.extend(self.images.iter().map(Image::text));
        let sum = match (errors, warnings) {
            (0, 0) => "nothing is wrong".to_owned(),
            _ => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
        };
        let verb = if self.starts() { "would start" } else { "would not start" };
        let _ = match &self.config {
            Some(config) => writeln!(
                text,
                "a kubelet {} {verb} with {} ({}): {sum}",
                self.version,
                config.display(),
                counted(self.providers, "provider"),
            ),
            None => writeln!(text, "a kubelet {} has no providers here: {sum}", self.version),
        };
        text
    }

    fn json(&self, is_ok: bool) -> serde_json::Value {
        let line = |line: &Line| {
            let at = line.place.as_ref().and_then(|place| place.at);
            json!({
                "level": line.level,
                "file": line.place.as_ref().map(|place| &place.file),
                "line": at.map(|at| at.line),
                "column": at.map(|at| at.column),
                "message": line.message,
                "remedy": line.remedy,
                "endsKubelet": line.ends_kubelet,
            })
        };
        json!({
            "ok": is_ok,
            "starts": self.starts(),
            "kubeletVersion": self.version.to_string(),
            "config": self.config,
            "binDir": self.bin_dir,
            "problems": self.lines.iter().map(line).collect::<Vec<_>>(),
            "images": self.images.iter().map(Image::json).collect::<Vec<_>>(),
        })
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
