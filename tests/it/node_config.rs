//! `generate`, and the folder node-config: its files are what `generate` prints, and what the kubelet takes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ecr_credential_provider::image::ImageReference;
use ecr_credential_provider::node::check::{Checked, Subject, check};
use ecr_credential_provider::node::version::Version;
use ecr_credential_provider::pattern::Pattern;
use serde_json::Value;
use snapbox::{Data, assert_data_eq};
use stand_in::aws::{ACCESS_KEY_ID, Aws, SECRET_ACCESS_KEY};

use crate::host_forms::FORMS;
use crate::plugin::{HOST, IMAGE, Outcome, Plugin, repository_file};

type Kept = &'static [(&'static str, &'static str)];

/// Folder of node-config, arguments of `generate`, and which of the files that it makes are kept, as what.
///
/// `SNAPSHOTS=overwrite cargo test --test it node_config` writes them anew.
const GENERATED: &[(&str, &str, Kept)] = &[
    ("", "config", &[("credential-provider-config.yaml", "credential-provider-config.yaml")]),
    (
        "identity",
        "config --profile pull-role --config-file /etc/ecr-credential-provider/aws-config",
        &[("credential-provider-config.yaml", "profile.yaml")],
    ),
    ("identity", ROLES_ANYWHERE, &[("credential-provider-config.yaml", "roles-anywhere.yaml")]),
    ("identity", ROLES_ANYWHERE_SETTINGS, &[("config.yaml", "roles-anywhere-settings.yaml")]),
    ("identity", "config --service-account", &[("credential-provider-config.yaml", "service-account.yaml")]),
    (
        "identity",
        "config --service-account --credentials-file /etc/ecr-credential-provider/credentials",
        &[("credential-provider-config.yaml", "service-account-or-key.yaml")],
    ),
    ("identity", "rbac --service-account", &[("rbac.yaml", "service-account-rbac.yaml")]),
    ("identity", "config --instance-role", &[("credential-provider-config.yaml", "instance-role.yaml")]),
    ("kubeadm-new", "kubeadm --api v1beta4", &[("kubeadm.yaml", "kubeadm-v1beta4.yaml")]),
    ("kubeadm-new", "kubeadm --api v1beta3", &[("kubeadm.yaml", "kubeadm-v1beta3.yaml")]),
    (
        "kubeadm-existing",
        "drop-in",
        &[("20-ecr-credential-provider.conf", "20-ecr-credential-provider.conf")],
    ),
    ("k3s", "k3s", &[("credential-provider-config.yaml", "config.yaml")]),
    ("rke2", "rke2", &[("credential-provider-config.yaml", "config.yaml")]),
    ("k0s", "k0s", &[("k0sctl.yaml", "k0sctl.yaml")]),
    (
        "microk8s",
        "microk8s",
        &[
            ("launch-configuration.yaml", "launch-configuration.yaml"),
            ("credential-provider-config.yaml", "credential-provider-config.yaml"),
        ],
    ),
    ("talos", "talos", &[("machine-config.yaml", "machine-config.yaml")]),
    ("talos", "talos --api document", &[("machine-config.yaml", "machine-config-1.14.yaml")]),
    ("kubespray", "kubespray", &[("ecr-credential-provider.yml", "ecr-credential-provider.yml")]),
    (
        "cluster-api",
        CLUSTER_API_V1BETA2,
        &[("kubeadm-config-template.yaml", "kubeadm-config-template-v1beta2.yaml")],
    ),
    (
        "cluster-api",
        CLUSTER_API_V1BETA1,
        &[("kubeadm-config-template.yaml", "kubeadm-config-template-v1beta1.yaml")],
    ),
    ("cloud-init", CLOUD_INIT_KUBEADM, &[("user-data.yaml", "user-data-kubeadm.yaml")]),
    ("cloud-init", CLOUD_INIT_K3S, &[("user-data.yaml", "user-data-k3s.yaml")]),
    ("daemonset", "daemonset", &[("daemonset.yaml", "daemonset.yaml")]),
    ("daemonset", "daemonset --dry-run", &[("daemonset-dry-run.yaml", "daemonset-dry-run.yaml")]),
    ("cloud-init", CLOUD_INIT_RKE2, &[("user-data.yaml", "user-data-rke2.yaml")]),
];

macro_rules! download {
    ($command:literal) => {
        concat!(
            $command,
            " --binary-url https://downloads.corp.example/ecr-credential-provider",
            " --binary-sha256 0000000000000000000000000000000000000000000000000000000000000000"
        )
    };
}

