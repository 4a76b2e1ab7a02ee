//! `migrate`: what is left of rotated pull secrets in manifests.

use std::path::{Path, PathBuf};

use crate::error::{Code, Error};
use crate::host;
use crate::migrate::{self, Report, Source};

/// What to look through.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct MigrateCommand {
    /// Manifests, values of charts, folders of them; `-` or nothing for stdin
    files: Vec<PathBuf>,
    /// Fail if something is left, or could not be read
    #[arg(long)]
    check: bool,
    /// For people, or for programs
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    Text,
    Json,
}

const EXAMPLES: &str = "\
It reads files and talks to no cluster; never does it print a password or a key.
Everything that the cluster has:
  kubectl get cronjobs,jobs,deployments,statefulsets,daemonsets,replicasets,pods,configmaps,\\
secrets,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings -A -o json |
    ecr-credential-provider migrate - values.yaml
What a chart would make, and its values:
  helm template RELEASE CHART --values values.yaml | ecr-credential-provider migrate - values.yaml
Exit status: 0 looked through, whatever was found; 1 failed, or with --check something is left.";

/// Looks, and prints what it found.
pub(crate) fn run(command: &MigrateCommand) -> Result<(), Error> {
    let sources = sources(&command.files)?;
    let report = migrate::examine(&sources);
    if report.objects() == 0 {
        let names: Vec<_> = sources.iter().map(|source| format!("`{}`", source.name)).collect();
        let cause =
            report.first_unread().unwrap_or_else(|| format!("there is no object in {}", names.join(", ")));
        return Err(Error::new(Code::ManifestsMalformed, cause));
    }
    let text = match command.output {
        Output::Text => report.text(),
        Output::Json => format!("{:#}\n", report.json()),
    };
    host::write_stdout(text.as_bytes())?;
    if command.check { check(&report) } else { Ok(()) }
}

fn check(report: &Report) -> Result<(), Error> {
    match (report.left(), report.first_unread()) {
        (0, None) => Ok(()),
        (0, Some(unread)) => Err(Error::new(Code::ManifestsMalformed, unread)),
        (1, _) => Err(Error::new(Code::PullSecretsLeft, "1 thing was found")),
        (left, _) => Err(Error::new(Code::PullSecretsLeft, format!("{left} things were found"))),
    }
}

/// What the cluster has in all can be large.
const LARGEST: usize = 256 << 20;

fn sources(files: &[PathBuf]) -> Result<Vec<Source>, Error> {
    let stdin = [PathBuf::from("-")];
    let mut sources = Vec::new();
    for path in if files.is_empty() { &stdin } else { files } {
        if path == Path::new("-") {
            sources.push(Source { name: "-".to_owned(), text: text(read_stdin()?, path)? });
        } else if path.is_dir() {
            let before = sources.len();
            add_folder(path, &mut sources)?;
            if sources.len() == before {
                let cause = format!("`{}` has no file that ends in .yaml, .yml or .json", path.display());
                return Err(Error::new(Code::ManifestsUnreadable, cause));
            }
        } else {
            sources.push(read(path)?);
        }
    }
    Ok(sources)
}

fn read_stdin() -> Result<Vec<u8>, Error> {
    if host::stdin_is_terminal() {
        return Err(Error::new(Code::Usage, "no file is named, and stdin is a terminal"));
    }
    let bytes = host::read_stdin(LARGEST)
        .map_err(|error| Error::new(Code::ManifestsUnreadable, format!("stdin: {error}")))?;
    if bytes.len() > LARGEST {
        return Err(Error::new(Code::ManifestsUnreadable, "stdin has more than 256 MiB; pass it in parts"));
    }
    Ok(bytes)
}

fn read(path: &Path) -> Result<Source, Error> {
    let bytes = host::read_file(path).map_err(|error| Error::new(Code::ManifestsUnreadable, error))?;
    Ok(Source { name: path.display().to_string(), text: text(bytes, path)? })
}

fn text(bytes: Vec<u8>, path: &Path) -> Result<String, Error> {
    let not_text =
        |_| Error::new(Code::ManifestsUnreadable, format!("`{}` is not UTF-8 text", path.display()));
    String::from_utf8(bytes).map_err(not_text)
}

/// The manifests of a folder and of those below it, in the order of their names. Hidden ones are not ours, and links to
/// folders may lead in a circle.
fn add_folder(folder: &Path, sources: &mut Vec<Source>) -> Result<(), Error> {
    let names = host::list_directory(folder).map_err(|error| Error::new(Code::ManifestsUnreadable, error))?;
    let mut paths: Vec<_> = names
        .iter()
        .filter(|name| !name.as_encoded_bytes().starts_with(b"."))
        .map(|name| folder.join(name))
        .collect();
    paths.sort();
    for path in paths {
        let is_folder = path.symlink_metadata().is_ok_and(|data| data.is_dir());
        let is_manifest =
            path.extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known));
        if is_folder {
            add_folder(&path, sources)?;
        } else if is_manifest && path.is_file() {
            sources.push(read(&path)?);
        }
    }
    Ok(())
}
