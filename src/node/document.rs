//! The text of a configuration as the kubelet understands it before it looks for fields: a tree of values, each
//! with its place.
//!
//! A text that begins with `{` is JSON for the kubelet, all others are YAML 1.1 by the rules of `go.yaml.in/yaml/v2`,
//! which differ from today's YAML where people stumble: `yes`, `on` and `n` are truth values, `0o14` and `1_000` are
//! numbers, of several documents the first alone is read. Schemas of other YAML libraries would get these wrong, so
//! this module takes the events of the parser and gives them their meaning itself.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_json::value::RawValue;

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
    Number,
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
            Self::Number => "a number",
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
        return json(&start);
    }
    let text = decode(bytes)?;
    Yaml::new(&text).document()
}

/// The parser of YAML tells UTF-16 by its byte-order mark.
fn decode(bytes: &[u8]) -> Result<String, Unreadable> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.as_chunks::<2>().0.iter().map(|pair| unit(*pair));
        char::decode_utf16(units).collect::<Result<String, _>>().map_err(|_| "it is not UTF-16 text")
    };
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => String::from_utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).to_vec())
            .map_err(|_| "it is not UTF-8 text"),
    };
    let text = text.map_err(|reason| Unreadable { at: START, reason: reason.into() })?;
    match text.find(|c| !is_printable(c)) {
        Some(at) => Err(Unreadable { at: position_of(&text, at), reason: "a control character".into() }),
        None => Ok(text),
    }
}

fn is_printable(c: char) -> bool {
    let is_in_range =
        matches!(c, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    matches!(c, '\t' | '\n' | '\r' | '\u{85}') || (is_in_range && c != '\u{feff}')
}

/// How deep values may lie in each other. No field lies deeper than six.
const DEEPEST: usize = 100;

/// The events of the parser, and what the anchors so far stand for.
struct Yaml<'a> {
    events: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    repeated: Vec<(Position, String)>,
    /// How many values there are, those by aliases included.
    size: usize,
}

/// As many values as aliases may make of a file.
const LARGEST: usize = 100_000;

impl<'a> Yaml<'a> {
    fn new(text: &'a str) -> Self {
        let mut options = granit_parser::Options::default();
        options.set_emit_comments(false);
        let events = Parser::new_from_str_with_options(text, options);
        Self { events, anchors: HashMap::new(), repeated: Vec::new(), size: 0 }
    }

    fn document(mut self) -> Result<Document, Unreadable> {
        let nothing = Node { at: START, value: Value::Null };
        let root = loop {
            match self.next()? {
                (Event::StreamEnd, _) => break nothing,
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (event, span) => break self.node(event, span, 0)?,
            }
        };
        let second = loop {
            match self.events.next() {
                Some(Ok((Event::DocumentEnd, _))) => {}
                None | Some(Ok((Event::StreamEnd, _))) => break None,
                Some(Ok((_, span))) => break Some(position(&span)),
                Some(Err(error)) => break Some(marked(error.marker())),
            }
        };
        Ok(Document { root, is_json: false, repeated: self.repeated, second })
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Unreadable> {
        match self.events.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Unreadable { at: marked(error.marker()), reason: error.info() }),
            None => Err(Unreadable { at: START, reason: "it ends too early".into() }),
        }
    }

    /// The value that begins with `event`.
    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Unreadable> {
        let at = position(&span);
        let refused = |reason: &str| Err(Unreadable { at, reason: reason.to_owned() });
        self.size += 1;
        if depth > DEEPEST || self.size > LARGEST {
            return refused("values lie too deep in each other, or aliases make too many of them");
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_deref());
                (value.map_err(|reason| Unreadable { at, reason })?, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.map(depth)?, anchor),
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(node) => {
                    self.size += size_of(node);
                    (node.value.clone(), 0)
                }
                None => return refused("an anchor's value contains itself"),
            },
            _ => return refused("a value is missing"),
        };
        let node = Node { at, value };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Value, Unreadable> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Unreadable> {
        let mut entries = Vec::new();
        loop {
            let (event, span) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Value::Map(entries)),
                event => event,
            };
            let is_merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, _) if text == "<<");
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let node = self.node(event, span, depth + 1)?;
            if is_merge {
                for entry in merged(node)? {
                    self.add(entry, &mut entries);
                }
                continue;
            }
            let name = key_of(key.value).ok_or_else(|| Unreadable {
                at: key.at,
                reason: "a key must be text, without a list or map in it".into(),
            })?;
            self.add(Entry { key: name, at: key.at, node }, &mut entries);
        }
    }

    fn add(&mut self, entry: Entry, entries: &mut Vec<Entry>) {
        if entries.iter().any(|earlier| earlier.key == entry.key) {
            self.repeated.push((entry.at, entry.key.clone()));
        }
        entries.push(entry);
    }
}

fn size_of(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(size_of).sum(),
        Value::Map(entries) => entries.iter().map(|entry| size_of(&entry.node)).sum(),
        _ => 0,
    }
}

fn position(span: &Span) -> Position {
    marked(&span.start)
}

fn marked(marker: &granit_parser::Marker) -> Position {
    Position { line: marker.line(), column: marker.col() + 1 }
}

