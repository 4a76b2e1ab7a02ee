//! `docker configure`: makes this program the credential helper of registries, and undoes that.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::configuration::{self, Refusal};
use super::file;
use super::protocol::ServerUrl;
use crate::context::Context;
use crate::error::{Code, Error};
use crate::host::{self, Host};
use crate::registry::Registry;
use crate::settings::Configuration;

const PROGRAM: &str = "docker-credential-ecr-login";

/// Whose configuration to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Client {
    /// Docker's, which helm, crane, oras and nerdctl read too, and podman, buildah and skopeo after their own
    Docker,
    /// The auth.json of podman, buildah and skopeo
    Podman,
}

/// What to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Wish {
    /// Whose configuration to change
    #[arg(long, value_enum, default_value_t = Client::Docker)]
    pub(crate) client: Client,
    /// Its directory or file, if it is not the usual one: for docker DOCKER_CONFIG or
    /// ~/.docker, for podman REGISTRY_AUTH_FILE or ~/.config/containers/auth.json
    #[arg(long, value_name = "DIR", verbatim_doc_comment)]
    pub(crate) config: Option<PathBuf>,
    /// Take the helper away again; without REGISTRY, for all registries that have it
    #[arg(long)]
    pub(crate) undo: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Host names of registries; without any, those of the settings file
    pub(crate) registry: Vec<String>,
}

/// What was done, or would be, in lines for people, and what they should know.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) done: Vec<String>,
    pub(crate) notes: Vec<String>,
}

/// Does it.
pub(crate) fn configure(
    wish: &Wish,
    configuration: &Configuration,
    context: &Context<'_>,
) -> Result<Report, Error> {
    let path = path_of(wish, context.host)?;
    context.watchdog.enter(format!("changing `{}`", path.display()));
    let before = read(&path)?;
    let mut report = Report { done: Vec::new(), notes: Vec::new() };
    let servers = match (wish.registry.as_slice(), wish.undo) {
        ([], true) => configuration::servers(&before).map_err(|refusal| refused(&path, None, &refusal))?,
        ([], false) => of_settings(configuration, &mut report.notes)?,
        (named, _) => named.iter().map(|name| server(name, configuration)).collect::<Result<_, _>>()?,
    };
    let mut text = before.clone();
    for server in &servers {
        let change = if wish.undo { configuration::without_helper } else { configuration::with_helper };
        let changed = change(&text, server).map_err(|refusal| refused(&path, Some(server), &refusal))?;
        report.done.push(words(wish, server, changed != text, &path));
        text = changed;
    }
    if !wish.dry_run && text != before {
        write(&path, &text, wish.undo)?;
    }
    if wish.undo && servers.is_empty() {
        report.done.push(format!("no registry has the helper in {}", path.display()));
    }
    if !wish.undo {
        report.notes.extend(notes_on_logins(&path, &text, &servers, context.host));
        report.notes.extend(note_on_program(context.host));
    }
    Ok(report)
}

fn words(wish: &Wish, server: &str, is_change: bool, path: &Path) -> String {
    let would = if wish.dry_run { "would be " } else { "" };
    let path = path.display();
    match (wish.undo, is_change) {
        (false, true) => format!("{server}: {would}added to {path}"),
        (false, false) => format!("{server}: is in {path} already"),
        (true, true) => format!("{server}: {would}removed from {path}"),
        (true, false) => format!("{server}: does not have the helper in {path}"),
    }
}

fn path_of(wish: &Wish, host: &Host) -> Result<PathBuf, Error> {
    let name = match wish.client {
        Client::Docker => "config.json",
        Client::Podman => "auth.json",
    };
    if let Some(path) = &wish.config {
        let is_file = path.extension().is_some_and(|extension| extension == "json");
        return Ok(if is_file { path.clone() } else { path.join(name) });
    }
    let variable = |name: &str| host.variable(name).map(PathBuf::from);
    let found = match wish.client {
        Client::Docker => variable("DOCKER_CONFIG")
            .or_else(|| Some(variable("HOME")?.join(".docker")))
            .map(|directory| directory.join(name)),
        Client::Podman => {
            variable("REGISTRY_AUTH_FILE").or_else(|| Some(config_home(host)?.join("containers").join(name)))
        }
    };
    found.ok_or_else(|| {
        Error::new(Code::ClientConfig, "there is no HOME, so no usual place")
            .with_remedy("name it by `--config`")
    })
}

fn config_home(host: &Host) -> Option<PathBuf> {
    let variable = |name: &str| host.variable(name).map(PathBuf::from);
    variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")))
}

fn read(path: &Path) -> Result<String, Error> {
    match host::read_file(path) {
        Ok(bytes) => String::from_utf8(bytes)
            .map_err(|_| Error::new(Code::ClientConfig, format!("`{}` is not UTF-8 text", path.display()))),
        Err(error) if error.is_not_found() => Ok(String::new()),
        Err(error) => Err(Error::new(Code::ClientConfig, error)),
    }
}

