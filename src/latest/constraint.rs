//! Constraints on versions, as Helm writes them.
//!
//! `semver::VersionReq` is Cargo's: there `1.2.3` means `^1.2.3`, alternatives do not exist, and a prerelease fits only
//! beside its own release, so that Helm's `>0.0.0-0` for "prereleases too" would find none.
//!
//! Every comparison is a range of versions: from one on, up to another that is not in it. The lowest version of a
//! release is its prerelease `-0`.

use std::str::FromStr;

use semver::{BuildMetadata, Prerelease, Version};

/// Alternatives, of which one has to fit.
#[derive(Debug)]
pub(crate) struct Constraint(Vec<Alternative>);

/// Comparisons, of which all have to fit.
#[derive(Debug, Default)]
struct Alternative {
    within: Vec<Range>,
    outside: Vec<Range>,
    /// Whether one of them names a prerelease; otherwise none fits.
    takes_prereleases: bool,
}

#[derive(Debug)]
struct Range {
    from: Version,
    /// Not in it; without one, it has no end.
    to: Option<Version>,
}

impl Constraint {
    /// Whether the version fits.
    pub(crate) fn allows(&self, version: &Version) -> bool {
        self.0.iter().any(|alternative| {
            let Alternative { within, outside, takes_prereleases } = alternative;
            (version.pre.is_empty() || *takes_prereleases)
                && within.iter().all(|range| range.has(version))
                && !outside.iter().any(|range| range.has(version))
        })
    }
}

impl Range {
    fn has(&self, version: &Version) -> bool {
        self.from <= *version && self.to.as_ref().is_none_or(|to| version < to)
    }
}

/// What is wrong with a constraint.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConstraintError {
    #[error("`{0}` is not a version, such as `1.2.3`, `1.2` or `1.x`")]
    Version(String),
    #[error("there is no version after `{0}`")]
    Unfinished(String),
}

impl FromStr for Constraint {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, ConstraintError> {
        text.split("||").map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Alternative {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, ConstraintError> {
        let mut alternative = Self::default();
        let text = text.replace(',', " ");
        let mut words = text.split_whitespace().peekable();
        while let Some(word) = words.next() {
            let (operator, rest) = word.split_at(word.find(|c| !"=!<>~^".contains(c)).unwrap_or(word.len()));
            let version = if rest.is_empty() { words.next() } else { Some(rest) };
            let version = version.ok_or_else(|| ConstraintError::Unfinished(operator.to_owned()))?;
            if operator.is_empty() && words.next_if_eq(&"-").is_some() {
                let end = words.next().ok_or_else(|| ConstraintError::Unfinished(format!("{version} -")))?;
                alternative.add(">=", version)?;
                alternative.add("<=", end)?;
            } else {
                alternative.add(operator, version)?;
            }
        }
        Ok(alternative)
    }
}

impl Alternative {
    fn add(&mut self, operator: &str, version: &str) -> Result<(), ConstraintError> {
        let named: Partial = version.parse()?;
        let malformed = || ConstraintError::Version(format!("{operator}{version}"));
        let lowest = || version_of(0, 0, 0, LOWEST);
        let (from, to) = match operator {
            "" | "=" | "!=" => (named.first(), named.after()),
            ">" => (named.after().ok_or_else(malformed)?, None),
            ">=" | "=>" => (named.first(), None),
            "<" => (lowest(), Some(named.first())),
            "<=" | "=<" => (lowest(), named.after()),
            "~" | "~>" => (named.first(), named.after_minor()),
            "^" => (named.first(), named.after_compatible()),
            _ => return Err(malformed()),
        };
        self.takes_prereleases |= !named.prerelease.is_empty();
        let ranges = if operator == "!=" { &mut self.outside } else { &mut self.within };
        ranges.push(Range { from, to });
        Ok(())
    }
}

/// A version of which the last numbers may be left out, or be `x` or `*`.
struct Partial {
    numbers: Vec<u64>,
    prerelease: Prerelease,
}

const LOWEST: &str = "0";

fn version_of(major: u64, minor: u64, patch: u64, prerelease: &str) -> Version {
    let pre = Prerelease::new(prerelease).unwrap_or(Prerelease::EMPTY);
    Version { major, minor, patch, pre, build: BuildMetadata::EMPTY }
}

impl FromStr for Partial {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, ConstraintError> {
        let malformed = || ConstraintError::Version(text.to_owned());
        let version = text.strip_prefix(['v', 'V']).unwrap_or(text);
        // What was built of it makes no other version.
        let version = version.split_once('+').map_or(version, |(version, _)| version);
        let (core, prerelease) = version.split_once('-').unwrap_or((version, ""));
        let prerelease = Prerelease::new(prerelease).map_err(|_| malformed())?;
        let parts: Vec<_> = core.split('.').collect();
        let known = parts.iter().take_while(|part| !matches!(**part, "x" | "X" | "*")).count();
        let numbers = parts[..known].iter().map(|part| part.parse().map_err(|_| malformed()));
        let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
        let is_complete = numbers.len() == 3;
        if parts.len() > 3 || (!is_complete && !prerelease.is_empty()) {
            return Err(malformed());
        }
        Ok(Self { numbers, prerelease })
    }
}

impl Partial {
    fn number(&self, index: usize) -> u64 {
        self.numbers.get(index).copied().unwrap_or_default()
    }

    /// The lowest version that it stands for.
    fn first(&self) -> Version {
        let pre = self.prerelease.clone();
        Version { pre, ..version_of(self.number(0), self.number(1), self.number(2), "") }
    }

