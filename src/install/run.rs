//! The runs of `install` and `uninstall`, from the plan to the kubelet that is well.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::{Change, State, Step};
use super::journal::{self, Journal, Lock};
use super::plan::{self, Plan, Wanted};
use super::service::{self, Service};
use super::undo::{self, Undo};
use super::{check, diff, health};
use crate::error::{Code, Error};
use crate::host::{self, Stopwatch};
use crate::node::distribution::{self, Distribution, Kind, Route};
use crate::node::flags::Flags;
use crate::node::layout::NAME;
use crate::node::root;
use crate::node::version::Version;

/// What both runs need to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'a> {
    /// The root of its file system.
    pub(crate) root: &'a Path,
    /// Its kind, where it cannot be found out.
    pub(crate) kind: Option<Kind>,
    /// Whether its kubelet may be running and can be restarted from here.
    pub(crate) is_live: bool,
    /// Whether to restart it.
    pub(crate) restarts: bool,
    /// How long it may take to be well.
    pub(crate) limit: Duration,
    pub(crate) stopwatch: Stopwatch,
}

/// `install`.
#[derive(Debug)]
pub(crate) struct Install<'a> {
    pub(crate) node: Node<'a>,
    pub(crate) wanted: Wanted,
    pub(crate) dry_run: bool,
}

/// How a run that did not fail ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It only showed what it would do.
    Shown,
    /// The files are there; and where the program is.
    Done(PathBuf),
}

/// The file that runs, which is the one to install.
const PROGRAM: &str = "/proc/self/exe";

impl Install<'_> {
    pub(crate) fn run(&self) -> Result<Outcome, Error> {
        let node = &self.node;
        let root = node.root;
        let lock = if self.dry_run { None } else { take_lock(root)? };
        let journal = Journal::read(root)?;
        let planned = plan::plan(root, &journal, &self.wanted, Path::new(PROGRAM));
        let plan = planned.and_then(|plan| self.refuse_unknown_flags(plan));
        let plan = plan.inspect_err(|_| drop_empty_folders(root, &journal))?;
        self.show(&plan);
        let version = self.wanted.version;
        let is_sound = check::planned(root, &plan.places, &plan.changes, version);
        is_sound.inspect_err(|_| drop_empty_folders(root, &journal))?;
        if self.dry_run {
            say("nothing was changed (--dry-run)");
            return Ok(Outcome::Shown);
        }
        let due_now = node.is_live && plan.needs_restart() && health::is_well();
        let is_due = due_now || (node.is_live && journal.restart_is_due());
        let service = node.service(&plan.distribution);
        let prepared = Prepared { node, plan: &plan, service, version, is_due };
        prepared.apply(&journal)?;
        drop(lock);
        Ok(Outcome::Done(plan.places.bin_dir.join(NAME)))
    }

    /// A kubelet must not get a second pair of flags beside one whose origin is not known here.
    fn refuse_unknown_flags(&self, plan: Plan) -> Result<Plan, Error> {
        let running = health::flags_of_process().filter(|flags| self.node.is_live && !flags.are_absent());
        let Some(flags) = running.filter(|_| plan.distribution.flags.are_absent()) else { return Ok(plan) };
        if plan.flags() == flags || plan.distribution.route == Route::DefaultPath {
            return Ok(plan);
        }
        let name = |value: &Option<String>| value.clone().unwrap_or_default();
        let cause = format!(
            "the kubelet runs with providers in `{}`, `{}`, but nothing that is known here gives it these flags",
            name(&flags.config),
            name(&flags.bin_dir)
        );
        Err(Error::new(Code::NodeUnclear, cause).with_remedy(
            "if you have just removed the flags, restart the kubelet first; else add the provider to its configuration by hand",
        ))
    }

    /// What was found, and what would change.
    fn show(&self, plan: &Plan) {
        let there = &plan.distribution;
        say(&format!("found {}, started by `{}`", there.kind, there.service));
        let by = match &there.places[..] {
            [] if there.route == Route::DefaultPath => "where it looks without being told".to_owned(),
            [] => "which it is not told yet".to_owned(),
            places => format!(
                "by {}",
                places.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
            ),
        };
        say(&format!(
            "configuration in `{}`, program in `{}`, {by}",
            plan.places.config.display(),
            plan.places.bin_dir.display()
        ));
        for note in &plan.notes {
            say(&format!("note: {note}"));
        }
        if plan.changes.is_empty() {
            say("nothing to change");
        }
        let shown: Vec<_> = self.wanted.entry.env.iter().map(|variable| variable.value.clone()).collect();
        for change in &plan.changes {
            say(show_change(change, &shown).trim_end());
        }
    }
}

