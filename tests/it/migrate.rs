//! `migrate`: the objects of the first user's vendor, and what must not be taken for them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use snapbox::{assert_data_eq, file};

use crate::plugin::{HOST, Outcome, Plugin, repository_file};

const CANARY: &str = "canary-secret-access-key";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/migrate")
}

/// Runs `migrate` on files beside this one, with `input` on stdin. No output ever shows a part of a secret.
fn migrate(arguments: &[&str], input: &str) -> Outcome {
    let paths: Vec<String> = arguments
        .iter()
        .map(|argument| match *argument {
            name if name.starts_with('-') => name.to_owned(),
            name => folder().join(name).display().to_string(),
        })
        .collect();
    let arguments: Vec<&str> = std::iter::once("migrate").chain(paths.iter().map(String::as_str)).collect();
    let outcome = Plugin::bare().args(&arguments).send(input).masking(&folder().display(), "DIR");
    for secret in [CANARY, &STANDARD.encode(CANARY), "AKIAIOSFODNN7EXAMPLE", "QUtJQUlPU0ZPRE5ON0VYQU1QTEU="] {
        assert!(!format!("{outcome:?}").contains(secret), "{secret}: {outcome:#?}");
    }
    outcome
}

fn json_of(arguments: &[&str], input: &str) -> Value {
    let outcome = migrate(&[arguments, &["--output=json"]].concat(), input);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{outcome:#?}");
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:#?}"))
}

/// `part: object` of each finding, in order.
fn found(report: &Value) -> Vec<String> {
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let findings = report["findings"].as_array().expect("findings").iter();
    findings.map(|finding| format!("{}: {}", text(finding, "part"), text(finding, "object"))).collect()
}

fn found_in(manifests: &str) -> Vec<String> {
    found(&json_of(&["-"], manifests))
}

/// As the vendor writes them, for people to fill in: names are missing, and templates are not rendered.
#[test]
fn finds_every_object_of_the_instructions() {
    let report = json_of(&["instructions"], "");
    let expected = [
        "reference: value global.imagePullSecrets",
        "rotation: ConfigMap ecr-key-rotation-script",
        "rotation: CronJob ecr-key-rotation",
        "rotation: value ecrRepository.enabled",
        "pullSecret: Secret ecr-image-pull-secret",
        "accessRight: a RoleBinding without a name",
        "accessRight: Role eks-sigrid-onprem-ecr-key-rotation-role",
        "accessRight: ServiceAccount ecr-key-rotation-sa",
        "key: Secret sig-customer-access-secret",
        "key: value ecrRepository.sigCustomerAccessSecretName",
    ];
    assert_eq!(found(&report), expected);
    assert_eq!(report["registries"][0]["registry"], HOST);
    assert_eq!(report["notes"], json!([]));
    assert_eq!(report["unread"], json!([]));
    let files: BTreeSet<_> = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|finding| finding["file"].to_string())
        .collect();
    assert_eq!(files.len(), 7, "each of the seven files has something: {files:#?}");
}

/// The words, the order and the commands. `SNAPSHOTS=overwrite cargo test --test it migrate` writes them anew.
#[test]
fn the_report_on_the_rendered_chart() {
    let outcome = migrate(&["rendered.yaml", "key.yaml", "values.yaml"], "");
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert_data_eq!(outcome.stdout, file!["migrate/report.txt"].raw());
}

