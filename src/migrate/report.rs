//! What `migrate` prints.

use std::fmt::Write;

use serde_json::{Value, json};

use super::find::{Found, Image};
use super::finding::{Finding, Part};
use super::order::Step;
use super::read::Warning;

/// Everything that is to be said of the manifests.
pub(crate) struct Report {
    pub(super) objects: usize,
    pub(super) found: Found,
    pub(super) unread: Vec<Warning>,
    pub(super) steps: Vec<Step>,
}

const PARTS: [(Part, &str); 5] = [
    (Part::Rotation, "The rotation"),
    (Part::PullSecret, "Pull secrets"),
    (Part::Reference, "What names them"),
    (Part::AccessRight, "Access rights of the rotation"),
    (Part::Key, "AWS keys"),
];

impl Report {
    /// How many things are left.
    pub(crate) fn left(&self) -> usize {
        self.found.findings.len()
    }

    /// How many objects were read.
    pub(crate) fn objects(&self) -> usize {
        self.objects
    }

    /// The place and reason of the first document that could not be read.
    pub(crate) fn first_unread(&self) -> Option<String> {
        self.unread.first().map(|Warning { place, reason }| format!("{place}: {reason}"))
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let Found { findings, notes, images } = &self.found;
        let of = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let objects = of(self.objects, "object");
        let _ = match findings.len() {
            0 => writeln!(text, "Nothing is left of rotated pull secrets for ECR in {objects}."),
            left => {
                writeln!(text, "{} left of rotated pull secrets for ECR in {objects}.", of(left, "thing"))
            }
        };
        for (part, title) in PARTS {
            let lines = findings.iter().filter(|finding| finding.part == part).map(line);
            section(&mut text, title, lines);
        }
        section(&mut text, "Notes", notes.iter().map(|note| format!("{}: {}", note.place, note.text)));
        section(&mut text, "Registries that matchImages must cover", images.iter().map(registry));
        let unread = self.unread.iter().map(|Warning { place, reason }| format!("{place}: {reason}"));
        section(&mut text, "Not read", unread);
        if !self.steps.is_empty() {
            text.push_str("\nOrder of removal (words in capitals are not known here)\n");
        }
        for (number, step) in self.steps.iter().enumerate() {
            let _ = writeln!(text, "\n{}. {}", number + 1, step.title);
            for line in wrapped(&step.why) {
                let _ = writeln!(text, "   {line}");
            }
            // Not indented, so that they can be copied: a here-document ends with a line that is not.
            let _ = writeln!(text, "\n{}", step.commands.join("\n"));
        }
        text
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let Found { findings, notes, images } = &self.found;
        let findings = findings.iter().map(|finding| {
            let Finding { part, place, target, why, .. } = finding;
            json!({
                "part": part, "object": finding.what(), "kind": target.kind, "namespace": target.namespace,
                "name": target.name, "helm": target.chart.is_some(), "why": why,
                "file": place.as_ref().map(|place| &place.file), "line": place.as_ref().map(|place| place.line),
            })
        });
        let images = images.iter().map(|Image { registry, example, count }| {
            json!({"registry": registry, "example": example, "images": count})
        });
        let unread = self.unread.iter().map(
            |Warning { place, reason }| json!({"file": place.file, "line": place.line, "reason": reason}),
        );
        json!({
            "left": self.left(), "objects": self.objects, "findings": findings.collect::<Vec<_>>(), "notes": notes,
            "registries": images.collect::<Vec<_>>(), "unread": unread.collect::<Vec<_>>(), "steps": self.steps,
        })
    }
}

fn section(text: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    for (index, line) in lines.enumerate() {
        if index == 0 {
            let _ = writeln!(text, "\n{title}");
        }
        let _ = writeln!(text, "  {}", without_breaks(&line));
    }
}

/// What manifests hold neither breaks lines nor tells the terminal anything.
pub(super) fn without_breaks(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn line(finding: &Finding) -> String {
    let place = finding.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
    let helm = if finding.target.chart.is_some() { " (of a chart)" } else { "" };
    format!("{place}{}{helm}: {}", finding.what(), finding.why)
}

fn registry(Image { registry, example, count }: &Image) -> String {
    match example {
        None => registry.clone(),
        Some(example) if *count == 1 => format!("{registry}: {example}"),
        Some(example) => format!("{registry}: {example} and {} more", count - 1),
    }
}

/// A text in lines for a terminal.
fn wrapped(text: &str) -> Vec<String> {
    const WIDTH: usize = 100;
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let full = lines.last().is_some_and(|line| !line.is_empty() && line.len() + word.len() >= WIDTH);
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
