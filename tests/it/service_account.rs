//! Pods that pull with a role of their own (KEP-4412): as the Go provider does it, and what the settings file adds.

use std::fs;
use std::path::{Path, PathBuf};

use ecr_credential_provider::node::check::{Subject, check};
use ecr_credential_provider::node::version::Version;
use ecr_credential_provider::protocol::ApiVersion;
use jiff::SignedDuration;
use serde_json::json;
use stand_in::aws::{ACCESS_KEY_ID, Aws, Seen};
use stand_in::cluster::Cluster;
use tempfile::TempDir;

use crate::plugin::{HOST, IMAGE, Outcome, Plugin, repository_file};

const ISSUER: &str = "https://oidc.corp.example/cluster-1";
const AUDIENCE: &str = "sts.amazonaws.com";
const ROLE: &str = "arn:aws:iam::571600876202:role/team-a";
const ANNOTATION: &str = "eks.amazonaws.com/ecr-role-arn";
const ASKED: &str = "getting credentials from the role `arn:aws:iam::571600876202:role/team-a` for the service account \
                     `team-a/web` at `AWS`";

/// A cluster that AWS trusts for `team-a/web`, and a node with a key of its own.
struct World {
    aws: Aws,
    cluster: Cluster,
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self {
            aws: Aws::start(),
            cluster: Cluster::new(ISSUER),
            folder: tempfile::tempdir().expect("a directory"),
        };
        world.aws.trust(&world.cluster, AUDIENCE, "system:serviceaccount:team-a:web");
        world
    }

    fn plugin(&self) -> Plugin {
        Plugin::with_key(&self.aws).env("AWS_ENDPOINT_URL_STS", self.aws.url())
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// With a settings file that holds this below `defaults.serviceAccount`.
    fn with(&self, settings: &str) -> Plugin {
        let path = self.folder.path().join("config.yaml");
        fs::write(&path, format!("defaults: {{serviceAccount: {{{settings}}}}}\n")).expect("written");
        self.plugin().env("ECR_CREDENTIAL_PROVIDER_CONFIG", path.display().to_string())
    }

    fn token(&self, account: &str) -> String {
        self.cluster.token(account, AUDIENCE, SignedDuration::from_mins(10))
    }

    /// What the kubelet asks for a pod of `account`, whose service account has these annotations.
    fn ask(&self, plugin: &Plugin, account: &str, annotations: &[(&str, &str)]) -> Outcome {
        send(plugin, IMAGE, &self.token(account), annotations).masking(&self.aws.address(), "AWS")
    }

    fn operations(&self) -> Vec<String> {
        self.aws.seen().into_iter().map(|call| call.operation).collect()
    }
}

fn send(plugin: &Plugin, image: &str, token: &str, annotations: &[(&str, &str)]) -> Outcome {
    let annotations: serde_json::Map<_, _> =
        annotations.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    let request = json!({
        "kind": "CredentialProviderRequest", "apiVersion": ApiVersion::V1.as_str(), "image": image,
        "serviceAccountToken": token, "serviceAccountAnnotations": annotations,
    });
    plugin.send(request.to_string())
}

fn field(call: &Seen, name: &str) -> String {
    let pairs = form_urlencoded::parse(call.body.as_bytes());
    pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

#[test]
fn the_role_of_the_annotation_is_assumed_with_the_token() {
    let world = World::new();
    let token = world.token("team-a/web");
    let password =
        send(&world.plugin(), IMAGE, &token, &[(ANNOTATION, ROLE)]).answered(ApiVersion::V1, HOST, "6h0m0s");
    assert!(world.aws.accepts_password(&password));
    let calls = world.aws.seen();
    let [sts, ecr] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!(sts.operation, "sts:AssumeRoleWithWebIdentity");
    let sent = ["RoleArn", "RoleSessionName", "WebIdentityToken"].map(|name| field(sts, name));
    assert_eq!(sent, [ROLE, "ecr-credential-provider", &token]);
    assert_eq!(sts.access_key_id, "", "the key of the node signs nothing here");
    assert!(ecr.access_key_id.starts_with("ASIA") && ecr.session_token.is_some(), "{ecr:?}");
}

/// What it is called, what the settings file and the variable say, the annotations, and the role.
type Row<'a> = (&'a str, &'a str, &'a str, &'a [(&'a str, &'a str)], Option<&'a str>);

