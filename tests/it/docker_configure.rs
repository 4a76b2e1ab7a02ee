//! `docker configure`: what it writes into the files of docker and podman, and what it leaves alone.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use tempfile::TempDir;

use crate::plugin::{HOST, Outcome, Plugin, binary};

const ADDED: &str = "{\n\t\"credHelpers\": {\n\t\t\"571600876202.dkr.ecr.eu-central-1.amazonaws.com\": \"ecr-login\"\n\t}\n}\n";

/// A home, with the helper in `PATH`.
struct Home {
    folder: TempDir,
    plugin: Plugin,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::create_dir(folder.path().join("bin")).expect("a directory");
        symlink(binary(), folder.path().join("bin/docker-credential-ecr-login")).expect("a link");
        let plugin = Plugin::bare()
            .env("HOME", path("home"))
            .env("XDG_RUNTIME_DIR", path("run"))
            .env("PATH", format!("/nowhere:{}", path("bin")));
        Self { folder, plugin }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().expect("a parent")).expect("a directory");
        fs::write(self.path(name), text).expect("written");
    }

    #[expect(clippy::disallowed_methods, reason = "the test reads what the program wrote")]
    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn configure(&self, arguments: &[&str]) -> Outcome {
        let all = [&["docker", "configure"], arguments].concat();
        self.plugin.clone().args(&all).send("").masking(&self.folder.path().display(), "[FOLDER]")
    }
}

#[test]
fn the_usual_file_is_made_and_undone() {
    let home = Home::new();
    let file = "home/.docker/config.json";
    home.configure(&["--dry-run", HOST]).is(0, &format!("{HOST}: would be added to [FOLDER]/{file}\n"), "");
    assert!(!home.path("home").exists(), "a dry run writes nothing");
    home.configure(&[HOST]).is(0, &format!("{HOST}: added to [FOLDER]/{file}\n"), "");
    assert_eq!(home.read(file), ADDED);
    assert_eq!(home.path(file).metadata().expect("a file").mode() & 0o777, 0o600);
    assert_eq!(home.path("home/.docker").metadata().expect("a directory").mode() & 0o777, 0o700);
    home.configure(&[&format!("https://{HOST}/v2/")]).is(
        0,
        &format!("{HOST}: is in [FOLDER]/{file} already\n"),
        "",
    );
    home.configure(&["--undo", "--dry-run"]).is(
        0,
        &format!("{HOST}: would be removed from [FOLDER]/{file}\n"),
        "",
    );
    assert_eq!(home.read(file), ADDED);
    home.configure(&["--undo"]).is(0, &format!("{HOST}: removed from [FOLDER]/{file}\n"), "");
    assert!(!home.path(file).exists(), "there was no file before");
    home.configure(&["--undo"]).is(0, &format!("no registry has the helper in [FOLDER]/{file}\n"), "");
    home.configure(&["--undo", HOST]).is(
        0,
        &format!("{HOST}: does not have the helper in [FOLDER]/{file}\n"),
        "",
    );
}

/// What people and other programs have written stays as it is, to the last byte.
#[test]
fn a_file_that_is_there_keeps_its_form() {
    let home = Home::new();
    let file = "home/.docker/config.json";
    let before = "{\n  \"auths\" : {\"ghcr.io\": {\"auth\": \"Y2FuYXJ5\"}},\n\n  \"psFormat\": \"{{.Names}}\",\n  \
                  \"credsStore\": \"secretservice\"\n}";
    home.write("real/config.json", before);
    fs::set_permissions(home.path("real/config.json"), Permissions::from_mode(0o640)).expect("changed");
    fs::create_dir_all(home.path("home/.docker")).expect("a directory");
    symlink(home.path("real/config.json"), home.path(file)).expect("a link");
    let outcome = home.configure(&[HOST, "public.ecr.aws"]);
    outcome.is(
        0,
        &format!("{HOST}: added to [FOLDER]/{file}\npublic.ecr.aws: added to [FOLDER]/{file}\n"),
        "",
    );
    let helpers = format!(
        "  \"credsStore\": \"secretservice\",\n  \"credHelpers\": {{\n    \"{HOST}\": \"ecr-login\",\n    \
         \"public.ecr.aws\": \"ecr-login\"\n  }}\n}}"
    );
    assert_eq!(
        home.read("real/config.json"),
        before.replace("  \"credsStore\": \"secretservice\"\n}", &helpers)
    );
    assert_eq!(home.path("real/config.json").metadata().expect("a file").mode() & 0o777, 0o640);
    assert!(home.path(file).is_symlink());
    assert_eq!(fs::read_dir(home.path("real")).expect("a directory").count(), 1, "nothing is left beside it");
    assert_eq!(home.configure(&["--undo"]).code, Some(0));
    assert_eq!(home.read("real/config.json"), before);
}

#[test]
fn each_client_has_its_places() {
    type Row<'a> = (Option<(&'a str, &'a str)>, &'a [&'a str], &'a str);
    let rows: &[Row<'_>] = &[
        (None, &[], "home/.docker/config.json"),
        (Some(("DOCKER_CONFIG", "docker")), &[], "docker/config.json"),
        (None, &["--config", "elsewhere"], "elsewhere/config.json"),
        (None, &["--config", "elsewhere/file.json"], "elsewhere/file.json"),
        (None, &["--client", "podman"], "home/.config/containers/auth.json"),
        (Some(("XDG_CONFIG_HOME", "xdg")), &["--client", "podman"], "xdg/containers/auth.json"),
        (Some(("REGISTRY_AUTH_FILE", "auth")), &["--client", "podman"], "auth"),
        (None, &["--client", "podman", "--config", "elsewhere"], "elsewhere/auth.json"),
    ];
    for (variable, arguments, file) in rows {
        let mut home = Home::new();
        if let Some((name, value)) = variable {
            let value = home.path(value).display().to_string();
            home.plugin = home.plugin.env(name, value);
        }
        let there = home.folder.path().display().to_string();
        let arguments: Vec<_> =
            arguments.iter().map(|word| word.replace("elsewhere", &format!("{there}/elsewhere"))).collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).chain([HOST]).collect();
        home.configure(&arguments).is(0, &format!("{HOST}: added to [FOLDER]/{file}\n"), "");
        assert_eq!(home.read(file), ADDED, "{file}");
    }
    let homeless = Plugin::bare().args(&["docker", "configure", HOST]).send("");
    homeless.is(
        1,
        "",
        "ECRP230 the configuration of the client cannot be used: there is no HOME, so no usual place; name it by `--config`",
    );
}

