use std::os::unix::fs::PermissionsExt;

use super::finding::Weight;
use super::*;

/// A folder with these files; it is gone when dropped.
pub(super) fn made_up(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a directory");
    for (path, text) in files {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().expect("has a parent")).expect("create");
        std::fs::write(path, text).expect("write");
    }
    root
}

const ECR: &str = "1.dkr.ecr.eu-central-1.amazonaws.com/team/app";
const FLAGS: &str = "--image-credential-provider-config=/etc/c.yaml --image-credential-provider-bin-dir=/bin";

fn command_line() -> String {
    format!("/usr/bin/kubelet {FLAGS}").replace(' ', "\0")
}

fn config(patterns: &str) -> String {
    let rest = "apiVersion: credentialprovider.kubelet.k8s.io/v1, defaultCacheDuration: 0s";
    format!(
        "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n\
         - {{name: ecr-credential-provider, {rest},\n   matchImages: [{patterns}]}}\n\
         - {{name: other, {rest}, matchImages: ['*.azurecr.io']}}\n"
    )
}

/// The lines for `image` on a node with these files and our binary; `!` marks what is wrong, `?` a notice.
fn lines(files: &[(&str, &str)], image: &str) -> Vec<String> {
    let root = made_up(files);
    let binary = root.path().join("bin/ecr-credential-provider");
    std::fs::create_dir_all(root.path().join("bin")).expect("create");
    std::fs::write(&binary, "").expect("write");
    std::fs::set_permissions(&binary, PermissionsExt::from_mode(0o755)).expect("chmod");
    let findings = inspect(root.path(), &image.parse().expect("an image"), Version::NEWEST, &binary);
    let mark = |finding: &Finding| match finding.weight() {
        Weight::Fine => ' ',
        Weight::Notice => '?',
        Weight::Wrong => '!',
    };
    findings.iter().map(|finding| format!("{} {finding}", mark(finding))).collect()
}

#[test]
fn walks_the_whole_way_to_this_program() {
    let (command_line, config) = (command_line(), config("'*.dkr.ecr.*.amazonaws.com'"));
    let files = [
        ("proc/812/cmdline", command_line.as_str()),
        ("proc/812/environ", "HTTPS_PROXY=http://u:p@h\0"),
        ("etc/c.yaml", &config),
    ];
    assert_eq!(
        lines(&files, ECR),
        [
            "  the kubelet runs as process 812",
            "  the kubelet hands on HTTPS_PROXY",
            "  configuration in `/etc/c.yaml`, plugins in `/bin`, by the flags of process 812",
            "  2 providers in `/etc/c.yaml`",
            "! the kubelet does not start: `/bin/other` does not exist (/etc/c.yaml:6:10)",
            "  `*.dkr.ecr.*.amazonaws.com` matches: the kubelet asks `ecr-credential-provider`",
            "  `/bin/ecr-credential-provider` is this program",
        ]
    );
    assert_eq!(
        lines(&files, "x.azurecr.io/a").last().unwrap(),
        "  `*.azurecr.io` matches: the kubelet asks `other`"
    );
}

#[test]
fn says_over_what_the_kubelet_ends() {
    let (command_line, complete) = (command_line(), config("a.b"));
    let incomplete = complete.replacen(", defaultCacheDuration: 0s", "", 1);
    let files = [("proc/1/cmdline", command_line.as_str()), ("etc/c.yaml", &incomplete)];
    let refused =
        "! the kubelet does not start: `providers[0].defaultCacheDuration` is missing (/etc/c.yaml:4:10)";
    assert!(lines(&files, ECR).contains(&refused.to_owned()), "{:#?}", lines(&files, ECR));
    let none = complete.split_once("- ").expect("a provider").0.to_owned();
    let files = [("proc/1/cmdline", command_line.as_str()), ("etc/c.yaml", &none)];
    let lines = lines(&files, ECR);
    assert_eq!(lines.last().unwrap(), "! the kubelet does not start: there is no provider (/etc/c.yaml)");
}

