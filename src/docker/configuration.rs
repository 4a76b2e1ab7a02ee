//! The configuration file of docker's clients, and of podman's: which helper is asked about which registry.
//!
//! Both have the same `credHelpers`. The text is changed where it must be, and stays what it is elsewhere: people and
//! programs write into it, too.

use std::ops::Range;

use serde::de::{Deserialize, IgnoredAny};
use serde_json::{Map, Value};

/// What the file says instead of a program's name, which starts with `docker-credential-`.
pub(crate) const HELPER: &str = "ecr-login";
const HELPERS: &str = "credHelpers";
/// What clients write themselves indents by a tab.
const INDENT: &str = "\t";

/// Why a file is not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// It cannot be understood.
    #[error("{0}")]
    Malformed(String),
    /// Someone has decided otherwise.
    #[error("`credHelpers` has `{0}` for it")]
    OtherHelper(String),
}

/// The text with our helper for `server`. An empty text is one of a new file.
pub(crate) fn with_helper(text: &str, server: &str) -> Result<String, Refusal> {
    let text = if text.trim().is_empty() { "{}\n" } else { text };
    match helper_of(text, server)?.as_deref() {
        Some(HELPER) => return Ok(text.to_owned()),
        Some(other) => return Err(Refusal::OtherHelper(other.to_owned())),
        None => {}
    }
    let mut text = text.to_owned();
    if helpers(&parse(&text)?)?.is_none() {
        text = insert(&text, &[], HELPERS, "{}")?;
    }
    insert(&text, &[HELPERS], server, &Value::from(HELPER).to_string())
}

/// The text without our helper for `server`, and without `credHelpers` if there is no other in it.
pub(crate) fn without_helper(text: &str, server: &str) -> Result<String, Refusal> {
    if helper_of(text, server)?.as_deref() != Some(HELPER) {
        return Ok(text.to_owned());
    }
    let text = remove(text, &[HELPERS], server)?;
    match helpers(&parse(&text)?)? {
        Some(rest) if rest.is_empty() => remove(&text, &[], HELPERS),
        _ => Ok(text),
    }
}

/// The servers that have our helper.
pub(crate) fn servers(text: &str) -> Result<Vec<String>, Refusal> {
    let file = parse(text)?;
    let all = helpers(&file)?.into_iter().flatten();
    Ok(all.filter(|(_, helper)| *helper == HELPER).map(|(server, _)| server.clone()).collect())
}

/// Whether a login to `server` is kept in the file: a password, which ends.
pub(crate) fn has_login(text: &str, server: &str) -> bool {
    let file = parse(text).unwrap_or_default();
    let logins = file.get("auths").and_then(Value::as_object).into_iter().flatten();
    let of_server = |key: &str| {
        let key = key.strip_prefix("https://").unwrap_or(key);
        key.split('/').next() == Some(server)
    };
    logins
        .into_iter()
        .any(|(key, login)| of_server(key) && login.as_object().is_some_and(|login| !login.is_empty()))
}

/// Whether nothing is configured.
pub(crate) fn is_empty(text: &str) -> bool {
    parse(text).is_ok_and(|file| file.is_empty())
}

fn helper_of(text: &str, server: &str) -> Result<Option<String>, Refusal> {
    let file = parse(text)?;
    match helpers(&file)?.and_then(|helpers| helpers.get(server)) {
        None => Ok(None),
        Some(Value::String(helper)) => Ok(Some(helper.clone())),
        Some(_) => Err(Refusal::Malformed(format!("`{HELPERS}` has no name of a helper for `{server}`"))),
    }
}

fn helpers(file: &Map<String, Value>) -> Result<Option<&Map<String, Value>>, Refusal> {
    match file.get(HELPERS) {
        None => Ok(None),
        Some(Value::Object(helpers)) => Ok(Some(helpers)),
        Some(_) => Err(Refusal::Malformed(format!("`{HELPERS}` is not an object"))),
    }
}

/// The words for a mistake do not quote the text: it may hold passwords.
fn parse(text: &str) -> Result<Map<String, Value>, Refusal> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(text).map_err(|error| {
        Refusal::Malformed(format!("it is not a JSON object: {}", crate::protocol::describe(&error)))
    })
}

/// A member of an object: where its name begins, and its value.
struct Member {
    name: String,
    start: usize,
    value: Range<usize>,
}

/// An object by the places of its braces.
struct Object {
    open: usize,
    close: usize,
    members: Vec<Member>,
}

