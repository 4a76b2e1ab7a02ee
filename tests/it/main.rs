//! Tests of the real binary, one module for each part of its contract.
//!
//! Every run has an environment of its own (nothing of the machine's: machines export proxies and CA
//! bundles), no HOME, as under a kubelet, and AWS on loopback. Exit status, stdout and stderr are always
//! compared together.

#![expect(clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod cache;
mod cli;
mod credential_process;
mod deadline;
mod docker;
mod docker_configure;
mod docs;
mod doctor;
mod faults;
mod host_forms;
mod identity;
mod install;
mod latest_tag;
mod login;
mod migrate;
mod moto;
mod network;
mod node_config;
mod on_host;
mod plugin;
mod prepull;
mod protos;
mod records;
mod requests;
mod roles_anywhere;
mod secrets;
mod service_account;
mod settings;
mod settings_file;
mod strangers;
mod validate;
