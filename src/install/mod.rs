//! `install` and `uninstall`: this program as a provider of the kubelet of a node, and back.
//!
//! ```text
//! node::distribution ─▶ place ─▶ plan ─▶ diff          what would change, as data; nothing is written
//!                                 │
//!                                 └▶ journal ─▶ files  each change is noted, then made
//!                                        │
//!                    check ─▶ service ─▶ health        validated, restarted, watched
//!                                        │
//!                                        └▶ undo       if one of these fails; and for `uninstall`
//! ```
//!
//! - A plan is made of what is there, so a second run finds nothing to change. Where flags name a configuration and a
//!   folder for plugins already, whoever wrote them, those are used: a kubelet has one of each. What others have
//!   written is added to, in its text, and never formed anew.
//! - A change is a list of [`files::Step`]s, each of which is done as a whole or not at all. What was there is kept,
//!   and a line about the change is on the disk, before the change is made. So a run may end at any point, with the
//!   power even: `install` again goes on from there, `uninstall` brings back what was there.
//! - The flags come last and go first, so a kubelet that starts in the middle of it starts.
//! - A run that finds the kubelet not well in the end takes back all that is not yet known to be good, its own changes
//!   and those of a run that was interrupted, and restarts the kubelet with what it had.
//! - `uninstall` brings back bytes, modes, owners and times. What somebody has edited since is not thrown away: our part
//!   is taken out of it; where that part cannot be told from the rest, nothing is done at all, and it is said what to do.
//! - With another root, of an image or of a node whose file system is mounted, no process is looked at and nothing is
//!   restarted. To act on a host from a privileged container, its root is entered first; then everything is as there.
//!
//! Everything but `files`, `service` and `health` is a function of what it reads.

mod check;
mod diff;
pub mod files;
mod flags;
mod health;
pub mod journal;
mod merge;
pub mod place;
pub mod plan;
mod run;
mod service;
pub mod undo;

pub(crate) use plan::Wanted;
pub(crate) use run::{Install, Node, Outcome, Uninstall};
pub(crate) use service::doctor;
