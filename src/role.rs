//! Which role the arguments ask for.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::voice::Voice;

/// What the names of the helpers of docker and its kin start with. They call nothing else by such a name.
const HELPER: &str = "docker-credential-";
/// What the kubelet passes, if anything: the configurations for the Go provider carry it.
const GET_CREDENTIALS: &str = "get-credentials";

/// What the program is used as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// The kubelet's credential provider.
    Kubelet,
    /// The credential helper of docker and its kin.
    Docker(Call),
    /// A person or a script at the command line.
    Human,
}

/// What a client wants of the credential helper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// One of the things that it can do.
    Verb(Verb),
    /// To be told what these are.
    Help,
    /// Nothing. The kubelet calls like this, if someone has given it the helper.
    Nothing,
    /// Something else.
    Unknown(String),
    /// A verb, of a program that goes by the provider's name.
    Misnamed(Verb),
}

/// The actions of the credential helper protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Subcommand)]
pub enum Verb {
    /// Answer the server URL on stdin with user and password, as JSON
    Get,
    /// Take the credentials on stdin, and keep nothing: ECR's own are temporary
    Store,
    /// Take the server URL on stdin, and do nothing: there is nothing to erase
    Erase,
    /// Show the registries for which this node holds a password; asks nobody
    List,
    /// Show name and version
    Version,
}

impl Role {
    /// Decides by the arguments, of which the first is the program's name.
    pub fn of(arguments: &[OsString]) -> Self {
        let (program, arguments) = match arguments {
            [program, arguments @ ..] => (program.as_os_str(), arguments),
            [] => (OsStr::new(""), [].as_slice()),
        };
        let name = Path::new(program).file_name().unwrap_or_default();
        if name.to_string_lossy().starts_with(HELPER) {
            return Self::Docker(Call::of(arguments));
        }
        match arguments {
            [] => Self::Kubelet,
            [only] if only == GET_CREDENTIALS => Self::Kubelet,
            [only] => Verb::of(only).map_or(Self::Human, |verb| Self::Docker(Call::Misnamed(verb))),
            [docker, only] if docker == "docker" => {
                Verb::of(only).map_or(Self::Human, |verb| Self::Docker(Call::Verb(verb)))
            }
            _ => Self::Human,
        }
    }

    /// How to say what goes wrong.
    pub(crate) fn voice(&self) -> Voice {
        match self {
            Self::Docker(_) => Voice::Docker,
            Self::Kubelet | Self::Human => Voice::Plain,
        }
    }
}

impl Call {
    fn of(arguments: &[OsString]) -> Self {
        let unknown = || Self::Unknown(arguments.join(OsStr::new(" ")).to_string_lossy().into_owned());
        match arguments {
            [] => Self::Nothing,
            [only] => match only.to_str() {
                Some(GET_CREDENTIALS) => Self::Nothing,
                Some("--help" | "-h") => Self::Help,
                Some("--version" | "-v") => Self::Verb(Verb::Version),
                _ => Verb::of(only).map_or_else(unknown, Self::Verb),
            },
            _ => unknown(),
        }
    }
}

impl Verb {
    fn of(word: &OsStr) -> Option<Self> {
        match word.to_str()? {
            "get" => Some(Self::Get),
            "store" => Some(Self::Store),
            "erase" => Some(Self::Erase),
            "list" => Some(Self::List),
            "version" => Some(Self::Version),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_and_the_arguments_decide() {
        let docker = |verb| Role::Docker(Call::Verb(verb));
        let rows: &[(&[&str], Role)] = &[
            (&[], Role::Kubelet),
            (&["/usr/libexec/ecr-credential-provider"], Role::Kubelet),
            (&["ecr-credential-provider", "get-credentials"], Role::Kubelet),
            // A node image may have any name for it.
            (&["/opt/ecr", "get-credentials"], Role::Kubelet),
            (&["ecr-credential-provider", "doctor", "a/b"], Role::Human),
            (&["ecr-credential-provider", "--help"], Role::Human),
            (&["ecr-credential-provider", "docker"], Role::Human),
            (&["ecr-credential-provider", "docker", "configure"], Role::Human),
            (&["ecr-credential-provider", "docker", "get", "more"], Role::Human),
            (&["ecr-credential-provider", "docker", "get"], docker(Verb::Get)),
            (&["ecr-credential-provider", "get"], Role::Docker(Call::Misnamed(Verb::Get))),
            (&["/usr/bin/docker-credential-ecr-login", "get"], docker(Verb::Get)),
            (&["docker-credential-ecr-login", "store"], docker(Verb::Store)),
            (&["docker-credential-ecr-login", "erase"], docker(Verb::Erase)),
            (&["docker-credential-ecr-login", "list"], docker(Verb::List)),
            (&["docker-credential-ecr-login", "version"], docker(Verb::Version)),
            (&["docker-credential-ecr-login", "-v"], docker(Verb::Version)),
            (&["docker-credential-ecr-login", "-h"], Role::Docker(Call::Help)),
            (&["docker-credential-ecr-login"], Role::Docker(Call::Nothing)),
            (&["docker-credential-ecr-login", "get-credentials"], Role::Docker(Call::Nothing)),
            (&["docker-credential-ecr-login", "GET"], Role::Docker(Call::Unknown("GET".into()))),
            (&["docker-credential-ecr-login", "get", "x"], Role::Docker(Call::Unknown("get x".into()))),
            (&["docker-credential-vendor", "get"], docker(Verb::Get)),
        ];
        for (arguments, role) in rows {
            let all: Vec<_> = arguments.iter().map(OsString::from).collect();
            assert_eq!(Role::of(&all), *role, "{arguments:?}");
        }
    }
}
