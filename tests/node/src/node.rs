//! A node: containerd, a registry, AWS, and a kubelet that can be started with any provider configuration.
//!
//! Our binary, its configuration and its key file are where the README puts them.

use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use hyper::Request;
use hyper::body::Bytes;
use jiff::SignedDuration;
use serde_json::Value;
use stand_in::aws::{ACCESS_KEY_ID, Aws, SECRET_ACCESS_KEY};
use stand_in::cases::World;
use stand_in::distribution::Distribution;
use stand_in::http;
use stand_in::images::Image;
use stand_in::process::{Process, SOON, eventually, read, run, write};
use stand_in::tls::TestCa;
use stand_in::vendor::{NAMESPACE, PAUSE, REGISTRY, TAG, push_images};

use crate::judge::Judge;
use crate::service;

/// The pause image, from the same registry.
pub(crate) const SANDBOX: &str =
    "571600876202.dkr.ecr.eu-central-1.amazonaws.com/softwareimprovementgroup/pause:1";

pub(crate) const BIN_DIR: &str = "/usr/libexec/ecr-credential-provider";
const CONFIG: &str = "/etc/ecr-credential-provider/credential-provider-config.yaml";
pub(crate) const KEY_FILE: &str = "/etc/ecr-credential-provider/credentials";
/// Where the plugin keeps tokens, as root.
pub(crate) const CACHE: &str = "/run/ecr-credential-provider";
const MANIFESTS: &str = "/etc/kubernetes/manifests";
/// The kubelet's port for those who may only read.
const KUBELET: &str = "127.0.0.1:10255";

/// Where things are outside.
pub(crate) struct Places {
    pub(crate) work: PathBuf,
    pub(crate) tools: PathBuf,
    pub(crate) repository: PathBuf,
    pub(crate) cgroup: String,
}

impl Places {
    #[expect(clippy::disallowed_methods, reason = "tests/node/run says by environment where things are")]
    fn of_environment() -> Result<Self> {
        let variable = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
        let path = |name: &str| variable(name).map(PathBuf::from);
        Ok(Self {
            work: path("NODE_TEST_WORK")?,
            tools: path("NODE_TEST_TOOLS")?,
            repository: path("NODE_TEST_REPOSITORY")?,
            cgroup: variable("NODE_TEST_CGROUP")?,
        })
    }

    #[expect(clippy::disallowed_methods, reason = "the test reads what was built for it")]
    fn image_program(&self) -> Result<Vec<u8>> {
        std::fs::read(self.tools.join("image-program")).context("reading the program of the images")
    }
}

/// Another containerd.
pub(crate) struct ContainerdTwo {
    /// Has a program `containerd`, which knows its configuration.
    pub(crate) folder: PathBuf,
    pub(crate) socket: PathBuf,
    _process: Process,
}

/// A node that runs.
pub(crate) struct Node {
    pub(crate) aws: Aws,
    places: Places,
    kubelet: Option<Process>,
    password: u32,
    pods: u32,
    storage: Distribution,
    _servers: [Process; 2],
}

impl Node {
    /// The provider configuration that we ship.
    pub(crate) fn shipped_config(&self) -> String {
        read(&self.places.repository.join("node-config/credential-provider-config.yaml"))
    }

    /// From now on the registry wants another password, and AWS issues that one.
    pub(crate) fn change_password(&mut self) -> Result<()> {
        self.password += 1;
        let password = format!("canary-password-{}", self.password);
        self.storage.set_password("AWS", &password)?;
        self.aws.behave(|aws| aws.password = Some(password));
        Ok(())
    }

    /// Starts a kubelet with this provider configuration and waits until it is healthy.
    pub(crate) fn start_kubelet(&mut self, provider_config: &str) -> Result<()> {
        self.start_kubelet_with(provider_config, Path::new(CONFIG))
    }

    /// The same with the configuration in another place.
    pub(crate) fn start_kubelet_with(&mut self, provider_config: &str, path: &Path) -> Result<()> {
        install(&self.places)?;
        write(path, provider_config)?;
        self.launch_kubelet(path, Path::new(BIN_DIR))?;
        self.wait_until_well()
    }

