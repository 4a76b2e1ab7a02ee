//! CredentialProviderConfigs, good and bad, and what the kubelet says of each when it starts.
//!
//! One table for two tests: that the words are the kubelet's (`tests/node/run configurations`), and that `validate`
//! comes to the same (`tests/it/validate.rs`).

#![expect(clippy::too_many_lines, reason = "it is a table")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A configuration and the end of a kubelet that starts with it.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// What is special about it.
    pub name: &'static str,
    /// Its files with their text. Where there is more than one, the kubelet is given their folder.
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// The kubelet's words, with [`FOLDER`] for the folder of the files and [`PLUGINS`] for that of the plugins; nothing
    /// if it starts.
    pub words: &'static str,
}

/// Stands for the folder of a configuration in the words.
pub const FOLDER: &str = "FOLDER";
/// Stands for the folder of the plugins.
pub const PLUGINS: &str = "PLUGINS";

impl Configuration {
    /// Writes the files into a folder, and returns what the kubelet is given for it.
    pub fn write(&self, folder: &Path) -> std::io::Result<std::path::PathBuf> {
        fs::create_dir_all(folder)?;
        for (name, bytes) in &self.files {
            fs::write(folder.join(name), bytes)?;
        }
        match &self.files[..] {
            [(name, _)] => Ok(folder.join(name)),
            _ => Ok(folder.to_owned()),
        }
    }
}

/// Makes the folder of plugins that the configurations are for.
pub fn make_plugins(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder.join("folder"))?;
    for (name, mode) in [("p", 0o755), ("q", 0o755), ("ecr-credential-provider", 0o755), ("plain", 0o644)] {
        fs::write(folder.join(name), "")?;
        fs::set_permissions(folder.join(name), Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// What every configuration begins with.
const HEAD: &str = "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\n";
/// A provider that every kubelet takes.
const GOOD: &str = "providers:\n- name: p\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\n  \
                    matchImages: ['*.corp']\n  defaultCacheDuration: 0s\n";

fn row(name: &'static str, text: impl Into<Vec<u8>>, words: &'static str) -> Configuration {
    Configuration { name, files: vec![("c.yaml", text.into())], words }
}

/// The good provider with more fields.
fn with(name: &'static str, fields: &str, words: &'static str) -> Configuration {
    row(name, format!("{HEAD}{GOOD}{fields}"), words)
}

/// The good configuration with other words in the place of some.
fn but(name: &'static str, from: &str, to: &str, words: &'static str) -> Configuration {
    let good = format!("{HEAD}{GOOD}");
    assert!(good.contains(from), "{from}");
    row(name, good.replacen(from, to, 1), words)
}

fn matching(name: &'static str, patterns: &str, words: &'static str) -> Configuration {
    but(name, "['*.corp']", patterns, words)
}

fn kept(name: &'static str, duration: &str, words: &'static str) -> Configuration {
    but(name, "0s", duration, words)
}

fn named(name: &'static str, provider: &str, words: &'static str) -> Configuration {
    but(name, "name: p", &format!("name: {provider}"), words)
}

fn tokens(name: &'static str, fields: &str, words: &'static str) -> Configuration {
    with(name, &format!("  tokenAttributes:\n    serviceAccountTokenAudience: x\n{fields}"), words)
}

fn json(name: &'static str, from: &str, to: &str, words: &'static str) -> Configuration {
    let good = "{\n\t\"apiVersion\": \"kubelet.config.k8s.io/v1\",\n\t\"kind\": \"CredentialProviderConfig\",\n\t\"providers\": [\n\
        \t\t{\"name\": \"p\", \"apiVersion\": \"credentialprovider.kubelet.k8s.io/v1\", \"matchImages\": [\"*.corp\"], \"defaultCacheDuration\": \"0s\"}\n\t]\n}\n";
    assert!(good.contains(from), "{from}");
    row(name, good.replacen(from, to, 1), words)
}

fn files(name: &'static str, files: &[(&'static str, String)], words: &'static str) -> Configuration {
    let files = files.iter().map(|(name, text)| (*name, text.clone().into_bytes())).collect();
    Configuration { name, files, words }
}

/// All of them.
pub fn all() -> Vec<Configuration> {
    [types(), values(), fields(), rules(), attributes(), texts(), folders()].concat()
}

