//! `validate`: what a kubelet would say of its configuration of providers, and what this program would of its own,
//! all of it, before anybody restarts anything.

mod report;
mod settings;

use std::path::{Path, PathBuf};

use self::report::{Image, Line, Report};
use self::settings::Settings;
use super::doctor::Output;
use crate::error::{Code, Error};
use crate::host;
use crate::image::ImageReference;
use crate::node::binary::{self, Binary};
use crate::node::check::{Checked, Subject, check};
use crate::node::config::Provider;
use crate::node::layout::NAME;
use crate::node::problem::{Fault, Place, Problem, Severity};
use crate::node::version::Version;
use crate::node::{self, Asked};
use crate::ownership::{self, Readers};
use crate::registry::Registry;

/// What to check, and for which kubelet.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ValidateCommand {
    /// The CredentialProviderConfig, or from Kubernetes 1.34 on a folder of them, as the kubelet sees it
    ///
    /// Without it: what the kubelet that runs was told by its flags or, where none runs, what the files of the node say.
    path: Option<PathBuf>,
    /// Apply the rules of this kubelet: 1.31, v1.31.4, 1.31.4+k3s1; from 1.24 on
    ///
    /// Without it: the version of the kubelet that runs, if root asks, else the newest that is known.
    #[arg(long, value_name = "VERSION")]
    kubelet_version: Option<Version>,
    /// Say who is asked for this image, or the nearest pattern and why it does not match; may be given more than once
    #[arg(long = "image", value_name = "IMAGE")]
    images: Vec<String>,
    /// Look at a node that does not run: the folder that will be its `/`
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Where the plugins are, as the kubelet sees it
    ///
    /// Without it, and with a path that is not that of this node, they are not looked at.
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// Fail over warnings too
    #[arg(long)]
    strict: bool,
    /// For people, or for programs
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

const EXAMPLES: &str = "\
Exit status: 0 the kubelet would start, and nothing is wrong; 1 something is wrong, all of which is on stdout, a line
each with place and remedy; 2 wrong arguments. Warnings are for what the kubelet takes although it cannot have been meant.

  ecr-credential-provider validate
  ecr-credential-provider validate --kubelet-version 1.31 --image 571600876202.dkr.ecr.eu-central-1.amazonaws.com/team/app c.yaml";

/// Looks at everything, and fails if something is wrong.
pub(crate) fn run(command: &ValidateCommand) -> Result<(), Error> {
    let root = absolute(&command.root)?;
    let images = command.images.iter().map(|image| parse(image)).collect::<Result<Vec<_>, _>>()?;
    let is_this_node = root == Path::new("/");
    let version = command.kubelet_version.or_else(|| node::kubelet::version().filter(|_| is_this_node));
    let mut report = Report::new(version.unwrap_or(Version::NEWEST));
    let Some((config, bin_dir)) = find(command, &root, is_this_node, &mut report)? else {
        return report.finish(command.output, command.strict);
    };
    let subject = Subject {
        root: &root,
        config: &config,
        bin_dir: bin_dir.as_deref(),
        version: report.version,
        planned: &[],
    };
    let Checked { config: read, mut problems } = check(&subject);
    report.looked_at(config.clone(), bin_dir.clone(), read.providers.len());
    if is_this_node {
        check_owners(&read.files, bin_dir.as_deref(), &read.providers, &mut problems);
    }
    let ours: Vec<_> = read.providers.iter().filter(|it| is_ours(it, &root, bin_dir.as_deref())).collect();
    let settings = settings::check(&root, &ours, &mut problems);
    for problem in problems {
        report.add(Line::of(problem));
    }
    for image in &images {
        let asked = node::asked_for(image, &read.providers, report.version);
        report.add_image(judge(image, asked, &settings));
    }
    report.finish(command.output, command.strict)
}

fn parse(image: &str) -> Result<ImageReference, Error> {
    image.parse().map_err(|error| Error::new(Code::ImageMalformed, format!("`{image}`: {error}")))
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path)
        .map_err(|error| Error::new(Code::Usage, format!("`{}`: {error}", path.display())))
}

/// The configuration and the plugins: as the arguments say, else as the node does.
fn find(
    command: &ValidateCommand,
    root: &Path,
    is_this_node: bool,
    report: &mut Report,
) -> Result<Option<(PathBuf, Option<PathBuf>)>, Error> {
    let (findings, located) = node::locate(root);
    let Some(path) = &command.path else {
        for finding in &findings {
            report.add_finding(finding);
        }
        let bin_dir = |found| command.bin_dir.clone().unwrap_or(found);
        return Ok(located.map(|(config, found)| (config, Some(bin_dir(found)))));
    };
    let path = if is_this_node { absolute(path)? } else { Path::new("/").join(path) };
    let found = located.filter(|(config, _)| *config == path).map(|(_, bin_dir)| bin_dir);
    Ok(Some((path, command.bin_dir.clone().or(found))))
}

/// Who could change what the kubelet runs as root. It does not look, so these are warnings.
fn check_owners(
    files: &[PathBuf],
    bin_dir: Option<&Path>,
    providers: &[Provider],
    problems: &mut Vec<Problem>,
) {
    let is_name = |it: &&Provider| !it.name.is_empty() && !it.name.contains('/');
    let plugins =
        bin_dir.into_iter().flat_map(|dir| providers.iter().filter(is_name).map(|it| dir.join(&it.name)));
    let mut seen = Vec::new();
    for path in files.iter().cloned().chain(plugins) {
        let Err(error) = ownership::trusted(&path, Readers::Anybody) else { continue };
        let cause = format!("{}: it can change what the kubelet runs as root", error.cause());
        if !seen.contains(&cause) {
            let fault = Fault::Untrusted { cause: cause.clone(), remedy: error.remedy().to_owned() };
            problems.push(Problem { place: Place::file(&path), severity: Severity::Warning, fault });
            seen.push(cause);
        }
    }
}

/// Whether the kubelet would run this program, or another copy of it, for a provider.
fn is_ours(provider: &Provider, root: &Path, bin_dir: Option<&Path>) -> bool {
    let this_program = Path::new("/proc/self/exe");
    let binary = bin_dir.map(|dir| binary::look(root, dir, &provider.name, this_program));
    provider.name == NAME || matches!(binary, Some(Binary::ThisProgram | Binary::OtherFile))
}

/// What becomes of an image: whom the kubelet asks, and what this program would do if it is asked.
fn judge(image: &ImageReference, asked: Asked, settings: &Settings) -> Image {
    let name = image.to_string();
    let is_ours = asked.matches.iter().any(|(provider, _)| settings.providers.contains(provider));
    let Some(configuration) = settings.configuration.as_ref().filter(|_| is_ours) else {
        return Image { name, asked, rule: None, registry: None, stranger: None };
    };
    let choice = configuration.for_image(image);
    let host = choice.registry.as_deref().unwrap_or(image.host());
    let registry = Registry::from_host_in(host, &configuration.partitions());
    Image {
        name,
        asked,
        rule: choice.rule,
        registry: registry.as_ref().ok().map(ToString::to_string),
        stranger: registry.err().map(|reason| format!("`{host}` gets no password: {reason}")),
    }
}

fn print(text: &str) -> Result<(), Error> {
    host::write_stdout(text.as_bytes())
}
