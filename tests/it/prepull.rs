//! `prepull`: what it asks of the container runtime, and what it says of the answers.

use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use stand_in::aws::{Aws, Fault, StatusCode};
use stand_in::cri::{Cri, Pull, Seen, UNAVAILABLE, UNIMPLEMENTED, UNKNOWN};
use tempfile::TempDir;

use crate::plugin::{HOST, Outcome, Plugin};

/// A container runtime, AWS, and a folder for files.
struct World {
    cri: Cri,
    aws: Aws,
    folder: TempDir,
    plugin: Plugin,
}

impl World {
    fn new() -> Self {
        let (aws, folder) = (Aws::start(), tempfile::tempdir().expect("a directory"));
        let cri = Cri::start(folder.path());
        let plugin = Plugin::with_key(&aws).env("CONTAINER_RUNTIME_ENDPOINT", cri.endpoint());
        Self { cri, aws, folder, plugin }
    }

    /// One image after the other, so that the lines have an order.
    fn prepull(&self, arguments: &[&str]) -> Outcome {
        let outcome = self.plugin.clone().args(&[&["prepull", "--jobs", "1"], arguments].concat()).send("");
        outcome.masking(&self.folder.path().display(), "FOLDER")
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("written");
        path.display().to_string()
    }

    /// The next pull of an image ends like this.
    fn next_pull(&self, image: &str, ends: Pull) {
        self.cri.behave(|cri| cri.pulls.entry(image.to_owned()).or_default().push_back(ends));
    }
}

const RUNTIME: &str = "containerd 9.9.9 at `unix://FOLDER/cri.sock` (named by `CONTAINER_RUNTIME_ENDPOINT`)";

fn ecr(repository: &str) -> String {
    format!("{HOST}/{repository}:1")
}

fn login_of(seen: &Seen) -> Option<&str> {
    seen.login.as_ref().map(|(username, _)| username.as_str())
}

#[test]
fn images_of_ecr_share_a_password_and_others_are_pulled_without() {
    let world = World::new();
    let list = world.file("list", &format!("# ours\n{}\n\n{}  # twice\n", ecr("b"), ecr("a")));
    let outcome = world.prepull(&["--file", &list, &ecr("a"), &ecr("c"), "nginx"]);
    outcome.is(
        0,
        &format!(
            "4 images for {RUNTIME}\n\
             pulled   {HOST}/a:1  [..]s  12.3 MB\n\
             pulled   {HOST}/c:1  [..]s  12.3 MB\n\
             pulled   nginx  [..]s  12.3 MB\n\
             pulled   {HOST}/b:1  [..]s  12.3 MB\n\
             4 pulled in [..]s\n"
        ),
        "",
    );
    assert_eq!(world.aws.seen().len(), 1, "one password for all, though there is no cache");
    for seen in world.cri.seen() {
        let expected = (seen.image != "nginx").then_some("AWS");
        assert_eq!(login_of(&seen), expected, "{}", seen.image);
        let accepted = seen.login.is_none_or(|(_, password)| world.aws.accepts_password(&password));
        assert!(accepted, "the password of {}", seen.image);
    }
}

#[test]
fn a_rule_of_the_settings_file_gives_a_mirror_its_password() {
    let world = World::new();
    let settings = world.file(
        "config.yaml",
        &format!("registries:\n  - match: [\"mirror.test:5000/vendor\"]\n    registry: {HOST}\n"),
    );
    let plugin = world.plugin.clone().env("ECR_CREDENTIAL_PROVIDER_CONFIG", settings);
    let outcome =
        plugin.args(&["prepull", "mirror.test:5000/vendor/a:1", "mirror.test:5000/other/a:1"]).send("");
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    for seen in world.cri.seen() {
        assert_eq!(login_of(&seen), seen.image.contains("/vendor/").then_some("AWS"), "{}", seen.image);
    }
}

/// Each of the three waits for the other two.
#[test]
fn several_images_are_pulled_at_a_time() {
    let world = World::new();
    let images = ["a", "b", "c"].map(ecr);
    for image in &images {
        world.next_pull(image, Pull::Meets(3));
    }
    let arguments: Vec<_> =
        ["prepull", "--jobs", "3"].into_iter().chain(images.iter().map(String::as_str)).collect();
    let outcome = world.plugin.clone().args(&arguments).send("");
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    assert_eq!(world.aws.seen().len(), 1);
}

