//! The settings file: which rule holds, how mistakes are told, and who may write it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::time::Duration;

use ecr_credential_provider::protocol::ApiVersion;
use stand_in::aws::{ACCESS_KEY_ID, Aws, Fault, SECRET_ACCESS_KEY};
use stand_in::proxy::{Manner, Proxy};
use stand_in::tls::TestCa;
use tempfile::TempDir;

use crate::plugin::{HOST, IMAGE, Outcome, Plugin};

/// A folder with a settings file and the files that it names; in texts, `FOLDER` is its path and `AWS` the URL
/// of an AWS.
struct Node {
    aws: Aws,
    folder: TempDir,
}

impl Node {
    fn new() -> Self {
        let node = Self { aws: Aws::start(), folder: tempfile::tempdir().expect("a directory") };
        let key =
            format!("aws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n");
        node.write("credentials", &format!("[default]\n{key}[vendor]\n{key}"), 0o600);
        node
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let text = text.replace("FOLDER", &self.folder.path().display().to_string());
        fs::write(self.path(name), text.replace("AWS", &self.aws.url())).expect("written");
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).expect("changed");
    }

    /// The plugin with this settings file, and nothing in its environment.
    fn with(&self, settings: &str) -> Plugin {
        self.write("config.yaml", settings, 0o600);
        Plugin::bare().env("ECR_CREDENTIAL_PROVIDER_CONFIG", self.path("config.yaml").display().to_string())
    }

    fn ask(&self, settings: &str, image: &str) -> Outcome {
        let plugin = self.with(settings).env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "5s");
        plugin.ask(image).masking(&self.folder.path().display(), "FOLDER").masking(&self.aws.url(), "AWS")
    }
}

const FROM_FILE: &str = "defaults: {credentialsFile: FOLDER/credentials, endpoint: AWS}\n";

#[test]
fn identity_and_endpoint_may_come_from_the_file_alone() {
    let node = Node::new();
    node.ask(FROM_FILE, IMAGE).answered(ApiVersion::V1, HOST, "6h0m0s");
    assert_eq!(node.aws.seen()[0].access_key_id, ACCESS_KEY_ID);
}

#[test]
fn an_empty_file_sets_nothing() {
    let aws = Aws::start();
    let plugin = Plugin::with_key(&aws).env("ECR_CREDENTIAL_PROVIDER_CONFIG", "/dev/null");
    plugin.ask(IMAGE).answered(ApiVersion::V1, HOST, "6h0m0s");
}

/// Two vendors on one node, each with an account, a key and an AWS of its own.
#[test]
fn the_first_rule_that_matches_chooses_the_identity() {
    let node = Node::new();
    let other = Aws::start();
    let settings = format!(
        "registries:\n\
         - match: [\"571600876202.dkr.ecr.*.amazonaws.com\"]\n  \
           credentialsFile: FOLDER/credentials\n  profile: vendor\n  endpoint: AWS\n\
         - match: [\"*.dkr.ecr.*.amazonaws.com\"]\n  \
           credentialsFile: FOLDER/others\n  endpoint: {}\n",
        other.url()
    );
    node.write(
        "others",
        &format!(
            "[default]\naws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n"
        ),
        0o600,
    );
    let one = node.ask(&settings, IMAGE).answered(ApiVersion::V1, HOST, "6h0m0s");
    let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    let two = node.ask(&settings, &format!("{host}/x")).answered(ApiVersion::V1, host, "6h0m0s");
    assert!(node.aws.accepts_password(&one) && other.accepts_password(&two));
    assert_eq!((node.aws.seen().len(), other.seen().len()), (1, 1));
}

/// The identity that the file names is the only one; the environment's key would be another's.
#[test]
fn an_identity_of_the_file_never_falls_through_to_another() {
    let node = Node::new();
    let settings = "defaults: {credentialsFile: FOLDER/credentials, profile: nobody, endpoint: AWS}\n";
    let plugin = node.with(settings).env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID);
    let outcome = plugin.env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY).ask(IMAGE);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{outcome:#?}");
    assert!(outcome.stderr.starts_with("ECRP203 the AWS configuration cannot be used: "), "{outcome:#?}");
    assert!(outcome.stderr.contains("`nobody`"), "{outcome:#?}");
    assert_eq!(node.aws.seen().len(), 0);
}