macro_rules! roles_anywhere {
    ($command:literal) => {
        concat!(
            $command,
            " --trust-anchor-arn arn:aws:rolesanywhere:eu-central-1:111122223333:trust-anchor/a1b2c3d4-5678-90ab-cdef-111111111111",
            " --profile-arn arn:aws:rolesanywhere:eu-central-1:111122223333:profile/a1b2c3d4-5678-90ab-cdef-222222222222",
            " --role-arn arn:aws:iam::111122223333:role/ecr-pull"
        )
    };
}

const CLUSTER_API_V1BETA2: &str = download!("cluster-api --api v1beta2");
const CLUSTER_API_V1BETA1: &str = download!("cluster-api --api v1beta1");
const CLOUD_INIT_KUBEADM: &str = download!("cloud-init");
const CLOUD_INIT_K3S: &str = download!("cloud-init --distribution k3s");
const CLOUD_INIT_RKE2: &str = download!("cloud-init --distribution rke2");
const ROLES_ANYWHERE: &str = roles_anywhere!("config");
const ROLES_ANYWHERE_SETTINGS: &str = roles_anywhere!("settings");
const ROLES_ANYWHERE_K3S: &str = roles_anywhere!("K3S");

/// Files that people wrote, beside each README: samples of what is the reader's own, what tools want beside the
/// configuration, and the Ansible role, which has `install` do the work.
const WRITTEN: &[&str] = &[
    "ansible/roles/ecr_credential_provider/defaults/main.yml",
    "ansible/roles/ecr_credential_provider/meta/main.yml",
    "ansible/roles/ecr_credential_provider/tasks/absent.yml",
    "ansible/roles/ecr_credential_provider/tasks/main.yml",
    "ansible/roles/ecr_credential_provider/tasks/present.yml",
    "ansible/site.yml",
    "config.yaml",
    "eks-hybrid/config.yaml",
    "eks/20-ecr-credential-provider.conf",
    "eks/user-data.txt",
    "identity/aws-config",
    "identity/credentials",
];

fn generate(arguments: &str) -> Outcome {
    let arguments: Vec<_> = ["generate"].into_iter().chain(arguments.split(' ')).collect();
    Plugin::bare().args(&arguments).send("")
}

/// What it prints on stdout, alone.
#[track_caller]
fn generated(arguments: &str) -> String {
    let outcome = generate(arguments);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{arguments}: {outcome:#?}");
    outcome.stdout
}

fn node_config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("node-config")
}

/// The files below `folder`, as paths from there.
pub(crate) fn files_below(folder: &Path) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() {
            files.extend(files_below(&path).into_iter().map(|below| format!("{name}/{below}")));
        } else {
            files.insert(name);
        }
    }
    files
}

#[test]
fn the_files_are_what_generate_makes() {
    for (folder, arguments, kept) in GENERATED {
        let made = tempfile::tempdir().expect("a directory");
        let outcome = generate(&format!("{arguments} --output-dir {}", made.path().display()));
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), ""), "{arguments}: {outcome:#?}");
        for (name, kept) in *kept {
            let text = Data::read_from(&made.path().join(name), None);
            assert_data_eq!(text, Data::read_from(&node_config().join(folder).join(kept), None).raw());
        }
    }
}

#[test]
fn no_file_is_there_that_nobody_checks() {
    let made: BTreeSet<String> = GENERATED
        .iter()
        .flat_map(|(folder, _, kept)| {
            kept.iter().map(|(_, name)| Path::new(folder).join(name).display().to_string())
        })
        .collect();
    let is_written = |path: &String| path.ends_with("README.md") || WRITTEN.contains(&path.as_str());
    let unknown: Vec<_> = files_below(&node_config())
        .into_iter()
        .filter(|path| !made.contains(path) && !is_written(path))
        .collect();
    assert_eq!(unknown, [""; 0]);
}

/// What people wrote repeats what is generated only where a page must show it, and then says the same.
#[test]
fn pages_show_what_is_generated() {
    let flags = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| c.is_whitespace() || c == '"' || c == '\'' || c == '`');
        let flags = words.filter_map(|word| Some(&word[word.find("--image-credential-provider-")?..]));
        flags.filter(|flag| flag.contains('=')).map(str::to_owned).collect()
    };
    let page = |name: &str| repository_file(&format!("node-config/{name}"));
    assert_eq!(flags(&page("kubeadm-existing/README.md")), flags(&generated("drop-in")));
    let microk8s = generated("microk8s").replace(".yaml\n", ".yaml ").replace("-config: ", "-config=");
    let microk8s = microk8s.replace("-bin-dir: ", "-bin-dir=");
    assert_eq!(flags(&page("microk8s/README.md")), flags(&microk8s));
    let unit = page("eks/20-ecr-credential-provider.conf");
    let (_, service) = unit.split_once("[Service]").expect("a service");
    assert!(page("eks/user-data.txt").contains(&format!("[Service]{service}END\n")), "{service}");
    for row in GENERATED.iter().map(|(folder, ..)| *folder).filter(|folder| !folder.is_empty()) {
        assert!(page("README.md").contains(&format!("]({row})")), "{row} is not in the index");
    }
}

