//! The files by which the nodes of a cluster come to use this program, as texts.
//!
//! Pure: what is written where is for `command` to say.

pub mod config;
pub mod yaml;