/// `kind` and `apiVersion`.
fn types() -> Vec<Configuration> {
    vec![
        with("good", "", ""),
        but("v1beta1", "config.k8s.io/v1", "config.k8s.io/v1beta1", ""),
        but("v1alpha1", "config.k8s.io/v1", "config.k8s.io/v1alpha1", ""),
        but(
            "no such version",
            "config.k8s.io/v1",
            "config.k8s.io/v2",
            "error decoding config \"FOLDER/c.yaml\": no kind \"CredentialProviderConfig\" is registered for version \"kubelet.config.k8s.io/v2\" in scheme \"pkg/runtime/scheme.go:111\"",
        ),
        but(
            "another group",
            "kubelet.config.k8s.io/v1",
            "config.k8s.io/v1",
            "error decoding config \"FOLDER/c.yaml\": no kind \"CredentialProviderConfig\" is registered for version \"config.k8s.io/v1\" in scheme \"pkg/runtime/scheme.go:111\"",
        ),
        but(
            "a version without group",
            "kubelet.config.k8s.io/v1",
            "v1",
            "error decoding config \"FOLDER/c.yaml\": no kind \"CredentialProviderConfig\" is registered for version \"v1\" in scheme \"pkg/runtime/scheme.go:111\"",
        ),
        but(
            "a version with two slashes",
            "kubelet.config.k8s.io/v1",
            "a/b/c",
            "error decoding config \"FOLDER/c.yaml\": unexpected GroupVersion string: a/b/c",
        ),
        but(
            "no version",
            "apiVersion: kubelet.config.k8s.io/v1\n",
            "",
            "error decoding config \"FOLDER/c.yaml\": Object 'apiVersion' is missing",
        ),
        but(
            "no kind",
            "kind: CredentialProviderConfig\n",
            "",
            "error decoding config \"FOLDER/c.yaml\": Object 'Kind' is missing",
        ),
        but(
            "an empty kind",
            "CredentialProviderConfig",
            "''",
            "error decoding config \"FOLDER/c.yaml\": Object 'Kind' is missing",
        ),
        but(
            "another kind",
            "CredentialProviderConfig",
            "CredentialProvider",
            "error decoding config \"FOLDER/c.yaml\": no kind \"CredentialProvider\" is registered for version \"kubelet.config.k8s.io/v1\" in scheme \"pkg/runtime/scheme.go:111\"",
        ),
        row(
            "a request",
            "apiVersion: credentialprovider.kubelet.k8s.io/v1\nkind: CredentialProviderRequest\nimage: a\n",
            "error decoding config \"FOLDER/c.yaml\": failed to decode \"CredentialProviderRequest\" (wrong Kind)",
        ),
        row(
            "KubeletConfiguration",
            "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n",
            "error decoding config \"FOLDER/c.yaml\": failed to decode \"KubeletConfiguration\" (wrong Kind)",
        ),
        but(
            "a kind that is a number",
            "CredentialProviderConfig",
            "7",
            "error decoding config \"FOLDER/c.yaml\": couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct field .kind of type string",
        ),
        but(
            "kind with a capital",
            "kind:",
            "Kind:",
            "error decoding config \"FOLDER/c.yaml\": strict decoding error: unknown field \"Kind\"",
        ),
        but(
            "apiVersion in small letters",
            "apiVersion: kube",
            "apiversion: kube",
            "error decoding config \"FOLDER/c.yaml\": strict decoding error: unknown field \"apiversion\"",
        ),
    ]
}

