//! The [protocol] of credential helpers: texts on stdin and stdout, and three sentences that clients know.
//!
//! Byte for byte as the library does it that the helpers of docker are written with.
//!
//! [protocol]: https://github.com/docker/docker-credential-helpers#development

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Code, Error};
use crate::image::ImageReference;
use crate::protocol;
use crate::secret::Secret;

/// The largest input that is read, in bytes.
pub(crate) const LARGEST_INPUT: usize = 64 << 10;

/// By this sentence clients know that they may go on without a password.
const NOT_FOUND: &str = "credentials not found in native keychain";
const NO_SERVER_URL: &str = "no credentials server URL";
const NO_USERNAME: &str = "no credentials username";

/// What to tell a client on stdout.
pub(crate) fn words_for(error: &Error) -> String {
    match error.code() {
        Code::NoCredentials | Code::NotEcr => NOT_FOUND.to_owned(),
        Code::ServerUrlMissing => NO_SERVER_URL.to_owned(),
        Code::UsernameMissing => NO_USERNAME.to_owned(),
        _ => error.to_string(),
    }
}

/// The server that a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerUrl {
    /// As it was written. The answer repeats it; nothing else does, as there is no end to what may stand in a URL.
    pub(crate) text: String,
    /// Its host and port, and the path if that is one of an image.
    pub(crate) image: ImageReference,
}

impl ServerUrl {
    /// Reads what `get` and `erase` have on stdin: lines, which are one text. `https://` and what follows host
    /// and port may be there or not.
    pub(crate) fn from_input(input: &[u8]) -> Result<Self, Error> {
        refuse_kubelet(input)?;
        let text = String::from_utf8_lossy(input);
        Self::from_text(text.lines().collect::<String>().trim())
    }

    fn from_text(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::new(Code::ServerUrlMissing, "it is empty"));
        }
        let name = text.strip_prefix("https://").unwrap_or(text);
        let end = name.find(['/', '?', '#']).unwrap_or(name.len());
        let (server, path) = name.split_at(end);
        let refused = |reason: &dyn std::fmt::Display| Error::new(Code::NoCredentials, reason);
        if server.contains('@') {
            // Not quoted: there may be a password.
            return Err(refused(&"the server URL has a user in it"));
        }
        let only_host = ImageReference::of_registry(server).map_err(|reason| refused(&reason))?;
        let path = path.trim_end_matches('/');
        let image: Option<ImageReference> = match path {
            // No path, or that of the registry's API.
            "" | "/v1" | "/v2" => None,
            path => format!("{server}{path}").parse().ok(),
        };
        // A name without a dot is short for one on Docker Hub, as an image, but not as a server.
        let image = image.filter(|image| image.auth_key() == only_host.auth_key());
        Ok(Self { text: text.to_owned(), image: image.unwrap_or(only_host) })
    }
}

/// Reads what `store` has on stdin. The password is left alone.
pub(crate) fn decode_stored(input: &[u8]) -> Result<ServerUrl, Error> {
    refuse_kubelet(input)?;
    let malformed =
        |what: String| Error::new(Code::HelperCall, format!("stdin holds no credentials: {what}"));
    let json: Map<String, Value> =
        serde_json::from_slice(input).map_err(|error| malformed(protocol::describe(&error)))?;
    let text = |key: &str| match json.get(key) {
        None => Ok(""),
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(_) => Err(malformed(format!("`{key}` is not a text"))),
    };
    let (server_url, username) = (text("ServerURL")?, text("Username")?);
    if username.is_empty() && !server_url.is_empty() {
        return Err(Error::new(Code::UsernameMissing, "it is empty"));
    }
    ServerUrl::from_text(server_url)
}

/// Fails if the kubelet is at the other end.
pub(crate) fn refuse_kubelet(input: &[u8]) -> Result<(), Error> {
    if protocol::is_request(input) {
        return Err(Error::new(Code::HelperForKubelet, "there is a CredentialProviderRequest on stdin"));
    }
    Ok(())
}

/// Fails if a client of a credential helper is at the other end, where the kubelet should be.
pub(crate) fn refuse_client(input: &[u8]) -> Result<(), Error> {
    let text = String::from_utf8_lossy(input);
    let text = text.trim();
    let what = match serde_json::from_slice::<Value>(input) {
        Ok(json) if OF_CLIENTS.iter().any(|key| json.get(key).is_some()) => "JSON of docker",
        Err(_) if is_one_server(text) => "the name of a server",
        _ => return Ok(()),
    };
    Err(Error::new(Code::ProviderForDocker, format!("there is {what} on stdin")))
}

