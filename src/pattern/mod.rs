//! The patterns of `matchImages`, with the meaning that the kubelet gives them.
//!
//! A pattern is read as the URL that `https://` in front of it makes, and its host is a glob for each label
//! (`URLsMatchStr` in `pkg/credentialprovider` of Kubernetes, over `net/url` and `filepath.Match` of Go 1.26).
//! What follows from that surprises people:
//!
//! - `*` stays within one label, so both names must have as many labels; it means nothing in a path.
//! - No port is not port 443.
//! - A path is a plain prefix: `host/team` is also right for `host/team-b`.
//! - `?` starts a query and `[` an IPv6 address: no other wildcard than `*` reaches the matching.
//! - A pattern that can never match is accepted nevertheless, see [`Trap`].

mod url;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::image::ImageReference;
pub use url::PatternError;
use url::Url;

/// A pattern that the kubelet accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    labels: Vec<String>,
    port: Option<String>,
    /// With its escapes resolved, which need not leave UTF-8.
    path: Vec<u8>,
}

impl Pattern {
    /// Whether the kubelet takes `image` for one of this pattern; the first reason if not.
    pub fn matches(&self, image: &ImageReference) -> Result<(), Miss> {
        let target = Target::of(image);
        if self.labels.len() != target.labels.len() {
            return Err(Miss::LabelCount { pattern: self.labels.len(), image: target.labels.len() });
        }
        let mut pairs = self.labels.iter().zip(&target.labels);
        if let Some((glob, label)) = pairs.find(|(glob, label)| !label_matches(glob, label)) {
            return Err(Miss::Label { pattern: glob.clone(), image: (*label).to_owned() });
        }
        if self.port.as_deref() != target.port {
            return Err(Miss::Port { pattern: self.port.clone(), image: target.port.map(str::to_owned) });
        }
        if !target.path.as_bytes().starts_with(&self.path) {
            return Err(Miss::Path { pattern: self.path().into_owned(), image: target.path });
        }
        Ok(())
    }

    /// Whether some images of a registry may match and others not.
    pub fn has_path(&self) -> bool {
        !matches!(self.path.as_slice(), [] | b"/")
    }

    /// Whether this pattern matches every image that `other` matches. It may say no where it does.
    pub fn covers(&self, other: &Self) -> bool {
        // A `*` of the other can only be matched by one of this.
        self.is_like(other, label_matches) && other.path.starts_with(&self.path)
    }

    /// Whether an image can match both patterns.
    pub fn overlaps(&self, other: &Self) -> bool {
        let both = self.path.starts_with(&other.path) || other.path.starts_with(&self.path);
        self.is_like(other, |one, other| globs_overlap(one.as_bytes(), other.as_bytes())) && both
    }

    fn is_like(&self, other: &Self, labels_are_alike: fn(&str, &str) -> bool) -> bool {
        let mut labels = self.labels.iter().zip(&other.labels);
        self.port == other.port
            && self.labels.len() == other.labels.len()
            && labels.all(|(one, other)| labels_are_alike(one, other))
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What the kubelet accepts without a word although it cannot have been meant.
    pub fn trap(&self) -> Option<Trap> {
        if self.text.contains("://") {
            return Some(Trap::Scheme);
        }
        if let Some(at) = self.text.find(['?', '#']) {
            return Some(Trap::Ignored(self.text[at..].to_owned()));
        }
        if self.path.contains(&b'*') {
            return Some(Trap::StarInPath(self.path().into_owned()));
        }
        if self.path.contains(&b':') || self.path.contains(&b'@') {
            return Some(Trap::TagInPath(self.path().into_owned()));
        }
        self.labels.first().filter(|label| label.starts_with('[')).map(|_| Trap::AddressWithoutPort)
    }

    fn path(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.path)
    }