/// What `<<` brings in. Of several maps the earlier ones win, and so come later.
fn merged(node: Node) -> Result<Vec<Entry>, Unreadable> {
    let Node { at, value } = node;
    let refused = || Unreadable { at, reason: "`<<` takes a map, or a list of maps".into() };
    match value {
        Value::Map(entries) => Ok(entries),
        Value::List(items) => {
            let maps = items.into_iter().rev().map(|item| match item.value {
                Value::Map(entries) => Ok(entries),
                _ => Err(refused()),
            });
            Ok(maps.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
        }
        _ => Err(refused()),
    }
}

fn key_of(key: Value) -> Option<String> {
    match key {
        Value::Text(text) => Some(text),
        Value::Truth(truth) => Some(truth.to_string()),
        // No field is named so; which number it is does not matter.
        Value::Number => Some("0".into()),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

/// `resolve` of `go.yaml.in/yaml/v2`, and what becomes of its result in JSON.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    let is_plain = style == ScalarStyle::Plain;
    let Some(tag) = tag else {
        return if is_plain { plain(text) } else { Ok(Value::Text(text.to_owned())) };
    };
    let tag = format!("{}{}", tag.handle(), tag.suffix());
    let Some(kind) = tag.strip_prefix("tag:yaml.org,2002:") else { return Ok(Value::Text(text.to_owned())) };
    let fits = match (kind, plain(text)?) {
        ("bool", value @ Value::Truth(_)) | ("null", value @ Value::Null) => Some(value),
        ("int" | "float", Value::Number) => Some(Value::Number),
        ("bool" | "null" | "int" | "float" | "timestamp", _) => None,
        // `!!str`, and all that the parser does not know. A `!!binary` is for no field.
        _ => Some(Value::Text(text.to_owned())),
    };
    fits.ok_or_else(|| format!("this is not of the type `!!{kind}`"))
}

fn plain(text: &str) -> Result<Value, String> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Value::Truth(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Value::Truth(false)
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf"
        | "-.Inf" | "-.INF" => {
            return Err(format!("`{text}` is no number in JSON, which the kubelet makes of this"));
        }
        _ if is_number(text) => Value::Number,
        _ => Value::Text(text.to_owned()),
    })
}

/// What the parser takes for a number: whole ones as Go writes them, with `_` anywhere, and decimal ones.
fn is_number(text: &str) -> bool {
    if text.starts_with('.') {
        return is_decimal(text);
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-')) {
        return false;
    }
    let text = text.replace('_', "");
    let digits = text.strip_prefix(['+', '-']).unwrap_or(&text);
    let (digits_of_base, base) = match digits.get(..2) {
        Some("0x" | "0X") => (&digits[2..], 16),
        Some("0o" | "0O") => (&digits[2..], 8),
        Some("0b" | "0B") => (&digits[2..], 2),
        _ => (digits, if digits.len() > 1 && digits.starts_with('0') { 8 } else { 10 }),
    };
    let is_whole = digits_of_base.starts_with(|c: char| c.is_ascii_alphanumeric())
        && u64::from_str_radix(digits_of_base, base)
            .is_ok_and(|number| !text.starts_with('-') || number <= i64::MIN.unsigned_abs());
    is_whole || is_decimal(&text)
}

fn is_decimal(text: &str) -> bool {
    let starts = text.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let allowed = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    starts && text.chars().all(allowed) && text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// JSON by the rules of JSON. `serde_json` knows no places, but where the parts of a text begin in it.
fn json(text: &str) -> Result<Document, Unreadable> {
    let parsed: Result<&RawValue, _> = serde_json::from_str(text);
    let raw = parsed.map_err(|error| Unreadable {
        at: Position { line: error.line(), column: error.column().max(1) },
        reason: error.to_string().split(" at line ").next().unwrap_or_default().to_owned(),
    })?;
    let mut repeated = Vec::new();
    let root = json_node(raw, text, &mut repeated)?;
    Ok(Document { root, is_json: true, repeated, second: None })
}

fn json_node(
    raw: &RawValue,
    whole: &str,
    repeated: &mut Vec<(Position, String)>,
) -> Result<Node, Unreadable> {
    let at = place_in(whole, raw);
    let refused = |error: serde_json::Error| Unreadable { at, reason: error.to_string() };
    let value = match raw.get().as_bytes().first() {
        Some(b'{') => {
            let mut entries: Vec<Entry> = Vec::new();
            let pairs: Pairs<'_> = serde_json::from_str(raw.get()).map_err(refused)?;
            for (key, raw) in pairs.0 {
                let at = place_in(whole, key);
                let key: String = serde_json::from_str(key.get()).map_err(refused)?;
                if entries.iter().any(|earlier| earlier.key == key) {
                    repeated.push((at, key.clone()));
                }
                entries.push(Entry { key, at, node: json_node(raw, whole, repeated)? });
            }
            Value::Map(entries)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(refused)?;
            let items = items.into_iter().map(|raw| json_node(raw, whole, repeated));
            Value::List(items.collect::<Result<_, _>>()?)
        }
        Some(b'"') => Value::Text(serde_json::from_str(raw.get()).map_err(refused)?),
        Some(b't') => Value::Truth(true),
        Some(b'f') => Value::Truth(false),
        Some(b'n') => Value::Null,
        _ => Value::Number,
    };
    Ok(Node { at, value })
}

/// The entries of an object in their order, none left out.
struct Pairs<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Vec<(&'de RawValue, &'de RawValue)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Visitor).map(Self)
    }
}

/// A borrowed part of a text begins where its bytes do.
fn place_in(whole: &str, part: &RawValue) -> Position {
    position_of(whole, (part.get().as_ptr().addr()).saturating_sub(whole.as_ptr().addr()))
}

fn position_of(text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    Position { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 }
}
