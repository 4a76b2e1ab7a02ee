//! The machine of a case: its addresses, its names, and links that lead nowhere.

use std::net::{IpAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use stand_in::process::{run, write};
use stand_in::tls::TestCa;

/// Files of the case, in memory.
pub(crate) const FOLDER: &str = "/mnt";

/// Makes names known that no resolver is asked for.
pub(crate) fn add_names(rows: &[(&str, &str)]) -> Result<()> {
    let localhost = "127.0.0.1 localhost\n::1 localhost\n".to_owned();
    let text = rows.iter().fold(localhost, |text, (address, name)| format!("{text}{address} {name}\n"));
    write(Path::new("/etc/hosts"), text)
}

/// Names the one resolver. It gets the defaults of libc, which waits for 5 seconds.
pub(crate) fn set_resolver(address: &str) -> Result<()> {
    write(Path::new("/etc/resolv.conf"), format!("nameserver {address}\n"))
}

/// Makes the firmware name who built the machine.
pub(crate) fn set_vendor(vendor: &str) -> Result<()> {
    write(Path::new("/sys/class/dmi/id/sys_vendor"), format!("{vendor}\n"))
}

/// Writes the certificate of `ca` to a file.
pub(crate) fn certificate_file(name: &str, ca: &TestCa) -> Result<PathBuf> {
    let path = Path::new(FOLDER).join(name);
    write(&path, ca.pem())?;
    Ok(path)
}

/// `ip` of iproute2.
pub(crate) fn ip(arguments: &str) -> Result<String> {
    run(Command::new("ip").args(arguments.split(' ')))
}

/// Gives this machine another address.
pub(crate) fn add_address(address: &str) -> Result<()> {
    let address: IpAddr = address.parse()?;
    let rest = if address.is_ipv6() { "/128 dev lo nodad" } else { "/32 dev lo" };
    ip(&format!("address add {address}{rest}")).map(drop)
}

/// A link whose other end answers nothing, like a firewall that drops packets: no ICMP, no reset.
pub(crate) struct BlackHole {
    far_end: &'static str,
}

impl BlackHole {
    /// Routes these networks there.
    pub(crate) fn start(networks: &[&str]) -> Result<Self> {
        ip("link add near type veth peer name far")?;
        for end in ["near", "far"] {
            // Nothing but what is sent on purpose: no neighbour discovery of either kind.
            ip(&format!("link set {end} addrgenmode none"))?;
            ip(&format!("link set {end} arp off up"))?;
        }
        ip("address add 10.255.255.1/32 dev near")?;
        for network in networks {
            ip(&format!("route add {network} dev near"))?;
        }
        Ok(Self { far_end: "far" })
    }

    /// How many packets have come through.
    pub(crate) fn packets(&self) -> Result<u64> {
        let links = ip(&format!("--json --statistics link show {}", self.far_end))?;
        let links: serde_json::Value = serde_json::from_str(&links)?;
        links[0]["stats64"]["rx"]["packets"].as_u64().context("a counter")
    }
}

/// Takes connections at `address`, and resets each once the client has said something.
pub(crate) fn reset_connections(address: &str) -> Result<()> {
    let listener = TcpListener::bind(address).context("binding")?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // What was received and not read makes the close a reset.
            let _ = stream.peek(&mut [0]);
        }
    });
    Ok(())
}
