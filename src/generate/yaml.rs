//! Words in YAML that every parser reads as the same text: Go's sigs.k8s.io/yaml, which holds to YAML 1.1, and
//! those of YAML 1.2.

use std::fmt::Write;

/// `text` as a scalar: plain if nobody can take it for anything else, else in double quotes.
pub fn scalar(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// `text` with `indent` spaces in front of each line that is not empty.
pub fn indented(text: &str, indent: usize) -> String {
    let mut lines = String::with_capacity(text.len() + 64);
    for line in text.split_inclusive('\n') {
        if line != "\n" {
            lines.extend(std::iter::repeat_n(' ', indent));
        }
        lines.push_str(line);
    }
    lines
}

/// Rather quotes too often: no character that means anything in YAML, and no form of a number (of base 60 too),
/// date, truth value or null in any version of it.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some(first) = bytes.first() else { return false };
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"._/-@".contains(byte);
    let colon_in_word = |at: usize| bytes[at] == b':' && bytes.get(at + 1).is_some_and(is_word);
    if !(0..bytes.len()).all(|at| is_word(&bytes[at]) || colon_in_word(at)) {
        return false;
    }
    match first {
        b'/' => true,
        b'0'..=b'9' => bytes.iter().any(|byte| b"ghjklmpqrsuvwy".contains(byte)),
        b'a'..=b'z' | b'A'..=b'Z' => !WORDS.contains(&text.to_ascii_lowercase().as_str()),
        _ => false,
    }
}

/// What some version of YAML takes for a truth value or null.
const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];

/// Everything beyond ASCII is escaped: which of it a parser allows differs.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            ' '..='~' => quoted.push(character),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            _ => {
                let code = u32::from(character);
                let _ = if code > 0xFFFF {
                    write!(quoted, "\\U{code:08X}")
                } else {
                    write!(quoted, "\\u{code:04X}")
                };
            }
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// As the text of a value, of a key and of an item, without a type that would help.
    fn read_back(text: &str) -> Value {
        let scalar = scalar(text);
        let yaml = format!("{scalar}: {scalar}\nlist:\n  - {scalar}\nflow: [{scalar}, {scalar}]\n");
        serde_saphyr::from_str(&yaml).unwrap_or_else(|error| panic!("{text:?}: {error}\n{yaml}"))
    }

    fn expected(text: &str) -> Value {
        serde_json::json!({ text: text, "list": [text], "flow": [text, text] })
    }

    #[test]
    fn plain_where_it_is_safe() {
        let rows = [
            ("public.ecr.aws", "public.ecr.aws"),
            (
                "571600876202.dkr.ecr.eu-central-1.amazonaws.com/team",
                "571600876202.dkr.ecr.eu-central-1.amazonaws.com/team",
            ),
            ("*.dkr.ecr.*.amazonaws.com", r#""*.dkr.ecr.*.amazonaws.com""#),
            ("registry.corp:5000", "registry.corp:5000"),
            ("http://proxy:3128", "http://proxy:3128"),
            ("0s", "0s"),
            ("12h0m0s", "12h0m0s"),
            ("1e3", r#""1e3""#),
            ("190:20:30", r#""190:20:30""#),
            ("0x1F", r#""0x1F""#),
            ("2026-11-25", r#""2026-11-25""#),
            ("No", r#""No""#),
            ("~", r#""~""#),
            ("", r#""""#),
            ("a: b", r#""a: b""#),
            ("a #b", r#""a #b""#),
            ("a:", r#""a:""#),
            ("say \"\\\"", r#""say \"\\\"""#),
            ("ü\u{1F980}\u{85}\r\n", r#""\u00FC\U0001F980\u0085\u000D\n""#),
        ];
        for (text, yaml) in rows {
            assert_eq!(scalar(text), yaml, "{text:?}");
            assert_eq!(read_back(text), expected(text), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_out_as_it_went_in(text in any::<String>().prop_filter("keys", |text| !["list", "flow"].contains(&text.as_str()))) {
            prop_assert_eq!(read_back(&text), expected(&text));
        }

        #[test]
        fn so_does_what_looks_like_yaml(text in r#"[-+.:,*&!%@`'"{}\[\]|>?#=~<0-9a-fxoyntrue_/ \n\t]{0,12}"#) {
            prop_assert_eq!(read_back(&text), expected(&text));
        }
    }
}
