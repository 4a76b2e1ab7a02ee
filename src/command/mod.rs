//! The command line, for people and scripts: what the arguments mean, and one module for each command.

mod cache;
mod docker;
mod doctor;
mod generate;
mod install;
mod latest_tag;
mod login;
mod migrate;
mod on_host;
mod prepull;
mod validate;

use std::ffi::OsString;

use clap::Parser;
use clap::error::ErrorKind;

use self::cache::CacheCommand;
use self::docker::DockerCommand;
use self::doctor::DoctorCommand;
use self::generate::GenerateCommand;
use self::install::{InstallCommand, UninstallCommand};
use self::latest_tag::LatestTagCommand;
use self::login::{CredentialsCommand, LoginPasswordCommand};
use self::migrate::MigrateCommand;
use self::on_host::OnHostCommand;
use self::prepull::PrepullCommand;
use self::validate::ValidateCommand;
use crate::error::{Code, Error};
use crate::host::{self, Host};
use crate::kubelet;
use crate::records::Record;

/// Kubelet image credential provider for Amazon ECR
///
/// The kubelet runs this program before it pulls an image whose name matches
/// `matchImages` of its CredentialProviderConfig: it writes a
/// CredentialProviderRequest to stdin and reads a CredentialProviderResponse,
/// with a registry password that lives under 12 hours, from stdout.
///
/// Exit status: 0 answered; 1 failed, with one line and a code on stderr and
/// nothing on stdout; 2 wrong arguments.
#[derive(Debug, Parser)]
#[command(name = "ecr-credential-provider", version, long_version = LONG_VERSION)]
#[command(disable_help_subcommand = true)]
#[command(verbatim_doc_comment, after_help = TRY_IT)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Answer one CredentialProviderRequest on stdin; the same as no argument at all
    GetCredentials,
    /// Show or remove the tokens that this node holds
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Walk the way of a pull on this node, and say where it ends
    Doctor(DoctorCommand),
    /// Check the configuration of the kubelet and of this program, and say all that is wrong
    Validate(ValidateCommand),
    /// Credential helper of docker, podman, buildah, skopeo, helm, crane, oras
    #[command(subcommand, verbatim_doc_comment)]
    Docker(DockerCommand),
    /// Print the password of a registry, as `aws ecr get-login-password` does
    LoginPassword(LoginPasswordCommand),
    /// Print the tag of the newest image or chart of a repository
    LatestTag(LatestTagCommand),
    /// Print passwords in the form that a program wants them in
    Credentials(CredentialsCommand),
    /// Print the files that make kubelets use this program, for every way of running nodes
    Generate(Box<GenerateCommand>),
    /// Run a command on the node from within a container, for the DaemonSet of `generate daemonset`
    #[command(hide = true)]
    OnHost(OnHostCommand),
    /// Find what is left of rotated pull secrets, and the order in which it goes
    Migrate(MigrateCommand),
    /// Make this program a provider of this node's kubelet
    Install(Box<InstallCommand>),
    /// Bring back what was there before `install`
    Uninstall(UninstallCommand),
    /// Have the container runtime of this node pull images, with passwords for ECR
    Prepull(PrepullCommand),
}

/// The version, and what the file was built from and with.
const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit ",
    env!("BUILD_COMMIT"),
    "\nbuilt for ",
    env!("BUILD_TARGET"),
    " by rustc ",
    env!("BUILD_RUSTC"),
);

const TRY_IT: &str = "\
To see what the kubelet would get:
  echo '{\"kind\": \"CredentialProviderRequest\",
         \"apiVersion\": \"credentialprovider.kubelet.k8s.io/v1\",
         \"image\": \"571600876202.dkr.ecr.eu-central-1.amazonaws.com/team/app\"}' |
    AWS_SHARED_CREDENTIALS_FILE=/etc/ecr-credential-provider/credentials ecr-credential-provider";

/// Runs what the arguments ask for.
pub(crate) fn run(host: &Host, record: &Record) -> Result<(), Error> {
    run_command_line(host, record, host.arguments().iter().cloned())
}

fn run_command_line(
    host: &Host,
    record: &Record,
    arguments: impl Iterator<Item = OsString>,
) -> Result<(), Error> {
    let arguments: Vec<_> = arguments.collect();
    let done = match CommandLine::try_parse_from(&arguments) {
        Ok(CommandLine { command }) => command.unwrap_or(Command::GetCredentials).run(host, record),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            host::write_stdout(error.render().to_string().as_bytes())
        }
        Err(error) => Err(usage(&error)),
    };
    done.map_err(|error| match help_of(&arguments) {
        Some(help) if error.code() == Code::Usage && error.special_remedy().is_none() => {
            error.with_remedy(format!("see `{help}`"))
        }
        _ => error,
    })
}

/// What explains the command that was meant. None for the plugin, which the kubelet calls.
fn help_of(arguments: &[OsString]) -> Option<String> {
    let mut command = &definition();
    let mut names = vec![command.get_name()];
    for argument in arguments.iter().skip(1) {
        let Some(next) = argument.to_str().and_then(|name| command.find_subcommand(name)) else { break };
        names.push(next.get_name());
        command = next;
    }
    (names.len() > 1 && names != [names[0], "get-credentials"]).then(|| format!("{} --help", names.join(" ")))
}

impl Command {
    fn run(&self, host: &Host, record: &Record) -> Result<(), Error> {
        match self {
            Self::GetCredentials => kubelet::answer_request(host, record),
            Self::Cache(command) => cache::run(host, record, command),
            Self::Doctor(command) => doctor::run(host, record, command),
            Self::Validate(command) => validate::run(command),
            Self::Docker(command) => docker::run(host, record, command),
            Self::LoginPassword(command) => login::password(host, record, command),
            Self::LatestTag(command) => latest_tag::run(host, record, command),
            Self::Credentials(command) => login::credentials(host, record, command),
            Self::Generate(command) => generate::run(command),
            Self::OnHost(command) => on_host::run(host, record, command),
            Self::Migrate(command) => migrate::run(command),
            Self::Install(command) => install::install(host, command),
            Self::Uninstall(command) => install::uninstall(host, command),
            Self::Prepull(command) => prepull::run(host, record, command),
        }
    }
}

/// The definition of the command line, from which the manual pages and the completions are made.
pub fn definition() -> clap::Command {
    <CommandLine as clap::CommandFactory>::command()
}

/// Someone started the program at a terminal, without arguments, and would wait for ever.
pub(crate) fn explain() -> Result<(), Error> {
    let help = definition().render_long_help();
    host::write_stderr(&format!(
        "This is a plugin of the kubelet and expects a request on stdin, but stdin is a terminal.\n\n{help}"
    ));
    Err(Error::new(Code::RequestUnreadable, "stdin is a terminal"))
}

/// The first paragraph of clap's message; the rest repeats the usage, and the kubelet logs one line.
fn usage(error: &clap::Error) -> Error {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Error::new(Code::Usage, "this command is one of several, and none is named");
    }
    let message = error.render().to_string();
    let first = message.split("\n\n").next().unwrap_or_default();
    Error::new(Code::Usage, first.trim_start_matches("error: "))
}