/// Nor is a file of the environment looked into for what the file of the rule does not have.
#[test]
fn a_file_of_the_rule_is_the_only_one() {
    let node = Node::new();
    let settings = "defaults: {credentialsFile: FOLDER/vendor, endpoint: AWS}\n";
    let nodes = node.path("credentials").display().to_string();
    let ask = |settings: &str| {
        let plugin = node.with(settings).env("AWS_CONFIG_FILE", nodes.clone()).env("AWS_PROFILE", "vendor");
        plugin.ask(IMAGE).masking(&node.folder.path().display(), "FOLDER")
    };
    ask(settings).failed(
        "ECRP203 the AWS configuration cannot be used: `credentialsFile` names `FOLDER/vendor`, which does not exist; [..]",
    );
    node.write("vendor", "[other]\n", 0o600);
    let outcome = ask(settings);
    assert!(
        outcome.stderr.starts_with("ECRP301 no AWS identity found: profile `default`: not in "),
        "{outcome:#?}"
    );
    assert_eq!(node.aws.seen().len(), 0);
    // Without a file of its own, a profile of the rule is in those of the environment.
    let outcome = ask("defaults: {profile: vendor, endpoint: AWS}\n");
    assert!(outcome.code.is_some_and(|code| code < 2), "{outcome:#?}");
}

/// Certificates of a rule, of the defaults and of the environment are all trusted.
#[test]
fn certificates_add_up() {
    let node = Node::new();
    let bundles = ["of-rule.pem", "of-defaults.pem", "of-environment.pem"];
    for bundle in bundles {
        fs::write(node.path(bundle), TestCa::new().pem()).expect("written");
    }
    let settings = "defaults: {credentialsFile: FOLDER/credentials, endpoint: \"https://127.0.0.1:1\", caBundle: \
                    FOLDER/of-defaults.pem}\nregistries: [{match: [\"*.dkr.ecr.*.amazonaws.com\"], caBundle: \
                    FOLDER/of-rule.pem}]\n";
    let plugin = node
        .with(settings)
        .env("AWS_CA_BUNDLE", node.path("of-environment.pem").display().to_string())
        .env("ECR_CREDENTIAL_PROVIDER_LOG", "debug");
    let trace = plugin.ask(IMAGE).stderr;
    assert!(bundles.iter().all(|bundle| trace.contains(bundle)), "{trace}");
}

/// A mirror of our own in front of ECR, with a port.
#[test]
fn a_name_of_ones_own_is_mapped_to_a_registry() {
    let node = Node::new();
    let settings = format!(
        "{FROM_FILE}registries:\n- match: [\"registry.corp:5000\"]\n  registry: 571600876202.dkr.ecr.eu-west-3.amazonaws.com\n"
    );
    let key = "registry.corp:5000";
    node.ask(&settings, "registry.corp:5000/sigrid/api").answered(ApiVersion::V1, key, "6h0m0s");
    assert_eq!(node.aws.seen()[0].region, "eu-west-3");
    // The same host without the port is another registry, and nobody mapped it.
    let outcome = node.ask(&settings, "registry.corp/sigrid/api");
    outcome.answered_nothing("0s", "ECRP100 not an ECR registry: `registry.corp` gets no password: [..]");
}

/// Where the path decides, the kubelet must not use the password for other images of that host.
#[test]
fn a_path_in_a_pattern_keeps_the_password_to_the_image() {
    let node = Node::new();
    let settings = format!(
        "{FROM_FILE}registries:\n- match: [\"registry.corp/sigrid\"]\n  registry: 571600876202.dkr.ecr.eu-west-3.amazonaws.com\n"
    );
    let outcome = node.ask(&settings, "registry.corp/sigrid/api");
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    assert!(outcome.stdout.contains("\"cacheKeyType\":\"Image\""), "{outcome:#?}");
    assert!(outcome.stdout.contains("\"auth\":{\"registry.corp\":{"), "{outcome:#?}");
    let outcome = node.ask(&settings, "registry.corp/other");
    assert!(outcome.stdout.contains("\"cacheKeyType\":\"Image\""), "{outcome:#?}");
    assert!(outcome.stdout.contains("\"auth\":null"), "{outcome:#?}");
}

