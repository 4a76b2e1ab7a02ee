//! The order of removal, with the commands. After each step pulls go on, and the step can be taken back.

use serde::Serialize;

use super::commands::{self, Helm};
use super::find::Image;
use super::finding::{Finding, Part};
use super::report;
use crate::node::layout::CREDENTIALS;

/// One step.
#[derive(Debug, Serialize)]
pub(crate) struct Step {
    pub(crate) title: &'static str,
    /// Why now, and what is safe about it.
    pub(crate) why: String,
    /// For a shell. Words in capitals are not known here.
    pub(crate) commands: Vec<String>,
}

impl Step {
    fn new(title: &'static str, why: impl Into<String>, commands: Vec<String>) -> Self {
        // A line that a manifest breaks would be a command of its own.
        let commands = commands.into_iter().map(|command| report::without_breaks(&command)).collect();
        Self { title, why: why.into(), commands }
    }
}

/// The steps for what was found; none if nothing was.
pub(super) fn steps(findings: &[Finding], images: &[Image]) -> Vec<Step> {
    if findings.is_empty() {
        return Vec::new();
    }
    let of = |part: Part| findings.iter().filter(|finding| finding.part == part).collect::<Vec<_>>();
    let helm = Helm::of(findings);
    let mut steps = vec![install(images), prove(findings, images), suspend(&of(Part::Rotation), &helm)];
    let removals = REMOVALS
        .iter()
        .map(|(part, title, why)| Step::new(title, *why, commands::removals(&of(*part), &helm)));
    steps.extend(removals);
    if findings.iter().any(|finding| matches!(finding.part, Part::Key | Part::Rotation)) {
        steps.push(replace_key());
    }
    let again = vec![LOOK_AGAIN.to_owned()];
    steps.push(Step::new("See that nothing is left", "Exit status 1 if something is.", again));
    steps.retain(|step| !step.commands.is_empty());
    steps
}

/// In this order.
const REMOVALS: [(Part, &str, &str); 5] = [
    (Part::Reference, "Take the pull secrets out of values, accounts and pods", RELEASE),
    (Part::Rotation, "Remove the rotation", "Nothing waits for its secrets any more."),
    (Part::PullSecret, "Remove the pull secrets", PULL_SECRETS),
    (Part::AccessRight, "Remove the access rights of the rotation", "Nothing runs as this account any more."),
    (Part::Key, "Remove the AWS keys from the cluster", KEYS),
];

const SUSPEND: &str = "The last password lives for up to 12 hours. From then on pulls rest on the plugin, while all that \
    is needed to go back is still there: the same command with `false`, or the old number of replicas.";
const RELEASE: &str = "Pods start anew where their template changes. A pull secret that is named but stale costs one failed \
    attempt in each pull, one that is gone a warning. From Kubernetes 1.35 on (KubeletEnsureSecretPulledImages), an image \
    that a node pulled with a pull secret is checked once with the registry before a pod without it may use it: the \
    registry must be in reach, and `imagePullPolicy: Never` fails until then.";
const PULL_SECRETS: &str =
    "Nothing names them now; the last step's command, without `--check`, shows whether that is so.";
const KEYS: &str = "The nodes have a key of their own by now, in a file that only root can read.";
const LOOK_AGAIN: &str = "kubectl get cronjobs,jobs,deployments,statefulsets,daemonsets,replicasets,pods,configmaps,secrets,\
    serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings -A -o json | ecr-credential-provider migrate --check -";

/// An image to try with, or a word for one.
fn example(images: &[Image]) -> String {
    let named = images.iter().find_map(|image| image.example.clone());
    named.unwrap_or_else(|| match images.first() {
        Some(image) => format!("{}/REPOSITORY:TAG", image.registry),
        None => "IMAGE".to_owned(),
    })
}

fn install(images: &[Image]) -> Step {
    let mut commands = vec![
        "# on every node, those of the control plane too, as root".to_owned(),
        "ecr-credential-provider install --dry-run".to_owned(),
        "ecr-credential-provider install".to_owned(),
    ];
    let of_registry = |image: &Image| {
        let name = image.example.clone().unwrap_or_else(|| format!("{}/REPOSITORY", image.registry));
        format!("ecr-credential-provider validate --image {name}")
    };
    commands.extend(images.iter().map(of_registry));
    let why = format!(
        "Nothing changes for the pods: the kubelet tries their pull secrets first, and the plugin after them. It needs the \
         AWS key in `{CREDENTIALS}` (mode 0600), or another identity, and a restart of the kubelet."
    );
    Step::new("Have the plugin on every node", why, commands)
}

/// A service account of its own: that of a pod may bring a pull secret along.
fn prove(findings: &[Finding], images: &[Image]) -> Step {
    let namespace = findings.iter().find_map(|finding| finding.target.namespace.clone());
    let namespace = namespace.unwrap_or_else(|| "NAMESPACE".to_owned());
    let image = example(images);
    let mut commands = vec![
        format!("ecr-credential-provider doctor --pull {image}   # on every node, as root"),
        format!("kubectl create serviceaccount ecr-proof -n {namespace}"),
        format!("kubectl apply -n {namespace} -f - <<'END'"),
    ];
    commands.extend(PROOF.replace("IMAGE", &image).lines().map(str::to_owned));
    commands.extend([
        "END".to_owned(),
        format!(
            "kubectl get pods -n {namespace} -l app=ecr-proof -o 'custom-columns=NODE:.spec.nodeName,\
             PULLED:.status.containerStatuses[0].imageID,WAITS:.status.containerStatuses[0].state.waiting.reason'"
        ),
        format!("kubectl delete daemonset,serviceaccount ecr-proof -n {namespace}"),
    ]);
    let why = "A pod on each node that pulls without a pull secret, whatever the node has already. PULLED must be an image \
               on every line; go on only then. (Images without `sleep` are pulled all the same.)";
    Step::new("Prove it on every node", why, commands)
}

/// For kubectl, text that starts with `{` is JSON.
const PROOF: &str = r#"apiVersion: apps/v1
kind: DaemonSet
metadata: {name: ecr-proof}
spec:
  selector: {matchLabels: {app: ecr-proof}}
  template:
    metadata: {labels: {app: ecr-proof}}
    spec:
      serviceAccountName: ecr-proof
      tolerations: [{operator: Exists}]
      containers: [{name: proof, image: "IMAGE", imagePullPolicy: Always, command: [sleep, 1h]}]"#;

fn suspend(rotation: &[&Finding], helm: &Helm) -> Step {
    let mut commands: Vec<_> = rotation.iter().filter_map(|finding| commands::suspend(finding)).collect();
    if commands.is_empty() && helm.makes_rotation() {
        let suspend =
            "kubectl patch cronjob NAME -n NAMESPACE --type=merge -p '{\"spec\":{\"suspend\":true}}'";
        commands.push(suspend.to_owned());
    }
    Step::new("Stop the rotation, but keep it", SUSPEND, commands)
}

fn replace_key() -> Step {
    let why = "Whoever could read Secrets in the cluster, or a backup of etcd, has had it. Get another one from the vendor \
               or make one, which may do no more than pull; then the old one can be switched off.";
    let commands = vec![
        format!("install -m 0600 credentials {CREDENTIALS}   # on every node, with the new key"),
        "ecr-credential-provider cache clear   # on every node: ask with the new key".to_owned(),
        "ecr-credential-provider doctor --pull IMAGE".to_owned(),
        "# the vendor, or who may: aws iam update-access-key --access-key-id OLD_KEY_ID --status Inactive"
            .to_owned(),
    ];
    Step::new("Replace the key", why, commands)
}