/// The files of a node, an image, and the last lines about it.
type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a [&'a str]);

#[test]
fn says_where_the_way_ends() {
    let (command_line, extra) = (command_line(), format!("KUBELET_EXTRA_ARGS={FLAGS}"));
    let running = ("proc/812/cmdline", command_line.as_str());
    let (slash_star, right) =
        (config("'*.dkr.ecr.*.amazonaws.com/*'"), config("'*.dkr.ecr.*.amazonaws.com'"));
    let refused = config("'r.corp:*'");
    let rows: [Row<'_>; 9] = [
        (
            &[],
            ECR,
            &[
                "? no kubelet runs, or this user may not see it",
                "! no --image-credential-provider-config is configured in the places known here",
            ],
        ),
        (
            &[("proc/1/cmdline", "/usr/bin/kubelet\0")],
            ECR,
            &["! the kubelet has no --image-credential-provider-config: it asks no provider"],
        ),
        (
            &[("proc/1/cmdline", "kubelet\0--image-credential-provider-config=/c\0")],
            ECR,
            &[
                "! --image-credential-provider-bin-dir is missing: the kubelet does not start with the other flag alone",
            ],
        ),
        (
            &[("proc/1/cmdline", "/usr/local/bin/k3s agent\0")],
            ECR,
            &[
                "! nothing at the default paths of k3s, /var/lib/rancher/credentialprovider/config.yaml and bin; it hides other flags",
            ],
        ),
        (
            &[running],
            ECR,
            &[
                "! the kubelet does not start: cannot read `ROOT/etc/c.yaml`: No such file or directory (os error 2) (/etc/c.yaml)",
            ],
        ),
        (
            &[running, ("etc/c.yaml", &slash_star)],
            ECR,
            &[
                "? `*` is no wildcard in a path: `/*` is a plain prefix (/etc/c.yaml:5:18)",
                "! the kubelet does not start: `/bin/other` does not exist (/etc/c.yaml:6:10)",
                "! no pattern matches `1.dkr.ecr.eu-central-1.amazonaws.com/team/app`: the kubelet asks no provider; the nearest is \
                 `*.dkr.ecr.*.amazonaws.com/*`, but the image's path `/team/app` does not start with `/*`",
            ],
        ),
        (
            &[running, ("etc/c.yaml", &right)],
            "1.dkr.ecr.eu-central-1.amazonaws.com:443/a",
            &[
                "! no pattern matches `1.dkr.ecr.eu-central-1.amazonaws.com:443/a`: the kubelet asks no provider; the nearest is \
               `*.dkr.ecr.*.amazonaws.com`, but the pattern has no port, the image has port 443",
            ],
        ),
        (
            &[running, ("etc/c.yaml", &refused)],
            "x.azurecr.io/a",
            &[
                "! the kubelet does not start: the pattern `r.corp:*` is refused: `*` is not a port: it must be digits, without wildcard (/etc/c.yaml:5:18)",
                "! the kubelet does not start: `/bin/other` does not exist (/etc/c.yaml:6:10)",
                "  `*.azurecr.io` matches: the kubelet asks `other`",
            ],
        ),
        (
            &[("proc/1/cmdline", "kubelet\0"), ("etc/default/kubelet", &extra), ("etc/c.yaml", &right)],
            ECR,
            &[
                "! configuration in `/etc/c.yaml`, plugins in `/bin`, by `/etc/default/kubelet`, but the kubelet that runs does not have these flags: restart it",
                "  2 providers in `/etc/c.yaml`",
                "! the kubelet does not start: `/bin/other` does not exist (/etc/c.yaml:6:10)",
                "  `*.dkr.ecr.*.amazonaws.com` matches: the kubelet asks `ecr-credential-provider`",
                "  `/bin/ecr-credential-provider` is this program",
            ],
        ),
    ];
    for (files, image, expected) in rows {
        let found = lines(files, image);
        let end = &found[found.len().saturating_sub(expected.len())..];
        for (line, expected) in end.iter().zip(expected) {
            let line = match line.split_once("`/tmp/") {
                Some((before, after)) => {
                    format!("{before}`ROOT/{}", after.split_once('/').expect("a path").1)
                }
                None => line.clone(),
            };
            assert_eq!(line, *expected, "{found:#?}");
        }
        assert_eq!(end.len(), expected.len(), "{found:#?}");
    }
}