/// A plan that can be carried out.
struct Prepared<'a> {
    node: &'a Node<'a>,
    plan: &'a Plan,
    service: Service,
    version: Version,
    is_due: bool,
}

impl Prepared<'_> {
    /// From the first change to the kubelet that is well, or back.
    fn apply(&self, journal: &Journal) -> Result<(), Error> {
        let Self { node, plan, service, is_due, .. } = self;
        let due = is_due.then_some(service.name.as_str());
        let made = perform(node.root, &journal.steps(due, &plan.changes));
        if let Err(error) = made.and_then(|()| self.check()) {
            return Err(node.take_back(&error, None));
        }
        let restarts = *is_due && node.restarts;
        if node.is_live && plan.changes_units() && !restarts {
            service.reload()?;
        }
        if restarts {
            node.restart(service, &self.plan.flags())
                .map_err(|error| node.take_back(&error, Some(service)))?;
        } else if *is_due {
            say(&format!("not restarted (--no-restart); to do it: {}", service.restart_in_words()));
            return Ok(());
        } else if node.is_live && plan.needs_restart() {
            say("the kubelet did not run well before, so it is not restarted: it has this when it starts");
        }
        perform(node.root, &Journal::read(node.root)?.settle())
    }

    /// What can be known before the kubelet starts.
    fn check(&self) -> Result<(), Error> {
        let Self { node, plan, .. } = self;
        if node.is_live {
            let paths = plan.changes.iter().map(|change| change.path.as_path());
            service::restore_labels(paths, node.stopwatch);
            service::try_program(&plan.places.bin_dir.join(NAME), node.stopwatch)?;
        }
        check::written(node.root, &plan.places, self.version, node.is_live)?;
        // As the kubelet will get them.
        let found = distribution::flags_in_force(node.root, &plan.distribution);
        let needs_none = plan.distribution.route == Route::DefaultPath && found.are_absent();
        if needs_none || found == self.plan.flags() {
            return Ok(());
        }
        let cause = format!("`{}` would start with other flags: {found:?}", plan.distribution.service);
        Err(Error::new(Code::InstallRefused, cause))
    }
}

fn show_change(change: &Change, shown: &[String]) -> String {
    let path = change.path.display().to_string();
    let text = |state: &State| match state {
        State::Absent => Some(None),
        State::File(content) if content.bytes.len() < diff::LARGEST => {
            String::from_utf8(content.bytes.clone()).ok().map(Some)
        }
        _ => None,
    };
    match (text(&change.before), &change.after, text(&change.after)) {
        (Some(before), State::File(_), Some(after)) => {
            diff::unified(&path, before.as_deref(), after.as_deref(), shown)
        }
        (_, State::Folder(mode), _) => format!("folder {path} (mode {mode:04o})"),
        (_, State::Link(target), _) => format!("link {path} -> {}", target.display()),
        (_, State::File(content), _) => {
            format!("program {path} ({} bytes, mode {:04o})", content.bytes.len(), content.mode)
        }
        _ => format!("remove {path}"),
    }
}

impl Node<'_> {
    fn service(&self, distribution: &Distribution) -> Service {
        Service {
            name: distribution.service_name().to_owned(),
            manager: distribution.manager,
            stopwatch: self.stopwatch,
        }
    }

    /// Restarts the kubelet, and waits until it is well.
    fn restart(&self, service: &Service, flags: &Flags) -> Result<(), Error> {
        say(&format!("restarting {}", service.name));
        service.reload()?;
        service.restart()?;
        health::wait(flags, self.limit, self.stopwatch).map_err(|reason| {
            let words =
                service.last_words().map(|words| format!("; its journal: {words}")).unwrap_or_default();
            Error::new(Code::RolledBack, format!("{reason}{words}"))
        })?;
        say("the kubelet is well");
        Ok(())
    }

    /// The flags that the kubelet gets when it starts, if that is known.
    fn flags_in_force(&self) -> Flags {
        let found = distribution::detect(self.root, self.kind);
        found.map(|found| distribution::flags_in_force(self.root, &found)).unwrap_or_default()
    }

    /// Undoes what is not known to be good, because of `error`, and restarts the kubelet if it had been restarted.
    fn take_back(&self, error: &Error, restarted: Option<&Service>) -> Error {
        say(&format!("taking everything back: {}", error.cause()));
        let undone = self.undo_unsettled();
        let back = undone
            .and_then(|()| restarted.map_or(Ok(()), |service| self.restart(service, &self.flags_in_force())));
        match (back, restarted) {
            (Ok(()), None) => error.clone(),
            (Ok(()), Some(_)) => Error::new(Code::RolledBack, error.cause()),
            (Err(second), _) => {
                Error::new(Code::RollbackFailed, format!("{}; and then {}", error.cause(), second.cause()))
            }
        }
    }

    fn undo_unsettled(&self) -> Result<(), Error> {
        let journal = Journal::read(self.root)?;
        let undo = undo::plan(self.root, &journal.unsettled())?;
        refuse_stuck(&undo, Code::RollbackFailed)?;
        perform(self.root, &undo.steps)?;
        let is_first = journal.entries().len() == journal.unsettled().len();
        let rest = if is_first { Journal::remove(self.root) } else { journal.forget_unsettled() };
        perform(self.root, &rest)
    }
}

