//! The role in which the kubelet runs us: one request on stdin, one response on stdout.

use crate::context::{Context, within_deadline};
use crate::docker;
use crate::error::{Code, Error};
use crate::host::{self, Host};
use crate::image::ImageReference;
use crate::protocol::{self, Auth, CacheKeyType, LARGEST_REQUEST, Response, ServiceAccount};
use crate::provider::{self, Answer, Target};
use crate::records::{Outcome, Record};
use crate::settings::Configuration;

/// Answers one request. On failure nothing has been written to stdout.
pub(crate) fn answer_request(host: &Host, record: &Record) -> Result<(), Error> {
    record.note(|draft| draft.is_wanted = true);
    within_deadline(host, record, |configuration, context| {
        let line = decide(configuration, context)?;
        context.watchdog.enter("writing the response to stdout");
        host::write_stdout(&line)
    })
}

/// From stdin to the bytes of the response.
fn decide(configuration: &Configuration, context: &Context<'_>) -> Result<Vec<u8>, Error> {
    context.watchdog.enter("waiting for the caller to write the request to stdin and close it");
    let input =
        host::read_stdin(LARGEST_REQUEST).map_err(|error| Error::new(Code::RequestUnreadable, error))?;
    if input.len() > LARGEST_REQUEST {
        return Err(Error::new(Code::RequestTooLarge, format!("more than {LARGEST_REQUEST} bytes")));
    }
    if input.is_empty() {
        return Err(Error::new(Code::RequestUnreadable, "stdin is empty"));
    }
    docker::protocol::refuse_client(&input)?;
    let request = protocol::decode_request(&input)?;
    let image: ImageReference =
        request.image.parse().map_err(|error| Error::new(Code::ImageMalformed, error))?;
    context.log.debug(|| format!("asked for `{image}` as {}", request.api_version.as_str()));
    let response = response_for(&image, request.service_account.as_ref(), configuration, context)?;
    protocol::encode_response(&response, request.api_version)
}

fn response_for(
    image: &ImageReference,
    account: Option<&ServiceAccount>,
    configuration: &Configuration,
    context: &Context<'_>,
) -> Result<Response, Error> {
    let choice = configuration.for_image(image);
    let cache_key_type = if choice.path_matters { CacheKeyType::Image } else { CacheKeyType::Registry };
    let Target { host, registry, settings } = provider::look_up(image, choice, configuration, context);
    let context = context.with(settings)?;
    let record = context.record.clone();
    let answer = match registry {
        Ok(registry) => provider::answer(&registry, &context.for_pod(account)?)?,
        Err(reason) => Answer::not_ecr(&host, &reason),
    };
    let key = image.auth_key();
    Ok(match answer {
        Answer::Password { username, password, cache_duration } => {
            Response { cache_key_type, cache_duration, auth: Some(Auth { key, username, password }) }
        }
        Answer::Nothing { because, cache_duration } => {
            host::write_last_words(&because.to_string());
            record.note(|draft| (draft.outcome, draft.error) = (Outcome::Empty, Some(because)));
            Response { cache_key_type, cache_duration, auth: None }
        }
    })
}
