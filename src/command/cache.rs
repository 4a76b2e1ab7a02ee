//! `cache list` and `cache clear`.

use std::fmt::Write;

use serde::Serialize;

use crate::cache::{self, Entry};
use crate::context::{Context, within_deadline};
use crate::error::{Code, Error};
use crate::freshness::Stage;
use crate::host::{self, Host};
use crate::records::Record;

/// What to do with the cache.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum CacheCommand {
    /// Show the tokens that this node holds, without the passwords
    List {
        /// For people, or for programs
        #[arg(long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Remove all tokens and remembered failures, after a change of a role or policy say
    Clear,
}

/// How to print.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Output {
    Table,
    Json,
}

/// Runs a command.
pub(crate) fn run(host: &Host, record: &Record, command: &CacheCommand) -> Result<(), Error> {
    within_deadline(host, record, |_, context| {
        let text = match command {
            CacheCommand::List { output } => list(*output, context)?,
            CacheCommand::Clear => clear(context)?,
        };
        host::write_stdout(text.as_bytes())
    })
}

fn clear(context: &Context<'_>) -> Result<String, Error> {
    let path = cache::path(context)?;
    context.watchdog.enter(format!("clearing the cache in `{}`", path.display()));
    let tokens = cache::clear(&path)?;
    let plural = if tokens == 1 { "" } else { "s" };
    Ok(format!("removed {tokens} token{plural} from {}\n", path.display()))
}

fn list(output: Output, context: &Context<'_>) -> Result<String, Error> {
    let path = cache::path(context)?;
    context.watchdog.enter(format!("reading the cache in `{}`", path.display()));
    let mut entries = cache::list(&path)?;
    entries.sort_by(|one, other| (&one.registries, &one.identity).cmp(&(&other.registries, &other.identity)));
    let now = host::moment();
    let rows: Vec<_> = entries.iter().map(|entry| Row::new(entry, entry.stage(&now))).collect();
    match output {
        Output::Table if rows.is_empty() => Ok(format!("no tokens in {}\n", path.display())),
        Output::Table => Ok(table(&rows)),
        Output::Json => {
            let json =
                serde_json::to_string_pretty(&rows).map_err(|error| Error::new(Code::Internal, error))?;
            Ok(json + "\n")
        }
    }
}

/// An entry without its password. Times are AWS's, in UTC.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    registries: &'a str,
    region: &'a str,
    identity: &'a str,
    issued_at: String,
    refresh_at: String,
    expires_at: String,
    state: &'static str,
}

impl<'a> Row<'a> {
    const TITLES: [&'static str; 7] =
        ["REGISTRIES", "REGION", "IDENTITY", "ISSUED", "REFRESH DUE", "EXPIRES", "STATE"];

    fn new(entry: &'a Entry, stage: Stage) -> Self {
        Self {
            registries: &entry.registries,
            region: &entry.region,
            identity: &entry.identity,
            issued_at: format!("{:.0}", entry.token.issued_at),
            refresh_at: format!("{:.0}", entry.refresh_at),
            expires_at: format!("{:.0}", entry.token.expires_at),
            state: match stage {
                Stage::Fresh(_) => "fresh",
                Stage::Due(_) => "due",
                Stage::Doubtful(_) => "from before the last boot",
                Stage::Expired => "expired",
            },
        }
    }

    fn cells(&self) -> [&str; 7] {
        let Self { registries, region, identity, issued_at, refresh_at, expires_at, state } = self;
        [registries, region, identity, issued_at, refresh_at, expires_at, state]
    }
}

fn table(rows: &[Row<'_>]) -> String {
    let lines: Vec<_> = std::iter::once(Row::TITLES).chain(rows.iter().map(Row::cells)).collect();
    let widths: [usize; 7] = std::array::from_fn(|column| {
        lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or_default()
    });
    let mut text = String::new();
    for cells in lines {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
