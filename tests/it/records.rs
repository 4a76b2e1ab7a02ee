//! What a run leaves behind: the log, the metrics, the last result of a registry.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use stand_in::aws::{Aws, Fault, StatusCode};
use tempfile::TempDir;

use crate::plugin::{HOST, IMAGE, Plugin};

const REGISTRIES: &str = "*.dkr.ecr.eu-central-1.amazonaws.com";
const IDENTITY: &str = "the environment, key AKIAIOSFODNN7EXAMPLE";

/// A node that keeps all records.
struct World {
    aws: Aws,
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        Self { aws: Aws::start(), folder: tempfile::tempdir().expect("a directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// With a settings file in which `FOLDER` is this folder.
    fn with(&self, settings: &str) -> Plugin {
        let settings = settings.replace("FOLDER", &self.folder.path().display().to_string());
        fs::write(self.path("config.yaml"), settings).expect("written");
        Plugin::with_key(&self.aws)
            .with_cache(&self.path("cache"))
            .env("ECR_CREDENTIAL_PROVIDER_CONFIG", self.path("config.yaml").display().to_string())
            .env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "5s")
    }

    fn plugin(&self) -> Plugin {
        self.with("log: FOLDER/log\nmetricsFile: FOLDER/ecr.prom\nregistries: [{match: ['*.dkr.ecr.*.amazonaws.com']}]\n")
    }

    fn deny(&self) {
        let fault = Fault::Error(StatusCode::BAD_REQUEST, "AccessDeniedException", "no".to_owned());
        self.aws.behave(|aws| aws.fault = Some(fault));
    }

    /// The lines of the log, each taken apart.
    fn log(&self) -> Vec<BTreeMap<String, String>> {
        read(&self.path("log")).lines().map(logfmt).collect()
    }

    /// The last results in the cache.
    fn last(&self) -> Vec<Value> {
        self.last_files().iter().map(|path| serde_json::from_str(&read(path)).expect("JSON")).collect()
    }

    fn last_files(&self) -> Vec<PathBuf> {
        let entries =
            fs::read_dir(self.path("cache")).expect("a cache").map(|entry| entry.expect("an entry"));
        let files = entries.map(|entry| entry.path());
        files.filter(|path| path.extension() == Some("last".as_ref())).collect()
    }

    fn metrics(&self) -> BTreeMap<String, String> {
        parse_metrics(&read(&self.path("ecr.prom")))
    }
}

#[expect(clippy::disallowed_methods, reason = "tests look at what was written")]
fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it is there").permissions().mode() & 0o7777
}

/// Takes a line of logfmt apart, strictly.
#[track_caller]
fn logfmt(line: &str) -> BTreeMap<String, String> {
    let (mut fields, mut rest) = (BTreeMap::new(), line);
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').unwrap_or_else(|| panic!("no value: {line}"));
        let (value, after) = if let Some(quoted) = after.strip_prefix('"') {
            let end = (0..quoted.len())
                .find(|end| quoted[*end..].starts_with('"') && !quoted[..*end].ends_with('\\'))
                .unwrap_or_else(|| panic!("no quote at the end: {line}"));
            (quoted[..end].replace("\\\"", "\""), &quoted[end + 1..])
        } else {
            let end = after.find(' ').unwrap_or(after.len());
            (after[..end].to_owned(), &after[end..])
        };
        assert!(fields.insert(name.to_owned(), value).is_none(), "`{name}` twice: {line}");
        rest = if after.is_empty() { "" } else { after.strip_prefix(' ').expect("a space") };
    }
    let time: Result<Timestamp, _> = fields["time"].parse();
    assert!(time.is_ok() && fields["pid"].parse::<u32>().is_ok(), "{line}");
    fields
}