/// Which role, if any: annotation, settings file, variable.
#[test]
fn the_role_is_looked_for_as_the_go_provider_does() {
    let other = "arn:aws:iam::571600876202:role/other";
    let in_file = "role: arn:aws:iam::571600876202:role/of-file";
    let own = "roleAnnotation: ecr.corp.example/role";
    let rows: [Row<'_>; 9] = [
        ("nothing", "", "", &[], None),
        ("annotation", "", "", &[(ANNOTATION, ROLE)], Some(ROLE)),
        ("variable", "", ROLE, &[], Some(ROLE)),
        ("annotation before variable", "", other, &[(ANNOTATION, ROLE)], Some(ROLE)),
        ("an empty annotation is no role", "", other, &[(ANNOTATION, "")], None),
        ("file", in_file, "", &[], Some("arn:aws:iam::571600876202:role/of-file")),
        ("annotation before file before variable", in_file, other, &[(ANNOTATION, ROLE)], Some(ROLE)),
        ("another annotation", own, "", &[(ANNOTATION, other), ("ecr.corp.example/role", ROLE)], Some(ROLE)),
        ("only the other annotation", own, "", &[(ANNOTATION, ROLE)], None),
    ];
    for (row, settings, variable, annotations, role) in rows {
        let world = World::new();
        let plugin = world.with(settings).env("AWS_ECR_ROLE_ARN", variable);
        let outcome = world.ask(&plugin, "team-a/web", annotations);
        outcome.credentials();
        let calls = world.aws.seen();
        match role {
            Some(role) => assert_eq!(field(&calls[0], "RoleArn"), role, "{row}"),
            None => assert_eq!((calls.len(), calls[0].access_key_id.as_str()), (1, ACCESS_KEY_ID), "{row}"),
        }
    }
}

#[test]
fn the_name_of_the_session_can_be_set() {
    let world = World::new();
    let plugin = world.plugin().env("AWS_ROLE_SESSION_NAME", "mine");
    world.ask(&plugin, "team-a/web", &[(ANNOTATION, ROLE)]).credentials();
    assert_eq!(field(&world.aws.seen()[0], "RoleSessionName"), "mine");
}

