//! Which kind of node this is: who starts its kubelet, whether that has the two flags already, and where they go if
//! not.
//!
//! Known by its services and files, not by processes, so that the image of a node is known too.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::flags::Flags;
use super::kubelet::microk8s_flags;
use super::layout::{EXTRA_ARGUMENTS, MICROK8S_ARGUMENTS, OWN_DROP_IN};
use super::on;
use super::unit::{Unit, Variable};
use crate::host;

/// The kinds of nodes whose kubelets differ in how they get flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// A service of its own: kubeadm, EKS, kubespray, and what was made by hand
    Kubelet,
    /// k3s, which has the kubelet inside
    K3s,
    /// RKE2
    Rke2,
    /// MicroK8s, a snap
    Microk8s,
    /// k0s
    K0s,
}

/// A node, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// Its kind.
    pub kind: Kind,
    /// The service that starts the kubelet.
    pub service: String,
    /// Who starts services.
    pub manager: Manager,
    /// The service without our drop-in; none with OpenRC, and of MicroK8s.
    pub unit: Option<Unit>,
    /// The flags that it has, but for those of our drop-in.
    pub flags: Flags,
    /// The files that they are in.
    pub places: Vec<PathBuf>,
    /// Where to put flags.
    pub route: Route,
}

/// Who starts services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    /// `systemctl`
    Systemd,
    /// `rc-service`, as on Alpine.
    OpenRc,
}

/// Where flags go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// To `KUBELET_EXTRA_ARGS` in this environment file.
    EnvironmentFile(PathBuf),
    /// To a drop-in of our own, which must repeat the command line.
    DropIn {
        /// The drop-in.
        file: PathBuf,
        /// Why not to a file that there is.
        because: String,
    },
    /// To a file with a flag on each line.
    ArgumentsFile(PathBuf),
    /// Nowhere: there is a path that holds without flags.
    DefaultPath,
}

/// Why a node is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// Nothing starts a kubelet.
    #[error("no service of a kubelet, k3s, RKE2, MicroK8s or k0s is installed")]
    Nothing,
    /// Not the kind that was named.
    #[error("{0} is not installed")]
    NotThis(Kind),
    /// More than one thing does.
    #[error("{} are installed", .0.iter().map(|(kind, service)| format!("{kind} (`{service}`)")).collect::<Vec<_>>().join(" and "))]
    Several(Vec<(Kind, String)>),
}

pub(crate) const EXTRA_ARGS: &str = "KUBELET_EXTRA_ARGS";
/// The option of k0s that holds flags of the kubelet.
pub(crate) const K0S_OPTION: &str = "--kubelet-extra-args";

const SERVICES: [(Kind, &str); 8] = [
    (Kind::Microk8s, "snap.microk8s.daemon-kubelite.service"),
    (Kind::K3s, "k3s.service"),
    (Kind::K3s, "k3s-agent.service"),
    (Kind::Rke2, "rke2-server.service"),
    (Kind::Rke2, "rke2-agent.service"),
    (Kind::K0s, "k0sworker.service"),
    (Kind::K0s, "k0scontroller.service"),
    (Kind::Kubelet, "kubelet.service"),
];

/// Finds out, or believes who says so.
pub fn detect(root: &Path, named: Option<Kind>) -> Result<Distribution, Unknown> {
    let is_wanted = |kind: Kind| named.is_none_or(|named| named == kind);
    let candidates = SERVICES.iter().filter(|(kind, _)| is_wanted(*kind));
    let mut found: Vec<Distribution> =
        candidates.filter_map(|(kind, service)| Distribution::of(root, *kind, service)).collect();
    if found.len() > 1 {
        // Both services of RKE2 come with either, and a kubelet's package may be left over.
        let enabled = |one: &Distribution| Unit::is_enabled(root, &one.service);
        if found.iter().any(enabled) {
            found.retain(enabled);
        }
    }
    match (found.pop(), named) {
        (Some(one), _) if found.is_empty() => Ok(one),
        (Some(one), _) => {
            found.push(one);
            Err(Unknown::Several(found.into_iter().map(|one| (one.kind, one.service)).collect()))
        }
        (None, Some(kind)) => Err(Unknown::NotThis(kind)),
        (None, None) => Err(Unknown::Nothing),
    }
}