#[test]
fn every_command_is_one_for_a_shell() {
    for files in [&["instructions"][..], &["rendered.yaml", "key.yaml"], &["others.yaml"]] {
        let report = json_of(files, "");
        let steps = report["steps"].as_array().expect("steps");
        assert!(steps.len() >= 4, "{steps:#?}");
        let commands = steps.iter().flat_map(|step| step["commands"].as_array().expect("commands"));
        let script = commands.filter_map(Value::as_str).collect::<Vec<_>>().join("\n");
        let mut shell = Command::new("sh").arg("-n").stdin(Stdio::piped()).spawn().expect("a shell");
        shell.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("written");
        assert!(shell.wait().expect("it ends").success(), "{script}");
        let (_, manifest) = script.split_once("<<'END'\n").expect("a manifest");
        let (manifest, _) = manifest.split_once("\nEND\n").expect("its end");
        assert!(!manifest.starts_with('{'), "kubectl would take it for JSON: {manifest}");
        let manifest: Value = serde_saphyr::from_str(manifest).expect("YAML");
        assert_eq!(manifest["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"], "Always");
        for patch in script.lines().filter_map(|line| line.split_once(" -p '")) {
            let patch = patch.1.trim_end_matches('\'');
            assert!(serde_json::from_str::<Value>(patch).is_ok(), "{patch}");
        }
    }
}

/// What the API server has: no comments, owners, a secret that the rotation made, and the history of a release.
fn live_objects() -> Value {
    let pull_secret = |hosts: &[&str]| {
        let auths: serde_json::Map<_, _> =
            hosts.iter().map(|host| ((*host).to_owned(), json!({"auth": CANARY}))).collect();
        STANDARD.encode(json!({"auths": auths}).to_string())
    };
    let helm = json!({"meta.helm.sh/release-name": "sigrid", "meta.helm.sh/release-namespace": "sigrid"});
    let pod = json!({
        "serviceAccountName": "ecr-key-rotation-sa",
        "imagePullSecrets": [{"name": "other"}, {"name": "made"}],
        "containers": [{"name": "c", "image": "public.ecr.aws/aws-cli/aws-cli:2", "command": ["sh", "-c",
            "aws ecr get-login-password | kubectl create secret docker-registry made --docker-server=x"]}],
    });
    let owner = |kind: &str, name: &str| json!([{"kind": kind, "name": name, "controller": true}]);
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"kind": "CronJob", "metadata": {"name": "refresh", "namespace": "sigrid", "annotations": helm},
         "spec": {"jobTemplate": {"spec": {"template": {"spec": pod}}}}},
        {"kind": "Job", "metadata": {"name": "refresh-1", "namespace": "sigrid", "ownerReferences": owner("CronJob", "refresh")},
         "spec": {"template": {"spec": pod}}},
        {"kind": "Pod", "metadata": {"name": "refresh-1-x", "namespace": "sigrid", "ownerReferences": owner("Job", "refresh-1")},
         "spec": pod},
        {"kind": "Pod", "metadata": {"name": "lonely", "namespace": "sigrid", "ownerReferences": owner("ReplicaSet", "gone")},
         "spec": {"imagePullSecrets": [{"name": "made"}], "containers": [{"name": "c", "image": "x"}]}},
        {"kind": "Secret", "metadata": {"name": "made", "namespace": "sigrid"}, "type": "kubernetes.io/dockerconfigjson",
         "data": {".dockerconfigjson": pull_secret(&[HOST])}},
        {"kind": "Secret", "metadata": {"name": "other", "namespace": "sigrid"}, "type": "kubernetes.io/dockerconfigjson",
         "data": {".dockerconfigjson": pull_secret(&["https://index.docker.io/v1/"])}},
        {"kind": "Secret", "metadata": {"name": "mixed", "namespace": "sigrid"}, "type": "kubernetes.io/dockerconfigjson",
         "data": {".dockerconfigjson": pull_secret(&[&format!("https://{HOST}/v2/"), "quay.io"])}},
        {"kind": "Secret", "metadata": {"name": "sh.helm.release.v1.sigrid.v1", "namespace": "sigrid"}, "type": "helm.sh/release.v1",
         "data": {"release": STANDARD.encode(CANARY)}},
        {"kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "sigrid"},
         "imagePullSecrets": [{"name": "made"}, {"name": "mixed"}, {"name": "elsewhere"}]},
    ]})
}