    /// Starts a kubelet that will not stay, and returns its last words.
    pub(crate) fn start_kubelet_that_ends(&mut self, config: &Path, plugins: &Path) -> Result<String> {
        self.launch_kubelet(config, plugins)?;
        let mut kubelet = self.kubelet.take().context("a kubelet")?;
        let status = kubelet.wait()?;
        ensure!(status.code() == Some(1), "the kubelet ended with {status}");
        let log = kubelet.log();
        let marker = " \"Failed to register CRI auth plugins\" err=";
        let words = log.lines().rev().find_map(|line| Some(line.split_once(marker)?.1));
        let words = words.context("the kubelet ended for another reason")?;
        // Quoted, if there is a space in them.
        Ok(serde_json::from_str(words).unwrap_or_else(|_| words.to_owned()))
    }

    fn launch_kubelet(&mut self, config: &Path, plugins: &Path) -> Result<()> {
        self.stop_kubelet()?;
        let mut command = Command::new(self.places.tools.join("kubelet"));
        command
            .args(self.arguments("")?)
            .arg(format!("--image-credential-provider-config={}", config.display()))
            .arg(format!("--image-credential-provider-bin-dir={}", plugins.display()));
        self.kubelet = Some(Process::start("kubelet", &mut command, &self.logs())?);
        Ok(())
    }

    /// The arguments of a kubelet but for those of its providers; `more` goes to its settings.
    fn arguments(&self, more: &str) -> Result<Vec<String>> {
        let settings = self.places.work.join("kubelet.yaml");
        write(&settings, kubelet_settings(&self.places.cgroup) + more)?;
        let others =
            ["--root-dir=/var/lib/kubelet", "--cert-dir=/var/lib/kubelet/pki", "--hostname-override=node1"];
        let config = format!("--config={}", settings.display());
        Ok(std::iter::once(config).chain(others.map(str::to_owned)).collect())
    }

    /// Makes the node one on which nothing of ours is installed but the key, and whose kubelet is a service that runs.
    pub(crate) fn start_service(&mut self, more_settings: &str) -> Result<()> {
        self.stop_kubelet()?;
        for folder in [BIN_DIR, "/var/lib/ecr-credential-provider"] {
            run(Command::new("rm").args(["-rf", folder]))?;
        }
        run(Command::new("rm").args(["-f", CONFIG]))?;
        let arguments = self.arguments(more_settings)?;
        service::set_up(&self.places, &arguments, &self.logs().join("kubelet.log"))?;
        self.kubelet = Some(service::start(&self.logs())?);
        self.wait_until_well()
    }

    /// Waits for a kubelet that says that it is well.
    pub(crate) fn wait_until_well(&mut self) -> Result<()> {
        let kubelet = self.kubelet.as_mut().context("a kubelet")?;
        eventually("a healthy kubelet", SOON, || {
            kubelet.check()?;
            Ok(get("/healthz").ok().filter(|answer| answer == "ok"))
        })
        .map(drop)
    }

    /// The program that was built.
    pub(crate) fn program(&self) -> PathBuf {
        self.places.repository.join("target/release/ecr-credential-provider")
    }

    /// Stops the kubelet, if there is one, and forgets its journal.
    pub(crate) fn stop_kubelet(&mut self) -> Result<()> {
        let journal = self.logs().join("kubelet.log");
        if let Some(kubelet) = self.kubelet.take() {
            kubelet.stop()?;
        }
        let earlier = self.logs().join("kubelet.all.log");
        write(&earlier, read(&earlier) + &read(&journal))?;
        write(&journal, "")
    }

    /// The journal of the kubelet that runs.
    pub(crate) fn journal(&self) -> String {
        self.kubelet.as_ref().map(Process::log).unwrap_or_default()
    }

    /// Waits for a line in the journal that holds `text`.
    pub(crate) fn journal_line(&self, text: &str) -> Result<String> {
        eventually(&format!("`{text}` in the kubelet's journal"), SOON, || {
            Ok(self.journal().lines().find(|line| line.contains(text)).map(str::to_owned))
        })
    }

