//! Our provider, put into the CredentialProviderConfig that is there. Pure.
//!
//! Into its text, so that comments, order and form of everything else stay as they are. What comes out is read again
//! and must be what was there and our entry, or it is not used.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::error::{Code, Error};
use crate::generate::config::ProviderEntry;
use crate::image::ImageReference;
use crate::pattern::Pattern;

/// The text with `entry` as its last provider.
pub(crate) fn with_entry(file: &Path, text: &str, entry: &ProviderEntry) -> Result<String, Error> {
    let refused = |cause: String| {
        Error::new(Code::NodeUnclear, format!("`{}`: {cause}", file.display())).with_remedy(format!(
            "correct the file, or add this provider to it by hand: {}",
            compact(&entry.to_json())
        ))
    };
    let before = read(text).map_err(|error| {
        refused(match error {
            serde_saphyr::Error::MultipleDocuments { .. } => "it has more than one document".into(),
            other => other.to_string(),
        })
    })?;
    if !before["providers"].is_array() {
        return Err(refused("it has no list of providers".into()));
    }
    let is_as_intended = |merged: &String| read(merged).is_ok_and(|after| after == with(&before, entry));
    insert(text, entry)
        .filter(is_as_intended)
        .ok_or_else(|| refused("its form is not known here, so nothing is added to it".into()))
}

/// A provider as its neighbours see it.
pub(crate) struct Neighbour {
    pub(crate) name: String,
    pub(crate) match_images: Vec<String>,
}

/// The providers in a text, as far as it can be read.
pub(crate) fn providers(text: &str) -> Vec<Neighbour> {
    let config = read(text).unwrap_or_default();
    let all = config["providers"].as_array().into_iter().flatten();
    let all = all.map(|provider| Neighbour {
        name: provider["name"].as_str().unwrap_or_default().to_owned(),
        match_images: texts(&provider["matchImages"]),
    });
    all.collect()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whether there are images that both patterns match, as far as examples tell: what one matches with its wildcards
/// filled in.
pub(crate) fn overlap(one: &str, other: &str) -> bool {
    let matches = |pattern: &str, example: &str| {
        let example = example.replace('*', "571600876202").trim_end_matches('/').to_owned();
        let example = if example.contains('/') { example } else { example + "/a" };
        let (pattern, image) = (pattern.parse::<Pattern>(), example.parse::<ImageReference>());
        matches!((pattern, image), (Ok(pattern), Ok(image)) if pattern.matches(&image).is_ok())
    };
    matches(one, other) || matches(other, one)
}

fn read(text: &str) -> Result<Value, serde_saphyr::Error> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_slice_with_options(text.as_bytes(), options)
}

fn with(before: &Value, entry: &ProviderEntry) -> Value {
    let mut after = before.clone();
    if let (Some(list), Ok(entry)) = (after["providers"].as_array_mut(), serde_json::to_value(entry)) {
        list.push(entry);
    }
    after
}

/// Where the list begins: its bracket, or its first dash, or what follows that where it is not indented.
#[derive(Deserialize)]
struct Outline {
    providers: Spanned<Vec<serde::de::IgnoredAny>>,
}

fn insert(text: &str, entry: &ProviderEntry) -> Option<String> {
    let options = serde_saphyr::options! { no_schema: true, with_snippet: false };
    let outline: Outline = serde_saphyr::from_slice_with_options(text.as_bytes(), options).ok()?;
    let (line, column) = (outline.providers.referenced.line(), outline.providers.referenced.column());
    let start = offset_of(text, line, column)?;
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let merged = if text[start..].starts_with('[') {
        insert_into_flow(text, start, entry)?
    } else {
        insert_into_block(text, first_dash(text, start)?, entry)
    };
    // What was added has plain line breaks.
    Some(if newline == "\r\n" { merged.replace("\r\n", "\n").replace('\n', "\r\n") } else { merged })
}

/// Lines and columns count from 1; columns count characters.
fn offset_of(text: &str, line: u64, column: u64) -> Option<usize> {
    let before = usize::try_from(line).ok()?.checked_sub(1)?;
    let start: usize = text.split_inclusive('\n').take(before).map(str::len).sum();
    let characters = usize::try_from(column).ok()?.checked_sub(1)?;
    let within = text.get(start..)?.char_indices().nth(characters).map(|(at, _)| at);
    Some(start + within?)
}

