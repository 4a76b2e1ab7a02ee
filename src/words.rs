//! Words for mistakes in files that people write.

/// Whether a text is too plain to be a secret, so that it may be quoted.
pub(crate) fn is_word(text: &str) -> bool {
    text.len() <= 40 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// What stands in the file, unless it may be a secret that was written in the wrong place.
pub(crate) fn quoted(text: &str) -> String {
    if is_word(text) { format!(" `{text}`") } else { String::new() }
}

/// What was probably meant, or all that there is.
pub(crate) fn nearest(word: &str, known: &[&str]) -> String {
    let best = known.iter().map(|known| (strsim::jaro_winkler(word, known), known));
    match best.max_by(|one, other| one.0.total_cmp(&other.0)) {
        Some((similarity, known)) if similarity > 0.8 => format!("write `{known}`"),
        _ => format!("known here are {}", known.join(", ")),
    }
}
