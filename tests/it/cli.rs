//! What people see at the command line.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;

use ecr_credential_provider::protocol::ApiVersion;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use snapbox::{assert_data_eq, str};
use stand_in::aws::Aws;

use crate::plugin::{HOST, IMAGE, Plugin, request};

#[test]
fn help() {
    let expected = str![[r#"
Kubelet image credential provider for Amazon ECR

The kubelet runs this program before it pulls an image whose name matches
`matchImages` of its CredentialProviderConfig: it writes a
CredentialProviderRequest to stdin and reads a CredentialProviderResponse,
with a registry password that lives under 12 hours, from stdout.

Exit status: 0 answered; 1 failed, with one line and a code on stderr and
nothing on stdout; 2 wrong arguments.

Usage: ecr-credential-provider [COMMAND]

Commands:
  get-credentials  Answer one CredentialProviderRequest on stdin; the same as no argument at all
  cache            Show or remove the tokens that this node holds
  doctor           Walk the way of a pull on this node, and say where it ends
  validate         Check the configuration of the kubelet and of this program, and say all that is wrong
  docker           Credential helper of docker, podman, buildah, skopeo, helm, crane, oras
  login-password   Print the password of a registry, as `aws ecr get-login-password` does
  latest-tag       Print the tag of the newest image or chart of a repository
  credentials      Print passwords in the form that a program wants them in
  generate         Print the files that make kubelets use this program, for every way of running nodes
  migrate          Find what is left of rotated pull secrets, and the order in which it goes
  install          Make this program a provider of this node's kubelet
  uninstall        Bring back what was there before `install`
  prepull          Have the container runtime of this node pull images, with passwords for ECR

Options:
  -h, --help
          Print help (see a summary with '-h')

  -V, --version
          Print version

To see what the kubelet would get:
  echo '{"kind": "CredentialProviderRequest",
         "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
         "image": "571600876202.dkr.ecr.eu-central-1.amazonaws.com/team/app"}' |
    AWS_SHARED_CREDENTIALS_FILE=/etc/ecr-credential-provider/credentials ecr-credential-provider

"#]];
    let outcome = Plugin::bare().args(&["--help"]).send("");
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert_data_eq!(outcome.stdout, expected);
}

#[test]
fn version() {
    let short = concat!("ecr-credential-provider ", env!("CARGO_PKG_VERSION"), "\n");
    Plugin::bare().args(&["-V"]).send("").is(0, short, "");
    let outcome = Plugin::bare().args(&["--version"]).send("");
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    let facts = str![[r"
ecr-credential-provider [..]
commit [..]
built for [..]-unknown-linux-[..] by rustc 1.[..]

"]];
    assert!(outcome.stdout.starts_with(short), "{}", outcome.stdout);
    assert_data_eq!(outcome.stdout, facts);
}

#[test]
fn get_credentials_is_the_same_as_no_argument() {
    let aws = Aws::start();
    let plugin = Plugin::with_key(&aws).args(&["get-credentials"]);
    plugin.send(request(ApiVersion::V1, IMAGE)).answered(ApiVersion::V1, HOST, "6h0m0s");
}

#[test]
fn wrong_arguments() {
    let remedy = "run `ecr-credential-provider --help`; as a kubelet plugin it takes no argument, or `get-credentials`";
    let rows = [
        (vec!["get-credential"], "unrecognized subcommand 'get-credential'"),
        (vec!["--verbose"], "unexpected argument '--verbose' found"),
        (vec!["get-credentials", "more"], "unexpected argument 'more' found"),
    ];
    for (arguments, cause) in rows {
        let outcome = Plugin::bare().args(&arguments).send(request(ApiVersion::V1, IMAGE));
        outcome.is(2, "", &format!("ECRP001 wrong arguments: {cause}; {remedy}"));
    }
    let none = "this command is one of several, and none is named";
    let rows = [
        (vec!["docker"], none, "docker"),
        (vec!["cache"], none, "cache"),
        (vec!["cache", "list", "--verbose"], "unexpected argument '--verbose' found", "cache list"),
        (vec!["install", "--verbose"], "unexpected argument '--verbose' found", "install"),
        (
            vec!["login-password"],
            "neither a registry nor a region is named, by `--region` or `AWS_REGION`",
            "login-password",
        ),
    ];
    for (arguments, cause, command) in rows {
        let remedy = format!("see `ecr-credential-provider {command} --help`");
        let outcome = Plugin::bare().args(&arguments).send("");
        outcome.is(2, "", &format!("ECRP001 wrong arguments: {cause}; {remedy}"));
    }
}

/// A person who starts the program to see what it does would wait for ever otherwise.
#[test]
fn a_terminal_on_stdin_gets_an_explanation() {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo terminal");
    grantpt(&controller).expect("granted");
    unlockpt(&controller).expect("unlocked");
    let name = ptsname(&controller, Vec::new()).expect("a name").into_string().expect("text");
    let terminal = File::open(name).expect("a terminal");
    let mut child = Plugin::bare()
        .command()
        .stdin(terminal)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stderr = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut stderr).expect("text");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), [].as_slice()));
    let first = "This is a plugin of the kubelet and expects a request on stdin, but stdin is a terminal.\n\nKubelet image";
    assert!(stderr.starts_with(first), "{stderr}");
    let last = "ECRP101 cannot read the request from stdin: stdin is a terminal; the caller must write one \
                CredentialProviderRequest to stdin and close it, as the kubelet does";
    assert_eq!(stderr.lines().last(), Some(last));
}
