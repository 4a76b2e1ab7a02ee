//! Whether the kubelet would start, by its own rules: with what is planned, and with what is there in the end.

use std::path::{Path, PathBuf};

use super::files::{Change, State};
use super::place::Places;
use crate::error::{Code, Error};
use crate::node::check::{Subject, check};
use crate::node::problem::{Fault, Severity};
use crate::node::root;
use crate::node::version::Version;

/// Fails with the first thing that the kubelet would end over, if the configuration were as planned.
pub(crate) fn planned(
    root: &Path,
    places: &Places,
    changes: &[Change],
    version: Version,
) -> Result<(), Error> {
    let config = root::resolved(root, &places.config);
    let files = changes.iter().filter_map(|change| match &change.after {
        // The kubelet knows it by a path that may have links.
        State::File(content) => {
            let within = change.path.strip_prefix(&config).ok()?;
            let whole = within.as_os_str().is_empty();
            let path = if whole { places.config.clone() } else { places.config.join(within) };
            Some((path, content.bytes.clone()))
        }
        _ => None,
    });
    let files: Vec<(PathBuf, Vec<u8>)> = files.collect();
    judge(&Subject { root, config: &places.config, bin_dir: None, version, planned: &files }, true)
}

/// The same for what is written, programs included. Those of others may come into an image later.
pub(crate) fn written(root: &Path, places: &Places, version: Version, is_live: bool) -> Result<(), Error> {
    let bin_dir = Some(places.bin_dir.as_path());
    judge(&Subject { root, config: &places.config, bin_dir, version, planned: &[] }, is_live)
}

fn judge(subject: &Subject<'_>, with_programs: bool) -> Result<(), Error> {
    let checked = check(subject);
    let mut refused = checked.problems.iter().filter(|problem| problem.severity == Severity::Refused);
    let counts = |fault: &Fault| with_programs || !matches!(fault, Fault::Binary(..));
    match refused.find(|problem| counts(&problem.fault)) {
        Some(problem) => Err(Error::new(Code::InstallRefused, problem).with_remedy(problem.fault.remedy())),
        None => Ok(()),
    }
}
