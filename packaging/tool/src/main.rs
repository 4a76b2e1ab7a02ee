//! Writes the manual pages and the shell completions, as files under `usr/share` of the folder that is named.
//!
//! A program of its own, so that the plugin does not carry what is needed once for each release.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap_complete::Shell;

/// Where each shell looks for completions by itself.
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "usr/share/bash-completion/completions/ecr-credential-provider"),
    (Shell::Zsh, "usr/share/zsh/vendor-completions/_ecr-credential-provider"),
    (Shell::Fish, "usr/share/fish/vendor_completions.d/ecr-credential-provider.fish"),
];

#[expect(clippy::disallowed_methods, reason = "a program of its own")]
fn main() -> Result<()> {
    let folder = PathBuf::from(env::args_os().nth(1).context("usage: package-tool FOLDER")?);
    write_completions(&folder)?;
    let pages = folder.join("usr/share/man/man1");
    fs::create_dir_all(&pages).with_context(|| format!("cannot make {}", pages.display()))?;
    // Generated, and as they stand they are what `--help` says; each command has a page, each page names them.
    // What this build was built from is not what the program that they describe was built from.
    let definition = ecr_credential_provider::definition().long_version(None);
    clap_mangen::generate_to(definition, &pages)
        .with_context(|| format!("cannot write to {}", pages.display()))?;
    Ok(())
}

fn write_completions(folder: &Path) -> Result<()> {
    let mut definition = ecr_credential_provider::definition();
    for (shell, name) in COMPLETIONS {
        let path = folder.join(name);
        let parent = path.parent().context("a folder")?;
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        let mut file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        clap_complete::generate(shell, &mut definition, "ecr-credential-provider", &mut file);
    }
    Ok(())
}