    /// How far the pattern is from the image: two for each label that differs, one each for port and path.
    fn distance(&self, image: &ImageReference) -> usize {
        let target = Target::of(image);
        let longer = self.labels.len().max(target.labels.len());
        let alike = if self.labels.len() == target.labels.len() {
            self.labels.iter().zip(&target.labels).filter(|(glob, label)| label_matches(glob, label)).count()
        } else {
            let from_start = count_alike(self.labels.iter().zip(&target.labels));
            let from_end = count_alike(self.labels.iter().rev().zip(target.labels.iter().rev()));
            from_start.max(from_end)
        };
        let port = usize::from(self.port.as_deref() != target.port);
        let path = usize::from(!target.path.as_bytes().starts_with(&self.path));
        2 * (longer - alike) + port + path
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The pattern that misses `image` by the least, and by what; none if there is no pattern, or all match. Of
/// equals it is the first.
pub fn nearest<'a>(
    patterns: impl IntoIterator<Item = &'a Pattern>,
    image: &ImageReference,
) -> Option<(&'a Pattern, Miss)> {
    patterns
        .into_iter()
        .filter_map(|pattern| Some((pattern, pattern.matches(image).err()?)))
        .min_by_key(|(pattern, _)| pattern.distance(image))
}

/// Why a pattern does not match an image. The host comes first, then the port, then the path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Miss {
    /// The host names have different numbers of labels.
    #[error("the pattern has {pattern} labels (parts between dots), the image's host name has {image}")]
    LabelCount {
        /// How many the pattern has.
        pattern: usize,
        /// How many the image's host name has.
        image: usize,
    },
    /// The first label that does not match.
    #[error("label `{pattern}` does not match `{image}`")]
    Label {
        /// The pattern's label.
        pattern: String,
        /// The image's.
        image: String,
    },
    /// The ports are not the same text.
    #[error("the pattern has {}, the image has {}", port_in_words(pattern.as_deref()), port_in_words(image.as_deref()))]
    Port {
        /// The pattern's port.
        pattern: Option<String>,
        /// The image's.
        image: Option<String>,
    },
    /// The image's path does not start with that of the pattern.
    #[error("the image's path `{image}` does not start with `{pattern}`")]
    Path {
        /// The pattern's path.
        pattern: String,
        /// The image's.
        image: String,
    },
}

/// What a pattern contains that makes it mean something else than it says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trap {
    /// `https://` is taken for the host `https`.
    #[error("a pattern has no scheme: the kubelet takes what stands before `://` for the host name")]
    Scheme,
    /// A query or a fragment.
    #[error("the kubelet ignores `{0}`: `?` and `#` end a pattern")]
    Ignored(String),
    /// `*` is a character like any other in a path.
    #[error("`*` is no wildcard in a path: `{0}` is a plain prefix")]
    StarInPath(String),
    /// An image is compared without them.
    #[error("`{0}` matches no image: the kubelet compares it without tag and digest")]
    TagInPath(String),
    /// The brackets are taken for a class of characters.
    #[error("an IPv6 address matches only with a port")]
    AddressWithoutPort,
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let Url { host, port, path } = Url::parse(text)?;
        let labels = host.split('.').map(str::to_owned).collect();
        Ok(Self { text: text.to_owned(), labels, port: port.map(str::to_owned), path })
    }
}

/// What is compared with a pattern.
struct Target<'a> {
    labels: Vec<&'a str>,
    port: Option<&'a str>,
    path: String,
}

impl<'a> Target<'a> {
    fn of(image: &'a ImageReference) -> Self {
        let (host, port) = (image.host(), image.port());
        let host = if port.is_some() { host.trim_start_matches('[').trim_end_matches(']') } else { host };
        let path = match image.repository() {
            "" => String::new(),
            repository => format!("/{repository}"),
        };
        Self { labels: host.split('.').collect(), port, path }
    }
}

fn count_alike<'a>(pairs: impl Iterator<Item = (&'a String, &'a &'a str)>) -> usize {
    pairs.take_while(|(glob, label)| label_matches(glob, label)).count()
}

/// `filepath.Match` for what can be in a label. A bracket is left only of an IPv6 address without port, and
/// then begins a class of single characters, which no host name is.
fn label_matches(glob: &str, label: &str) -> bool {
    if glob.starts_with('[') {
        return false;
    }
    let Some((start, rest)) = glob.split_once('*') else { return glob == label };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    let between = label.strip_prefix(start).and_then(|label| label.strip_suffix(end));
    let search = |text: &'_ str, part: &str| text.find(part).map(|at| at + part.len());
    between.is_some_and(|mut between| {
        middle.split('*').all(|part| match search(between, part) {
            Some(end) => {
                between = &between[end..];
                true
            }
            None => false,
        })
    })
}

/// Whether a text matches both globs.
fn globs_overlap(one: &[u8], other: &[u8]) -> bool {
    match (one, other) {
        ([], []) => true,
        ([b'*', rest @ ..], other) | (other, [b'*', rest @ ..]) => {
            (0..=other.len()).any(|taken| globs_overlap(rest, &other[taken..]))
        }
        ([a, one @ ..], [b, other @ ..]) => a == b && globs_overlap(one, other),
        _ => false,
    }
}

fn port_in_words(port: Option<&str>) -> String {
    port.map_or_else(|| "no port".to_owned(), |port| format!("port {port}"))
}

#[cfg(test)]
mod tests;
