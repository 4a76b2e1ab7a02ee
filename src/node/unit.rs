//! A service of systemd, as far as it decides over the command line of a kubelet.
//!
//! The unit file and its drop-ins, in systemd's order; what they say together. Specifiers (`%n`) are left as they are.

use std::path::{Path, PathBuf};

use super::environment;
use super::on;
use crate::host;

/// Where units are, the strongest first.
const FOLDERS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// A service that there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// Its name, with `.service`.
    pub name: String,
    /// The unit file and its drop-ins, in the order in which they hold.
    pub files: Vec<PathBuf>,
    /// The command line as written, lines joined.
    pub command: String,
    /// Which of the files says so.
    pub command_file: PathBuf,
    /// `Environment=`, with the file that says so.
    pub environment: Vec<(PathBuf, String, String)>,
    /// `EnvironmentFile=`, without the dash, in order. Later files win, and all win over `environment`.
    pub environment_files: Vec<PathBuf>,
}

/// A variable, and where it got its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    pub(crate) value: String,
    pub(crate) file: PathBuf,
    pub(crate) is_in_environment_file: bool,
}

impl Unit {
    /// Reads a service, without the drop-in `except`; none if there is no such service, or it is masked.
    pub fn read(root: &Path, name: &str, except: Option<&Path>) -> Option<Self> {
        let file =
            FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|file| exists(root, file))?;
        let mut unit = Self { name: name.to_owned(), ..Self::default() };
        unit.add(root, file);
        for drop_in in drop_ins(root, name) {
            if Some(drop_in.as_path()) != except {
                unit.add(root, drop_in);
            }
        }
        (!unit.command.is_empty()).then_some(unit)
    }

    /// Whether it starts with the machine.
    pub fn is_enabled(root: &Path, name: &str) -> bool {
        let folder = Path::new("/etc/systemd/system");
        let folders = host::list_directory(&on(root, folder)).unwrap_or_default();
        let mut wanting = folders.iter().filter(|name| {
            let name = name.to_string_lossy();
            name.ends_with(".wants") || name.ends_with(".requires")
        });
        // A link that leads out of the image is one, too.
        wanting
            .any(|wanting| super::root::on(root, &folder.join(wanting).join(name)).symlink_metadata().is_ok())
    }

    fn add(&mut self, root: &Path, file: PathBuf) {
        let bytes = host::read_file(&on(root, &file)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        for (key, value) in service_settings(&text) {
            match key {
                "ExecStart" => {
                    self.command.clone_from(&value);
                    self.command_file.clone_from(&file);
                }
                "Environment" if value.is_empty() => self.environment.clear(),
                "Environment" => {
                    let words = split(&value);
                    let pairs = words.iter().filter_map(|word| word.split_once('='));
                    let pairs = pairs.map(|(name, value)| (file.clone(), name.to_owned(), value.to_owned()));
                    self.environment.extend(pairs);
                }
                "EnvironmentFile" if value.is_empty() => self.environment_files.clear(),
                "EnvironmentFile" => {
                    self.environment_files.push(value.trim_start_matches('-').trim_matches('"').into());
                }
                _ => {}
            }
        }
        self.files.push(file);
    }

    /// The value that a variable has when the service starts.
    pub(crate) fn variable(&self, root: &Path, name: &str) -> Option<Variable> {
        let in_files = self.environment_files.iter().rev().find_map(|file| {
            let text = host::read_file(&on(root, file)).ok()?;
            let found = environment::assignments(&String::from_utf8_lossy(&text));
            let last = found.into_iter().rfind(|assignment| assignment.name == name)?;
            Some(Variable { value: last.value, file: file.clone(), is_in_environment_file: true })
        });
        in_files.or_else(|| {
            let (file, _, value) = self.environment.iter().rfind(|(_, found, _)| found == name)?;
            Some(Variable { value: value.clone(), file: file.clone(), is_in_environment_file: false })
        })
    }

    /// The words of the command line with all variables in their place, each with the file that it comes from.
    pub(crate) fn words(&self, root: &Path) -> Vec<(String, PathBuf)> {
        let mut words = Vec::new();
        for word in split(&self.command) {
            let Some(name) = word.strip_prefix('$').filter(|name| is_name(name)) else {
                words.push((self.with_braces(root, &word), self.command_file.clone()));
                continue;
            };
            if let Some(Variable { value, file, .. }) = self.variable(root, name) {
                words.extend(split(&value).into_iter().map(|word| (word, file.clone())));
            }
        }
        words
    }

    /// `${NAME}` stays one word, whatever it holds.
    fn with_braces(&self, root: &Path, word: &str) -> String {
        let mut whole = String::new();
        let mut rest = word;
        while let Some((before, name, after)) = rest.split_once("${").and_then(|(before, after)| {
            let (name, after) = after.split_once('}')?;
            Some((before, name, after))
        }) {
            whole.push_str(before);
            whole.push_str(&self.variable(root, name).map(|variable| variable.value).unwrap_or_default());
            rest = after;
        }
        whole + rest
    }

    /// Whether the command line has `$NAME` as a word, which is split where it has spaces.
    pub(crate) fn takes(&self, name: &str) -> bool {
        split(&self.command).iter().any(|word| word.strip_prefix('$') == Some(name))
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A link to `/dev/null` masks.
fn exists(root: &Path, file: &Path) -> bool {
    on(root, file).metadata().is_ok_and(|status| status.is_file())
}

/// A file hides those of its name in weaker folders; then the names decide.
fn drop_ins(root: &Path, name: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for folder in FOLDERS {
        let folder = Path::new(folder).join(format!("{name}.d"));
        for name in host::list_directory(&on(root, &folder)).unwrap_or_default() {
            let is_hidden = found.iter().any(|file| file.file_name() == Some(&name));
            if Path::new(&name).extension().is_some_and(|end| end == "conf") && !is_hidden {
                found.push(folder.join(name));
            }
        }
    }
    found.sort_by(|one, other| one.file_name().cmp(&other.file_name()));
    found
}

/// Keys and values of `[Service]`. A backslash at the end of a line joins it with the next, comments between them
/// are skipped.
fn service_settings(text: &str) -> Vec<(&str, String)> {
    let mut settings = Vec::new();
    let mut is_service = false;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    while let Some(line) = lines.next() {
        if line.starts_with('[') {
            is_service = line == "[Service]";
        }
        let Some((key, value)) = line.split_once('=').filter(|_| is_service) else { continue };
        let mut value = value.trim_start().to_owned();
        while let Some(start) = value.strip_suffix('\\') {
            value = format!("{} {}", start.trim_end(), lines.next().unwrap_or_default());
        }
        settings.push((key.trim_end(), value.trim().to_owned()));
    }
    settings
}

/// Into words: quotes hold together, a backslash takes the next character as it is.
pub(crate) fn split(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut is_open = false;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => {
                is_open = false;
                continue;
            }
            _ if !is_open => {
                words.push(String::new());
                is_open = true;
            }
            _ => {}
        }
        let Some(word) = words.last_mut() else { continue };
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (_, '\\') => word.extend(characters.next()),
            (_, c) => word.push(c),
        }
    }
    words
}

