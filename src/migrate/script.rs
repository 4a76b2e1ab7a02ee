//! What a script or a command line does, by its words.

/// What was found in one text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Script {
    /// How it asks for a password of ECR.
    pub(super) asks: Option<&'static str>,
    /// Whether it has to do with pull secrets too. Who only logs in, to push say, is not meant.
    pub(super) makes_secret: bool,
    /// The names of the secrets that it makes, as far as they stand in it or in the environment.
    pub(super) secrets: Vec<String>,
}

/// How a text asks for a password, and whether its line has to say that it is of ECR: CodeArtifact has the same words.
const ASKS: [(&str, bool); 5] = [
    ("get-login-password", false),
    ("ecr get-login", false),
    ("get-authorization-token", true),
    ("GetAuthorizationToken", true),
    ("get_authorization_token", false),
];

const MAKES_SECRET: [&str; 7] = [
    "docker-registry",
    "dockerconfigjson",
    "dockercfg",
    "create secret",
    "apply secret",
    "/secrets",
    "namespaced_secret",
];

/// Reads a text. `environment` has the variables that its container is given.
pub(super) fn read(text: &str, environment: &[(String, String)]) -> Script {
    let text = text.replace("\\\n", " ");
    let lines: Vec<String> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let asks_for_ecr = |word: &str, says_so: bool| {
        lines.iter().any(|line| line.contains(word) && (!says_so || says_ecr(line)))
            // boto3 names the service where it makes the client.
            && (word != "get_authorization_token" || text.contains("'ecr'") || text.contains("\"ecr\""))
    };
    let asks = ASKS.iter().find(|(word, says_so)| asks_for_ecr(word, *says_so)).map(|(word, _)| *word);
    let makes_secret = lines.iter().any(|line| MAKES_SECRET.iter().any(|word| line.contains(word)));
    let mut secrets = Vec::new();
    if makes_secret {
        let mut variables: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        variables.extend(lines.iter().filter_map(|line| assignment(line)));
        let named = variables.iter().filter(|(name, _)| is_name_of_secret(name)).map(|(_, value)| *value);
        secrets.extend(named.filter_map(|value| literal(value, &variables)));
        secrets.extend(lines.iter().filter_map(|line| literal(created_in(line)?, &variables)));
        secrets.sort_unstable();
        secrets.dedup();
    }
    Script { asks, makes_secret, secrets }
}

/// Whether `ecr` is a word of a text, or the name of its API is; `secret` has these letters, too.
pub(super) fn says_ecr(text: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let is_it = |word: &str| {
        matches!(word.to_ascii_lowercase().as_str(), "ecr" | "awsecr" | "amazonec2containerregistry")
    };
    words.any(is_it)
}

/// `K8S_SECRET_NAME`, `SECRET_NAME`, `DOCKER_SECRET_NAME`, `IMAGE_PULL_SECRET`.
pub(super) fn is_name_of_secret(variable: &str) -> bool {
    let variable = variable.to_ascii_uppercase();
    variable.contains("SECRET_NAME") || variable.contains("SECRETNAME") || variable.ends_with("PULL_SECRET")
}

/// `NAME=value`, with `export` or without.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
    let is_variable = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_variable.then(|| (name, value.split([' ', ';']).next().unwrap_or_default()))
}

/// What `kubectl create secret docker-registry` is given as a name.
fn created_in(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("secret docker-registry ")?;
    let mut words = rest.split(' ').peekable();
    while let Some(word) = words.next() {
        match word {
            // A flag whose value is a word of its own.
            "-n" | "--namespace" | "--docker-server" | "--docker-username" | "--docker-password"
            | "--docker-email" => {
                words.next();
            }
            flag if flag.starts_with('-') => {}
            name => return Some(name),
        }
    }
    None
}

/// The value without quotes, variables replaced; none if that is not the name of a secret.
fn literal(value: &str, variables: &[(&str, &str)]) -> Option<String> {
    let value = value.trim_matches(['"', '\'', ';']);
    let value = match value.strip_prefix('$') {
        None => value,
        Some(variable) => {
            let variable = variable.trim_start_matches('{').trim_end_matches('}');
            let (variable, default) = variable.split_once(":-").unwrap_or((variable, ""));
            let known = variables.iter().find(|(name, _)| *name == variable).map(|(_, value)| *value);
            known.unwrap_or(default).trim_matches(['"', '\''])
        }
    };
    let is_name = !value.is_empty()
        && value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'));
    is_name.then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_rotation_from_other_work() {
        let create = "aws ecr get-login-password | kubectl create secret docker-registry";
        let rows = [
            (
                "aws --region x ecr get-login-password \\\n | docker login",
                Some("get-login-password"),
                false,
                vec![],
            ),
            (
                &format!("{create} regcred \\\n --docker-server=x"),
                Some("get-login-password"),
                true,
                vec!["regcred"],
            ),
            (
                &format!("{create} --docker-server x -n y \"$NAME\""),
                Some("get-login-password"),
                true,
                vec!["from-env"],
            ),
            (
                "export SECRET_NAME=a\naws ecr get-login\nkubectl create secret docker-registry ${SECRET_NAME}",
                Some("ecr get-login"),
                true,
                vec!["a"],
            ),
            (
                "SECRET_NAME=${S:-b}\naws ecr get-authorization-token; curl $API/secrets/$SECRET_NAME",
                Some("get-authorization-token"),
                true,
                vec!["b"],
            ),
            ("aws codeartifact get-authorization-token > /secrets/x", None, true, vec![]),
            ("# aws ecr get-login-password\nkubectl create secret generic x", None, true, vec![]),
            (
                "boto3.client('ecr').get_authorization_token()\nv1.create_namespaced_secret",
                Some("get_authorization_token"),
                true,
                vec![],
            ),
            ("pg_dump | gzip", None, false, vec![]),
        ];
        let environment = [("NAME".to_owned(), "from-env".to_owned())];
        for (text, asks, makes_secret, secrets) in rows {
            let secrets = secrets.into_iter().map(str::to_owned).collect();
            assert_eq!(read(text, &environment), Script { asks, makes_secret, secrets }, "{text}");
        }
    }
}
