//! Whether `validate` and a kubelet say the same of a configuration.
//!
//! The kubelet ends at the first step that fails, `validate` collects. So the first step that has a problem must be
//! the same, and of that step all that the kubelet names.

use std::collections::BTreeSet;
use std::path::Path;

use ecr_credential_provider::node::check::{self, Checked, Subject};
use ecr_credential_provider::node::problem::{Fault, Problem, Severity, Stage};
use ecr_credential_provider::node::version::Version;

/// The step that fails, and of which fields, as far as the kubelet names them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct End {
    stage: Stage,
    names: BTreeSet<String>,
}

/// How a kubelet ends, by its words; nothing if there are none.
pub(crate) fn of_words(words: &str) -> Option<End> {
    let (stage, names) = match words {
        "" => return None,
        _ if words.starts_with("plugin binary directory ") => (Stage::BinDir, BTreeSet::new()),
        _ if words.starts_with("error decoding config ") => {
            match words.split_once(": strict decoding error: ") {
                Some((_, words)) => (Stage::Strict, strict_names(words)),
                None => (Stage::Decode, BTreeSet::new()),
            }
        }
        _ if words.starts_with("unable to ") || words.starts_with("no configuration files found") => {
            (Stage::Read, BTreeSet::new())
        }
        _ if words.starts_with("duplicate provider name ") => (Stage::Merge, BTreeSet::new()),
        _ if words.starts_with("failed to validate credential provider config: ") => {
            (Stage::Rules, broken_fields(words))
        }
        _ if words.contains(" binary executable ") => (Stage::Binary, BTreeSet::new()),
        _ => panic!("the kubelet has new words: {words}"),
    };
    Some(End { stage, names })
}

/// Of `unknown field "a.b", duplicate field "c"` and `key "c" already set in map`.
fn strict_names(words: &str) -> BTreeSet<String> {
    let quoted = |before: &str| {
        let found = words.split(before).skip(1).filter_map(|rest| rest.split('"').next());
        found.map(str::to_owned).collect::<Vec<_>>()
    };
    let last = |path: String| path.rsplit('.').next().unwrap_or_default().to_owned();
    let unknown = quoted("unknown field \"").into_iter().map(|path| format!("unknown {path}"));
    let in_map = words.split(" already set in map").filter_map(|rest| Some(rest.rsplit_once(": key ")?.1));
    let in_map = in_map.map(|key| key.trim_matches('"').to_owned());
    let repeated = quoted("duplicate field \"").into_iter().map(last).chain(in_map);
    let all = unknown.chain(repeated.map(|key| format!("repeated {key}")));
    all.map(without_strange_key).collect()
}

/// `validate` quotes no keys that may be secrets in the wrong place.
fn without_strange_key(name: String) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    match name.split_once(' ') {
        Some((kind, path)) if !path.rsplit('.').next().unwrap_or_default().chars().all(is_plain) => {
            format!("{kind} …")
        }
        _ => name,
    }
}

const KINDS: [&str; 5] =
    ["Required value", "Invalid value", "Unsupported value", "Duplicate value", "Forbidden"];

/// Of `providers.name: Invalid value: …, providers.matchImages: Required value`.
fn broken_fields(words: &str) -> BTreeSet<String> {
    let parts = words.match_indices("providers").map(|(at, _)| &words[at..]);
    let fields = parts.filter_map(|part| {
        let (field, rest) = part.split_once(": ")?;
        let kind = KINDS.iter().find(|kind| rest.starts_with(**kind))?;
        Some(format!("{field}: {kind}"))
    });
    fields.map(without_list).collect()
}

/// Both lists of annotations are looked at by the same rules.
fn without_list(field: String) -> String {
    match field.rsplit_once("ServiceAccountAnnotationKeys: ") {
        Some((_, kind)) if kind != "Forbidden" => format!("keys: {kind}"),
        _ => field,
    }
}

/// How a kubelet ends, by what was found.
pub(crate) fn of_checked(checked: &Checked) -> Option<End> {
    let order = |problem: &Problem| {
        let file = checked.config.files.iter().position(|file| *file == problem.place.file);
        let stage = problem.fault.stage();
        match stage {
            Stage::Read | Stage::Decode | Stage::Strict => (Stage::Read, file.unwrap_or_default(), stage),
            _ => (stage, 0, stage),
        }
    };
    let refused = || checked.problems.iter().filter(|problem| problem.severity == Severity::Refused);
    let first = refused().map(order).min()?;
    let of_first = refused().filter(|problem| order(problem) == first);
    Some(End { stage: first.2, names: of_first.filter_map(|problem| name_of(&problem.fault)).collect() })
}

fn name_of(fault: &Fault) -> Option<String> {
    let attributes = "providers.tokenAttributes";
    let name = match fault {
        Fault::UnknownField { field, .. } => without_strange_key(format!("unknown {field}")),
        Fault::Repeated { key, .. } if key.is_empty() => "repeated …".into(),
        Fault::Repeated { key, .. } => format!("repeated {}", key.trim_matches([' ', '`'])),
        Fault::NoProvider => "providers: Required value".into(),
        Fault::Name(_) => "providers.name: Invalid value".into(),
        Fault::Missing(path) => {
            let field = path.split_once("].").map_or(path.as_str(), |(_, field)| field);
            format!("providers.{field}: Required value")
        }
        Fault::ProtocolVersion(_) => "providers.apiVersion: Unsupported value".into(),
        Fault::NegativeDuration(_) => "providers.defaultCacheDuration: Invalid value".into(),
        Fault::Pattern { .. } => "providers.matchImages: Invalid value".into(),
        Fault::TokensVersion | Fault::TokensBehindGate => format!("{attributes}: Forbidden"),
        Fault::CacheType(_) => format!("{attributes}.cacheType: Unsupported value"),
        Fault::AnnotationsWithoutAccount => {
            format!("{attributes}.requiredServiceAccountAnnotationKeys: Forbidden")
        }
        Fault::AnnotationTwice(_) => "keys: Duplicate value".into(),
        Fault::AnnotationKey(..) => "keys: Invalid value".into(),
        Fault::AnnotationInBoth(_) => format!("{attributes}: Invalid value"),
        _ => return None,
    };
    Some(name).filter(|_| matches!(fault.stage(), Stage::Strict | Stage::Rules))
}

/// A configuration and its plugins, in folders that the kubelet was told.
pub(crate) fn check(config: &Path, plugins: &Path) -> Checked {
    check::check(&Subject {
        root: "/".as_ref(),
        config,
        bin_dir: Some(plugins),
        version: Version::NEWEST,
        planned: &[],
    })
}
