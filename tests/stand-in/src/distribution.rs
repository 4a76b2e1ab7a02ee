//! The registry of the distribution project, as Debian packages it, in the place of ECR.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::process::{Process, SOON, eventually, run, write};
use crate::tls::TestCa;

/// A storage, with the registries that serve it.
#[derive(Debug)]
pub struct Distribution {
    folder: PathBuf,
    logs: PathBuf,
}

impl Distribution {
    /// An empty one in `folder`; its registries write to logs in `logs`.
    pub fn new(folder: PathBuf, logs: PathBuf) -> Self {
        Self { folder, logs }
    }

    /// Starts a registry over plain HTTP that asks for no password.
    pub fn start_open(&self, name: &'static str, address: SocketAddr) -> Result<Process> {
        self.start_with(name, address, &format!("http: {{addr: \"{address}\"}}\n"))
    }

    /// Starts a registry over TLS under the name of `host`, with the passwords of [`Self::set_password`].
    pub fn start(&self, name: &'static str, address: SocketAddr, host: &str, ca: &TestCa) -> Result<Process> {
        let (certificate, key) = ca.certificate_for(host);
        write(&self.folder.join("tls.crt"), certificate)?;
        write(&self.folder.join("tls.key"), key)?;
        let path = |file: &str| self.folder.join(file).display().to_string();
        let settings = format!(
            "http: {{addr: \"{address}\", tls: {{certificate: {}, key: {}}}}}\nauth: {{htpasswd: {{realm: ECR, path: {}}}}}\n",
            path("tls.crt"),
            path("tls.key"),
            path("htpasswd")
        );
        self.start_with(name, address, &settings)
    }

    /// From now on the registry lets in this user with this password, and nobody else.
    pub fn set_password(&self, user: &str, password: &str) -> Result<()> {
        let line = run(Command::new("htpasswd").args(["-nbBC", "5", user, password]))?;
        write(&self.folder.join("htpasswd"), line)
    }

    fn start_with(&self, name: &'static str, address: SocketAddr, settings: &str) -> Result<Process> {
        let config = self.folder.join(format!("{name}.yaml"));
        let data = self.folder.join("data");
        let storage =
            format!("version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n", data.display());
        write(&config, storage + settings)?;
        let mut registry = Process::start(name, &mut serve(&config), &self.logs)?;
        eventually("the registry to listen", SOON, || {
            registry.check()?;
            Ok(TcpStream::connect(address).ok())
        })?;
        Ok(registry)
    }
}

fn serve(config: &Path) -> Command {
    let mut command = Command::new("docker-registry");
    command.arg("serve").arg(config);
    command
}
