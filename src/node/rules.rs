//! What a kubelet refuses in a configuration that it could read; it ends over each of these.
//!
//! `validateCredentialProviderConfig` of Kubernetes 1.36, without the patterns, which `pattern` judges, and without
//! the form of annotation keys.

use super::config::{Provider, TokenAttributes};
use crate::duration::GoDuration;

const API: &str = "credentialprovider.kubelet.k8s.io/";

/// A rule that a provider breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// It names no file.
    #[error("`{0}` is not the name of a file: no `/`, no space, not `.` or `..`")]
    Name(String),
    /// A required field.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// Not a version of the protocol.
    #[error("apiVersion `{0}` is not {API}v1, v1beta1 or v1alpha1")]
    ApiVersion(String),
    /// Not a duration of Go, or negative.
    #[error("defaultCacheDuration `{0}`: {1}")]
    CacheDuration(String, crate::duration::DurationError),
    /// `tokenAttributes` with an older version of the protocol.
    #[error("tokenAttributes need apiVersion {API}v1")]
    TokenVersion,
    /// Neither `ServiceAccount` nor `Token`.
    #[error("cacheType `{0}` is neither ServiceAccount nor Token")]
    CacheType(String),
    /// Annotations of a service account that need not be there.
    #[error("requiredServiceAccountAnnotationKeys need requireServiceAccount: true")]
    AnnotationsWithoutAccount,
    /// A key that is named twice.
    #[error("the annotation `{0}` is named twice")]
    AnnotationTwice(String),
}

/// The rules that `provider` breaks.
pub fn broken_by(provider: &Provider) -> Vec<Rule> {
    let mut broken = Vec::new();
    let name = provider.name.as_str();
    if name.contains(['/', ' ']) || matches!(name, "" | "." | "..") {
        broken.push(Rule::Name(name.to_owned()));
    }
    let version = provider.api_version.as_deref().unwrap_or_default();
    match version.strip_prefix(API) {
        Some("v1" | "v1beta1" | "v1alpha1") => (),
        _ if version.is_empty() => broken.push(Rule::Missing("apiVersion")),
        _ => broken.push(Rule::ApiVersion(version.to_owned())),
    }
    if provider.match_images.is_empty() {
        broken.push(Rule::Missing("matchImages"));
    }
    match &provider.default_cache_duration {
        None => broken.push(Rule::Missing("defaultCacheDuration")),
        Some(text) => {
            let error = text.parse::<GoDuration>().err();
            broken.extend(error.map(|error| Rule::CacheDuration(text.clone(), error)));
        }
    }
    if let Some(attributes) = &provider.token_attributes {
        if version != "credentialprovider.kubelet.k8s.io/v1" {
            broken.push(Rule::TokenVersion);
        }
        broken.extend(broken_by_attributes(attributes));
    }
    broken
}

fn broken_by_attributes(attributes: &TokenAttributes) -> Vec<Rule> {
    let mut broken = Vec::new();
    if attributes.service_account_token_audience.as_deref().unwrap_or_default().is_empty() {
        broken.push(Rule::Missing("serviceAccountTokenAudience"));
    }
    if attributes.require_service_account.is_none() {
        broken.push(Rule::Missing("requireServiceAccount"));
    }
    match attributes.cache_type.as_deref().unwrap_or_default() {
        "" => broken.push(Rule::Missing("cacheType")),
        "ServiceAccount" | "Token" => (),
        other => broken.push(Rule::CacheType(other.to_owned())),
    }
    let required = attributes.required_service_account_annotation_keys.as_deref().unwrap_or_default();
    let optional = attributes.optional_service_account_annotation_keys.as_deref().unwrap_or_default();
    if attributes.require_service_account == Some(false) && !required.is_empty() {
        broken.push(Rule::AnnotationsWithoutAccount);
    }
    let keys: Vec<_> = required.iter().chain(optional).collect();
    let twice = keys.iter().enumerate().filter(|(at, key)| keys[..*at].contains(key));
    broken.extend(twice.map(|(_, key)| Rule::AnnotationTwice((*key).clone())));
    broken
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::config;
    use super::super::tests::made_up;
    use super::*;

    fn broken(fields: &str) -> Vec<Rule> {
        let text = format!(
            "{{apiVersion: kubelet.config.k8s.io/v1, kind: CredentialProviderConfig, providers: [{{{fields}}}]}}"
        );
        let root = made_up(&[("c.yaml", &text)]);
        let config = config::read(root.path(), Path::new("/c.yaml")).expect("readable");
        broken_by(&config.providers[0])
    }

    #[test]
    fn names_each_rule_that_is_broken() {
        let v1 = "apiVersion: credentialprovider.kubelet.k8s.io/v1";
        let rest = "matchImages: [a.b], defaultCacheDuration: 0s";
        let token = |fields: &str| format!("name: p, {v1}, {rest}, tokenAttributes: {{{fields}}}");
        let good = "serviceAccountTokenAudience: x, cacheType: Token, requireServiceAccount";
        assert_eq!(broken(&format!("name: p, {v1}, {rest}")), []);
        assert_eq!(broken(&token(&format!("{good}: true, requiredServiceAccountAnnotationKeys: [a]"))), []);
        let all = ["apiVersion", "matchImages", "defaultCacheDuration"].map(Rule::Missing);
        assert_eq!(broken("name: p"), all);
        assert_eq!(broken(&format!("name: a/b, {v1}, {rest}")), [Rule::Name("a/b".into())]);
        assert_eq!(broken(&format!("name: '', {v1}, {rest}")), [Rule::Name(String::new())]);
        assert_eq!(broken(&format!("name: p, apiVersion: v1, {rest}")), [Rule::ApiVersion("v1".into())]);
        let durations = broken(&format!("name: p, {v1}, matchImages: [a.b], defaultCacheDuration: -1s"));
        assert!(matches!(&durations[..], [Rule::CacheDuration(text, _)] if text == "-1s"), "{durations:?}");
        let missing =
            ["serviceAccountTokenAudience", "requireServiceAccount", "cacheType"].map(Rule::Missing);
        assert_eq!(broken(&token("")), missing);
        assert_eq!(
            broken(&token(&format!("{good}: false, requiredServiceAccountAnnotationKeys: [a]"))),
            [Rule::AnnotationsWithoutAccount]
        );
        assert_eq!(
            broken(&token(&format!(
                "{good}: true, requiredServiceAccountAnnotationKeys: [a], optionalServiceAccountAnnotationKeys: [a]"
            ))),
            [Rule::AnnotationTwice("a".into())]
        );
        let old = token(&format!("{good}: true")).replace("k8s.io/v1", "k8s.io/v1beta1");
        assert_eq!(broken(&old), [Rule::TokenVersion]);
    }
}
