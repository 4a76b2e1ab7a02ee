//! The pods that an object makes, of whatever kind it is.

use super::read::Object;
use super::tree::Node;

/// What stands in the template of a pod, or in a workflow of Argo.
pub(super) struct Pod<'a> {
    spec: &'a Node,
}

/// Every pod of the object: maps with `containers`, and for Argo those with `templates` that have a container.
pub(super) fn of(object: &Object) -> Vec<Pod<'_>> {
    let mut pods = Vec::new();
    if object.is_values() {
        return pods;
    }
    object.tree.walk(&mut |_, node| {
        let is_workflow = || node.items_of("templates").iter().any(|template| step_of(template).is_some());
        if !node.items_of("containers").is_empty() || is_workflow() {
            pods.push(Pod { spec: node });
        }
    });
    pods
}

fn step_of(template: &Node) -> Option<&Node> {
    template.get("container").or_else(|| template.get("script")).filter(|step| step.is_map())
}

impl<'a> Pod<'a> {
    pub(super) fn containers(&self) -> impl Iterator<Item = &'a Node> {
        let of = |key| self.spec.items_of(key).iter();
        of("initContainers").chain(of("containers")).chain(of("templates").filter_map(step_of))
    }

    /// The service account it runs as, if it is not `default`.
    pub(super) fn account(&self) -> Option<&'a str> {
        let account =
            self.spec.text_at(&["serviceAccountName"]).or_else(|| self.spec.text_at(&["serviceAccount"]));
        account.filter(|account| *account != "default")
    }

    /// All words of the command lines.
    pub(super) fn command(&self) -> String {
        let words = |container: &'a Node| {
            let lists = ["command", "args"].into_iter().flat_map(|key| container.items_of(key));
            let words = lists.filter_map(Node::text).chain(container.text_at(&["source"]));
            words.collect::<Vec<_>>().join(" ")
        };
        self.containers().map(words).collect::<Vec<_>>().join("\n")
    }

    pub(super) fn images(&self) -> impl Iterator<Item = &'a str> {
        self.containers().filter_map(|container| container.text_at(&["image"]))
    }

    /// Variables whose values stand in the manifest.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let variables = self.containers().flat_map(|container| container.items_of("env"));
        let pair = |variable: &Node| {
            Some((variable.text_at(&["name"])?.to_owned(), variable.text_at(&["value"])?.to_owned()))
        };
        variables.filter_map(pair).collect()
    }

    /// The ConfigMaps, or Secrets, whose content it gets. A name may be missing, before a template is rendered.
    pub(super) fn uses(&self, kind: &str) -> Vec<Option<&'a str>> {
        let (volume, name, from, key) = match kind {
            "ConfigMap" => ("configMap", "name", "configMapRef", "configMapKeyRef"),
            _ => ("secret", "secretName", "secretRef", "secretKeyRef"),
        };
        let mut used = Vec::new();
        for mounted in self.spec.items_of("volumes") {
            used.extend(mounted.get(volume).map(|source| source.text_at(&[name])));
            let projected = mounted.at(&["projected", "sources"]).map(Node::items).unwrap_or_default();
            used.extend(
                projected
                    .iter()
                    .filter_map(|source| source.get(volume))
                    .map(|source| source.text_at(&["name"])),
            );
        }
        for container in self.containers() {
            let sources = container.items_of("envFrom").iter().filter_map(|source| source.get(from));
            let variables =
                container.items_of("env").iter().filter_map(|variable| variable.at(&["valueFrom", key]));
            used.extend(sources.chain(variables).map(|source| source.text_at(&["name"])));
        }
        used.sort_unstable();
        used.dedup();
        used
    }
}