/// Values of other types than the fields have.
fn values() -> Vec<Configuration> {
    vec![
        row(
            "no providers",
            HEAD,
            "failed to validate credential provider config: providers: Required value: at least 1 item in plugins is required",
        ),
        row(
            "providers that are nothing",
            format!("{HEAD}providers:\n"),
            "failed to validate credential provider config: providers: Required value: at least 1 item in plugins is required",
        ),
        row(
            "a list without providers",
            format!("{HEAD}providers: []\n"),
            "failed to validate credential provider config: providers: Required value: at least 1 item in plugins is required",
        ),
        row(
            "providers that are a map",
            format!("{HEAD}providers: {{name: p}}\n"),
            "error decoding config \"FOLDER/c.yaml\": json: cannot unmarshal object into Go struct field CredentialProviderConfig.providers of type []v1.CredentialProvider",
        ),
        row(
            "a provider that is nothing",
            format!("{HEAD}providers: [null]\n"),
            "failed to validate credential provider config: [providers.apiVersion: Required value, providers.matchImages: Required value: at least 1 item in matchImages is required, providers.defaultCacheDuration: Required value]",
        ),
        row(
            "a provider that is text",
            format!("{HEAD}providers: [p]\n"),
            "error decoding config \"FOLDER/c.yaml\": json: cannot unmarshal string into Go struct field CredentialProviderConfig.providers of type v1.CredentialProvider",
        ),
        matching(
            "one pattern that is no list",
            "'*.corp'",
            "error decoding config \"FOLDER/c.yaml\": json: cannot unmarshal string into Go struct field CredentialProvider.providers.matchImages of type []string",
        ),
        matching(
            "a pattern that is a number",
            "[5000]",
            "error decoding config \"FOLDER/c.yaml\": json: cannot unmarshal number into Go struct field CredentialProvider.providers.matchImages of type string",
        ),
        matching("a pattern that is nothing", "[null]", ""),
        matching("an empty pattern", "['']", ""),
        with(
            "a value that is a number",
            "  env: [{name: A, value: 20}]\n",
            "error decoding config \"FOLDER/c.yaml\": json: cannot unmarshal number into Go struct field ExecEnvVar.providers.env.value of type string",
        ),
        with(
            "a value that is yes",
            "  env: [{name: A, value: yes}]\n",
            "error decoding config \"FOLDER/c.yaml\": json: cannot unmarshal bool into Go struct field ExecEnvVar.providers.env.value of type string",
        ),
        with(
            "a value that is on",
            "  env: [{name: A, value: on}]\n",
            "error decoding config \"FOLDER/c.yaml\": json: cannot unmarshal bool into Go struct field ExecEnvVar.providers.env.value of type string",
        ),
        with(
            "a value that is n",
            "  env: [{name: A, value: n}]\n",
            "error decoding config \"FOLDER/c.yaml\": json: cannot unmarshal bool into Go struct field ExecEnvVar.providers.env.value of type string",
        ),
        with(
            "a value that is an octal number",
            "  env: [{name: A, value: 0o14}]\n",
            "error decoding config \"FOLDER/c.yaml\": json: cannot unmarshal number into Go struct field ExecEnvVar.providers.env.value of type string",
        ),
        with(
            "a value that is a number with an underscore",
            "  env: [{name: A, value: 1_000}]\n",
            "error decoding config \"FOLDER/c.yaml\": json: cannot unmarshal number into Go struct field ExecEnvVar.providers.env.value of type string",
        ),
        with("a value that is a number in base 60", "  env: [{name: A, value: 1:30}]\n", ""),
        with("a value that is a day", "  env: [{name: A, value: 2026-01-02}]\n", ""),
        with(
            "a value that is infinite",
            "  env: [{name: A, value: .inf}]\n",
            "error decoding config \"FOLDER/c.yaml\": json: unsupported value: +Inf",
        ),
        with(
            "a value that is an account",
            "  env: [{name: A, value: 012345678901}]\n",
            "error decoding config \"FOLDER/c.yaml\": json: cannot unmarshal number into Go struct field ExecEnvVar.providers.env.value of type string",
        ),
        with("a value that is almost a number", "  env: [{name: A, value: 0x1g}]\n", ""),
        with("a value that is nothing", "  env: [{name: A, value: ~}]\n", ""),
        with("a number in quotes", "  env: [{name: A, value: '20'}]\n", ""),
        with("a number that is said to be text", "  env: [{name: A, value: !!str 20}]\n", ""),
        with("a variable without value", "  env: [{name: A}]\n", ""),
        with(
            "variables as a map",
            "  env: {A: b}\n",
            "error decoding config \"FOLDER/c.yaml\": json: cannot unmarshal object into Go struct field CredentialProvider.providers.env of type []v1.ExecEnvVar",
        ),
        with(
            "variables as text",
            "  env: ['A=b']\n",
            "error decoding config \"FOLDER/c.yaml\": json: cannot unmarshal string into Go struct field CredentialProvider.providers.env of type v1.ExecEnvVar",
        ),
        with(
            "args that are text",
            "  args: get-credentials\n",
            "error decoding config \"FOLDER/c.yaml\": json: cannot unmarshal string into Go struct field CredentialProvider.providers.args of type []string",
        ),
        with("args", "  args: [get-credentials, '', ~]\n", ""),
        with(
            "an arg that is a truth value",
            "  args: [true]\n",
            "error decoding config \"FOLDER/c.yaml\": json: cannot unmarshal bool into Go struct field CredentialProvider.providers.args of type string",
        ),
    ]
}

/// Fields that are unknown, or there twice.
fn fields() -> Vec<Configuration> {
    vec![
        with(
            "an unknown field",
            "  environment: []\n",
            "error decoding config \"FOLDER/c.yaml\": strict decoding error: unknown field \"providers[0].environment\"",
        ),
        with(
            "several unknown fields",
            "  environment: []\n  image: a\nprovider: []\n",
            "error decoding config \"FOLDER/c.yaml\": strict decoding error: unknown field \"provider\", unknown field \"providers[0].environment\", unknown field \"providers[0].image\"",
        ),
        with(
            "an unknown field of a variable",
            "  env: [{name: A, valueFrom: {}}]\n",
            "error decoding config \"FOLDER/c.yaml\": strict decoding error: unknown field \"providers[0].env[0].valueFrom\"",
        ),
        with(
            "the same field in other capitals",
            "  MatchImages: [a]\n",
            "error decoding config \"FOLDER/c.yaml\": strict decoding error: unknown field \"providers[0].MatchImages\"",
        ),
        with(
            "metadata",
            "metadata: {name: x}\n",
            "error decoding config \"FOLDER/c.yaml\": strict decoding error: unknown field \"metadata\"",
        ),
        with(
            "a key that stands there twice",
            "  name: q\n",
            "error decoding config \"FOLDER/c.yaml\": strict decoding error: yaml: unmarshal errors:\n  line 8: key \"name\" already set in map",
        ),
        with(
            "a key twice where nobody looks",
            "  more: {a: 1, a: 2}\n",
            "error decoding config \"FOLDER/c.yaml\": strict decoding error: yaml: unmarshal errors:\n  line 8: key \"a\" already set in map, unknown field \"providers[0].more\"",
        ),
        with(
            "both providers twice",
            "providers: []\n",
            "error decoding config \"FOLDER/c.yaml\": strict decoding error: yaml: unmarshal errors:\n  line 8: key \"providers\" already set in map",
        ),
        with(
            "a key that is a number",
            "  7: a\n",
            "error decoding config \"FOLDER/c.yaml\": strict decoding error: unknown field \"providers[0].7\"",
        ),
        with(
            "a key that is a list",
            "  [a, b]: a\n",
            "error decoding config \"FOLDER/c.yaml\": yaml: invalid map key: []interface {}{\"a\", \"b\"}",
        ),
        with(
            "a key that is nothing",
            "  ~: a\n",
            "error decoding config \"FOLDER/c.yaml\": unsupported map key of type: %!s(<nil>), key: <nil>, value: \"a\"",
        ),
    ]
}

