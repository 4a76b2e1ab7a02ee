//! Secrets with passwords of ECR: those that are here, and those that a rotation makes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::super::finding::{Finding, Note, Part, Removal, Target};
use super::super::read::Object;
use super::super::script::says_ecr;
use super::Found;
use super::rotation::Rotation;
use crate::registry::Registry;

/// What is known about the pull secrets.
pub(super) struct PullSecrets<'a> {
    here: Vec<(&'a Object, Verdict)>,
    /// Their names, and what makes them.
    made: Vec<(String, &'a Object)>,
}

/// For whom a pull secret has passwords.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// For ECR alone, with the reason to think so.
    Ecr(String),
    /// For others too.
    Mixed,
    /// For others, or it cannot be read.
    Other,
    /// It is not here.
    Unknown,
}

impl<'a> PullSecrets<'a> {
    pub(super) fn find(objects: &[&'a Object], rotations: &[Rotation<'a>], found: &mut Found) -> Self {
        let made = rotations
            .iter()
            .flat_map(|rotation| rotation.secrets.iter().map(|name| (name.clone(), rotation.object)));
        let mut secrets = Self { here: Vec::new(), made: made.collect() };
        for object in objects.iter().filter(|object| object.is("Secret")) {
            let Some(verdict) = secrets.look_into(object, found) else { continue };
            secrets.here.push((object, verdict));
        }
        for (name, by) in &secrets.made {
            if !secrets.is_here(name, by.namespace.as_deref()) {
                let why = format!("{by} makes it at run time");
                found.findings.push(made_at_run_time(name, by, why));
            }
        }
        secrets
    }

    /// The verdict over a Secret; none if it is no pull secret.
    fn look_into(&self, secret: &Object, found: &mut Found) -> Option<Verdict> {
        let kind = secret.tree.text_at(&["type"]).unwrap_or_default();
        let key = match kind {
            "kubernetes.io/dockerconfigjson" => ".dockerconfigjson",
            "kubernetes.io/dockercfg" => ".dockercfg",
            _ => return None,
        };
        let Some(hosts) = hosts_of(secret, key) else {
            let made = self.made.iter().any(|(name, _)| Some(name) == secret.name.as_ref());
            if made || secret.name.as_deref().is_some_and(says_ecr) {
                let why = if made {
                    "what rotates passwords of ECR writes it"
                } else {
                    "a pull secret that cannot be read; by its name it is for ECR"
                };
                found.findings.push(Finding::new(Part::PullSecret, secret, why, Removal::Delete));
                return Some(Verdict::Ecr(why.to_owned()));
            }
            let text = format!("{secret} is a pull secret that cannot be read; see whether it is for ECR");
            found.notes.push(Note::new(&secret.place, text));
            return Some(Verdict::Other);
        };
        let (ecr, others): (Vec<_>, Vec<_>) = hosts.into_iter().partition(|host| is_ecr(host));
        if ecr.is_empty() {
            return Some(Verdict::Other);
        }
        let (removal, why, verdict) = if others.is_empty() {
            let why = format!("has passwords for {} and nothing else", ecr.join(", "));
            (Removal::Delete, why.clone(), Verdict::Ecr(why))
        } else {
            let why = format!(
                "has passwords for {}, and for {}: edit it, do not delete it",
                ecr.join(", "),
                others.join(", ")
            );
            (Removal::Auths { key, hosts: ecr }, why, Verdict::Mixed)
        };
        found.findings.push(Finding::new(Part::PullSecret, secret, why, removal));
        Some(verdict)
    }

    fn is_here(&self, name: &str, namespace: Option<&str>) -> bool {
        self.here
            .iter()
            .any(|(object, _)| object.name.as_deref() == Some(name) && object.shares_namespace(namespace))
    }

    /// Rotations may serve other namespaces too: those in which something names the secret.
    pub(super) fn find_copies(&self, found: &mut Found) {
        let mut copies: Vec<Finding> = Vec::new();
        for reference in found.findings.iter().filter(|finding| finding.part == Part::Reference) {
            let Removal::Item { value: name, .. } = &reference.removal else { continue };
            let Some((_, by)) = self.made.iter().find(|(made, _)| made == name) else { continue };
            let namespace = &reference.target.namespace;
            let is_known = by.shares_namespace(namespace.as_deref())
                || self.is_here(name, namespace.as_deref())
                || copies.iter().any(|copy| {
                    (&copy.target.name, &copy.target.namespace) == (&Some(name.clone()), namespace)
                });
            if !is_known {
                let why = format!("{} names it there; {by} makes it at run time", reference.what());
                let mut copy = made_at_run_time(name, by, why);
                copy.target.namespace.clone_from(namespace);
                copies.push(copy);
            }
        }
        found.findings.append(&mut copies);
    }

    /// What the secret `name` is, as something of `namespace` names it.
    pub(super) fn verdict(&self, name: &str, namespace: Option<&str>) -> Verdict {
        let mut here = self.here.iter().filter(|(object, _)| object.name.as_deref() == Some(name));
        if let Some((_, verdict)) = here.find(|(object, _)| object.shares_namespace(namespace)) {
            return verdict.clone();
        }
        if let Some((_, by)) = self.made.iter().find(|(made, _)| made == name) {
            return Verdict::Ecr(format!("{by} makes that secret"));
        }
        if says_ecr(name) {
            return Verdict::Ecr("by its name that secret is for ECR; it is not here".to_owned());
        }
        Verdict::Unknown
    }
}

/// A secret in the namespace of what makes it.
fn made_at_run_time(name: &str, by: &Object, why: String) -> Finding {
    let finding = Finding::new(Part::PullSecret, by, why, Removal::Delete);
    let (kind, name) = ("Secret".to_owned(), Some(name.to_owned()));
    let target = Target { kind, name, chart: None, place: None, ..finding.target };
    Finding { target, ..finding }
}

/// The hosts that a pull secret has passwords for; none if it cannot be read.
fn hosts_of(secret: &Object, key: &str) -> Option<Vec<String>> {
    let plain = secret.tree.text_at(&["stringData", key]).map(|text| text.as_bytes().to_vec());
    let encoded = || {
        let text: String = secret.tree.text_at(&["data", key])?.split_whitespace().collect();
        STANDARD.decode(text).ok()
    };
    let json: Value = serde_json::from_slice(&plain.or_else(encoded)?).ok()?;
    let auths = if key == ".dockercfg" { &json } else { &json["auths"] };
    Some(auths.as_object()?.keys().map(|key| crate::error::one_line(key)).collect())
}

/// A key of `auths`: a host, with `https://`, port and path or without.
fn is_ecr(key: &str) -> bool {
    let host = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let host = host.split(['/', ':']).next().unwrap_or_default();
    Registry::from_host(host).is_ok()
}
