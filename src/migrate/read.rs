//! From files to the objects in them.

use std::fmt;

use super::template;
use super::tree::{self, Malformed, Node};

/// A file, or what came on stdin.
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// A line in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A document that could not be read.
#[derive(Debug)]
pub(crate) struct Warning {
    pub(crate) place: Place,
    pub(crate) reason: String,
}

/// An object of Kubernetes, or the values of a Helm chart.
pub(super) struct Object {
    pub(super) place: Place,
    /// Empty for values.
    pub(super) kind: String,
    /// None if it has none, or one that is not known before the template is rendered.
    pub(super) name: Option<String>,
    /// Likewise.
    pub(super) namespace: Option<String>,
    /// The chart it belongs to, if it belongs to one.
    pub(super) chart: Option<Chart>,
    /// The kind and name of the object that made it.
    pub(super) owner: Option<(String, String)>,
    pub(super) tree: Node,
}

/// What makes and changes an object in its stead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chart {
    /// Name and namespace of the release, where the object says so.
    pub(super) release: Option<(String, String)>,
    /// Whether this is not the object, but the template for it.
    pub(super) is_template: bool,
}

impl Object {
    pub(super) fn is(&self, kind: &str) -> bool {
        self.kind == kind
    }

    pub(super) fn is_values(&self) -> bool {
        self.kind.is_empty()
    }

    /// The place of a value in it.
    pub(super) fn place_of(&self, node: &Node) -> Place {
        Place { line: node.line, ..self.place.clone() }
    }

    /// Whether something of this object may mean an object `name` of `namespace`: what is not known may be equal.
    pub(super) fn shares_namespace(&self, namespace: Option<&str>) -> bool {
        match (self.namespace.as_deref(), namespace) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&in_words(&self.kind, self.namespace.as_deref(), self.name.as_deref()))
    }
}

/// `CronJob sigrid/ecr-key-rotation`.
pub(super) fn in_words(kind: &str, namespace: Option<&str>, name: Option<&str>) -> String {
    let (kind, namespace) =
        (crate::error::one_line(kind), namespace.map(|namespace| format!("{namespace}/")));
    match name {
        _ if kind.is_empty() => "values".to_owned(),
        Some(name) => format!("{kind} {}{name}", namespace.unwrap_or_default()),
        None => format!("a {kind} without a name"),
    }
}

/// A text that can be the name of an object. Others come of templates, of Helm or a shell.
fn name_of(text: &str) -> Option<String> {
    let is_name = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':'));
    is_name.then(|| text.to_owned())
}

/// The objects of all sources, and what could not be read. Neither, if there is no document at all.
pub(super) fn objects(sources: &[Source]) -> (Vec<Object>, Vec<Warning>) {
    let (mut objects, mut warnings) = (Vec::new(), Vec::new());
    for source in sources {
        for document in documents(&source.text) {
            let parsed = tree::parse(document.text, document.lines_before).map(|tree| (tree, false));
            let parsed = match parsed {
                Err(malformed) => rendered(&document, malformed),
                good => good,
            };
            match parsed {
                Ok((tree, is_template)) => {
                    let of_chart = is_template || document.text.trim_start().starts_with("# Source: ");
                    let chart = of_chart.then(|| Chart { is_template, ..Chart::default() });
                    add(tree, &source.name, chart.as_ref(), "", &mut objects);
                }
                Err(Malformed { line, reason }) => {
                    warnings.push(Warning { place: Place { file: source.name.clone(), line }, reason });
                }
            }
        }
    }
    (objects, warnings)
}

/// A document that is no YAML may be a template.
fn rendered(document: &Document<'_>, malformed: Malformed) -> Result<(Node, bool), Malformed> {
    if !document.text.contains("{{") {
        return Err(malformed);
    }
    tree::parse(&template::without_actions(document.text), document.lines_before).map(|tree| (tree, true))
}

struct Document<'a> {
    text: &'a str,
    lines_before: u64,
}

/// Split here and not by the parser, so that one that is malformed does not take those after it along. A line that
/// starts with `---` can be nothing else (YAML 1.2.2, §9.1.2).
fn documents(text: &str) -> Vec<Document<'_>> {
    let (mut documents, mut start, mut lines_before, mut line) = (Vec::new(), 0, 0, 0);
    let mut offset = 0;
    for text_of_line in text.split_inclusive('\n') {
        if text_of_line.trim_end() == "---" || text_of_line.starts_with("--- ") {
            documents.push(Document { text: &text[start..offset], lines_before });
            // What follows the marker in its line is part of the document.
            (start, lines_before) = (offset + 3, line);
        }
        offset += text_of_line.len();
        line += 1;
    }
    documents.push(Document { text: &text[start..], lines_before });
    documents.retain(|document| has_content(document.text));
    documents
}

