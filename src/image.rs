//! Image references, as the kubelet passes them.
//!
//! The kubelet sends the normalised name without tag and digest (`host[:port]/path`), people who try the
//! program by hand send the rest too. The grammar is the one of the [distribution project], which containerd
//! and the kubelet use; a text that it does not allow cannot name an image and is an error.
//!
//! [distribution project]: https://pkg.go.dev/github.com/distribution/reference

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::registry::Registry;

const DEFAULT_REGISTRY: &str = "docker.io";
/// The distribution project limits a repository path to this many bytes.
const LONGEST_REPOSITORY: usize = 255;
/// RFC 1035 §2.3.4, without the root's dot.
const LONGEST_HOST: usize = 253;

/// A parsed image reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageReference {
    host: String,
    port: Option<String>,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl ImageReference {
    /// A registry alone, `host[:port]`.
    pub(crate) fn of_registry(text: &str) -> Result<Self, ImageReferenceError> {
        let (host, port) = parse_registry(text)?;
        Ok(Self { host, port, repository: String::new(), tag: None, digest: None })
    }

    /// The registry's host name as written, without port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The registry's port as written.
    pub(crate) fn port(&self) -> Option<&str> {
        self.port.as_deref()
    }

    /// The repository within the registry; empty if only the registry was named.
    pub(crate) fn repository(&self) -> &str {
        &self.repository
    }

    /// `host[:port]` as written: the key under which the kubelet looks for a password. Host and port of
    /// the key must equal those of the image, `host` does not match `host:443`.
    pub fn auth_key(&self) -> String {
        match &self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// What names the version: the digest or, without one, the tag; `latest` without either.
    pub(crate) fn tag_or_digest(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or("latest")
    }

    /// The name under which container runtimes keep the image: with a tag or a digest, and not with both.
    pub(crate) fn name_at_runtime(&self) -> String {
        let separator = if self.digest.is_some() { '@' } else { ':' };
        format!("{}/{}{separator}{}", self.auth_key(), self.repository, self.tag_or_digest())
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.auth_key())?;
        if !self.repository.is_empty() {
            write!(f, "/{}", self.repository)?;
        }
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for ImageReference {
    type Err = ImageReferenceError;

    fn from_str(text: &str) -> Result<Self, ImageReferenceError> {
        if text.is_empty() {
            return Err(ImageReferenceError::Empty);
        }
        if text.contains("://") {
            return Err(ImageReferenceError::Scheme);
        }
        let (name, digest) = split_digest(text)?;
        let (registry, path) = match split_registry(name) {
            Some((registry, path)) => (registry, path),
            None if is_bare_ecr_registry(name) => (name, ""),
            None => (DEFAULT_REGISTRY, name),
        };
        let (host, port) = parse_registry(registry)?;
        let (repository, tag) = match path {
            "" if digest.is_none() && !name.ends_with('/') => (String::new(), None),
            path => parse_path(path, registry == DEFAULT_REGISTRY)?,
        };
        Ok(Self { host, port, repository, tag, digest })
    }
}

/// A registry alone is not an image reference. People who try the program by hand write it nevertheless,
/// the Go plugin accepts it, and for a name of ECR there is no other reading that makes sense.
fn is_bare_ecr_registry(name: &str) -> bool {
    let host = name.split_once(':').map_or(name, |(host, _)| host);
    Registry::from_host(host).is_ok()
}

/// Splits at the first slash, if what stands before it can be a registry. Otherwise the name is short for
/// one on Docker Hub. (`splitDockerDomain` of the distribution project)
fn split_registry(name: &str) -> Option<(&str, &str)> {
    let (first, path) = name.split_once('/')?;
    let registry =
        first.contains(['.', ':', '[']) || first == "localhost" || first.contains(char::is_uppercase);
    registry.then_some((first, path))
}

fn split_digest(text: &str) -> Result<(&str, Option<String>), ImageReferenceError> {
    let Some((name, digest)) = text.split_once('@') else { return Ok((text, None)) };
    let valid = digest.split_once(':').is_some_and(|(algorithm, hex)| {
        is_digest_algorithm(algorithm) && hex.len() >= 32 && hex.bytes().all(|b| b.is_ascii_hexdigit())
    });
    if !valid {
        return Err(ImageReferenceError::Digest);
    }
    Ok((name, Some(digest.to_owned())))
}

fn is_digest_algorithm(text: &str) -> bool {
    text.split(['+', '.', '-', '_']).all(|part| {
        part.starts_with(|c: char| c.is_ascii_alphabetic()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    })
}

fn parse_registry(text: &str) -> Result<(String, Option<String>), ImageReferenceError> {
    let malformed = || ImageReferenceError::Host(text.to_owned());
    let port_at = match text.strip_prefix('[') {
        Some(rest) => rest.find(']').map(|end| end + 2).ok_or_else(malformed)?,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at(port_at);
    let valid = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.len() <= LONGEST_HOST && host.split('.').all(is_host_label),
    };
    if !valid {
        return Err(malformed());
    }
    if rest.is_empty() {
        return Ok((host.to_owned(), None));
    }
    let port = rest.strip_prefix(':').ok_or_else(malformed)?;
    if !is_port(port) {
        return Err(ImageReferenceError::Port(port.to_owned()));
    }
    Ok((host.to_owned(), Some(port.to_owned())))
}

fn is_host_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= 63
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

fn parse_path(path: &str, on_docker_hub: bool) -> Result<(String, Option<String>), ImageReferenceError> {
    let (repository, tag) = path.split_once(':').map_or((path, None), |(path, tag)| (path, Some(tag)));
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err(ImageReferenceError::Tag);
    }
    if repository.len() > LONGEST_REPOSITORY {
        return Err(ImageReferenceError::RepositoryTooLong);
    }
    if !repository.split('/').all(is_path_component) {
        return Err(ImageReferenceError::Repository(repository.to_owned()));
    }
    let repository = match repository {
        short if on_docker_hub && !short.contains('/') => format!("library/{short}"),
        full => full.to_owned(),
    };
    Ok((repository, tag.map(str::to_owned)))
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=128).contains(&tag.len())
        && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-')
        && tag.bytes().next().is_some_and(word)
}

/// Runs of `[a-z0-9]`, separated by one dot, one or two underscores, or any number of dashes.
fn is_path_component(component: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    component.starts_with(alphanumeric)
        && component.ends_with(alphanumeric)
        && component.split(alphanumeric).all(|separator| {
            matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
        })
}

/// Why a text is not an image reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageReferenceError {
    /// There is no text.
    #[error("it is empty")]
    Empty,
    /// It is a URL.
    #[error("it has a scheme (`://`)")]
    Scheme,
    /// Not a host name and not an IPv6 address in brackets.
    #[error("`{0}` is not a registry host name")]
    Host(String),
    /// Not a number from 1 to 65535.
    #[error("`{0}` is not a port")]
    Port(String),
    /// Something else than lower-case letters, digits and single separators.
    #[error("`{0}` is not a repository name (lower-case letters, digits, and separators between them)")]
    Repository(String),
    /// More than 255 bytes.
    #[error("the repository name is longer than 255 characters")]
    RepositoryTooLong,
    /// Not 1 to 128 word characters, dots and dashes.
    #[error("the tag is malformed")]
    Tag,
    /// Not an algorithm, a colon and at least 32 hexadecimal digits.
    #[error("the digest is malformed")]
    Digest,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn accepts_what_the_distribution_project_accepts() {
        let ecr = "571600876202.dkr.ecr.eu-central-1.amazonaws.com";
        let rows = [
            ("nginx".to_owned(), "docker.io", "docker.io/library/nginx".to_owned()),
            ("a/b:1".to_owned(), "docker.io", "docker.io/a/b:1".to_owned()),
            ("localhost/a".to_owned(), "localhost", "localhost/a".to_owned()),
            (
                "registry.k8s.io/pause:3.10".to_owned(),
                "registry.k8s.io",
                "registry.k8s.io/pause:3.10".to_owned(),
            ),
            ("UPPER/a".to_owned(), "UPPER", "UPPER/a".to_owned()),
            ("[::1]:5000/a".to_owned(), "[::1]:5000", "[::1]:5000/a".to_owned()),
            ("h:5000/a__b/c--d.e".to_owned(), "h:5000", "h:5000/a__b/c--d.e".to_owned()),
            (format!("{ecr}/a"), ecr, format!("{ecr}/a")),
            (ecr.to_owned(), ecr, ecr.to_owned()),
            (
                format!("{ecr}:443"),
                "571600876202.dkr.ecr.eu-central-1.amazonaws.com:443",
                format!("{ecr}:443"),
            ),
            (format!("{ecr}/a/b:v1@{DIGEST}"), ecr, format!("{ecr}/a/b:v1@{DIGEST}")),
        ];
        for (text, auth_key, canonical) in rows {
            let image: ImageReference = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(image.auth_key(), auth_key, "{text}");
            assert_eq!(image.to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn refuses_what_names_no_image() {
        use ImageReferenceError as E;
        let long = "a".repeat(256);
        let rows = [
            ("", E::Empty),
            ("https://registry.corp/a", E::Scheme),
            ("registry.corp./a", E::Host("registry.corp.".into())),
            ("user:pass@registry.corp/a", E::Digest),
            ("-a.b/c", E::Host("-a.b".into())),
            ("a..b/c", E::Host("a..b".into())),
            ("a_b.c/d", E::Host("a_b.c".into())),
            ("ä.corp/d", E::Host("ä.corp".into())),
            ("[::1/a", E::Host("[::1".into())),
            ("[::1]5000/a", E::Host("[::1]5000".into())),
            ("a.b:/c", E::Port(String::new())),
            ("a.b:0/c", E::Port("0".into())),
            ("a.b:65536/c", E::Port("65536".into())),
            ("a.b:+80/c", E::Port("+80".into())),
            ("a.b/", E::Repository(String::new())),
            ("a.b//c", E::Repository("/c".into())),
            ("a.b/C", E::Repository("C".into())),
            ("a.b/c d", E::Repository("c d".into())),
            ("a.b/../c", E::Repository("../c".into())),
            ("a.b/c?x=1", E::Repository("c?x=1".into())),
            ("a.b/c___d", E::Repository("c___d".into())),
            ("a.b/c:", E::Tag),
            ("a.b/c:-x", E::Tag),
            ("a.b/c:d/e", E::Tag),
            ("a.b/c@sha256:00", E::Digest),
            ("a.b/c@", E::Digest),
        ];
        for (text, error) in rows {
            assert_eq!(text.parse::<ImageReference>(), Err(error), "{text}");
        }
        assert_eq!(format!("a.b/{long}").parse::<ImageReference>(), Err(E::RepositoryTooLong));
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,80}|[a-z0-9.:/@\\[\\]-]{0,80}") {
            let _ = text.parse::<ImageReference>();
        }

        #[test]
        fn text_and_back(
            text in "([a-z0-9]{1,9}\\.[A-Za-z0-9]{1,5}(:[1-9][0-9]{0,3})?/)?[a-z0-9]{1,8}((/|-{1,3}|__?)[a-z0-9]{1,8}){0,3}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,20})?"
        ) {
            let image: ImageReference = text.parse().expect("the pattern makes valid references only");
            prop_assert_eq!(image.to_string().parse(), Ok(image));
        }
    }
}