/// A role that was named and cannot be had is never replaced by the node's identity.
#[test]
fn each_refusal_of_sts_says_what_to_write_where() {
    let world = World::new();
    let token = |issuer: &str, audience, life| {
        Cluster::new(issuer).token("team-a/web", audience, SignedDuration::from_mins(life))
    };
    let refused = "ECRP306 AWS does not accept the token: ";
    let rows = [
        (
            world.token("team-b/web"),
            format!(
                "ECRP401 AWS denies access: {} AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity (status \
                 403); the trust policy of the role must allow `sts:AssumeRoleWithWebIdentity` to the OIDC provider \
                 `oidc.corp.example/cluster-1`, with the conditions `oidc.corp.example/cluster-1:aud` = `sts.amazonaws.com` \
                 and `oidc.corp.example/cluster-1:sub` = `system:serviceaccount:team-b:web`",
                format!("{ASKED}:").replace("team-a/web", "team-b/web")
            ),
        ),
        (
            world.cluster.token("team-a/web", "https://kubernetes", SignedDuration::from_mins(9)),
            format!(
                "{refused}{ASKED}: InvalidIdentityToken: Incorrect token audience (status 400); add the audience \
                 `https://kubernetes` to the IAM OIDC provider of `https://oidc.corp.example/cluster-1`, or have \
                 `serviceAccountTokenAudience` of the CredentialProviderConfig name one that it has"
            ),
        ),
        (
            token("https://other.example", AUDIENCE, 9),
            format!(
                "{refused}{ASKED}: InvalidIdentityToken: No OpenIDConnect provider found in your account for \
                 https://other.example (status 400); in the account of the role: `aws iam create-open-id-connect-provider \
                 --url https://other.example --client-id-list sts.amazonaws.com`"
            ),
        ),
        (
            token(ISSUER, AUDIENCE, 9),
            format!(
                "{refused}{ASKED}: InvalidIdentityToken: Couldn't retrieve verification key from your identity provider \
                 (status 400); AWS must find `https://oidc.corp.example/cluster-1/.well-known/openid-configuration` and the \
                 keys that it names, with the key that signed this token, without signing in"
            ),
        ),
        (
            world.cluster.token("team-a/web", AUDIENCE, SignedDuration::from_mins(-9)),
            format!(
                "{refused}{ASKED}: ExpiredTokenException: Token expired: current date/time [..] must be before the \
                 expiration date/time [..] (status 400); it is valid until [..]Z, and here it is [..]Z: set the clocks of \
                 the node and the control plane, or restart the kubelet for a new token"
            ),
        ),
    ];
    for (token, line) in rows {
        send(&world.plugin(), IMAGE, &token, &[(ANNOTATION, ROLE)])
            .masking(&world.aws.address(), "AWS")
            .failed(&line);
    }
    assert!(
        world.operations().iter().all(|operation| operation.starts_with("sts:")),
        "{:?}",
        world.operations()
    );
}

/// With the usual issuer of kubeadm.
#[test]
fn an_issuer_inside_the_cluster_is_out_of_reach_for_aws() {
    let issuer = "https://kubernetes.default.svc.cluster.local";
    let (aws, cluster) = (Aws::start(), Cluster::new(issuer));
    aws.trust(&Cluster::new(issuer), AUDIENCE, "system:serviceaccount:team-a:web");
    let plugin = Plugin::with_key(&aws).env("AWS_ENDPOINT_URL_STS", aws.url());
    let token = cluster.token("team-a/web", AUDIENCE, SignedDuration::from_mins(9));
    send(&plugin, IMAGE, &token, &[(ANNOTATION, ROLE)]).failed(
        "ECRP306 AWS does not accept the token: [..]: Couldn't retrieve verification key from your identity provider (status \
         400); AWS cannot reach `https://kubernetes.default.svc.cluster.local`, which is a name inside the cluster: give \
         kube-apiserver a public `--service-account-issuer`",
    );
}

#[test]
fn what_is_no_token_of_kubernetes_is_left_to_sts() {
    let world = World::new();
    send(&world.plugin(), IMAGE, "canary-opaque", &[(ANNOTATION, ROLE)]).masking(&world.aws.address(), "AWS").failed(
        "ECRP306 AWS does not accept the token: getting credentials from the role `arn:aws:iam::571600876202:role/team-a` for a \
         service account whose token does not say which it is at `AWS`: InvalidIdentityToken: The ID Token provided is not a \
         valid JWT. (status 400); check issuer and audience of the token, and the IAM OIDC provider in the account of the role",
    );
}

#[test]
fn what_is_no_role_is_said_so_without_a_call() {
    let world = World::new();
    world.ask(&world.plugin(), "team-a/web", &[(ANNOTATION, "team-a")]).failed(
        "ECRP304 no role for the service account of the pod: the annotation `eks.amazonaws.com/ecr-role-arn` is `team-a` for \
         the service account `team-a/web`; write the ARN of a role: `arn:aws:iam::ACCOUNT:role/NAME`",
    );
    let deny = world.with("fallback: deny");
    world.ask(&deny, "team-a/web", &[]).failed(
        "ECRP304 no role for the service account of the pod: neither the annotation `eks.amazonaws.com/ecr-role-arn` of the \
         service account `team-a/web`, `serviceAccount.role` nor `AWS_ECR_ROLE_ARN` names one, and \
         `serviceAccount.fallback` is `deny`; annotate the service account with `eks.amazonaws.com/ecr-role-arn`, and list \
         that annotation in `tokenAttributes`",
    );
    assert_eq!(world.aws.seen().len(), 0);
}

