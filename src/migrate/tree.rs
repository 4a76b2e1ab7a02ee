//! A document as a tree in which every value knows its line.
//!
//! Objects of any kind are looked through, also those of which this program knows nothing, so there is one shape for
//! all. It holds what the files hold, passwords too: it has no `Debug`, and nothing prints a whole tree.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use serde_saphyr::options::DuplicateKeyPolicy;

/// A value and its line.
pub(super) struct Node {
    pub(super) line: u64,
    value: Value,
}

enum Value {
    Nothing,
    /// Any scalar, as text.
    Text(String),
    List(Vec<Node>),
    /// In the order of the file. A key may stand twice, in both branches of a template say.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The first value under `key`; none if this is no map.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().find_map(|(name, node)| (name == key).then_some(node))
    }

    /// The value below several keys, one in the other.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The text below several keys, if it is one and not empty.
    pub(super) fn text_at(&self, path: &[&str]) -> Option<&str> {
        self.at(path)?.text().filter(|text| !text.is_empty())
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The keys and values of a map; nothing of anything else.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &Self)> {
        let entries = match &self.value {
            Value::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().map(|(name, node)| (name.as_str(), node))
    }

    /// The values of a list; nothing of anything else.
    pub(super) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The values of the list under `key`.
    pub(super) fn items_of(&self, key: &str) -> &[Self] {
        self.get(key).map(Self::items).unwrap_or_default()
    }

    /// The values of the list under `key`, taken out.
    pub(super) fn into_items(self, key: &str) -> Vec<Self> {
        let Value::Map(entries) = self.value else { return Vec::new() };
        match entries.into_iter().find(|(name, _)| name == key).map(|(_, node)| node.value) {
            Some(Value::List(items)) => items,
            _ => Vec::new(),
        }
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self.value, Value::Map(_))
    }

    /// Every value below this one and itself, with the way to it.
    pub(super) fn walk<'a>(&'a self, visit: &mut impl FnMut(&Path<'_>, &'a Self)) {
        self.walk_from(&Path::Root, visit);
    }

    fn walk_from<'a>(&'a self, path: &Path<'_>, visit: &mut impl FnMut(&Path<'_>, &'a Self)) {
        visit(path, self);
        for (index, item) in self.items().iter().enumerate() {
            item.walk_from(&Path::Index(path, index), visit);
        }
        for (key, node) in self.entries() {
            node.walk_from(&Path::Key(path, key), visit);
        }
    }
}

/// The way from the root of a tree to a value.
pub(super) enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl Path<'_> {
    /// The nearest key above the value.
    pub(super) fn key(&self) -> &str {
        match self {
            Self::Root => "",
            Self::Key(_, key) => key,
            Self::Index(above, _) => above.key(),
        }
    }

    /// As JSON Patch writes it (RFC 6901).
    pub(super) fn pointer(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Key(above, key) => {
                format!("{}/{}", above.pointer(), key.replace('~', "~0").replace('/', "~1"))
            }
            Self::Index(above, index) => format!("{}/{index}", above.pointer()),
        }
    }
}

/// As `helm --set` writes it.
impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Self::Root, key) => f.write_str(key),
            Self::Key(above, key) => write!(f, "{above}.{key}"),
            Self::Index(above, index) => write!(f, "{above}[{index}]"),
        }
    }
}

/// Why a document is no tree: the line in it, and what is wrong there.
#[derive(Debug)]
pub(super) struct Malformed {
    pub(super) line: u64,
    pub(super) reason: String,
}

/// Parses one document of YAML, or of JSON, which is YAML too. `lines_before` stand in front of it in its file.
pub(super) fn parse(text: &str, lines_before: u64) -> Result<Node, Malformed> {
    // The cluster's objects in one list are a large document; its depth is limited as usual.
    let budget = serde_saphyr::budget! {
        max_events: usize::MAX,
        max_nodes: usize::MAX,
        max_total_scalar_bytes: usize::MAX,
    };
    let options = serde_saphyr::options! {
        budget: budget,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        with_snippet: false,
    };
    let parsed = serde_saphyr::from_str_with_options::<Spanned<Value>>(text, options);
    let mut node: Node = parsed.map(Node::from).map_err(|error| {
        let line = error.location().map_or(1, |location| location.line());
        let error = match error.without_snippet() {
            serde_saphyr::Error::AliasError { error, .. } => error,
            other => other,
        };
        let text = match error {
            serde_saphyr::Error::Budget { .. } => {
                "values lie too deep in each other, or aliases make too many of them".to_owned()
            }
            other => other.to_string(),
        };
        // What stands there may be a secret, so no word of it is quoted.
        let reason = text.split([':', '`', '"', '\n']).next().unwrap_or_default();
        let reason = reason.split(" at line ").next().unwrap_or_default().trim().to_owned();
        Malformed { line: line + lines_before, reason }
    })?;
    node.move_down(lines_before);
    Ok(node)
}

impl Node {
    fn move_down(&mut self, lines: u64) {
        self.line += lines;
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.move_down(lines)),
            Value::Map(entries) => entries.iter_mut().for_each(|(_, node)| node.move_down(lines)),
            Value::Nothing | Value::Text(_) => {}
        }
    }
}

impl From<Spanned<Value>> for Node {
    fn from(spanned: Spanned<Value>) -> Self {
        Self { line: spanned.referenced.line(), value: spanned.value }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(Value::Text(String::from_utf8_lossy(value).into_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element::<Spanned<Value>>()? {
            items.push(item.into());
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            entries.push((key, map.next_value::<Spanned<Value>>()?.into()));
        }
        Ok(Value::Map(entries))
    }
}
