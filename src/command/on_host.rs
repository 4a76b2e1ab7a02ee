//! `on-host`: for the containers of the DaemonSet, which hold no shell and nothing else of the node.
//!
//! The process makes the node's `/`, mounted into the container, its own, and then is what it would be there: paths
//! mean the same, and `systemctl` of the node speaks to the node's systemd. What it needs of the container, it reads
//! before.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::{Code, Error};
use crate::host::{self, Host};
use crate::node::layout::{BIN_DIR, EKS_DIR, MICROK8S_BIN_DIR, NAME, OTHER_BIN_DIRS, RANCHER_BIN_DIR};
use crate::records::Record;

/// The unit of systemd that undoes all once nobody came back.
const LATER: &str = "ecr-credential-provider-later";

/// Where `install` puts the program, the usual places first.
const BIN_DIRS: [&str; 6] =
    [BIN_DIR, OTHER_BIN_DIRS[0], OTHER_BIN_DIRS[1], RANCHER_BIN_DIR, MICROK8S_BIN_DIR, EKS_DIR];

/// What to do where.
#[derive(Debug, clap::Args)]
pub(crate) struct OnHostCommand {
    /// Where the node's `/` is mounted
    #[arg(long, value_name = "DIR", default_value = "/host")]
    root: PathBuf,
    /// A file of the container to copy, if it is there, for root alone
    #[arg(long, value_name = "FROM=TO", value_parser = parse_copy)]
    copy: Vec<(PathBuf, PathBuf)>,
    /// Have the node do it after so many seconds, unless this runs again meanwhile
    #[arg(long, value_name = "SECONDS")]
    later: Option<u32>,
    /// Do nothing until told to end
    #[arg(long, exclusive = true)]
    stay: bool,
    /// The command
    #[arg(trailing_var_arg = true, required_unless_present = "stay")]
    command: Vec<OsString>,
}

fn parse_copy(text: &str) -> Result<(PathBuf, PathBuf), &'static str> {
    let (from, to) = text.split_once('=').ok_or("write FROM=TO")?;
    Ok((from.into(), to.into()))
}

/// Goes there, and does it.
pub(crate) fn run(host: &Host, record: &Record, command: &OnHostCommand) -> Result<(), Error> {
    if command.stay {
        host::wait_for_the_end();
    }
    let copies = command.copy.iter().filter_map(|(from, to)| match host::read_file(from) {
        Ok(bytes) => Some(Ok((to, bytes))),
        Err(error) if error.is_not_found() => None,
        Err(error) => Some(Err(Error::new(Code::OnHost, error))),
    });
    let copies = copies.collect::<Result<Vec<_>, _>>()?;
    host::enter_root(&command.root).map_err(|error| {
        Error::new(Code::OnHost, format!("entering `{}`: {error}", command.root.display()))
    })?;
    if let Some(seconds) = command.later {
        return do_later(seconds, &command.command);
    }
    // There is none, as a rule.
    let _ = host::run_quietly("systemctl", &["stop".into(), format!("{LATER}.timer").into()]);
    for (to, bytes) in copies {
        host::write_secret(to, &bytes).map_err(|error| Error::new(Code::OnHost, error))?;
    }
    let program = host.arguments().first().cloned().unwrap_or_default();
    super::run_command_line(host, record, std::iter::once(program).chain(command.command.iter().cloned()))
}

/// By a timer that does not outlive the node's next boot. Nodes of a cluster do it at different times.
fn do_later(seconds: u32, command: &[OsString]) -> Result<(), Error> {
    let mut programs = BIN_DIRS.iter().map(|folder| Path::new(folder).join(NAME));
    let Some(program) = programs.find(|program| program.is_file()) else { return Ok(()) };
    let mut arguments: Vec<OsString> = vec![
        format!("--unit={LATER}").into(),
        format!("--on-active={seconds}").into(),
        format!("--timer-property=RandomizedDelaySec={seconds}").into(),
        "--collect".into(),
        program.into(),
    ];
    arguments.extend(command.iter().cloned());
    host::run_quietly("systemd-run", &arguments).map_err(|error| Error::new(Code::OnHost, error))
}