#[test]
fn what_is_present_is_left_alone_unless_it_is_to_be_pulled_always() {
    let world = World::new();
    let (a, b) = (ecr("a"), ecr("b"));
    world.cri.behave(|cri| {
        cri.images.insert(a.clone(), false);
    });
    let outcome = world.prepull(&[&a, &b]);
    let lines = format!(
        "2 images for {RUNTIME}\npresent  {a}  [..]s  12.3 MB\npulled   {b}  [..]s  12.3 MB\n\
         1 pulled, 1 already present in [..]s\n"
    );
    outcome.is(0, &lines, "");
    let outcome = world.prepull(&[&a, &b]);
    assert!(outcome.stdout.ends_with('\n') && outcome.stdout.contains("\n0 pulled, 2 already present in "));
    assert_eq!(world.cri.seen().len(), 1, "the second run pulls nothing");
    assert_eq!(world.aws.seen().len(), 1, "nor does it ask for a password");
    let outcome = world.prepull(&["--always", &a, &b]);
    assert!(outcome.stdout.contains("\n2 pulled in "), "{outcome:#?}");
}

#[test]
fn an_image_that_fails_is_named_with_its_cause_and_the_others_are_pulled() {
    let rows = [
        (
            "failed to pull and unpack image \"x\": failed to resolve reference \"x\": x: not found"
                .to_owned(),
            "ECRP854 the registry does not have the image: ",
            "x: not found; check repository and tag",
        ),
        (
            format!("unexpected status from HEAD request to https://{HOST}/v2/x/manifests/1: 403 Forbidden"),
            "ECRP855 the registry refuses the image: ",
            "pulled with a password of the environment, key AKIAIOSFODNN7EXAMPLE: unexpected status from HEAD request to \
             https://571600876202.dkr.ecr.eu-central-1.amazonaws.com/v2/x/manifests/1: 403 Forbidden; allow the identity \
             `ecr:BatchGetImage` and `ecr:GetDownloadUrlForLayer` on this repository; `doctor --pull IMAGE` looks closer",
        ),
        (
            "write /var/lib/x: no space left on device".to_owned(),
            "ECRP856 the disk of the container runtime is full: ",
            "write /var/lib/x: no space left on device; make room where it keeps its images (`df /var/lib/containerd`)",
        ),
    ];
    for (message, title, rest) in rows {
        let world = World::new();
        let (bad, good) = (ecr("x"), ecr("good"));
        world.next_pull(&bad, Pull::Fails(UNKNOWN, message));
        let outcome = world.prepull(&[&bad, &good]);
        outcome.is(
            1,
            &format!(
                "2 images for {RUNTIME}\nfailed   {bad}  [..]s  {title}{rest}\npulled   {good}  [..]s  12.3 MB\n\
                 1 pulled, 1 failed in [..]s\n"
            ),
            &format!("{title}`{bad}`: {rest}"),
        );
    }
}

#[test]
fn several_failures_are_one_line_that_names_each() {
    let world = World::new();
    let fault = Fault::Error(StatusCode::BAD_REQUEST, "AccessDeniedException", "no".to_owned());
    world.aws.behave(|aws| aws.fault = Some(fault));
    world.next_pull("nginx", Pull::Fails(UNKNOWN, "manifest unknown".to_owned()));
    let outcome = world.prepull(&[&ecr("a"), "nginx", "busybox"]);
    assert!(
        outcome.stdout.contains("  ECRP401 AWS denies access: asking for a password for "),
        "{outcome:#?}"
    );
    assert!(
        outcome.stdout.ends_with('\n') && outcome.stdout.contains("\n1 pulled, 2 failed in "),
        "{outcome:#?}"
    );
    assert_eq!(outcome.code, Some(1));
    assert_eq!(
        outcome.stderr,
        format!(
            "ECRP863 not all images are pulled: 2 of 3: `{}` (ECRP401 AWS denies access), `nginx` (ECRP854 the registry does \
             not have the image); see the line of each image on stdout; run the command again, it goes on with what is \
             missing",
            ecr("a")
        )
    );
}