/// The rules for values.
fn rules() -> Vec<Configuration> {
    let v1 = "credentialprovider.kubelet.k8s.io/v1";
    vec![
        but(
            "no name",
            "- name: p\n ",
            "-",
            "error inspecting binary executable : exec: \"PLUGINS\": is a directory",
        ),
        named(
            "an empty name",
            "''",
            "error inspecting binary executable : exec: \"PLUGINS\": is a directory",
        ),
        named(
            "a name with a slash",
            "a/p",
            "failed to validate credential provider config: providers.name: Invalid value: \"a/p\": provider name cannot contain '/'",
        ),
        named(
            "a name with a space",
            "'a p'",
            "failed to validate credential provider config: providers.name: Invalid value: \"a p\": provider name cannot contain spaces",
        ),
        named(
            "a name that is a dot",
            ".",
            "failed to validate credential provider config: providers.name: Invalid value: \".\": provider name cannot be '.'",
        ),
        named(
            "a name that is two dots",
            "..",
            "failed to validate credential provider config: providers.name: Invalid value: \"..\": provider name cannot be '..'",
        ),
        named(
            "a name with both",
            "'a /p'",
            "failed to validate credential provider config: [providers.name: Invalid value: \"a /p\": provider name cannot contain '/', providers.name: Invalid value: \"a /p\": provider name cannot contain spaces]",
        ),
        named("a name of nothing", "nothing", "plugin binary executable  did not exist"),
        named(
            "a name of a folder",
            "folder",
            "error inspecting binary executable : exec: \"PLUGINS/folder\": is a directory",
        ),
        named(
            "a name of a file that cannot be run",
            "plain",
            "error inspecting binary executable : exec: \"PLUGINS/plain\": permission denied",
        ),
        but(
            "no protocol",
            &format!("  apiVersion: {v1}\n"),
            "",
            "failed to validate credential provider config: providers.apiVersion: Required value",
        ),
        but(
            "an empty protocol",
            &format!("apiVersion: {v1}"),
            "apiVersion: ''",
            "failed to validate credential provider config: providers.apiVersion: Required value",
        ),
        but("protocol v1beta1", v1, "credentialprovider.kubelet.k8s.io/v1beta1", ""),
        but("protocol v1alpha1", v1, "credentialprovider.kubelet.k8s.io/v1alpha1", ""),
        but(
            "protocol v2",
            v1,
            "credentialprovider.kubelet.k8s.io/v2",
            "failed to validate credential provider config: providers.apiVersion: Unsupported value: \"credentialprovider.kubelet.k8s.io/v2\": supported values: \"credentialprovider.kubelet.k8s.io/v1\", \"credentialprovider.kubelet.k8s.io/v1alpha1\", \"credentialprovider.kubelet.k8s.io/v1beta1\"",
        ),
        but(
            "the configuration's version as protocol",
            v1,
            "kubelet.config.k8s.io/v1",
            "failed to validate credential provider config: providers.apiVersion: Unsupported value: \"kubelet.config.k8s.io/v1\": supported values: \"credentialprovider.kubelet.k8s.io/v1\", \"credentialprovider.kubelet.k8s.io/v1alpha1\", \"credentialprovider.kubelet.k8s.io/v1beta1\"",
        ),
        but(
            "no patterns",
            "  matchImages: ['*.corp']\n",
            "",
            "failed to validate credential provider config: providers.matchImages: Required value: at least 1 item in matchImages is required",
        ),
        matching(
            "a list without patterns",
            "[]",
            "failed to validate credential provider config: providers.matchImages: Required value: at least 1 item in matchImages is required",
        ),
        matching("a pattern with scheme", "['https://a.corp']", ""),
        matching("a pattern with a star as path", "['a.corp/*']", ""),
        matching("a pattern with a question mark", "['a?.corp']", ""),
        matching(
            "a pattern with a class",
            "['[ab].corp']",
            "failed to validate credential provider config: providers.matchImages: Invalid value: \"[ab].corp\": match image is invalid: parse \"https://[ab].corp\": invalid port \".corp\" after host",
        ),
        matching(
            "a pattern with a star as port",
            "['a.corp:*']",
            "failed to validate credential provider config: providers.matchImages: Invalid value: \"a.corp:*\": match image is invalid: parse \"https://a.corp:*\": invalid port \":*\" after host",
        ),
        matching("a pattern with a port", "['a.corp:5000/team/']", ""),
        matching(
            "a pattern with a space",
            "['a .corp']",
            "failed to validate credential provider config: providers.matchImages: Invalid value: \"a .corp\": match image is invalid: parse \"https://a .corp\": invalid character \" \" in host name",
        ),
        matching(
            "several bad patterns",
            "['a b', 'c:d', e, '%zz']",
            "failed to validate credential provider config: [providers.matchImages: Invalid value: \"a b\": match image is invalid: parse \"https://a b\": invalid character \" \" in host name, providers.matchImages: Invalid value: \"c:d\": match image is invalid: parse \"https://c:d\": invalid port \":d\" after host, providers.matchImages: Invalid value: \"%zz\": match image is invalid: parse \"https://%zz\": invalid URL escape \"%zz\"]",
        ),
        but(
            "no duration",
            "  defaultCacheDuration: 0s\n",
            "",
            "failed to validate credential provider config: providers.defaultCacheDuration: Required value",
        ),
        kept(
            "a duration that is nothing",
            "~",
            "failed to validate credential provider config: providers.defaultCacheDuration: Required value",
        ),
        kept("a duration without unit", "'0'", ""),
        kept(
            "a duration that is a number",
            "0",
            "error decoding config \"FOLDER/c.yaml\": json: cannot unmarshal number into Go struct field CredentialProvider.providers.defaultCacheDuration of type string",
        ),
        kept(
            "an empty duration",
            "''",
            "error decoding config \"FOLDER/c.yaml\": time: invalid duration \"\"",
        ),
        kept(
            "a duration in words",
            "12 hours",
            "error decoding config \"FOLDER/c.yaml\": time: unknown unit \" hours\" in duration \"12 hours\"",
        ),
        kept(
            "a duration without its unit",
            "'12'",
            "error decoding config \"FOLDER/c.yaml\": time: missing unit in duration \"12\"",
        ),
        kept(
            "a duration in days",
            "1d",
            "error decoding config \"FOLDER/c.yaml\": time: unknown unit \"d\" in duration \"1d\"",
        ),
        kept("a duration of parts", "1h2m3.5s4ms5us6µs7ns", ""),
        kept("a duration with plus", "+5m", ""),
        kept(
            "a negative duration",
            "-1s",
            "failed to validate credential provider config: providers.defaultCacheDuration: Invalid value: \"-1s\": must be greater than or equal to 0",
        ),
        kept("a negative duration of nothing", "-0s", ""),
        kept(
            "a negative duration that is none",
            "-1x",
            "error decoding config \"FOLDER/c.yaml\": time: unknown unit \"x\" in duration \"-1x\"",
        ),
        kept(
            "a duration longer than Go has",
            "2562048h",
            "error decoding config \"FOLDER/c.yaml\": time: invalid duration \"2562048h\"",
        ),
        with("two providers", &GOOD["providers:\n".len()..].replace("name: p", "name: q"), ""),
        with(
            "two of one name",
            &GOOD["providers:\n".len()..],
            "duplicate provider name \"p\" found in configuration file(s)",
        ),
        with(
            "a second without anything",
            "- name: q\n",
            "failed to validate credential provider config: [providers.apiVersion: Required value, providers.matchImages: Required value: at least 1 item in matchImages is required, providers.defaultCacheDuration: Required value]",
        ),
        with(
            "a third of a name, and rules broken",
            "- name: q\n- name: q\n",
            "duplicate provider name \"q\" found in configuration file(s)",
        ),
    ]
}

