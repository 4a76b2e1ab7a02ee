use super::super::tests::made_up;
use super::*;

const HEAD: &str = "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n";

fn provider(name: &str) -> String {
    format!("{HEAD}- name: {name}\n  matchImages: ['*.corp']\n")
}

fn read(root: &Path, path: &str, version: &str) -> (Config, Vec<Problem>) {
    let mut problems = Vec::new();
    let version = version.parse().expect("a version");
    let config = Source { root, planned: &[], version }.read(Path::new(path), &mut problems);
    (config, problems)
}

fn read_text(text: &str) -> (Config, Vec<Problem>) {
    read(made_up(&[("c.yaml", text)]).path(), "/c.yaml", "1.37")
}

fn lines(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(|problem| format!("{}: {}", problem.place, problem.fault)).collect()
}

#[test]
fn reads_the_shipped_configuration() {
    let text = include_str!("../../node-config/credential-provider-config.yaml");
    let (config, problems) = read_text(text);
    assert_eq!(problems, []);
    let [provider] = &config.providers[..] else { panic!("{config:?}") };
    assert_eq!(provider.name, "ecr-credential-provider");
    let line = text.lines().position(|line| line.contains("- name: ecr")).expect("a line") + 1;
    assert_eq!(provider.place.to_string(), format!("/c.yaml:{line}:11"));
    let value = |text: &Option<Located<String>>| text.as_ref().map(|it| it.value.clone());
    assert_eq!(value(&provider.api_version).as_deref(), Some("credentialprovider.kubelet.k8s.io/v1"));
    assert_eq!(value(&provider.default_cache_duration).as_deref(), Some("0s"));
    assert_eq!(provider.match_images.len(), 13);
    assert_eq!(provider.env[0].0, "AWS_SHARED_CREDENTIALS_FILE");
}

#[test]
fn reads_json_and_every_field() {
    let json = "{\n\t\"apiVersion\": \"kubelet.config.k8s.io/v1\",\n\t\"kind\": \"CredentialProviderConfig\",\n\t\"providers\": [{\n\
        \t\t\"name\": \"p\", \"args\": [\"get-credentials\"], \"matchImages\": [\"a.b\\/c\"], \"env\": [{\"name\": \"A\", \"value\": \"hunter2\"}],\n\
        \t\t\"tokenAttributes\": {\"serviceAccountTokenAudience\": \"x\", \"cacheType\": \"Token\", \"requireServiceAccount\": true}\n\t}]\n}\n";
    let root = made_up(&[("c.json", json)]);
    let (config, problems) = read(root.path(), "/c.json", "1.37");
    assert_eq!(problems, []);
    let provider = &config.providers[0];
    assert_eq!(provider.args, ["get-credentials"]);
    assert_eq!(provider.match_images[0].value, "a.b/c");
    assert_eq!(provider.match_images[0].place.to_string(), "/c.json:5:61");
    let attributes = &provider.token_attributes.as_ref().expect("given").value;
    assert_eq!(attributes.cache_type.as_ref().map(|it| it.value.as_str()), Some("Token"));
    assert_eq!(attributes.require_service_account.as_ref().map(|it| it.value), Some(true));
    assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
}

#[test]
fn problems_name_file_line_and_column() {
    let rows = [
        (format!("{HEAD}- name: p\n  nmae: q\n"), "5:3: unknown field `providers[0].nmae`"),
        (format!("{HEAD}- name: p\n  name: q\n"), "5:3: the key `name` stands here again"),
        (
            format!("{HEAD}- name: p\n  env: [{{name: A, value: 20}}]\n"),
            "5:26: `providers[0].env[0].value` must be text, but it is a number",
        ),
        (format!("{HEAD}- name: p\n  args: [\n"), "5:9: unclosed bracket '['"),
        (
            "kind: Config\napiVersion: kubelet.config.k8s.io/v1\n".to_owned(),
            "1:7: kind `Config` is not CredentialProviderConfig",
        ),
        (
            "kind: CredentialProviderConfig\napiVersion: v1\n".to_owned(),
            "2:13: apiVersion `v1` is not kubelet.config.k8s.io/v1, v1beta1 or v1alpha1",
        ),
        (format!("{HEAD}- name: p\n- name: p\n"), "5:9: there is a provider `p` already"),
    ];
    for (text, expected) in rows {
        let (_, problems) = read_text(&text);
        assert_eq!(lines(&problems), [format!("/c.yaml:{expected}")], "{text}");
    }
}