/// Keys of what clients write to a helper, and of their configuration.
const OF_CLIENTS: [&str; 4] = ["ServerURL", "auths", "credHelpers", "credsStore"];

fn is_one_server(text: &str) -> bool {
    let server = ServerUrl::from_text(text);
    server.is_ok_and(|server| server.image.host().contains('.') || server.image.port().is_some())
}

/// The answer to `get`.
pub(crate) fn encode_credentials(server_url: &str, username: &str, secret: &Secret) -> Result<String, Error> {
    encode(&WireCredentials { server_url, username, secret: secret.expose() })
}

/// One line of JSON, with the escapes that Go's encoder writes.
pub(crate) fn encode(value: &impl Serialize) -> Result<String, Error> {
    let json = serde_json::to_string(value).map_err(|error| Error::new(Code::Internal, error))?;
    Ok(json.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e") + "\n")
}

#[derive(Serialize)]
struct WireCredentials<'a> {
    #[serde(rename = "ServerURL")]
    server_url: &'a str,
    #[serde(rename = "Username")]
    username: &'a str,
    #[serde(rename = "Secret")]
    secret: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOST: &str = "571600876202.dkr.ecr.eu-central-1.amazonaws.com";

    #[test]
    fn a_server_url_has_host_port_and_sometimes_the_path_of_an_image() {
        let rows = [
            (HOST.to_owned(), HOST.to_owned()),
            (format!("https://{HOST}"), HOST.to_owned()),
            (format!("https://{HOST}/"), HOST.to_owned()),
            (format!(" https://{HOST}/v2/\n"), HOST.to_owned()),
            (format!("https://{HOST}:443/v1/"), format!("{HOST}:443")),
            (format!("{HOST}/team/app"), format!("{HOST}/team/app")),
            (format!("{HOST}/vendor/app"), format!("{HOST}/vendor/app")),
            (format!("{HOST}/Team"), HOST.to_owned()),
            ("registry/app".to_owned(), "registry".to_owned()),
            (format!("{HOST}?a=b"), HOST.to_owned()),
            (format!("https://\n{HOST}\n"), HOST.to_owned()),
            ("registry.corp:5000".to_owned(), "registry.corp:5000".to_owned()),
            ("localhost".to_owned(), "localhost".to_owned()),
        ];
        for (input, image) in rows {
            let server = ServerUrl::from_input(input.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(server.image.to_string(), image, "{input}");
            assert_eq!(server.text, input.replace('\n', "").trim(), "{input}");
        }
    }

    #[test]
    fn what_is_no_server_url_is_told_by_code() {
        let request = crate::protocol::ApiVersion::V1.as_str();
        let request =
            format!(r#" {{"apiVersion":"{request}","kind":"CredentialProviderRequest","image":"a"}}"#);
        let rows = [
            ("", Code::ServerUrlMissing),
            (" \n\n", Code::ServerUrlMissing),
            (request.as_str(), Code::HelperForKubelet),
            ("http://host", Code::NoCredentials),
            ("https://", Code::NoCredentials),
            ("AWS@host", Code::NoCredentials),
            ("a b", Code::NoCredentials),
        ];
        for (input, code) in rows {
            let error = ServerUrl::from_input(input.as_bytes()).expect_err("refused");
            assert_eq!(error.code(), code, "{input}");
        }
    }

    proptest! {
        #[test]
        fn any_input_is_a_server_or_an_error(input in prop::collection::vec(any::<u8>(), 0..80), text in "[a-z0-9.:/@?#\\[\\] -]{0,60}") {
            for input in [input.as_slice(), text.as_bytes()] {
                if let Ok(server) = ServerUrl::from_input(input) {
                    // Nothing of what stands before or after the host is taken for it.
                    let name = server.text.strip_prefix("https://").unwrap_or(&server.text);
                    prop_assert!(name.starts_with(&server.image.auth_key()), "{:?}", server);
                }
                let _ = refuse_client(input);
                let _ = decode_stored(input);
            }
        }

        #[test]
        fn the_answer_is_json_that_holds_what_went_in(url in "\\PC{0,40}", secret in "\\PC{0,40}") {
            let line = encode_credentials(&url, "AWS", &Secret::from(secret.clone())).expect("encodes");
            prop_assert!(!line.contains(['<', '>', '&']));
            let back: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            prop_assert_eq!(&back["ServerURL"], &serde_json::Value::from(url));
            prop_assert_eq!(&back["Secret"], &serde_json::Value::from(secret));
        }
    }
}