fn has_content(text: &str) -> bool {
    text.lines().map(str::trim).any(|line| !line.is_empty() && !line.starts_with('#') && line != "...")
}

/// Adds the object, or those of a list, whose items need not have a kind of their own.
fn add(tree: Node, file: &str, chart: Option<&Chart>, kind_in_list: &str, objects: &mut Vec<Object>) {
    if !tree.is_map() {
        return;
    }
    let kind = tree.text_at(&["kind"]).unwrap_or(kind_in_list).to_owned();
    match kind.strip_suffix("List") {
        Some(kind_of_items) if tree.get("items").is_some() => {
            for item in tree.into_items("items") {
                add(item, file, chart, kind_of_items, objects);
            }
        }
        _ => objects.push(object(tree, kind, file, chart)),
    }
}

fn object(tree: Node, kind: String, file: &str, chart: Option<&Chart>) -> Object {
    let metadata = |path: &[&str]| tree.text_at(&[&["metadata"], path].concat());
    let release = metadata(&["annotations", "meta.helm.sh/release-name"]).and_then(name_of);
    let release_namespace = metadata(&["annotations", "meta.helm.sh/release-namespace"]).and_then(name_of);
    let release = release.zip(release_namespace);
    let is_managed = metadata(&["labels", "app.kubernetes.io/managed-by"]) == Some("Helm");
    let chart = match (chart, release) {
        (None, None) if !is_managed => None,
        (chart, release) => Some(Chart { release, ..chart.cloned().unwrap_or_default() }),
    };
    let owners = tree.at(&["metadata", "ownerReferences"]).map(Node::items).unwrap_or_default();
    let owner = owners
        .first()
        .and_then(|owner| Some((owner.text_at(&["kind"])?.to_owned(), owner.text_at(&["name"])?.to_owned())));
    Object {
        place: Place { file: file.to_owned(), line: tree.line },
        name: metadata(&["name"]).and_then(name_of),
        namespace: metadata(&["namespace"]).and_then(name_of),
        chart: chart.filter(|_| !kind.is_empty()),
        owner,
        kind,
        tree,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<String>, Vec<String>) {
        let source = Source { name: "f".to_owned(), text: text.to_owned() };
        let (objects, warnings) = objects(&[source]);
        let objects = objects.iter().map(|object| format!("{} {object}", object.place));
        (objects.collect(), warnings.iter().map(|warning| warning.place.to_string()).collect())
    }

    #[test]
    fn finds_each_object_with_its_line() {
        let rows: [(&str, &[&str], &[&str]); 9] = [
            ("kind: A\nmetadata: {name: x, namespace: n}\n", &["f:1 A n/x"], &[]),
            (
                "---\n# c\n---\nkind: A\n---\nkind: B\nmetadata: {name: y}\n",
                &["f:4 a A without a name", "f:6 B y"],
                &[],
            ),
            (
                "kind: A\n---\nb: [\n---\nkind: C\n",
                &["f:1 a A without a name", "f:5 a C without a name"],
                &["f:3"],
            ),
            ("global: {x: 1}\n", &["f:1 values"], &[]),
            (
                "{\"kind\": \"List\", \"items\": [\n{\"kind\": \"A\"},\n{\"kind\": \"B\"}]}",
                &["f:2 a A without a name", "f:3 a B without a name"],
                &[],
            ),
            ("kind: JobList\nitems:\n- metadata: {name: x}\n", &["f:3 Job x"], &[]),
            (
                "kind: A\nmetadata:\n  name: {{ .Release.Name }}-x\n  namespace: n\n",
                &["f:1 a A without a name"],
                &[],
            ),
            ("kind: A\nmetadata:\n  name: x\n  namespace: {{ .Release.Namespace }} # y\n", &["f:1 A x"], &[]),
            ("- a\n---\ntext\n", &[], &[]),
        ];
        for (text, objects, places) in rows {
            let (found, warnings) = read(text);
            assert_eq!(
                (found.as_slice(), warnings.as_slice()),
                (
                    &objects.iter().map(ToString::to_string).collect::<Vec<_>>()[..],
                    &places.iter().map(ToString::to_string).collect::<Vec<_>>()[..]
                ),
                "{text}"
            );
        }
    }
}
