//! What to change on a node. It reads the node and changes nothing.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::files::{self, Change, Content, State};
use super::journal::Journal;
use super::place::{self, Places};
use super::{flags, merge};
use crate::error::{Code, Error};
use crate::generate::config::{Document, ProviderEntry};
use crate::host;
use crate::node::distribution::{self, Distribution, Kind, Route};
use crate::node::flags::Flags;
use crate::node::layout::{BIN_DIR, NAME};
use crate::node::root;
use crate::node::version::Version;
use crate::ownership::{self, Readers};

/// What whoever runs `install` wants.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Our provider, where there is none yet.
    pub entry: ProviderEntry,
    /// The kind of node, where it cannot be found out.
    pub kind: Option<Kind>,
    /// Files that the entry names and that are not there yet.
    pub missing: Vec<PathBuf>,
    /// The settings file that it needs: where, and what.
    pub settings: Option<(PathBuf, String)>,
    /// The version of the kubelet.
    pub version: Version,
}

/// What to do, in this order.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The node.
    pub distribution: Distribution,
    /// Where things are in the end.
    pub places: Places,
    /// The paths that change.
    pub changes: Vec<Change>,
    /// What people should know.
    pub notes: Vec<String>,
}

impl Plan {
    /// Whether systemd has to read its units again.
    pub fn changes_units(&self) -> bool {
        self.changes.iter().any(|change| change.path.starts_with("/etc/systemd/system"))
    }

    /// The flags that the kubelet has in the end.
    pub fn flags(&self) -> Flags {
        let text = |path: &Path| Some(path.display().to_string());
        Flags { config: text(&self.places.config), bin_dir: text(&self.places.bin_dir) }
    }

    /// Whether the kubelet has to start anew: it reads its configuration only then. A program alone it runs anew.
    pub fn needs_restart(&self) -> bool {
        let is_file = |change: &&Change| !matches!(change.after, State::Folder(_));
        self.changes.iter().filter(is_file).any(|change| is_read_at_start(&change.path))
    }
}

/// Whether a path is something else than the program.
pub(crate) fn is_read_at_start(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name != NAME)
}

/// Makes a plan. `program` is a path of the file to install, as it is seen from here.
pub fn plan(root: &Path, journal: &Journal, wanted: &Wanted, program: &Path) -> Result<Plan, Error> {
    let distribution = distribution::detect(root, wanted.kind).map_err(|unknown| {
        let error = Error::new(Code::NodeUnknown, &unknown);
        match unknown {
            distribution::Unknown::Several(_) => {
                error.with_remedy("name the one that holds with `--distribution`")
            }
            _ => error,
        }
    })?;
    let (places, mut notes) = place::choose(root, &distribution)?;
    notes.extend(wanted.missing.iter().map(|path| format!("`{}` is not there yet", path.display())));
    let mut planner = Planner { root, journal, wanted, changes: Vec::new(), notes };
    planner.binary(&places.bin_dir, program)?;
    planner.settings()?;
    planner.config(&places.config, &distribution)?;
    if distribution.flags.are_absent() {
        planner.flags(&distribution, &places)?;
    }
    let Planner { changes, notes, .. } = planner;
    Ok(Plan { distribution, places, changes, notes })
}

struct Planner<'a> {
    root: &'a Path,
    journal: &'a Journal,
    wanted: &'a Wanted,
    changes: Vec<Change>,
    notes: Vec<String>,
}