#[test]
fn a_partition_that_is_not_known_yet() {
    let node = Node::new();
    let settings = format!(
        "{FROM_FILE}partitions:\n- {{name: aws-xyz, regionPrefix: xyz-, dnsSuffix: amazonaws.xyz}}\n"
    );
    let host = "571600876202.dkr.ecr.xyz-east-1.amazonaws.xyz";
    node.ask(&settings, &format!("{host}/a")).answered(ApiVersion::V1, host, "6h0m0s");
    assert_eq!(node.aws.seen()[0].region, "xyz-east-1");
    // Without an endpoint, it is the name that ECR has in every partition.
    let without = "defaults: {credentialsFile: FOLDER/credentials}\npartitions:\n- {name: aws-xyz, regionPrefix: xyz-, \
                   dnsSuffix: amazonaws.xyz}\n";
    let outcome = node.ask(without, &format!("{host}/a"));
    let expected = "ECRP501 the host name cannot be resolved: asking for a password for \
                    `571600876202.dkr.ecr.xyz-east-1.amazonaws.xyz` at `api.ecr.xyz-east-1.amazonaws.xyz`: ";
    assert!(outcome.stderr.starts_with(expected), "{outcome:#?}");
}

/// A rule comes before the defaults, these before the environment.
#[test]
fn precedence() {
    let node = Node::new();
    node.aws.behave(|aws| aws.fault = Some(Fault::Hang));
    let rule = "registries: [{match: [\"*.dkr.ecr.*.amazonaws.com\"], deadline: 3s}]\n";
    let defaults = "defaults: {credentialsFile: FOLDER/credentials, endpoint: AWS, deadline: 4s}\n";
    let rows = [(format!("{defaults}{rule}"), 3), (defaults.to_owned(), 4), (FROM_FILE.to_owned(), 5)];
    for (settings, seconds) in rows {
        let plugin = node.with(&settings).env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "5s");
        let started = crate::plugin::now();
        let outcome = plugin.ask(IMAGE).within(Duration::from_secs(seconds));
        assert!(outcome.stderr.starts_with("ECRP504 "), "{outcome:#?}");
        // Three attempts of 24 %.
        assert!(started.elapsed() > Duration::from_secs(seconds) * 7 / 10, "{seconds} s");
    }
}

#[test]
fn a_proxy_may_come_from_the_file() {
    let node = Node::new();
    let proxy = Proxy::start(node.aws.address(), Manner::Refuses("403 Forbidden"));
    let url = format!("http://node:canary-proxy@{}", proxy.authority());
    let settings = format!("defaults: {{credentialsFile: FOLDER/credentials, proxy: \"{url}\"}}\n");
    let outcome = node.ask(&settings, IMAGE).masking(&proxy.authority(), "PROXY");
    outcome.failed(
        "ECRP506 the proxy did not connect us: asking for a password for `571600876202.dkr.ecr.eu-central-1.amazonaws.com` \
         at `api.ecr.eu-central-1.amazonaws.com` through the proxy of `proxy` (`PROXY`): tunnel error: \
         unsuccessful; [..]",
    );
    let asked = proxy.asked().len();
    assert!(asked > 0);
    // `direct` and `noProxy` keep it out of the way, whatever the environment says.
    for without in ["proxy: direct", &format!("proxy: \"{url}\", noProxy: [.amazonaws.com]")] {
        let settings = format!("defaults: {{credentialsFile: FOLDER/credentials, {without}}}\n");
        let plugin = node.with(&settings).env("HTTPS_PROXY", format!("http://{}", proxy.authority()));
        let outcome = plugin.env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "2s").ask(IMAGE);
        assert!(outcome.stderr.starts_with("ECRP501 "), "{without}: {outcome:#?}");
    }
    assert_eq!(proxy.asked().len(), asked);
}

