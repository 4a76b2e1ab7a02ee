//! The kubelet of this node, and whether and how it would ask us for an image.
//!
//! For people who want to know why a pull has no password, before or instead of reading the kubelet's journal.
//! It reads files and changes none; `root` is `/`, and a made-up folder in tests. [`inspect`] walks the whole
//! way; the modules below are its steps:
//!
//! ```text
//! kubelet ─▶ flags (or configured) ─▶ check ─▶ pattern of a provider ─▶ binary
//!                                       │
//!           document ─▶ config ─▶ rules ┘   (by version, with all problems)
//! ```
//!
//! [`check::check`] alone says whether a kubelet would start with a configuration, also with one that is planned.
//!
//! What it cannot see: flags that k3s was given, because k3s hides them, and a kubelet in a container of its own
//! whose paths are not those of this file system.

pub mod binary;
pub mod check;
pub mod config;
pub mod configured;
pub mod distribution;
pub(crate) mod document;
pub(crate) mod environment;
pub mod finding;
pub mod flags;
pub mod kubelet;
pub mod layout;
pub mod problem;
pub(crate) mod root;
mod rules;
pub mod unit;
pub mod version;

use std::path::{Path, PathBuf};

use crate::image::ImageReference;
use crate::pattern::{self, Miss, Pattern};
use crate::secret::Secret;
use binary::Binary;
use check::{Checked, Subject, check};
use config::{Config, Provider};
use configured::Configured;
use finding::{Finding, Origin};
use flags::Flags;
use version::Version;

/// Everything from the process table to the file that would run for `image`, in that order. It ends at the first
/// step without which the next makes no sense. `this_program` is a path of the file that runs now.
pub fn inspect(root: &Path, image: &ImageReference, version: Version, this_program: &Path) -> Vec<Finding> {
    let (mut findings, both) = locate(root);
    let Some((config, bin_dir)) = both else { return findings };
    let subject = Subject { root, config: &config, bin_dir: Some(&bin_dir), version, planned: &[] };
    let Checked { config: Config { files, providers, .. }, problems } = check(&subject);
    if !providers.is_empty() {
        findings.push(Finding::Config { files, providers: providers.len() });
    }
    findings.extend(problems.into_iter().map(Finding::Problem));
    if providers.is_empty() {
        return findings;
    }
    let Asked { matches, nearest } = asked_for(image, &providers, version);
    if matches.is_empty() {
        let nearest = nearest.map(|(_, pattern, miss)| (pattern, miss));
        findings.push(Finding::NoMatch { image: image.to_string(), nearest });
    }
    let names: Vec<_> = matches.iter().map(|(name, _)| name.clone()).collect();
    findings.extend(matches.into_iter().map(|(provider, pattern)| Finding::Match { provider, pattern }));
    findings.extend(names.into_iter().filter_map(|name| {
        let binary = binary::look(root, &bin_dir, &name, this_program);
        let runs = matches!(binary, Binary::ThisProgram | Binary::OtherFile | Binary::OtherProgram);
        runs.then(|| Finding::Binary { path: bin_dir.join(&name), binary })
    }));
    findings
}

/// What the kubelet gives to a plugin.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// The provider by whose name it runs.
    pub provider: Provider,
    /// The environment of the kubelet; none where none runs, or this user may not read it.
    pub environment: Option<Vec<(String, Secret)>>,
}

/// What the kubelet gives to this program when it asks it for `image`; none if it would not ask it.
pub fn plugin_for(root: &Path, image: &ImageReference, this_program: &Path) -> Option<Plugin> {
    find_plugin(root, this_program, |provider| {
        let mut patterns = provider.match_images.iter().filter_map(|it| it.value.parse::<Pattern>().ok());
        patterns.any(|pattern| pattern.matches(image).is_ok())
    })
}

/// What the kubelet gives to this program when it asks it for some image; none if it asks it for none.
pub fn plugin(root: &Path, this_program: &Path) -> Option<Plugin> {
    find_plugin(root, this_program, |_| true)
}

fn find_plugin(root: &Path, this_program: &Path, is_asked: impl Fn(&Provider) -> bool) -> Option<Plugin> {
    let (config, bin_dir) = locate(root).1?;
    let is_for = |provider: &Provider| {
        is_asked(provider)
            && matches!(
                binary::look(root, &bin_dir, &provider.name, this_program),
                Binary::ThisProgram | Binary::OtherFile
            )
    };
    let subject = Subject { root, config: &config, bin_dir: None, version: Version::NEWEST, planned: &[] };
    let provider = check(&subject).config.providers.into_iter().find(is_for)?;
    Some(Plugin { provider, environment: kubelet::environment(root) })
}

