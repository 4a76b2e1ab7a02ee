//! Environment files, as systemd reads them.
//!
//! `parse_env_file` of systemd 257: comments begin with `#` or `;`, a value may be quoted in parts, an escaped line
//! break joins lines, and a carriage return ends a line.

use std::ops::Range;

/// One assignment. Of several to one name the last holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) name: String,
    /// As the service gets it.
    pub(crate) value: String,
    /// Where the value stands in the text, quotes included, without space around it.
    pub(crate) range: Range<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    BeforeKey,
    Key,
    BeforeValue,
    Value,
    ValueEscape,
    Single,
    Double,
    DoubleEscape,
    Comment,
}

/// All assignments, in order.
pub(crate) fn assignments(text: &str) -> Vec<Assignment> {
    let mut reader = Reader { state: State::BeforeKey, found: Vec::new(), name: String::new(), value: None };
    for (at, character) in text.char_indices() {
        reader.take(at, character);
    }
    reader.finish();
    reader.found
}

struct Reader {
    state: State,
    found: Vec<Assignment>,
    name: String,
    value: Option<Draft>,
}

/// The value so far: with the space at its end, which counts only if more follows.
struct Draft {
    text: String,
    kept: usize,
    range: Range<usize>,
}

impl Reader {
    fn take(&mut self, at: usize, c: char) {
        let is_newline = matches!(c, '\n' | '\r');
        let is_space = is_newline || matches!(c, ' ' | '\t');
        self.state = match self.state {
            State::BeforeKey if matches!(c, '#' | ';') => State::Comment,
            State::BeforeKey if is_space => State::BeforeKey,
            State::Comment if !is_newline => State::Comment,
            State::Comment => State::BeforeKey,
            State::Key if is_newline => {
                self.name.clear();
                State::BeforeKey
            }
            State::Key if c == '=' => {
                self.value = Some(Draft { text: String::new(), kept: 0, range: at + 1..at + 1 });
                State::BeforeValue
            }
            State::BeforeKey | State::Key => {
                self.name.push(c);
                State::Key
            }
            State::BeforeValue | State::Value if is_newline => {
                self.finish();
                State::BeforeKey
            }
            State::BeforeValue if is_space => State::BeforeValue,
            state => self.take_value(state, at, c, is_space),
        };
    }

    fn take_value(&mut self, state: State, at: usize, c: char, is_space: bool) -> State {
        let Some(draft) = &mut self.value else { return State::BeforeKey };
        if draft.text.is_empty() && draft.range.is_empty() {
            draft.range.start = at;
        }
        let mut keep = |text: &str| draft.text.push_str(text);
        let next = match (state, c) {
            (State::BeforeValue, '\'') => State::Single,
            (State::BeforeValue, '"') | (State::DoubleEscape, '\n' | '\r') => State::Double,
            (State::BeforeValue | State::Value, '\\') => State::ValueEscape,
            (State::Single, '\'') | (State::Double, '"') => State::BeforeValue,
            (State::Double, '\\') => State::DoubleEscape,
            (State::ValueEscape, '\n' | '\r') => State::Value,
            (State::DoubleEscape, '"' | '\\' | '`' | '$') => {
                keep(c.encode_utf8(&mut [0; 4]));
                State::Double
            }
            (State::DoubleEscape, _) => {
                keep(&format!("\\{c}"));
                State::Double
            }
            (State::Single | State::Double, _) => {
                keep(c.encode_utf8(&mut [0; 4]));
                state
            }
            _ => {
                keep(c.encode_utf8(&mut [0; 4]));
                State::Value
            }
        };
        if !(state == State::Value && is_space) {
            draft.kept = draft.text.len();
            draft.range.end = at + c.len_utf8();
        }
        next
    }

    fn finish(&mut self) {
        let name = std::mem::take(&mut self.name);
        if let Some(Draft { mut text, kept, range }) = self.value.take() {
            text.truncate(kept);
            self.found.push(Assignment { name: name.trim().to_owned(), value: text, range });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_systemd_reads() {
        let rows = [
            ("A=b", vec![("A", "b", "b")]),
            ("A=\n", vec![("A", "", "")]),
            ("#A=b\n;B=c\n  C=d  \n", vec![("C", "d", "d")]),
            ("A=b c  \r\nD=\"e f\"\r\n", vec![("A", "b c", "b c"), ("D", "e f", "\"e f\"")]),
            ("A='b \\n' # no comment", vec![("A", "b \\n# no comment", "'b \\n' # no comment")]),
            ("A=\"b\" c", vec![("A", "bc", "\"b\" c")]),
            ("A=b \\\n  c\nD=e", vec![("A", "b   c", "b \\\n  c"), ("D", "e", "e")]),
            ("A=\"b \\\n c \\\" \\$ \\x\"", vec![("A", "b  c \" $ \\x", "\"b \\\n c \\\" \\$ \\x\"")]),
            ("A=\"open\nB=c", vec![("A", "open\nB=c", "\"open\nB=c")]),
            ("no assignment\nA=1\nA=2", vec![("A", "1", "1"), ("A", "2", "2")]),
        ];
        for (text, expected) in rows {
            let found = assignments(text);
            let found: Vec<_> =
                found.iter().map(|a| (a.name.as_str(), a.value.as_str(), &text[a.range.clone()])).collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