#[test]
fn without_a_registry_those_of_the_settings_file_are_taken() {
    let mut home = Home::new();
    home.configure(&[]).is(
        1,
        "",
        "ECRP232 there is no registry to configure: none is named, [..]; name one: [..]",
    );
    home.write(
        "config.yaml",
        &format!(
            "registries:\n  - {{match: [{HOST}, {HOST}/team/, \"*.dkr.ecr.*.amazonaws.com\", other.example]}}\n  \
             - {{match: [\"registry.corp.example:5000/v/\"], registry: {HOST}}}\n"
        ),
    );
    let settings = home.path("config.yaml").display().to_string();
    home.plugin = home.plugin.env("ECR_CREDENTIAL_PROVIDER_CONFIG", settings);
    home.configure(&[]).is(
        0,
        &format!(
            "{HOST}: added to [FOLDER]/home/.docker/config.json\n\
             registry.corp.example:5000: added to [FOLDER]/home/.docker/config.json\n"
        ),
        "note: `*.dkr.ecr.*.amazonaws.com` of the settings file is a pattern, and clients want whole names: name the registries\n",
    );
}

#[test]
fn what_cannot_be_understood_is_not_changed() {
    let rows = [
        ("{", "ECRP230 the configuration of the client cannot be used: [..]: it is not a JSON object: [..]"),
        ("{\"auths\": \"Y2FuYXJ5\" \"\"}", "ECRP230 [..]"),
        ("[\"Y2FuYXJ5\"]", "ECRP230 [..]"),
        ("{\"credHelpers\": \"Y2FuYXJ5\"}", "ECRP230 [..]: `credHelpers` is not an object; [..]"),
        (
            "{\"credHelpers\": {\"571600876202.dkr.ecr.eu-central-1.amazonaws.com\": \"pass\"}}",
            "ECRP233 another helper is configured for this registry: [..]: `credHelpers` has `pass` for it; [..]",
        ),
    ];
    let home = Home::new();
    for (text, line) in rows {
        home.write("home/.docker/config.json", text);
        let outcome = home.configure(&[HOST]);
        outcome.is(1, "", line);
        assert!(!outcome.stderr.contains("Y2FuYXJ5"), "{outcome:#?}");
        assert_eq!(home.read("home/.docker/config.json"), text);
    }
    home.configure(&["ghcr.io"]).is(1, "", "ECRP100 not an ECR registry: `ghcr.io`: [..]");
    home.write("home/not-a-directory", "");
    let there = home.path("home/not-a-directory/sub").display().to_string();
    home.configure(&["--config", &there, HOST]).is(1, "", "ECRP230 [..]cannot read [..]");
}

/// A login that clients use in the place of the helper works for 12 hours, and then nobody knows why not.
#[test]
fn its_user_is_told_what_stands_in_the_way() {
    let home = Home::new();
    let login = format!("{{\"auths\": {{\"{HOST}\": {{\"auth\": \"Y2FuYXJ5\"}}}}}}");
    home.write("home/.docker/config.json", &login);
    home.write("run/containers/auth.json", &login);
    home.write("home/.config/helm/registry/config.json", &login);
    let outcome = home.configure(&[HOST]);
    outcome.is(
        0,
        &format!("{HOST}: added to [FOLDER]/home/.docker/config.json\n"),
        &format!(
            "note: [FOLDER]/home/.docker/config.json still has the password of a login to {HOST}, which is not used any \
             more: `docker logout {HOST}` or `podman logout {HOST}` removes it\n\
             note: [FOLDER]/run/containers/auth.json has a login to {HOST}, which comes before the helper for podman, \
             buildah and skopeo, until it ends: `podman logout {HOST}` removes it\n\
             note: [FOLDER]/home/.config/helm/registry/config.json has a login to {HOST}, which comes before the helper \
             for helm, until it ends: `helm registry logout {HOST}` removes it\n"
        ),
    );
    let home = Home::new();
    let outcome = Home { plugin: home.plugin.clone().env("PATH", "/nowhere"), ..home }.configure(&[HOST]);
    let link = format!(
        "ln -s {} /usr/local/bin/docker-credential-ecr-login",
        binary().canonicalize().expect("a path").display()
    );
    assert_eq!(
        outcome.stderr,
        format!("note: there is no `docker-credential-ecr-login` in PATH yet: {link}\n")
    );
    let home = Home::new();
    let helper = home.path("bin/docker-credential-ecr-login");
    fs::remove_file(&helper).expect("removed");
    home.write("bin/docker-credential-ecr-login", "#!/bin/sh\n");
    fs::set_permissions(&helper, Permissions::from_mode(0o755)).expect("changed");
    let outcome = home.configure(&[HOST]);
    assert_eq!(
        outcome.stderr,
        "note: `[FOLDER]/bin/docker-credential-ecr-login` is another program than this one, or another copy of it; clients \
         use that\n"
    );
}
