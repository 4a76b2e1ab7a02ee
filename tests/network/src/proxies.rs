//! Proxies as companies run them.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use stand_in::process::{Process, SOON, eventually, read, write};

/// Squid. It wants a user and a password for everything, and forbids [`Squid::FORBIDDEN`].
pub(crate) struct Squid {
    _process: Process,
    address: SocketAddr,
    access_log: PathBuf,
}

impl Squid {
    /// As it is written in a URL.
    pub(crate) const PASSWORD: &str = "canary%40corp";
    /// `openssl passwd -apr1 canary@corp`
    const HASH: &str = "$apr1$ecrtests$7ZaKtbquNap5qVYFJxUYR/";
    pub(crate) const FORBIDDEN: &str = "api.ecr.us-east-1.amazonaws.com";

    pub(crate) fn start(address: &str) -> Result<Self> {
        let address: SocketAddr = address.parse()?;
        let work = Path::new("/mnt/squid");
        write(&work.join("passwords"), format!("node:{}\n", Self::HASH))?;
        // It writes its logs as a user of its own.
        std::fs::set_permissions(work, std::fs::Permissions::from_mode(0o777))?;
        let config = work.join("squid.conf");
        write(&config, Self::config(address, work))?;
        let mut command = Command::new("squid");
        command.arg("-N").arg("-f").arg(&config);
        let mut process = Process::start("squid", &mut command, &logs()?)?;
        wait_for(&mut process, address)?;
        Ok(Self { _process: process, address, access_log: work.join("access.log") })
    }

    fn config(address: SocketAddr, work: &Path) -> String {
        let (work, forbidden) = (work.display(), Self::FORBIDDEN);
        format!(
            "http_port {address}
visible_hostname proxy.corp
pid_filename none
pinger_enable off
cache deny all
cache_log {work}/cache.log
access_log stdio:{work}/access.log
coredump_dir {work}
auth_param basic program /usr/lib/squid/basic_ncsa_auth {work}/passwords
auth_param basic realm corp
acl known proxy_auth REQUIRED
acl forbidden dstdomain -n {forbidden}
http_access deny forbidden
http_access allow known
http_access deny all
"
        )
    }

    /// Its URL, with `node:PASSWORD@` or nothing in front of the address.
    pub(crate) fn url(&self, user: &str) -> String {
        format!("http://{user}{}", self.address)
    }

    /// The hosts that it has connected a client to.
    pub(crate) fn connected(&self) -> Vec<String> {
        let log = read(&self.access_log);
        let tunnels = log.lines().filter(|line| line.contains("TCP_TUNNEL/200"));
        tunnels
            .filter_map(|line| Some(line.split_once(" CONNECT ")?.1.split(' ').next()?.to_owned()))
            .collect()
    }
}

/// mitmproxy: it ends TLS, and shows a certificate of its own authority.
pub(crate) struct Mitmproxy {
    _process: Process,
    address: SocketAddr,
    folder: &'static str,
}

impl Mitmproxy {
    /// Starts it. It trusts the servers that `trusted` vouches for.
    pub(crate) fn start(trusted: &Path) -> Result<Self> {
        let (address, folder) = ("127.0.0.1:8080".parse()?, "/mnt/mitmproxy");
        let mut command = Command::new(tools()?.join("mitmproxy/bin/mitmdump"));
        command.args(["--listen-host", "127.0.0.1", "--listen-port", "8080"]);
        command.arg("--set").arg(format!("confdir={folder}"));
        command.arg("--set").arg(format!("ssl_verify_upstream_trusted_ca={}", trusted.display()));
        let mut process = Process::start("mitmproxy", &mut command, &logs()?)?;
        wait_for(&mut process, address)?;
        Ok(Self { _process: process, address, folder })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The file with the certificate of its authority.
    pub(crate) fn certificate(&self) -> String {
        format!("{}/mitmproxy-ca-cert.pem", self.folder)
    }
}

fn wait_for(process: &mut Process, address: SocketAddr) -> Result<()> {
    eventually(&format!("a proxy at {address}"), SOON, || {
        process.check()?;
        Ok(TcpStream::connect(address).ok())
    })
    .map(drop)
}

#[expect(clippy::disallowed_methods, reason = "tests/network/run says by environment where things are")]
fn tools() -> Result<PathBuf> {
    std::env::var("NETWORK_TEST_TOOLS").map(PathBuf::from).context("NETWORK_TEST_TOOLS is not set")
}

fn logs() -> Result<PathBuf> {
    Ok(tools()?.join("logs"))
}