#[test]
fn what_may_pass_is_tried_again_and_what_may_not_is_not() {
    let world = World::new();
    let image = ecr("a");
    world.next_pull(&image, Pull::Fails(UNAVAILABLE, "restarting".to_owned()));
    let outcome = world.prepull(&["--retries", "1", &image]);
    outcome.is(
        0,
        &format!(
            "1 image for {RUNTIME}\nretry    {image}  in [..]s: ECRP851 the container runtime does not answer: \
             `unix://FOLDER/cri.sock` (named by `CONTAINER_RUNTIME_ENDPOINT`): Unavailable: restarting; look at its journal \
             (`journalctl -u containerd`, or `-u crio`)\npulled   {image}  [..]s  12.3 MB\n1 pulled in [..]s\n"
        ),
        "",
    );
    let rows =
        [("503 Service Unavailable", "0", 1), ("503 Service Unavailable", "1", 2), ("404 Not Found", "1", 1)];
    for (message, retries, pulls) in rows {
        let world = World::new();
        for _ in 0..3 {
            world.next_pull(&image, Pull::Fails(UNKNOWN, message.to_owned()));
        }
        assert_eq!(world.prepull(&["--retries", retries, &image]).code, Some(1));
        assert_eq!(world.cri.seen().len(), pulls, "{message}, {retries} retries");
    }
}

#[test]
fn a_pull_that_hangs_is_given_up() {
    for limit in ["--timeout", "--total-timeout"] {
        let world = World::new();
        let image = ecr("a");
        world.next_pull(&image, Pull::Hangs);
        let outcome = world.prepull(&[limit, "1s", &image]).within(Duration::from_secs(2));
        outcome.is(
            1,
            &format!("1 image for {RUNTIME}\nfailed   {image}  1.[..]s  ECRP859 [..]\n0 pulled, 1 failed in 1.[..]s\n"),
            &format!(
                "ECRP859 the pull takes too long: `{image}`: the time for this image is over; run the command again, it goes \
                 on with what is missing; `--timeout` and `--total-timeout` raise the limits"
            ),
        );
    }
}

#[test]
fn images_are_pinned_by_their_label_where_the_runtime_knows_it() {
    let world = World::new();
    let (a, digest) = (ecr("a"), format!("{HOST}/b@sha256:{}", "0".repeat(64)));
    let outcome = world.prepull(&["--pin", &a, &digest]);
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    assert!(
        outcome.stdout.contains(&format!("\npulled   {a}  "))
            && outcome.stdout.contains("  12.3 MB  pinned\n")
    );
    assert!(world.cri.images().values().all(|pinned| *pinned), "{:?}", world.cri.images());

    world.cri.behave(|cri| cri.knows_pinned = false);
    world.prepull(&["--pin", &ecr("old")]).is(
        1,
        "1 image for [..]\nfailed   [..]\n0 pulled, 1 failed in [..]s\n",
        "ECRP860 the image is not pinned: `[..]/old:1`: it has its label, but containerd 9.9.9 at [..] does not show it as \
         pinned; update containerd: since 1.7.10, and 1.6.25, it knows pinned images by their label",
    );

    world.cri.behave(|cri| cri.name = "cri-o".to_owned());
    let pulls = world.cri.seen().len();
    world.prepull(&["--pin", &ecr("crio")]).failed(
        "ECRP860 the image is not pinned: cri-o 9.9.9 at [..] has no way to pin an image from outside; leave out `--pin`; \
         list the images in `pinned_images` of `[crio.image]` in /etc/crio/crio.conf.d/, and reload crio",
    );
    assert_eq!(world.cri.seen().len(), pulls, "nothing is pulled");
}

