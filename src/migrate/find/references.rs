//! What names a pull secret: service accounts, pods of whatever kind of object, values of charts.

use super::super::finding::{Change, Finding, Note, Part, Removal};
use super::super::read::{Object, Place};
use super::super::tree::{Node, Path};
use super::Found;
use super::pull_secrets::{PullSecrets, Verdict};

/// How pods and service accounts call it, and charts.
const KEYS: [&str; 5] =
    ["imagePullSecrets", "imagePullSecret", "imagePullSecretName", "pullSecrets", "pullSecret"];

pub(super) fn find(objects: &[&Object], secrets: &PullSecrets<'_>, found: &mut Found) {
    for object in objects {
        object.tree.walk(&mut |path, node| {
            if let Path::Key(_, key) = path
                && KEYS.contains(key)
            {
                look_at(object, path, node, secrets, found);
            }
        });
    }
}

fn look_at(object: &Object, path: &Path<'_>, node: &Node, secrets: &PullSecrets<'_>, found: &mut Found) {
    let single = [node];
    let items: Vec<&Node> =
        if node.items().is_empty() { single.into() } else { node.items().iter().collect() };
    let named: Vec<_> = items
        .iter()
        .enumerate()
        .filter_map(|(index, item)| {
            let name = item.text_at(&["name"]).or_else(|| item.text()).filter(|name| !name.is_empty())?;
            Some((index, *item, name, secrets.verdict(name, object.namespace.as_deref())))
        })
        .collect();
    let all_go = named.iter().all(|(.., verdict)| matches!(verdict, Verdict::Ecr(_)));
    for (index, item, name, verdict) in named {
        let place = object.place_of(item);
        match verdict {
            Verdict::Ecr(reason) => {
                let removal = removal(object, path, node, index, name, all_go);
                let name = crate::error::one_line(name);
                let why = if object.is_values() {
                    format!("names `{name}`; {reason}")
                } else {
                    format!("{path} names `{name}`; {reason}")
                };
                found.findings.push(Finding::new(Part::Reference, object, why, removal).at(place));
            }
            Verdict::Mixed => {
                let text = format!("{object} may go on naming `{name}`, which has passwords for others too");
                found.notes.push(Note::new(&place, text));
            }
            Verdict::Unknown => note_unknown(object, name, &place, found),
            Verdict::Other => {}
        }
    }
}

fn note_unknown(object: &Object, name: &str, place: &Place, found: &mut Found) {
    let name = crate::error::one_line(name);
    let text =
        format!("{object} names the pull secret `{name}`, which is not here: it may be for ECR or not");
    found.notes.push(Note::new(place, text));
}

fn removal(object: &Object, path: &Path<'_>, node: &Node, index: usize, name: &str, all_go: bool) -> Removal {
    match &object.owner {
        _ if object.is_values() => {
            let change = match node.items() {
                [] => Change::Remove,
                _ if all_go => Change::Set("[]"),
                _ => Change::RemoveItem(name.to_owned()),
            };
            Removal::Value { key: path.to_string(), change }
        }
        Some((kind, name)) => Removal::WithOwner(format!("{kind} {name}")),
        None => Removal::Item { pointer: format!("{}/{index}", path.pointer()), value: name.to_owned() },
    }
}
