//! What gets a password of ECR and writes it into secrets.

use super::super::finding::{Change, Finding, Note, Part, Removal};
use super::super::pods::{self, Pod};
use super::super::read::Object;
use super::super::script::{self, Script, says_ecr};
use super::super::tree::Node;
use super::Found;

/// A workload, or an external secret, that makes pull secrets.
pub(super) struct Rotation<'a> {
    pub(super) object: &'a Object,
    /// The names of the secrets that it makes.
    pub(super) secrets: Vec<String>,
    /// The ConfigMaps that hold its scripts.
    pub(super) scripts: Vec<&'a Object>,
    pub(super) accounts: Vec<&'a str>,
}

/// Programs that do nothing else, by the last part of their images' names, and the secret that they make unless told
/// otherwise.
const REFRESHERS: [(&str, Option<&str>); 4] = [
    ("registry-creds", Some("awsecr-cred")),
    ("k8s-ecr-login-renew", None),
    ("ecr-updater", None),
    ("aws-ecr-credential", None),
];

/// Images with which scripts are run that ask AWS.
const TOOLS: [&str; 4] = ["aws-cli", "awscli", "aws-kubectl", "aws-k8s"];

/// Whether it is an object of these, which goes as a whole.
pub(super) fn is_one(object: &Object, rotations: &[Rotation<'_>]) -> bool {
    rotations.iter().any(|rotation| std::ptr::eq(rotation.object, object))
}

pub(super) fn find<'a>(objects: &[&'a Object], found: &mut Found) -> Vec<Rotation<'a>> {
    let configs: Vec<_> = objects.iter().copied().filter(|object| object.is("ConfigMap")).collect();
    let mut rotations = Vec::new();
    for object in objects {
        let pods = pods::of(object);
        if let Some((rotation, why)) = generated(object).or_else(|| of_pods(object, &pods, &configs, found)) {
            let removal = match &object.owner {
                Some((kind, name)) => Removal::WithOwner(format!("{kind} {name}")),
                None => Removal::Delete,
            };
            found.findings.push(Finding::new(Part::Rotation, object, why, removal));
            rotations.push(rotation);
        } else if object.is_values() {
            switched_on(object, found);
        }
    }
    find_scripts(&configs, &rotations, found);
    rotations
}

/// External Secrets Operator.
fn generated(object: &Object) -> Option<(Rotation<'_>, String)> {
    const KIND: &str = "ECRAuthorizationToken";
    let mut asks = object.is(KIND);
    object.tree.walk(&mut |path, node| asks |= path.key() == "kind" && node.text() == Some(KIND));
    let is_external = matches!(
        object.kind.as_str(),
        KIND | "ClusterGenerator" | "ExternalSecret" | "ClusterExternalSecret"
    );
    if !asks || !is_external {
        return None;
    }
    let target = object.tree.text_at(&["spec", "target", "name"]).or(object.name.as_deref());
    let makes = object.kind.ends_with("ExternalSecret");
    let secrets = target.filter(|_| makes).map(str::to_owned).into_iter().collect();
    let why = if makes { "makes a pull secret by the generator" } else { "generates passwords of ECR:" };
    Some((Rotation { object, secrets, scripts: Vec::new(), accounts: Vec::new() }, format!("{why} {KIND}")))
}