/// One word for a command line in a unit; [`split`] gives it back.
pub(crate) fn quoted(word: &str) -> String {
    if !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\' | ';'))
    {
        return word.to_owned();
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::super::tests::made_up;
    use super::*;

    const UNIT: &str =
        "[Unit]\nDescription=ExecStart=no\n[Service]\nExecStart=/usr/bin/kubelet\nRestart=always\n";
    const KUBEADM: &str = "# Note\n[Service]\nEnvironment=\"A=--kubeconfig=/k --x\" 'B=two words'\n\
        EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env\nEnvironmentFile=-/etc/default/kubelet\n\
        ExecStart=\nExecStart=/usr/bin/kubelet $A \\\n  # between\n  ${B} $KUBELET_EXTRA_ARGS\n";

    #[test]
    fn what_files_and_drop_ins_say_together() {
        let root = made_up(&[
            ("usr/lib/systemd/system/kubelet.service", UNIT),
            ("usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf", KUBEADM),
            (
                "usr/lib/systemd/system/kubelet.service.d/20-x.conf",
                "[Service]\nEnvironment=KUBELET_EXTRA_ARGS=--no\n",
            ),
            ("etc/systemd/system/kubelet.service.d/20-x.conf", "[Service]\nEnvironment=C=--drop-in\n"),
            ("etc/systemd/system/kubelet.service.d/30.bak", "[Service]\nExecStart=\n"),
            ("etc/default/kubelet", "KUBELET_EXTRA_ARGS='--v=2 --w'\n"),
        ]);
        let unit = Unit::read(root.path(), "kubelet.service", None).unwrap();
        assert_eq!(unit.command, "/usr/bin/kubelet $A ${B} $KUBELET_EXTRA_ARGS");
        let words: Vec<_> = unit.words(root.path()).into_iter().map(|(word, _)| word).collect();
        assert_eq!(words, ["/usr/bin/kubelet", "--kubeconfig=/k", "--x", "two words", "--v=2", "--w"]);
        let variable = unit.variable(root.path(), "KUBELET_EXTRA_ARGS").unwrap();
        assert_eq!(
            (variable.file.as_path(), variable.is_in_environment_file),
            (Path::new("/etc/default/kubelet"), true)
        );
        assert!(!unit.variable(root.path(), "C").unwrap().is_in_environment_file);
        assert!(unit.takes("KUBELET_EXTRA_ARGS") && !unit.takes("B"));
        let without = "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf";
        let unit = Unit::read(root.path(), "kubelet.service", Some(Path::new(without))).unwrap();
        assert_eq!(unit.command, "/usr/bin/kubelet");
        assert!(Unit::read(root.path(), "k3s.service", None).is_none());
    }

    #[test]
    fn a_word_survives_its_quotes() {
        for word in ["--a=b", "--kubelet-extra-args=--a=b --c=\"d\"", "", "a\\b", "it's", "a;b"] {
            assert_eq!(split(&quoted(word)), [word], "{word}");
        }
        assert_eq!(split(" a  \"b c\"d 'e'\t"), ["a", "b cd", "e"]);
    }
}
