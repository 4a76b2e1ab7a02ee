//! All mistakes of a settings file at once, and where its parts stand.
//!
//! A run needs to know only whether the file can be used, and its parser ends at the first mistake. Here the part with
//! the mistake is blanked out, and the rest parsed again, until nothing is wrong or nothing is left.

use std::ops::Range;

use granit_parser::{Event, Parser, Span, StructureStyle};

use super::file::{self, Mistake};

/// More mistakes than this are not looked for.
const MOST: usize = 100;

/// What is wrong with `text`; nothing if it can be used.
pub(crate) fn find(text: &str) -> Vec<Mistake> {
    let mut rest = text.to_owned();
    // Where the parts begin in which something is blank: they may lack it now, which is no mistake of their own.
    let mut maimed = Vec::new();
    let mut found = Vec::new();
    while found.len() < MOST {
        let mistake = match file::read(&rest) {
            Err(mistake) => mistake,
            Ok(file) => {
                let parts = parts_of(&rest);
                for mistake in file::check(&file) {
                    let part = parts.iter().find(|part| Some(&part.path) == mistake.path.as_ref());
                    if !part.is_some_and(|part| maimed.contains(&part.range.start)) {
                        found.push(Mistake { at: part.map(|part| part.at), ..mistake });
                    }
                }
                break;
            }
        };
        let parts = parts_of(&rest);
        let part = innermost(&rest, mistake.at, &parts);
        if part.map_or(maimed.is_empty(), |part| !maimed.contains(&part.range.start)) {
            found.push(mistake);
        }
        let Some(part) = part else { break };
        maimed.extend(parts.iter().filter(|whole| whole.contains(part)).map(|whole| whole.range.start));
        rest = without(&rest, part.range.clone());
    }
    found.sort_by_key(|mistake| mistake.at);
    found
}

/// Where the keys and items of `text` stand: line and column of `path`, `registries[0].match` say.
pub(crate) fn place(text: &str, path: &str) -> Option<(u64, u64)> {
    parts_of(text).into_iter().find(|part| part.path == path).map(|part| part.at)
}

/// An entry of a map or an item of a list.
struct Part {
    path: String,
    at: (u64, u64),
    /// From its key or dash to the end of its value.
    range: Range<usize>,
}

impl Part {
    fn contains(&self, other: &Self) -> bool {
        self.path != other.path && self.range.start <= other.range.start && other.range.end <= self.range.end
    }
}

fn innermost<'a>(text: &str, at: Option<(u64, u64)>, parts: &'a [Part]) -> Option<&'a Part> {
    let (line, column) = at?;
    let before: usize = text.split_inclusive('\n').take(usize::try_from(line).ok()? - 1).map(str::len).sum();
    let within = text.get(before..)?.char_indices().nth(usize::try_from(column).ok()? - 1);
    let offset = before + within.map_or(0, |(offset, _)| offset);
    // Nothing, as a value, ends where it begins.
    let is_in = |part: &&Part| (part.range.start..=part.range.end).contains(&offset);
    parts.iter().filter(is_in).min_by_key(|part| part.range.len())
}

/// The same text with blanks in the place of a part, and of the comma after it.
fn without(text: &str, part: Range<usize>) -> String {
    let mut end = part.end;
    let after = text[end..].trim_start();
    if after.starts_with(',') {
        end = text.len() - after.len() + 1;
    }
    let blank: String = text[part.start..end].bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }).collect();
    format!("{}{blank}{}", &text[..part.start], &text[end..])
}

/// All parts, those within before those around them. None of a text that is no YAML.
fn parts_of(text: &str) -> Vec<Part> {
    let mut options = granit_parser::Options::default();
    options.set_emit_comments(false);
    let events = || Parser::new_from_str_with_options(text, options.clone());
    if events().any(|event| event.is_err()) {
        return Vec::new();
    }
    let mut reader = Reader { text, events: events(), parts: Vec::new() };
    while let Some((event, span)) = reader.next() {
        if !matches!(event, Event::StreamStart | Event::DocumentStart(..)) {
            reader.node(&event, &span, "");
            break;
        }
    }
    reader.parts
}