#[test]
fn reads_what_kubectl_prints() {
    let report = json_of(&["-"], &live_objects().to_string());
    let expected = [
        "reference: Pod sigrid/lonely",
        "reference: ServiceAccount sigrid/default",
        "rotation: CronJob sigrid/refresh",
        "pullSecret: Secret sigrid/made",
        "pullSecret: Secret sigrid/mixed",
    ];
    assert_eq!(found(&report), expected);
    let notes = report["notes"].to_string();
    for text in ["`mixed`, which has passwords for others too", "`elsewhere`, which is not here"] {
        assert!(notes.contains(text), "{notes}");
    }
    let steps = report["steps"].to_string();
    let account = "kubectl patch serviceaccount default -n sigrid --type=json -p \
                   '[{\\\"op\\\":\\\"test\\\",\\\"path\\\":\\\"/imagePullSecrets/0/name\\\",\\\"value\\\":\\\"made\\\"},\
                   {\\\"op\\\":\\\"remove\\\",\\\"path\\\":\\\"/imagePullSecrets/0\\\"}]'";
    let delete = "kubectl delete secret made -n sigrid --ignore-not-found";
    let edit = format!("del(.auths[\\\"https://{HOST}/v2/\\\"])");
    let helm = "helm upgrade sigrid CHART --namespace sigrid";
    for command in [account, delete, &edit, helm, "Pod sigrid/lonely goes with ReplicaSet gone"] {
        assert!(steps.contains(command), "{command}\n{steps}");
    }
    assert!(!steps.contains("delete secret mixed") && !steps.contains("delete secret other"), "{steps}");
}

/// A manifest of a stranger is looked at, too: nothing in it becomes a command.
#[test]
fn nothing_of_a_manifest_leaves_its_place() {
    let evil = "\u{1b}[2J'; touch /tmp/x; \n touch /tmp/y \\";
    let objects = json!({"kind": "List", "items": [
        {"kind": format!("Evil{evil}"), "metadata": {"name": "a", "namespace": "n"}, "spec": {
            "containers": [{"command": [SECRET_OF_ROTATION]}]}},
        {"kind": format!("Other{evil}"), "metadata": {"name": evil, "namespace": evil},
            "spec": {"imagePullSecrets": [{"name": format!("ecr {evil}")}]}},
        {"kind": "Secret", "metadata": {"name": "mixed", "namespace": "n"}, "type": "kubernetes.io/dockercfg",
            "stringData": {".dockercfg": json!({HOST: {}, evil: {}, format!("{HOST}/{evil}"): {}}).to_string()}},
        {evil: {"imagePullSecrets": [{"name": format!("ecr {evil}")}]}},
    ]});
    let outcome = migrate(&["-"], &objects.to_string());
    assert!(outcome.code == Some(0) && !outcome.stdout.contains('\u{1b}'), "{outcome:#?}");
    let report = json_of(&["-"], &objects.to_string());
    assert!(found(&report).len() >= 4, "{report:#}");
    let commands = report["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .flat_map(|step| step["commands"].as_array().expect("commands"));
    for command in commands.filter_map(Value::as_str).filter(|command| command.contains("touch")) {
        assert!(!command.contains('\n'), "{command}");
        if command.starts_with('#') {
            continue;
        }
        // A shell that is told to do nothing sees where a word ends.
        let words = shlex::split(command).unwrap_or_else(|| panic!("{command}"));
        assert!(!words.iter().any(|word| word == "touch"), "{command}");
    }
}

/// A list that is printed on many lines, and as YAML, is the same list.
#[test]
fn the_form_of_the_list_does_not_matter() {
    let objects = live_objects();
    let one_line = found_in(&objects.to_string());
    assert_eq!(found_in(&format!("{objects:#}")), one_line);
    let documents = objects["items"].as_array().expect("items").iter().map(|item| format!("---\n{item}\n"));
    assert_eq!(found_in(&documents.collect::<String>()), one_line);
}

fn cron_job(pod: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: job, namespace: n}}\n\
         spec: {{jobTemplate: {{spec: {{template: {{spec: {{{pod}}}}}}}}}}}\n"
    )
}