    /// Has the kubelet run a static pod of an image, and returns the pod's name.
    pub(crate) fn add_pod(&mut self, repository: &str, pull_policy: &str) -> Result<String> {
        self.pods += 1;
        let name = format!("{repository}-{}", self.pods);
        let pod = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: default}}\nspec:\n  hostNetwork: true\n  \
             terminationGracePeriodSeconds: 1\n  containers:\n    - name: main\n      image: {}\n      \
             imagePullPolicy: {pull_policy}\n",
            image(repository)
        );
        // The kubelet looks at a file as soon as it is there, so it must be there as a whole.
        let [hidden, visible] =
            [format!(".{name}"), format!("{name}.yaml")].map(|file| Path::new(MANIFESTS).join(file));
        write(&hidden, pod)?;
        std::fs::rename(hidden, visible)?;
        Ok(format!("{name}-node1"))
    }

    /// Takes all pods away, and waits until they are gone.
    pub(crate) fn remove_pods(&self) -> Result<()> {
        for entry in std::fs::read_dir(MANIFESTS)? {
            std::fs::remove_file(entry?.path())?;
        }
        eventually("the pods to go", SOON, || Ok(self.pods()?.is_empty().then_some(())))
    }

    /// The kubelet's pods, as its API shows them.
    #[expect(clippy::unused_self, reason = "there is one node, but the answer is about this one")]
    pub(crate) fn pods(&self) -> Result<Vec<Value>> {
        let list: Value = serde_json::from_str(&get("/pods")?)?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// Waits until all these pods run.
    pub(crate) fn wait_until_running(&self, pods: &[String]) -> Result<()> {
        let wanted: BTreeSet<_> = pods.iter().map(String::as_str).collect();
        let mut missing = Vec::new();
        let outcome = eventually("pods to run", SOON * 2, || {
            let pods = self.pods()?;
            let running = pods.iter().filter(|pod| state_of(pod)["running"].is_object());
            let running: BTreeSet<_> = running.filter_map(|pod| pod["metadata"]["name"].as_str()).collect();
            missing = wanted.difference(&running).map(ToString::to_string).collect();
            Ok(missing.is_empty().then_some(()))
        });
        outcome.with_context(|| format!("these do not run: {missing:?}"))
    }

    /// Waits until a pod waits for this reason (`ErrImagePull`, say), and returns the message.
    pub(crate) fn wait_until_waiting(&self, pod: &str, reason: &str) -> Result<String> {
        eventually(&format!("{pod} to be in {reason}"), SOON, || {
            let pods = self.pods()?;
            let pod = pods.iter().find(|found| found["metadata"]["name"] == pod);
            let waiting =
                pod.map(|pod| &state_of(pod)["waiting"]).filter(|waiting| waiting["reason"] == reason);
            Ok(waiting.map(|waiting| waiting["message"].as_str().unwrap_or_default().to_owned()))
        })
    }

    /// Starts moto, and returns it with its URL.
    pub(crate) fn start_moto(&self) -> Result<(Process, String)> {
        let port = "5001";
        let mut command = Command::new(self.places.tools.join("moto/bin/moto_server"));
        command.args(["-H", "127.0.0.1", "-p", port]);
        let mut moto = Process::start("moto", &mut command, &self.logs())?;
        let url = format!("127.0.0.1:{port}");
        eventually("moto to listen", SOON, || {
            moto.check()?;
            Ok(std::net::TcpStream::connect(&url).ok())
        })?;
        Ok((moto, format!("http://{url}")))
    }

    /// Starts containerd 2 beside the containerd of the node, for pulling alone.
    pub(crate) fn start_containerd_2(&self) -> Result<ContainerdTwo> {
        let folder = self.places.work.join("containerd-2");
        let (config, socket) = (folder.join("config.toml"), folder.join("containerd.sock"));
        write(&config, containerd_2_settings(&folder, &self.places.work.join("containerd/certs.d")))?;
        // Whoever runs `containerd` with this folder in PATH asks this one.
        let program = folder.join("containerd");
        let script = format!(
            "#!/bin/sh\nexec {} --config {} \"$@\"\n",
            self.tool("containerd-2").display(),
            config.display()
        );
        write(&program, script)?;
        run(Command::new("chmod").arg("0755").arg(&program))?;
        let mut process =
            Process::start("containerd-2", &mut Command::new(&program), &self.places.tools.join("logs"))?;
        let address = socket.display().to_string();
        eventually("containerd 2 to answer", SOON, || {
            process.check()?;
            Ok(run(Command::new("ctr").args(["--address", &address, "version"])).ok())
        })?;
        Ok(ContainerdTwo { folder, socket, _process: process })
    }

    /// A program that was built or installed for the test.
    pub(crate) fn tool(&self, name: &str) -> PathBuf {
        self.places.tools.join(name)
    }

    /// The root of the repository.
    pub(crate) fn repository(&self) -> &Path {
        &self.places.repository
    }

    /// Runs a command of ours on this node, as an administrator does.
    #[expect(clippy::unused_self, reason = "there is one node, but the answer is about this one")]
    pub(crate) fn command(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(format!("{BIN_DIR}/ecr-credential-provider"));
        Ok(command.args(arguments).env("HOME", "/root").output()?)
    }

    /// Changes the configuration of the kubelet under it.
    #[expect(clippy::unused_self, reason = "there is one node, but the configuration is that of this one")]
    pub(crate) fn change_config(&self, from: &str, to: &str) -> Result<()> {
        write(Path::new(CONFIG), read(Path::new(CONFIG)).replacen(from, to, 1))
    }

    /// The kubelet's reader of configurations, without the kubelet.
    pub(crate) fn judge(&self) -> Result<Judge> {
        Judge::start(&self.places.tools.join("register"))
    }

    /// A folder for files that are gone after the test.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.places.work.join(name)
    }

    /// The sum of a counter of the kubelet; 0 if there is none of that name.
    #[expect(clippy::unused_self, reason = "there is one node, but the answer is about this one")]
    pub(crate) fn metric(&self, name: &str) -> Result<u64> {
        let metrics = get("/metrics")?;
        let of_name = |line: &&str| line.split(['{', ' ']).next() == Some(name);
        let values =
            metrics.lines().filter(of_name).filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        Ok(values.sum())
    }

    /// Where containerd, and whoever asks it by hand, finds the CA of a registry.
    pub(crate) fn registry_hosts(&self) -> PathBuf {
        self.places.work.join("containerd/certs.d")
    }

    fn logs(&self) -> PathBuf {
        self.places.tools.join("logs")
    }
}

