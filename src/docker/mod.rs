//! The credential helper of docker and its kin: podman, buildah, skopeo, helm, crane, oras, nerdctl.
//!
//! They call `docker-credential-ecr-login get` with a server on stdin, and take the password from stdout. It is the
//! kubelet's role with another protocol: the same settings, identities, cache and errors.
//!
//! | module | owns |
//! |---|---|
//! | `protocol` | what stands on stdin and stdout |
//! | `configure` | which client is told to call us, and what else its user should know |
//! | `configuration` | the text of a client's configuration |
//! | `file` | writing it |

mod configuration;
pub(crate) mod configure;
mod file;
pub(crate) mod protocol;

use std::collections::BTreeMap;

use self::protocol::{LARGEST_INPUT, ServerUrl};
use crate::cache;
use crate::context::{Context, within_deadline};
use crate::error::{Code, Error};
use crate::freshness::Stage;
use crate::host::{self, Host};
use crate::provider::{self, Answer, Target};
use crate::records::{Outcome, Record, last};
use crate::registry::NotEcr;
use crate::role::{Call, Verb};
use crate::settings::Configuration;

const USAGE: &str = "Usage: docker-credential-ecr-login <store|get|erase|list|version>\n";
const VERSION: &str =
    concat!("docker-credential-ecr-login (ecr-credential-provider) ", env!("CARGO_PKG_VERSION"), "\n");

/// Does what a client wants. On failure nothing has been written to stdout.
pub(crate) fn answer(host: &Host, record: &Record, call: &Call) -> Result<(), Error> {
    match call {
        Call::Verb(Verb::Get) => write_answer(host, record, get),
        Call::Verb(Verb::Store) => write_answer(host, record, store),
        Call::Verb(Verb::Erase) => write_answer(host, record, erase),
        Call::Verb(Verb::List) => write_answer(host, record, |_, context| list(context)),
        Call::Verb(Verb::Version) => host::write_stdout(VERSION.as_bytes()),
        Call::Help => host::write_stdout(USAGE.as_bytes()),
        Call::Nothing => {
            if !host::stdin_is_terminal() {
                within_deadline(host, record, |_, context| protocol::refuse_kubelet(&read_input(context)?))?;
            }
            Err(Error::new(Code::HelperCall, "there is no verb"))
        }
        Call::Unknown(words) => Err(Error::new(Code::HelperCall, format!("`{words}` is not a verb"))),
        Call::Misnamed(_) => {
            Err(Error::new(Code::ProviderForDocker, "there is a verb of credential helpers in the arguments"))
        }
    }
}

fn write_answer(
    host: &Host,
    record: &Record,
    answer: impl FnOnce(&Configuration, &Context<'_>) -> Result<String, Error>,
) -> Result<(), Error> {
    within_deadline(host, record, |configuration, context| {
        let text = answer(configuration, context)?;
        context.watchdog.enter("writing the answer to stdout");
        host::write_stdout(text.as_bytes())
    })
}

fn read_input(context: &Context<'_>) -> Result<Vec<u8>, Error> {
    context.watchdog.enter("waiting for the client to write to stdin and close it");
    let input =
        host::read_stdin(LARGEST_INPUT).map_err(|error| Error::new(Code::RequestUnreadable, error))?;
    if input.len() > LARGEST_INPUT {
        return Err(Error::new(
            Code::HelperCall,
            format!("there are more than {LARGEST_INPUT} bytes on stdin"),
        ));
    }
    Ok(input)
}

fn get(configuration: &Configuration, context: &Context<'_>) -> Result<String, Error> {
    context.record.note(|draft| draft.is_wanted = true);
    find(configuration, context).inspect_err(|error| {
        if matches!(error.code(), Code::NoCredentials | Code::NotEcr) {
            let reason = Some(error.clone());
            context.record.note(|draft| (draft.outcome, draft.error) = (Outcome::Empty, reason));
        }
    })
}

fn find(configuration: &Configuration, context: &Context<'_>) -> Result<String, Error> {
    let server = ServerUrl::from_input(&read_input(context)?)?;
    context.log.debug(|| format!("asked for `{}`", server.image));
    let Target { registry, settings, .. } = target(&server, configuration, context);
    // Only now: the files of an identity are no concern of those who ask for another server.
    let registry = registry.map_err(|reason| not_ecr(&server, &reason))?;
    let context = &context.with(settings)?;
    match provider::answer(&registry, context)? {
        Answer::Password { username, password, .. } => {
            // `list` shows what has a result of its own, not what shares the password of another.
            if last::of(&registry, context).is_none() {
                context.record.note(|draft| draft.is_old_news = false);
            }
            protocol::encode_credentials(&server.text, &username, &password)
        }
        Answer::Nothing { because, .. } => {
            let cause = format!(
                "`{}`: {} {}: {}",
                server.image,
                because.code(),
                because.code().title(),
                because.cause()
            );
            let remedy = "nothing to do: ECR Public is pulled from without a password, at a lower rate";
            Err(Error::new(Code::NoCredentials, cause).with_remedy(remedy))
        }
    }
}

/// `docker login` calls it with the password that it was given. ECR's own are temporary, and come by `get`.
fn store(configuration: &Configuration, context: &Context<'_>) -> Result<String, Error> {
    let server = protocol::decode_stored(&read_input(context)?)?;
    match target(&server, configuration, context).registry {
        Ok(_) => {
            context.log.debug(|| format!("nothing is kept of the credentials for `{}`", server.image));
            Ok(String::new())
        }
        Err(reason) => Err(Error::new(Code::NotStored, format!("`{}`: {reason}", server.image))),
    }
}

/// `docker logout` calls it.
fn erase(configuration: &Configuration, context: &Context<'_>) -> Result<String, Error> {
    let server = ServerUrl::from_input(&read_input(context)?)?;
    match target(&server, configuration, context).registry {
        Ok(_) => Ok(String::new()),
        Err(reason) => Err(not_ecr(&server, &reason)),
    }
}

fn target(server: &ServerUrl, configuration: &Configuration, context: &Context<'_>) -> Target {
    let choice = configuration.for_server(&server.image);
    provider::look_up(&server.image, choice, configuration, context)
}

/// A name that has nothing of ECR is another's business; in one that almost has it, there is a mistake.
fn not_ecr(server: &ServerUrl, reason: &NotEcr) -> Error {
    let code = if *reason == NotEcr::Form { Code::NoCredentials } else { Code::NotEcr };
    Error::new(code, format!("`{}`: {reason}", server.image)).with_remedy(Code::NoCredentials.remedy())
}

/// The registries that have a password here.
fn list(context: &Context<'_>) -> Result<String, Error> {
    let now = host::moment();
    let entries = cache::place(context).map(|path| cache::list(&path)).transpose();
    let entries = entries.unwrap_or_else(|error| {
        context.log.debug(|| format!("going on without the cache: {error}"));
        None
    });
    let alive: Vec<_> =
        entries.unwrap_or_default().into_iter().filter(|entry| entry.stage(&now) != Stage::Expired).collect();
    let mut servers = BTreeMap::new();
    for registry in last::registries(context) {
        if let Some(entry) = alive.iter().find(|entry| entry.registries == registry.all_accounts()) {
            servers.insert(format!("https://{registry}"), entry.token.username.clone());
        }
    }
    protocol::encode(&servers)
}