/// `tokenAttributes`.
fn attributes() -> Vec<Configuration> {
    let rest = "    cacheType: Token\n    requireServiceAccount: true\n";
    let keys = |required: &str, optional: &str| {
        format!(
            "{rest}    requiredServiceAccountAnnotationKeys: {required}\n    optionalServiceAccountAnnotationKeys: {optional}\n"
        )
    };
    let good = format!("{HEAD}{GOOD}  tokenAttributes:\n    serviceAccountTokenAudience: x\n{rest}");
    vec![
        tokens("attributes", rest, ""),
        tokens("attributes with annotations", &keys("[eks.amazonaws.com/role-arn]", "[A-b_c.D]"), ""),
        with(
            "attributes without anything",
            "  tokenAttributes: {}\n",
            "failed to validate credential provider config: [providers.tokenAttributes.serviceAccountTokenAudience: Required value, providers.tokenAttributes.requireServiceAccount: Required value, providers.tokenAttributes.cacheType: Required value: cacheType is required to be set when tokenAttributes is specified. Supported values are: ServiceAccount, Token]",
        ),
        with("attributes that are nothing", "  tokenAttributes:\n", ""),
        with(
            "attributes that are text",
            "  tokenAttributes: yes please\n",
            "error decoding config \"FOLDER/c.yaml\": json: cannot unmarshal string into Go struct field CredentialProvider.providers.tokenAttributes of type v1.ServiceAccountTokenAttributes",
        ),
        tokens(
            "no cacheType",
            "    requireServiceAccount: true\n",
            "failed to validate credential provider config: providers.tokenAttributes.cacheType: Required value: cacheType is required to be set when tokenAttributes is specified. Supported values are: ServiceAccount, Token",
        ),
        tokens(
            "another cacheType",
            "    requireServiceAccount: true\n    cacheType: token\n",
            "failed to validate credential provider config: providers.tokenAttributes.cacheType: Unsupported value: \"token\": supported values: \"ServiceAccount\", \"Token\"",
        ),
        tokens(
            "no requireServiceAccount",
            "    cacheType: ServiceAccount\n",
            "failed to validate credential provider config: providers.tokenAttributes.requireServiceAccount: Required value",
        ),
        tokens(
            "requireServiceAccount in quotes",
            "    cacheType: Token\n    requireServiceAccount: 'true'\n",
            "error decoding config \"FOLDER/c.yaml\": json: cannot unmarshal string into Go struct field ServiceAccountTokenAttributes.providers.tokenAttributes.requireServiceAccount of type bool",
        ),
        tokens("requireServiceAccount: yes", "    cacheType: Token\n    requireServiceAccount: yes\n", ""),
        tokens(
            "annotations without account",
            "    cacheType: Token\n    requireServiceAccount: false\n    requiredServiceAccountAnnotationKeys: [a]\n",
            "failed to validate credential provider config: providers.tokenAttributes.requiredServiceAccountAnnotationKeys: Forbidden: requireServiceAccount cannot be false when requiredServiceAccountAnnotationKeys is set",
        ),
        tokens(
            "an annotation twice",
            &keys("[a, a]", "[b, B]"),
            "failed to validate credential provider config: providers.tokenAttributes.requiredServiceAccountAnnotationKeys: Duplicate value: \"a\"",
        ),
        tokens(
            "an annotation in both",
            &keys("[a, c]", "[b, a, c]"),
            "failed to validate credential provider config: providers.tokenAttributes: Invalid value: [\"a\",\"c\"]: annotation keys cannot be both required and optional",
        ),
        tokens(
            "annotations that are none",
            &keys("['', a/b/c, -a, /a]", "[a_b/c, a b, ~]"),
            "failed to validate credential provider config: [providers.tokenAttributes.requiredServiceAccountAnnotationKeys: Invalid value: \"\": name part must be non-empty, providers.tokenAttributes.requiredServiceAccountAnnotationKeys: Invalid value: \"\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'), providers.tokenAttributes.requiredServiceAccountAnnotationKeys: Invalid value: \"a/b/c\": a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName'), providers.tokenAttributes.requiredServiceAccountAnnotationKeys: Invalid value: \"-a\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'), providers.tokenAttributes.requiredServiceAccountAnnotationKeys: Invalid value: \"/a\": prefix part must be non-empty, providers.tokenAttributes.optionalServiceAccountAnnotationKeys: Invalid value: \"a_b/c\": prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'), providers.tokenAttributes.optionalServiceAccountAnnotationKeys: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'), providers.tokenAttributes.optionalServiceAccountAnnotationKeys: Invalid value: \"\": name part must be non-empty, providers.tokenAttributes.optionalServiceAccountAnnotationKeys: Invalid value: \"\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'), providers.tokenAttributes: Invalid value: [\"\"]: annotation keys cannot be both required and optional]",
        ),
        row(
            "attributes with protocol v1beta1",
            good.replace("provider.kubelet.k8s.io/v1", "provider.kubelet.k8s.io/v1beta1"),
            "failed to validate credential provider config: providers.tokenAttributes: Forbidden: tokenAttributes is only supported for credentialprovider.kubelet.k8s.io/v1 API version",
        ),
        row(
            "attributes in v1beta1",
            good.replace("config.k8s.io/v1", "config.k8s.io/v1beta1"),
            "error decoding config \"FOLDER/c.yaml\": strict decoding error: unknown field \"providers[0].tokenAttributes\"",
        ),
        row(
            "attributes in v1alpha1",
            good.replace("config.k8s.io/v1", "config.k8s.io/v1alpha1"),
            "error decoding config \"FOLDER/c.yaml\": strict decoding error: unknown field \"providers[0].tokenAttributes\"",
        ),
    ]
}

