//! `docker`: the credential helper by its verbs, and what sets it up.

use crate::docker;
use crate::error::Error;
use crate::host::Host;
use crate::records::Record;
use crate::role::{Call, Verb};

/// What to do for docker and its kin.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = PROTOCOL)]
pub(crate) enum DockerCommand {
    #[command(flatten)]
    Verb(Verb),
}

const PROTOCOL: &str = "\
Clients call a program by the name of `docker-credential-ecr-login`. So make a
link of that name to this program in a directory of PATH:
  ln -s /usr/libexec/ecr-credential-provider/ecr-credential-provider /usr/local/bin/docker-credential-ecr-login
To see what a client would get:
  echo 571600876202.dkr.ecr.eu-central-1.amazonaws.com | docker-credential-ecr-login get";

/// Runs a command.
pub(crate) fn run(host: &Host, record: &Record, command: &DockerCommand) -> Result<(), Error> {
    match command {
        DockerCommand::Verb(verb) => docker::answer(host, record, &Call::Verb(*verb)),
    }
}