/// Also where the node asks for all: one identity, and still not for everybody.
#[test]
fn who_may_pull_can_be_listed() {
    let world = World::new();
    let rows = [
        ("allow: [team-a/web]", "team-a/web", true),
        ("allow: [team-a/web]", "team-a/worker", false),
        ("allow: [team-b/web, \"team-a/*\"]", "team-a/worker", true),
        ("allow: [\"*/web\"]", "team-c/web", true),
        ("allow: [\"*/web\"]", "team-c/web2", false),
        ("allow: []", "team-a/web", false),
    ];
    for (settings, account, is_allowed) in rows {
        let outcome = world.ask(&world.with(settings), account, &[]);
        if is_allowed {
            assert_eq!(outcome.code, Some(0), "{settings} {account} {outcome:#?}");
        } else {
            outcome.failed(&format!(
                "ECRP305 the settings file does not let the pod pull: `serviceAccount.allow` does not have the service account \
                 `{account}`; add its service account to `serviceAccount.allow`, or pull with another"
            ));
        }
    }
    let opaque = send(&world.with("allow: [\"*/*\"]"), IMAGE, "canary-opaque", &[]);
    opaque.failed("ECRP305 [..] does not have a service account whose token does not say which it is; [..]");
}

/// A list that the kubelet never sends a name for must not look as if it held.
#[test]
fn without_a_token_the_node_asks_unless_the_file_wants_one() {
    let world = World::new();
    let refused = "ECRP305 the settings file does not let the pod pull: the request has no token of a service account, and the \
                   settings file wants one; add `tokenAttributes` to the provider in the CredentialProviderConfig; static \
                   pods have no token, and pull with `serviceAccount.withoutToken: node`";
    let rows = [
        ("", true),
        ("role: arn:aws:iam::571600876202:role/team-a", true),
        ("fallback: node", true),
        ("withoutToken: deny", false),
        ("fallback: deny", false),
        ("allow: [team-a/web]", false),
        ("allow: [team-a/web], withoutToken: node", true),
        ("fallback: deny, withoutToken: node", true),
    ];
    for (settings, is_allowed) in rows {
        let outcome = world.with(settings).ask(IMAGE);
        if is_allowed {
            assert_eq!(outcome.code, Some(0), "{settings} {outcome:#?}");
        } else {
            outcome.failed(refused);
        }
    }
    assert!(
        world.operations().iter().all(|operation| operation.starts_with("ecr:")),
        "{:?}",
        world.operations()
    );
}

#[test]
fn a_rule_adds_to_the_defaults() {
    let world = World::new();
    let path = world.folder.path().join("config.yaml");
    let text = format!(
        "defaults: {{serviceAccount: {{roleAnnotation: ecr.corp.example/role, fallback: deny}}}}\nregistries:\n\
         - match: [\"{HOST}/softwareimprovementgroup\"]\n  serviceAccount: {{allow: [team-b/web]}}\n\
         - match: [\"{HOST}\"]\n  serviceAccount: {{fallback: node}}\n"
    );
    fs::write(&path, text).expect("written");
    let plugin = world.plugin().env("ECR_CREDENTIAL_PROVIDER_CONFIG", path.display().to_string());
    world.ask(&plugin, "team-a/web", &[("ecr.corp.example/role", ROLE)]).failed("ECRP305 [..]");
    world.ask(&plugin, "team-b/web", &[(ANNOTATION, ROLE)]).failed("ECRP304 [..]");
    send(&plugin, &format!("{HOST}/team/app"), &world.token("team-a/web"), &[]).credentials();
}

