//! What a kubelet refuses in a configuration that it could read; it ends over each of these. And what it takes
//! although it cannot have been meant.
//!
//! `validateCredentialProviderConfig` of Kubernetes 1.37.

use super::config::{Config, Located, Provider, TokenAttributes};
use super::layout::NAME;
use super::problem::{Fault, PROTOCOL_API, Place, Problem, Severity};
use super::version::Version;
use crate::duration::{DurationError, GoDuration};
use crate::pattern::Pattern;

/// Looks at all providers.
pub(super) fn check(config: &Config, version: Version, problems: &mut Vec<Problem>) {
    for (index, provider) in config.providers.iter().enumerate() {
        let mut rules = Rules { provider, path: format!("providers[{index}]"), version, problems };
        rules.check();
    }
}

struct Rules<'a> {
    provider: &'a Provider,
    path: String,
    version: Version,
    problems: &'a mut Vec<Problem>,
}

impl Rules<'_> {
    fn check(&mut self) {
        let provider = self.provider;
        let name = provider.name.as_str();
        if name.contains(['/', ' ']) || matches!(name, "." | "..") {
            self.refuse(&provider.place, Fault::Name(name.to_owned()));
        } else if name.is_empty() && !provider.malformed.contains(&"name") {
            self.refuse(&provider.place, Fault::NoName);
        }
        self.check_protocol();
        if provider.match_images.is_empty() {
            self.missing("matchImages", &provider.malformed);
        }
        for pattern in &provider.match_images {
            self.check_pattern(pattern);
        }
        self.check_duration();
        if let Some(attributes) = &provider.token_attributes {
            self.check_attributes(attributes);
        }
    }

    fn check_protocol(&mut self) {
        let Some(Located { place, value }) =
            self.provider.api_version.as_ref().filter(|it| !it.value.is_empty())
        else {
            return self.missing("apiVersion", &self.provider.malformed);
        };
        match value.strip_prefix(PROTOCOL_API) {
            Some("v1") if !self.version.has_v1() => self.refuse(place, Fault::VersionTooEarly(value.clone())),
            Some("v1" | "v1beta1" | "v1alpha1") => {}
            _ => self.refuse(place, Fault::ProtocolVersion(value.clone())),
        }
    }

    fn check_pattern(&mut self, Located { place, value }: &Located<String>) {
        let pattern = match value.parse::<Pattern>() {
            Ok(pattern) => pattern,
            Err(error) => return self.refuse(place, Fault::Pattern { pattern: value.clone(), error }),
        };
        if let Some(trap) = pattern.trap() {
            self.warn(place, Fault::Trap(trap));
        } else if pattern.has_path() && !value.ends_with('/') {
            self.warn(place, Fault::OpenPath(value.clone()));
        }
    }

    fn check_duration(&mut self) {
        let Some(Located { place, value }) = &self.provider.default_cache_duration else {
            return self.missing("defaultCacheDuration", &self.provider.malformed);
        };
        let nothing = GoDuration::ZERO;
        let without_sign = value.strip_prefix('-').unwrap_or(value).parse::<GoDuration>();
        match (value.parse::<GoDuration>(), without_sign) {
            (Err(DurationError::Negative), Ok(duration)) if duration != nothing => {
                self.refuse(place, Fault::NegativeDuration(value.clone()));
            }
            (Ok(duration), _) if duration != nothing && self.provider.name == NAME => {
                self.warn(place, Fault::InertDuration(value.clone()));
            }
            _ => {}
        }
    }

    fn check_attributes(&mut self, Located { place, value }: &Located<TokenAttributes>) {
        if !self.version.has_tokens_without_gate() {
            self.refuse(place, Fault::TokensBehindGate);
        }
        let protocol = self.provider.api_version.as_ref();
        if protocol.is_none_or(|it| it.value.strip_prefix(PROTOCOL_API) != Some("v1")) {
            self.refuse(place, Fault::TokensVersion);
        }
        let is_empty = |text: &Option<Located<String>>| text.as_ref().is_none_or(|it| it.value.is_empty());
        let mut missing = Vec::new();
        if is_empty(&value.service_account_token_audience) {
            missing.push("serviceAccountTokenAudience");
        }
        if value.require_service_account.is_none() {
            missing.push("requireServiceAccount");
        }
        if self.version.has_cache_type() && is_empty(&value.cache_type) {
            missing.push("cacheType");
        }
        for name in missing.into_iter().filter(|name| !value.malformed.contains(name)) {
            self.refuse(place, Fault::Missing(format!("{}.tokenAttributes.{name}", self.path)));
        }
        match &value.cache_type {
            Some(it) if !matches!(it.value.as_str(), "" | "ServiceAccount" | "Token") => {
                self.refuse(&it.place, Fault::CacheType(it.value.clone()));
            }
            _ => {}
        }
        self.check_annotations(value);
    }

    fn check_annotations(&mut self, attributes: &TokenAttributes) {
        let required = &attributes.required_service_account_annotation_keys;
        let optional = &attributes.optional_service_account_annotation_keys;
        let account = attributes.require_service_account.as_ref();
        if let Some(account) = account.filter(|it| !it.value && !required.is_empty()) {
            self.refuse(&account.place, Fault::AnnotationsWithoutAccount);
        }
        for keys in [required, optional] {
            for (at, Located { place, value }) in keys.iter().enumerate() {
                if let Err(reason) = check_qualified_name(&value.to_lowercase()) {
                    self.refuse(place, Fault::AnnotationKey(value.clone(), reason));
                }
                if keys[..at].iter().any(|earlier| earlier.value == *value) {
                    self.refuse(place, Fault::AnnotationTwice(value.clone()));
                }
            }
        }
        let is_required = |key: &str| required.iter().any(|it| it.value == key);
        for Located { place, value } in optional.iter().filter(|it| is_required(&it.value)) {
            self.refuse(place, Fault::AnnotationInBoth(value.clone()));
        }
    }

    fn missing(&mut self, name: &'static str, malformed: &[&'static str]) {
        if !malformed.contains(&name) {
            self.refuse(&self.provider.place, Fault::Missing(format!("{}.{name}", self.path)));
        }
    }

    fn refuse(&mut self, place: &Place, fault: Fault) {
        self.problems.push(Problem { place: place.clone(), severity: Severity::Refused, fault });
    }

    fn warn(&mut self, place: &Place, fault: Fault) {
        self.problems.push(Problem { place: place.clone(), severity: Severity::Warning, fault });
    }
}