/// `uninstall`.
#[derive(Debug)]
pub(crate) struct Uninstall<'a> {
    pub(crate) node: Node<'a>,
    pub(crate) dry_run: bool,
}

impl Uninstall<'_> {
    pub(crate) fn run(&self) -> Result<(), Error> {
        let node = &self.node;
        let _lock = Lock::take(node.root)?;
        let journal = Journal::read(node.root)?;
        if journal.is_empty() {
            say("nothing to undo: `install` has changed nothing here");
            return if self.dry_run { Ok(()) } else { perform(node.root, &Journal::remove(node.root)) };
        }
        let undo = undo::all(node.root, &journal)?;
        refuse_stuck(&undo, Code::Edited)?;
        for path in &undo.paths {
            say(&format!("back to what was there: {}", path.display()));
        }
        for path in &undo.left {
            say(&format!("left as it is, because it was edited after `install`: {}", path.display()));
        }
        if self.dry_run {
            say("nothing was changed (--dry-run)");
            return Ok(());
        }
        let needs_restart = node.is_live && undo.paths.iter().any(|path| plan::is_read_at_start(path));
        let was_well = needs_restart && health::is_well();
        perform(node.root, &undo.steps)?;
        if needs_restart {
            self.restart(was_well)?;
        }
        perform(node.root, &Journal::remove(node.root))
    }

    fn restart(&self, was_well: bool) -> Result<(), Error> {
        let node = &self.node;
        let found = distribution::detect(node.root, node.kind);
        let found = found.map_err(|unknown| {
            let cause = format!("the files are back, but which service is it: {unknown}");
            Error::new(Code::ServiceManager, cause)
                .with_remedy("restart the kubelet by hand, then run `uninstall` again")
        })?;
        let service = node.service(&found);
        if !node.restarts {
            say(&format!("not restarted (--no-restart); to do it: {}", service.restart_in_words()));
            return Ok(());
        }
        if !was_well {
            return service.reload();
        }
        let outcome = node.restart(&service, &node.flags_in_force());
        outcome.map_err(|error| Error::new(Code::ServiceManager, error.cause()))
    }
}

fn refuse_stuck(undo: &Undo, code: Code) -> Result<(), Error> {
    if undo.stuck.is_empty() {
        return Ok(());
    }
    let paths: Vec<_> = undo.stuck.iter().map(|path| format!("`{}`", path.display())).collect();
    let cause = format!("{} cannot be told apart from our part; nothing was undone", paths.join(", "));
    let remedy = format!(
        "remove what `install` added there by hand (the two --image-credential-provider flags, or the provider `{NAME}`), or \
         put back the file's original from `{}/originals`; then run `uninstall` again",
        journal::FOLDER
    );
    Err(Error::new(code, cause).with_remedy(remedy))
}

fn perform(root: &Path, steps: &[Step]) -> Result<(), Error> {
    steps.iter().try_for_each(|step| step.perform(root))
}

/// The folder of the journal has to be there to be locked.
fn take_lock(root: &Path) -> Result<Option<Lock>, Error> {
    for (folder, mode) in [(journal::OWN_FOLDER, 0o755), (journal::FOLDER, 0o700)] {
        let missing = Path::new(folder).ancestors().filter(|folder| !root::on(root, folder).exists());
        let missing: Vec<_> = missing.map(Path::to_owned).collect();
        for folder in missing.into_iter().rev() {
            Step::MakeFolder(folder, mode).perform(root)?;
        }
    }
    Lock::take(root)
}

/// After a run that found that it can do nothing.
fn drop_empty_folders(root: &Path, journal: &Journal) {
    if journal.is_empty() {
        let _ = perform(root, &Journal::remove(root));
    }
}

/// Nobody may read it any more; the run goes on.
fn say(line: &str) {
    let _ = host::write_stdout(format!("{line}\n").as_bytes());
}
