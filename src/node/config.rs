//! The CredentialProviderConfig of a node, read as the kubelet of a version reads it.
//!
//! The kubelet ends at the first thing that it does not take. This reader goes on and collects all of them, and goes
//! on with what can be used.

use std::path::{Path, PathBuf};

use super::document::{self, Document, Entry, Node, Position, Value};
use super::on;
use super::problem::{CONFIG_API, Fault, Place, Problem, Severity, TEXT};
use super::version::Version;
use crate::duration::GoDuration;
use crate::host;
use crate::secret::Secret;
use crate::words;

/// The providers of a node in the order in which they are written.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The files that were read, in that order.
    pub files: Vec<PathBuf>,
    /// Whether the path was a folder, which kubelets before 1.34 cannot read.
    pub is_folder: bool,
    /// The providers of all files.
    pub providers: Vec<Provider>,
}

/// One provider.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Where its name stands, or where it begins.
    pub place: Place,
    /// The file name of the plugin.
    pub name: String,
    /// The version of the protocol that it is spoken to in.
    pub api_version: Option<Located<String>>,
    /// The patterns as written; the kubelet refuses some, see [`crate::pattern::Pattern`].
    pub match_images: Vec<Located<String>>,
    /// How long an answer is kept that does not say so.
    pub default_cache_duration: Option<Located<String>>,
    /// The plugin's arguments.
    pub args: Vec<String>,
    /// What is added to the kubelet's own environment. People keep keys there.
    pub env: Vec<(String, Secret)>,
    /// The identity of a pod that goes with the request.
    pub token_attributes: Option<Located<TokenAttributes>>,
    /// Fields with a value of a wrong type, which are not missing.
    pub(super) malformed: Vec<&'static str>,
}

/// `tokenAttributes` of a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenAttributes {
    /// For whom the token is.
    pub service_account_token_audience: Option<Located<String>>,
    /// `ServiceAccount` or `Token`.
    pub cache_type: Option<Located<String>>,
    /// Whether the plugin is left out for pods without service account.
    pub require_service_account: Option<Located<bool>>,
    /// Annotations that must be there.
    pub required_service_account_annotation_keys: Vec<Located<String>>,
    /// Annotations that are handed over if they are there.
    pub optional_service_account_annotation_keys: Vec<Located<String>>,
    pub(super) malformed: Vec<&'static str>,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// Where.
    pub place: Place,
    /// What.
    pub value: T,
}

/// What to read, for which kubelet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub(super) root: &'a Path,
    /// Files that are not written yet, and count as if they were.
    pub(super) planned: &'a [(PathBuf, Vec<u8>)],
    pub(super) version: Version,
}

impl Source<'_> {
    /// Reads the file, or the files of the folder, that `--image-credential-provider-config` names.
    pub(super) fn read(&self, path: &Path, problems: &mut Vec<Problem>) -> Config {
        let is_folder = self.planned(path).is_none() && on(self.root, path).is_dir();
        let files = if is_folder { self.files_in(path, problems) } else { vec![path.to_owned()] };
        if is_folder && !self.version.reads_folders() {
            problems.push(refused(Place::file(path), Fault::FolderTooEarly));
        }
        let mut providers: Vec<Provider> = Vec::new();
        for file in &files {
            let found = self.bytes(file).map(|bytes| providers_in(&bytes, file, self.version, problems));
            match found {
                Ok(found) => providers.extend(found),
                Err(fault) => problems.push(refused(Place::file(file), fault)),
            }
        }
        for (at, provider) in providers.iter().enumerate() {
            if providers[..at].iter().any(|earlier| earlier.name == provider.name) {
                problems.push(refused(provider.place.clone(), Fault::NameTwice(provider.name.clone())));
            }
        }
        Config { files, is_folder, providers }
    }

    fn planned(&self, path: &Path) -> Option<&[u8]> {
        self.planned.iter().find(|(planned, _)| planned == path).map(|(_, bytes)| bytes.as_slice())
    }

    /// Not from folders below; names in the order of their bytes.
    fn files_in(&self, folder: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
        let names = host::list_directory(&on(self.root, folder)).unwrap_or_else(|error| {
            problems.push(refused(Place::file(folder), Fault::Unreadable(error.to_string())));
            Vec::new()
        });
        let planned = self.planned.iter().map(|(path, _)| path).filter(|path| path.parent() == Some(folder));
        let mut files: Vec<_> = names.into_iter().map(|name| folder.join(name)).collect();
        files.retain(|path| !on(self.root, path).symlink_metadata().is_ok_and(|data| data.is_dir()));
        files.extend(planned.cloned());
        files.retain(|path| is_read(path));
        files.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
        files.dedup();
        if files.is_empty() && problems.is_empty() {
            problems.push(refused(Place::file(folder), Fault::EmptyFolder));
        }
        files
    }

    fn bytes(&self, file: &Path) -> Result<Vec<u8>, Fault> {
        if let Some(bytes) = self.planned(file) {
            return Ok(bytes.to_owned());
        }
        let actual = on(self.root, file);
        // A kubelet would wait for what comes out of a pipe.
        if actual.metadata().is_ok_and(|data| !data.is_file()) {
            return Err(Fault::NotAFile);
        }
        host::read_file(&actual).map_err(|error| Fault::Unreadable(error.to_string()))
    }
}