/// The flags that the service starts with, whoever gives them.
pub fn flags_in_force(root: &Path, distribution: &Distribution) -> Flags {
    let Distribution { kind, service, .. } = distribution;
    match kind {
        Kind::Microk8s => microk8s_flags(root),
        _ => flags_of(&words_of(root, *kind, Unit::read(root, service, None).as_ref())).0,
    }
}

/// All words among which the flags may be.
fn words_of(root: &Path, kind: Kind, unit: Option<&Unit>) -> Vec<(String, PathBuf)> {
    let words = unit.map(|unit| unit.words(root)).unwrap_or_default();
    match kind {
        Kind::Kubelet => words,
        Kind::K3s => rancher_words(root, "k3s", words),
        Kind::Rke2 => rancher_words(root, "rke2", words),
        Kind::K0s => k0s_words(words),
        Kind::Microk8s => Vec::new(),
    }
}

impl Distribution {
    /// None if there is no such service here, or it runs no kubelet.
    fn of(root: &Path, kind: Kind, service: &str) -> Option<Self> {
        let drop_in = own_drop_in(service);
        let unit = Unit::read(root, service, Some(&drop_in));
        let name = service.trim_end_matches(".service");
        let manager =
            if unit.is_some() || kind == Kind::Microk8s { Manager::Systemd } else { Manager::OpenRc };
        let is_there = match kind {
            Kind::Microk8s => on(root, MICROK8S_ARGUMENTS).is_file(),
            Kind::K0s => unit.as_ref().is_some_and(runs_a_kubelet),
            Kind::K3s => unit.is_some() || on(root, format!("/etc/init.d/{name}")).is_file(),
            Kind::Rke2 | Kind::Kubelet => unit.is_some(),
        };
        if !is_there {
            return None;
        }
        let (mut flags, mut places) = flags_of(&words_of(root, kind, unit.as_ref()));
        if kind == Kind::Microk8s {
            flags = microk8s_flags(root);
            places = vec![MICROK8S_ARGUMENTS.into()];
        }
        let route = match (kind, &unit) {
            (Kind::Kubelet, Some(unit)) => route_to_kubelet(root, unit, drop_in),
            (Kind::Microk8s, _) => Route::ArgumentsFile(MICROK8S_ARGUMENTS.into()),
            (Kind::K0s, _) => {
                Route::DropIn { file: drop_in, because: "k0s takes them in its own command line".into() }
            }
            _ => Route::DefaultPath,
        };
        if flags.are_absent() {
            places.clear();
        }
        Some(Self { kind, service: service.to_owned(), manager, unit, flags, places, route })
    }

    /// Our drop-in for its service.
    pub fn drop_in(&self) -> PathBuf {
        own_drop_in(&self.service)
    }

    /// The service's name, as people write it.
    pub fn service_name(&self) -> &str {
        self.service.strip_suffix(".service").unwrap_or(&self.service)
    }
}

fn own_drop_in(service: &str) -> PathBuf {
    Path::new("/etc/systemd/system").join(format!("{service}.d")).join(OWN_DROP_IN)
}

/// A controller may be a worker, too.
fn runs_a_kubelet(unit: &Unit) -> bool {
    unit.name == "k0sworker.service"
        || super::unit::split(&unit.command).iter().any(|word| {
            matches!(word.as_str(), "--enable-worker" | "--enable-worker=true" | "--single" | "--single=true")
        })
}

/// All the words decide; a file is named if it has one of the flags.
fn flags_of(words: &[(String, PathBuf)]) -> (Flags, Vec<PathBuf>) {
    let flags = Flags::of_words(words.iter().map(|(word, _)| word.as_str()));
    let mut places: Vec<PathBuf> = Vec::new();
    for (word, file) in words {
        let is_one = word.replace('_', "-").trim_start_matches('-').starts_with("image-credential-provider-");
        if is_one && !places.contains(file) {
            places.push(file.clone());
        }
    }
    (flags, places)
}

