//! A password for a registry in the forms that programs take it in, which do not ask a helper themselves.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::json;

use crate::duration::GoDuration;
use crate::error::{Code, Error};
use crate::protocol::{self, ApiVersion, Auth, CacheKeyType, Response};
use crate::secret::Secret;

/// A password, for whom, and for how long.
#[derive(Debug)]
pub(crate) struct Login {
    /// `host[:port]`.
    pub(crate) server: String,
    pub(crate) username: String,
    pub(crate) password: Secret,
    pub(crate) expires_at: Timestamp,
    /// For how long the kubelet may keep it.
    pub(crate) keep: GoDuration,
}

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Docker's `config.json`, which is also what a Secret of type kubernetes.io/dockerconfigjson holds
    DockerConfig,
    /// The auth.json of podman, buildah, skopeo and CRI-O, for `--authfile`
    AuthJson,
    /// `USER:PASSWORD`, for `crictl pull --creds`, `ctr images pull --user`, `skopeo copy --src-creds`
    Crictl,
    /// Assignments for a shell: ECR_REGISTRY, ECR_USERNAME, ECR_PASSWORD, ECR_EXPIRES_AT
    Env,
    /// The CredentialProviderResponse that the kubelet would get
    Kubelet,
}

impl Format {
    /// Whether it has a place for one registry only.
    pub(crate) fn is_for_one(self) -> bool {
        matches!(self, Self::Crictl | Self::Env | Self::Kubelet)
    }
}

/// The password alone, on a line of its own.
pub(crate) fn password_line(login: &Login) -> String {
    format!("{}\n", login.password.expose())
}

/// Writes them in a format; one that is for one registry has all of them, one after the other.
pub(crate) fn render(format: Format, logins: &[Login]) -> Result<String, Error> {
    match format {
        Format::DockerConfig | Format::AuthJson => auths(logins),
        Format::Crictl => Ok(logins.iter().fold(String::new(), |text, Login { username, password, .. }| {
            format!(
                "{text}{username}:{}
",
                password.expose()
            )
        })),
        Format::Env => Ok(logins.iter().map(assignments).collect()),
        Format::Kubelet => logins.iter().map(response).collect(),
    }
}

fn auths(logins: &[Login]) -> Result<String, Error> {
    let auths = logins.iter().map(|Login { server, username, password, .. }| {
        let auth = STANDARD.encode(format!("{username}:{}", password.expose()));
        (server.clone(), json!({ "auth": auth }))
    });
    let file = json!({ "auths": auths.collect::<serde_json::Map<_, _>>() });
    let text = serde_json::to_string_pretty(&file).map_err(|error| Error::new(Code::Internal, error))?;
    Ok(text + "\n")
}

fn assignments(login: &Login) -> String {
    let expires_at = format!("{:.0}", login.expires_at);
    let values = [
        ("REGISTRY", login.server.as_str()),
        ("USERNAME", &login.username),
        ("PASSWORD", login.password.expose()),
        ("EXPIRES_AT", &expires_at),
    ];
    values.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "ECR_{name}='{}'", value.replace('\'', r"'\''"));
        text
    })
}

fn response(login: &Login) -> Result<String, Error> {
    let auth = Auth {
        key: login.server.clone(),
        username: login.username.clone(),
        password: login.password.clone(),
    };
    let response =
        Response { cache_key_type: CacheKeyType::Registry, cache_duration: login.keep, auth: Some(auth) };
    let line = protocol::encode_response(&response, ApiVersion::V1)?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No password of ECR has such characters, but a shell must not run one that does.
    #[test]
    fn a_shell_takes_the_assignments_as_they_are_meant() {
        let login = Login {
            server: "h:1".into(),
            username: "AWS".into(),
            password: Secret::from("a'b$(c)\\ \"d`e".to_owned()),
            expires_at: Timestamp::UNIX_EPOCH,
            keep: GoDuration::ZERO,
        };
        let text = render(Format::Env, &[login]).expect("text");
        let script =
            format!("{text}printf '%s|%s|%s' \"$ECR_REGISTRY\" \"$ECR_PASSWORD\" \"$ECR_EXPIRES_AT\"");
        let output = std::process::Command::new("sh").args(["-c", &script]).output().expect("a shell");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said, "h:1|a'b$(c)\\ \"d`e|1970-01-01T00:00:00Z");
    }
}