/// By what follows the last dot, even if nothing stands before it.
fn is_read(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    matches!(name.rsplit_once('.'), Some((_, "json" | "yaml" | "yml")))
}

fn refused(place: Place, fault: Fault) -> Problem {
    Problem { place, severity: Severity::Refused, fault }
}

fn providers_in(bytes: &[u8], file: &Path, version: Version, problems: &mut Vec<Problem>) -> Vec<Provider> {
    let mut decoder = Decoder { file, version, has_tokens: version.has_tokens(), problems };
    match document::parse(bytes) {
        Ok(document) => decoder.document(&document),
        Err(error) => {
            decoder.refuse(error.at, Fault::Syntax(error.reason));
            Vec::new()
        }
    }
}

/// The fields of a configuration, with the names that are known in all versions.
const CONFIG: &[&str] = &["kind", "apiVersion", "providers"];
const PROVIDER: &[&str] = &["name", "matchImages", "defaultCacheDuration", "apiVersion", "args", "env"];
const VARIABLE: &[&str] = &["name", "value"];
const ATTRIBUTES: &[&str] = &[
    "serviceAccountTokenAudience",
    "requireServiceAccount",
    "requiredServiceAccountAnnotationKeys",
    "optionalServiceAccountAnnotationKeys",
];

/// Takes fields out of values, and notes what the kubelet would not take.
struct Decoder<'a> {
    file: &'a Path,
    version: Version,
    /// Whether this version of the configuration has `tokenAttributes`.
    has_tokens: bool,
    problems: &'a mut Vec<Problem>,
}

/// The entries of a map, and its name in messages.
struct Fields<'n> {
    path: String,
    at: Position,
    entries: &'n [Entry],
    malformed: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// The last of that name, as in the kubelet. Nothing in it is as if it were not there.
    fn find(&self, name: &str) -> Option<&'n Entry> {
        let last = self.entries.iter().rev().find(|entry| entry.key == name);
        last.filter(|entry| !matches!(entry.node.value, Value::Null))
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