/// What promtool checks: each family has its help and type, once, in front of its samples, which are together;
/// names and labels are well formed, no sample is there twice; and the text ends with a line break.
#[track_caller]
fn parse_metrics(text: &str) -> BTreeMap<String, String> {
    assert!(text.ends_with('\n'), "{text:?}");
    let mut samples = BTreeMap::new();
    let (mut families, mut family, mut kind) = (Vec::new(), "", "");
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split_once(' ').expect("a help text").0;
            assert!(!families.contains(&family), "{family} twice");
            families.push(family);
            let (of, found) =
                lines.next().and_then(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).expect("a type");
            assert_eq!(of, family);
            assert!(["counter", "gauge", "summary"].contains(&found), "{found}");
            kind = found;
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let suffixes: &[&str] = if kind == "summary" { &["_sum", "_count"] } else { &[""] };
        assert!(suffixes.iter().any(|suffix| name.strip_suffix(suffix) == Some(family)), "{line}");
        assert!(kind != "counter" || name.ends_with("_total"), "{line}");
        let labels = labels.strip_suffix('}').expect("a brace");
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (name, value) = label.split_once("=\"").expect("a label");
            assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase()), "{line}");
            let value = value.strip_suffix('"').expect("a quote");
            assert!(!value.contains(['"', '\\']), "none of ours has any: {line}");
        }
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(samples.insert(series.to_owned(), value.to_owned()).is_none(), "twice: {line}");
    }
    samples
}

fn calls(result: &str, code: &str) -> String {
    format!("ecr_credential_provider_calls_total{{result=\"{result}\",code=\"{code}\"}}")
}

#[test]
fn a_password_of_aws_and_one_of_the_cache() {
    let world = World::new();
    world.plugin().ask(IMAGE).credentials();
    let first = world.last();
    world.plugin().ask(IMAGE).credentials();

    let log = world.log();
    for (line, result) in log.iter().zip(["ok", "cached"]) {
        let expected = [
            ("result", result),
            ("image", IMAGE),
            ("registry", HOST),
            ("rule", "registries[0]"),
            ("identity", IDENTITY),
        ];
        for (name, value) in expected {
            assert_eq!(line.get(name).map(String::as_str), Some(value), "{name} in {line:?}");
        }
        assert!(line["duration"].ends_with('s') && !line.contains_key("error"), "{line:?}");
    }
    assert_eq!((log.len(), mode_of(&world.path("log"))), (2, 0o640));

    let metrics = world.metrics();
    assert_eq!((metrics[&calls("ok", "")].as_str(), metrics[&calls("cached", "")].as_str()), ("1", "1"));
    assert_eq!(metrics["ecr_credential_provider_aws_request_duration_seconds_count"], "1");
    let took: f64 =
        metrics["ecr_credential_provider_aws_request_duration_seconds_sum"].parse().expect("a number");
    assert!(took > 0.0 && took < 5.0, "{took}");
    let since = |series: &str| {
        let at = Timestamp::from_second(metrics[series].parse().expect("seconds")).expect("a time");
        at.duration_since(first[0]["at"].as_str().expect("a time").parse().expect("a time"))
    };
    let success =
        format!("ecr_credential_provider_last_success_timestamp_seconds{{registry=\"{REGISTRIES}\"}}");
    let expiry = format!(
        "ecr_credential_provider_token_expiry_timestamp_seconds{{registry=\"{REGISTRIES}\",region=\"eu-central-1\"}}"
    );
    assert!(since(&success).abs() < SignedDuration::from_mins(2));
    assert!((since(&expiry) - SignedDuration::from_hours(12)).abs() < SignedDuration::from_mins(2));
    assert_eq!((metrics.len(), mode_of(&world.path("ecr.prom"))), (6, 0o644));
    assert!(!world.path("ecr.prom.tmp").exists());

    assert_eq!(first.len(), 1);
    let Value::Object(fields) = &first[0] else { panic!("{first:?}") };
    let names = ["registry", "image", "identity", "result", "code", "error"];
    let values = names.map(|name| fields[name].as_str().unwrap_or("none"));
    assert_eq!(values, [HOST, IMAGE, IDENTITY, "ok", "none", "none"]);
    assert_eq!(world.last(), first, "what the cache answers is no news");
}

#[test]
fn a_failure_and_those_that_are_told_of_it() {
    let world = World::new();
    world.deny();
    let line = world.plugin().ask(IMAGE).stderr;
    let first = world.last();
    assert_eq!(
        (first[0]["code"].as_str(), first[0]["error"].as_str()),
        (Some("ECRP401"), Some(line.as_str()))
    );
    assert_eq!((first[0]["result"].as_str(), first[0]["identity"].as_str()), (Some("error"), Some(IDENTITY)));
    let told = world.plugin().ask(IMAGE);
    assert!(told.stderr.contains(" ago, "), "{told:?}");
    assert_eq!(world.last(), first);
    let log = world.log();
    assert_eq!((log[0]["error"].as_str(), log[1]["error"].as_str()), (line.as_str(), told.stderr.as_str()));
    assert_eq!((log[0]["code"].as_str(), log[0]["result"].as_str()), ("ECRP401", "error"));
    let metrics = world.metrics();
    assert_eq!(metrics[&calls("error", "ECRP401")], "2");
    assert_eq!(metrics["ecr_credential_provider_aws_request_duration_seconds_count"], "1");
    assert_eq!(metrics.len(), 3, "no success, no expiry");
}

