//! What was found on a node, as data, and in words for people. The words are here and nowhere else.

use std::fmt;
use std::path::PathBuf;

use super::binary::Binary;
use super::configured::ErasedDropIn;
use super::flags::Flags;
use super::kubelet::Program;
use super::problem::{Problem, Severity};
use crate::pattern::Miss;

/// One step on the way from the kubelet to the plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A kubelet runs; and so many others.
    Kubelet {
        /// Its process.
        pid: u32,
        /// The program that it is part of.
        program: Program,
        /// How many more there are.
        others: usize,
    },
    /// No kubelet runs.
    NoKubelet,
    /// The kubelet's proxy variables; none if they may not be read.
    Proxy(Option<Vec<String>>),
    /// Flags that systemd erases.
    ErasedDropIn(ErasedDropIn),
    /// At least one of the two flags.
    Flags {
        /// Their values.
        flags: Flags,
        /// Where they are.
        origin: Origin,
    },
    /// Neither of the flags. The program is the one that runs.
    NoFlags(Option<Program>),
    /// One of the flags without the other: `config` or `bin-dir`.
    FlagMissing(&'static str),
    /// The configuration was read.
    Config {
        /// Its files.
        files: Vec<PathBuf>,
        /// How many providers it has.
        providers: usize,
    },
    /// Something in the configuration.
    Problem(Problem),
    /// The kubelet asks this provider.
    Match {
        /// Its name.
        provider: String,
        /// The first of its patterns that matches.
        pattern: String,
    },
    /// The kubelet asks no provider.
    NoMatch {
        /// The image.
        image: String,
        /// The pattern that comes closest, and why it does not match.
        nearest: Option<(String, Miss)>,
    },
    /// The file that the kubelet runs. One that it cannot run is a problem, too.
    Binary {
        /// Its path.
        path: PathBuf,
        /// What it is.
        binary: Binary,
    },
}

/// Where the flags come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The command line of a process, or the file that it was started with.
    Process(u32),
    /// Files for a kubelet that does not run, or hides its flags, or was started before they were written.
    Files {
        /// Which.
        places: Vec<PathBuf>,
        /// Whether the kubelet that runs does not have them.
        restart: bool,
    },
}

/// What a finding means for the pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// As it should be.
    Fine,
    /// Perhaps not meant so.
    Notice,
    /// The kubelet does not ask us, or does not start.
    Wrong,
}

impl Finding {
    /// What it means for the pull.
    pub fn weight(&self) -> Weight {
        match self {
            Self::NoFlags(_)
            | Self::FlagMissing(_)
            | Self::Flags { origin: Origin::Files { restart: true, .. }, .. }
            | Self::Problem(Problem { severity: Severity::Refused | Severity::Failing, .. })
            | Self::NoMatch { .. } => Weight::Wrong,
            Self::Kubelet { others: 0, .. }
            | Self::Proxy(Some(_))
            | Self::Flags { .. }
            | Self::Config { .. }
            | Self::Match { .. }
            | Self::Binary { binary: Binary::ThisProgram, .. } => Weight::Fine,
            Self::Kubelet { .. }
            | Self::NoKubelet
            | Self::Proxy(None)
            | Self::ErasedDropIn(_)
            | Self::Problem(Problem { severity: Severity::Warning, .. })
            | Self::Binary { .. } => Weight::Notice,
        }
    }
}

/// One line each.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kubelet { pid, program, others } => {
                write!(f, "{program} runs as process {pid}")?;
                if *others > 0 { write!(f, "; {others} more run, which are not looked at") } else { Ok(()) }
            }
            Self::NoKubelet => f.write_str("no kubelet runs, or this user may not see it"),
            Self::Proxy(None) => f.write_str("the environment of the kubelet cannot be read; root may"),
            Self::Proxy(Some(names)) if names.is_empty() => f.write_str("the kubelet has no proxy variables"),
            Self::Proxy(Some(names)) => write!(f, "the kubelet hands on {}", names.join(", ")),
            Self::ErasedDropIn(ErasedDropIn { drop_in, file }) => write!(
                f,
                "`{}` has no effect: `{}` sets KUBELET_EXTRA_ARGS too, and wins; write the flags there",
                drop_in.display(),
                file.display()
            ),
            Self::Flags { flags, origin } => write_flags(f, flags, origin),
            Self::NoFlags(program) => write_no_flags(f, *program),
            Self::FlagMissing(name) => {
                write!(
                    f,
                    "--image-credential-provider-{name} is missing: the kubelet does not start with the other flag alone"
                )
            }
            Self::Config { files, providers } => {
                let plural = if *providers == 1 { "" } else { "s" };
                write!(f, "{providers} provider{plural} in {}", in_words(files))
            }
            Self::Problem(problem) => problem.fmt(f),
            Self::Match { provider, pattern } => {
                write!(f, "`{pattern}` matches: the kubelet asks `{provider}`")
            }
            Self::NoMatch { image, nearest } => {
                write!(f, "no pattern matches `{image}`: the kubelet asks no provider")?;
                match nearest {
                    Some((pattern, miss)) => write!(f, "; the nearest is `{pattern}`, but {miss}"),
                    None => Ok(()),
                }
            }
            Self::Binary { path, binary } => write!(f, "`{}` {binary}", path.display()),
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kubelet => "the kubelet",
            Self::K3s => "k3s, with its kubelet,",
            Self::MicroK8s => "kubelite of MicroK8s, with its kubelet,",
        })
    }
}

impl fmt::Display for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "does not exist",
            Self::NotAFile => "is no file",
            Self::NotExecutable => "is not executable",
            Self::OnNoexec => "is on a file system that is mounted with noexec",
            Self::ThisProgram => "is this program",
            Self::OtherFile => "is another file than this program: another version, or the Go provider",
            Self::OtherProgram => "is another program",
        })
    }
}

fn write_flags(f: &mut fmt::Formatter<'_>, flags: &Flags, origin: &Origin) -> fmt::Result {
    let or_none =
        |value: &Option<String>| value.clone().map_or("nowhere".to_owned(), |path| format!("`{path}`"));
    write!(f, "configuration in {}, plugins in {}", or_none(&flags.config), or_none(&flags.bin_dir))?;
    match origin {
        Origin::Process(pid) => write!(f, ", by the flags of process {pid}"),
        Origin::Files { places, restart: false } => write!(f, ", by {}", in_words(places)),
        Origin::Files { places, restart: true } => {
            write!(
                f,
                ", by {}, but the kubelet that runs does not have these flags: restart it",
                in_words(places)
            )
        }
    }
}

fn write_no_flags(f: &mut fmt::Formatter<'_>, program: Option<Program>) -> fmt::Result {
    match program {
        Some(Program::K3s) => f.write_str(
            "nothing at the default paths of k3s, /var/lib/rancher/credentialprovider/config.yaml and bin; it hides other flags",
        ),
        Some(_) => f.write_str("the kubelet has no --image-credential-provider-config: it asks no provider"),
        None => f.write_str("no --image-credential-provider-config is configured in the places known here"),
    }
}

fn in_words(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
}
