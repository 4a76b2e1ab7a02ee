//! What was found, in words for people and in parts for the order of removal.

use serde::Serialize;

use super::read::{Chart, Object, Place, in_words};

/// The parts of the pattern, in the order of their removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Part {
    /// A pod, account or chart that names a pull secret.
    Reference,
    /// What gets passwords and writes them into secrets, and its scripts.
    Rotation,
    /// A secret with a password of ECR.
    PullSecret,
    /// Accounts, roles and bindings of the rotation.
    AccessRight,
    /// AWS keys in the cluster.
    Key,
}

/// One thing that is left.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) part: Part,
    /// Where it stands; none of what is made at run time.
    pub(crate) place: Option<Place>,
    pub(super) target: Target,
    pub(crate) why: String,
    pub(super) removal: Removal,
}

/// What is to be done with a key of a values file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Set(&'static str),
    Remove,
    /// Others stay in its list.
    RemoveItem(String),
}

/// The object that has to go or to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) kind: String,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) chart: Option<Chart>,
    /// Where it stands.
    pub(super) place: Option<Place>,
}

/// How it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Removal {
    Delete,
    /// A value of a list below `pointer`, which is `value`.
    Item {
        pointer: String,
        value: String,
    },
    /// In a values file.
    Value {
        key: String,
        change: Change,
    },
    /// Of the passwords under `key` of a pull secret, those of these hosts.
    Auths {
        key: &'static str,
        hosts: Vec<String>,
    },
    /// What makes it is to be changed: it goes with it.
    WithOwner(String),
}

impl Target {
    pub(super) fn of(object: &Object) -> Self {
        Self {
            kind: object.kind.clone(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
            chart: object.chart.clone(),
            place: Some(object.place.clone()),
        }
    }
}

impl Finding {
    pub(super) fn new(part: Part, object: &Object, why: impl Into<String>, removal: Removal) -> Self {
        let place = Some(object.place.clone());
        Self { part, place, target: Target::of(object), why: why.into(), removal }
    }

    pub(super) fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// `CronJob sigrid/ecr-key-rotation`, or the key in a values file.
    pub(crate) fn what(&self) -> String {
        if let Removal::Value { key, .. } = &self.removal {
            return format!("value {key}");
        }
        let Target { kind, namespace, name, .. } = &self.target;
        in_words(kind, namespace.as_deref(), name.as_deref())
    }
}

/// Something that is not left over, or about which nothing can be said, and why.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Note {
    pub(crate) place: String,
    pub(crate) text: String,
}

impl Note {
    pub(super) fn new(place: &Place, text: impl Into<String>) -> Self {
        Self { place: place.to_string(), text: text.into() }
    }
}