/// YAML and JSON.
fn texts() -> Vec<Configuration> {
    let good = format!("{HEAD}{GOOD}");
    let utf16 = || {
        [0xff, 0xfe].into_iter().chain(good.encode_utf16().flat_map(u16::to_le_bytes)).collect::<Vec<u8>>()
    };
    vec![
        row("an empty file", "", "error decoding config \"FOLDER/c.yaml\": Object 'Kind' is missing"),
        row(
            "a file of comments",
            "# nothing\n",
            "error decoding config \"FOLDER/c.yaml\": Object 'Kind' is missing",
        ),
        row(
            "text",
            "hello\n",
            "error decoding config \"FOLDER/c.yaml\": couldn't get version/kind; json parse error: json: cannot unmarshal string into Go value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }",
        ),
        row(
            "a list",
            "- a\n",
            "error decoding config \"FOLDER/c.yaml\": couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }",
        ),
        row("line ends of Windows", good.replace('\n', "\r\n"), ""),
        row("a byte-order mark", format!("\u{feff}{good}"), ""),
        row("UTF-16", utf16(), ""),
        row(
            "not UTF-8",
            [good.as_bytes(), b"# \xff\n"].concat(),
            "error decoding config \"FOLDER/c.yaml\": yaml: invalid leading UTF-8 octet",
        ),
        row(
            "a control character",
            format!("{good}# \u{7}\n"),
            "error decoding config \"FOLDER/c.yaml\": yaml: control characters are not allowed",
        ),
        row(
            "a tab as indentation",
            good.replace("  name", "\tname").replace("  matchImages", "\tmatchImages"),
            "error decoding config \"FOLDER/c.yaml\": yaml: line 6: found a tab character that violates indentation",
        ),
        row(
            "a tab after a dash",
            good.replace("- name", "-\tname"),
            "error decoding config \"FOLDER/c.yaml\": yaml: line 4: found character that cannot start any token",
        ),
        row(
            "a line of a tab",
            good.replace("providers", "\t\nproviders"),
            "error decoding config \"FOLDER/c.yaml\": yaml: line 3: found a tab character that violates indentation",
        ),
        row(
            "a tab before a comment",
            good.replace("  match", "  \t# x\n  match"),
            "error decoding config \"FOLDER/c.yaml\": yaml: line 6: found a tab character that violates indentation",
        ),
        row("tabs where they are nothing", good.replace("['*.corp']", "[\n\t'*.corp'\n\t]\t# x"), ""),
        row(
            "a question mark in brackets",
            good.replace("'*.corp'", "a?.corp"),
            "error decoding config \"FOLDER/c.yaml\": yaml: line 5: did not find expected ',' or ']'",
        ),
        row(
            "a kind that is taken back",
            format!("{good}kind:\n"),
            "error decoding config \"FOLDER/c.yaml\": Object 'Kind' is missing",
        ),
        row("a tab between key and value", good.replace("name: ", "name:\t"), ""),
        row("a second document", format!("{good}---\n{good}"), ""),
        row("nothing before the first document", format!("---\n{good}"), ""),
        row(
            "an empty first document",
            format!("---\n---\n{good}"),
            "error decoding config \"FOLDER/c.yaml\": Object 'Kind' is missing",
        ),
        row("a second document that is none", format!("{good}---\na: [\n"), ""),
        row("an end of the document", format!("{good}...\n"), ""),
        row(
            "a bracket that is not closed",
            format!("{HEAD}providers: [\n"),
            "error decoding config \"FOLDER/c.yaml\": yaml: line 3: did not find expected node content",
        ),
        row(
            "a quote that is not closed",
            good.replace("name: p", "name: \"p"),
            "error decoding config \"FOLDER/c.yaml\": yaml: line 8: found unexpected end of stream",
        ),
        row(
            "a colon too many",
            good.replace("name: p", "name: p: q"),
            "error decoding config \"FOLDER/c.yaml\": yaml: line 4: mapping values are not allowed in this context",
        ),
        row(
            "wrong indentation",
            good.replace("  defaultCache", " defaultCache"),
            "error decoding config \"FOLDER/c.yaml\": yaml: line 6: did not find expected key",
        ),
        row(
            "a star without quotes",
            good.replace("['*.corp']", "[*.corp]"),
            "error decoding config \"FOLDER/c.yaml\": yaml: line 6: did not find expected alphabetic or numeric character",
        ),
        row(
            "an anchor",
            good.replace("['*.corp']", "&a ['*.corp']")
                + "- name: q\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\n  matchImages: *a\n  defaultCacheDuration: 0s\n",
            "",
        ),
        row(
            "a map that is brought in",
            format!(
                "{HEAD}{}- <<: *base\n  name: q\n",
                GOOD.replace("- name: p\n  ", "- name: p\n  <<: &base\n    ")
                    .replace("\n  match", "\n    match")
                    .replace("\n  default", "\n    default")
            ),
            "",
        ),
        row(
            "a map that is brought in, and another value",
            format!("{HEAD}{}- <<: *base\n  name: q\n", GOOD.replace("- name: p", "- &base\n  name: p")),
            "error decoding config \"FOLDER/c.yaml\": strict decoding error: yaml: unmarshal errors:\n  line 10: key \"name\" already set in map",
        ),
        row(
            "an anchor that contains itself",
            format!("{HEAD}providers: &a [*a]\n"),
            "error decoding config \"FOLDER/c.yaml\": yaml: anchor 'a' value contains itself",
        ),
        row("a block of text", good.replace("name: p", "name: |-\n    p"), ""),
        row("a tag of one's own", good.replace("name: p", "name: !x p"), ""),
        row(
            "a tag that does not fit",
            good.replace("name: p", "name: !!int p"),
            "error decoding config \"FOLDER/c.yaml\": yaml: cannot decode !!str `p` as a !!int",
        ),
        row(
            "YAML in braces",
            "{apiVersion: kubelet.config.k8s.io/v1, kind: CredentialProviderConfig, providers: []}\n",
            "error decoding config \"FOLDER/c.yaml\": couldn't get version/kind; json parse error: invalid character 'a' looking for beginning of object key string",
        ),
        json("JSON", "p", "p", ""),
        json(
            "JSON with a comma too many",
            "\"0s\"}",
            "\"0s\"},",
            "error decoding config \"FOLDER/c.yaml\": couldn't get version/kind; json parse error: invalid character ']' looking for beginning of value",
        ),
        json(
            "JSON with a comment",
            "{\n",
            "{\n// no\n",
            "error decoding config \"FOLDER/c.yaml\": couldn't get version/kind; json parse error: invalid character '/' looking for beginning of object key string",
        ),
        json(
            "JSON with a key in other capitals",
            "\"name\"",
            "\"Name\"",
            "error decoding config \"FOLDER/c.yaml\": strict decoding error: unknown field \"providers[0].Name\"",
        ),
        json(
            "JSON with an unknown field",
            "\"name\"",
            "\"names\": [], \"name\"",
            "error decoding config \"FOLDER/c.yaml\": strict decoding error: unknown field \"providers[0].names\"",
        ),
        json(
            "JSON with a key twice",
            "\"name\"",
            "\"name\": \"q\", \"name\"",
            "error decoding config \"FOLDER/c.yaml\": strict decoding error: duplicate field \"providers[0].name\"",
        ),
        json(
            "JSON with a number",
            "\"0s\"",
            "0",
            "error decoding config \"FOLDER/c.yaml\": json: cannot unmarshal number into Go struct field CredentialProvider.providers.defaultCacheDuration of type string",
        ),
        json(
            "JSON with null",
            "\"0s\"",
            "null",
            "failed to validate credential provider config: providers.defaultCacheDuration: Required value",
        ),
        json(
            "JSON with more after it",
            "]\n}",
            "]\n} {}",
            "error decoding config \"FOLDER/c.yaml\": couldn't get version/kind; json parse error: invalid character '{' after top-level value",
        ),
        json("JSON with escapes", "*.corp", "\\u002a.\\u0063orp\\/a", ""),
        json("JSON after empty lines", "{", "\n \n{", ""),
        json("JSON after a byte-order mark", "{", "\u{feff}{", ""),
    ]
}