impl Decoder<'_> {
    fn document(&mut self, document: &Document) -> Vec<Provider> {
        let ignored = !self.version.is_strict();
        for (at, key) in &document.repeated {
            self.strict(*at, Fault::Repeated { key: words::quoted(key), ignored });
        }
        if let Some(at) = document.second {
            let place = self.place(at);
            self.problems.push(Problem { place, severity: Severity::Warning, fault: Fault::SecondDocument });
        }
        let Some(mut fields) = self.fields(&document.root, String::new()) else { return Vec::new() };
        self.type_of(&fields, document.is_json);
        self.refuse_unknown(&fields, CONFIG, &[]);
        let providers = self.list(&mut fields, "providers");
        providers.iter().enumerate().filter_map(|(index, node)| self.provider(index, node)).collect()
    }

    /// `kind` and `apiVersion`, for which the kubelet does not look at capitals.
    fn type_of(&mut self, fields: &Fields<'_>, is_json: bool) {
        let kind = self.type_field(fields, "kind", is_json);
        if let Some((kind, at)) = kind.filter(|(kind, _)| kind != "CredentialProviderConfig") {
            self.refuse(at, Fault::Kind(kind));
        }
        let Some((version, at)) = self.type_field(fields, "apiVersion", is_json) else { return };
        match version.strip_prefix(CONFIG_API) {
            Some("v1") if !self.version.has_v1() => self.refuse(at, Fault::VersionTooEarly(version)),
            Some("v1") => {}
            Some("v1beta1" | "v1alpha1") => self.has_tokens = false,
            _ => self.refuse(at, Fault::ConfigVersion(version)),
        }
    }

    fn type_field(
        &mut self,
        fields: &Fields<'_>,
        name: &'static str,
        is_json: bool,
    ) -> Option<(String, Position)> {
        let mut found: Vec<_> =
            fields.entries.iter().filter(|entry| entry.key.eq_ignore_ascii_case(name)).collect();
        if !is_json {
            // On the way from YAML to JSON the last of a name stays, they are sorted, and the last of these counts.
            found.reverse();
            found.sort_by(|a, b| a.key.cmp(&b.key));
            found.dedup_by(|a, b| a.key == b.key);
        }
        found.retain(|entry| !matches!(entry.node.value, Value::Null));
        match found.last().map(|entry| &entry.node) {
            Some(Node { value: Value::Text(text), at }) if !text.is_empty() => {
                return Some((text.clone(), *at));
            }
            Some(Node { value: Value::Text(_), at }) => self.refuse(*at, Fault::Missing(name.to_owned())),
            Some(node) => self.mistyped(name.to_owned(), node, TEXT, node.value.kind()),
            None => self.refuse(fields.at, Fault::Missing(name.to_owned())),
        }
        None
    }

    fn provider(&mut self, index: usize, node: &Node) -> Option<Provider> {
        let mut fields = self.fields(node, format!("providers[{index}]"))?;
        let tokens: &[&str] = if self.has_tokens { &["tokenAttributes"] } else { &[] };
        self.refuse_unknown(&fields, PROVIDER, tokens);
        let name = self.text(&mut fields, "name");
        let provider = Provider {
            place: name.as_ref().map_or_else(|| self.place(fields.at), |name| name.place.clone()),
            name: name.map(|name| name.value).unwrap_or_default(),
            api_version: self.text(&mut fields, "apiVersion"),
            match_images: self.texts(&mut fields, "matchImages"),
            default_cache_duration: self.duration(&mut fields),
            args: self.texts(&mut fields, "args").into_iter().map(|text| text.value).collect(),
            env: self.env(&mut fields),
            token_attributes: self.token_attributes(&mut fields),
            malformed: Vec::new(),
        };
        Some(Provider { malformed: fields.malformed, ..provider })
    }

    /// Malformed ones are kept, so that they are not missing.
    fn duration(&mut self, fields: &mut Fields<'_>) -> Option<Located<String>> {
        let found = self.text(fields, "defaultCacheDuration")?;
        let without_sign = found.value.strip_prefix('-').unwrap_or(&found.value);
        if let Err(error) = without_sign.parse::<GoDuration>() {
            let field = fields.path_of("defaultCacheDuration");
            self.problems.push(refused(found.place.clone(), Fault::Duration { field, error }));
        }
        Some(found)
    }

    fn env(&mut self, fields: &mut Fields<'_>) -> Vec<(String, Secret)> {
        let path = fields.path_of("env");
        let nodes = self.list(fields, "env");
        let variables = nodes.iter().enumerate().filter_map(|(index, node)| {
            let mut fields = self.fields(node, format!("{path}[{index}]"))?;
            self.refuse_unknown(&fields, VARIABLE, &[]);
            let mut text = |name| self.text(&mut fields, name).map(|text| text.value).unwrap_or_default();
            Some((text("name"), text("value").into()))
        });
        variables.collect()
    }

    fn token_attributes(&mut self, fields: &mut Fields<'_>) -> Option<Located<TokenAttributes>> {
        let entry = fields.find("tokenAttributes").filter(|_| self.has_tokens)?;
        let mut fields = self.fields(&entry.node, fields.path_of("tokenAttributes"))?;
        let has_cache_type = self.version.has_cache_type();
        self.refuse_unknown(&fields, ATTRIBUTES, if has_cache_type { &["cacheType"] } else { &[] });
        let attributes = TokenAttributes {
            service_account_token_audience: self.text(&mut fields, "serviceAccountTokenAudience"),
            cache_type: self.text(&mut fields, "cacheType").filter(|_| has_cache_type),
            require_service_account: self.truth(&mut fields, "requireServiceAccount"),
            required_service_account_annotation_keys: self
                .texts(&mut fields, "requiredServiceAccountAnnotationKeys"),
            optional_service_account_annotation_keys: self
                .texts(&mut fields, "optionalServiceAccountAnnotationKeys"),
            malformed: Vec::new(),
        };
        let value = TokenAttributes { malformed: fields.malformed, ..attributes };
        Some(Located { place: self.place(entry.at), value })
    }

    /// The entries of a map; nothing is a map without entries.
    fn fields<'n>(&mut self, node: &'n Node, path: String) -> Option<Fields<'n>> {
        let entries: &[Entry] = match &node.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            other => {
                let field = if path.is_empty() { "the whole".to_owned() } else { path };
                self.mistyped(field, node, "a map", other.kind());
                return None;
            }
        };
        Some(Fields { path, at: node.at, entries, malformed: Vec::new() })
    }

    fn text(&mut self, fields: &mut Fields<'_>, name: &'static str) -> Option<Located<String>> {
        let entry = fields.find(name)?;
        let text = self.text_of(fields.path_of(name), &entry.node);
        if text.is_none() {
            fields.malformed.push(name);
        }
        text
    }

    fn text_of(&mut self, path: String, node: &Node) -> Option<Located<String>> {
        match &node.value {
            Value::Text(text) => Some(Located { place: self.place(node.at), value: text.clone() }),
            Value::Null => Some(Located { place: self.place(node.at), value: String::new() }),
            other => {
                self.mistyped(path, node, TEXT, other.kind());
                None
            }
        }
    }

    fn truth(&mut self, fields: &mut Fields<'_>, name: &'static str) -> Option<Located<bool>> {
        let entry = fields.find(name)?;
        match &entry.node.value {
            Value::Truth(truth) => Some(Located { place: self.place(entry.node.at), value: *truth }),
            other => {
                fields.malformed.push(name);
                self.mistyped(fields.path_of(name), &entry.node, "`true` or `false`", other.kind());
                None
            }
        }
    }

    fn texts(&mut self, fields: &mut Fields<'_>, name: &'static str) -> Vec<Located<String>> {
        let path = fields.path_of(name);
        let nodes = self.list(fields, name);
        let texts = nodes.iter().enumerate();
        let texts: Vec<_> =
            texts.filter_map(|(index, node)| self.text_of(format!("{path}[{index}]"), node)).collect();
        if texts.len() < nodes.len() {
            fields.malformed.push(name);
        }
        texts
    }

    fn list<'n>(&mut self, fields: &mut Fields<'n>, name: &'static str) -> &'n [Node] {
        match fields.find(name).map(|entry| &entry.node) {
            None => &[],
            Some(Node { value: Value::List(items), .. }) => items,
            Some(node) => {
                fields.malformed.push(name);
                self.mistyped(fields.path_of(name), node, "a list", node.value.kind());
                &[]
            }
        }
    }

    fn refuse_unknown(&mut self, fields: &Fields<'_>, always: &[&'static str], now: &[&'static str]) {
        let known = [always, now].concat();
        for entry in fields.entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let name = if words::is_word(&entry.key) { entry.key.as_str() } else { "…" };
            let fault = Fault::UnknownField {
                field: fields.path_of(name),
                remedy: self.remedy_for_unknown(&entry.key, &known),
                ignored: !self.version.is_strict(),
            };
            self.strict(entry.at, fault);
        }
    }

    fn remedy_for_unknown(&self, key: &str, known: &[&str]) -> String {
        match key {
            "tokenAttributes" if known == PROVIDER && self.version.has_tokens() => {
                format!("write `apiVersion: {CONFIG_API}v1` at the top: older versions do not have it")
            }
            "tokenAttributes" if known == PROVIDER => {
                format!("remove it: kubelets know it from {} on", Version::HAS_TOKENS)
            }
            "cacheType" if known == ATTRIBUTES => {
                format!("remove it: kubelets know it from {} on", Version::HAS_FOLDERS)
            }
            _ => words::nearest(key, known),
        }
    }

    /// The kubelet has always looked, but minds from 1.32 on.
    fn strict(&mut self, at: Position, fault: Fault) {
        let severity = if self.version.is_strict() { Severity::Refused } else { Severity::Warning };
        let place = self.place(at);
        self.problems.push(Problem { place, severity, fault });
    }

    fn mistyped(&mut self, field: String, node: &Node, expected: &'static str, found: &'static str) {
        self.refuse(node.at, Fault::Type { field, expected, found });
    }

    fn refuse(&mut self, at: Position, fault: Fault) {
        let place = self.place(at);
        self.problems.push(refused(place, fault));
    }

    fn place(&self, at: Position) -> Place {
        Place { file: self.file.to_owned(), at: Some(at) }
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
