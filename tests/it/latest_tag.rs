//! `latest-tag`: what it picks, and what it says when it cannot.

use std::time::Duration;

use serde_json::{Value, json};
use stand_in::aws::{Aws, Fault, StatusCode};

use crate::plugin::{HOST, Outcome, Plugin};

const REPOSITORY: &str = "softwareimprovementgroup/sigrid-stack";

fn image(pushed_at: f64, tags: &[&str]) -> Value {
    let mut image = json!({
        "registryId": "571600876202", "repositoryName": REPOSITORY, "imagePushedAt": pushed_at,
        "imageDigest": format!("sha256:{pushed_at:064.1}"),
        "artifactMediaType": "application/vnd.cncf.helm.config.v1+json",
    });
    if !tags.is_empty() {
        image["imageTags"] = json!(tags);
    }
    image
}

fn aws_with(images: Vec<Value>) -> Aws {
    let aws = Aws::start();
    aws.behave(|aws| drop(aws.repositories.insert(REPOSITORY.to_owned(), images)));
    aws
}

fn latest_tag(plugin: Plugin, arguments: &[&str]) -> Outcome {
    plugin.args(&[&["latest-tag"], arguments].concat()).send("")
}

fn uri() -> String {
    format!("{HOST}/{REPOSITORY}")
}

/// The newest stands on none of the outer pages, and what would be newer does not count.
#[test]
fn all_pages_are_read() {
    let mut images: Vec<_> = (0..700).map(|n| image(f64::from(n), &[&format!("1.0.{n}")])).collect();
    images.swap(400, 699);
    images.extend([
        image(1000.0, &[]),
        image(1001.0, &[&format!("sha256-{}.sig", "0123456789abcdef".repeat(4))]),
        json!({"imageTags": ["0.0.1"], "imagePushedAt": 1002.0, "imageDigest": "sha256:x", "imageStatus": "ARCHIVED"}),
        json!({"imageTags": ["9.9.9"], "imagePushedAt": 1003.0, "imageDigest": "sha256:y", "subjectManifestDigest": "sha256:z"}),
    ]);
    let aws = aws_with(images);
    latest_tag(Plugin::with_key(&aws), &[&uri()]).is(0, "1.0.699\n", "");
    let calls = aws.seen();
    assert_eq!(calls.len(), 3, "{calls:#?}");
    for call in calls {
        let body: Value = serde_json::from_str(&call.body).expect("JSON");
        assert_eq!((call.operation.as_str(), call.region.as_str()), ("ecr:DescribeImages", "eu-central-1"));
        assert_eq!(
            (&body["registryId"], &body["repositoryName"]),
            (&json!("571600876202"), &json!(REPOSITORY))
        );
    }
    // AWS decides how much stands on a page.
    aws.behave(|aws| aws.page = 7);
    latest_tag(Plugin::with_key(&aws), &[&format!("oci://{}", uri())]).is(0, "1.0.699\n", "");
    assert_eq!(aws.seen().len(), 3 + 703_usize.div_ceil(7));
}

#[test]
fn a_constraint_picks_the_highest_version() {
    let images = vec![
        image(1.0, &["1.0.20250603"]),
        image(2.0, &["2.0.0", "latest"]),
        image(3.0, &["v1.4.0"]),
        image(4.0, &["1.4.1_build.7"]),
        image(5.0, &["1.3.9"]),
        image(6.0, &["2.1.0-rc.1"]),
    ];
    let aws = aws_with(images);
    let rows = [
        ("1.x", "1.4.1_build.7\n"),
        ("^1.0", "1.4.1_build.7\n"),
        ("~1.4.0 !=1.4.1", "v1.4.0\n"),
        (">=1.0 <1.4", "1.3.9\n"),
        ("*", "2.0.0\n"),
        (">0.0.0-0", "2.1.0-rc.1\n"),
    ];
    for (constraint, tag) in rows {
        latest_tag(Plugin::with_key(&aws), &[&uri(), "--semver", constraint]).is(0, tag, "");
    }
    let line =
        "ECRP610 no tag fits: none of the 6 images of `[..]/sigrid-stack` has a version for `>=3`; [..]";
    latest_tag(Plugin::with_key(&aws), &[&uri(), "--semver", ">=3"]).failed(line);
    let line = "ECRP001 wrong arguments: `newest` is not a version, such as `1.2.3`, `1.2` or `1.x`; [..]";
    latest_tag(Plugin::with_key(&aws), &[&uri(), "--semver", "newest"]).is(2, "", line);
}

#[test]
fn json_has_the_rest() {
    let aws = aws_with(vec![image(1_748_959_200.5, &["1.0.20250603", "1.0", "latest"])]);
    let text = format!(
        r#"{{
  "artifactType": "application/vnd.cncf.helm.config.v1+json",
  "digest": "sha256:00000000000000000000000000000000000000000000000000001748959200.5",
  "pushedAt": "2025-06-03T14:00:00.5Z",
  "repository": "{}",
  "tag": "1.0.20250603",
  "tags": [
    "1.0",
    "1.0.20250603",
    "latest"
  ],
  "version": "1.0.20250603"
}}
"#,
        uri()
    );
    latest_tag(Plugin::with_key(&aws), &[&uri(), "--json"]).is(0, &text, "");
}