struct Reader<'a> {
    text: &'a str,
    events: Parser<'a, granit_parser::StrInput<'a>>,
    parts: Vec<Part>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<(Event<'a>, Span)> {
        self.events.next()?.ok()
    }

    /// The end of the value that begins with `event`.
    fn node(&mut self, event: &Event<'a>, span: &Span, path: &str) -> Option<usize> {
        match event {
            Event::SequenceStart(style, ..) => self.list(*style, span, path),
            Event::MappingStart(..) => self.map(span, path),
            _ => span.end.byte_offset(),
        }
    }

    fn list(&mut self, style: StructureStyle, span: &Span, path: &str) -> Option<usize> {
        let mut end = span.end.byte_offset()?;
        for index in 0.. {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Some(if style == StructureStyle::Flow { span.end.byte_offset()? } else { end });
            }
            let path = format!("{path}[{index}]");
            let start = span.start.byte_offset()?;
            let at = position(&span);
            end = self.node(&event, &span, &path)?;
            let dash = self.text.get(..start)?.rfind('-').filter(|_| style == StructureStyle::Block);
            self.parts.push(Part { path, at, range: dash.unwrap_or(start)..end });
        }
        None
    }

    fn map(&mut self, span: &Span, path: &str) -> Option<usize> {
        let mut end = span.end.byte_offset()?;
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                let closed = self.text.get(..span.end.byte_offset()?)?.ends_with('}');
                return Some(if closed { span.end.byte_offset()? } else { end });
            }
            let key = match &event {
                Event::Scalar(text, ..) => text.to_string(),
                _ => String::new(),
            };
            let path = if path.is_empty() { key } else { format!("{path}.{key}") };
            let (start, at) = (span.start.byte_offset()?, position(&span));
            let key_end = self.node(&event, &span, "")?;
            // A value that is nothing ends before the colon.
            let colon = key_end + self.text.get(key_end..)?.find(':').map_or(0, |at| at + 1);
            let (event, span) = self.next()?;
            end = self.node(&event, &span, &path)?.max(colon);
            self.parts.push(Part { path, at, range: start..end });
        }
    }
}

fn position(span: &Span) -> (u64, u64) {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    (number(span.start.line()), number(span.start.col() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        let line = |mistake: Mistake| match mistake.at {
            Some((line, column)) => format!("{line}:{column} {}", mistake.what),
            None => mistake.what,
        };
        find(text).into_iter().map(line).collect()
    }

    #[test]
    fn finds_all_of_them() {
        let text = "\
defaults:
  deadline: 2m
  proxi: http://p:1
  imds: sometimes
registries:
- match: [\"a.corp\", \"b:c\", \"https://x\"]
  profil: x
  registry: docker.io
- profile: other
- {match: [c.corp], caBundle: relative, fips: maybe}
- match: []
  credentialsFile: [1]
- match: ['x:y']
more: {}
";
        let expected = [
            "2:13 it must be from 1s to 55s",
            "3:3 unknown key `proxi`",
            "4:9 unknown value `sometimes`",
            "6:21 the kubelet would not take this pattern: `c` is not a port: it must be digits, without wildcard",
            "6:28 a pattern has no scheme: the kubelet takes what stands before `://` for the host name",
            "7:3 unknown key `profil`",
            "8:3 the host name has none of the forms of ECR",
            "9:3 the key `match` is missing",
            "10:31 this is not an absolute path",
            "10:47 invalid boolean",
            "11:3 there is no pattern",
            "12:20 expected string scalar",
            "13:11 the kubelet would not take this pattern: `y` is not a port: it must be digits, without wildcard",
            "14:1 unknown key `more`",
        ];
        assert_eq!(lines(text), expected);
    }

    #[test]
    fn says_one_thing_of_what_cannot_be_parsed() {
        for text in ["defaults: [", "a: b: c\n", "defaults: {deadline: 20s", "- a\n", "hello"] {
            assert_eq!(find(text).len(), 1, "{text}: {:?}", lines(text));
        }
        assert_eq!(lines("# nothing\n"), [""; 0]);
        assert_eq!(find(include_str!("../../node-config/config.yaml")), []);
    }

    #[test]
    fn knows_where_a_part_stands() {
        let text = "registries:\n- match: [a.b, c.d]\n- match:\n  - e.f\n";
        assert_eq!(place(text, "registries[0].match[1]"), Some((2, 16)));
        assert_eq!(place(text, "registries[1].match[0]"), Some((4, 5)));
        assert_eq!(place(text, "registries[1].match"), Some((3, 3)));
        assert_eq!(place(text, "none"), None);
    }
}
