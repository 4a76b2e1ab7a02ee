//! A run that ends at any point: the next one goes on, and `uninstall` brings back what was there.

use std::path::{Path, PathBuf};

use ecr_credential_provider::generate::config::{ProviderEntry, all_registries};
use ecr_credential_provider::install::files::Step;
use ecr_credential_provider::install::journal::Journal;
use ecr_credential_provider::install::plan::{Plan, Wanted, plan};
use ecr_credential_provider::install::undo;
use ecr_credential_provider::node::version::Version;

use super::root::{Root, STATE, Tree, assert_same, kubeadm_deb, with};

const OTHER: &str = "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n  - name: acr\n    \
    apiVersion: credentialprovider.kubelet.k8s.io/v1\n    matchImages: [\"*.azurecr.io\"]\n    defaultCacheDuration: 10m\n";
const FLAGS: &str = "KUBELET_KUBEADM_ARGS=\"--image-credential-provider-config=/etc/c.yaml --image-credential-provider-bin-dir=/opt/p\"\n";
const K0S: &str = "[Service]\nExecStart=/usr/local/bin/k0s worker\n";

/// Nodes on which a file is made, added to, and replaced.
fn nodes() -> Vec<(&'static str, Vec<(&'static str, &'static str)>)> {
    let merged = [
        ("var/lib/kubelet/kubeadm-flags.env", FLAGS),
        ("etc/c.yaml", OTHER),
        ("opt/p/acr", "#!/bin/sh\n"),
        ("opt/p/ecr-credential-provider", "#!the Go provider\n"),
    ];
    vec![
        ("kubeadm", kubeadm_deb()),
        ("an existing configuration", with(kubeadm_deb(), &merged)),
        ("k0s", vec![("etc/systemd/system/k0sworker.service", K0S)]),
    ]
}

/// A program to install, small.
const PROGRAM: (&str, &str) = ("home/ecr-credential-provider", "#!our program\n");

fn prepare(files: &[(&str, &str)]) -> Root {
    Root::new(&[files, &[PROGRAM]].concat())
}

fn plan_of(root: &Root) -> (Plan, Journal) {
    let journal = Journal::read(root.folder()).expect("a journal");
    let wanted = Wanted {
        entry: ProviderEntry::new(all_registries(true)),
        kind: None,
        missing: Vec::new(),
        settings: None,
        version: Version::NEWEST,
    };
    let plan = plan(root.folder(), &journal, &wanted, &root.path(PROGRAM.0)).expect("a plan");
    (plan, journal)
}

fn steps(root: &Root) -> Vec<Step> {
    let (plan, journal) = plan_of(root);
    journal.steps(None, &plan.changes)
}

fn perform(root: &Root, steps: &[Step]) {
    for step in steps {
        step.perform(root.folder()).unwrap_or_else(|error| panic!("{step:?}: {error}"));
    }
}

/// The first so many steps, the last perhaps in part.
fn perform_some(root: &Root, count: usize, is_torn: bool) {
    let some = &steps(root)[..count];
    perform(root, some);
    if let Some(last) = some.last().filter(|_| is_torn) {
        tear(root, last);
    }
}

/// What the power leaves of the last step.
fn tear(root: &Root, step: &Step) {
    let torn = match step {
        Step::Append(path, line) => Some((path.clone(), line.len() / 2)),
        Step::Write(path, content) => {
            let name =
                format!(".{}.ecr-credential-provider-new", path.file_name().expect("a name").display());
            Some((path.with_file_name(name), content.bytes.len() / 2))
        }
        _ => None,
    };
    if let Some((path, missing)) = torn {
        let path = root.path(path.strip_prefix("/").expect("absolute").to_str().expect("text"));
        let file = std::fs::OpenOptions::new().write(true).open(path).expect("it is there");
        let length = file.metadata().expect("it is there").len();
        file.set_len(length - u64::try_from(missing).expect("small")).expect("cut");
    }
}

/// Without our own folder, and times, which differ.
fn outside(root: &Root) -> Tree {
    let mut tree = root.tree();
    tree.retain(|path, _| !path.starts_with(STATE));
    for content in tree.values_mut() {
        let fields: Vec<_> = content.splitn(5, ' ').map(str::to_owned).collect();
        if let [mode, user, group, _, bytes] = &fields[..] {
            *content = [mode.as_str(), user, group, bytes].join(" ");
        }
    }
    tree
}

#[test]
fn a_run_goes_on_where_another_has_ended() {
    for (name, files) in nodes() {
        let whole = prepare(&files);
        let all = steps(&whole);
        perform(&whole, &all);
        let expected = outside(&whole);
        for (count, is_torn) in (0..=all.len()).flat_map(|count| [(count, false), (count, true)]) {
            let root = prepare(&files);
            perform_some(&root, count, is_torn);
            perform(&root, &steps(&root));
            let what = format!("{name}, after {count} of {} steps", all.len());
            assert_same(&what, &outside(&root), &expected);
            assert_eq!(plan_of(&root).0.changes, [], "{what}");
        }
    }
}

#[test]
fn uninstall_brings_everything_back_from_anywhere() {
    for (name, files) in nodes() {
        let all = steps(&prepare(&files));
        for (count, is_torn) in (0..=all.len()).flat_map(|count| [(count, false), (count, true)]) {
            let root = prepare(&files);
            let original = root.tree();
            perform_some(&root, count, is_torn);
            root.runs(&["uninstall"]);
            assert_same(&format!("{name}, after {count} of {} steps", all.len()), &root.tree(), &original);
        }
    }
}

#[test]
fn uninstall_itself_may_end_anywhere() {
    for (name, files) in nodes() {
        let undoing = |root: &Root| {
            let journal = Journal::read(root.folder()).expect("a journal");
            let undo = undo::all(root.folder(), &journal).expect("a plan");
            assert_eq!((undo.stuck, undo.left), (Vec::<PathBuf>::new(), Vec::new()));
            [undo.steps, Journal::remove(root.folder())].concat()
        };
        let whole = prepare(&files);
        perform(&whole, &steps(&whole));
        let count = undoing(&whole).len();
        for done in 0..=count {
            let root = prepare(&files);
            let original = root.tree();
            perform(&root, &steps(&root));
            let undo = undoing(&root);
            perform(&root, &undo[..done.min(undo.len())]);
            root.runs(&["uninstall"]);
            assert_same(&format!("{name}, after {done} of {count} steps back"), &root.tree(), &original);
        }
    }
}

/// The flags are the last to come, so that a kubelet that starts in between does not miss what they name.
#[test]
fn the_flags_come_last() {
    for (name, files) in nodes().into_iter().filter(|(name, _)| *name != "an existing configuration") {
        let all = steps(&prepare(&files));
        let Some(Step::Put(last)) = all.last() else { panic!("{name}: {:?}", all.last()) };
        let flags = [
            "/etc/default/kubelet",
            "/etc/systemd/system/k0sworker.service.d/zz-ecr-credential-provider.conf",
        ];
        assert!(flags.iter().any(|path| last == Path::new(path)), "{name}: {}", last.display());
    }
}