/// More than one file.
fn folders() -> Vec<Configuration> {
    let good = || format!("{HEAD}{GOOD}");
    let other = || good().replace("name: p", "name: q");
    vec![
        files("a folder", &[("a.yaml", good()), ("b.json.yml", other())], ""),
        files("a folder with other files", &[("a.yaml", good()), ("README.md", "no".into()), ("c.YAML", "no".into())], ""),
        files("a folder without a file for it", &[("README.md", "no".into()), ("a.yaml.bak", good())], "no configuration files found in directory \"FOLDER\""),
        files("a folder with a name twice", &[("a.yaml", good()), ("b.yaml", good())], "duplicate provider name \"p\" found in configuration file(s)"),
        files("a folder with a bad file", &[("a.yaml", good()), ("b.yaml", "no".into())], "error decoding config \"FOLDER/b.yaml\": couldn't get version/kind; json parse error: json: cannot unmarshal bool into Go value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }"),
        files("a folder with a hidden file", &[("a.yaml", good()), (".yaml", "no".into())], "error decoding config \"FOLDER/.yaml\": couldn't get version/kind; json parse error: json: cannot unmarshal bool into Go value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }"),
        files("a folder with two bad files", &[("a.yaml", format!("{HEAD}{GOOD}more: a\n")), ("b.yaml", "no".into())], "error decoding config \"FOLDER/a.yaml\": strict decoding error: unknown field \"more\""),
        files("a folder with an empty list", &[("a.yaml", good()), ("b.yaml", format!("{HEAD}providers: []\n"))], ""),
        files("JSON beside YAML", &[("a.yaml", good()), ("b.json", "{\"apiVersion\": \"kubelet.config.k8s.io/v1\", \"kind\": \"CredentialProviderConfig\", \"providers\": [{}]}".into())], "failed to validate credential provider config: [providers.apiVersion: Required value, providers.matchImages: Required value: at least 1 item in matchImages is required, providers.defaultCacheDuration: Required value]"),
    ]
}