/// The image is not ECR's, so no pod asks for a password.
#[test]
fn a_stranger_is_none_of_our_business() {
    let world = World::new();
    let outcome =
        send(&world.with("fallback: deny"), "registry.k8s.io/pause", &world.token("team-a/web"), &[]);
    outcome.answered_nothing("0s", "ECRP100 [..]");
}

/// Pods of one service account share a token of ECR, whatever token of Kubernetes they come with; others do not,
/// and neither does the node.
#[test]
fn a_token_in_the_cache_is_of_one_service_account_and_one_role() {
    let world = World::new();
    let plugin = world.plugin().with_cache(&world.cache());
    let node = plugin.ask(IMAGE).credentials().0;
    let pod = || world.ask(&plugin, "team-a/web", &[(ANNOTATION, ROLE)]);
    let first = pod().credentials().0;
    assert_eq!(pod().credentials().0, first);
    assert_ne!(first, node);
    assert_eq!(world.operations().len(), 3, "{:?}", world.operations());

    // The role is the same, and its trust policy does not have this one.
    world.ask(&plugin, "team-a/worker", &[(ANNOTATION, ROLE)]).failed("ECRP401 [..]");
    world.ask(&plugin, "team-b/web", &[(ANNOTATION, ROLE)]).failed("ECRP401 [..]");
    // So far the cluster is trusted, and this is another one with accounts of the same names.
    let other =
        Cluster::new("https://other.example").token("team-a/web", AUDIENCE, SignedDuration::from_mins(9));
    send(&plugin, IMAGE, &other, &[(ANNOTATION, ROLE)]).failed("ECRP306 [..]");
    let elsewhere = world.ask(&plugin, "team-a/web", &[(ANNOTATION, "arn:aws:iam::571600876202:role/other")]);
    assert_ne!(elsewhere.credentials().0, first);
    // Who asks as the node does so with any token.
    assert_eq!(world.ask(&plugin, "team-b/web", &[]).credentials().0, node);
    // And the first is still there.
    assert_eq!(pod().credentials().0, first);
}

#[test]
fn the_list_of_the_cache_says_for_whom_a_token_is() {
    let world = World::new();
    let plugin = world.plugin().with_cache(&world.cache());
    world.ask(&plugin, "team-a/web", &[(ANNOTATION, ROLE)]).credentials();
    let list = plugin.args(&["cache", "list"]).send("").stdout;
    assert!(
        list.contains(&format!("the role `{ROLE}` for the service account `team-a/web`, key ASIA")),
        "{list}"
    );
}

/// The token of Kubernetes is in no file of the cache, neither as it is nor in parts, and in no line of the trace.
#[test]
fn the_token_is_written_nowhere() {
    let world = World::new();
    let log = world.folder.path().join("log");
    let settings = world.folder.path().join("config.yaml");
    fs::write(&settings, format!("log: {}\nmetricsFile: {}.prom\n", log.display(), log.display()))
        .expect("written");
    let plugin = world
        .plugin()
        .with_cache(&world.cache())
        .env("ECR_CREDENTIAL_PROVIDER_CONFIG", settings.display().to_string())
        .env("ECR_CREDENTIAL_PROVIDER_LOG", "debug");
    for account in ["team-a/web", "team-b/web"] {
        let token = world.token(account);
        let outcome = send(&plugin, IMAGE, &token, &[(ANNOTATION, ROLE)]);
        let files =
            fs::read_dir(world.cache()).expect("a cache").map(|entry| entry.expect("an entry").path());
        let mut texts: Vec<_> =
            files.chain([log.clone()]).map(|path| (path.display().to_string(), read(&path))).collect();
        texts.push(("stdout".into(), outcome.stdout));
        texts.push(("stderr".into(), outcome.stderr));
        assert!(texts.len() > 4, "{texts:?}");
        for (name, text) in &texts {
            for part in token.split('.') {
                assert!(!text.contains(part) && !name.contains(part), "{name}: {text}");
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "tests look for what must not be there")]
fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).expect("readable")).into_owned()
}