fn route_to_kubelet(root: &Path, unit: &Unit, drop_in: PathBuf) -> Route {
    let own = |because: String| Route::DropIn { file: drop_in, because };
    if !unit.takes(EXTRA_ARGS) {
        return own(format!("the command line of `{}` has no ${EXTRA_ARGS}", unit.name));
    }
    match unit.variable(root, EXTRA_ARGS) {
        Some(Variable { file, is_in_environment_file: true, .. }) if file.starts_with("/etc") => {
            Route::EnvironmentFile(file)
        }
        Some(Variable { file, is_in_environment_file: true, .. }) => {
            own(format!("`{}`, which sets {EXTRA_ARGS}, is not below /etc", file.display()))
        }
        Some(Variable { file, .. }) => own(format!(
            "`{}` sets {EXTRA_ARGS} by Environment=, which an environment file would erase",
            file.display()
        )),
        None => {
            let is_for_administrators =
                |file: &&PathBuf| EXTRA_ARGUMENTS.iter().any(|known| Path::new(known) == *file);
            match unit.environment_files.iter().rfind(is_for_administrators) {
                Some(file) => Route::EnvironmentFile(file.clone()),
                None => own(format!("`{}` reads no environment file for {EXTRA_ARGS}", unit.name)),
            }
        }
    }
}

/// The words of `--kubelet-arg`, on the command line and in the configuration, are flags without dashes.
fn rancher_words(root: &Path, product: &str, words: Vec<(String, PathBuf)>) -> Vec<(String, PathBuf)> {
    let as_flag = |word: String| match word.strip_prefix("--kubelet-arg=").unwrap_or(&word) {
        value if value.starts_with("image-credential-provider-") => format!("--{value}"),
        value => value.to_owned(),
    };
    let mut all: Vec<_> = words.into_iter().map(|(word, file)| (as_flag(word), file)).collect();
    for file in rancher_files(root, product) {
        let bytes = host::read_file(&on(root, &file)).unwrap_or_default();
        let options = serde_saphyr::options! { no_schema: false, with_snippet: false };
        let Ok(config) = serde_saphyr::from_slice_with_options::<Rancher>(&bytes, options) else { continue };
        let named = [("config", config.config), ("bin-dir", config.bin_dir)].into_iter();
        let named =
            named.filter_map(|(name, value)| Some(format!("image-credential-provider-{name}={}", value?)));
        let arguments = [config.kubelet_arg, config.more_kubelet_arg].into_iter().flatten();
        let arguments = named.chain(arguments.flat_map(OneOrMore::into_vec));
        all.extend(arguments.map(|word| (as_flag(word), file.clone())));
    }
    all
}

fn rancher_files(root: &Path, product: &str) -> Vec<PathBuf> {
    let folder = Path::new("/etc/rancher").join(product);
    let more = folder.join("config.yaml.d");
    let mut names = host::list_directory(&on(root, &more)).unwrap_or_default();
    names.retain(|name| Path::new(name).extension().is_some_and(|end| end == "yaml" || end == "yml"));
    names.sort();
    std::iter::once(folder.join("config.yaml")).chain(names.into_iter().map(|name| more.join(name))).collect()
}

/// What concerns us in the configuration of k3s and RKE2.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Rancher {
    #[serde(rename = "image-credential-provider-config")]
    config: Option<String>,
    #[serde(rename = "image-credential-provider-bin-dir")]
    bin_dir: Option<String>,
    #[serde(rename = "kubelet-arg")]
    kubelet_arg: Option<OneOrMore>,
    #[serde(rename = "kubelet-arg+")]
    more_kubelet_arg: Option<OneOrMore>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::More(more) => more,
        }
    }
}

/// The flags within the option.
fn k0s_words(words: Vec<(String, PathBuf)>) -> Vec<(String, PathBuf)> {
    let mut inner = Vec::new();
    let mut is_next = false;
    for (word, file) in words {
        let value = match word.strip_prefix(K0S_OPTION).map(|rest| rest.strip_prefix('=')) {
            Some(Some(value)) => value.to_owned(),
            Some(None) if word == K0S_OPTION => {
                is_next = true;
                continue;
            }
            _ if is_next => word,
            _ => continue,
        };
        is_next = false;
        // The last option holds alone.
        inner = super::unit::split(&value).into_iter().map(|flag| (flag, file.clone())).collect();
    }
    inner
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kubelet => "a kubelet",
            Self::K3s => "k3s",
            Self::Rke2 => "RKE2",
            Self::Microk8s => "MicroK8s",
            Self::K0s => "k0s",
        })
    }
}