#[test]
fn the_sandbox_image_is_what_the_runtime_says() {
    let world = World::new();
    let image = ecr("pause");
    world.cri.behave(|cri| cri.config = Some(format!(r#"{{"sandboxImage":"{image}","other":1}}"#)));
    let outcome = world.prepull(&["--sandbox"]);
    outcome.is(
        0,
        &format!("1 image for {RUNTIME}\npulled   {image}  [..]s  12.3 MB\n1 pulled in [..]s\n"),
        "",
    );
    assert_eq!(world.cri.seen().iter().map(login_of).collect::<Vec<_>>(), [Some("AWS")]);
    for config in [None, Some("{}".to_owned()), Some("no JSON".to_owned())] {
        world.cri.behave(|cri| (cri.config, cri.name) = (config, "cri-o".to_owned()));
        world.prepull(&["--sandbox"]).failed(
            "ECRP861 it is not known which images to pull: cri-o 9.9.9 at [..] does not say which image its sandboxes are made \
             of; name it as one of the images",
        );
    }
}

#[test]
fn a_runtime_that_cannot_be_used_is_said_so() {
    let world = World::new();
    let stale = world.folder.path().join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).expect("a socket"));
    let none = world.folder.path().join("none.sock");
    let rows = [
        (
            none.display().to_string(),
            "ECRP850 no container runtime found: `unix://FOLDER/none.sock` (named by `--runtime-endpoint`): [..]",
        ),
        (
            stale.display().to_string(),
            "ECRP851 the container runtime does not answer: `unix://FOLDER/stale.sock` (named by `--runtime-endpoint`): Connection refused [..]",
        ),
        (
            "tcp://127.0.0.1:1".to_owned(),
            "ECRP850 no container runtime found: `--runtime-endpoint` names `tcp://127.0.0.1:1`, which is not a Unix socket; [..]",
        ),
    ];
    for (endpoint, line) in rows {
        world.prepull(&["--runtime-endpoint", &endpoint, "nginx"]).failed(line);
    }
    world.cri.behave(|cri| {
        cri.fault = Some((UNIMPLEMENTED, "unknown service runtime.v1.RuntimeService".to_owned()));
    });
    world.prepull(&["nginx"]).failed(
        "ECRP853 what listens there does not offer version 1 of CRI: `unix://FOLDER/cri.sock` (named by \
         `CONTAINER_RUNTIME_ENDPOINT`): unknown service runtime.v1.RuntimeService; take `cri` out of `disabled_plugins` in \
         /etc/containerd/config.toml and restart containerd; before 1.6 it lacks this version",
    );
}

#[test]
fn a_user_who_may_not_use_the_socket_is_told_so() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let world = World::new();
    fs::set_permissions(world.folder.path(), Permissions::from_mode(0o755)).expect("changed");
    let socket = world.folder.path().join("cri.sock");
    fs::set_permissions(&socket, Permissions::from_mode(0o600)).expect("changed");
    let outcome = world.plugin.clone().user(65534).args(&["prepull", "nginx"]).send("");
    let line = "ECRP852 the container runtime does not let this user in: `unix://[..]/cri.sock` (named by \
                `CONTAINER_RUNTIME_ENDPOINT`): Permission denied (os error 13); run this as root";
    outcome.failed(line);
}

#[test]
fn a_list_that_cannot_be_used_is_said_so() {
    let world = World::new();
    let empty = world.file("empty", "# nothing\n");
    let usual = "name images, or a file with one on each line with `--file`";
    let rows = [
        (vec![], format!("ECRP861 it is not known which images to pull: no image is named; {usual}")),
        (
            vec!["--file", "/nowhere"],
            "ECRP861 it is not known which images to pull: cannot read `/nowhere`: [..]".to_owned(),
        ),
        (
            vec!["--file", "/dev/zero"],
            "ECRP861 it is not known which images to pull: cannot read `/dev/zero`: it has more than 256 MiB; [..]"
                .to_owned(),
        ),
        (
            vec!["--file", &empty],
            format!("ECRP861 it is not known which images to pull: no image is named; {usual}"),
        ),
        (
            vec!["https://host/a"],
            "ECRP106 the image reference is malformed: `https://host/a`: [..]".to_owned(),
        ),
        (
            vec![HOST],
            format!(
                "ECRP106 the image reference is malformed: `{HOST}`: it names a registry, and no repository in it; [..]"
            ),
        ),
    ];
    for (arguments, line) in rows {
        world.prepull(&arguments).failed(&line);
    }
    let usage = world.prepull(&["--kubeadm", "host/a:1"]);
    assert_eq!(usage.code, Some(2), "{usage:#?}");
    assert!(usage.stderr.contains("it is no version; name images before `--kubeadm`"), "{usage:#?}");
}

