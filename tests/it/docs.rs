//! What the documentation promises is what the code does: its samples run, its tables are the code's.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use ecr_credential_provider::error::Code;
use ecr_credential_provider::settings::VARIABLES;
use snapbox::{assert_data_eq, file};
use stand_in::aws::{ACCESS_KEY_ID, Aws, SECRET_ACCESS_KEY};
use stand_in::kubelet::CredentialProviderConfig;

use crate::node_config::files_below;
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

/// Every page of the repository, by its path.
fn pages() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let below = ["node-config", "packaging"].map(|folder| {
        files_below(&root.join(folder)).into_iter().map(move |file| format!("{folder}/{file}"))
    });
    let is_page = |file: &String| Path::new(file).extension().is_some_and(|end| end == "md");
    let pages = below.into_iter().flatten().filter(is_page);
    ["README.md".to_owned()].into_iter().chain(pages).collect()
}

/// A page without its fenced blocks.
fn prose(page: &str) -> String {
    repository_file(page).split("```").step_by(2).collect()
}

/// What the headings of a page are called in links, as GitHub has it.
fn sections(page: &str) -> Vec<String> {
    let prose = prose(page);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let kept = |letter: char| letter.is_alphanumeric() || "-_ ".contains(letter);
    let name = |heading: &str| heading.trim_matches(['#', ' ']).to_lowercase();
    headings.map(|heading| name(heading).replace(|letter| !kept(letter), "").replace(' ', "-")).collect()
}

/// Files and sections that are linked to are there. Other sites are not asked.
#[test]
fn every_link_leads_somewhere() {
    let mut seen = 0;
    for page in pages() {
        let prose = prose(&page);
        let inline = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let named =
            prose.lines().filter(|line| line.starts_with('[')).filter_map(|line| line.split_once("]: "));
        for link in inline.chain(named.map(|(_, link)| link)).filter(|link| !link.starts_with("https://")) {
            let (file, section) = link.split_once('#').unwrap_or((link, ""));
            let folder = Path::new(&page).parent().expect("a folder");
            let target = if file.is_empty() { page.clone().into() } else { folder.join(file) };
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&target);
            assert!(path.exists(), "{page}: {link} is not there");
            let target = target.to_str().expect("text");
            assert!(
                section.is_empty() || sections(target).iter().any(|name| name == section),
                "{page}: {link} is no section"
            );
            seen += 1;
        }
    }
    assert!(seen > 100, "only {seen} links were found");
}

#[test]
fn the_readme_lists_every_test_that_is_run_by_hand() {
    let tests = files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"));
    let scripts: Vec<_> = tests.iter().filter(|file| file.ends_with("/run")).collect();
    assert!(scripts.len() > 5, "{scripts:?}");
    let readme = repository_file("README.md");
    for script in scripts {
        assert!(readme.contains(&format!("| `tests/{script}` |")), "missing in README.md: tests/{script}");
    }
}