/// Where the kubelet of this node, or of one that will start from `root`, has its configuration and its plugins; and
/// what was found on the way. Nothing if it has none.
pub(crate) fn locate(root: &Path) -> (Vec<Finding>, Option<(PathBuf, PathBuf)>) {
    let mut findings = Vec::new();
    let flags = find_flags(root, &mut findings);
    let both = flags.and_then(|flags| both(flags, &mut findings));
    (findings, both)
}

fn find_flags(root: &Path, findings: &mut Vec<Finding>) -> Option<Flags> {
    let mut kubelets = kubelet::running(root);
    let others = kubelets.len().saturating_sub(1);
    let running = (!kubelets.is_empty()).then(|| kubelets.remove(0));
    let program = running.as_ref().map(|kubelet| kubelet.program);
    let Some(kubelet) = running else {
        findings.push(Finding::NoKubelet);
        return find_configured_flags(root, program, findings);
    };
    findings.push(Finding::Kubelet { pid: kubelet.pid, program: kubelet.program, others });
    findings.push(Finding::Proxy(kubelet.proxy_variables));
    if kubelet.flags.are_absent() {
        return find_configured_flags(root, program, findings);
    }
    findings.push(Finding::Flags { flags: kubelet.flags.clone(), origin: Origin::Process(kubelet.pid) });
    Some(kubelet.flags)
}

/// Those of a service that runs already take effect when it starts again, which [`Origin::Files`] says.
fn find_configured_flags(
    root: &Path,
    program: Option<kubelet::Program>,
    findings: &mut Vec<Finding>,
) -> Option<Flags> {
    let Configured { flags, places, erased } = configured::find(root, program);
    findings.extend(erased.into_iter().map(Finding::ErasedDropIn));
    if flags.are_absent() {
        findings.push(Finding::NoFlags(program));
        return None;
    }
    let restart = program == Some(kubelet::Program::Kubelet);
    findings.push(Finding::Flags { flags: flags.clone(), origin: Origin::Files { places, restart } });
    Some(flags)
}

fn both(flags: Flags, findings: &mut Vec<Finding>) -> Option<(PathBuf, PathBuf)> {
    match (flags.config, flags.bin_dir) {
        (Some(config), Some(bin_dir)) => Some((config.into(), bin_dir.into())),
        (config, _) => {
            let missing = if config.is_none() { "config" } else { "bin-dir" };
            findings.push(Finding::FlagMissing(missing));
            None
        }
    }
}

/// Whom a kubelet asks for an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The providers of which a pattern matches, each with the first that does, in the order in which they are asked.
    pub matches: Vec<(String, String)>,
    /// Where none does, the provider and the pattern that come closest, and why that does not match.
    pub nearest: Option<(String, String, Miss)>,
}

/// Whom a kubelet of `version` asks for `image`; it asks all that match.
pub fn asked_for(image: &ImageReference, providers: &[Provider], version: Version) -> Asked {
    let (mut matches, mut missed) = (Vec::new(), Vec::new());
    for provider in providers {
        let texts = provider.match_images.iter();
        let patterns: Vec<Pattern> = texts.filter_map(|it| it.value.parse().ok()).collect();
        match patterns.iter().find(|pattern| pattern.matches(image).is_ok()) {
            Some(pattern) => matches.push((provider.name.clone(), pattern.to_string())),
            None => missed.extend(patterns.into_iter().map(|pattern| (provider, pattern))),
        }
    }
    if !version.asks_in_order_of_file() {
        matches.sort();
    }
    let nearest = pattern::nearest(missed.iter().map(|(_, pattern)| pattern), image);
    let nearest = nearest.filter(|_| matches.is_empty()).and_then(|(pattern, miss)| {
        let (provider, _) = missed.iter().find(|(_, missed)| std::ptr::eq(missed, pattern))?;
        Some((provider.name.clone(), pattern.to_string(), miss))
    });
    Asked { matches, nearest }
}

/// An absolute path of the node, below `root`. The kubelet's working directory is `/`.
pub(crate) fn on(root: &Path, path: impl AsRef<Path>) -> PathBuf {
    root::within(root, path.as_ref())
}

#[cfg(test)]
mod tests;