/// A CredentialProviderConfig, wherever it stands in the file: alone, as a part of a document, or as a text in one.
fn configs_in(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields)
            if fields.get("kind").is_some_and(|kind| kind == "CredentialProviderConfig") =>
        {
            found.push(value.to_string());
        }
        Value::Object(fields) => fields.values().for_each(|value| configs_in(value, found)),
        Value::Array(items) => items.iter().for_each(|value| configs_in(value, found)),
        Value::String(text) if text.contains("\nkind: CredentialProviderConfig\n") => {
            found.push(text.clone());
        }
        _ => (),
    }
}

fn checked(text: &str, version: &str) -> Checked {
    let planned = [(PathBuf::from("/planned.yaml"), text.as_bytes().to_vec())];
    check(&Subject {
        root: "/".as_ref(),
        config: "/planned.yaml".as_ref(),
        bin_dir: None,
        version: version.parse().expect("a version"),
        planned: &planned,
    })
}

/// No kubelet finds anything wrong with it, and it is asked for every form of host name.
#[track_caller]
fn assert_takes_all(text: &str, oldest: &str, name: &str) {
    for version in [oldest, "1.34", &Version::NEWEST.to_string()] {
        let Checked { config, problems } = checked(text, version);
        assert_eq!(problems, [], "{name} with {version}");
        assert_eq!(config.providers.len(), 1, "{name}");
        let patterns: Vec<Pattern> = config.providers[0]
            .match_images
            .iter()
            .map(|pattern| pattern.value.parse().expect("a pattern"))
            .collect();
        let hosts = FORMS.iter().map(|(host, ..)| host).filter(|host| !host.contains(':'));
        for host in hosts {
            let image: ImageReference = format!("{host}/team/app").parse().expect("an image");
            assert!(patterns.iter().any(|pattern| pattern.matches(&image).is_ok()), "{name}: {host}");
        }
    }
}

#[test]
fn every_configuration_is_one_for_every_kubelet_and_every_host() {
    let mut with_one = BTreeSet::new();
    for name in files_below(&node_config()) {
        if !matches!(name.rsplit_once('.'), Some((_, "yaml" | "yml" | "json"))) {
            continue;
        }
        let text = repository_file(&format!("node-config/{name}"));
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).expect(&name);
        let mut configs = Vec::new();
        for document in &documents {
            configs_in(document, &mut configs);
        }
        // With its comments, if it is the whole file.
        let configs = if text.contains("\nkind: CredentialProviderConfig\n") { vec![text] } else { configs };
        for config in configs {
            let oldest = if config.contains("tokenAttributes") { "1.34" } else { "1.26" };
            assert_takes_all(&config, oldest, &name);
            with_one.insert(name.clone());
        }
    }
    let expected = [
        "cloud-init/user-data-k3s.yaml",
        "cloud-init/user-data-kubeadm.yaml",
        "cloud-init/user-data-rke2.yaml",
        "cluster-api/kubeadm-config-template-v1beta1.yaml",
        "cluster-api/kubeadm-config-template-v1beta2.yaml",
        "credential-provider-config.yaml",
        "identity/instance-role.yaml",
        "identity/profile.yaml",
        "identity/roles-anywhere.yaml",
        "identity/service-account-or-key.yaml",
        "identity/service-account.yaml",
        "k3s/config.yaml",
        "microk8s/credential-provider-config.yaml",
        "rke2/config.yaml",
        "talos/machine-config-1.14.yaml",
        "talos/machine-config.yaml",
    ];
    assert_eq!(with_one, expected.map(str::to_owned).into());
}