/// Nobody would know otherwise that AWS is out of reach, until the last token expires.
#[test]
fn a_failure_that_a_cached_password_makes_up_for() {
    let world = World::new();
    world.plugin().ask(IMAGE).credentials();
    let cache: Vec<_> = fs::read_dir(world.path("cache")).expect("a cache").collect();
    let is_token = |path: &PathBuf| path.extension() == Some("token".as_ref());
    let token =
        cache.into_iter().map(|entry| entry.expect("an entry").path()).find(is_token).expect("a token");
    let mut json: Value = serde_json::from_str(&read(&token)).expect("JSON");
    let asked_at: Timestamp = json["askedAt"]["wall"].as_str().expect("a time").parse().expect("a time");
    json["askedAt"]["wall"] = (asked_at - SignedDuration::from_hours(8)).to_string().into();
    fs::write(&token, json.to_string()).expect("written");
    world.deny();
    assert_eq!(world.plugin().ask(IMAGE).credentials().1.to_string(), "1m0s");
    assert_eq!(world.metrics()[&calls("cached", "ECRP401")], "1");
    assert_eq!(world.log()[1]["code"], "ECRP401");
    let last = &world.last()[0];
    assert_eq!((last["result"].as_str(), last["code"].as_str()), (Some("cached"), Some("ECRP401")));
}

#[test]
fn an_answer_without_a_password() {
    let world = World::new();
    world.plugin().ask("registry.k8s.io/pause").answered_nothing("0s", "ECRP100 [..]");
    world.deny();
    world.plugin().ask("public.ecr.aws/docker/library/busybox").answered_nothing("5m0s", "ECRP401 [..]");
    let metrics = world.metrics();
    assert_eq!(
        (metrics[&calls("empty", "ECRP100")].as_str(), metrics[&calls("empty", "ECRP401")].as_str()),
        ("1", "1")
    );
    let log = world.log();
    assert_eq!((log[0]["result"].as_str(), log[0]["image"].as_str()), ("empty", "registry.k8s.io/pause"));
    assert!(!log[0].contains_key("registry") && log[0]["error"].starts_with("ECRP100 "), "{log:?}");
    let last = world.last();
    assert_eq!((last.len(), last[0]["registry"].as_str()), (1, Some("public.ecr.aws")));
    assert_eq!((last[0]["result"].as_str(), last[0]["code"].as_str()), (Some("empty"), Some("ECRP401")));
}

#[test]
fn the_deadline_is_recorded_by_the_thread_that_watches() {
    let world = World::new();
    let mut command = world.plugin().env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "1s").command();
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it runs");
    let open = child.stdin.take();
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    drop(open);
    let log = world.log();
    assert_eq!((log.len(), log[0]["code"].as_str(), log[0].get("image")), (1, "ECRP507", None));
    assert_eq!(world.metrics()[&calls("error", "ECRP507")], "1");
}

#[test]
fn commands_for_people_are_not_recorded_and_clear_forgets() {
    let world = World::new();
    world.plugin().ask(IMAGE).credentials();
    world.plugin().args(&["cache", "list"]).send("");
    assert_eq!(world.plugin().args(&["cache", "clear"]).send("").code, Some(0));
    assert_eq!((world.log().len(), world.last().len()), (1, 0));
}

/// The next token that is kept takes what nobody asks for any more with it.
#[test]
fn a_last_result_is_kept_for_thirty_days() {
    let world = World::new();
    let in_region = |region: &str| IMAGE.replace("eu-central-1", region);
    world.plugin().ask(&in_region("eu-west-1")).credentials();
    let old = world.last_files().pop().expect("a last result");
    world.plugin().ask(&in_region("eu-west-2")).credentials();
    let (written_at, file) =
        File::open(&old).and_then(|file| Ok((file.metadata()?.modified()?, file))).expect("there");
    let days = |days: u64| Duration::from_hours(24 * days);
    file.set_modified(written_at - days(29)).expect("set");
    world.plugin().ask(&in_region("eu-west-3")).credentials();
    assert_eq!(world.last().len(), 3);
    file.set_modified(written_at - days(31)).expect("set");
    world.plugin().ask(IMAGE).credentials();
    assert_eq!((world.last().len(), old.exists()), (3, false));
}

