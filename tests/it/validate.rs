//! `validate`: it comes to what the kubelet comes to, and says all of it.

#[path = "../node/src/agreement.rs"]
mod agreement;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::Value;
use stand_in::configurations;

use crate::plugin::{Outcome, Plugin};

/// The words of the table are the kubelet's; the node test compares them with a kubelet.
#[test]
fn agrees_with_the_kubelet() {
    let folder = tempfile::tempdir().expect("a directory");
    let plugins = folder.path().join("plugins");
    configurations::make_plugins(&plugins).expect("made");
    let rows = configurations::all();
    for (index, row) in rows.iter().enumerate() {
        let config = row.write(&folder.path().join(index.to_string())).expect("written");
        let checked = agreement::check(&config, &plugins);
        let (theirs, ours) = (agreement::of_words(row.words), agreement::of_checked(&checked));
        assert_eq!(ours, theirs, "{}: {}\n{:#?}", row.name, row.words, checked.problems);
        assert_eq!(checked.starts(), row.words.is_empty(), "{}", row.name);
    }
    let good = rows.iter().filter(|row| row.words.is_empty()).count();
    assert!(good >= 20 && rows.len() - good >= 40, "{good} of {} are good", rows.len());
}

const CONFIG: &str = "\
apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: ecr-credential-provider
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  matchImages: ['*.dkr.ecr.*.amazonaws.com', 'registry.corp:5000']
  defaultCacheDuration: 0s
";

/// A folder with files, as it is called in the output.
struct World(tempfile::TempDir);

