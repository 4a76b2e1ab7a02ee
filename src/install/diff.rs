//! A change of a text as people read it, without the secrets in it. Pure.

use std::fmt::Write;

/// Texts are smaller.
pub(crate) const LARGEST: usize = 256 << 10;
/// How many lines are shown around a change.
const AROUND: usize = 3;

/// In the unified form. A change is one piece, so it has one hunk. Keys are masked, but for `shown` values.
pub(crate) fn unified(path: &str, before: Option<&str>, after: Option<&str>, shown: &[String]) -> String {
    let (raw_old, raw_new) = (before.unwrap_or_default(), after.unwrap_or_default());
    let (old, new) = (masked_lines(raw_old, shown), masked_lines(raw_new, shown));
    let (raw_old, raw_new): (Vec<_>, Vec<_>) =
        (raw_old.split_inclusive('\n').collect(), raw_new.split_inclusive('\n').collect());
    let start = raw_old.iter().zip(&raw_new).take_while(|(one, other)| one == other).count();
    let tails = raw_old[start..].iter().rev().zip(raw_new[start..].iter().rev());
    let tail = tails.take_while(|(one, other)| one == other).count();
    let first = start.saturating_sub(AROUND);
    let last = AROUND.min(tail);
    let (old_end, new_end) = (old.len() - tail, new.len() - tail);
    let mut text = format!(
        "--- {}\n+++ {}\n@@ -{} +{} @@\n",
        before.map_or("/dev/null", |_| path),
        after.map_or("/dev/null", |_| path),
        range(first, old_end + last),
        range(first, new_end + last)
    );
    let marked = [
        (' ', &old[first..start]),
        ('-', &old[start..old_end]),
        ('+', &new[start..new_end]),
        (' ', &old[old_end..old_end + last]),
    ];
    for (mark, lines) in marked {
        for line in lines {
            let _ = write!(text, "{mark}{}", line.trim_end_matches(['\r', '\n']));
            text.push_str(if line.ends_with('\n') { "\n" } else { "\n\\ No newline at end of file\n" });
        }
    }
    text
}

fn range(first: usize, end: usize) -> String {
    match end - first {
        0 => format!("{first},0"),
        1 => (first + 1).to_string(),
        length => format!("{},{length}", first + 1),
    }
}

/// The lines, of which those that continue a masked `value` are masked, too: they are further right.
fn masked_lines(text: &str, shown: &[String]) -> Vec<String> {
    let mut value_at = None;
    let lines = text.split_inclusive('\n').map(|line| {
        let content = line.trim_start_matches([' ', '\t']);
        if content.trim().is_empty() {
            return line.to_owned();
        }
        let depth = line.len() - content.len();
        if value_at.is_some_and(|at| depth > at) {
            return format!("{}{MASK}{}", &line[..depth], &content[content.trim_end().len()..]);
        }
        let masked = masked(line, shown);
        value_at = (masked != line || content.starts_with("value:")).then_some(depth);
        masked
    });
    lines.collect()
}

/// A line without what may be a key: a `value` of a provider's `env`, the value of a variable that has such a name, and
/// a password in a URL.
fn masked(line: &str, shown: &[String]) -> String {
    let line = without_passwords(line);
    let mut masked = String::new();
    let mut rest = line.as_str();
    while let Some(at) = rest.find("value") {
        let (before, from) = rest.split_at(at + "value".len());
        masked.push_str(before);
        rest = from;
        let gap = from.len() - from.trim_start_matches(['"', '\'', ' ', '\t']).len();
        let Some(value) = from[gap..].strip_prefix(':') else { continue };
        let value = value.trim_start();
        let end = end_of_value(value);
        let is_shown = shown.iter().any(|shown| value[..end].trim_matches(['"', '\'']) == shown);
        masked.push_str(&from[..from.len() - value.len()]);
        masked.push_str(if is_shown || end == 0 { &value[..end] } else { MASK });
        rest = &value[end..];
    }
    masked.push_str(rest);
    without_keys(&masked)
}

const MASK: &str = "********";

