//! What the rotation may do: its service account, and the bindings and roles of that.

use super::super::finding::{Finding, Note, Part, Removal};
use super::super::read::Object;
use super::super::tree::Node;
use super::rotation::Rotation;
use super::{Found, list, others_whose_pods};

pub(super) fn find(objects: &[&Object], rotations: &[Rotation<'_>], found: &mut Found) {
    let own: Vec<_> = rotations.iter().map(|rotation| rotation.object).collect();
    let mut accounts: Vec<Account<'_>> = Vec::new();
    for rotation in rotations {
        for name in &rotation.accounts {
            let account = Account { name, namespace: rotation.object.namespace.as_deref() };
            if !accounts.contains(&account) {
                accounts.push(account);
            }
        }
    }
    accounts.retain(|account| {
        let others = others_whose_pods(objects, &own, |object, pod| {
            pod.account() == Some(account.name) && object.shares_namespace(account.namespace)
        });
        find_account(account, &others, objects, found)
    });
    let mut gone = Vec::new();
    for binding in objects.iter().filter(|object| object.kind.ends_with("RoleBinding")) {
        if find_binding(binding, &accounts, found) {
            gone.push(*binding);
        }
    }
    find_roles(&gone, objects, found);
}

#[derive(PartialEq, Eq)]
struct Account<'a> {
    name: &'a str,
    namespace: Option<&'a str>,
}

/// Whether the account is the rotation's alone.
fn find_account(account: &Account<'_>, others: &[&Object], objects: &[&Object], found: &mut Found) -> bool {
    let is_it = |object: &&&Object| {
        object.is("ServiceAccount")
            && object.name.as_deref() == Some(account.name)
            && object.shares_namespace(account.namespace)
    };
    for object in objects.iter().filter(is_it) {
        if others.is_empty() {
            let why = "only the rotation runs as it";
            found.findings.push(Finding::new(Part::AccessRight, object, why, Removal::Delete));
        } else {
            let text = format!("keep {object} and its roles: {} runs as it too", list(others));
            found.notes.push(Note::new(&object.place, text));
        }
    }
    others.is_empty()
}

/// Whether the binding goes as a whole.
fn find_binding(binding: &Object, accounts: &[Account<'_>], found: &mut Found) -> bool {
    let subjects = binding.tree.items_of("subjects");
    let is_ours = |subject: &Node| {
        let of_binding = binding.namespace.as_deref();
        let namespace = subject.text_at(&["namespace"]).or(of_binding);
        subject.text_at(&["kind"]) == Some("ServiceAccount")
            && accounts.iter().any(|account| {
                subject.text_at(&["name"]) == Some(account.name)
                    && account.namespace.zip(namespace).is_none_or(|(one, other)| one == other)
            })
    };
    let ours: Vec<_> = subjects.iter().enumerate().filter(|(_, subject)| is_ours(subject)).collect();
    let Some((index, subject)) = ours.first() else { return false };
    let name = subject.text_at(&["name"]).unwrap_or_default();
    if ours.len() == subjects.len() {
        let why = format!("binds ServiceAccount {name} alone");
        found.findings.push(Finding::new(Part::AccessRight, binding, why, Removal::Delete));
        return true;
    }
    let why = format!("binds ServiceAccount {name} beside others, which stay");
    let removal = Removal::Item { pointer: format!("/subjects/{index}"), value: name.to_owned() };
    found.findings.push(Finding::new(Part::AccessRight, binding, why, removal));
    false
}

/// The roles of bindings that go, unless another binding stays that names them.
fn find_roles(gone: &[&Object], objects: &[&Object], found: &mut Found) {
    let bindings: Vec<_> =
        objects.iter().filter(|object| object.kind.ends_with("RoleBinding")).copied().collect();
    let names = |binding: &Object, role: &Object| {
        binding.tree.text_at(&["roleRef", "name"]) == role.name.as_deref()
            && binding.tree.text_at(&["roleRef", "kind"]) == Some(&role.kind)
            && (role.is("ClusterRole") || role.shares_namespace(binding.namespace.as_deref()))
    };
    let roles: Vec<_> =
        objects.iter().filter(|object| object.is("Role") || object.is("ClusterRole")).copied().collect();
    for binding in gone {
        let meant = binding.tree.text_at(&["roleRef", "name"]).unwrap_or_default();
        let bound: Vec<_> = roles.iter().filter(|role| names(binding, role)).collect();
        for role in &bound {
            let staying = bindings.iter().filter(|other| !gone.iter().any(|one| std::ptr::eq(*one, **other)));
            let staying: Vec<&Object> = staying.filter(|other| names(other, role)).copied().collect();
            if staying.is_empty() {
                let why = format!("only {binding} binds it");
                found.findings.push(Finding::new(Part::AccessRight, role, why, Removal::Delete));
            } else {
                let text = format!("keep {role}: {} binds it too", list(&staying));
                found.notes.push(Note::new(&role.place, text));
            }
        }
        if bound.is_empty() {
            let unbound = |role: &&&Object| {
                writes_secrets(role)
                    && role.shares_namespace(binding.namespace.as_deref())
                    && !bindings.iter().any(|other| names(other, role))
            };
            find_unbound(binding, meant, roles.iter().filter(unbound).copied(), found);
        }
    }
}

/// The role that a binding names is not here, but there are some that nothing binds: one may have lost its name, or
/// the binding be wrong, as in the instructions of a vendor.
fn find_unbound<'a>(
    binding: &Object,
    meant: &str,
    roles: impl Iterator<Item = &'a Object>,
    found: &mut Found,
) {
    let before = found.findings.len();
    for role in roles {
        let why = format!(
            "may write secrets, and no binding here names it; {binding} names `{meant}`, which is not here"
        );
        let mut finding = Finding::new(Part::AccessRight, role, why, Removal::Delete);
        finding.target.name = finding.target.name.or_else(|| Some(meant.to_owned()));
        finding.target.namespace = finding.target.namespace.or_else(|| binding.namespace.clone());
        found.findings.push(finding);
    }
    if found.findings.len() == before {
        let text = format!("{binding} binds `{meant}`, which is not here: see whether anything else does");
        found.notes.push(Note::new(&binding.place, text));
    }
}

fn writes_secrets(role: &Object) -> bool {
    let has = |rule: &Node, key: &str, words: &[&str]| {
        rule.items_of(key).iter().filter_map(Node::text).any(|word| words.contains(&word))
    };
    role.tree.items_of("rules").iter().any(|rule| {
        has(rule, "resources", &["secrets"])
            && has(rule, "verbs", &["create", "update", "patch", "delete", "*"])
    })
}
