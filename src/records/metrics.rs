//! Counters and times in the [text format] of Prometheus, for the textfile collector of its node-exporter.
//!
//! The file is the memory: each run reads it, adds itself, and replaces it, under a lock. What is not exactly as
//! it is written here starts anew, as counters may.
//!
//! [text format]: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Write as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::file;
use super::run::{Outcome, Run};

/// Some series for each region.
const LARGEST: u64 = 256 << 10;

/// The exporter is another user.
const MODE: Mode = Mode::RUSR.union(Mode::WUSR).union(Mode::RGRP).union(Mode::ROTH);
const ONLY_OWNER: Mode = Mode::RUSR.union(Mode::WUSR);

const CALLS: &str = "ecr_credential_provider_calls_total";
const SUCCESS: &str = "ecr_credential_provider_last_success_timestamp_seconds";
const EXPIRY: &str = "ecr_credential_provider_token_expiry_timestamp_seconds";
const AWS: &str = "ecr_credential_provider_aws_request_duration_seconds";

/// Adds a run to the file at `path`.
pub(super) fn count(path: &Path, run: &Run) -> Result<(), String> {
    add(path, run).map_err(|error| format!("cannot update `{}`: {error}", path.display()))
}

fn add(path: &Path, run: &Run) -> io::Result<()> {
    let lock = file::open(&file::with_suffix(path, ".lock"), OFlags::RDWR | OFlags::CREATE, ONLY_OWNER)?;
    // However long that takes, the end of the process does not wait for it.
    lock.lock()?;
    let mut metrics = read(path)?.as_deref().and_then(Metrics::parse).unwrap_or_default();
    metrics.add(run);
    // Left over if the process before us ended here.
    let temporary = file::with_suffix(path, ".tmp");
    let _ = fs::remove_file(&temporary);
    let mut file = file::open(&temporary, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL, MODE)?;
    // Whatever the umask is.
    let written = rustix::fs::fchmod(&file, MODE)
        .map_err(io::Error::from)
        .and_then(|()| file.write_all(metrics.to_text().as_bytes()))
        .and_then(|()| fs::rename(&temporary, path));
    written.inspect_err(|_| drop(fs::remove_file(&temporary)))
}

fn read(path: &Path) -> io::Result<Option<String>> {
    let file = match file::open(path, OFlags::RDONLY, Mode::empty()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut content = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut content)?;
    Ok(String::from_utf8(content).ok().filter(|text| text.len() as u64 <= LARGEST))
}

/// What is in the file.
#[derive(Debug, Default, PartialEq)]
struct Metrics {
    /// By result and code.
    calls: BTreeMap<(Outcome, String), u64>,
    /// By registries. Seconds since 1970, as below.
    successes: BTreeMap<String, i64>,
    /// By registries and region.
    expiries: BTreeMap<(String, String), i64>,
    aws_calls: u64,
    aws_microseconds: u64,
}

impl Metrics {
    fn add(&mut self, run: &Run) {
        let calls = self.calls.entry((run.outcome, run.code().unwrap_or_default())).or_default();
        *calls = calls.saturating_add(1);
        if let Some(took) = run.aws_took {
            self.aws_calls = self.aws_calls.saturating_add(1);
            let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            self.aws_microseconds = self.aws_microseconds.saturating_add(took);
        }
        if let (Outcome::Ok | Outcome::Cached, Some(registry)) = (run.outcome, &run.registry) {
            let registries = registry.all_accounts();
            self.successes.insert(registries.clone(), run.ended_at.as_second());
            if let Some(expires_at) = run.expires_at {
                self.expiries.insert((registries, registry.region().to_owned()), expires_at.as_second());
            }
        }
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        family(
            CALLS,
            "counter",
            "Calls by result, and by the code of the error if there was one; a cached password may have made up for it.",
            &mut text,
        );
        for ((outcome, code), calls) in &self.calls {
            sample(CALLS, &[("result", outcome.as_str()), ("code", code)], calls, &mut text);
        }
        family(SUCCESS, "gauge", "When a call was last answered with a password.", &mut text);
        for (registries, at) in &self.successes {
            sample(SUCCESS, &[("registry", registries)], at, &mut text);
        }
        family(EXPIRY, "gauge", "When the password that was given last expires.", &mut text);
        for ((registries, region), at) in &self.expiries {
            sample(EXPIRY, &[("registry", registries), ("region", region)], at, &mut text);
        }
        family(
            AWS,
            "summary",
            "How long AWS took to issue a password, or to fail, retries included.",
            &mut text,
        );
        let (seconds, rest) = (self.aws_microseconds / 1_000_000, self.aws_microseconds % 1_000_000);
        sample(&format!("{AWS}_sum"), &[], format!("{seconds}.{rest:06}"), &mut text);
        sample(&format!("{AWS}_count"), &[], self.aws_calls, &mut text);
        text
    }