impl World for Node {
    /// Starts everything but the kubelet.
    fn start() -> Result<Self> {
        let places = Places::of_environment()?;
        let ca = TestCa::new();
        trust(&ca)?;
        let aws = Aws::start_tls_at("127.0.0.2:443".parse()?, &ca);
        let storage = Distribution::new(places.work.join("registry"), places.tools.join("logs"));
        push_images(&storage, &places.image_program()?)?;
        storage.set_password("AWS", "none yet")?;
        let registry = storage.start("registry", "127.0.0.1:443".parse()?, REGISTRY, &ca)?;
        let containerd = start_containerd(&ca, &places)?;
        install(&places)?;
        std::fs::create_dir_all(MANIFESTS)?;
        DirBuilder::new().mode(0o700).create(CACHE)?;
        let servers = [registry, containerd];
        let mut node = Self { aws, places, kubelet: None, password: 0, pods: 0, storage, _servers: servers };
        node.change_password()?;
        Ok(node)
    }

    fn clean_up(&mut self) -> Result<()> {
        self.aws.behave(|aws| {
            aws.fault = None;
            aws.password_life = SignedDuration::from_hours(12);
        });
        if self.kubelet.is_some() {
            self.remove_pods()?;
        }
        run(Command::new(self.program()).args(["cache", "clear"]))?;
        self.stop_kubelet()
    }