#[test]
fn processes_at_the_same_time_lose_nothing() {
    let world = World::new();
    let plugin = world.plugin().env("ECR_CREDENTIAL_PROVIDER_LOG", "debug");
    plugin.ask(IMAGE).credentials();
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| plugin.ask(IMAGE).credentials());
        }
    });
    assert_eq!(world.metrics()[&calls("cached", "")], "20");
    let log = world.log();
    assert_eq!(log.iter().filter(|line| line.contains_key("result")).count(), 21);
    // The steps of a run stand together, and its result after them.
    let processes: Vec<_> = log.chunk_by(|one, other| one["pid"] == other["pid"]).collect();
    assert_eq!(processes.len(), 21);
    for lines in processes {
        let (result, steps) = lines.split_last().expect("lines");
        assert!(result.contains_key("result") && steps.len() > 2, "{lines:?}");
        assert!(steps.iter().all(|step| step.contains_key("trace")), "{lines:?}");
    }
}

/// Whatever is in the place of a record, the call is answered, and what is there stays.
#[test]
fn what_cannot_be_written_does_not_matter() {
    let world = World::new();
    fs::create_dir(world.path("folder.prom")).expect("created");
    fs::write(world.path("precious"), "precious").expect("written");
    symlink(world.path("precious"), world.path("link.prom")).expect("linked");
    fs::hard_link(world.path("precious"), world.path("hard.prom")).expect("linked");
    assert!(Command::new("mkfifo").arg(world.path("pipe.prom")).status().expect("mkfifo runs").success());
    symlink(world.path("precious"), world.path("x.prom.lock")).expect("linked");
    let rows = ["nowhere/x.prom", "folder.prom", "link.prom", "hard.prom", "pipe.prom", "x.prom"];
    for name in rows {
        let path = world.path(name).display().to_string();
        // A rule of the log for `x.prom` would make it.
        let log = if name == "x.prom" { "/dev/null".to_owned() } else { path.clone() };
        let plugin = world.with(&format!("log: {log}\nmetricsFile: {path}\n"));
        plugin.ask(IMAGE).within(Duration::from_secs(4)).credentials();
        let trace = plugin.env("ECR_CREDENTIAL_PROVIDER_LOG", "debug").ask(IMAGE).stderr;
        for line in ["debug the log is not written: ", "debug the metrics file is not written: "] {
            assert!(trace.lines().any(|found| found.starts_with(line)), "{name}: {trace}");
        }
        assert_eq!(read(&world.path("precious")), "precious", "{name}");
    }
    assert!(fs::symlink_metadata(world.path("link.prom")).expect("there").file_type().is_symlink());
}

/// Another process, a disk that is stuck: the answer is there, the end of the process waits for a second.
#[test]
fn a_lock_that_is_held_does_not_hold_up_an_answer() {
    let world = World::new();
    let lock = File::create(world.path("ecr.prom.lock")).expect("created");
    lock.lock().expect("locked");
    world.plugin().ask(IMAGE).within(Duration::from_secs(4)).credentials();
    world.deny();
    let other = IMAGE.replace("eu-central-1", "eu-west-1");
    let failed = world.plugin().ask(&other).within(Duration::from_secs(4));
    assert!(failed.code == Some(1) && failed.stderr.starts_with("ECRP401 "), "{failed:?}");
    assert!(!world.path("ecr.prom").exists());
    assert_eq!((world.log().len(), world.last().len()), (2, 2), "the other records are written");
}

