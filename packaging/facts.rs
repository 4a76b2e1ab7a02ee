//! The build script: what `--version` says of a build beside the version.
//!
//! A release asks git for its commit. A debug build does not, or each commit would compile the library anew.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "cargo starts a build script, and reads its stdout"
)]

use std::env;
use std::fs;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=SOURCE_COMMIT");
    println!("cargo::rerun-if-changed=packaging/facts.rs");
    let commit = match variable("PROFILE").as_str() {
        "release" => commit(),
        profile => format!("not recorded ({profile} build)"),
    };
    println!("cargo::rustc-env=BUILD_COMMIT={commit}");
    println!("cargo::rustc-env=BUILD_TARGET={}", variable("TARGET"));
    let rustc = output(&variable("RUSTC"), &["--version"]);
    let rustc = rustc.as_deref().and_then(|line| line.split(' ').nth(1)).unwrap_or("unknown").to_owned();
    println!("cargo::rustc-env=BUILD_RUSTC={rustc}");
}

/// From `SOURCE_COMMIT`, for those who build without git, or from git, or from what `cargo package` noted.
fn commit() -> String {
    let named = env::var("SOURCE_COMMIT").ok().filter(|commit| !commit.is_empty());
    named.or_else(from_git).or_else(from_package).unwrap_or_else(|| "unknown".to_owned())
}

fn from_git() -> Option<String> {
    // A package that is built inside some other repository has no commit of that one.
    output("git", &["ls-files", "--error-unmatch", "packaging/facts.rs"])?;
    println!("cargo::rerun-if-changed={}", output("git", &["rev-parse", "--git-path", "logs/HEAD"])?);
    output("git", &["rev-parse", "HEAD"])
}

fn from_package() -> Option<String> {
    let info = fs::read_to_string(".cargo_vcs_info.json").ok()?;
    Some(info.split_once("\"sha1\": \"")?.1.split_once('"')?.0.to_owned())
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}