/// A file in which there is nothing is as good as none.
fn write(path: &Path, text: &str, undo: bool) -> Result<(), Error> {
    let written =
        if undo && configuration::is_empty(text) { file::remove(path) } else { file::replace(path, text) };
    written.map_err(|error| {
        Error::new(Code::ClientConfigUnwritten, format!("cannot write `{}`: {error}", path.display()))
    })
}

fn refused(path: &Path, server: Option<&str>, refusal: &Refusal) -> Error {
    let place = server.map_or_else(String::new, |server| format!("{server} in "));
    let cause = format!("{place}`{}`: {refusal}", path.display());
    match refusal {
        Refusal::Malformed(_) => Error::new(Code::ClientConfig, cause),
        Refusal::OtherHelper(_) => Error::new(Code::OtherHelper, cause),
    }
}

/// A registry as clients look for it: `host[:port]`. It must be one for which there is a password.
fn server(name: &str, configuration: &Configuration) -> Result<String, Error> {
    let ServerUrl { image, .. } = ServerUrl::from_input(name.as_bytes())?;
    let host = configuration.for_server(&image).registry.unwrap_or_else(|| image.host().to_owned());
    match Registry::from_host_in(&host, &configuration.partitions()) {
        Ok(_) => Ok(image.auth_key()),
        Err(reason) => {
            Err(Error::new(Code::NotEcr, format!("`{host}`: {reason}"))
                .with_remedy(Code::NoCredentials.remedy()))
        }
    }
}

/// The names of the rules, as far as clients can look for them: whole names.
fn of_settings(configuration: &Configuration, notes: &mut Vec<String>) -> Result<Vec<String>, Error> {
    let mut servers = Vec::new();
    for name in configuration.servers() {
        if name.contains('*') {
            notes.push(format!("`{name}` of the settings file is a pattern, and clients want whole names: name the registries"));
        } else if let Ok(server) = server(&name, configuration)
            && !servers.contains(&server)
        {
            servers.push(server);
        }
    }
    if servers.is_empty() {
        return Err(Error::new(
            Code::NothingToConfigure,
            "none is named, and the settings file has no rule with a whole host name",
        ));
    }
    Ok(servers)
}

/// Logins that clients would use in the place of the helper, or that have no use any more.
fn notes_on_logins(path: &Path, text: &str, servers: &[String], host: &Host) -> Vec<String> {
    let mut notes = Vec::new();
    for server in servers {
        if configuration::has_login(text, server) {
            notes.push(format!(
                "{} still has the password of a login to {server}, which is not used any more: `docker logout {server}` \
                 or `podman logout {server}` removes it",
                path.display()
            ));
        }
        for (other, clients, command) in files_before(host) {
            let has_login =
                other != path && read(&other).is_ok_and(|text| configuration::has_login(&text, server));
            if has_login {
                notes.push(format!(
                    "{} has a login to {server}, which comes before the helper for {clients}, until it ends: `{command} {server}` \
                     removes it",
                    other.display()
                ));
            }
        }
    }
    notes
}

/// Where clients look first: the file, the clients, and how a login is removed from it.
fn files_before(host: &Host) -> Vec<(PathBuf, &'static str, &'static str)> {
    let variable = |name: &str| host.variable(name).map(PathBuf::from);
    let podman = ("podman, buildah and skopeo", "podman logout");
    let runtime = variable("XDG_RUNTIME_DIR").map(|directory| directory.join("containers/auth.json"));
    let runtime =
        runtime.unwrap_or_else(|| format!("/run/containers/{}/auth.json", geteuid().as_raw()).into());
    let config = config_home(host);
    let helm =
        variable("HELM_REGISTRY_CONFIG").or_else(|| Some(config.as_ref()?.join("helm/registry/config.json")));
    let files = [
        (variable("REGISTRY_AUTH_FILE"), podman),
        (Some(runtime), podman),
        (config.map(|config| config.join("containers/auth.json")), podman),
        (helm, ("helm", "helm registry logout")),
    ];
    files.into_iter().filter_map(|(path, (clients, command))| Some((path?, clients, command))).collect()
}

/// Clients find the helper in `PATH`.
fn note_on_program(host: &Host) -> Option<String> {
    let path = host.variable("PATH").unwrap_or_default();
    let this = Path::new("/proc/self/exe");
    let is_program = |candidate: &PathBuf| {
        candidate.metadata().is_ok_and(|status| status.is_file() && status.permissions().mode() & 0o111 != 0)
    };
    match std::env::split_paths(path).map(|directory| directory.join(PROGRAM)).find(is_program) {
        None => {
            let target = this.read_link().unwrap_or_default();
            Some(format!(
                "there is no `{PROGRAM}` in PATH yet: ln -s {} /usr/local/bin/{PROGRAM}",
                target.display()
            ))
        }
        Some(found) => {
            let is_this = match (found.metadata(), this.metadata()) {
                (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
                _ => false,
            };
            (!is_this).then(|| {
                format!(
                    "`{}` is another program than this one, or another copy of it; clients use that",
                    found.display()
                )
            })
        }
    }
}
