//! The tokens that this node holds, shared by all processes of one user.
//!
//! The kubelet forgets passwords when it restarts, and asks once for each image. Here they outlast it, and one
//! process asks AWS for all. A cache that cannot be used is passed over: it must never be why a pull fails.
//!
//! | module | owns |
//! |---|---|
//! | `directory` | the files: who may read and write them, and that they are old or new but never half |
//! | `entry` | what is in them |
//! | `key` | which token a file is for |
//!
//! For each key there is `<key>.token` and, for each way to AWS that was taken for it (another proxy, or IPv6),
//! `<key>.<way>.failed`, the last try to get one, and `<key>.<way>.lock`, held by who asks AWS. For each registry
//! there is `<hash of its name>.last`, what came of the last call that had news of it.

mod directory;
mod entry;
mod key;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::SignedDuration;
use rustix::process::geteuid;

use self::directory::{Directory, TEMPORARY};
pub(crate) use self::entry::Entry;
use self::entry::Failure;
use self::key::Key;
use crate::clock::Moment;
use crate::context::Context;
use crate::error::{Code, Error};
use crate::freshness::Stage;
use crate::host::{self, Host};
use crate::log::Log;
use crate::registry::Registry;
use crate::settings::Cache;

/// Where root's cache is: emptied at boot, as the first thing a node has to do then is to pull anyway.
const OF_ROOT: &str = "/run/ecr-credential-provider";
const OF_OTHERS: &str = "ecr-credential-provider";

/// No process lives for as long, so a file that it writes, or a failure that it remembers, is left over.
const LEFT_OVER_AFTER: SignedDuration = SignedDuration::from_mins(2);

/// Whoever looks for the cause of a failure does it by then.
const LAST_IS_KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

const TOKEN: &str = "token";
const FAILED: &str = "failed";
const LOCK: &str = "lock";
const LAST: &str = "last";

/// The place of one token.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    directory: Arc<Directory>,
    key: Key,
    log: Log,
}

/// An attempt to be the one who asks AWS.
#[derive(Debug)]
pub(crate) enum Lock {
    /// We are, until this is dropped.
    Ours(File),
    /// Another process is.
    Theirs,
    /// It cannot be told.
    Unavailable,
}

impl Slot {
    /// The place of the token for `registry`; none if there is to be no cache, or if it cannot be used.
    pub(crate) fn of(registry: &Registry, context: &Context<'_>) -> Option<Self> {
        if context.settings.cache == Cache::Off {
            context.log.debug(|| "the cache is off".into());
            return None;
        }
        let passed_over = |reason: &dyn std::fmt::Display| {
            context.log.debug(|| format!("going on without the cache: {reason}"));
        };
        let directory = match path(context).and_then(|path| {
            context.watchdog.enter(format!("opening the cache in `{}`", path.display()));
            Directory::open_or_create(&path)
        }) {
            Ok(directory) => directory,
            Err(error) => {
                passed_over(&error);
                return None;
            }
        };
        match Key::of(registry, context) {
            Ok(key) => Some(Self { directory: Arc::new(directory), key, log: context.log.clone() }),
            Err(error) => {
                passed_over(&error);
                None
            }
        }
    }

    /// The token that is there.
    pub(crate) fn token(&self) -> Option<Entry> {
        self.read(&self.file(TOKEN), |content| Entry::from_json(&content))
    }

    /// The last failure, if it is too young for another try.
    pub(crate) fn failure(&self, is_token_at_hand: bool, now: &Moment) -> Option<Error> {
        let parse = |content: Vec<u8>| serde_json::from_slice(&content).map_err(|_| "it is malformed");
        self.read::<Failure>(&self.of_way(FAILED), parse)?.as_of(now, is_token_at_hand)
    }

    /// Tries to be the one who asks AWS.
    pub(crate) fn try_lock(&self) -> Lock {
        match self.directory.try_lock(&self.of_way(LOCK)) {
            Ok(Some(file)) => Lock::Ours(file),
            Ok(None) => Lock::Theirs,
            Err(error) => {
                self.log.debug(|| format!("cannot lock `{}`: {error}", self.in_full(&self.of_way(LOCK))));
                Lock::Unavailable
            }
        }
    }

    /// The lock, for a message.
    pub(crate) fn lock_path(&self) -> String {
        self.in_full(&self.of_way(LOCK))
    }

