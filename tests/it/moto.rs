//! Against [moto], an ECR and an STS that we did not write and that check our signatures.
//!
//! moto issues tokens that expired in 2015 and has no ECR Public, so success looks like this here: the signed
//! call is accepted, and the expired token is refused.
//!
//! The test installs moto into the target folder. Where that is impossible, `SKIP_MOTO=1` leaves it out, and
//! says so.
//!
//! [moto]: https://docs.getmoto.org/

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use crate::plugin::{IMAGE, Plugin, repository_file};

const EXPIRED: &str = "ECRP606 the authorization token has expired already: asking for a password for \
                       `571600876202.dkr.ecr.eu-central-1.amazonaws.com` at `MOTO`: it was issued at [..]Z and is \
                       valid until 2015-01-01T00:00:00Z; [..]";

#[test]
fn moto_accepts_our_signatures() {
    if wants_no_moto() {
        return;
    }
    let moto = Moto::start();
    let folder = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let Moto { id, secret, .. } = &moto;
    let credentials = format!("[sigrid]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n");
    let plugin = Plugin::bare()
        .env("AWS_SHARED_CREDENTIALS_FILE", write("credentials", credentials))
        .env("AWS_PROFILE", "sigrid")
        .env("AWS_ENDPOINT_URL", moto.url());
    plugin.ask(IMAGE).masking(&moto.authority(), "MOTO").failed(EXPIRED);

    // moto answers a bad signature with a page, not with an error of ECR; that it refuses is what counts.
    let wrong = format!("[sigrid]\naws_access_key_id = {id}\naws_secret_access_key = x{secret}\n");
    let wrong = plugin.clone().env("AWS_SHARED_CREDENTIALS_FILE", write("wrong", wrong));
    wrong.ask(IMAGE).masking(&moto.authority(), "MOTO").failed("ECRP603 [..]: status 403, [..]");

    let role = "[profile role]\nrole_arn = arn:aws:iam::123456789012:role/pull\nsource_profile = sigrid\n";
    let role = plugin
        .env("AWS_CONFIG_FILE", write("config", role.to_owned()))
        .env("AWS_PROFILE", "role")
        .env("ECR_CREDENTIAL_PROVIDER_LOG", "debug");
    let trace = format!(
        "debug [..]s asked for `{IMAGE}` as credentialprovider.kubelet.k8s.io/v1\n\
         debug [..]s the cache is off\n\
         debug [..]s connecting to `MOTO`\n\
         debug [..]s POST to `MOTO` is answered with status 200\n\
         debug [..]s credentials from profile `role`, key ASIA[..]\n\
         debug [..]s connecting to `MOTO`\n\
         debug [..]s POST to `MOTO` is answered with status 200\n\
         {EXPIRED}"
    );
    role.ask(IMAGE).masking(&moto.authority(), "MOTO").is(1, "", &trace);
}

/// The expression in the instructions of vendors, evaluated by the library of the AWS CLI, and we agree; except where
/// it names a signature.
#[test]
fn latest_tag_finds_what_the_aws_cli_does() {
    if wants_no_moto() {
        return;
    }
    let moto = Moto::start();
    let Moto { id, secret, newest, .. } = &moto;
    let plugin = Plugin::bare()
        .env("AWS_ACCESS_KEY_ID", id)
        .env("AWS_SECRET_ACCESS_KEY", secret)
        .env("AWS_ENDPOINT_URL", moto.url());
    let host = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
    let latest_tag = |repository: &str| {
        let uri = format!("{host}/{repository}");
        plugin.clone().args(&["latest-tag", &uri]).send("").masking(&moto.authority(), "MOTO")
    };
    assert_eq!(newest["many"], "1.0.149");
    latest_tag("many").is(0, "1.0.149\n", "");
    let signature = newest["signed"].as_str().unwrap_or_default();
    assert!(signature.starts_with("sha256-"), "{signature}");
    latest_tag("signed").is(0, "2.0.0\n", "");
    let line = "ECRP609 the repository does not exist: listing the images of `nowhere` in `[..]` at `MOTO`: \
                RepositoryNotFoundException: [..]";
    latest_tag("nowhere").failed(line);
}

#[expect(clippy::disallowed_methods, reason = "the one setting of the tests")]
/// Says so where the captured output of tests cannot hide it.
fn wants_no_moto() -> bool {
    let skip = std::env::var_os("SKIP_MOTO").is_some();
    if skip {
        let _ = std::io::stderr().write_all(b"SKIPPED a test with moto: SKIP_MOTO is set\n");
    }
    skip
}

struct Moto {
    server: Child,
    port: u16,
    id: String,
    secret: String,
    /// The tag that the AWS CLI finds in each repository.
    newest: Value,
}

impl Moto {
    fn start() -> Self {
        let python = install().join("bin/python");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let server = Command::new(python.with_file_name("moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .env_clear()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("moto starts");
        // From here on it is stopped at the end of the test, whatever happens.
        let mut moto = Self { server, port, id: String::new(), secret: String::new(), newest: Value::Null };
        moto.wait_until_it_listens();
        let setup = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/moto/setup.py");
        let key = run(Command::new(&python).arg(setup).arg(moto.url()).env_clear());
        let key: Value = serde_json::from_str(&key).expect("an access key");
        moto.id = key["id"].as_str().map(str::to_owned).expect("an id");
        moto.secret = key["secret"].as_str().map(str::to_owned).expect("a secret");
        moto.newest = key["newest"].clone();
        moto
    }

    fn wait_until_it_listens(&self) {
        for _ in 0..300 {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("moto does not listen after 30 s");
    }

    fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn url(&self) -> String {
        format!("http://{}", self.authority())
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Installs moto once for all tests, if the requirements have changed since the last time.
fn install() -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(install_once).clone()
}

fn install_once() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("moto");
    let requirements = repository_file("tests/moto/requirements.txt");
    let installed = folder.join("requirements.txt");
    if !installed.exists() || repository_file(&installed.display().to_string()) != requirements {
        let _ = fs::remove_dir_all(&folder);
        let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/moto/requirements.txt");
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", "--requirement"]).arg(list));
        fs::write(installed, requirements).expect("written");
    }
    folder
}

fn run(command: &mut Command) -> String {
    let output =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; SKIP_MOTO=1 leaves moto out"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed; SKIP_MOTO=1 leaves moto out: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