const SECRET_OF_ROTATION: &str = "aws ecr get-login-password | kubectl create secret docker-registry made";

#[test]
fn other_forms_of_the_rotation() {
    let config = "---\nkind: ConfigMap\nmetadata: {name: env, namespace: n}\ndata: {SECRET_NAME: of-env}\n";
    let script = format!(
        "---\nkind: ConfigMap\nmetadata: {{name: s, namespace: n}}\ndata: {{run.sh: \"{SECRET_OF_ROTATION}\"}}\n"
    );
    let generator = "kind: ECRAuthorizationToken\nmetadata: {name: g, namespace: n}\n---\n\
                     kind: ExternalSecret\nmetadata: {name: e, namespace: n}\n\
                     spec: {target: {name: made}, dataFrom: [{sourceRef: {generatorRef: {kind: ECRAuthorizationToken, name: g}}}]}\n";
    let rows: [(&str, String, &[&str]); 10] = [
        (
            "in the command",
            cron_job(&format!("containers: [{{command: [sh, -c, \"{SECRET_OF_ROTATION}\"]}}]")),
            &["rotation: CronJob n/job", "pullSecret: Secret n/made"],
        ),
        (
            "a name from envFrom",
            cron_job(
                "containers: [{command: [sh, -c, \"aws ecr get-login-password; kubectl create secret docker-registry $SECRET_NAME\"], \
                 envFrom: [{configMapRef: {name: env}}]}]",
            ) + config,
            &["rotation: CronJob n/job", "pullSecret: Secret n/of-env"],
        ),
        (
            "a script of a ConfigMap that is not here",
            cron_job(
                "containers: [{image: amazon/aws-cli:2, command: [/s/ecr.sh]}], volumes: [{configMap: {name: s}}]",
            ),
            &["rotation: CronJob n/job"],
        ),
        (
            "a Deployment of a known program",
            "kind: Deployment\nmetadata: {name: d, namespace: n}\n\
             spec: {template: {spec: {containers: [{image: 'upmcenterprises/registry-creds:1.10'}]}}}\n"
                .to_owned(),
            &["rotation: Deployment n/d", "pullSecret: Secret n/awsecr-cred"],
        ),
        (
            "a known program with the name in its environment",
            cron_job(
                "containers: [{image: 'nabsul/k8s-ecr-login-renew:v1.7', env: [{name: DOCKER_SECRET_NAME, value: ecr-login}]}]",
            ),
            &["rotation: CronJob n/job", "pullSecret: Secret n/ecr-login"],
        ),
        (
            "a workflow of Argo",
            format!(
                "kind: CronWorkflow\nmetadata: {{name: w, namespace: n}}\n\
                 spec: {{workflowSpec: {{templates: [{{script: {{source: \"{SECRET_OF_ROTATION}\"}}}}]}}}}\n"
            ),
            &["rotation: CronWorkflow n/w", "pullSecret: Secret n/made"],
        ),
        (
            "a loop in a Deployment",
            format!(
                "kind: Deployment\nmetadata: {{name: d, namespace: n}}\nspec: {{template: {{spec: {{containers: \
                 [{{args: ['while true; do {SECRET_OF_ROTATION}; sleep 36000; done']}}]}}}}}}\n"
            ),
            &["rotation: Deployment n/d", "pullSecret: Secret n/made"],
        ),
        (
            "secrets in other namespaces",
            cron_job(&format!("containers: [{{command: [sh, -c, \"{SECRET_OF_ROTATION}\"]}}]"))
                + "---\nkind: Pod\nmetadata: {name: p, namespace: other}\nspec: {imagePullSecrets: [{name: made}]}\n\
                   ---\nkind: Pod\nmetadata: {name: q, namespace: other}\nspec: {imagePullSecrets: [{name: made}]}\n",
            &[
                "reference: Pod other/p",
                "reference: Pod other/q",
                "rotation: CronJob n/job",
                "pullSecret: Secret n/made",
                "pullSecret: Secret other/made",
            ],
        ),
        ("a script that nothing here runs", script, &["rotation: ConfigMap n/s"]),
        (
            "External Secrets",
            generator.to_owned(),
            &[
                "rotation: ECRAuthorizationToken n/g",
                "rotation: ExternalSecret n/e",
                "pullSecret: Secret n/made",
            ],
        ),
    ];
    for (name, manifests, expected) in rows {
        assert_eq!(found_in(&manifests), expected, "{name}");
    }
}

