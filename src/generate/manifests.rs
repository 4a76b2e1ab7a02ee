//! Objects for the API server.

use super::File;
use super::wanted::{Places, ServiceAccount, Target, Wanted, WantedError};
use super::yaml::scalar;
use crate::node::layout::NAME;

/// What a kubelet must be allowed before it gets a token for [`ServiceAccount::audience`].
pub(super) fn rbac(wanted: &Wanted) -> Result<Vec<File>, WantedError> {
    let Some(ServiceAccount { audience, annotation }) = &wanted.identity.service_account else {
        return Err(WantedError::NoServiceAccount);
    };
    let audience = scalar(audience);
    let text = format!(
        "\
# Kubelets may ask for tokens of service accounts for this audience. Without it the kubelet gets none, and does not run
# the provider. The service account of a pod names its role in the annotation {annotation}.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: ecr-credential-provider-token-audience
rules:
  - apiGroups: [\"\"]
    resources: [{audience}]
    verbs: [request-serviceaccounts-token-audience]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: ecr-credential-provider-token-audience
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: ecr-credential-provider-token-audience
subjects:
  - apiGroup: rbac.authorization.k8s.io
    kind: Group
    name: system:nodes
"
    );
    Ok(vec![File { name: "rbac.yaml", goes_to: "kubectl apply -f".into(), text }])
}

/// Objects that put this program on all nodes from within the cluster; see `node-config/daemonset/README.md`.
pub(super) fn daemonset(wanted: &Wanted) -> Result<Vec<File>, WantedError> {
    let Wanted { image, dry_run, places, .. } = wanted;
    if *places != Places::usual(Target::Daemonset, wanted.distribution) {
        return Err(WantedError::DaemonsetPaths);
    }
    let mut install = vec!["on-host".to_owned()];
    let mut volumes = vec![("host", "/host", "hostPath: {path: /, type: Directory}".to_owned())];
    if let Some(path) = wanted.key_file().filter(|_| !dry_run) {
        install.push(format!("--copy=/credentials/credentials={path}"));
        volumes.push((
            "credentials",
            "/credentials",
            "secret: {secretName: ecr-credentials, optional: true}".into(),
        ));
    }
    install.extend(["--", "install"].map(str::to_owned));
    install.extend(dry_run.then(|| "--dry-run".to_owned()));
    install.extend(wanted.install_options.iter().cloned());
    let parts = Parts {
        image: scalar(image),
        install: each(&install, |word| format!("            - {}\n", scalar(word))),
        mounts: each(&volumes, |(name, path, _)| {
            format!("            - name: {name}\n              mountPath: {path}\n")
        }),
        volumes: each(&volumes, |(name, _, source)| format!("        - name: {name}\n          {source}\n")),
        at_the_end: if *dry_run { "" } else { AT_THE_END },
    };
    let head = if *dry_run { DRY_RUN_HEAD } else { HEAD };
    let text = format!("{head}{NAMESPACE}{}", parts.object());
    let name = if *dry_run { "daemonset-dry-run.yaml" } else { "daemonset.yaml" };
    Ok(vec![File { name, goes_to: "kubectl apply -f".into(), text }])
}

fn each<T>(items: &[T], one: impl Fn(&T) -> String) -> String {
    items.iter().map(one).collect::<Vec<_>>().concat()
}

/// What differs between one DaemonSet and the other.
struct Parts {
    image: String,
    install: String,
    mounts: String,
    volumes: String,
    at_the_end: &'static str,
}

impl Parts {
    fn object(&self) -> String {
        let Self { image, install, mounts, volumes, at_the_end } = self;
        format!(
            "---
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: {NAME}
  namespace: {NAME}
  labels:
    app.kubernetes.io/name: {NAME}
spec:
  selector:
    matchLabels:
      app.kubernetes.io/name: {NAME}
  updateStrategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 1
  # Long enough for a kubelet that does not come back to be seen, before the next one is restarted.
  minReadySeconds: 30
  template:
    metadata:
      labels:
        app.kubernetes.io/name: {NAME}
    spec:
      automountServiceAccountToken: false
      hostPID: true # by which systemctl knows that it is not in some other root
      hostNetwork: true # works before the network of pods does
      priorityClassName: system-node-critical
      tolerations:
        - operator: Exists
      nodeSelector:
        kubernetes.io/os: linux
      terminationGracePeriodSeconds: 30
      initContainers:
        - name: install
          image: {image}
          args:
{install}          securityContext:
            privileged: true
          volumeMounts:
{mounts}      containers:
        - name: stay
          image: {image}
          args: [on-host, --stay]
{at_the_end}          # That of the kubelet, which asks itself: a kubelet that is not well holds up the rollout.
          readinessProbe:
            httpGet:
              host: 127.0.0.1
              port: 10248
              path: /healthz
            periodSeconds: 10
          securityContext:
            privileged: true
          resources:
            requests:
              cpu: 1m
              memory: 8Mi
            limits:
              memory: 64Mi
          volumeMounts:
            - name: host
              mountPath: /host
      volumes:
{volumes}"
        )
    }
}

const HEAD: &str = "\
# Puts ecr-credential-provider on every node, one node after the other if daemonset-dry-run.yaml was applied before. See
# README.md, also for what happens when this is deleted.
";

const DRY_RUN_HEAD: &str = "\
# Changes nothing: the logs of the container `install` show what would be done on each node.
#   kubectl -n ecr-credential-provider logs ds/ecr-credential-provider -c install
# Apply this one first. What is applied over it is an update, which goes from node to node.
";

const NAMESPACE: &str = "\
apiVersion: v1
kind: Namespace
metadata:
  name: ecr-credential-provider
  labels:
    pod-security.kubernetes.io/enforce: privileged
";

/// Kubernetes does not say why a pod ends: an update, the node's shutdown or the end of the DaemonSet.
const AT_THE_END: &str = "          \
# A pod is not told why it ends. So the node undoes the installation only if nobody has come back after ten to
          # twenty minutes, as somebody does after an update; a reboot forgets about it.
          lifecycle:
            preStop:
              exec:
                command:
                  - /usr/libexec/ecr-credential-provider/ecr-credential-provider
                  - on-host
                  - --later=600
                  - --
                  - uninstall
";