impl Object {
    /// The object that is found by going down from the outermost one. The text is known to be JSON.
    fn find(text: &str, path: &[&str]) -> Option<Self> {
        let mut object = Self::at(text, text.find('{')?)?;
        for name in path {
            // Of members of the same name, the last counts.
            let member = object.members.iter().rev().find(|member| member.name == *name)?;
            object = Self::at(text, member.value.start)?;
        }
        Some(object)
    }

    fn at(text: &str, open: usize) -> Option<Self> {
        let mut members = Vec::new();
        let mut place = open + 1;
        loop {
            place = after_space(text, place)?;
            match text.as_bytes().get(place)? {
                b'}' => return Some(Self { open, close: place, members }),
                b',' => place += 1,
                _ => {
                    let (name, end) = value_at::<String>(text, place)?;
                    let value = after_space(text, after_space(text, end)? + 1)?;
                    let (_, end) = value_at::<IgnoredAny>(text, value)?;
                    members.push(Member { name, start: place, value: value..end });
                    place = end;
                }
            }
        }
    }
}

fn after_space(text: &str, place: usize) -> Option<usize> {
    let rest = text.get(place..)?;
    Some(place + rest.len() - rest.trim_start().len())
}

/// A value, and where it ends.
fn value_at<'a, T: Deserialize<'a>>(text: &'a str, place: usize) -> Option<(T, usize)> {
    let mut values = serde_json::Deserializer::from_str(text.get(place..)?).into_iter();
    let value = values.next()?.ok()?;
    Some((value, place + values.byte_offset()))
}

/// Adds a member to the end of an object, in the manner of the members that are there.
fn insert(text: &str, path: &[&str], name: &str, value: &str) -> Result<String, Refusal> {
    let object = Object::find(text, path).ok_or_else(changed_shape)?;
    let member = format!("{}: {value}", Value::from(name));
    let (place, added) = if let [.., last] = object.members.as_slice() {
        let space = text[..last.start].rsplit(['{', ',']).next().unwrap_or_default();
        (last.value.end..last.value.end, format!(",{space}{member}"))
    } else {
        (object.open + 1..object.close, only_member(text, object.open, member))
    };
    Ok(format!("{}{added}{}", &text[..place.start], &text[place.end..]))
}

/// What stands between the braces of an object with one member.
fn only_member(text: &str, open: usize, member: String) -> String {
    if is_on_one_line(text) {
        return member;
    }
    let line = text[..open].rsplit('\n').next().unwrap_or_default();
    let indent: String = line.chars().take_while(|c| c.is_whitespace()).collect();
    format!("\n{indent}{}{member}\n{indent}", unit(text))
}

/// Takes a member away, with what separates it from the others.
fn remove(text: &str, path: &[&str], name: &str) -> Result<String, Refusal> {
    let object = Object::find(text, path).ok_or_else(changed_shape)?;
    let members = &object.members;
    let index = members.iter().rposition(|member| member.name == name).ok_or_else(changed_shape)?;
    let place = match index {
        _ if members.len() == 1 => object.open + 1..object.close,
        0 => members[0].start..members[1].start,
        _ => members[index - 1].value.end..members[index].value.end,
    };
    Ok(format!("{}{}", &text[..place.start], &text[place.end..]))
}

/// It was found before, in the same text.
fn changed_shape() -> Refusal {
    Refusal::Malformed("its structure is not understood".into())
}

/// Whether the file is written without line breaks.
fn is_on_one_line(text: &str) -> bool {
    !is_empty(text) && !text.trim().contains('\n')
}

