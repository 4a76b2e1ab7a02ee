//! YAML as `go.yaml.in/yaml/v2` takes it, which the kubelet makes JSON of.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle, Tag};

use super::{Document, Entry, Node, Position, START, Unreadable, Value, position_of};

/// Reads the first document.
pub(super) fn parse(bytes: &[u8]) -> Result<Document, Unreadable> {
    let text = decode(bytes)?;
    let parsed = Yaml::new(&text).document(&text);
    if parsed.is_ok() {
        return parsed;
    }
    // Within brackets and braces the parser of the kubelet takes tabs, and ours does not.
    let spaces = text.split_inclusive('\n').map(without_tabs).collect::<String>();
    let again = Yaml { keeps_blocks: false, ..Yaml::new(&spaces) }.document(&text);
    if again.is_ok() { again } else { parsed }
}

fn without_tabs(line: &str) -> String {
    let end = line.find(|c| !matches!(c, ' ' | '\t')).unwrap_or(line.len());
    format!("{}{}", " ".repeat(end), &line[end..])
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
    let mut lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    if lines.next().is_some_and(|line| line.starts_with("...")) {
        return Err(Unreadable { at: START, reason: "it begins with the end of a document".into() });
    }
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
    /// In how many pairs of brackets or braces.
    flow: usize,
    /// Whether blocks of text are as they were written, tabs included.
    keeps_blocks: bool,
    /// The line of the last event.
    line: usize,
    /// Lines within a text or within brackets, in which tabs are not indentation: the line before them, and the last.
    inner: Vec<(usize, usize)>,
}

/// As many values as aliases may make of a file.
const LARGEST: usize = 100_000;

impl<'a> Yaml<'a> {
    fn new(text: &'a str) -> Self {
        let mut options = granit_parser::Options::default();
        options.set_emit_comments(false);
        let events = Parser::new_from_str_with_options(text, options);
        Self {
            events,
            anchors: HashMap::new(),
            repeated: Vec::new(),
            size: 0,
            flow: 0,
            keeps_blocks: true,
            line: 0,
            inner: Vec::new(),
        }
    }

    fn document(mut self, text: &str) -> Result<Document, Unreadable> {
        let nothing = Node { at: START, value: Value::Null };
        let root = loop {
            match self.next()? {
                (Event::StreamEnd, _) => break nothing,
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (event, span) => break self.node(event, span, 0)?,
            }
        };
        // What is wrong in a second document is of no interest, but it must begin as one.
        let second = loop {
            match self.next()? {
                (Event::DocumentEnd, _) => {}
                (Event::StreamEnd, _) => break None,
                (_, span) => break Some(position(&span)),
            }
        };
        let lines = text.lines().take(second.map_or(usize::MAX, |at| at.line - 1)).zip(1..);
        for (line, number) in lines {
            let is_inner = self.inner.iter().any(|(before, last)| (before + 1..=*last).contains(&number));
            if let Some(column) = tab_in_indentation(line).filter(|_| !is_inner) {
                let at = Position { line: number, column };
                return Err(Unreadable { at, reason: "a tab cannot be indentation".into() });
            }
        }
        Ok(Document { root, is_json: false, repeated: self.repeated, second })
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Unreadable> {
        match self.events.next() {
            Some(Ok((event, span))) => {
                self.line = span.end.line();
                if matches!(&event, Event::Scalar(_, style, ..) if self.may_hold_tabs(*style)) {
                    // A block of text ends where the next line begins.
                    let last = self.line - usize::from(span.end.col() == 0);
                    self.inner.push((span.start.line(), last));
                }
                Ok((event, span))
            }
            Some(Err(error)) => Err(Unreadable { at: marked(error.marker()), reason: error.info() }),
            None => Err(Unreadable { at: START, reason: "it ends too early".into() }),
        }
    }

    /// Whether tabs may begin the lines of a text of this style. Without quotes that depends; then they may not.
    fn may_hold_tabs(&self, style: ScalarStyle) -> bool {
        match style {
            ScalarStyle::Literal | ScalarStyle::Folded => self.keeps_blocks,
            ScalarStyle::Plain => false,
            _ => true,
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
            Event::Scalar(text, ScalarStyle::Plain, ..) if self.flow > 0 && text.contains('?') => {
                return refused("within brackets or braces, text with `?` needs quotes");
            }
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_deref());
                (value.map_err(|reason| Unreadable { at, reason })?, anchor)
            }
            Event::SequenceStart(style, anchor, _) => (self.within(style, at, depth, Self::list)?, anchor),
            Event::MappingStart(style, anchor, _) => (self.within(style, at, depth, Self::map)?, anchor),
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

    fn within(
        &mut self,
        style: StructureStyle,
        at: Position,
        depth: usize,
        read: fn(&mut Self, usize) -> Result<Value, Unreadable>,
    ) -> Result<Value, Unreadable> {
        let brackets = usize::from(style == StructureStyle::Flow);
        self.flow += brackets;
        let value = read(self, depth);
        self.flow -= brackets;
        if brackets > 0 {
            self.inner.push((at.line, self.line));
        }
        value
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

/// The column of a tab that the parser of the kubelet would take for indentation: before the first word of a line, also
/// after the dash of a list.
fn tab_in_indentation(line: &str) -> Option<usize> {
    let mut rest = line.chars().zip(1..).peekable();
    while let Some((c, column)) = rest.next() {
        match c {
            '\t' => return Some(column),
            ' ' => {}
            '-' | '?' if rest.peek().is_some_and(|(next, _)| matches!(next, ' ' | '\t')) => {}
            _ => return None,
        }
    }
    None
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
        Value::Text(text) | Value::Number(text) => Some(text),
        Value::Truth(truth) => Some(truth.to_string()),
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
        ("bool", value @ Value::Truth(_))
        | ("null", value @ Value::Null)
        | ("int" | "float", value @ Value::Number(_)) => Some(value),
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
        _ if is_number(text) => Value::Number(text.to_owned()),
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