fn of_pods<'a>(
    object: &'a Object,
    pods: &[Pod<'a>],
    configs: &[&'a Object],
    found: &mut Found,
) -> Option<(Rotation<'a>, String)> {
    let mut rotation = Rotation { object, secrets: Vec::new(), scripts: Vec::new(), accounts: Vec::new() };
    let mut first = None;
    for pod in pods {
        let why = why_of(pod, configs, &mut rotation, found);
        if why.is_some() {
            rotation.accounts.extend(pod.account());
        }
        first = first.or(why);
    }
    rotation.secrets.sort_unstable();
    rotation.secrets.dedup();
    first.map(|why| (rotation, why))
}

/// Why this pod is one of a rotation, if it is. What it makes and of what is added to `rotation`.
fn why_of<'a>(
    pod: &Pod<'a>,
    all_configs: &[&'a Object],
    rotation: &mut Rotation<'a>,
    found: &mut Found,
) -> Option<String> {
    let object = rotation.object;
    let command = pod.command();
    let configs = configs_of(pod, &command, object, all_configs);
    let given = configs.iter().flat_map(|config| data_of(config));
    let given = given.filter_map(|(name, node)| Some((name.to_owned(), node.text()?.to_owned())));
    let mut environment = pod.environment();
    environment.extend(given);
    let mut why = None;
    let Script { asks, makes_secret, secrets } = script::read(&command, &environment);
    if let Some(word) = asks.filter(|_| makes_secret) {
        why = Some(format!("asks for a password of ECR (`{word}`) in its command line"));
        rotation.secrets.extend(secrets);
    } else if let Some(word) = asks {
        let text = format!("{object} logs in to ECR (`{word}`) but makes no secret: it is not part of this");
        found.notes.push(Note::new(&object.place, text));
    }
    for config in &configs {
        for (name, Script { asks, makes_secret, secrets }) in scripts_in(config, &environment) {
            if let Some(word) = asks.filter(|_| makes_secret) {
                why.get_or_insert(format!("asks for a password of ECR (`{word}`) in `{name}` of {config}"));
                rotation.secrets.extend(secrets);
                rotation.scripts.push(config);
            }
        }
    }
    why.or_else(|| by_image(pod, &environment, &mut rotation.secrets))
        .or_else(|| by_name(object, pod, &command, &configs))
}

/// The ConfigMaps that a pod gets. One without a name counts if the command line names what is in it.
fn configs_of<'a>(pod: &Pod<'_>, command: &str, object: &Object, all: &[&'a Object]) -> Vec<&'a Object> {
    let used = pod.uses("ConfigMap");
    let is_meant = |config: &&&Object| match &config.name {
        Some(name) => used.contains(&Some(name)) && config.shares_namespace(object.namespace.as_deref()),
        None => data_of(config).any(|(key, _)| command.contains(key)),
    };
    all.iter().filter(is_meant).copied().collect()
}

fn data_of(config: &Object) -> impl Iterator<Item = (&str, &Node)> {
    config.tree.get("data").into_iter().flat_map(Node::entries)
}

fn scripts_in<'a>(config: &'a Object, environment: &[(String, String)]) -> Vec<(&'a str, Script)> {
    data_of(config).filter_map(|(name, node)| Some((name, script::read(node.text()?, environment)))).collect()
}

/// The last part of an image's name, without tag and digest.
fn program_of(image: &str) -> &str {
    let name = image.rsplit('/').next().unwrap_or_default();
    name.split(['@', ':']).next().unwrap_or_default()
}

fn by_image(pod: &Pod<'_>, environment: &[(String, String)], secrets: &mut Vec<String>) -> Option<String> {
    for image in pod.images() {
        let program = program_of(image);
        let known = REFRESHERS.iter().find(|(name, _)| *name == program);
        let sounds_like_it = says_ecr(program)
            && ["renew", "refresh", "rotat", "updat", "token", "login"]
                .iter()
                .any(|word| program.contains(word));
        if known.is_none() && !sounds_like_it {
            continue;
        }
        let named = environment.iter().filter(|(name, _)| script::is_name_of_secret(name));
        let before = secrets.len();
        secrets.extend(named.map(|(_, value)| value.clone()));
        if let Some((_, Some(usual))) = known.filter(|_| secrets.len() == before) {
            secrets.push((*usual).to_owned());
        }
        return Some(format!("its image `{program}` renews pull secrets"));
    }
    None
}

/// Its script is not here, but everything else looks like one.
fn by_name(object: &Object, pod: &Pod<'_>, command: &str, configs: &[&Object]) -> Option<String> {
    let image = pod.images().find(|image| TOOLS.contains(&program_of(image)))?;
    let mounted = pod.uses("ConfigMap");
    let missing = mounted
        .iter()
        .flatten()
        .find(|name| !configs.iter().any(|config| config.name.as_deref() == Some(name)));
    let says = says_ecr(object.name.as_deref().unwrap_or_default())
        || says_ecr(command)
        || missing.is_some_and(|name| says_ecr(name));
    missing.filter(|_| says).map(|name| {
        format!(
            "runs a script of ConfigMap {name}, which is not here, with `{}`; by its name it is about ECR",
            program_of(image)
        )
    })
}

/// Scripts are parts of their own, also where nothing here runs them.
fn find_scripts(configs: &[&Object], rotations: &[Rotation<'_>], found: &mut Found) {
    for object in configs {
        let scripts = scripts_in(object, &[]);
        let asking = scripts
            .iter()
            .find_map(|(name, script)| Some((name, script.asks.filter(|_| script.makes_secret)?)));
        let Some((name, word)) = asking else { continue };
        let runs = rotations
            .iter()
            .find(|rotation| rotation.scripts.iter().any(|script| std::ptr::eq(*script, *object)));
        let by = match runs {
            Some(rotation) => format!("{} runs it", rotation.object),
            None => "nothing here runs it".to_owned(),
        };
        let mut finding = Finding::new(
            Part::Rotation,
            object,
            format!("its `{name}` asks for a password of ECR (`{word}`); {by}"),
            Removal::Delete,
        );
        if let (None, Some(rotation)) = (&object.name, runs) {
            // What mounts it says its name: the one that no other has.
            let pods = pods::of(rotation.object);
            let mut named = pods.iter().flat_map(|pod| pod.uses("ConfigMap")).flatten();
            let is_taken = |name: &&str| configs.iter().any(|config| config.name.as_deref() == Some(name));
            finding.target.name = named.find(|name| !is_taken(name)).map(str::to_owned);
            finding.target.namespace = finding.target.namespace.or_else(|| rotation.object.namespace.clone());
        }
        found.findings.push(finding);
    }
}

/// `ecrRepository.enabled` of the vendor's chart.
fn switched_on(values: &Object, found: &mut Found) {
    values.tree.walk(&mut |path, node| {
        if path.key() == "ecrRepository" && node.text_at(&["enabled"]) == Some("true") {
            let key = format!("{path}.enabled");
            let why =
                "has the chart make the rotation: CronJob, ConfigMap, ServiceAccount, Role, RoleBinding";
            let removal = Removal::Value { key, change: Change::Set("false") };
            let place = values.place_of(node.get("enabled").unwrap_or(node));
            found.findings.push(Finding::new(Part::Rotation, values, why, removal).at(place));
        }
    });
}
