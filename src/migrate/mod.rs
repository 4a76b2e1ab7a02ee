//! What is left of pull secrets that a job rotates, and in which order it goes.
//!
//! Before there was a plugin, a CronJob got a password of ECR every few hours and wrote it into a secret that every pod
//! names. All of that can go once the kubelet asks the plugin, but it is spread over many objects, some of them made by a
//! chart and some at run time. This finds them in manifests; it never talks to a cluster.
//!
//! ```text
//! files ─▶ read (template) ─▶ objects ─▶ find (pods, script) ─▶ findings ─▶ order (commands) ─▶ report
//! ```
//!
//! Manifests hold passwords. Findings quote names of objects, of keys and of hosts, and no value of a secret.

mod commands;
mod find;
mod finding;
mod order;
mod pods;
mod read;
mod report;
mod script;
mod template;
mod tree;

pub(crate) use self::read::Source;
pub(crate) use self::report::Report;

/// Looks through the manifests of all sources together.
pub(crate) fn examine(sources: &[Source]) -> Report {
    let (objects, unread) = read::objects(sources);
    let found = find::all(&objects);
    let steps = order::steps(&found.findings, &found.images);
    Report { objects: objects.len(), found, unread, steps }
}