/// `- name: …` lines: the list ends before the first line that is further left, or is no item at its depth.
/// Comments and empty lines that follow its last line are not its own.
fn insert_into_block(text: &str, dash: usize, entry: &ProviderEntry) -> String {
    let start = line_start(text, dash);
    let indent = dash - start;
    let mut end = start;
    let mut place = start;
    for line in text[start..].split_inclusive('\n') {
        let content = line.trim();
        let depth = line.len() - line.trim_start().len();
        place += line.len();
        if content.is_empty() || (content.starts_with('#') && depth <= indent) {
            continue;
        }
        let is_item = content == "-" || content.starts_with("- ");
        if depth < indent || (depth == indent && !is_item) {
            break;
        }
        end = place;
    }
    let joint = if text[..end].ends_with('\n') { "" } else { "\n" };
    format!("{}{joint}{}{}", &text[..end], entry.to_yaml(indent), &text[end..])
}

/// The dash before the first item, which may stand on a line above it.
fn first_dash(text: &str, item: usize) -> Option<usize> {
    if text[item..].starts_with('-') {
        return Some(item);
    }
    let mut end = item;
    loop {
        let start = line_start(text, end);
        let line = &text[start..end];
        if line.trim_start().starts_with('-') {
            return Some(end - line.trim_start().len());
        }
        end = start.checked_sub(1)?;
    }
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |at| at + 1)
}

/// `[{…}, {…}]`, on one line or many, JSON or YAML.
fn insert_into_flow(text: &str, start: usize, entry: &ProviderEntry) -> Option<String> {
    let list = Flow::scan(&text[start..])?;
    let (content, close) = (start + list.content_end, start + list.close);
    let is_on_lines = text[content..close].contains('\n');
    let comma = if list.is_empty || list.has_comma_at_end { "" } else { "," };
    let inserted = if is_on_lines {
        let first = text[start + 1..].trim_start();
        let indent = indent_at(text, text.len() - first.len());
        let json = entry.to_json().trim_end().replace('\n', &format!("\n{}", " ".repeat(indent)));
        format!("{comma}\n{}{json}", " ".repeat(indent))
    } else {
        let space = if list.is_empty { "" } else { " " };
        format!("{comma}{space}{}", compact(&entry.to_json()))
    };
    Some(format!("{}{inserted}{}", &text[..content], &text[content..]))
}

/// How many spaces the line with this byte begins with.
fn indent_at(text: &str, at: usize) -> usize {
    let line = &text[line_start(text, at)..];
    line.len() - line.trim_start_matches(' ').len()
}

/// JSON without line breaks and the space around them; no text in it has a line break.
fn compact(json: &str) -> String {
    let lines: Vec<_> = json.lines().map(str::trim).collect();
    lines.join(" ").replace("{ ", "{").replace(" }", "}").replace("[ ", "[").replace(" ]", "]")
}

/// A list in brackets.
struct Flow {
    /// Past its last item, or comma.
    content_end: usize,
    /// Its closing bracket.
    close: usize,
    is_empty: bool,
    has_comma_at_end: bool,
}

impl Flow {
    /// `text` begins with the opening bracket. Quotes and comments are passed over.
    fn scan(text: &str) -> Option<Self> {
        let mut depth = 0_usize;
        let mut last: Option<(usize, char)> = None;
        let mut previous = ' ';
        let mut characters = text.char_indices();
        while let Some((at, c)) = characters.next() {
            let mut end = at + c.len_utf8();
            match c {
                '#' if previous.is_whitespace() => {
                    characters.by_ref().find(|(_, c)| *c == '\n');
                    previous = '\n';
                    continue;
                }
                '"' | '\'' if !previous.is_alphanumeric() => end = past_quote(text, &mut characters, c)?,
                '[' | '{' => depth += 1,
                ']' | '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                let (content_end, has_comma_at_end) = last.map_or((1, false), |(end, c)| (end, c == ','));
                return Some(Self { content_end, close: at, is_empty: last.is_none(), has_comma_at_end });
            }
            if !c.is_whitespace() && at > 0 {
                last = Some((end, c));
            }
            previous = c;
        }
        None
    }
}