/// `IsQualifiedName` of Kubernetes: `[prefix/]name`, the prefix as a DNS name.
fn check_qualified_name(key: &str) -> Result<(), &'static str> {
    let (prefix, name) = match key.split_once('/') {
        Some((_, name)) if name.contains('/') => return Err("it has more than one `/`"),
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let is_end = |b: u8| b.is_ascii_alphanumeric();
    let ends_well =
        |text: &str| text.bytes().next().is_some_and(is_end) && text.bytes().next_back().is_some_and(is_end);
    if name.is_empty() || name.len() > 63 {
        return Err("the name must have 1 to 63 characters");
    }
    let is_inner = |b: u8| is_end(b) || matches!(b, b'-' | b'_' | b'.');
    if !ends_well(name) || !name.bytes().all(is_inner) {
        return Err("the name must be letters, digits, `-`, `_` and `.`, a letter or digit at both ends");
    }
    let Some(prefix) = prefix else { return Ok(()) };
    let is_label = |label: &str| ends_well(label) && label.bytes().all(|b| is_end(b) || b == b'-');
    if prefix.is_empty() || prefix.len() > 253 || !prefix.split('.').all(is_label) {
        return Err("what stands before `/` must be a DNS name");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::check::{Subject, check};
    use super::*;

    /// What a kubelet says of a file that is not written yet.
    fn problems(text: &str, version: &str) -> Vec<String> {
        let planned = [("/c.yaml".into(), text.as_bytes().to_vec())];
        let checked = check(&Subject {
            root: Path::new("/"),
            config: Path::new("/c.yaml"),
            bin_dir: None,
            version: version.parse().expect("a version"),
            planned: &planned,
        });
        let mark = |problem: &Problem| if problem.severity == Severity::Refused { "!" } else { "?" };
        checked.problems.iter().map(|problem| format!("{} {}", mark(problem), problem.fault)).collect()
    }

    fn config(version: &str, fields: &str) -> String {
        format!(
            "apiVersion: kubelet.config.k8s.io/{version}\nkind: CredentialProviderConfig\nproviders: [{{{fields}}}]\n"
        )
    }

    const V1: &str = "apiVersion: credentialprovider.kubelet.k8s.io/v1";
    const REST: &str = "matchImages: [a.b], defaultCacheDuration: 0s";

    #[test]
    fn what_is_taken_but_not_meant_is_a_warning() {
        let with = |patterns: &str| {
            config("v1", &format!("name: p, {V1}, defaultCacheDuration: 0s, matchImages: [{patterns}]"))
        };
        let rows = [
            ("a.b", None),
            ("a.b/c/", None),
            ("a.b/", None),
            (
                "https://a.b",
                Some(
                    "? a pattern has no scheme: the kubelet takes what stands before `://` for the host name",
                ),
            ),
            ("'a.b/c:1'", Some("? `/c:1` matches no image: the kubelet compares it without tag and digest")),
            ("a.b/*", Some("? `*` is no wildcard in a path: `/*` is a plain prefix")),
            ("'a?.b'", Some("? the kubelet ignores `?.b`: `?` and `#` end a pattern")),
            ("a.b/c", Some("? `a.b/c` is right for every path that begins so, `a.b/c-2` too")),
        ];
        for (patterns, expected) in rows {
            assert_eq!(problems(&with(patterns), "1.37"), Vec::from_iter(expected), "{patterns}");
        }
        let inert =
            config("v1", &format!("name: {NAME}, {V1}, defaultCacheDuration: 12h, matchImages: [a.b]"));
        assert_eq!(
            problems(&inert, "1.37"),
            ["? this program always says how long its password is kept, so `12h` has no effect"]
        );
        let others = inert.replace(NAME, "other");
        assert_eq!(problems(&others, "1.37"), [""; 0]);
    }

    /// A configuration that one kubelet takes need not be one for another.
    #[test]
    fn versions_differ() {
        let plain = config("v1", &format!("name: p, {V1}, {REST}"));
        let unknown = config("v1", &format!("name: p, {V1}, {REST}, Name: q, name: p"));
        let beta = plain
            .replace("kubelet.k8s.io/v1", "kubelet.k8s.io/v1beta1")
            .replace("config.k8s.io/v1", "config.k8s.io/v1beta1");
        let attributes = "serviceAccountTokenAudience: x, requireServiceAccount: true";
        let tokens = |more: &str| {
            config("v1", &format!("name: p, {V1}, {REST}, tokenAttributes: {{{attributes}{more}}}"))
        };
        let gate = "! tokenAttributes need the feature gate KubeletServiceAccountTokenForCredentialProviders, which is closed in 1.33 unless it is set";
        let rows: [(&str, &str, &[&str]); 13] = [
            (&plain, "1.26", &[]),
            (
                &plain,
                "1.25",
                &[
                    "! apiVersion `kubelet.config.k8s.io/v1` is known to kubelets from 1.26 on",
                    "! apiVersion `credentialprovider.kubelet.k8s.io/v1` is known to kubelets from 1.26 on",
                ],
            ),
            (&beta, "1.24", &[]),
            (&beta, "1.37", &[]),
            (
                &unknown,
                "1.31",
                &[
                    "? unknown field `providers[0].Name`, which the kubelet ignores",
                    "? the key `name` stands here again, and the kubelet takes this one",
                ],
            ),
            (
                &unknown,
                "1.32",
                &["! unknown field `providers[0].Name`", "! the key `name` stands here again"],
            ),
            (
                &tokens(""),
                "1.31",
                &["? unknown field `providers[0].tokenAttributes`, which the kubelet ignores"],
            ),
            (&tokens(""), "1.32", &["! unknown field `providers[0].tokenAttributes`"]),
            (&tokens(""), "1.33", &[gate]),
            (
                &tokens(", cacheType: Token"),
                "1.33",
                &[gate, "! unknown field `providers[0].tokenAttributes.cacheType`"],
            ),
            (&tokens(""), "1.34", &["! `providers[0].tokenAttributes.cacheType` is missing"]),
            (&tokens(", cacheType: Token"), "1.34", &[]),
            (
                &tokens(", cacheType: Token").replace("config.k8s.io/v1", "config.k8s.io/v1beta1"),
                "1.37",
                &["! unknown field `providers[0].tokenAttributes`"],
            ),
        ];
        for (text, version, expected) in rows {
            assert_eq!(problems(text, version), *expected, "{version}: {text}");
        }
    }
}