#[test]
fn all_problems_are_found_at_once() {
    let text = format!(
        "{HEAD}- name: 7\n  nmae: q\n  matchImages: {{}}\n- name: b\n  defaultCacheDuration: 12 hours\n  args: [on, 0o14, a]\n  args: [b]\n"
    );
    let (config, problems) = read_text(&text);
    let expected = [
        "/c.yaml:10:3: the key `args` stands here again",
        "/c.yaml:5:3: unknown field `providers[0].nmae`",
        "/c.yaml:4:9: `providers[0].name` must be text, but it is a number",
        "/c.yaml:6:16: `providers[0].matchImages` must be a list, but it is a map",
        "/c.yaml:8:25: `providers[1].defaultCacheDuration` is no duration: the unit ` hours` is unknown (h, m, s, ms)",
    ];
    assert_eq!(lines(&problems), expected);
    assert_eq!(config.providers[1].args, ["b"], "the last counts");
}

#[test]
fn an_error_does_not_quote_the_value_of_a_variable() {
    for value in ["[hunter2]", "{a: hunter2}", "\"hunter2", "\"hunter2\\q\"", "*hunter2", "!!int hunter2"] {
        let (_, problems) = read_text(&format!("{HEAD}- name: p\n  env:\n  - name: A\n    value: {value}\n"));
        assert!(!lines(&problems).concat().contains("hunter2"), "{value}: {problems:?}");
    }
}

#[test]
fn merges_a_folder_in_the_order_of_its_names() {
    let [a, b, c] = ["a", "b", "c"].map(provider);
    let root = made_up(&[
        ("d/20.yaml", &b),
        ("d/10.yml", &a),
        ("d/3.json", &c),
        ("d/README.md", "no"),
        ("d/40.YAML", "no"),
        ("d/.yaml", "no"),
        ("d/sub.yaml/x", "no"),
        ("empty/README.md", ""),
    ]);
    let (_, problems) = read(root.path(), "/d", "1.37");
    // Go takes all of `.yaml` for an extension, so the kubelet reads that file too.
    assert!(problems.iter().all(|problem| problem.place.file == Path::new("/d/.yaml")), "{problems:?}");
    std::fs::remove_file(root.path().join("d/.yaml")).unwrap();
    let (config, problems) = read(root.path(), "/d", "1.37");
    let names: Vec<_> = config.providers.iter().map(|provider| provider.name.as_str()).collect();
    assert_eq!((names, config.is_folder, problems), (vec!["a", "b", "c"], true, vec![]));
    let (_, problems) = read(root.path(), "/d", "1.33");
    assert_eq!(lines(&problems), ["/d: it is a folder, which kubelets can read from 1.34 on"]);
    let (_, problems) = read(root.path(), "/empty", "1.34");
    assert_eq!(lines(&problems), ["/empty: the folder has no file that ends in .json, .yaml or .yml"]);
    let (_, problems) = read(root.path(), "/none", "1.34");
    assert!(matches!(problems[0].fault, Fault::Unreadable(_)), "{problems:?}");

    let root = made_up(&[("d/1.yaml", &a), ("d/2.yaml", &a)]);
    let (_, problems) = read(root.path(), "/d", "1.34");
    assert_eq!(lines(&problems), ["/d/2.yaml:4:9: there is a provider `a` already"]);
}