#[test]
fn mistakes_have_a_place_and_a_remedy() {
    let rows = [
        ("defaults:\n  deadlin: 2s\n", "line 2, column 3: unknown key `deadlin`; write `deadline`"),
        ("registry: []\n", "line 1, column 1: unknown key `registry`; write `registries`"),
        (
            "zzz: 1\n",
            "line 1, column 1: unknown key `zzz`; known here are defaults, registries, partitions, cache, log, metricsFile",
        ),
        ("defaults:\n  imds: enable\n", "line 2, column 9: unknown value `enable`; write `enabled`"),
        ("defaults:\n  deadline: 2m\n", "line 2, column 13: it must be from 1s to 55s; [..]"),
        ("defaults:\n  deadline: [1s]\n", "line 2, column 13: expected string scalar; [..]"),
        ("defaults:\n  fips: maybe\n", "line 2, column 9: [..]"),
        ("defaults:\n  caBundle: ca.pem\n", "line 2, column 13: this is not an absolute path; [..]"),
        (
            "defaults:\n  proxy: socks5://node:canary@h:1\n",
            "line 2, column 10: this is neither the URL of an HTTP proxy (`http://HOST:PORT`) nor `direct`; [..]",
        ),
        (
            "defaults:\n  endpoint: api.corp\n",
            "line 2, column 13: this is not a URL with `https://` or `http://`; [..]",
        ),
        ("registries:\n  - profile: a\n", "line 2, column 5: the key `match` is missing; [..]"),
        (
            "registries:\n  - match: [\"[\"]\n",
            "line 2, column 13: the kubelet would not take this pattern: [..]",
        ),
        (
            "registries:\n  - match: [a.b]\n    registry: https://a/\n",
            "line 3, column 15: this is not a host name: leave out scheme, port and path; [..]",
        ),
        // What may be a password in the wrong place is not quoted.
        (
            "defaults: {proxy:http://node:canary@proxy:3128}\n",
            "line 1, column 12: unknown key; write `proxy`",
        ),
        (
            "defaults:\n  deadline: http://node:canary@proxy:3128\n",
            "line 2, column 13: this is not a duration; [..]",
        ),
        (
            "defaults:\n  imds: http://node:canary@proxy:3128\n",
            "line 2, column 9: unknown value; known here are [..]",
        ),
        ("registries:\n  - match: [\"https://a.b\"]\n", "line 2, column 13: [..]"),
        ("registries:\n  - match: [\"a.b/x*\"]\n", "line 2, column 13: [..]"),
        ("registries:\n  - match: []\n", "registries[0].match: there is no pattern; [..]"),
        (
            "registries:\n  - match: [a.b]\n    registry: 123.dkr.ecr.eu-west-1.amazonaws.com\n",
            "registries[0].registry: `123` is not an AWS account of 12 digits; [..]",
        ),
        (
            "partitions:\n  - {name: a, regionPrefix: us-, dnsSuffix: a.b}\n",
            "line 2, column 29: regions that start like this belong to a partition that is known; [..]",
        ),
        (
            "partitions:\n  - {name: a, regionPrefix: xyz-, dnsSuffix: .A.b}\n",
            "line 2, column 46: this is not the end of a host name in lower case, such as `amazonaws.com`; [..]",
        ),
        ("cache: {}\ncache: {}\n", "line 2, column 1: the key `cache` stands here again; [..]"),
        ("defaults: {\n", "line 1, column 11: unclosed bracket '{'; [..]"),
        ("- a\n", "line 1, column 1: expected mapping start; [..]"),
    ];
    for (settings, expected) in rows {
        let node = Node::new();
        let outcome = node.ask(settings, IMAGE);
        outcome
            .failed(&format!("ECRP205 the settings file cannot be used: `FOLDER/config.yaml`, {expected}"));
        assert!(!outcome.stderr.contains("canary"), "{outcome:#?}");
        assert_eq!(node.aws.seen().len(), 0);
    }
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let plugin = Plugin::bare().env("ECR_CREDENTIAL_PROVIDER_CONFIG", "/nonexistent/config.yaml");
    plugin
        .ask(IMAGE)
        .failed("ECRP205 the settings file cannot be used: `/nonexistent/config.yaml` does not exist; [..]");
}