    /// Keeps a token for all others, and forgets what nobody needs any more.
    pub(crate) fn store(&self, entry: &Entry) {
        match entry.to_json() {
            Ok(content) => self.write(&self.file(TOKEN), &content),
            Err(error) => self.log.debug(|| format!("cannot encode the entry: {error}")),
        }
        let _ = self.directory.remove(&self.of_way(FAILED));
        self.remove_left_over();
    }

    /// Keeps a failure for a few seconds, if the next call would only meet it again.
    pub(crate) fn remember(&self, error: &Error, was_hasty: bool) {
        if error.code().kind().is_met_again() {
            match serde_json::to_vec(&Failure::new(error, was_hasty, host::moment())) {
                Ok(content) => self.write(&self.of_way(FAILED), &content),
                Err(error) => self.log.debug(|| format!("cannot encode the failure: {error}")),
            }
        }
    }

    fn read<T>(&self, name: &str, parse: impl FnOnce(Vec<u8>) -> Result<T, &'static str>) -> Option<T> {
        let passed_over = |reason: &dyn std::fmt::Display| {
            self.log.debug(|| format!("passing over `{}`: {reason}", self.in_full(name)));
        };
        match self.directory.read(name) {
            Ok(content) => parse(content?).inspect_err(|reason| passed_over(reason)).ok(),
            Err(error) => {
                passed_over(&error);
                None
            }
        }
    }

    fn write(&self, name: &str, content: &[u8]) {
        if let Err(error) = self.directory.replace(name, content) {
            self.log.debug(|| format!("cannot write `{}`: {error}", self.in_full(name)));
        }
    }

    /// Removes what is left of processes that were killed while they wrote, and of identities that are gone.
    fn remove_left_over(&self) {
        let names = self.directory.names().unwrap_or_default();
        let now = host::moment();
        for name in &names {
            let is_left_over = match parts(name) {
                Some((_, TEMPORARY | FAILED)) => self.is_older(LEFT_OVER_AFTER, name, &now),
                Some((_, LAST)) => self.is_older(LAST_IS_KEPT, name, &now),
                Some((key, TOKEN)) if key != self.key.token() => !self.is_alive(name, &now),
                Some((key, LOCK)) if !names.contains(&format!("{key}.{TOKEN}")) => {
                    self.is_older(LEFT_OVER_AFTER, name, &now)
                }
                _ => false,
            };
            // A lock is removed by who holds it.
            let lock = is_left_over && name.ends_with(LOCK);
            if is_left_over && (!lock || matches!(self.directory.try_lock(name), Ok(Some(_)))) {
                let _ = self.directory.remove(name);
            }
        }
    }

    fn is_older(&self, than: SignedDuration, name: &str, now: &Moment) -> bool {
        let written_at = self.directory.written_at(name);
        written_at.is_some_and(|written_at| now.wall.as_second() - written_at > than.as_secs())
    }

    fn is_alive(&self, name: &str, now: &Moment) -> bool {
        let content = self.directory.read(name).ok().flatten();
        let entry = content.and_then(|content| Entry::from_json(&content).ok());
        entry.is_some_and(|entry| entry.stage(now) != Stage::Expired)
    }

    fn file(&self, extension: &str) -> String {
        format!("{}.{extension}", self.key.token())
    }

    fn of_way(&self, extension: &str) -> String {
        format!("{}.{}.{extension}", self.key.token(), self.key.way())
    }

    fn in_full(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }
}

/// Where the cache is: `ECR_CREDENTIAL_PROVIDER_CACHE_DIR`, or the usual place for this user.
pub(crate) fn path(context: &Context<'_>) -> Result<PathBuf, Error> {
    match &context.settings.cache_dir {
        Some(path) => Ok(path.clone()),
        None if geteuid().is_root() => Ok(PathBuf::from(OF_ROOT)),
        None => of_user(context.host).ok_or_else(|| {
            let cause = "there is no usual place: no XDG_RUNTIME_DIR, no XDG_CACHE_HOME, no HOME";
            Error::new(Code::CacheDirectory, cause)
        }),
    }
}

/// The same; none if there is to be no cache, or if there is no place for it.
pub(crate) fn place(context: &Context<'_>) -> Option<PathBuf> {
    (context.settings.cache == Cache::On).then(|| path(context).ok()).flatten()
}

/// What was kept last for `registry` in the cache at `path`.
pub(crate) fn last(path: &Path, registry: &Registry) -> Result<Option<Vec<u8>>, Error> {
    let Some(directory) = Directory::open(path)? else { return Ok(None) };
    let name = last_name(registry);
    directory.read(&name).map_err(|error| {
        Error::new(Code::CacheDirectory, format!("cannot read `{}`: {error}", path.join(&name).display()))
    })
}

