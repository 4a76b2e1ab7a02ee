//! The command that removes a finding, or the words where there is none.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::json;

use super::finding::{Change, Finding, Part, Removal, Target};

/// Name and namespace.
type Release = (String, String);

/// How the chart is upgraded whose objects, or values, were found.
pub(super) struct Helm {
    /// The value that has the chart make the rotation.
    switch: Option<String>,
    release: Option<Release>,
    files: Vec<String>,
}

impl Helm {
    pub(super) fn of(findings: &[Finding]) -> Self {
        // Values do not say whose they are; usually there is one release.
        let release = findings.iter().find_map(|finding| finding.target.chart.as_ref()?.release.clone());
        let is_values = |finding: &&Finding| matches!(finding.removal, Removal::Value { .. });
        let mut files: Vec<_> = findings
            .iter()
            .filter(is_values)
            .filter_map(|finding| Some(finding.place.as_ref()?.file.clone()))
            .collect();
        files.sort_unstable();
        files.dedup();
        let switch = findings.iter().find_map(|finding| match &finding.removal {
            Removal::Value { key, change: Change::Set("false") } => Some(key.clone()),
            _ => None,
        });
        Self { switch, release, files }
    }

    /// Whether there is a rotation, perhaps one that is not here, of a chart.
    pub(super) fn makes_rotation(&self) -> bool {
        self.switch.is_some()
    }

    fn upgrade(&self, release: Option<&Release>) -> String {
        let (release, namespace) = release
            .map_or(("RELEASE", "NAMESPACE"), |(release, namespace)| (release.as_str(), namespace.as_str()));
        let mut command = format!("helm upgrade {release} CHART --namespace {namespace}");
        for file in &self.files {
            let file = if file == "-" { "values.yaml" } else { file };
            let _ = write!(command, " --values {}", quoted(file));
        }
        if self.files.is_empty() {
            command.push_str(" --values values.yaml");
        }
        command
    }
}

/// The commands for the findings of one step: first those of charts, which make and remove their objects themselves.
pub(super) fn removals(findings: &[&Finding], helm: &Helm) -> Vec<String> {
    let mut commands = Vec::new();
    let mut of_charts: BTreeMap<Option<&Release>, Vec<String>> = BTreeMap::new();
    let mut direct = Vec::new();
    for finding in findings {
        match (&finding.removal, &finding.target.chart) {
            (Removal::Value { key, change }, _) => commands.push(edit(finding, key, change)),
            (_, Some(chart)) if is_of_chart(finding) => {
                of_charts.entry(chart.release.as_ref()).or_default().push(finding.what());
            }
            _ => direct.push(by_kubectl(finding)),
        }
    }
    commands.dedup();
    // From the end, so that what is taken out of a list does not move what is still to be taken out of it.
    direct.reverse();
    let is_made_by_switch = |finding: &&Finding| matches!(finding.part, Part::Rotation | Part::AccessRight);
    let switch = helm.switch.as_ref().filter(|_| findings.iter().all(is_made_by_switch));
    let mut upgraded = Vec::new();
    if !commands.is_empty() {
        upgraded.push(helm.release.as_ref());
    }
    for (release, mut objects) in of_charts {
        objects.dedup();
        let how = match (switch, helm.files.is_empty()) {
            (Some(switch), _) => format!("gone with the upgrade for {switch}"),
            (None, false) => "by the values of the chart, not by kubectl".to_owned(),
            (None, true) => {
                "by the values of the chart (`helm get values RELEASE`), not by kubectl".to_owned()
            }
        };
        commands.push(format!("# {how}: {}", objects.join(", ")));
        if switch.is_none() && !upgraded.contains(&release) {
            upgraded.push(release);
        }
    }
    commands.extend(upgraded.into_iter().map(|release| helm.upgrade(release)));
    commands.extend(direct.into_iter().flatten());
    commands
}

/// A template may have been applied by hand, too; a secret that a chart's values name is not the chart's.
fn is_of_chart(finding: &Finding) -> bool {
    let is_secret = matches!(finding.part, Part::Key | Part::PullSecret);
    finding.target.chart.as_ref().is_some_and(|chart| !(chart.is_template && is_secret))
}

fn edit(finding: &Finding, key: &str, change: &Change) -> String {
    let place = finding.place.as_ref().map(ToString::to_string).unwrap_or_default();
    match change {
        Change::Set(value) => format!("# edit {place}: set {key} to {value}"),
        Change::Remove => format!("# edit {place}: remove {key}"),
        Change::RemoveItem(item) => format!("# edit {place}: remove {item} from {key}"),
    }
}

/// The command that keeps a rotation from running, if there is one.
pub(super) fn suspend(finding: &Finding) -> Option<String> {
    let object = address(&finding.target);
    match finding.target.kind.as_str() {
        "CronJob" | "CronWorkflow" => {
            Some(format!("kubectl patch {object} --type=merge -p '{{\"spec\":{{\"suspend\":true}}}}'"))
        }
        "Deployment" | "StatefulSet" | "ReplicaSet" => Some(format!("kubectl scale {object} --replicas=0")),
        _ => None,
    }
}

fn by_kubectl(finding: &Finding) -> Vec<String> {
    let Finding { target, .. } = finding;
    let object = address(target);
    let place = target.place.as_ref().map(ToString::to_string).unwrap_or_default();
    match &finding.removal {
        Removal::Value { .. } => Vec::new(),
        Removal::WithOwner(owner) => vec![format!("# {} goes with {owner}", finding.what())],
        Removal::Delete if target.name.is_none() => {
            vec![
                format!("# its name is not in {place}: {}", finding.why),
                format!("kubectl delete {object} --ignore-not-found"),
            ]
        }
        Removal::Delete => vec![format!("kubectl delete {object} --ignore-not-found")],
        Removal::Item { .. } if target.kind == "Pod" => {
            vec![format!("# {}: a pod cannot change. Correct its manifest and make it anew", finding.what())]
        }
        Removal::Item { pointer, value } => {
            let patch = json!([
                {"op": "test", "path": format!("{pointer}/name"), "value": value},
                {"op": "remove", "path": pointer},
            ]);
            vec![format!("kubectl patch {object} --type=json -p {}", quoted(&patch.to_string()))]
        }
        Removal::Auths { key, hosts } => {
            let auths = if *key == ".dockercfg" { "" } else { ".auths" };
            let paths: Vec<_> = hosts.iter().map(|host| format!("{auths}[{}]", json!(host))).collect();
            let edit = format!(
                ".data[{}] |= (@base64d | fromjson | del({}) | tojson | @base64)",
                json!(key),
                paths.join(", ")
            );
            vec![format!("kubectl get {object} -o json | jq {} | kubectl replace -f -", quoted(&edit))]
        }
    }
}

/// For a shell.
fn quoted(text: &str) -> String {
    shlex::try_quote(text).map_or_else(|_| "''".to_owned(), Cow::into_owned)
}

/// `cronjob ecr-key-rotation -n sigrid`.
fn address(target: &Target) -> String {
    let is_kind = !target.kind.is_empty() && target.kind.bytes().all(|b| b.is_ascii_alphanumeric());
    let kind = if is_kind { target.kind.to_ascii_lowercase() } else { "KIND".to_owned() };
    let name = target.name.as_deref().unwrap_or("NAME");
    if target.kind.starts_with("Cluster") {
        return format!("{kind} {name}");
    }
    format!("{kind} {name} -n {}", target.namespace.as_deref().unwrap_or("NAMESPACE"))
}