#[test]
fn what_is_not_left_over() {
    let docker_hub = STANDARD.encode(r#"{"auths": {"docker.io": {"auth": "x"}}}"#);
    let rows = [
        ("a CronJob that does something else", cron_job("containers: [{command: [sh, -c, 'pg_dump | aws s3 cp - s3://b']}]")),
        ("a job that logs in to push", cron_job("containers: [{command: [sh, -c, 'aws ecr get-login-password | docker login']}]")),
        ("CodeArtifact", cron_job("containers: [{command: [sh, -c, 'aws codeartifact get-authorization-token > /secrets/t']}]")),
        (
            "a pull secret for Docker Hub, and what names it",
            format!(
                "kind: Secret\nmetadata: {{name: ecr-like, namespace: n}}\ntype: kubernetes.io/dockerconfigjson\n\
                 data: {{.dockerconfigjson: {docker_hub}}}\n---\n\
                 kind: ServiceAccount\nmetadata: {{name: a, namespace: n}}\nimagePullSecrets: [{{name: ecr-like}}]\n"
            ),
        ),
        ("a pull secret that is not here", "kind: Pod\nmetadata: {name: p}\nspec: {imagePullSecrets: [{name: regcred}]}\n".to_owned()),
        (
            "a key of something else",
            "kind: Secret\nmetadata: {name: s3, namespace: n}\nstringData: {AWS_ACCESS_KEY_ID: AKIAIOSFODNN7EXAMPLE}\n---\n\
             kind: Deployment\nmetadata: {name: velero, namespace: n}\n\
             spec: {template: {spec: {containers: [{envFrom: [{secretRef: {name: s3}}]}]}}}\n"
                .to_owned(),
        ),
        (
            "a key in values of another chart",
            "velero: {credentials: {AWS_ACCESS_KEY_ID: AKIAIOSFODNN7EXAMPLE}}\n".to_owned(),
        ),
        ("values of another chart", "imagePullSecrets: []\necrRepository: {enabled: false}\nimage: {pullSecrets: [dockerhub]}\n".to_owned()),
        (
            "our own DaemonSet",
            "kind: DaemonSet\nmetadata: {name: ecr-credential-provider}\n\
             spec: {template: {spec: {containers: [{image: 'registry.example/ecr-credential-provider:1'}]}}}\n"
                .to_owned(),
        ),
    ];
    for (name, manifests) in rows {
        assert_eq!(found_in(&manifests), [""; 0], "{name}");
        assert_eq!(migrate(&["--check", "-"], &manifests).code, Some(0), "{name}");
    }
}

/// What others use too stays, and the report says who.
#[test]
fn what_is_shared_is_kept() {
    let report = json_of(&["others.yaml"], "");
    let expected = [
        "rotation: CronJob shop/refresh",
        "rotation: CronJob other/second",
        "pullSecret: Secret shop/made",
        "pullSecret: Secret other/made",
        "accessRight: ClusterRoleBinding refresh-and-more",
    ];
    assert_eq!(found(&report), expected);
    let notes: Vec<_> = report["notes"]
        .as_array()
        .expect("notes")
        .iter()
        .map(|note| note["text"].as_str().expect("text"))
        .collect();
    let expected = [
        "keep ServiceAccount shop/shared and its roles: Deployment shop/operator runs as it too",
        "keep Secret shop/key with `credentials`, which Deployment shop/operator uses",
    ];
    assert_eq!(notes, expected);
}

/// After the removal, nothing is left, and it may be looked at again.
#[test]
fn after_the_removal_nothing_is_left() {
    let outcome = migrate(&["--check", "after.yaml", "values-after.yaml"], "");
    let text = format!(
        "Nothing is left of rotated pull secrets for ECR in 3 objects.\n\n\
         Registries that matchImages must cover\n  {HOST}: {HOST}/softwareimprovementgroup/sigrid-api:1.0.20250603\n"
    );
    outcome.is(0, &text, "");
}

#[test]
fn check_fails_while_something_is_left() {
    let outcome = migrate(&["--check", "key.yaml", "values.yaml"], "");
    let line = "ECRP122 something is left of rotated pull secrets: 4 things were found; see the report on stdout, and \
                remove it in the order that is given there";
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(1), line));
    assert!(
        outcome.stdout.starts_with("4 things left of rotated pull secrets for ECR in 2 objects.\n"),
        "{outcome:#?}"
    );
}