/// By how much the file is indented.
fn unit(text: &str) -> String {
    let first = Object::find(text, &[]).and_then(|object| object.members.into_iter().next());
    let line = first.and_then(|first| text[..first.start].rsplit_once('\n').map(|(_, line)| line.to_owned()));
    line.filter(|line| !line.is_empty()).unwrap_or_else(|| INDENT.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_must_be_is_changed() {
        let rows = [
            ("", "{\n\t\"credHelpers\": {\n\t\t\"a.b\": \"ecr-login\"\n\t}\n}\n"),
            ("{}", "{\n\t\"credHelpers\": {\n\t\t\"a.b\": \"ecr-login\"\n\t}\n}"),
            (
                "{\n  \"auths\": {\n    \"x\": {\"auth\": \"e30=\"}\n  },\n  \"psFormat\": \"a\\\"{\"\n}\n",
                "{\n  \"auths\": {\n    \"x\": {\"auth\": \"e30=\"}\n  },\n  \"psFormat\": \"a\\\"{\",\n  \
                 \"credHelpers\": {\n    \"a.b\": \"ecr-login\"\n  }\n}\n",
            ),
            ("{\"auths\":{},\"n\":1}", "{\"auths\":{},\"n\":1,\"credHelpers\": {\"a.b\": \"ecr-login\"}}"),
            (
                "{\n\t\"credHelpers\": {\n\t\t\"gcr.io\": \"gcloud\"\n\t},\n\t\"z\": [1, {}]\n}",
                "{\n\t\"credHelpers\": {\n\t\t\"gcr.io\": \"gcloud\",\n\t\t\"a.b\": \"ecr-login\"\n\t},\n\t\"z\": [1, {}]\n}",
            ),
            (
                "{\n    \"credHelpers\": {},\n    \"a\": null\n}",
                "{\n    \"credHelpers\": {\n        \"a.b\": \"ecr-login\"\n    },\n    \"a\": null\n}",
            ),
        ];
        for (before, after) in rows {
            assert_eq!(with_helper(before, "a.b").as_deref(), Ok(after), "{before}");
            assert_eq!(with_helper(after, "a.b").as_deref(), Ok(after), "again: {before}");
            assert_eq!(servers(after), Ok(vec!["a.b".to_owned()]), "{before}");
        }
    }

    #[test]
    fn what_is_not_understood_or_decided_otherwise_is_left_alone() {
        let rows = [
            ("{", "it is not a JSON object: EOF while parsing an object at line 1 column 1"),
            ("[]", "it is not a JSON object: invalid type: sequence, expected a map at line 1 column 0"),
            ("{} {}", "it is not a JSON object: trailing characters at line 1 column 4"),
            ("{\"credHelpers\": []}", "`credHelpers` is not an object"),
            ("{\"credHelpers\": {\"a.b\": 1}}", "`credHelpers` has no name of a helper for `a.b`"),
            ("{\"credHelpers\": {\"a.b\": \"pass\"}}", "`credHelpers` has `pass` for it"),
        ];
        for (text, reason) in rows {
            let refusal = with_helper(text, "a.b").expect_err(text);
            assert_eq!(refusal.to_string(), reason, "{text}");
        }
        let others = "{\"credHelpers\": {\"a.b\": \"pass\"}}";
        assert_eq!(without_helper(others, "a.b").as_deref(), Ok(others));
    }

    #[test]
    fn a_login_is_found_by_the_forms_that_clients_write() {
        for key in ["a.b", "https://a.b", "https://a.b/v1/", "a.b/team"] {
            let text = format!("{{\"auths\": {{\"{key}\": {{\"auth\": \"e30=\"}}}}}}");
            assert!(has_login(&text, "a.b"), "{key}");
            assert!(!has_login(&text, "b"), "{key}");
        }
        // With a credsStore, docker leaves an empty object: the password is elsewhere.
        assert!(!has_login("{\"auths\": {\"a.b\": {}}}", "a.b"));
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f32>().prop_map(Value::from),
            "[\\PC\"\\\\{}\\[\\],:\n]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::hash_map("[a-z\"\\\\]{0,4}", inner, 0..3)
                    .prop_map(|map| Value::from(map.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_rest_of_the_file_stays_and_undo_restores_it(
            rest in prop::collection::hash_map("[a-z\"\\\\]{0,4}", json(), 1..4),
            others in prop::option::of(prop::collection::hash_map("[a-z]{1,4}", Just("x"), 1..3)),
            pretty in any::<bool>(),
        ) {
            let mut file: Map<String, Value> = rest.into_iter().collect();
            if let Some(others) = others {
                file.insert(HELPERS.to_owned(), serde_json::to_value(others).expect("JSON"));
            }
            let before = if pretty { serde_json::to_string_pretty(&file) } else { serde_json::to_string(&file) };
            let before = before.expect("JSON");
            let after = with_helper(&before, "host.example:1").expect("a change");
            // Not `file`: what is read of a number may differ in its last digit.
            let mut expected = parse(&before).expect("JSON");
            let helpers = expected.entry(HELPERS).or_insert_with(|| Value::from(Map::new()));
            helpers["host.example:1"] = Value::from(HELPER);
            prop_assert_eq!(parse(&after), Ok(expected), "{}", after);
            prop_assert_eq!(without_helper(&after, "host.example:1"), Ok(before));
        }
    }
}