/// A program in the place of kubeadm, which says with which arguments it ran. The real one is in the node test.
#[test]
fn the_images_of_kubeadm_are_asked_for_with_its_version_or_its_configuration() {
    let world = World::new();
    let plugin = world.plugin.clone().args(&["prepull", "--kubeadm"]);
    plugin.send("").failed(
        "ECRP862 kubeadm does not list its images: there is no kubeadm in the PATH of this node; install kubeadm, or name \
         the images",
    );
    let kubeadm = world.file(
        "kubeadm",
        "#!/bin/sh\ncase \"$*\" in\n  'version --output short') echo v1.99.0 ;;\n  *v0*) echo 'no such version' >&2; exit 1 ;;\n  \
         *) for word in \"$@\"; do echo \"list.test/$(echo \"$word\" | tr -d -c a-z0-9)\"; done ;;\nesac\n",
    );
    fs::set_permissions(kubeadm, Permissions::from_mode(0o755)).expect("changed");
    let plugin = world.plugin.clone().env("PATH", format!("{}:/usr/bin:/bin", world.folder.path().display()));
    let rows: [(&[&str], &[&str]); 3] = [
        (&[], &["config", "images", "list", "kubernetesversion", "v1990"]),
        (&["v1.33.1"], &["config", "images", "list", "kubernetesversion", "v1331"]),
        (&["--kubeadm-config", "/k.yaml"], &["config", "images", "list", "config", "kyaml"]),
    ];
    for (arguments, words) in rows {
        let arguments = [&["prepull", "--jobs", "1", "--always", "--kubeadm"], arguments].concat();
        let before = world.cri.seen().len();
        let outcome = plugin.clone().args(&arguments).send("");
        assert_eq!(outcome.code, Some(0), "{outcome:#?}");
        assert!(
            outcome.stderr.starts_with("note: without the sandbox image: containerd 9.9.9 at "),
            "{outcome:#?}"
        );
        let pulled: Vec<_> = world.cri.seen()[before..].iter().map(|seen| seen.image.clone()).collect();
        // An image once, though kubeadm prints it twice.
        let mut expected: Vec<_> = words.iter().map(|word| format!("list.test/{word}")).collect();
        let mut known = Vec::new();
        expected.retain(|image| {
            !known.contains(image) && {
                known.push(image.clone());
                true
            }
        });
        assert_eq!(pulled, expected, "{arguments:?}");
    }
    plugin.clone().args(&["prepull", "--kubeadm", "v0"]).send("").failed(
        "ECRP862 kubeadm does not list its images: it ended with exit status: 1: no such version; see what it says, and the \
         version or file it was given",
    );
    let both = plugin.args(&["prepull", "--kubeadm", "v1.33.1", "--kubeadm-config", "/k.yaml"]).send("");
    assert_eq!(both.code, Some(2), "{both:#?}");
}

#[test]
fn neither_password_nor_signature_is_shown() {
    let world = World::new();
    let image = ecr("a");
    let message = "unexpected status from GET request to https://storage.test/l?X-Amz-Signature=canary: 500 Internal Server Error";
    for _ in 0..2 {
        world.next_pull(&image, Pull::Fails(UNKNOWN, message.to_owned()));
    }
    let plugin = world.plugin.clone().env("ECR_CREDENTIAL_PROVIDER_LOG", "debug").env("RUST_LOG", "trace");
    let outcome = plugin.args(&["prepull", "--retries", "1", &image]).send("");
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    assert!(
        world.cri.seen().iter().all(|seen| login_of(seen) == Some("AWS")),
        "the runtime has the password"
    );
    assert!(outcome.stderr.lines().count() > 3, "there is a trace: {outcome:#?}");
    assert!(!outcome.stdout.contains("canary") && !outcome.stderr.contains("canary"), "{outcome:#?}");
}

/// Rows that go on are painted over; what stays is the same as elsewhere.
#[test]
fn a_terminal_shows_what_goes_on() {
    let world = World::new();
    let images = ["a", "b"].map(ecr);
    for image in &images {
        world.next_pull(image, Pull::Meets(2));
    }
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo terminal");
    grantpt(&controller).expect("granted");
    unlockpt(&controller).expect("unlocked");
    let size = Winsize { ws_row: 24, ws_col: 60, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&controller, size).expect("a size");
    let name = ptsname(&controller, Vec::new()).expect("a name").into_string().expect("text");
    let terminal = fs::OpenOptions::new().write(true).open(name).expect("a terminal");
    let plugin = world.plugin.clone().env("TERM", "xterm").args(&["prepull", &images[0], &images[1]]);
    let mut child = plugin.command().stdin(Stdio::null()).stdout(terminal).spawn().expect("the binary runs");
    let reader = std::thread::spawn(move || {
        let mut screen = Vec::new();
        // It ends with an error once the other side is closed.
        let _ = fs::File::from(controller).read_to_end(&mut screen);
        String::from_utf8_lossy(&screen).replace("\r\n", "\n")
    });
    assert!(child.wait().expect("it ends").success());
    let screen = reader.join().expect("what was shown");
    assert!(screen.contains("\x1b[3A\x1b[J"), "rows are painted over: {screen}");
    assert!(
        screen.lines().any(|line| line.starts_with("pulling  5716008") && line.contains('…')),
        "a row is cut in the middle: {screen}"
    );
    assert!(screen.contains("\n[--------------------] 0 of 2, 2 pulling, 0 waiting"), "{screen}");
    let stays: Vec<_> = screen.lines().filter(|line| line.contains("pulled")).collect();
    assert_eq!(stays.len(), 3, "{screen}");
    assert!(stays[2].contains("2 pulled in "), "{screen}");
    for row in screen.lines().filter(|line| line.starts_with("pulling")) {
        assert!(row.chars().count() <= 60, "{row}");
    }
}