#[test]
fn metrics_that_are_not_ours_start_anew() {
    let world = World::new();
    world.plugin().ask(IMAGE).credentials();
    let (path, ours) = (world.path("ecr.prom"), read(&world.path("ecr.prom")));
    let spoiled = [
        String::new(),
        "\0".repeat(100),
        ours.replace("} 1\n", "} 1 \n"),
        ours[..90].to_owned(),
        ours + "x 1\n",
    ];
    for text in spoiled {
        fs::write(&path, &text).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("changed");
        world.plugin().ask(IMAGE).credentials();
        let metrics = world.metrics();
        assert_eq!(
            (metrics[&calls("cached", "")].as_str(), metrics.get(&calls("ok", ""))),
            ("1", None),
            "{text:?}"
        );
        assert_eq!(mode_of(&path), 0o644);
    }
}

#[test]
fn a_full_log_is_put_aside() {
    let world = World::new();
    let line = format!("time=2026-01-01T00:00:00.000Z pid=1 trace={}\n", "x".repeat(970));
    fs::write(world.path("log"), line.repeat((1 << 20) / line.len())).expect("written");
    let plugin = world.plugin();
    thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| plugin.ask(IMAGE).credentials());
        }
    });
    let (new, old) = (world.log(), read(&world.path("log.1")));
    let in_old = old.lines().map(logfmt).filter(|line| line.contains_key("result")).count();
    assert_eq!(new.len() + in_old, 10, "whoever still wrote to the old one");
    assert!(old.len() > 1_000_000 && !new.is_empty(), "{}", old.len());
}

/// A key, a password, a service account token and a proxy's password, with everything switched on.
#[test]
fn no_record_holds_a_secret() {
    let world = World::new();
    let plugin = world.plugin().env("ECR_CREDENTIAL_PROVIDER_LOG", "debug");
    let request = format!(
        r#"{{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"{IMAGE}",
            "serviceAccountToken":"canary-service-account","serviceAccountAnnotations":{{}}}}"#
    );
    assert!(plugin.send(request.as_str()).stdout.contains("canary"));
    let proxy = format!("http://node:canary-password@{}", world.aws.address());
    let by_proxy = plugin.clone().without("AWS_ENDPOINT_URL_ECR").env("HTTPS_PROXY", proxy);
    assert_eq!(by_proxy.send(request.as_str()).code, Some(1));
    let quoted = "canary-session is no good".to_owned();
    let fault = Fault::Error(StatusCode::BAD_REQUEST, "AccessDeniedException", quoted);
    world.aws.behave(|aws| aws.fault = Some(fault));
    let other = request.replace("eu-central-1", "eu-west-1");
    let session = plugin.env("AWS_SESSION_TOKEN", "canary-session");
    assert_eq!(session.send(other).code, Some(1));
    assert_eq!(
        (world.log().iter().filter(|line| line.contains_key("result")).count(), world.last().len()),
        (3, 2)
    );
    let last: Vec<_> = world.last().iter().map(ToString::to_string).collect();
    for text in [read(&world.path("log")), read(&world.path("ecr.prom")), last.concat()] {
        assert!(!text.contains("canary") && !text.contains("Y2FuYXJ5"), "{text}");
    }
}

#[test]
fn a_bad_target_is_a_mistake_of_the_settings_file() {
    let world = World::new();
    let rows = [
        ("log: syslog", "line 1, column 6: `syslog` is neither `journald` nor an absolute path"),
        ("log: log.txt", "line 1, column 6: `log.txt` is neither `journald` nor an absolute path"),
        (
            "metricsFile: /var/lib/ecr.txt",
            "line 1, column 14: `/var/lib/ecr.txt` is not an absolute path that ends in `.prom`",
        ),
        (
            "metricsFile: ecr.prom",
            "line 1, column 14: `ecr.prom` is not an absolute path that ends in `.prom`",
        ),
    ];
    for (text, reason) in rows {
        let outcome = world.with(text).ask(IMAGE);
        assert!(outcome.code == Some(1) && outcome.stderr.contains(reason), "{outcome:?}");
    }
}

/// There is no journal where tests run, or it is the machine's own, which gets nothing to do with a test.
#[test]
fn a_journal_that_is_not_there_does_not_matter() {
    if Path::new("/run/systemd/journal/socket").exists() {
        return;
    }
    let world = World::new();
    let plugin = world.with("log: journald\n").env("ECR_CREDENTIAL_PROVIDER_LOG", "debug");
    let outcome = plugin.ask(IMAGE);
    outcome.credentials();
    let line = "debug the log is not written: cannot send to `/run/systemd/journal/socket`: ";
    assert!(outcome.stderr.contains(line), "{outcome:?}");
}