#[test]
fn each_failure_says_what_to_do() {
    let aws = aws_with(vec![image(1.0, &[])]);
    let denied =
        "User: arn:aws:iam::1:user/node is not authorized to perform: ecr:DescribeImages on resource: x";
    let fault = |code, text: &str| Some(Fault::Error(StatusCode::BAD_REQUEST, code, text.to_owned()));
    let rows = [
        (
            fault("AccessDeniedException", denied),
            uri(),
            "ECRP401 AWS denies access: listing the images of \
            `softwareimprovementgroup/sigrid-stack` in `[..]` at `AWS`: AccessDeniedException: User: [..] is not authorized to \
            perform: ecr:DescribeImages on resource: x ([..]); allow `ecr:DescribeImages` on this repository for this identity, \
            or ask whoever may: `aws ecr describe-images --registry-id 571600876202 --region eu-central-1 --repository-name \
            softwareimprovementgroup/sigrid-stack`",
        ),
        (
            None,
            format!("{HOST}/nowhere"),
            "ECRP609 the repository does not exist: listing the images of `nowhere` in \
            `[..]` at `AWS`: RepositoryNotFoundException: [..]; check the name; [..]",
        ),
        (
            None,
            uri(),
            "ECRP610 no tag fits: `[..]/sigrid-stack` has no image with a tag, leaving out signatures and the like; [..]",
        ),
        (
            None,
            "registry.k8s.io/pause".to_owned(),
            "ECRP100 not an ECR registry: `registry.k8s.io` has no list of images that \
            we can ask for: [..]; [..]",
        ),
        (fault("ThrottlingException", "slow"), uri(), "ECRP601 AWS throttles us: [..]"),
    ];
    for (fault, uri, line) in rows {
        aws.behave(|aws| aws.fault = fault);
        latest_tag(Plugin::with_key(&aws), &[&uri]).masking(&aws.address(), "AWS").failed(line);
    }
    let wrong = [
        (
            vec!["public.ecr.aws/docker/library/busybox"],
            "`public.ecr.aws`: ECR Public tells the times of pushes to the owner of a \
            repository only; list the tags: `skopeo list-tags docker://public.ecr.aws/docker/library/busybox`",
        ),
        (
            vec![HOST],
            "`[..]`: there is no repository after the host; name a repository: HOST/REPOSITORY, without tag and digest",
        ),
        (vec!["571600876202.dkr.ecr.eu-central-1.amazonaws.com/a:1"], "`[..]`: it has a tag or digest; [..]"),
        (vec!["https://x/y"], "`https://x/y`: [..]; name a repository: [..]"),
        (vec!["a.b/c", "--timeout", "10ms"], "`--timeout 10ms` is less than `1s`; [..]"),
        (vec!["a.b/c", "--timeout", "soon"], "`--timeout soon`: [..]; [..]"),
    ];
    for (arguments, cause) in wrong {
        latest_tag(Plugin::with_key(&aws), &arguments).is(
            2,
            "",
            &format!("ECRP001 wrong arguments: {cause}"),
        );
    }
}

/// A large repository may take longer than one call of the kubelet, and not for ever.
#[test]
fn the_time_is_its_own() {
    let images = (0..8).map(|n| image(f64::from(n), &[&format!("1.0.{n}")])).collect();
    let aws = aws_with(images);
    aws.behave(|aws| {
        aws.page = 1;
        aws.latency = Duration::from_millis(400);
    });
    let plugin = Plugin::with_key(&aws);
    // Eight answers of 0.4 s, each of which has time enough.
    let hasty = plugin.clone().env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "3s");
    latest_tag(hasty, &[&uri()]).is(0, "1.0.7\n", "");
    aws.behave(|aws| aws.fault = Some(Fault::Hang));
    let line = "ECRP507 the deadline passed: 1 s were over while waiting for `[..]`; find out why that step is slow; \
                `--timeout` gives it more time";
    latest_tag(plugin, &[&uri(), "--timeout", "1s"]).within(Duration::from_secs(1)).failed(line);
}

/// The settings file holds here too: a name of one's own in front of ECR.
#[test]
fn a_mirror_stands_for_its_registry() {
    let aws = aws_with(vec![image(1.0, &["7"])]);
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("config.yaml");
    let text = format!("registries:\n- match: [registry.corp.example]\n  registry: {HOST}\n");
    std::fs::write(&file, text).expect("written");
    let plugin = Plugin::with_key(&aws).env("ECR_CREDENTIAL_PROVIDER_CONFIG", file.display().to_string());
    latest_tag(plugin, &[&format!("registry.corp.example/{REPOSITORY}")]).is(0, "7\n", "");
}
