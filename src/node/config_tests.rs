use super::super::tests::made_up;
use super::*;

const HEAD: &str = "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n";

fn provider(name: &str) -> String {
    format!("{HEAD}- name: {name}\n  matchImages: ['*.corp']\n")
}

fn read_text(text: &str) -> Result<Config, ConfigError> {
    read(made_up(&[("c.yaml", text)]).path(), Path::new("/c.yaml"))
}

#[test]
fn reads_the_shipped_configuration() {
    let text = include_str!("../../node-config/credential-provider-config.yaml");
    let config = read_text(text).expect("valid");
    let [provider] = &config.providers[..] else { panic!("{config:?}") };
    assert_eq!(provider.name, "ecr-credential-provider");
    assert_eq!(
        provider.place.line,
        text.lines().position(|line| line.contains("- name: ecr")).unwrap() as u64 + 1
    );
    assert_eq!(provider.api_version.as_deref(), Some("credentialprovider.kubelet.k8s.io/v1"));
    assert_eq!(provider.default_cache_duration.as_deref(), Some("0s"));
    assert_eq!(provider.match_images.len(), 13);
    assert_eq!(provider.env[0].0, "AWS_SHARED_CREDENTIALS_FILE");
}

#[test]
fn reads_json_and_every_field() {
    let json = "{\n\t\"apiVersion\": \"kubelet.config.k8s.io/v1beta1\",\n\t\"kind\": \"CredentialProviderConfig\",\n\t\"providers\": [{\n\
        \t\t\"name\": \"p\", \"args\": [\"get-credentials\"], \"matchImages\": [\"a.b\\/c\"], \"env\": [{\"name\": \"A\", \"value\": \"hunter2\"}],\n\
        \t\t\"tokenAttributes\": {\"serviceAccountTokenAudience\": \"x\", \"cacheType\": \"Token\", \"requireServiceAccount\": true}\n\t}]\n}\n";
    let root = made_up(&[("c.json", json)]);
    let config = read(root.path(), Path::new("/c.json")).expect("valid");
    let provider = &config.providers[0];
    assert_eq!(provider.args, ["get-credentials"]);
    assert_eq!(provider.match_images[0].1, "a.b/c");
    let attributes = provider.token_attributes.as_ref().expect("given");
    assert_eq!(
        (attributes.cache_type.as_deref(), attributes.require_service_account),
        (Some("Token"), Some(true))
    );
    assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
}

#[test]
fn errors_name_file_line_and_column() {
    let rows = [
        (format!("{HEAD}- name: p\n  nmae: q\n"), 5, 3, "unknown field `nmae`"),
        (format!("{HEAD}- name: p\n  name: q\n"), 5, 3, "duplicate mapping key"),
        (format!("{HEAD}- matchImages: []\n"), 4, 3, "missing field `name`"),
        (format!("{HEAD}- name: p\n  env: [{{name: A, value: 20}}]\n"), 5, 26, "value requires quoting"),
        (format!("{HEAD}- name: p\n  args: [\n"), 5, 9, "unclosed bracket"),
        ("kind: Config\napiVersion: v1\n".to_owned(), 1, 7, "kind `Config` is not CredentialProviderConfig"),
        ("kind: CredentialProviderConfig\napiVersion: v1\n".to_owned(), 2, 13, "apiVersion `v1` is not"),
        (format!("{HEAD}- name: p\n- name: p\n"), 5, 9, "there is a provider `p` already"),
        (String::new(), 1, 1, "unexpected end"),
    ];
    for (text, line, column, expected) in rows {
        let Err(ConfigError::Malformed { place, reason }) = read_text(&text) else { panic!("{text}") };
        assert_eq!((place.line, place.column), (line, column), "{text}\n{reason}");
        assert!(reason.starts_with(expected), "{reason}");
        assert!(!reason.contains('\n') && !reason.contains("at line"), "{reason}");
        assert_eq!(place.to_string(), format!("/c.yaml:{line}:{column}"));
    }
}

#[test]
fn an_error_does_not_quote_the_value_of_a_variable() {
    for value in ["[hunter2]", "{a: hunter2}", "\"hunter2", "\"hunter2\\q\"", "*hunter2", "!!int hunter2"] {
        let error = read_text(&format!("{HEAD}- name: p\n  env:\n  - name: A\n    value: {value}\n")).err();
        assert!(error.is_none_or(|error| !error.to_string().contains("hunter2")), "{value}");
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
    let config = read(root.path(), Path::new("/d"));
    // Go takes all of `.yaml` for an extension, so the kubelet reads that file too.
    assert!(
        matches!(config, Err(ConfigError::Malformed { place, .. }) if place.file == Path::new("/d/.yaml"))
    );
    std::fs::remove_file(root.path().join("d/.yaml")).unwrap();
    let config = read(root.path(), Path::new("/d")).expect("valid");
    let names: Vec<_> = config.providers.iter().map(|provider| provider.name.as_str()).collect();
    assert_eq!((names, config.is_directory), (vec!["a", "b", "c"], true));
    assert_eq!(
        read(root.path(), Path::new("/empty")).err(),
        Some(ConfigError::EmptyDirectory("/empty".into()))
    );
    assert!(matches!(read(root.path(), Path::new("/none")), Err(ConfigError::Unreadable(_))));

    let root = made_up(&[("d/1.yaml", &a), ("d/2.yaml", &a)]);
    let error = read(root.path(), Path::new("/d")).expect_err("the same name twice");
    assert_eq!(error.to_string(), "/d/2.yaml:4:9: there is a provider `a` already");
}