/// To the end of what `quote` has opened. In single quotes two of them are one.
fn past_quote(text: &str, characters: &mut std::str::CharIndices<'_>, quote: char) -> Option<usize> {
    while let Some((at, c)) = characters.next() {
        if c == '\\' && quote == '"' {
            characters.next();
        } else if c == quote {
            if quote == '\'' && text[at + 1..].starts_with('\'') {
                characters.next();
                continue;
            }
            return Some(at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> ProviderEntry {
        ProviderEntry::new(vec!["*.dkr.ecr.*.amazonaws.com".into()]).with_variable("A", "/b")
    }

    const HEAD: &str = "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\n";
    const OTHER: &str = "apiVersion: credentialprovider.kubelet.k8s.io/v1, matchImages: ['*.azurecr.io'], defaultCacheDuration: 1h";

    fn block(indent: usize) -> String {
        let other = "- name: acr # [ \"\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\n  matchImages:\n  - \"*.azurecr.io\"\n\
            \n  # kept\n  defaultCacheDuration: 1h\n  args: [\"a]\", 'it''s', b#c]\n";
        crate::generate::yaml::indented(other, indent)
    }

    /// Everything that was there is still there: what was added is one piece.
    fn added<'a>(before: &str, after: &'a str) -> &'a str {
        let start = before.bytes().zip(after.bytes()).take_while(|(one, other)| one == other).count();
        let tail = before.len() - start;
        assert!(before.as_bytes()[start..] == after.as_bytes()[after.len() - tail..], "{after}");
        &after[start..after.len() - tail]
    }

    #[test]
    fn our_entry_joins_a_list_in_any_form() {
        let json = format!(
            "{{\"apiVersion\":\"kubelet.config.k8s.io/v1\",\"kind\":\"CredentialProviderConfig\",\"providers\":[{}]}}",
            "{\"name\":\"ecr\",\"apiVersion\":\"credentialprovider.kubelet.k8s.io/v1\",\"matchImages\":[\"a.b\"],\"defaultCacheDuration\":\"0s\"}"
        );
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        let rows = [
            format!("{HEAD}providers:\n{}", block(0)),
            format!("{HEAD}providers:\n{}", block(2)),
            format!("{HEAD}providers:\n\n  # first\n{}  # last\n", block(2)),
            format!("# top\n---\nproviders:\n{}\n# between\n{HEAD}", block(2)),
            format!("providers:\n{}{HEAD}", block(0)),
            format!("{HEAD}providers:\n{}", block(4)).trim_end().to_owned(),
            format!("{HEAD}providers:\n{}", block(2)).replace('\n', "\r\n"),
            format!("{HEAD}providers: [{{name: acr, {OTHER}}}]\n"),
            format!("{HEAD}providers: [{{name: acr, {OTHER}}},] # end\n"),
            format!("{HEAD}providers: []\n"),
            format!(
                "{HEAD}providers:\n  [\n    {{name: acr, {OTHER}}}, # ], no\n    {{name: b, {OTHER}}}\n  ]\n"
            ),
            format!("{HEAD}providers:\n- {{name: acr, {OTHER}}}\n"),
            format!("{HEAD}providers:\n-\n  name: acr\n  matchImages: [a.b]\n"),
            json,
            pretty.clone() + "\n",
            pretty.replace("  ", "    "),
        ];
        for text in rows {
            let merged = with_entry(Path::new("/c"), &text, &entry())
                .unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert!(added(&text, &merged).contains("ecr-credential-provider"), "{merged}");
        }
    }

    #[test]
    fn patterns_overlap_if_an_image_matches_both() {
        let rows = [
            ("*.dkr.ecr.*.amazonaws.com", "571600876202.dkr.ecr.eu-central-1.amazonaws.com", true),
            ("*.dkr.ecr.*.amazonaws.com", "*.dkr.ecr.*.amazonaws.com/team/", true),
            ("*.dkr.ecr.*.amazonaws.com", "*.*.*.*.*.*", true),
            ("*.dkr.ecr.*.amazonaws.com", "*.azurecr.io", false),
            ("public.ecr.aws", "*.dkr.ecr.*.amazonaws.com", false),
            ("public.ecr.aws", "public.ecr.aws:443", false),
        ];
        for (one, other, expected) in rows {
            assert_eq!(overlap(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn what_is_not_understood_is_left_alone() {
        let rows = [
            (HEAD.to_owned(), "it has no list of providers"),
            (format!("{HEAD}providers: x\n"), "no list of providers"),
            (format!("{HEAD}providers: []\n---\n{HEAD}"), "it has more than one document"),
            (format!("{HEAD}providers: &a [{{name: acr, {OTHER}}}]\nx: *a\n"), "form is not known"),
        ];
        for (text, cause) in rows {
            let error = with_entry(Path::new("/c"), &text, &entry()).unwrap_err();
            assert!(error.cause().contains(cause), "{error}");
        }
    }
}
