//! What is left of the pattern: one module for each part of it.
//!
//! Manifests are seldom complete. So what is not there (a name, a namespace, a binding) may be what would fit, and the
//! words of the finding say on what it rests. What is somebody else's too is not reported but noted.

mod images;
mod keys;
mod pull_secrets;
mod references;
mod rights;
mod rotation;

use std::collections::HashMap;

pub(super) use self::images::Image;
use self::pull_secrets::PullSecrets;
use super::finding::{Finding, Note};
use super::pods;
use super::read::Object;

/// Everything that was found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) findings: Vec<Finding>,
    pub(super) notes: Vec<Note>,
    pub(super) images: Vec<Image>,
}

/// Looks through all objects together.
pub(super) fn all(objects: &[Object]) -> Found {
    let mut found = Found::default();
    let mut by_name: HashMap<(&str, &str), Vec<&Object>> = HashMap::new();
    for object in objects {
        if let Some(name) = &object.name {
            by_name.entry((&object.kind, name)).or_default().push(object);
        }
    }
    // A Pod of a Deployment is what the Deployment says, which is here.
    let has_owner_here = |object: &Object| {
        object.owner.as_ref().is_some_and(|(kind, name)| {
            let owners = by_name.get(&(kind.as_str(), name.as_str())).into_iter().flatten();
            owners.into_iter().any(|owner| owner.shares_namespace(object.namespace.as_deref()))
        })
    };
    let objects: Vec<&Object> = objects.iter().filter(|object| !has_owner_here(object)).collect();
    let rotations = rotation::find(&objects, &mut found);
    let secrets = PullSecrets::find(&objects, &rotations, &mut found);
    let without_rotations: Vec<_> =
        objects.iter().copied().filter(|object| !rotation::is_one(object, &rotations)).collect();
    references::find(&without_rotations, &secrets, &mut found);
    secrets.find_copies(&mut found);
    rights::find(&objects, &rotations, &mut found);
    keys::find(&objects, &rotations, &mut found);
    found.images = images::find(&objects);
    found.findings.sort_by(|one, other| (one.part, &one.place).cmp(&(other.part, &other.place)));
    found.findings.dedup_by(|one, other| {
        (&one.place, &one.target, &one.removal) == (&other.place, &other.target, &other.removal)
    });
    found
}

/// The objects that make a pod for which `is_meant` holds, other than these.
fn others_whose_pods<'a>(
    objects: &[&'a Object],
    except: &[&Object],
    is_meant: impl Fn(&Object, &pods::Pod<'_>) -> bool,
) -> Vec<&'a Object> {
    let is_other = |object: &&Object| !except.iter().any(|one| std::ptr::eq(*one, *object));
    let mut others: Vec<_> = objects.iter().copied().filter(is_other).collect();
    others.retain(|object| pods::of(object).iter().any(|pod| is_meant(object, pod)));
    others
}

/// `Deployment n/one, Deployment n/two and 3 more`.
fn list(objects: &[&Object]) -> String {
    const SHOWN: usize = 3;
    let names: Vec<_> = objects.iter().take(SHOWN).map(ToString::to_string).collect();
    match objects.len().saturating_sub(SHOWN) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
