//! The vendor's registry under its real name, one's own registry, AWS, and the home of a user with clients.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};
use stand_in::aws::{ACCESS_KEY_ID, Aws, SECRET_ACCESS_KEY};
use stand_in::cases::World;
use stand_in::distribution::Distribution;
use stand_in::process::{Process, read, run, write};
use stand_in::tls::TestCa;
use stand_in::vendor::{NAMESPACE, REGISTRY, REPOSITORIES, push_images};

/// One's own registry, with a user and a password that do not change.
pub(crate) const OWN: &str = "registry.corp.example";
pub(crate) const OWN_USER: &str = "mirror";
pub(crate) const OWN_PASSWORD: &str = "own-password";

const HOME: &str = "/root";
const KEY_FILE: &str = "/etc/ecr-credential-provider/credentials";
const SETTINGS: &str = "/etc/ecr-credential-provider/config.yaml";

/// Where things are outside.
pub(crate) struct Places {
    pub(crate) work: PathBuf,
    pub(crate) tools: PathBuf,
    pub(crate) repository: PathBuf,
}

impl Places {
    #[expect(clippy::disallowed_methods, reason = "tests/clients/run says by environment where things are")]
    fn of_environment() -> Result<Self> {
        let path =
            |name: &str| std::env::var(name).map(PathBuf::from).with_context(|| format!("{name} is not set"));
        Ok(Self {
            work: path("CLIENTS_TEST_WORK")?,
            tools: path("CLIENTS_TEST_TOOLS")?,
            repository: path("CLIENTS_TEST_REPOSITORY")?,
        })
    }
}

/// All of it.
pub(crate) struct Clients {
    pub(crate) aws: Aws,
    pub(crate) places: Places,
    vendor: Distribution,
    own: Distribution,
    password: u32,
    _servers: [Process; 2],
}

impl Clients {
    /// From now on the registry wants another password, and AWS issues that one.
    pub(crate) fn change_password(&mut self) -> Result<()> {
        self.password += 1;
        let password = format!("canary-password-{}", self.password);
        self.vendor.set_password("AWS", &password)?;
        self.aws.behave(|aws| aws.password = Some(password));
        Ok(())
    }

    /// From now on the registry wants another password, and AWS does not know.
    pub(crate) fn spoil_password(&self) -> Result<()> {
        self.vendor.set_password("AWS", "another")
    }

    /// How often AWS was asked.
    pub(crate) fn calls(&self) -> usize {
        self.aws.seen().len()
    }
}

impl World for Clients {
    /// Starts everything, and fills the vendor's registry.
    fn start() -> Result<Self> {
        let places = Places::of_environment()?;
        let ca = TestCa::new();
        let store = Path::new("/etc/ssl/certs/ca-certificates.crt");
        write(store, read(store) + &ca.pem())?;
        let aws = Aws::start_tls_at("127.0.0.2:443".parse()?, &ca);
        let logs = places.tools.join("logs");
        let vendor = Distribution::new(places.work.join("vendor"), logs.clone());
        let own = Distribution::new(places.work.join("own"), logs);
        push_images(&vendor, &program_of_images(&places)?)?;
        own.set_password(OWN_USER, OWN_PASSWORD)?;
        vendor.set_password("AWS", "none yet")?;
        let servers = [
            vendor.start("vendor", "127.0.0.1:443".parse()?, REGISTRY, &ca)?,
            own.start("own", "127.0.0.3:443".parse()?, OWN, &ca)?,
        ];
        install(&places)?;
        let mut clients = Self { aws, places, vendor, own, password: 0, _servers: servers };
        clients.clean_up()?;
        Ok(clients)
    }

    /// What every case starts with: a home without anything, an empty cache, and a password that is new.
    fn clean_up(&mut self) -> Result<()> {
        self.aws.behave(|aws| aws.fault = None);
        for folder in [HOME, "/run", "/var/lib/containers", "/var/tmp"] {
            for entry in std::fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() { std::fs::remove_dir_all(path)? } else { std::fs::remove_file(path)? }
            }
        }
        write(
            Path::new(SETTINGS),
            format!("defaults: {{credentialsFile: {KEY_FILE}}}\nregistries: [{{match: [{REGISTRY}]}}]\n"),
        )?;
        self.own.set_password(OWN_USER, OWN_PASSWORD)?;
        self.change_password()
    }

    /// The logs say no more than the clients do.
    fn last_words(&self) -> String {
        String::new()
    }
}

/// `<host>/<namespace>/<repository>`, of the first image.
pub(crate) fn image() -> String {
    format!("{REGISTRY}/{NAMESPACE}/{}", REPOSITORIES[0])
}

/// A script in the user's home, with the environment of a login. Fails if it does.
pub(crate) fn sh(script: &str) -> Result<String> {
    let output = try_sh(script)?;
    if !output.status.success() {
        bail!("`{script}` failed: {}{}", text(&output.stdout), text(&output.stderr));
    }
    Ok(text(&output.stdout))
}

/// The same for a script that fails; returns all that it says.
pub(crate) fn failing_sh(script: &str) -> Result<String> {
    let output = try_sh(script)?;
    ensure!(!output.status.success(), "`{script}` did not fail: {}", text(&output.stdout));
    Ok(text(&output.stdout) + &text(&output.stderr))
}

fn try_sh(script: &str) -> Result<Output> {
    let mut command = Command::new("bash");
    command
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(HOME)
        .env("HOME", HOME)
        .env("TMPDIR", "/var/tmp");
    // A client that waits for someone at a terminal would wait for ever.
    command.stdin(std::process::Stdio::null());
    command.output().with_context(|| format!("running `{script}`"))
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The binary and its link, as the page has an administrator make them.
fn install(places: &Places) -> Result<()> {
    let binary = places.repository.join("target/debug/ecr-credential-provider");
    let bin = places.work.join("bin");
    std::fs::create_dir_all(&bin)?;
    for name in ["ecr-credential-provider", "docker-credential-ecr-login"] {
        std::os::unix::fs::symlink(&binary, bin.join(name)).context("linking")?;
    }
    let key = format!(
        "[default]\naws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n"
    );
    write(Path::new(KEY_FILE), key)?;
    run(Command::new("chmod").args(["0600", KEY_FILE])).map(drop)
}

#[expect(clippy::disallowed_methods, reason = "the test reads what was built for it")]
fn program_of_images(places: &Places) -> Result<Vec<u8>> {
    std::fs::read(places.tools.join("image-program")).context("reading the program of the images")
}