impl Planner<'_> {
    fn binary(&mut self, bin_dir: &Path, program: &Path) -> Result<(), Error> {
        let slot = root::resolved(self.root, bin_dir).join(NAME);
        ownership::trusted_below(self.root, &slot, Readers::Anybody)?;
        let running = program.metadata().ok().map(|status| (status.dev(), status.ino()));
        let is_running = |path: &Path| {
            let status = root::within(self.root, path).metadata().ok();
            running.is_some() && status.map(|status| (status.dev(), status.ino())) == running
        };
        if is_running(&slot) {
            return Ok(());
        }
        let before = files::look(self.root, &slot)?;
        let packaged = Path::new(BIN_DIR).join(NAME);
        let after = if is_running(&packaged) {
            State::Link(packaged)
        } else {
            let bytes = host::read_file(program).map_err(|error| Error::new(Code::NodeUnwritable, error))?;
            State::File(Content::new(bytes, 0o755))
        };
        let is_same = match (&before, &after) {
            (State::File(before), State::File(after)) => {
                before.bytes == after.bytes && before.mode & 0o111 != 0
            }
            (before, after) => before == after,
        };
        if is_same {
            return Ok(());
        }
        if before != State::Absent {
            self.notes.push(format!("`{}` is replaced; `uninstall` brings it back", slot.display()));
        }
        self.folders_to(&slot)?;
        self.change(slot, before, after)
    }

    /// Somebody else's settings are not ours to change.
    fn settings(&mut self) -> Result<(), Error> {
        let Some((path, text)) = &self.wanted.settings else { return Ok(()) };
        let (path, now) = self.text_file(path)?;
        let is_other =
            now != State::Absent && self.journal.original(self.root, &path, &now) != Some(State::Absent);
        let after = State::File(Content::new(text.as_str(), 0o644));
        if is_other && !matches!(&now, State::File(content) if content.bytes == text.as_bytes()) {
            let path = path.display();
            self.notes.push(format!(
                "`{path}` is kept: add what `generate settings` prints, with the same options"
            ));
            return Ok(());
        }
        self.folders_to(&path)?;
        self.change(path, now, after)
    }

    fn config(&mut self, config: &Path, distribution: &Distribution) -> Result<(), Error> {
        let path = root::resolved(self.root, config);
        ownership::trusted_below(self.root, &path, Readers::Anybody)?;
        let now = files::look(self.root, &path)?;
        if let State::Folder(_) = now {
            return self.config_in_folder(&path, distribution);
        }
        let base = self.journal.original(self.root, &path, &now).unwrap_or_else(|| now.clone());
        let after = match &base {
            State::File(content) => {
                let text = text_of(&path, content)?;
                if self.keeps_entry(&path, text) {
                    return Ok(());
                }
                State::File(content.with_bytes(merge::with_entry(&path, text, &self.wanted.entry)?))
            }
            _ => self.new_config(&path),
        };
        self.folders_to(&path)?;
        self.change(path, now, after)
    }

    /// Kubelets read all files of a folder from 1.34 on.
    fn config_in_folder(&mut self, folder: &Path, distribution: &Distribution) -> Result<(), Error> {
        if matches!(distribution.kind, Kind::K3s | Kind::Rke2) && distribution.flags.are_absent() {
            let cause =
                format!("`{}` is a folder, which {} does not look into", folder.display(), distribution.kind);
            return Err(Error::new(Code::NodeUnclear, cause));
        }
        let path = folder.join(OWN_FILE);
        let mut names = host::list_directory(&root::on(self.root, folder)).unwrap_or_default();
        names.sort();
        for name in names {
            let file = folder.join(&name);
            let is_read = file.extension().is_some_and(|end| end == "json" || end == "yaml" || end == "yml");
            if let (true, State::File(content)) = (is_read && file != path, files::look(self.root, &file)?)
                && self.keeps_entry(&file, text_of(&file, &content)?)
            {
                return Ok(());
            }
        }
        let now = files::look(self.root, &path)?;
        let base = self.journal.original(self.root, &path, &now).unwrap_or_else(|| now.clone());
        if let State::File(content) = &base
            && self.keeps_entry(&path, text_of(&path, content)?)
        {
            return Ok(());
        }
        let after = self.new_config(&path);
        self.change(path, now, after)
    }

    fn new_config(&self, path: &Path) -> State {
        let document =
            Document { version: self.wanted.entry.api_version, providers: vec![self.wanted.entry.clone()] };
        let is_json = path.extension().is_some_and(|end| end == "json");
        State::File(Content::new(if is_json { document.to_json() } else { document.to_yaml() }, 0o644))
    }

    /// Whether a configuration has a provider of our name, of the Go provider say; says what else matters in it.
    fn keeps_entry(&mut self, file: &Path, text: &str) -> bool {
        let providers = merge::providers(text);
        let ours = providers.iter().find(|provider| provider.name == NAME);
        let patterns = &self.wanted.entry.match_images;
        if let Some(ours) = ours {
            let missing: Vec<_> = patterns
                .iter()
                .filter(|pattern| !ours.match_images.contains(pattern))
                .map(|one| format!("`{one}`"))
                .collect();
            self.notes.push(format!("`{}` has a provider `{NAME}`, which is kept as it is", file.display()));
            if !missing.is_empty() {
                self.notes
                    .push(format!("it has no pattern {}: add what you need by hand", missing.join(", ")));
            }
            return true;
        }
        for other in &providers {
            let overlap = other
                .match_images
                .iter()
                .find(|theirs| patterns.iter().any(|ours| merge::overlap(ours, theirs)));
            if let Some(pattern) = overlap {
                self.notes.push(format!(
                    "`{}` in `{}` is asked for the same images by `{pattern}`, and before us",
                    other.name,
                    file.display()
                ));
            }
        }
        false
    }

    fn flags(&mut self, distribution: &Distribution, places: &Places) -> Result<(), Error> {
        let flags = flags::both(&places.config, &places.bin_dir);
        match &distribution.route {
            Route::DefaultPath => Ok(()),
            Route::EnvironmentFile(file) => {
                let (path, now) = self.text_file(file)?;
                let content = match &now {
                    State::File(content) => content.clone(),
                    _ => Content::new("", 0o644),
                };
                let Some(text) = flags::in_environment_file(text_of(&path, &content)?, &flags) else {
                    let because = format!("`{}` has quotes to which nothing can be added", file.display());
                    return self.drop_in(distribution, &distribution.drop_in(), &because, &flags);
                };
                self.folders_to(&path)?;
                self.change(path, now, State::File(content.with_bytes(text)))
            }
            Route::ArgumentsFile(file) => {
                let (path, now) = self.text_file(file)?;
                let State::File(content) = &now else {
                    let cause = format!("`{}` is no file", path.display());
                    return Err(Error::new(Code::NodeUnclear, cause));
                };
                let text = flags::in_arguments_file(text_of(&path, content)?, &flags);
                let after = State::File(content.with_bytes(text));
                self.notes.push(
                    "a refresh of the snap may write its arguments anew: run `install` again after it".into(),
                );
                self.change(path, now, after)
            }
            Route::DropIn { file, because } => self.drop_in(distribution, file, because, &flags),
        }
    }

    fn drop_in(
        &mut self,
        distribution: &Distribution,
        file: &Path,
        because: &str,
        flags: &[String],
    ) -> Result<(), Error> {
        let Some(unit) = &distribution.unit else {
            let cause = format!("`{}` is no service of systemd", distribution.service);
            return Err(Error::new(Code::NodeUnclear, cause));
        };
        let text = match distribution.kind {
            Kind::K0s => flags::drop_in_for_k0s(unit, flags),
            _ => flags::drop_in(unit, flags),
        };
        self.notes.push(format!("the flags go to a drop-in, which repeats the command line: {because}"));
        let (path, now) = self.text_file(file)?;
        self.folders_to(&path)?;
        self.change(path, now, State::File(Content::new(text, 0o644)))
    }

    /// The end of the way to a file that flags go to, and what is there.
    fn text_file(&self, file: &Path) -> Result<(PathBuf, State), Error> {
        let path = root::resolved(self.root, file);
        ownership::trusted_below(self.root, &path, Readers::Anybody)?;
        let now = files::look(self.root, &path)?;
        Ok((path, now))
    }

    /// The folders above a path that are missing, the uppermost first.
    fn folders_to(&mut self, path: &Path) -> Result<(), Error> {
        let mut missing = Vec::new();
        for folder in path.ancestors().skip(1) {
            if self.changes.iter().any(|change| change.path == folder) {
                break;
            }
            match files::look(self.root, folder)? {
                State::Folder(_) => break,
                State::Absent => missing.push(folder.to_owned()),
                _ => {
                    let cause = format!("`{}` is no folder", folder.display());
                    return Err(Error::new(Code::NodeUnclear, cause));
                }
            }
        }
        for folder in missing.into_iter().rev() {
            self.change(folder, State::Absent, State::Folder(0o755))?;
        }
        Ok(())
    }

    /// Nothing, if that is what there is.
    fn change(&mut self, path: PathBuf, before: State, after: State) -> Result<(), Error> {
        if matches!(before, State::Other)
            || (matches!(before, State::Folder(_)) && !matches!(after, State::Folder(_)))
        {
            let cause = format!("`{}` is no file", path.display());
            return Err(Error::new(Code::NodeUnclear, cause));
        }
        let is_same = match (&before, &after) {
            (State::File(before), State::File(after)) => {
                before.bytes == after.bytes && before.mode == after.mode
            }
            (before, after) => before == after,
        };
        if !is_same {
            self.changes.push(Change { path, before, after });
        }
        Ok(())
    }
}

/// Our file in a folder of configurations. Digits sort before letters.
const OWN_FILE: &str = "50-ecr-credential-provider.yaml";

fn text_of<'a>(path: &Path, content: &'a Content) -> Result<&'a str, Error> {
    std::str::from_utf8(&content.bytes).map_err(|_| {
        let error = Error::new(Code::NodeUnclear, format!("`{}` is not UTF-8 text", path.display()));
        error.with_remedy("write it as UTF-8 text, or bring back the one that was meant")
    })
}
