//! Which image of a repository is the latest one.
//!
//! A repository holds more than images: what signs them, lists what is in them, or speeds up builds is pushed beside
//! them, and later. That, and what has no tag, is never the latest.

mod constraint;

use jiff::Timestamp;
use semver::Version;

pub(crate) use self::constraint::Constraint;

/// An image, chart or other artifact, as ECR describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PushedImage {
    /// In the order of their bytes; ECR has none.
    pub(crate) tags: Vec<String>,
    pub(crate) digest: String,
    pub(crate) pushed_at: Option<Timestamp>,
    /// The media type of its configuration, by which a chart differs from an image.
    pub(crate) artifact_type: Option<String>,
    /// The digest of that which it is about: it is a signature, or something like that.
    pub(crate) subject: Option<String>,
}

/// The latest image, and which of its tags to name it by.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Latest<'a> {
    pub(crate) image: &'a PushedImage,
    pub(crate) tag: &'a str,
    /// What the tag means as a version, if it is one.
    pub(crate) version: Option<Version>,
}

/// Words in the types of what is pushed beside images: signatures, attestations, lists of parts, caches of builds.
const BESIDE: [&str; 7] =
    ["cosign", "sigstore", "notary.signature", "in-toto", "spdx", "cyclonedx", "buildkit.cacheconfig"];

impl PushedImage {
    /// Whether this can be the latest.
    pub(crate) fn is_candidate(&self) -> bool {
        let artifact_type = self.artifact_type.as_deref().unwrap_or_default();
        self.subject.is_none()
            && !BESIDE.iter().any(|word| artifact_type.contains(word))
            && self.tags.iter().any(|tag| !is_of_digest(tag))
    }

    /// The tags that are versions, with what they mean.
    fn versions(&self) -> impl Iterator<Item = (&str, Version)> {
        self.tags.iter().filter_map(|tag| Some((tag.as_str(), version_of(tag)?)))
    }

    /// The tag to name it by: the highest version or, without one, the first in the order of bytes.
    fn best_tag(&self) -> Option<(&str, Option<Version>)> {
        let highest = self.versions().max_by(|(_, one), (_, other)| one.cmp(other));
        let first = || self.tags.iter().find(|tag| !is_of_digest(tag)).map(|tag| (tag.as_str(), None));
        highest.map(|(tag, version)| (tag, Some(version))).or_else(first)
    }
}

