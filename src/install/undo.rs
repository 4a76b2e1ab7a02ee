//! Back to what was there, without taking away what somebody else has added since.

use std::path::{Path, PathBuf};

use super::files::{self, Content, State, Step};
use super::journal::{Entry, Journal, making};
use crate::error::Error;

/// How to undo changes.
#[derive(Clone, Debug, Default)]
pub struct Undo {
    /// What to do.
    pub steps: Vec<Step>,
    /// The paths that these change.
    pub paths: Vec<PathBuf>,
    /// Edited since, and ours as a whole: left, because nothing uses it any more.
    pub left: Vec<PathBuf>,
    /// Edited since such that our part cannot be told from the rest, and something would still use it.
    pub stuck: Vec<PathBuf>,
}

/// Plans it for all that the journal has.
pub fn all(root: &Path, journal: &Journal) -> Result<Undo, Error> {
    plan(root, &journal.entries())
}

/// Plans it for `entries`, the oldest first.
pub(crate) fn plan(root: &Path, entries: &[&Entry]) -> Result<Undo, Error> {
    let mut paths: Vec<&Path> = Vec::new();
    for entry in entries {
        if !paths.contains(&entry.path.as_path()) {
            paths.push(&entry.path);
        }
    }
    let mut undo = Undo::default();
    for path in paths.into_iter().rev() {
        let now = files::look(root, path)?;
        let mut state = Some(now.clone());
        for entry in entries.iter().rev().filter(|entry| entry.path == path) {
            state = match state {
                Some(state) => before(root, entry, state)?,
                None => None,
            };
        }
        match state {
            None if is_left(root, entries, path) => undo.left.push(path.to_owned()),
            None => undo.stuck.push(path.to_owned()),
            Some(State::Absent) if matches!(now, State::Folder(_)) => {
                undo.steps.push(Step::RemoveFolder(path.to_owned()));
            }
            // What an interrupted run has made beside it goes, too.
            Some(State::Absent) => {
                undo.steps.push(Step::Remove(path.to_owned()));
                if now != State::Absent {
                    undo.paths.push(path.to_owned());
                }
            }
            Some(state) if state == now => undo.steps.push(Step::Discard(path.to_owned())),
            Some(state) => {
                undo.steps.extend(making(path, &state));
                undo.paths.push(path.to_owned());
            }
        }
    }
    Ok(undo)
}

/// What was there before `entry`, if there is `state` now. None if that is unclear.
fn before(root: &Path, entry: &Entry, state: State) -> Result<Option<State>, Error> {
    if entry.after.is(&state) {
        return entry.before.load(root).map(Some);
    }
    // The change was never made, or has been undone.
    if entry.before.is(&state) {
        return Ok(Some(state));
    }
    let State::File(content) = &state else { return Ok(None) };
    let Some(ours) = entry.after.bytes(root) else { return Ok(None) };
    let original = if entry.before.is_absent() && has_flags(&ours) {
        Some(Vec::new())
    } else {
        entry.before.bytes(root)
    };
    let Some(original) = original else { return Ok(None) };
    Ok(without_part(&content.bytes, &original, &ours)
        .map(|bytes| State::File(Content::with_bytes(content, bytes))))
}

/// A program; or a file that was not there before us, and that no kubelet looks into once our flags are gone.
fn is_left(root: &Path, entries: &[&Entry], path: &Path) -> bool {
    let ours = |entry: &&Entry| entry.after.bytes(root);
    let mut mine = entries.iter().filter(|entry| entry.path == path);
    let Some(first) = mine.next() else { return false };
    let Some(text) = ours(first) else { return true };
    first.before.is_absent()
        && !has_flags(&text)
        && entries.iter().filter_map(ours).any(|text| has_flags(&text))
}

fn has_flags(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| flags_in(text).is_some())
}

/// `now` without what made `ours` of `original`: that one piece must stand in `now` once and unchanged.
fn without_part(now: &[u8], original: &[u8], ours: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8;
    let (now, original, ours) = (text(now).ok()?, text(original).ok()?, text(ours).ok()?);
    let (removed, added) = difference(original, ours);
    let replaced = replaced_once(now, added, removed).or_else(|| {
        // Somebody has edited the value that our flags are in.
        let flags = flags_in(added)?;
        replaced_once(now, &format!(" {flags}"), "").or_else(|| replaced_once(now, flags, ""))
    });
    replaced.map(String::into_bytes)
}

fn replaced_once(text: &str, old: &str, new: &str) -> Option<String> {
    let mut places = text.match_indices(old).filter(|_| !old.trim().is_empty());
    let (at, _) = places.next()?;
    places.next().is_none().then(|| format!("{}{new}{}", &text[..at], &text[at + old.len()..]))
}

/// Both flags, side by side as we write them.
fn flags_in(text: &str) -> Option<&str> {
    const FIRST: &str = "--image-credential-provider-config=";
    const SECOND: &str = " --image-credential-provider-bin-dir=";
    let start = text.find(FIRST)?;
    let second = text[start..].find(SECOND)? + start + SECOND.len();
    let end = text[second..].find(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));
    Some(&text[start..end.map_or(text.len(), |end| second + end)])
}

/// The piece in which two texts differ, as it is in each.
fn difference<'a>(one: &'a str, other: &'a str) -> (&'a str, &'a str) {
    let mut start = one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
    while !one.is_char_boundary(start) {
        start -= 1;
    }
    let tails = one[start..].bytes().rev().zip(other[start..].bytes().rev());
    let mut tail = tails.take_while(|(one, other)| one == other).count();
    while !one.is_char_boundary(one.len() - tail) {
        tail -= 1;
    }
    (&one[start..one.len() - tail], &other[start..other.len() - tail])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_part_is_taken_out_of_an_edited_text() {
        const F: &str = "--image-credential-provider-config=/c --image-credential-provider-bin-dir=/b";
        let quoted = format!("A=\"--v=2 {F}\"\n");
        let entry = "- name: ecr\n  matchImages: [é]\n";
        let rows = [
            ("A=\n", format!("A=\"{F}\"\n"), format!("B=c\nA=\"{F}\"\n"), Some("B=c\nA=\n".to_owned())),
            ("A=--v=2\n", quoted.clone(), format!("A=\"--v=3 {F} --w\"\n"), Some("A=\"--v=3 --w\"\n".into())),
            ("A=--v=2\n", quoted.clone(), quoted.replace("=/b", "=/other"), None),
            (
                "p:\n- name: acr\n",
                format!("p:\n- name: acr\n{entry}"),
                format!("p:\n- name: gcr\n{entry}# x\n"),
                Some("p:\n- name: gcr\n# x\n".into()),
            ),
            ("p:\n", format!("p:\n{entry}"), format!("p:\n{entry}{entry}"), None),
            ("p: é", "p: è".to_owned(), "q: è".to_owned(), Some("q: é".into())),
        ];
        for (original, ours, now, expected) in rows {
            let found = without_part(now.as_bytes(), original.as_bytes(), ours.as_bytes());
            assert_eq!(found.map(|bytes| String::from_utf8(bytes).unwrap()), expected, "{now:?}");
        }
    }
}