    /// None if it is not, to the letter, what [`Self::to_text`] writes.
    fn parse(text: &str) -> Option<Self> {
        let mut metrics = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            metrics.take(Sample::parse(line)?)?;
        }
        (metrics.to_text() == text).then_some(metrics)
    }

    fn take(&mut self, sample: Sample) -> Option<()> {
        let Sample { name, labels, value } = sample;
        let mut values = labels.into_iter().map(|(_, value)| value);
        let mut label = || values.next();
        if name == CALLS {
            let result = label()?;
            let outcome = Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == result)?;
            self.calls.insert((outcome, label()?), value.parse().ok()?);
        } else if name == SUCCESS {
            self.successes.insert(label()?, value.parse().ok()?);
        } else if name == EXPIRY {
            self.expiries.insert((label()?, label()?), value.parse().ok()?);
        } else {
            match name.strip_prefix(AWS)? {
                "_sum" => self.aws_microseconds = value.replace('.', "").parse().ok()?,
                "_count" => self.aws_calls = value.parse().ok()?,
                _ => return None,
            }
        }
        Some(())
    }
}

fn family(name: &str, kind: &str, help: &str, text: &mut String) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn sample(name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display, text: &mut String) {
    let escape = |value: &str| value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
    let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    let _ = writeln!(text, "{name}{labels} {value}");
}

/// A line, taken apart.
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: String,
}

impl Sample {
    fn parse(line: &str) -> Option<Self> {
        let (front, value) = line.rsplit_once(' ')?;
        let (name, labels) = match front.split_once('{') {
            Some((name, labels)) => (name, labels_of(labels.strip_suffix('}')?)?),
            None => (front, Vec::new()),
        };
        Some(Self { name: name.to_owned(), labels, value: value.to_owned() })
    }
}

fn labels_of(text: &str) -> Option<Vec<(String, String)>> {
    let (mut labels, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, length) = unescape(quoted)?;
        labels.push((name.to_owned(), value));
        rest = quoted.get(length..)?;
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    Some(labels)
}

/// The value in front of the quote that ends it, and how many bytes both take.
fn unescape(text: &str) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    loop {
        match characters.next()? {
            (at, '"') => return Some((value, at + 1)),
            (_, '\\') => value.push(match characters.next()?.1 {
                'n' => '\n',
                escaped => escaped,
            }),
            (_, plain) => value.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    fn metrics() -> impl Strategy<Value = Metrics> {
        let text = || r#"[a-z*."\\\n{}, =#é]{0,6}"#;
        let outcome = || (0..4_usize).prop_map(|index| Outcome::ALL[index]);
        (
            btree_map((outcome(), text()), any::<u64>(), 0..4),
            btree_map(text(), any::<i64>(), 0..4),
            btree_map((text(), text()), any::<i64>(), 0..4),
            any::<u64>(),
            any::<u64>(),
        )
            .prop_map(|(calls, successes, expiries, aws_calls, aws_microseconds)| Metrics {
                calls,
                successes,
                expiries,
                aws_calls,
                aws_microseconds,
            })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(metrics in metrics()) {
            prop_assert_eq!(Metrics::parse(&metrics.to_text()), Some(metrics));
        }

        #[test]
        fn whatever_else_is_there_is_refused(metrics in metrics(), at in any::<prop::sample::Index>(), by in any::<char>()) {
            let text = metrics.to_text();
            let mut characters: Vec<_> = text.chars().collect();
            let place = at.index(characters.len());
            characters[place] = by;
            let changed: String = characters.iter().collect();
            if let Some(read) = Metrics::parse(&changed) {
                prop_assert_eq!(read.to_text(), changed);
            }
            prop_assert!(Metrics::parse(&text[..text.len() - 1]).is_none());
        }
    }
}
