//! `install` and `uninstall` in made-up file systems of every kind of node. On a node that runs: `tests/node/run`.

mod distributions;
mod edits;
mod interrupted;
mod refusals;
pub(crate) mod root;
