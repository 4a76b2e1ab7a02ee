//! What is wrong with a configuration, as data, and in words for people. The words are here and nowhere else.

use std::fmt;
use std::path::{Path, PathBuf};

use super::binary::Binary;
use super::document::Position;
use super::version::Version;
use crate::duration::DurationError;
use crate::pattern::{PatternError, Trap};

/// Something that is wrong, or may not be meant so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What it means for the kubelet.
    pub severity: Severity,
    /// What.
    pub fault: Fault,
}

/// A place in a file, or the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, or folder.
    pub file: PathBuf,
    /// Where in it.
    pub at: Option<Position>,
}

impl Place {
    pub(crate) fn file(path: &Path) -> Self {
        Self { file: path.to_owned(), at: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        match self.at {
            Some(Position { line, column }) => write!(f, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

/// What a problem means for the kubelet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It starts, and does what is written; perhaps that is not what was meant.
    Warning,
    /// It starts, but this program would fail when it is asked.
    Failing,
    /// It does not start.
    Refused,
}

/// The steps of a kubelet that starts, in its order. It ends at the first that fails, and says no more than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The folder of the plugins.
    BinDir,
    /// Reading the files.
    Read,
    /// Making values of the text.
    Decode,
    /// Fields that are unknown or stand there twice.
    Strict,
    /// Putting files together.
    Merge,
    /// The rules for values.
    Rules,
    /// The plugins.
    Binary,
    /// None: the kubelet does not look at this.
    Never,
}

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the words of each say what it is")]
pub enum Fault {
    #[error("the folder of the plugins does not exist")]
    BinDirMissing,

    #[error("{0}")]
    Unreadable(String),
    #[error("it is no regular file")]
    NotAFile,
    #[error("the folder has no file that ends in .json, .yaml or .yml")]
    EmptyFolder,
    #[error("it is a folder, which kubelets can read from {} on", Version::HAS_FOLDERS)]
    FolderTooEarly,

    #[error("{0}")]
    Syntax(String),
    #[error("`{field}` must be {expected}, but it is {found}")]
    Type { field: String, expected: &'static str, found: &'static str },
    #[error("kind `{0}` is not CredentialProviderConfig")]
    Kind(String),
    #[error("apiVersion `{0}` is not {CONFIG_API}v1, v1beta1 or v1alpha1")]
    ConfigVersion(String),
    #[error("apiVersion `{0}` is known to kubelets from {first} on", first = Version::HAS_V1)]
    VersionTooEarly(String),
    #[error("`{field}` is no duration: {error}")]
    Duration { field: String, error: DurationError },

    #[error("unknown field `{field}`{}", if *.ignored { ", which the kubelet ignores" } else { "" })]
    UnknownField { field: String, remedy: String, ignored: bool },
    #[error("the key{} stands here again{}", .key, if *.ignored { ", and the kubelet takes this one" } else { "" })]
    Repeated { key: String, ignored: bool },

    #[error("there is a provider `{0}` already")]
    NameTwice(String),

    #[error("there is no provider")]
    NoProvider,
    #[error("`{0}` is not the name of a file: no `/`, no space, not `.` or `..`")]
    Name(String),
    #[error("`{0}` is missing")]
    Missing(String),
    #[error("apiVersion `{0}` is not {PROTOCOL_API}v1, v1beta1 or v1alpha1")]
    ProtocolVersion(String),
    #[error("defaultCacheDuration `{0}` is negative")]
    NegativeDuration(String),
    #[error("the pattern `{pattern}` is refused: {error}")]
    Pattern { pattern: String, error: PatternError },
    #[error(
        "tokenAttributes need the feature gate KubeletServiceAccountTokenForCredentialProviders, which is closed in {} unless it is set",
        Version::HAS_TOKENS
    )]
    TokensBehindGate,
    #[error("tokenAttributes need apiVersion {PROTOCOL_API}v1")]
    TokensVersion,
    #[error("cacheType `{0}` is neither ServiceAccount nor Token")]
    CacheType(String),
    #[error("requiredServiceAccountAnnotationKeys need requireServiceAccount: true")]
    AnnotationsWithoutAccount,
    #[error("the annotation `{0}` is named twice")]
    AnnotationTwice(String),
    #[error("the annotation `{0}` is both required and optional")]
    AnnotationInBoth(String),
    #[error("`{0}` is not the key of an annotation: {1}")]
    AnnotationKey(String, &'static str),

    #[error("the provider has no name, so there is no file to run")]
    NoName,
    #[error("`{0}` {1}")]
    Binary(PathBuf, Binary),

    #[error("{0}")]
    Trap(Trap),
    #[error("`{0}` is right for every path that begins so, `{0}-2` too")]
    OpenPath(String),
    #[error("of several documents the kubelet reads the first alone; another begins here")]
    SecondDocument,
    #[error("this program always says how long its password is kept, so `{0}` has no effect")]
    InertDuration(String),
    #[error("k3s and RKE2 take no folder here, and start without providers")]
    FolderForRancher,
    #[error("{cause}")]
    Untrusted { cause: String, remedy: String },
    #[error("{cause}")]
    Setting { cause: String, remedy: String },
}

pub(super) const CONFIG_API: &str = "kubelet.config.k8s.io/";
pub(super) const PROTOCOL_API: &str = "credentialprovider.kubelet.k8s.io/";

impl Fault {
    /// The step of the kubelet that fails of it.
    pub fn stage(&self) -> Stage {
        match self {
            Self::BinDirMissing => Stage::BinDir,
            Self::Unreadable(_) | Self::NotAFile | Self::EmptyFolder | Self::FolderTooEarly => Stage::Read,
            Self::Syntax(_)
            | Self::Type { .. }
            | Self::Kind(_)
            | Self::ConfigVersion(_)
            | Self::Duration { .. } => Stage::Decode,
            Self::UnknownField { .. } | Self::Repeated { .. } => Stage::Strict,
            Self::NameTwice(_) => Stage::Merge,
            Self::NoName | Self::Binary(..) => Stage::Binary,
            Self::Trap(_)
            | Self::OpenPath(_)
            | Self::SecondDocument
            | Self::InertDuration(_)
            | Self::FolderForRancher
            | Self::Untrusted { .. }
            | Self::Setting { .. } => Stage::Never,
            Self::VersionTooEarly(version) if version.starts_with(CONFIG_API) => Stage::Decode,
            Self::Missing(field) if !field.contains('.') && field != "providers" => Stage::Decode,
            _ => Stage::Rules,
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        let fixed = match self {
            Self::BinDirMissing => {
                "create it, with the plugin in it, or correct --image-credential-provider-bin-dir"
            }
            Self::Unreadable(_) => {
                "make it a file that root can read, or correct --image-credential-provider-config"
            }
            Self::NotAFile => "name a regular file",
            Self::EmptyFolder => "put the configuration into it, with one of these ends",
            Self::FolderTooEarly => "name one file in --image-credential-provider-config",
            Self::FolderForRancher => "make it one file, or name the folder by `kubelet-arg`",
            Self::Syntax(_) => "correct the text there, or just before",
            Self::Type { expected: TEXT, found: "a number" | "a truth value", .. } => "put it in quotes",
            Self::Type { expected: "a list", .. } => "begin each of its items with `- `",
            Self::Type { .. } => "correct the value",
            Self::Kind(_) => "write `kind: CredentialProviderConfig`",
            Self::ConfigVersion(_) => "write `apiVersion: kubelet.config.k8s.io/v1`",
            Self::VersionTooEarly(_) => "write v1beta1 in the place of v1",
            Self::Duration { .. } => "write it as Go does: `0s`, `10m`, `12h`",
            Self::UnknownField { remedy, .. }
            | Self::Untrusted { remedy, .. }
            | Self::Setting { remedy, .. } => {
                return remedy.clone();
            }
            Self::NameTwice(_) => {
                "put all patterns into one provider, or give the second another name by a link to the binary"
            }
            Self::NoProvider => "add one below `providers`, or remove the kubelet's two flags",
            Self::Name(_) | Self::NoName => "name the file of the plugin, without its folder",
            Self::Missing(field) => return missing_remedy(field),
            Self::ProtocolVersion(_) => "write `apiVersion: credentialprovider.kubelet.k8s.io/v1`",
            Self::NegativeDuration(_) => "write `0s` or more",
            Self::Pattern { .. } => "write HOST[:PORT][/PATH], with `*` within labels of the host alone",
            Self::TokensBehindGate => {
                "open the gate in the kubelet's configuration, or remove tokenAttributes"
            }
            Self::TokensVersion => "write v1 as the provider's apiVersion",
            Self::CacheType(_) => "write `cacheType: ServiceAccount`, or `Token`",
            Self::AnnotationsWithoutAccount => {
                "write `requireServiceAccount: true`, or move the keys to the optional ones"
            }
            Self::Repeated { .. } | Self::AnnotationTwice(_) | Self::AnnotationInBoth(_) => {
                "remove one of them"
            }
            Self::AnnotationKey(..) => "write [DOMAIN/]NAME",
            Self::Binary(_, Binary::Missing | Binary::NotAFile) => {
                "put the program there, or correct the provider's name or --image-credential-provider-bin-dir"
            }
            Self::Binary(path, Binary::NotExecutable) => return format!("chmod 0755 {}", path.display()),
            Self::Binary(_, Binary::OnNoexec) => "put it on a file system that is mounted without noexec",
            Self::Binary(..) => "name the program of this provider",
            Self::Trap(Trap::Scheme) => "leave out the scheme",
            Self::Trap(Trap::StarInPath(_)) => "leave out `*`: a path is right for all that begins with it",
            Self::Trap(Trap::TagInPath(_)) => "leave out the tag or digest",
            Self::Trap(Trap::Ignored(_)) => "leave it out; `*` is the one wildcard",
            Self::Trap(Trap::AddressWithoutPort) => "add the port",
            Self::OpenPath(_) => "end it with `/` if no other path is meant",
            Self::SecondDocument => "put all providers into the first, or write a file for each in a folder",
            Self::InertDuration(_) => "write `0s`, which is as good",
        };
        fixed.to_owned()
    }
}

pub(super) const TEXT: &str = "text";

fn missing_remedy(field: &str) -> String {
    let line = match field.rsplit('.').next().unwrap_or(field) {
        "kind" => "kind: CredentialProviderConfig",
        "apiVersion" if field == "apiVersion" => "apiVersion: kubelet.config.k8s.io/v1",
        "apiVersion" => "apiVersion: credentialprovider.kubelet.k8s.io/v1",
        "defaultCacheDuration" => "defaultCacheDuration: 0s",
        "matchImages" => "matchImages: [\"*.dkr.ecr.*.amazonaws.com\"]",
        "cacheType" => "cacheType: ServiceAccount",
        "requireServiceAccount" => "requireServiceAccount: true",
        other => return format!("add `{other}`"),
    };
    format!("add `{line}`")
}

/// One line, without the remedy.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, severity, fault } = self;
        match severity {
            Severity::Refused => write!(f, "the kubelet does not start: {fault} ({place})"),
            Severity::Failing | Severity::Warning => write!(f, "{fault} ({place})"),
        }
    }
}