/// `sha256-<digest>`, with `.sig`, `.att` or `.sbom` or without: how cosign and notation find what they made for an image.
fn is_of_digest(tag: &str) -> bool {
    let digest = tag.strip_prefix("sha256-").and_then(|rest| rest.get(..64));
    digest.is_some_and(|digest| digest.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// A tag as a version of three numbers, with `v` or without. Tags have no `+`, so charts have `_` in its place.
fn version_of(tag: &str) -> Option<Version> {
    let tag = tag.strip_prefix(['v', 'V']).unwrap_or(tag);
    Version::parse(&tag.replacen('_', "+", 1)).ok()
}

/// The image that was pushed last. Of those of the same second, the one with the higher version, then the higher digest.
pub(crate) fn newest(images: &[PushedImage]) -> Option<Latest<'_>> {
    let latest = images.iter().filter(|image| image.is_candidate()).filter_map(|image| {
        let (tag, version) = image.best_tag()?;
        Some(Latest { image, tag, version })
    });
    latest.max_by(|one, other| {
        let rank = |latest: &Latest<'_>| (latest.image.pushed_at, latest.version.clone());
        rank(one).cmp(&rank(other)).then_with(|| one.image.digest.cmp(&other.image.digest))
    })
}

/// The image with the highest version that fits, whenever it was pushed.
pub(crate) fn highest<'a>(images: &'a [PushedImage], constraint: &Constraint) -> Option<Latest<'a>> {
    let candidates = images.iter().filter(|image| image.is_candidate());
    let versions =
        candidates.flat_map(|image| image.versions().map(move |(tag, version)| (image, tag, version)));
    let fitting = versions.filter(|(.., version)| constraint.allows(version));
    let best = fitting.max_by(|(_, tag, version), (_, other_tag, other)| {
        version.cmp(other).then_with(|| other_tag.cmp(tag))
    });
    best.map(|(image, tag, version)| Latest { image, tag, version: Some(version) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(second: i64, tags: &[&str]) -> PushedImage {
        PushedImage {
            tags: tags.iter().map(ToString::to_string).collect(),
            digest: format!("sha256:{second:064}"),
            pushed_at: Timestamp::from_second(second).ok(),
            artifact_type: Some("application/vnd.oci.image.config.v1+json".to_owned()),
            subject: None,
        }
    }

    fn of_type(artifact_type: &str) -> PushedImage {
        PushedImage { artifact_type: Some(artifact_type.to_owned()), ..image(9, &["9.9.9"]) }
    }

    #[test]
    fn the_newest_is_an_image_and_has_the_best_of_its_tags() {
        let digest = "0123456789abcdef".repeat(4);
        let rows = [
            ("the last push", vec![image(2, &["b"]), image(3, &["a"]), image(1, &["c"])], Some("a")),
            ("untagged", vec![image(2, &["b"]), image(3, &[])], Some("b")),
            (
                "the highest version",
                vec![image(1, &["1", "1.9", "1.10.0", "1.9.0", "latest"])],
                Some("1.10.0"),
            ),
            ("no version", vec![image(1, &["a", "b", "latest"])], Some("a")),
            ("a signature", vec![image(1, &["a"]), image(2, &[&format!("sha256-{digest}.sig")])], Some("a")),
            (
                "an index of referrers",
                vec![image(1, &["a"]), image(2, &[&format!("sha256-{digest}")])],
                Some("a"),
            ),
            (
                "a tag that only looks like one",
                vec![image(1, &["a"]), image(2, &["sha256-abc"])],
                Some("sha256-abc"),
            ),
            (
                "cosign",
                vec![image(1, &["a"]), of_type("application/vnd.dev.cosign.artifact.sig.v1+json")],
                Some("a"),
            ),
            ("notation", vec![image(1, &["a"]), of_type("application/vnd.cncf.notary.signature")], Some("a")),
            ("SPDX", vec![image(1, &["a"]), of_type("text/spdx+json")], Some("a")),
            ("buildx", vec![image(1, &["a"]), of_type("application/vnd.buildkit.cacheconfig.v0")], Some("a")),
            (
                "a chart",
                vec![image(1, &["a"]), of_type("application/vnd.cncf.helm.config.v1+json")],
                Some("9.9.9"),
            ),
            (
                "about another",
                vec![PushedImage { subject: Some("sha256:x".into()), ..image(2, &["b"]) }],
                None,
            ),
            ("the same second", vec![image(5, &["1.2.10"]), image(5, &["1.2.9"])], Some("1.2.10")),
            ("nothing", vec![], None),
        ];
        for (name, images, tag) in rows {
            assert_eq!(newest(&images).map(|latest| latest.tag), tag, "{name}");
        }
    }

    #[test]
    fn the_highest_version_counts_whenever_it_was_pushed() {
        let images = [
            image(1, &["v1.4.0", "2.0.0-rc.1"]),
            image(2, &["1.0.20250603"]),
            image(3, &["1.3.9", "1.3"]),
            image(4, &["1.4.1_build.7"]),
            image(5, &["latest", "0.1.0"]),
        ];
        let rows = [
            ("1.x", Some("1.4.1_build.7")),
            ("~1.0", Some("1.0.20250603")),
            ("<1.4.0", Some("1.3.9")),
            ("=1.4.0", Some("v1.4.0")),
            (">=2.0.0-0", Some("2.0.0-rc.1")),
            (">=2", None),
        ];
        for (constraint, tag) in rows {
            let constraint = constraint.parse().unwrap_or_else(|error| panic!("{constraint}: {error}"));
            assert_eq!(highest(&images, &constraint).map(|latest| latest.tag), tag, "{constraint:?}");
        }
    }
}
