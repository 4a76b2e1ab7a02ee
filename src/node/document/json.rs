//! JSON by the rules of JSON, which are the kubelet's too.

use serde_json::value::RawValue;

use super::{Document, Entry, Node, Position, Unreadable, Value, position_of};

/// `serde_json` knows no places, but where the parts of a text begin in it.
pub(super) fn parse(text: &str) -> Result<Document, Unreadable> {
    let parsed: Result<&RawValue, _> = serde_json::from_str(text);
    let raw = parsed.map_err(|error| Unreadable {
        at: Position { line: error.line(), column: error.column().max(1) },
        reason: error.to_string().split(" at line ").next().unwrap_or_default().to_owned(),
    })?;
    let mut repeated = Vec::new();
    let root = node(raw, text, &mut repeated)?;
    Ok(Document { root, is_json: true, repeated, second: None })
}

fn node(raw: &RawValue, whole: &str, repeated: &mut Vec<(Position, String)>) -> Result<Node, Unreadable> {
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
                entries.push(Entry { key, at, node: node(raw, whole, repeated)? });
            }
            Value::Map(entries)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(refused)?;
            let items = items.into_iter().map(|raw| node(raw, whole, repeated));
            Value::List(items.collect::<Result<_, _>>()?)
        }
        Some(b'"') => Value::Text(serde_json::from_str(raw.get()).map_err(refused)?),
        Some(b't') => Value::Truth(true),
        Some(b'f') => Value::Truth(false),
        Some(b'n') => Value::Null,
        _ => Value::Number(raw.get().to_owned()),
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
