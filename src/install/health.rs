//! Whether the kubelet of this machine is well: it runs with the flags that it should have, and says so itself.
//!
//! Once is not enough. A kubelet that does not take its configuration ends a second after it has started, and systemd
//! starts it again after ten: it has to be the same process for a while.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::host::{self, Stopwatch};
use crate::node::flags::Flags;
use crate::node::kubelet::{self, Program};

/// A kubelet that is well now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Well {
    pid: u32,
    /// Whether it answers, or only runs because it may not say.
    answers: bool,
}

/// For how long it must stay so: longer if it does not answer.
const STEADY: Duration = Duration::from_secs(5);
const STEADY_WITHOUT_ANSWER: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(250);

/// Whether it is well now.
pub(crate) fn is_well() -> bool {
    look(None).is_ok()
}

/// The flags of the process, where it runs and they can be seen.
pub(crate) fn flags_of_process() -> Option<Flags> {
    let all = kubelet::running(Path::new("/")).into_iter();
    let mut visible =
        all.filter(|kubelet| kubelet.program == Program::Kubelet && is_of_this_machine(kubelet.pid));
    visible.next().map(|kubelet| kubelet.flags)
}

/// Waits until it is, and stays so; or says why it is not, when the time is over. `flags` are those that it must have,
/// where they can be seen.
pub(crate) fn wait(flags: &Flags, limit: Duration, stopwatch: Stopwatch) -> Result<(), String> {
    let started = stopwatch.elapsed();
    let mut steady: Option<(Well, Duration)> = None;
    loop {
        let now = stopwatch.elapsed();
        let reason = match look(Some(flags)) {
            Err(reason) => {
                steady = None;
                reason
            }
            Ok(well) => {
                let (first, since) = steady.filter(|(first, _)| *first == well).unwrap_or((well, now));
                steady = Some((first, since));
                let needed = if well.answers { STEADY } else { STEADY_WITHOUT_ANSWER };
                if now.saturating_sub(since) >= needed {
                    return Ok(());
                }
                "it does not stay the same process".to_owned()
            }
        };
        if now.saturating_sub(started) >= limit {
            return Err(format!("after {} s: {reason}", limit.as_secs()));
        }
        std::thread::sleep(PAUSE);
    }
}

fn look(flags: Option<&Flags>) -> Result<Well, String> {
    let root = Path::new("/");
    let all = kubelet::running(root);
    let found = all.into_iter().find(|kubelet| is_of_this_machine(kubelet.pid));
    let kubelet = found.ok_or_else(|| "no kubelet runs".to_owned())?;
    if let Some(flags) = flags
        && kubelet.program == Program::Kubelet
        && kubelet.flags != *flags
    {
        return Err(format!("process {} of the kubelet does not have the flags", kubelet.pid));
    }
    let Some(address) = health_address(kubelet.pid) else {
        return Ok(Well { pid: kubelet.pid, answers: false });
    };
    match ask(address) {
        Ok(answer) if answer.ends_with("ok") && answer.starts_with("HTTP/1") => {
            Ok(Well { pid: kubelet.pid, answers: true })
        }
        Ok(answer) => Err(format!("http://{address}/healthz answers `{}`", crate::error::one_line(&answer))),
        Err(error) => Err(format!("http://{address}/healthz: {error}")),
    }
}

/// Kubelets in containers are nodes of their own, with a root of their own.
fn is_of_this_machine(pid: u32) -> bool {
    let identity = |path: &Path| path.metadata().map(|status| (status.dev(), status.ino()));
    match (identity(Path::new("/")), identity(Path::new(&format!("/proc/{pid}/root")))) {
        (Ok(ours), Ok(its)) => ours == its,
        _ => true,
    }
}

/// What concerns us in the KubeletConfiguration.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Settings {
    healthz_port: Option<u16>,
    healthz_bind_address: Option<String>,
}

/// Where it says that it is well: by its flags, its configuration, or the default. None if it is told not to.
fn health_address(pid: u32) -> Option<SocketAddr> {
    let command_line = host::read_file(Path::new(&format!("/proc/{pid}/cmdline"))).unwrap_or_default();
    let command_line = String::from_utf8_lossy(&command_line);
    let words: Vec<&str> = command_line.split('\0').collect();
    let settings = value_of(&words, "config").and_then(|path| host::read_file(Path::new(path)).ok());
    let options = serde_saphyr::options! { with_snippet: false };
    let settings: Settings = settings
        .and_then(|bytes| serde_saphyr::from_slice_with_options(&bytes, options).ok())
        .unwrap_or_default();
    let port = value_of(&words, "healthz-port").and_then(|port| port.parse().ok());
    let port = port.or(settings.healthz_port).unwrap_or(10248);
    let address =
        value_of(&words, "healthz-bind-address").map(str::to_owned).or(settings.healthz_bind_address);
    let address: IpAddr = address.and_then(|text| text.parse().ok()).unwrap_or(Ipv4Addr::LOCALHOST.into());
    let address = match address {
        IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(any) if any.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        address => address,
    };
    (port != 0).then_some(SocketAddr::new(address, port))
}

/// `--name=value` or `--name value`.
fn value_of<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    let mut found = None;
    for (at, word) in words.iter().enumerate() {
        let Some(rest) = word.strip_prefix("--").and_then(|word| word.strip_prefix(name)) else { continue };
        match rest.strip_prefix('=') {
            Some(value) => found = Some(value),
            None if rest.is_empty() => found = words.get(at + 1).copied(),
            None => {}
        }
    }
    found
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    let limit = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    stream.write_all(format!("GET /healthz HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).trim_end().to_owned())
}
