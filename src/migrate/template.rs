//! Templates of Helm that were not rendered.
//!
//! They are no YAML, but nearly: what stands in `{{ }}` becomes a word, or an empty line where it stands alone. No line
//! is added or lost. Conditions are not decided; both branches stay.

/// The text without `{{ }}`.
pub(super) fn without_actions(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, action, after)) = next_action(rest) {
        plain.push_str(before);
        let begins_line = before.rsplit('\n').next().unwrap_or_default().trim().is_empty();
        let ends_line = after.split('\n').next().unwrap_or_default().trim().is_empty();
        if begins_line && ends_line {
            plain.extend(action.matches('\n'));
        } else {
            plain.push_str(&word(action));
        }
        rest = after;
    }
    plain.push_str(rest);
    plain
}

fn next_action(text: &str) -> Option<(&str, &str, &str)> {
    let start = text.find("{{")?;
    let end = start + text[start..].find("}}")? + 2;
    Some((&text[..start], &text[start..end], &text[end..]))
}

/// `<.Release.Namespace>`: legal as plain text, and in quotes. No name in Kubernetes has a `<`.
fn word(action: &str) -> String {
    let inner = action.trim_start_matches("{{").trim_end_matches("}}").trim_matches(['-', ' ', '\n']);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    format!(
        "<{}>",
        inner.split(|c| !is_plain(c)).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_become_words_and_lines_stay() {
        let rows = [
            ("a: {{ .Release.Namespace }} # why\n", "a: <.Release.Namespace> # why\n"),
            ("a: \"{{ .Values.x | default \"y\" }}\"\n", "a: \"<.Values.x default y>\"\n"),
            ("{{- if .Values.x }}\na: b\n{{- end }}\n", "\na: b\n\n"),
            ("{{/* one\ntwo */}}\na: b", "\n\na: b"),
            ("  labels:\n    {{- include \"x\" . | nindent 4 }}\n", "  labels:\n    \n"),
            ("- {{ . }}: x", "- <.>: x"),
            ("a: {{ open", "a: {{ open"),
        ];
        for (template, plain) in rows {
            assert_eq!(without_actions(template), plain, "{template}");
        }
    }
}