/// ECR Public goes without a password where the role may not be assumed.
#[test]
fn ecr_public_is_best_effort_for_pods_too() {
    let world = World::new();
    let image = "public.ecr.aws/docker/library/busybox";
    let sts = send(&world.plugin(), image, &world.token("team-a/web"), &[(ANNOTATION, ROLE)]);
    sts.credentials();
    assert_eq!(world.aws.seen()[0].operation, "sts:AssumeRoleWithWebIdentity");
    send(&world.plugin(), image, &world.token("team-b/web"), &[(ANNOTATION, ROLE)])
        .answered_nothing("5m0s", "ECRP401 [..]");
}

/// `kubectl create token web -n team-a --audience sts.amazonaws.com >token`
#[test]
fn doctor_tries_what_a_pod_would_meet() {
    let world = World::new();
    let token = world.folder.path().join("token");
    fs::write(&token, format!("{}\n", world.token("team-a/web"))).expect("written");
    let token = token.display().to_string();
    let annotation = format!("{ANNOTATION}={ROLE}");
    let doctor = |arguments: &[&str]| {
        let arguments = [&["doctor", IMAGE, "--service-account-token", &token], arguments].concat();
        world.plugin().args(&arguments).send("").masking(&world.aws.address(), "AWS")
    };
    let stdout = doctor(&["--annotation", &annotation]).stdout;
    assert!(
        stdout.contains(&format!("  the role `{ROLE}` for the service account `team-a/web`, key ASIA")),
        "{stdout}"
    );
    let stdout = doctor(&[]).stdout;
    assert!(
        stdout.contains("no role is named for the service account `team-a/web`: the node asks AWS"),
        "{stdout}"
    );
    let stdout = doctor(&["--annotation", &format!("{ANNOTATION}=nonsense")]).stdout;
    assert!(stdout.contains("FAIL identity") && stdout.contains("ECRP304 "), "{stdout}");
    let outcome = doctor(&["--annotation", "nonsense"]);
    outcome.is(2, "", "ECRP001 wrong arguments: invalid value 'nonsense' for '--annotation <KEY=VALUE>': it is not KEY=VALUE; [..]");
}

/// What the page shows is taken by the kubelet's rules and by ours.
#[test]
fn the_samples_of_the_page_are_valid() {
    let page = repository_file("packaging/doc/service-accounts.md");
    let blocks: Vec<_> =
        page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [config, settings] = blocks[..] else { panic!("{blocks:?}") };
    let world = World::new();
    fs::write(world.folder.path().join("kubelet.yaml"), config).expect("written");
    let checked = check(&Subject {
        root: world.folder.path(),
        config: Path::new("/kubelet.yaml"),
        bin_dir: None,
        version: Version::NEWEST,
        planned: &[],
    });
    assert_eq!(checked.problems, []);
    let attributes = &checked.config.providers[0].token_attributes.as_ref().expect("tokenAttributes").value;
    let audience = attributes.service_account_token_audience.as_ref().expect("an audience");
    assert_eq!(audience.value, AUDIENCE);

    let path = world.folder.path().join("config.yaml");
    fs::write(&path, settings).expect("written");
    let plugin = world.plugin().env("ECR_CREDENTIAL_PROVIDER_CONFIG", path.display().to_string());
    world.ask(&plugin, "team-a/web", &[("ecr.corp.example/role", ROLE)]).credentials();
    world.ask(&plugin, "team-c/web", &[("ecr.corp.example/role", ROLE)]).failed("ECRP305 [..]");
}