#[test]
fn what_others_can_change_is_refused() {
    let node = Node::new();
    let refused =
        |cause: &str| format!("ECRP206 others can change or read a file that must be ours alone: {cause}");
    let ask = |node: &Node| {
        let plugin = Plugin::bare();
        let path = node.path("config.yaml").display().to_string();
        let outcome = plugin.env("ECR_CREDENTIAL_PROVIDER_CONFIG", path).ask(IMAGE);
        outcome.masking(&node.folder.path().display(), "FOLDER")
    };
    node.write("config.yaml", FROM_FILE, 0o666);
    ask(&node).failed(&refused(
        "others can write to `FOLDER/config.yaml` (mode 0666); chmod go-w FOLDER/config.yaml",
    ));
    node.write("config.yaml", FROM_FILE, 0o644);
    node.write("credentials", "[default]\n", 0o644);
    ask(&node)
        .failed(&refused("others can read `FOLDER/credentials` (mode 0644); chmod 0600 FOLDER/credentials"));
    node.write("credentials", "[default]\n", 0o600);
    node.write("config.yaml", "defaults: {proxy: \"http://node:canary@proxy:3128\"}\n", 0o644);
    ask(&node)
        .failed(&refused("others can read `FOLDER/config.yaml` (mode 0644); chmod 0600 FOLDER/config.yaml"));
    let with_key = "defaults: {configFile: FOLDER/credentials}\n";
    node.write("config.yaml", with_key, 0o644);
    node.write("credentials", "[default]\naws_secret_access_key = canary\n", 0o644);
    ask(&node)
        .failed(&refused("others can read `FOLDER/credentials` (mode 0644); chmod 0600 FOLDER/credentials"));
    // A link in a folder that others can write to.
    fs::create_dir(node.path("open")).expect("created");
    fs::set_permissions(node.path("open"), Permissions::from_mode(0o777)).expect("changed");
    node.write("real.yaml", FROM_FILE, 0o644);
    fs::remove_file(node.path("config.yaml")).expect("removed");
    symlink(node.path("real.yaml"), node.path("open/link")).expect("linked");
    symlink("open/link", node.path("config.yaml")).expect("linked");
    ask(&node).failed(&refused("others can write to `FOLDER/open` (mode 0777); chmod go-w FOLDER/open"));
    fs::remove_file(node.path("config.yaml")).expect("removed");
    node.write("config.yaml", FROM_FILE, 0o644);
    fs::set_permissions(node.folder.path(), Permissions::from_mode(0o775)).expect("changed");
    ask(&node).failed(&refused("others can write to `FOLDER` (mode 0775); chmod go-w FOLDER"));
    assert_eq!(node.aws.seen().len(), 0);
}

#[test]
fn the_cache_of_the_file() {
    let node = Node::new();
    let settings = format!("{FROM_FILE}cache: {{directory: FOLDER/tokens}}\n");
    let plugin = node.with(&settings).without("ECR_CREDENTIAL_PROVIDER_CACHE");
    plugin.ask(IMAGE).credentials();
    plugin.ask(IMAGE).credentials();
    assert_eq!(node.aws.seen().len(), 1);
    let cleared = plugin.clone().args(&["cache", "clear"]).send("");
    cleared.is(0, &format!("removed 1 token from {}\n", node.path("tokens").display()), "");
    let off = node.with(&format!("{settings}  ").replace("directory", "enabled: false, directory"));
    off.without("ECR_CREDENTIAL_PROVIDER_CACHE").ask(IMAGE).credentials();
    assert_eq!(node.aws.seen().len(), 2);
}

/// Rules with different files share nothing.
#[test]
fn another_rule_has_another_token() {
    let node = Node::new();
    let settings = |profile: &str| {
        format!(
            "defaults: {{credentialsFile: FOLDER/credentials, profile: {profile}, endpoint: AWS}}\ncache: {{directory: FOLDER/tokens}}\n"
        )
    };
    for profile in ["default", "vendor", "default", "vendor"] {
        let plugin = node.with(&settings(profile)).without("ECR_CREDENTIAL_PROVIDER_CACHE");
        plugin.ask(IMAGE).credentials();
    }
    assert_eq!(node.aws.seen().len(), 2);
}
