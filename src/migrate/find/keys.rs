//! AWS keys in the cluster.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::finding::{Change, Finding, Note, Part, Removal};
use super::super::pods;
use super::super::read::Object;
use super::super::tree::Node;
use super::rotation::Rotation;
use super::{Found, list, others_whose_pods};

/// How the vendor's chart names the Secret with its key.
const NAMED_BY_VALUES: &str = "sigCustomerAccessSecretName";
/// What its older releases have the key in.
const IN_VALUES: &str = "sigCustomerAccessSecret";

pub(super) fn find(objects: &[&Object], rotations: &[Rotation<'_>], found: &mut Found) {
    let values: Vec<_> = objects.iter().copied().filter(|object| object.is_values()).collect();
    let mut named = Vec::new();
    for object in &values {
        find_in_values(object, !rotations.is_empty(), &mut named, found);
    }
    let own: Vec<_> = rotations.iter().map(|rotation| rotation.object).collect();
    for rotation in &own {
        find_in_environment(rotation, found);
    }
    let holders = objects.iter().filter(|object| object.is("Secret") || object.is("ConfigMap"));
    for holder in holders {
        let keys = keys_in(holder);
        if !keys.is_empty() {
            judge(holder, &keys.join(", "), objects, &own, &named, found);
        }
    }
}

/// Whether the keys are the rotation's, somebody else's, or both.
fn judge(
    holder: &Object,
    keys: &str,
    objects: &[&Object],
    own: &[&Object],
    named: &[String],
    found: &mut Found,
) {
    let uses = |object: &Object, pod: &pods::Pod<'_>| {
        let used = pod.uses(&holder.kind);
        object.shares_namespace(holder.namespace.as_deref())
            && holder.name.is_some()
            && used.contains(&holder.name.as_deref())
    };
    let others = others_whose_pods(objects, own, uses);
    let is_used_by = |object: &&&Object| pods::of(object).iter().any(|pod| uses(object, pod));
    let by_rotation = own.iter().find(is_used_by);
    let by_values = named.iter().any(|name| Some(name) == holder.name.as_ref());
    if !others.is_empty() {
        let whose = if by_rotation.is_some() || by_values { "keep" } else { "not the rotation's:" };
        let text = format!("{whose} {holder} with {keys}, which {} uses", list(&others));
        return found.notes.push(Note::new(&holder.place, text));
    }
    let why = match by_rotation {
        Some(rotation) => format!("has {keys} for {rotation}"),
        None if by_values => format!("has {keys}; the values name it as the key for ECR"),
        None if !own.is_empty() => format!("has {keys}, and nothing here but the rotation could use it"),
        None => {
            let text = format!("{holder} has {keys}, and nothing here uses it: see whether it was for ECR");
            return found.notes.push(Note::new(&holder.place, text));
        }
    };
    found.findings.push(Finding::new(Part::Key, holder, why, Removal::Delete));
}

/// The names of its entries that hold a part of an AWS key. Never their values.
fn keys_in(holder: &Object) -> Vec<String> {
    let entries = |section: &str| holder.tree.get(section).into_iter().flat_map(Node::entries);
    let encoded = entries("data").filter(|(name, node)| {
        let text = node.text().unwrap_or_default();
        let decoded = STANDARD.decode(text.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let text = if holder.is("Secret") { decoded.as_deref().unwrap_or_default() } else { text };
        is_key_name(name) || is_key(text)
    });
    let plain = entries("stringData")
        .filter(|(name, node)| is_key_name(name) || is_key(node.text().unwrap_or_default()));
    encoded.chain(plain).map(|(name, _)| format!("`{}`", crate::error::one_line(name))).collect()
}

/// `AWS_ACCESS_KEY_ID`, `awsSecretAccessKey` and so on.
fn is_key_name(name: &str) -> bool {
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    matches!(
        letters.to_ascii_lowercase().as_str(),
        "awsaccesskeyid" | "awssecretaccesskey" | "awssessiontoken"
    )
}

/// The id of an access key, or the text of a credentials file.
fn is_key(text: &str) -> bool {
    let text = text.trim();
    let is_id = text.len() == 20
        && (text.starts_with("AKIA") || text.starts_with("ASIA"))
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    is_id || text.lines().any(|line| line.trim_start().starts_with("aws_access_key_id") && line.contains('='))
}

/// Values are of any chart; a key in them is the rotation's if there is one here, or by its name in the vendor's chart.
fn find_in_values(values: &Object, has_rotation: bool, named: &mut Vec<String>, found: &mut Found) {
    values.tree.walk(&mut |path, node| {
        let Some(text) = node.text().filter(|text| !text.is_empty()) else { return };
        let why = if path.key() == NAMED_BY_VALUES {
            named.push(text.to_owned());
            format!("names Secret {}, with the AWS key", crate::error::one_line(text))
        } else if is_key_name(path.key()) || is_key(text) {
            if !has_rotation && !path.to_string().contains(IN_VALUES) {
                let text = format!("value {path} is a part of an AWS key: see whether it was for ECR");
                return found.notes.push(Note::new(&values.place_of(node), text));
            }
            "is a part of an AWS key, in the values themselves".to_owned()
        } else {
            return;
        };
        let removal = Removal::Value { key: path.to_string(), change: Change::Remove };
        found.findings.push(Finding::new(Part::Key, values, why, removal).at(values.place_of(node)));
    });
}

/// Keys that stand in the manifest of the rotation: they go with it, but are known to all who could read it.
fn find_in_environment(rotation: &Object, found: &mut Found) {
    rotation.tree.walk(&mut |_, node| {
        let name = node.text_at(&["name"]).filter(|name| is_key_name(name));
        if let (Some(name), Some(_)) = (name, node.text_at(&["value"])) {
            let why = format!("the value of `{name}` stands in the manifest itself");
            let removal = Removal::WithOwner(rotation.to_string());
            found.findings.push(Finding::new(Part::Key, rotation, why, removal).at(rotation.place_of(node)));
        }
    });
}