    /// The end of the kubelet's journal.
    fn last_words(&self) -> String {
        let journal = self.journal();
        let lines: Vec<_> = journal.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

/// The full name of an image.
pub(crate) fn image(repository: &str) -> String {
    format!("{REGISTRY}/{NAMESPACE}/{repository}:{TAG}")
}

fn state_of(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]["state"]
}

fn get(path: &str) -> Result<String> {
    let request = Request::get(path).header("host", KUBELET).body(Bytes::new())?;
    Ok(String::from_utf8_lossy(http::send(KUBELET.parse()?, request)?.body()).into_owned())
}

/// Adds the test CA to the node's trust store, as an administrator does with the CA of a company.
fn trust(ca: &TestCa) -> Result<()> {
    let store = Path::new("/etc/ssl/certs/ca-certificates.crt");
    write(store, read(store) + &ca.pem())
}

/// What the README has an administrator do.
fn install(places: &Places) -> Result<()> {
    let binary = places.repository.join("target/release/ecr-credential-provider");
    let installed = format!("{BIN_DIR}/ecr-credential-provider");
    run(Command::new("install").args(["-D", "-m", "0755"]).arg(binary).arg(installed))?;
    let key = format!(
        "[default]\naws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n"
    );
    write(Path::new(KEY_FILE), key)?;
    run(Command::new("chmod").args(["0600", KEY_FILE])).map(drop)
}

fn start_containerd(ca: &TestCa, places: &Places) -> Result<Process> {
    let folder = places.work.join("containerd");
    let certs = folder.join("certs.d");
    write(&folder.join("ca.pem"), ca.pem())?;
    let hosts = format!(
        "server = \"https://{REGISTRY}\"\n[host.\"https://{REGISTRY}\"]\ncapabilities = [\"pull\", \"resolve\"]\nca = \"{}\"\n",
        folder.join("ca.pem").display()
    );
    write(&certs.join(REGISTRY).join("hosts.toml"), hosts)?;
    let network = r#"{"cniVersion":"0.3.1","name":"lo","plugins":[{"type":"loopback"}]}"#;
    write(&folder.join("cni/10-lo.conflist"), network)?;
    write(&folder.join("config.toml"), containerd_settings(&folder))?;
    let mut command = Command::new("containerd");
    command.arg("--config").arg(folder.join("config.toml"));
    let mut containerd = Process::start("containerd", &mut command, &places.tools.join("logs"))?;
    eventually("containerd to answer", SOON, || {
        containerd.check()?;
        Ok(run(Command::new("ctr").arg("version")).ok())
    })?;
    let archive = folder.join("sandbox.tar");
    write(&archive, Image::new(&places.image_program()?, PAUSE)?.archive(SANDBOX)?)?;
    run(Command::new("ctr").args(["--namespace", "k8s.io", "images", "import"]).arg(archive))?;
    Ok(containerd)
}

fn containerd_settings(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        r#"version = 2
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{SANDBOX}"
# Lowering a score needs a capability that a machine for tests may lack.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{folder}/cni"
conf_dir = "{folder}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "{folder}/certs.d"
"#
    )
}

fn containerd_2_settings(folder: &Path, certs: &Path) -> String {
    let (folder, certs) = (folder.display(), certs.display());
    format!(
        r#"version = 3
root = "{folder}/root"
state = "{folder}/state"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.erofs"]
[grpc]
address = "{folder}/containerd.sock"
[ttrpc]
address = "{folder}/ttrpc.sock"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "{SANDBOX}"
[plugins.'io.containerd.cri.v1.images'.registry]
config_path = "{certs}"
"#
    )
}

/// A kubelet without an API server: it runs the pods of a folder.
fn kubelet_settings(cgroup: &str) -> String {
    format!(
        "apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
staticPodPath: {MANIFESTS}
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
volumePluginDir: /var/lib/kubelet/volumeplugins
# Pulls at the same time, as a node that boots does them.
serializeImagePulls: false
registryPullQPS: 0
address: 127.0.0.1
readOnlyPort: 10255
authentication: {{anonymous: {{enabled: true}}, webhook: {{enabled: false}}}}
authorization: {{mode: AlwaysAllow}}
# What a machine for tests may not have or must not lose.
failCgroupV1: false
failSwapOn: false
cgroupDriver: cgroupfs
cgroupRoot: /{cgroup}
oomScoreAdj: 0
makeIPTablesUtilChains: false
localStorageCapacityIsolation: false
imageGCHighThresholdPercent: 100
evictionHard: {{memory.available: 1Mi}}
"
    )
}