#[test]
fn each_kubelet_gets_the_versions_that_it_knows() {
    let rows = [("1.24", "v1beta1"), ("v1.25.3", "v1beta1"), ("1.26", "v1"), ("1.37", "v1")];
    for (version, api) in rows {
        let text = generated(&format!("config --kubelet-version {version}"));
        assert!(text.contains(&format!("\napiVersion: kubelet.config.k8s.io/{api}\n")), "{version}: {text}");
        assert!(text.contains(&format!(": credentialprovider.kubelet.k8s.io/{api}\n")), "{version}: {text}");
        assert_eq!(checked(&text, version).problems, [], "{version}");
    }
    for (version, api) in [("1.30", "v1beta3"), ("1.31", "v1beta4")] {
        let text = generated(&format!("kubeadm --kubelet-version {version}"));
        assert_eq!(
            text.matches(&format!("apiVersion: kubeadm.k8s.io/{api}\n")).count(),
            2,
            "{version}: {text}"
        );
    }
}

#[test]
fn kubeadm_writes_the_flags_in_both_forms() {
    let config = "/etc/ecr-credential-provider/credential-provider-config.yaml";
    let bin_dir = "/usr/libexec/ecr-credential-provider";
    let flags =
        [("image-credential-provider-config", config), ("image-credential-provider-bin-dir", bin_dir)];
    let list = flags.map(|(name, value)| serde_json::json!({"name": name, "value": value}));
    let map = serde_json::json!({flags[0].0: config, flags[1].0: bin_dir});
    for (api, expected) in [("v1beta4", Value::from(list.to_vec())), ("v1beta3", map)] {
        let text = generated(&format!("kubeadm --api {api}"));
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
        let kinds: Vec<_> = documents.iter().map(|document| document["kind"].clone()).collect();
        assert_eq!(kinds, ["InitConfiguration", "JoinConfiguration"]);
        for document in documents {
            assert_eq!(document["nodeRegistration"]["kubeletExtraArgs"], expected, "{api}");
        }
    }
}

#[test]
fn json_says_the_same_as_yaml() {
    let (json, yaml) = (generated("config --format json"), generated("config"));
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json, serde_saphyr::from_str::<Value>(&yaml).expect("YAML"));
    assert_takes_all(&json.to_string(), "1.26", "JSON");
}

/// A mirror, with what `config` and `settings` print for it: the kubelet asks us, and gets the registry's password.
#[test]
fn a_mirror_gets_the_password_of_its_registry() {
    let options = format!("--registry {HOST} --mirror registry.corp:5000/sigrid/={HOST}");
    let outcome = generate(&format!("config {options} --public"));
    let note = "note: this needs `/etc/ecr-credential-provider/config.yaml` on the node too: `generate settings` with the same options\n";
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), note));
    let Checked { config, problems } = checked(&outcome.stdout, "1.37");
    let patterns: Vec<_> = config.providers[0].match_images.iter().map(|one| one.value.as_str()).collect();
    assert_eq!(problems, []);
    assert_eq!(patterns, [HOST, "public.ecr.aws", "ecr-public.aws.com", "registry.corp:5000/sigrid/"]);

    let folder = tempfile::tempdir().expect("a directory");
    let settings = folder.path().join("config.yaml");
    fs::write(&settings, generated(&format!("settings {options}"))).expect("written");
    let aws = Aws::start();
    let plugin = Plugin::bare()
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
        .env("AWS_ENDPOINT_URL_ECR", aws.url())
        .env("ECR_CREDENTIAL_PROVIDER_CONFIG", settings.display().to_string());
    let (password, _) = plugin.ask("registry.corp:5000/sigrid/api").credentials();
    assert!(aws.accepts_password(&password));
    // The settings file that has nothing to say is one too.
    fs::write(&settings, generated("settings")).expect("written");
    assert_eq!(plugin.ask(IMAGE).code, Some(0));
}

#[test]
fn the_samples_of_settings_are_read() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("config.yaml");
    let plugin = Plugin::bare().env("ECR_CREDENTIAL_PROVIDER_CONFIG", file.display().to_string());
    let ask = |text: &str| {
        fs::write(&file, text).expect("written");
        plugin.ask("registry.k8s.io/pause")
    };
    assert!(ask("registrys: []").stderr.starts_with("ECRP205"), "it would say so");
    // What they name is not there, which is found out later.
    for name in ["config.yaml", "eks-hybrid/config.yaml", "identity/roles-anywhere-settings.yaml"] {
        let outcome = ask(&repository_file(&format!("node-config/{name}")));
        assert!(!outcome.stderr.starts_with("ECRP205"), "{name}: {outcome:#?}");
    }
    for target in ["k3s", "rke2"] {
        let folder = tempfile::tempdir().expect("a directory");
        let outcome = generate(
            &format!("{ROLES_ANYWHERE_K3S} --output-dir {}", folder.path().display()).replace("K3S", target),
        );
        assert_eq!(outcome.code, Some(0), "{outcome:#?}");
        let text = repository_file(&folder.path().join("config.yaml").display().to_string());
        let key = format!("    privateKey: /var/lib/rancher/{target}/agent/client-kubelet.key\n");
        assert!(text.contains(&key), "{text}");
        let outcome = ask(&text);
        assert!(!outcome.stderr.starts_with("ECRP205"), "{target}: {outcome:#?}");
    }
    let outcome = ask(&generated("settings --service-account --role-annotation ecr.corp.example/role"));
    assert!(outcome.stderr.starts_with("ECRP100"), "{outcome:#?}");
    let text = repository_file("node-config/eks/user-data.txt");
    let (_, rest) = text.split_once("config.yaml <<'END'\n").expect("settings");
    let outcome = ask(rest.split_once("END\n").expect("their end").0);
    assert!(!outcome.stderr.starts_with("ECRP205"), "{outcome:#?}");
}

