//! The text of a configuration as the kubelet understands it before it looks for fields: a tree of values, each
//! with its place.
//!
//! A text that begins with `{` is JSON for the kubelet, all others are YAML 1.1 by the rules of `go.yaml.in/yaml/v2`,
//! which differ from today's YAML where people stumble: `yes`, `on` and `n` are truth values, `0o14` and `1_000` are
//! numbers, of several documents the first alone is read. Schemas of other YAML libraries would get these wrong, so
//! this module takes the events of the parser and gives them their meaning itself.

mod json;
mod yaml;

/// Where something stands in a text: line and column, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

const START: Position = Position { line: 1, column: 1 };

/// A value and where it stands. It may hold secrets, so it cannot be printed.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

#[derive(Clone)]
pub(super) enum Value {
    Null,
    Truth(bool),
    /// As it is written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    /// In the order of the text, with the keys that stand there again.
    Map(Vec<Entry>),
}

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: Position,
    pub(super) node: Node,
}

impl Value {
    /// What it is, for people.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Truth(_) => "a truth value",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// What the kubelet reads.
pub(super) struct Document {
    pub(super) root: Node,
    pub(super) is_json: bool,
    /// Keys that stand in one map more than once, by their later places.
    pub(super) repeated: Vec<(Position, String)>,
    /// Where a second document starts, which the kubelet does not read.
    pub(super) second: Option<Position>,
}

/// Why there is no document.
pub(super) struct Unreadable {
    pub(super) at: Position,
    pub(super) reason: String,
}

/// Reads what the kubelet would read of `bytes`.
pub(super) fn parse(bytes: &[u8]) -> Result<Document, Unreadable> {
    let start = String::from_utf8_lossy(bytes);
    if start.trim_start().starts_with('{') {
        return json::parse(&start);
    }
    yaml::parse(bytes)
}

fn position_of(text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    Position { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 }
}