/// In quotes, or up to what ends a plain value.
fn end_of_value(value: &str) -> usize {
    let text = value.trim_end();
    let Some(quote) = text.chars().next().filter(|first| matches!(first, '"' | '\'')) else {
        return text.find([',', '}']).map_or(text.len(), |at| text[..at].trim_end().len());
    };
    let mut is_escaped = false;
    let end = text[1..].char_indices().find(|(_, c)| {
        let is_end = *c == quote && !is_escaped;
        is_escaped = *c == '\\' && quote == '"' && !is_escaped;
        is_end
    });
    end.map_or(text.len(), |(at, _)| at + 2)
}

/// `NAME_KEY=value` of an environment file.
fn without_keys(line: &str) -> String {
    let Some((name, value)) = line.split_once('=') else { return line.to_owned() };
    let upper = name.to_ascii_uppercase();
    let is_name = !name.trim().is_empty()
        && name.trim().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_name || !["SECRET", "TOKEN", "PASSWORD", "KEY"].iter().any(|word| upper.contains(word)) {
        return line.to_owned();
    }
    format!("{name}={MASK}{}", &value[value.trim_end().len()..])
}

/// `://user:password@`.
fn without_passwords(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("://") {
        text.push_str(before);
        text.push_str("://");
        let authority =
            after.split(|c: char| c == '/' || c.is_whitespace() || c == '"').next().unwrap_or_default();
        rest = match authority.rfind('@') {
            Some(at) => {
                text.push_str(MASK);
                &after[at..]
            }
            None => after,
        };
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_hunk_with_what_is_around_it() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let after = "1\n2\n3\n4\nfive\n5.5\n6\n7\n8\n9\n";
        let expected = "--- /f\n+++ /f\n@@ -2,7 +2,8 @@\n 2\n 3\n 4\n-5\n+five\n+5.5\n 6\n 7\n 8\n";
        assert_eq!(unified("/f", Some(before), Some(after), &[]), expected);
        let expected = "--- /dev/null\n+++ /f\n@@ -0,0 +1,2 @@\n+a\n+b\n\\ No newline at end of file\n";
        assert_eq!(unified("/f", None, Some("a\nb"), &[]), expected);
        assert_eq!(unified("/f", Some("a\n"), None, &[]), "--- /f\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n");
    }

    #[test]
    fn a_key_on_many_lines_is_masked() {
        let text =
            "env:\n- name: A\n  value: |\n    hunter2\n\n    2\n- name: B\n  value:\n    hunter\nargs: [x]\n";
        let expected = "env:\n- name: A\n  value: ********\n    ********\n\n    ********\n- name: B\n  value:\n    ********\nargs: [x]\n";
        assert_eq!(masked_lines(text, &[]).concat(), expected);
    }

    #[test]
    fn keys_are_masked() {
        let rows = [
            ("      value: hunter2\n", "      value: ********\n"),
            ("      value: /ours\n", "      value: /ours\n"),
            (
                "    env: [{name: A, value: hunter2}, {name: B, value: \"hun,ter\\\"2\"}]",
                "    env: [{name: A, value: ********}, {name: B, value: ********}]",
            ),
            (
                "{\"name\":\"A\",\"value\":\"hunter2\"},{\"value\" : \"/ours\"}",
                "{\"name\":\"A\",\"value\":********},{\"value\" : \"/ours\"}",
            ),
            ("{name: A, 'value': 'hunter2'}", "{name: A, 'value': ********}"),
            ("      value:\n", "      value:\n"),
            ("AWS_SECRET_ACCESS_KEY=hunter2\n", "AWS_SECRET_ACCESS_KEY=********\n"),
            ("HTTPS_PROXY=http://me:hunter2@proxy:3128\n", "HTTPS_PROXY=http://********@proxy:3128\n"),
            ("KUBELET_EXTRA_ARGS=--key=x\n", "KUBELET_EXTRA_ARGS=--key=x\n"),
            ("# values: a value, or none\n", "# values: a value, or none\n"),
        ];
        for (line, expected) in rows {
            assert_eq!(masked(line, &["/ours".to_owned()]), expected);
        }
    }
}
