//! What the documentation promises is what the code does: its samples run, its tables are the code's.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use ecr_credential_provider::error::Code;
use ecr_credential_provider::settings::VARIABLES;
use snapbox::{assert_data_eq, file};
use stand_in::aws::{ACCESS_KEY_ID, Aws, SECRET_ACCESS_KEY};
use stand_in::kubelet::CredentialProviderConfig;

use crate::plugin::{HOST, IMAGE, Plugin, binary, repository_file};

/// The fenced blocks of the README in `language`.
fn readme_blocks(language: &str) -> Vec<String> {
    let readme = repository_file("README.md");
    let blocks = readme.split("\n```").skip(1).step_by(2);
    let blocks =
        blocks.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n').map(str::to_owned));
    blocks.collect()
}

/// The README's configuration and key file, in a kubelet, get a password.
#[test]
fn the_samples_of_the_readme_work() {
    let (yaml, ini) = (readme_blocks("yaml"), readme_blocks("ini"));
    assert_eq!((yaml.len(), ini.len()), (3, 1), "the README has three configurations and one key file");
    let folder = tempfile::tempdir().expect("a directory");
    let key_file = folder.path().join("credentials");
    let key = ini[0].replace("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", SECRET_ACCESS_KEY);
    assert!(key.contains(ACCESS_KEY_ID) && key.contains(SECRET_ACCESS_KEY), "{key}");
    fs::write(&key_file, key).expect("written");

    let yaml = yaml[0].replace("/etc/ecr-credential-provider/credentials", &key_file.display().to_string());
    let config = CredentialProviderConfig::parse(&yaml).expect("the kubelet takes it");
    let (provider, _) = config.provider_for(IMAGE).expect("a pattern matches");
    symlink(binary(), folder.path().join(&provider.name)).expect("a bin dir");
    let aws = Aws::start();
    let environment = [
        ("AWS_ENDPOINT_URL_ECR", aws.url()),
        ("ECR_CREDENTIAL_PROVIDER_IMDS", "disabled".to_owned()),
        ("ECR_CREDENTIAL_PROVIDER_CACHE_DIR", folder.path().join("cache").display().to_string()),
    ];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let response = provider.ask(folder.path(), IMAGE, &environment).expect("an answer");
    let auth = response.auth.expect("a password");
    assert!(aws.accepts_password(&auth[HOST].password));
}

/// The README's settings file gives its mirror the vendor's password.
#[test]
fn the_settings_file_of_the_readme_works() {
    let folder = tempfile::tempdir().expect("a directory");
    let (key_file, settings_file) = (folder.path().join("credentials"), folder.path().join("config.yaml"));
    let key = readme_blocks("ini")[0].replace("[default]", "[sigrid]");
    fs::write(&key_file, key.replace("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", SECRET_ACCESS_KEY))
        .expect("written");
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).expect("changed");
    let yaml = &readme_blocks("yaml")[1];
    let yaml = yaml.replace("/etc/ecr-credential-provider/credentials", &key_file.display().to_string());
    fs::write(&settings_file, yaml).expect("written");
    let aws = Aws::start();
    let plugin = Plugin::bare()
        .env("ECR_CREDENTIAL_PROVIDER_CONFIG", settings_file.display().to_string())
        .env("AWS_ENDPOINT_URL_ECR", aws.url());
    let (password, _) = plugin.ask("registry.corp.example:5000/sigrid/api").credentials();
    assert!(aws.accepts_password(&password));
}

/// The request that README and `--help` show is one.
#[test]
fn the_request_that_is_shown_is_answered() {
    let aws = Aws::start();
    let scripts = readme_blocks("sh");
    let script = scripts.iter().find(|script| script.starts_with("echo '")).expect("a request");
    let help = Plugin::bare().args(&["--help"]).send("").stdout;
    let (_, shown) = help.split_once("echo '").expect("a request");
    for text in [script.as_str(), &format!("echo '{shown}")] {
        let request = text.split('\'').nth(1).expect("in quotes");
        assert_eq!(Plugin::with_key(&aws).send(request).code, Some(0), "{request}");
    }
}

#[test]
fn the_readme_lists_every_variable() {
    let readme = repository_file("README.md");
    for variable in VARIABLES {
        let row = format!("| `{}` | {} | {} |\n", variable.name, variable.default, variable.meaning);
        assert!(readme.contains(&row), "missing in README.md: {row}");
    }
}

/// `SNAPSHOTS=overwrite cargo test --test it docs` writes the page anew.
#[test]
fn the_page_of_errors_is_the_table_of_the_code() {
    let mut page = String::from(
        "# Errors\n\n\
         <!-- Generated from src/error.rs; see the_page_of_errors_is_the_table_of_the_code in tests/it/docs.rs. -->\n\n\
         A failure is one line on stderr, which the kubelet writes to its journal:\n\n\
         ```text\nECRP<nnn> <what failed>: <cause>; <remedy>\n```\n\n\
         The code and the words up to the first colon do not change. Exit status: 1, and 2 for ECRP001. With\n\
         ECRP100 it is 0: the answer is valid, and empty. So is that for ECR Public without a password (ECRP301 and\n\
         ECRP4xx).\n\n\
         | code | what failed | usual remedy |\n|---|---|---|\n",
    );
    for code in Code::ALL {
        let _ = writeln!(page, "| {code} | {} | {} |", code.title(), code.remedy());
    }
    assert_data_eq!(page, file!["../../packaging/doc/errors.md"].raw());
}