    /// The lowest version above all that it stands for; none above everything.
    fn after(&self) -> Option<Version> {
        if self.prerelease.is_empty() {
            return self.raised(self.numbers.len().checked_sub(1)?);
        }
        // Nothing is between `-rc.1` and `-rc.1.0`.
        let next = format!("{}.0", self.prerelease);
        Some(version_of(self.number(0), self.number(1), self.number(2), &next))
    }

    /// With the number at `index` one higher and nothing after it.
    fn raised(&self, index: usize) -> Option<Version> {
        let number = |at: usize| match at {
            at if at < index => Some(self.number(at)),
            at if at == index => self.number(at).checked_add(1),
            _ => Some(0),
        };
        Some(version_of(number(0)?, number(1)?, number(2)?, LOWEST))
    }

    /// `~`: the last number may be higher, of two the second may not.
    fn after_minor(&self) -> Option<Version> {
        self.raised(self.numbers.len().checked_sub(1)?.min(1))
    }

    /// `^`: what is left of the first number that is not zero, and that, stays.
    fn after_compatible(&self) -> Option<Version> {
        let last = self.numbers.len().checked_sub(1)?;
        let first = self.numbers.iter().position(|number| *number > 0);
        self.raised(first.unwrap_or(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of `Masterminds/semver`, which Helm uses, as its documentation has them.
    #[test]
    fn constraints_mean_what_they_mean_to_helm() {
        let rows: [(&str, &[&str], &[&str]); 24] = [
            ("*", &["0.0.0", "1.2.3"], &["1.2.3-rc.1"]),
            ("", &["1.2.3"], &[]),
            ("1.2.3", &["1.2.3", "1.2.3+build"], &["1.2.4", "1.2.2"]),
            ("1.2", &["1.2.0", "1.2.9"], &["1.3.0"]),
            ("1", &["1.0.0", "1.9.9"], &["2.0.0"]),
            ("1.x", &["1.0.20250603"], &["2.0.0"]),
            ("1.2.*", &["1.2.3"], &["1.3.0"]),
            ("v1.2.3", &["1.2.3"], &["1.2.4"]),
            ("!=1.2", &["1.1.0", "1.3.0"], &["1.2.0", "1.2.5"]),
            (">1.2.3", &["1.2.4"], &["1.2.3"]),
            (">1.2", &["1.3.0"], &["1.2.9"]),
            (">= 1.2", &["1.2.0"], &["1.1.9"]),
            ("<2", &["1.9.9"], &["2.0.0", "2.0.0-rc.1"]),
            ("<=1.2", &["1.2.9"], &["1.3.0"]),
            (">=1.0 <2", &["1.0.0", "1.9.9"], &["0.9.0", "2.0.0"]),
            (">=1.0, <2", &["1.0.0"], &["2.0.0"]),
            ("1.2 - 1.4.5", &["1.2.0", "1.4.5"], &["1.4.6", "1.1.0"]),
            ("~1.2.3", &["1.2.3", "1.2.9"], &["1.3.0", "1.2.2"]),
            ("~1", &["1.9.0"], &["2.0.0"]),
            ("^1.2.3", &["1.2.3", "1.9.0"], &["2.0.0", "1.2.2"]),
            ("^0.2.3", &["0.2.9"], &["0.3.0"]),
            ("^0.0.3", &["0.0.3"], &["0.0.4"]),
            ("<1 || >=2.1", &["0.9.0", "2.1.0"], &["1.0.0", "2.0.0"]),
            (">0.0.0-0", &["1.0.0-alpha", "1.0.0"], &[]),
        ];
        for (text, fitting, others) in rows {
            let constraint: Constraint = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            let allows = |version: &&&str| constraint.allows(&version.parse().expect("a version"));
            assert_eq!(fitting.iter().find(|version| !allows(version)), None, "{text} must allow");
            assert_eq!(others.iter().find(allows), None, "{text} must not allow");
        }
    }

    #[test]
    fn prereleases_have_an_order_too() {
        let constraint: Constraint = ">=1.0.0-rc.1 <=1.0.0-rc.3".parse().expect("valid");
        let fitting = ["1.0.0-rc.1", "1.0.0-rc.2", "1.0.0-rc.3"];
        for version in fitting {
            assert!(constraint.allows(&version.parse().expect("a version")), "{version}");
        }
        for version in ["1.0.0-beta", "1.0.0-rc.4", "1.0.0-rc.3.0", "1.0.0"] {
            assert!(!constraint.allows(&version.parse().expect("a version")), "{version}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let rows = [
            (">=", "there is no version after `>=`"),
            ("1.2 -", "there is no version after `1.2 -`"),
            ("latest", "`latest` is not a version, such as `1.2.3`, `1.2` or `1.x`"),
            ("1.2.3.4", "`1.2.3.4` is not a version, such as `1.2.3`, `1.2` or `1.x`"),
            ("1.2-rc", "`1.2-rc` is not a version, such as `1.2.3`, `1.2` or `1.x`"),
            ("=>>1", "`=>>1` is not a version, such as `1.2.3`, `1.2` or `1.x`"),
            (">*", "`>*` is not a version, such as `1.2.3`, `1.2` or `1.x`"),
        ];
        for (text, reason) in rows {
            let error = text.parse::<Constraint>().map(|_| ()).expect_err(text);
            assert_eq!(error.to_string(), reason);
        }
    }
}