/// One bad document hides none of the others; but nobody is told that nothing is left.
#[test]
fn what_cannot_be_read_is_said_so() {
    let broken = format!("kind: A\n---\nsecret: [{CANARY}\n---\nkind: B\n");
    let outcome = migrate(&["-"], &broken);
    let text = "Nothing is left of rotated pull secrets for ECR in 2 objects.\n\nNot read\n  -:[..]\n";
    outcome.is(0, text, "");
    migrate(&["--check", "-"], &broken).is(1, text, "ECRP121 the manifests are malformed: -:[..]");
    let deep = "{\"a\": ".repeat(5000);
    let rows = [
        (vec!["-"], "", "ECRP121 the manifests are malformed: there is no object in `-`; [..]"),
        (vec!["-"], "{{ nonsense\n: [", "ECRP121 the manifests are malformed: -:[..]"),
        (
            vec!["nowhere.yaml"],
            "",
            "ECRP120 the manifests cannot be read: cannot read `DIR/nowhere.yaml`: [..]",
        ),
        (
            vec!["/dev/zero"],
            "",
            "ECRP120 the manifests cannot be read: cannot read `/dev/zero`: it has more than 256 MiB; [..]",
        ),
        (
            vec!["-"],
            &deep,
            "ECRP121 the manifests are malformed: -:1: values lie too deep in each other, or aliases make too many of them; [..]",
        ),
        (vec!["-"], "just text", "ECRP121 the manifests are malformed: there is no object in `-`; [..]"),
    ];
    for (arguments, input, line) in rows {
        migrate(&arguments, input).failed(line);
    }
    let empty = tempfile::tempdir().expect("a directory");
    fs::write(empty.path().join("README.md"), "kind: A").expect("written");
    let path = empty.path().display().to_string();
    let outcome = Plugin::bare().args(&["migrate", &path]).send("");
    outcome.failed(
        "ECRP120 the manifests cannot be read: `[..]` has no file that ends in .yaml, .yml or .json; [..]",
    );
}

/// The values of the page are what it says they are.
#[test]
fn the_values_of_the_page_are_before_and_after() {
    let page = repository_file("packaging/doc/sigrid.md");
    let values: Vec<_> =
        page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("\n```").next()).collect();
    let [before, after] = values[..] else { panic!("{} blocks", values.len()) };
    let expected = [
        "reference: value global.imagePullSecrets",
        "rotation: value ecrRepository.enabled",
        "key: value ecrRepository.sigCustomerAccessSecretName",
    ];
    assert_eq!(found_in(before), expected);
    assert_eq!(found_in(after), [""; 0]);
}