/// What was kept last for all registries, in no order; what cannot be read is left out.
pub(crate) fn all_last(path: &Path) -> Result<Vec<Vec<u8>>, Error> {
    all_of(LAST, path)
}

/// Keeps `content` as the last of `registry`.
pub(crate) fn keep_last(path: &Path, registry: &Registry, content: &[u8]) -> Result<(), Error> {
    let name = last_name(registry);
    Directory::open_or_create(path)?.replace(&name, content).map_err(|error| {
        Error::new(Code::CacheDirectory, format!("cannot write `{}`: {error}", path.join(&name).display()))
    })
}

fn last_name(registry: &Registry) -> String {
    format!("{}.{LAST}", key::of_registry(registry))
}

fn of_user(host: &Host) -> Option<PathBuf> {
    let variable = |name: &str| host.variable(name).map(Path::new);
    let runtime_or_cache = variable("XDG_RUNTIME_DIR").or_else(|| variable("XDG_CACHE_HOME"));
    let folder = runtime_or_cache.map(Path::to_owned).or_else(|| Some(variable("HOME")?.join(".cache")))?;
    Some(folder.join(OF_OTHERS))
}

/// What is in the cache for `registry`, in words.
pub(crate) fn describe(registry: Option<&Registry>, context: &Context<'_>) -> Result<String, Error> {
    if context.settings.cache == Cache::Off {
        return Ok("off".into());
    }
    let path = path(context)?;
    let Some(_) = Directory::open(&path)? else {
        return Ok(format!("`{}` is not there yet", path.display()));
    };
    let token = registry.and_then(|registry| Slot::of(registry, context)?.token());
    let token = match token.map(|entry| (entry.stage(&host::moment()), entry)) {
        None => return Ok(format!("`{}` can be used", path.display())),
        Some((Stage::Fresh(_), entry)) => format!("fresh until {:.0}", entry.refresh_at),
        Some((Stage::Due(_) | Stage::Doubtful(_), entry)) => {
            format!("due to be replaced, valid until {:.0}", entry.token.expires_at)
        }
        Some((Stage::Expired, _)) => "expired".into(),
    };
    Ok(format!("`{}` can be used; the token for this registry is {token}", path.display()))
}

/// All tokens in the cache at `path`, in no order; those that cannot be read are left out.
pub(crate) fn list(path: &Path) -> Result<Vec<Entry>, Error> {
    let tokens = all_of(TOKEN, path)?;
    Ok(tokens.iter().filter_map(|content| Entry::from_json(content).ok()).collect())
}

fn all_of(extension: &str, path: &Path) -> Result<Vec<Vec<u8>>, Error> {
    let Some(directory) = Directory::open(path)? else { return Ok(Vec::new()) };
    let is_wanted = |name: &String| parts(name).is_some_and(|(_, found)| found == extension);
    let names = names(&directory)?.into_iter().filter(is_wanted);
    Ok(names.filter_map(|name| directory.read(&name).ok().flatten()).collect())
}

/// Removes everything from the cache at `path` and returns how many tokens there were. One file that cannot be
/// removed does not keep the others.
pub(crate) fn clear(path: &Path) -> Result<usize, Error> {
    let Some(directory) = Directory::open(path)? else { return Ok(0) };
    let (mut tokens, mut failed) = (0, Vec::new());
    for name in names(&directory)? {
        let Some((_, extension)) = parts(&name) else { continue };
        match directory.remove(&name) {
            Ok(()) => tokens += usize::from(extension == TOKEN),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => failed.push(format!("`{}`: {error}", path.join(&name).display())),
        }
    }
    if failed.is_empty() {
        return Ok(tokens);
    }
    Err(Error::new(Code::CacheDirectory, format!("cannot remove {}", failed.join(", "))))
}

fn names(directory: &Directory) -> Result<Vec<String>, Error> {
    directory.names().map_err(|error| {
        Error::new(Code::CacheDirectory, format!("cannot list `{}`: {error}", directory.path().display()))
    })
}

/// The key and the extension in a file's name; none if the file is not of the cache.
fn parts(name: &str) -> Option<(&str, &str)> {
    let (key, rest) = name.split_once('.')?;
    let extension = rest.rsplit('.').next()?;
    (key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some((key, extension))
}
