//! What a `credential_process` may do, and that nothing of it is left afterwards.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use ecr_credential_provider::protocol::ApiVersion;
use stand_in::aws::{ACCESS_KEY_ID, Aws, SECRET_ACCESS_KEY};

use crate::identity::{Files, key_file, succeeds, without_credentials};
use crate::plugin::{HOST, IMAGE, Plugin, now};

/// What the process prints if all is well.
pub(crate) fn answer() -> String {
    format!(r#"{{"Version":1,"AccessKeyId":"{ACCESS_KEY_ID}","SecretAccessKey":"{SECRET_ACCESS_KEY}"}}"#)
}

/// The default profile runs `command_line`.
fn running(command_line: &str, aws: &Aws, files: &Files) -> Plugin {
    let config = format!("[default]\ncredential_process = {command_line}\n");
    without_credentials(aws)
        .env("PATH", "/usr/bin:/bin")
        .env("AWS_CONFIG_FILE", files.write("config", &config))
}

/// The process whose number a script wrote to `name` is gone, or a zombie that awaits its new parent.
#[track_caller]
pub(crate) fn assert_gone(files: &Files, name: &str) {
    let number = read(&files.path(name)).expect("a script wrote it");
    let status = PathBuf::from(format!("/proc/{}/status", number.trim()));
    let started = now();
    while read(&status).is_ok_and(|status| !status.contains("State:\tZ")) {
        assert!(started.elapsed() < Duration::from_secs(10), "the process {number} still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[expect(clippy::disallowed_methods, reason = "the test reads what a script wrote, and what the kernel says")]
fn read(path: &Path) -> io::Result<String> {
    fs::read_to_string(path)
}

#[test]
fn it_prints_a_key() {
    let (aws, files) = (Aws::start(), Files::new());
    let script = files.script("process", &format!("echo '{}'", answer()));
    assert_eq!(succeeds(&running(&script, &aws, &files), &aws)[0].access_key_id, ACCESS_KEY_ID);
}

#[test]
fn a_role_is_assumed_with_what_it_prints() {
    let (aws, files) = (Aws::start(), Files::new());
    let script = files.script("process", &format!("echo '{}'", answer()));
    let config = format!(
        "[default]\nrole_arn = arn:aws:iam::571600876202:role/pull\nsource_profile = base\n\
         [profile base]\ncredential_process = {script}\n"
    );
    let plugin = without_credentials(&aws).env("AWS_CONFIG_FILE", files.write("config", &config));
    let calls = succeeds(&plugin, &aws);
    assert_eq!(
        (calls[0].operation.as_str(), calls[0].access_key_id.as_str()),
        ("sts:AssumeRole", ACCESS_KEY_ID)
    );
    assert!(calls[1].access_key_id.starts_with("ASIA"), "{calls:?}");
}

#[test]
fn its_arguments_are_split_at_spaces_and_quotes_and_no_shell_sees_them() {
    let (aws, files) = (Aws::start(), Files::new());
    let arguments = files.path("arguments").display().to_string();
    let text = format!("printf '<%s>' \"$@\" > '{arguments}'\necho '{}'", answer());
    let script = files.script("a folder/process", &text);
    let line = format!(r#""{script}" plain "two words" 'a "quote"' "" $HOME; `id` $(id) a|b >/x a\ b *"#);
    succeeds(&running(&line, &aws, &files), &aws);
    assert_eq!(
        read(&files.path("arguments")).expect("written"),
        r#"<plain><two words><a "quote"><><$HOME;><`id`><$(id)><a|b><>/x><a b><*>"#
    );
}

#[test]
fn it_has_our_environment_and_no_stdin() {
    let (aws, files) = (Aws::start(), Files::new());
    let seen = files.path("seen").display().to_string();
    let script = files.script("process", &format!("echo \"$VAULT:$(cat)\" > '{seen}'\necho '{}'", answer()));
    succeeds(&running(&script, &aws, &files).env("VAULT", "corp"), &aws);
    assert_eq!(read(&files.path("seen")).expect("written"), "corp:\n");
}

/// Its stdout has no end while the child holds it open.
#[test]
fn a_child_that_it_leaves_behind_is_not_waited_for_and_is_killed() {
    let (aws, files) = (Aws::start(), Files::new());
    let child = files.path("child").display().to_string();
    let script = files.script("process", &format!("sleep 300 &\necho $! > '{child}'\necho '{}'", answer()));
    let outcome = running(&script, &aws, &files).ask(IMAGE).within(Duration::from_secs(15));
    outcome.answered(ApiVersion::V1, HOST, "6h0m0s");
    assert_gone(&files, "child");
}

/// Out of our reach, but not in our way.
#[test]
fn a_child_that_has_left_its_group_is_not_waited_for() {
    let (aws, files) = (Aws::start(), Files::new());
    let script = files.script("process", &format!("setsid sleep 25 &\necho '{}'", answer()));
    let outcome = running(&script, &aws, &files).ask(IMAGE).within(Duration::from_secs(15));
    outcome.answered(ApiVersion::V1, HOST, "6h0m0s");
}

#[test]
fn at_the_deadline_it_is_killed_with_its_children() {
    let (aws, files) = (Aws::start(), Files::new());
    let [own, child] = ["own", "child"].map(|name| files.path(name).display().to_string());
    let text = format!("echo $$ > '{own}'\nsleep 300 &\necho $! > '{child}'\nwait");
    let script = files.script("process", &text);
    let outcome = running(&script, &aws, &files).env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "2s").ask(IMAGE);
    outcome.within(Duration::from_secs(2)).masking(&script, "PROCESS").failed(
        "ECRP507 the deadline passed: 2 s were over while getting credentials from profile `default`, running `PROCESS`; \
         [..]",
    );
    assert_gone(&files, "own");
    assert_gone(&files, "child");
}

#[test]
fn what_can_be_wrong_with_it() {
    let malformed = |cause: &str| {
        format!(
            "ECRP303 the AWS credentials are malformed: getting credentials from profile `default`, running `PROCESS`: \
             {cause}; make it print what AWS documents for `credential_process`: [..]"
        )
    };
    let failed = |cause: &str| {
        format!(
            "ECRP302 a source of AWS credentials failed: getting credentials from profile `default`, running `PROCESS`: \
             {cause}; [..]"
        )
    };
    let key = format!(r#""AccessKeyId":"{ACCESS_KEY_ID}","SecretAccessKey":"{SECRET_ACCESS_KEY}""#);
    let rows = [
        (
            "echo no key here >&2; echo more >&2; exit 3".to_owned(),
            failed("it ended with exit status 3: no key here"),
        ),
        ("exit 1".to_owned(), failed("it ended with exit status 1")),
        ("kill -9 $$".to_owned(), failed("it ended with signal 9 (SIGKILL)")),
        // Some say on stderr what they were about to print.
        (
            format!("echo '{{{key}}}'; echo 'rejected: {SECRET_ACCESS_KEY}' >&2; exit 1"),
            failed("it ended with exit status 1: rejected: [redacted]"),
        ),
        ("true".to_owned(), malformed("it printed nothing")),
        (format!("echo '{SECRET_ACCESS_KEY}'"), malformed("what it printed is not JSON")),
        (
            format!("echo '{{\"Version\":1,\"AccessKeyId\":[\"{SECRET_ACCESS_KEY}\"]}}'"),
            malformed("what it printed is not a JSON object of strings"),
        ),
        (format!("echo '{{{key}}}'"), malformed("what it printed has no `Version`")),
        (format!("echo '{{\"Version\":2,{key}}}'"), malformed("the `Version` of what it printed is not 1")),
        (
            format!("echo '{{\"Version\":1,\"AccessKeyId\":\"{ACCESS_KEY_ID}\"}}'"),
            malformed("what it printed has no `SecretAccessKey`"),
        ),
        (
            format!("echo '{{\"Version\":1,{key},\"Expiration\":\"soon\"}}'"),
            malformed("the `Expiration` of what it printed is not a time"),
        ),
        (
            format!("echo '{{\"Version\":1,{key},\"Expiration\":\"2020-02-02T02:02:02+00:00\"}}'"),
            failed("the credentials that it printed expired at 2020-02-02T02:02:02Z, it is [..]"),
        ),
        ("exec yes canary".to_owned(), malformed("it wrote more than 65536 bytes")),
    ];
    for (text, line) in rows {
        let (aws, files) = (Aws::start(), Files::new());
        let script = files.script("process", &text);
        let outcome = running(&format!("{script} canary-argument"), &aws, &files).ask(IMAGE);
        assert!(!outcome.stderr.contains("canary"), "{text}: {}", outcome.stderr);
        outcome.masking(&script, "PROCESS").failed(&line);
    }
}

#[test]
fn a_command_line_that_cannot_be_run() {
    let rows = [
        (
            "/nonexistent/process",
            ", running `/nonexistent/process`: it cannot be run: No such file or directory (os error 2)",
        ),
        ("PLAIN", ", running `PLAIN`: it cannot be run: Permission denied (os error 13)"),
        ("\"half", ": a quote in `credential_process` is not closed"),
        ("\"\"", ", running ``: it cannot be run: No such file or directory (os error 2)"),
    ];
    for (line, cause) in rows {
        let (aws, files) = (Aws::start(), Files::new());
        let plain = files.write("plain", &key_file("default"));
        running(&line.replace("PLAIN", &plain), &aws, &files).ask(IMAGE).masking(&plain, "PLAIN").failed(&format!(
            "ECRP203 the AWS configuration cannot be used: getting credentials from profile `default`{cause}; [..]"
        ));
    }
}

/// A process that talks a lot on stderr must not be stopped by a full pipe.
#[test]
fn it_may_write_much_to_stderr() {
    let (aws, files) = (Aws::start(), Files::new());
    let script = files.script("process", &format!("head -c 300000 /dev/zero >&2\necho '{}'", answer()));
    succeeds(&running(&script, &aws, &files), &aws);
}