impl World {
    fn new(files: &[(&str, &str)]) -> Self {
        let world = Self(tempfile::tempdir().expect("a directory"));
        for (name, text) in files {
            let path = world.path(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("created");
            fs::write(path, text.replace("FOLDER", &world.0.path().display().to_string())).expect("written");
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn validate(&self, arguments: &[&str]) -> Outcome {
        let folder = self.0.path().display().to_string();
        let arguments: Vec<_> =
            arguments.iter().map(|argument| argument.replace("FOLDER", &folder)).collect();
        let arguments: Vec<_> =
            ["validate"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
        Plugin::bare().args(&arguments).send("").masking(&folder, "FOLDER")
    }
}

/// The end of stderr, after the counts.
const REMEDY: &str = "; correct what is named on stdout, then validate again before the kubelet restarts";

fn errors(counts: &str) -> String {
    format!("ECRP208 the configuration has errors: {counts}{REMEDY}")
}

#[test]
fn says_all_at_once() {
    let text = CONFIG.to_owned()
        + "  args: [yes]\n  nmae: x\n- name: other\n  matchImages: []\n  env: [{name: A, value: 7, valueFrom: b}]\n";
    let world = World::new(&[(
        "c.yaml",
        &text.replace("0s", "12 hours").replace("'registry.corp", "'https://registry.corp"),
    )]);
    let expected = "\
FOLDER/c.yaml:6:46: warning: a pattern has no scheme: the kubelet takes what stands before `://` for the host name; leave out the scheme
FOLDER/c.yaml:7:25: error: `providers[0].defaultCacheDuration` is no duration: the unit ` hours` is unknown (h, m, s, ms); write it as Go does: `0s`, `10m`, `12h`
FOLDER/c.yaml:8:10: error: `providers[0].args[0]` must be text, but it is a truth value; put it in quotes
FOLDER/c.yaml:9:3: error: unknown field `providers[0].nmae`; write `name`
FOLDER/c.yaml:10:9: error: `providers[1].apiVersion` is missing; add `apiVersion: credentialprovider.kubelet.k8s.io/v1`
FOLDER/c.yaml:10:9: error: `providers[1].matchImages` is missing; add `matchImages: [\"*.dkr.ecr.*.amazonaws.com\"]`
FOLDER/c.yaml:10:9: error: `providers[1].defaultCacheDuration` is missing; add `defaultCacheDuration: 0s`
FOLDER/c.yaml:12:26: error: `providers[1].env[0].value` must be text, but it is a number; put it in quotes
FOLDER/c.yaml:12:29: error: unknown field `providers[1].env[0].valueFrom`; write `value`
a kubelet 1.37 would not start with FOLDER/c.yaml (2 providers): 8 errors, 1 warning
";
    world.validate(&["--kubelet-version", "1.37", "FOLDER/c.yaml"]).is(
        1,
        expected,
        &errors("8 errors, 1 warning"),
    );
    // Before 1.32 unknown fields were no reason to end.
    let old = world.validate(&["--kubelet-version", "v1.31.4+k3s1", "FOLDER/c.yaml"]);
    assert!(
        old.stdout
            .contains("c.yaml:9:3: warning: unknown field `providers[0].nmae`, which the kubelet ignores"),
        "{old:#?}"
    );
    assert!(old.stderr.contains(": 6 errors, 3 warnings;"), "{old:#?}");
}

#[test]
fn a_good_configuration_and_its_images() {
    let world = World::new(&[("c.yaml", CONFIG), ("config.yaml", SETTINGS)]);
    let with_settings =
        CONFIG.to_owned() + "  env: [{name: ECR_CREDENTIAL_PROVIDER_CONFIG, value: FOLDER/config.yaml}]\n";
    fs::write(world.path("c.yaml"), with_settings.replace("FOLDER", &world.0.path().display().to_string()))
        .expect("written");
    let image = "571600876202.dkr.ecr.eu-central-1.amazonaws.com/team/app";
    let arguments = [
        "--kubelet-version",
        "1.34",
        "--image",
        image,
        "--image",
        "registry.corp:5000/app:1",
        "FOLDER/c.yaml",
    ];
    let expected = format!("\
image {image}: the kubelet asks `ecr-credential-provider` by `*.dkr.ecr.*.amazonaws.com`
image registry.corp:5000/app:1: the kubelet asks `ecr-credential-provider` by `registry.corp:5000`; the settings file has `registries[0]` for it; it gets the password of `571600876202.dkr.ecr.eu-central-1.amazonaws.com`
a kubelet 1.34 would start with FOLDER/c.yaml (1 provider): nothing is wrong
");
    world.validate(&arguments).is(0, &expected, "");

    let expected = "\
image registry.corp/app: error: no pattern matches, the kubelet asks no provider; the nearest is `registry.corp:5000` of `ecr-credential-provider`, but the pattern has port 5000, the image has no port
a kubelet 1.34 would start with FOLDER/c.yaml (1 provider): nothing is wrong
";
    let arguments = ["--kubelet-version", "1.34", "--image", "registry.corp/app", "FOLDER/c.yaml"];
    let not_asked = "ECRP209 no password would come for an image: `registry.corp/app`; add a pattern for it to \
                     `matchImages` of the CredentialProviderConfig, or a rule to the settings file";
    world.validate(&arguments).is(1, expected, not_asked);

    let json: Value =
        serde_json::from_str(&world.validate(&[&arguments[..], &["--output", "json"]].concat()).stdout)
            .expect("JSON");
    assert_eq!(
        (&json["ok"], &json["starts"], &json["kubeletVersion"]),
        (&false.into(), &true.into(), &"1.34".into())
    );
    assert_eq!(json["images"][0]["nearest"]["pattern"], "registry.corp:5000", "{json:#}");
}

const SETTINGS: &str = "\
registries:
- match: ['registry.corp:5000']
  registry: 571600876202.dkr.ecr.eu-central-1.amazonaws.com
";

/// What the plugin would say at each call, and what it would never come to.
#[test]
fn the_settings_file_is_looked_at_too() {
    let config =
        CONFIG.to_owned() + "  env: [{name: ECR_CREDENTIAL_PROVIDER_CONFIG, value: FOLDER/config.yaml}]\n";
    let validate = |settings: &str, credentials: &str| {
        let world =
            World::new(&[("c.yaml", &config), ("config.yaml", settings), ("credentials", credentials)]);
        let mode = if credentials.contains("secret") { 0o644 } else { 0o600 };
        fs::set_permissions(world.path("credentials"), fs::Permissions::from_mode(mode)).expect("changed");
        world.validate(&["--kubelet-version", "1.37", "FOLDER/c.yaml"])
    };
    let wrong = "defaults: {deadline: 2m}\nregistries:\n- match: [a.b]\n  profil: x\n- match: ['x:y']\n  registry: docker.io\n";
    let expected = "\
FOLDER/config.yaml:1:22: error: it must be from 1s to 55s
FOLDER/config.yaml:4:3: error: unknown key `profil`; write `profile`
FOLDER/config.yaml:5:11: error: the kubelet would not take this pattern: `y` is not a port: it must be digits, without wildcard
FOLDER/config.yaml:6:3: error: the host name has none of the forms of ECR
a kubelet 1.37 would start with FOLDER/c.yaml (1 provider): 4 errors, 0 warnings
";
    validate(wrong, "").is(1, expected, &errors("4 errors, 0 warnings"));

    let useless = "registries:\n- match: ['*.dkr.ecr.*.amazonaws.com']\n- match: ['1.dkr.ecr.*.amazonaws.com', other.corp]\n";
    let expected = "\
FOLDER/config.yaml:3:11: warning: `1.dkr.ecr.*.amazonaws.com` is never looked at: `*.dkr.ecr.*.amazonaws.com` of registries[0] comes first; put the rule for fewer images first
FOLDER/config.yaml:3:40: warning: the kubelet never asks for `other.corp`: no pattern of `matchImages` is for it; add it to `matchImages`, or remove it here
a kubelet 1.37 would start with FOLDER/c.yaml (1 provider): 0 errors, 2 warnings
";
    validate(useless, "").is(0, expected, "");

    let identity = "defaults: {credentialsFile: FOLDER/credentials, profile: sigrid}\n";
    let expected = "\
FOLDER/config.yaml:1:1: error: `profile` of the settings file names the profile `sigrid`, which is in none of the AWS files; known there are default, other
a kubelet 1.37 would start with FOLDER/c.yaml (1 provider): 1 error, 0 warnings
";
    validate(identity, "[default]\na = b\n[ profile other ]\n").is(
        1,
        expected,
        &errors("1 error, 0 warnings"),
    );
    validate(identity, "[sigrid]\n").is(
        0,
        "a kubelet 1.37 would start with FOLDER/c.yaml (1 provider): nothing is wrong\n",
        "",
    );
    let readable = validate(identity, "[sigrid]\naws_secret_access_key = canary\n");
    assert!(
        readable.stdout.starts_with(
            "FOLDER/config.yaml:1:1: error: others can read `FOLDER/credentials` (mode 0644); chmod 0600 "
        ),
        "{readable:#?}"
    );
    assert!(!format!("{readable:?}").contains("canary"));
    let missing = validate("defaults: {credentialsFile: /nowhere/credentials}\n", "");
    assert!(
        missing.stdout.contains(":1:1: error: cannot read `/nowhere/credentials`: No such file"),
        "{missing:#?}"
    );
}

/// A node image that is being built: flags and files below a folder.
#[test]
fn looks_at_a_node_that_does_not_run() {
    let flags = "KUBELET_KUBEADM_ARGS=\"--image-credential-provider-config=/etc/c.yaml --image-credential-provider-bin-dir=/opt/bin\"\n";
    let world = World::new(&[("var/lib/kubelet/kubeadm-flags.env", flags), ("etc/c.yaml", CONFIG)]);
    let gone = "\
/opt/bin: error: the folder of the plugins does not exist; create it, with the plugin in it, or correct --image-credential-provider-bin-dir
a kubelet 1.37 would not start with /etc/c.yaml (1 provider): 1 error, 0 warnings
";
    let validate = |more: &[&str]| world.validate(&[&["--root", "FOLDER"], more].concat());
    validate(&[]).is(1, gone, &errors("1 error, 0 warnings"));
    let plugin = world.path("opt/bin/ecr-credential-provider");
    fs::create_dir_all(plugin.parent().expect("a parent")).expect("created");
    fs::write(&plugin, "").expect("written");
    let plain = validate(&[]);
    let words = "/etc/c.yaml:4:9: error: `/opt/bin/ecr-credential-provider` is not executable; chmod 0755 /opt/bin/ecr-credential-provider";
    assert!(plain.stdout.starts_with(words), "{plain:#?}");
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).expect("changed");
    let good = "a kubelet 1.37 would start with /etc/c.yaml (1 provider): nothing is wrong\n";
    validate(&[]).is(0, good, "");
    validate(&["/etc/c.yaml"]).is(0, good, "");
    let one_flag =
        World::new(&[("etc/default/kubelet", "KUBELET_EXTRA_ARGS=--image-credential-provider-config=/c\n")]);
    let outcome = one_flag.validate(&["--root", "FOLDER"]);
    let words = "error: --image-credential-provider-bin-dir is missing: the kubelet does not start with the other flag alone\n";
    assert!(outcome.stdout.contains(words) && outcome.code == Some(1), "{outcome:#?}");
}

#[test]
fn a_file_that_others_can_change_is_a_warning() {
    let world = World::new(&[("c.yaml", CONFIG)]);
    fs::set_permissions(world.path("c.yaml"), fs::Permissions::from_mode(0o666)).expect("changed");
    let expected = "\
FOLDER/c.yaml: warning: others can write to `FOLDER/c.yaml` (mode 0666): it can change what the kubelet runs as root; chmod go-w FOLDER/c.yaml
a kubelet 1.37 would start with FOLDER/c.yaml (1 provider): 0 errors, 1 warning
";
    let arguments = ["--kubelet-version", "1.37", "FOLDER/c.yaml"];
    world.validate(&arguments).is(0, expected, "");
    let strict = world.validate(&[&["--strict"], &arguments[..]].concat());
    strict.is(1, expected, &errors("0 errors, 1 warning"));
}

#[test]
fn wrong_arguments_are_said_so() {
    let world = World::new(&[]);
    let rows = [
        ("1.23", "kubelets before 1.24 have no credential providers, or only behind a feature gate"),
        ("new", "it is not of the form 1.34, v1.34.2 or v1.34.2+k3s1"),
    ];
    for (version, reason) in rows {
        let outcome = world.validate(&["--kubelet-version", version]);
        let cause = format!("invalid value '{version}' for '--kubelet-version <VERSION>': {reason}");
        outcome.is(2, "", &format!("ECRP001 wrong arguments: {cause}; [..]"));
    }
    let outcome = world.validate(&["--image", "https://x/y", "FOLDER/c.yaml"]);
    assert!(outcome.stderr.starts_with("ECRP106 ") && outcome.stdout.is_empty(), "{outcome:#?}");
}
