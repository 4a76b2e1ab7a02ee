//! `docker`: the credential helper by its verbs, and what sets it up.

use crate::context::within_deadline;
use crate::docker;
use crate::docker::configure::{Wish, configure};
use crate::error::Error;
use crate::host::{self, Host};
use crate::records::Record;
use crate::role::{Call, Verb};

/// What to do for docker and its kin.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = PROTOCOL)]
pub(crate) enum DockerCommand {
    #[command(flatten)]
    Verb(Verb),
    /// Make this the helper of registries, in the configuration of docker or podman
    #[command(after_help = CONFIGURE_EXAMPLES)]
    Configure(Wish),
}

const PROTOCOL: &str = "\
Clients call a program by the name of `docker-credential-ecr-login`. So make a
link of that name to this program in a directory of PATH:
  ln -s /usr/libexec/ecr-credential-provider/ecr-credential-provider /usr/local/bin/docker-credential-ecr-login
To see what a client would get:
  echo 571600876202.dkr.ecr.eu-central-1.amazonaws.com | docker-credential-ecr-login get";

const CONFIGURE_EXAMPLES: &str = "\
Only `credHelpers` is changed; everything else in the file stays as it is written.
  ecr-credential-provider docker configure 571600876202.dkr.ecr.eu-central-1.amazonaws.com public.ecr.aws
  ecr-credential-provider docker configure --client podman 571600876202.dkr.ecr.eu-central-1.amazonaws.com
  ecr-credential-provider docker configure --undo";

/// Runs a command.
pub(crate) fn run(host: &Host, record: &Record, command: &DockerCommand) -> Result<(), Error> {
    match command {
        DockerCommand::Verb(verb) => docker::answer(host, record, &Call::Verb(*verb)),
        DockerCommand::Configure(wish) => within_deadline(host, record, |configuration, context| {
            let report = configure(wish, configuration, context)?;
            for note in &report.notes {
                host::write_stderr(&format!("note: {note}"));
            }
            host::write_stdout(format!("{}\n", report.done.join("\n")).as_bytes())
        }),
    }
}