#[test]
fn identities_go_where_they_are_looked_for() {
    let env = |arguments: &str| -> Vec<(String, String)> {
        let read: Value =
            serde_json::from_str(&generated(&format!("config --format json {arguments}"))).expect("JSON");
        let items = read["providers"][0]["env"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        items.iter().map(|item| (text(&item["name"]), text(&item["value"]))).collect()
    };
    let usual = ("AWS_SHARED_CREDENTIALS_FILE", "/etc/ecr-credential-provider/credentials");
    let rows: [(&str, &[(&str, &str)]); 6] = [
        ("--public", &[usual]),
        ("--profile sigrid", &[("AWS_PROFILE", "sigrid"), usual]),
        ("--profile p --config-file /c", &[("AWS_CONFIG_FILE", "/c"), ("AWS_PROFILE", "p")]),
        ("--credentials-file /k", &[("AWS_SHARED_CREDENTIALS_FILE", "/k")]),
        ("--instance-role", &[]),
        ("--service-account", &[]),
    ];
    for (arguments, expected) in rows {
        let expected: Vec<_> =
            expected.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        assert_eq!(env(arguments), expected, "{arguments}");
    }
}

#[test]
fn what_cannot_be_is_said() {
    let rows = [
        (
            "config --registry registry.corp",
            "`registry.corp` is no host name of ECR; a name of yours in front of one is `--mirror registry.corp=REGISTRY`",
        ),
        ("config --registry *.amazonaws.com", "`*.amazonaws.com` is no host name of ECR; a name of yours"),
        ("config --registry https://public.ecr.aws", "`https://public.ecr.aws`: a pattern has no scheme"),
        ("config --registry public.ecr.aws/a:1", "`public.ecr.aws/a:1`: `/a:1` matches no image"),
        ("config --registry public.ecr.aws/*", "`public.ecr.aws/*`: `*` is no wildcard in a path"),
        ("config --mirror registry.corp", "`--mirror registry.corp`: write NAME=REGISTRY"),
        ("config --mirror registry.corp=docker.io", "`docker.io` is no host name of ECR"),
        ("config --config relative.yaml", "`relative.yaml` is no absolute path"),
        ("drop-in --bin-dir /opt/%i", "`/opt/%i` is no absolute path"),
        (
            "config --service-account --kubelet-version 1.33",
            "--service-account needs kubelets of 1.34 or newer, not 1.33",
        ),
        ("config --kubelet-version 1.19", "invalid value '1.19' for '--kubelet-version <VERSION>'"),
        ("kubeadm --api v1beta2", "--api v1beta2 is not known for this target; there are v1beta4, v1beta3"),
        ("rbac", "rbac is for --service-account"),
        ("cloud-init --binary-url https://x --binary-sha256 abc", "`abc` is no SHA-256"),
        ("cloud-init --binary-url https://x", "the following required arguments were not provided"),
        (
            "config --instance-role --profile p",
            "the argument '--instance-role' cannot be used with '--profile <NAME>'",
        ),
        ("elsewhere", "invalid value 'elsewhere' for '<TARGET>'"),
    ];
    for (arguments, cause) in rows {
        let outcome = generate(arguments);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{arguments}: {outcome:#?}");
        let expected = format!("ECRP001 wrong arguments: {cause}");
        assert!(
            outcome.stderr.starts_with(&expected),
            "{arguments}: {} instead of {expected}",
            outcome.stderr
        );
    }
    let outcome = generate("config --output-dir /dev/null/folder");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""));
    assert!(
        outcome.stderr.starts_with("ECRP220 a file cannot be written: `/dev/null/folder/"),
        "{outcome:#?}"
    );
}
