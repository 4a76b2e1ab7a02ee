//! Where AWS credentials come from, and what is said when there are none.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use ecr_credential_provider::protocol::ApiVersion;
use stand_in::aws::{ACCESS_KEY_ID, Aws, CONTAINER_TOKEN, SECRET_ACCESS_KEY, Seen};
use stand_in::proxy::{Manner, Proxy};
use tempfile::TempDir;

use crate::plugin::{HOST, IMAGE, Outcome, Plugin};

const TRIED: &str = "asking for a password for `571600876202.dkr.ecr.eu-central-1.amazonaws.com` at `AWS`";

/// A folder with files for the AWS configuration.
pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("created");
        fs::write(&path, text).expect("written");
        path.display().to_string()
    }

    pub(crate) fn script(&self, name: &str, text: &str) -> String {
        let path = self.write(name, &format!("#!/bin/sh\n{text}\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
        path
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

pub(crate) fn key_file(profile: &str) -> String {
    format!("[{profile}]\naws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n")
}

/// No credentials yet, but AWS at every endpoint.
pub(crate) fn without_credentials(aws: &Aws) -> Plugin {
    Plugin::bare().env("AWS_ENDPOINT_URL_ECR", aws.url()).env("AWS_ENDPOINT_URL_STS", aws.url())
}

/// The plugin gets a password, and this is what AWS saw.
#[track_caller]
pub(crate) fn succeeds(plugin: &Plugin, aws: &Aws) -> Vec<Seen> {
    let password = plugin.ask(IMAGE).answered(ApiVersion::V1, HOST, "6h0m0s");
    assert!(aws.accepts_password(&password));
    aws.seen()
}

#[track_caller]
fn assert_signed_by_a_temporary_identity(call: &Seen) {
    assert_eq!(call.operation, "ecr:GetAuthorizationToken");
    assert!(call.access_key_id.starts_with("ASIA"), "{call:?}");
    assert!(
        call.session_token.as_ref().is_some_and(|token| token.starts_with("canary-session-")),
        "{call:?}"
    );
}

#[test]
fn shared_credentials_file_by_absolute_path() {
    let (aws, files) = (Aws::start(), Files::new());
    let plugin = without_credentials(&aws)
        .env("AWS_SHARED_CREDENTIALS_FILE", files.write("etc/credentials", &key_file("default")));
    assert_eq!(succeeds(&plugin, &aws)[0].access_key_id, ACCESS_KEY_ID);
}

#[test]
fn profile_of_a_credentials_file() {
    let (aws, files) = (Aws::start(), Files::new());
    let plugin = without_credentials(&aws)
        .env("AWS_PROFILE", "sigrid")
        .env("AWS_SHARED_CREDENTIALS_FILE", files.write("credentials", &key_file("sigrid")));
    succeeds(&plugin, &aws);
}

#[test]
fn files_below_home_where_there_is_one() {
    let (aws, files) = (Aws::start(), Files::new());
    files.write(".aws/credentials", &key_file("default"));
    succeeds(&without_credentials(&aws).env("HOME", files.path("").display().to_string()), &aws);
}

#[test]
fn role_of_a_profile_is_assumed_in_the_region_of_the_registry() {
    let (aws, files) = (Aws::start(), Files::new());
    let config = "[profile sigrid]\nrole_arn = arn:aws:iam::571600876202:role/pull\nsource_profile = base\n\
                  external_id = customer-42\n";
    let plugin = without_credentials(&aws)
        .env("AWS_PROFILE", "sigrid")
        .env("AWS_CONFIG_FILE", files.write("config", config))
        .env("AWS_SHARED_CREDENTIALS_FILE", files.write("credentials", &key_file("base")));
    let calls = succeeds(&plugin, &aws);
    assert_eq!((calls[0].operation.as_str(), calls[0].region.as_str()), ("sts:AssumeRole", "eu-central-1"));
    assert!(calls[0].body.contains("ExternalId=customer-42"), "{:?}", calls[0]);
    assert_signed_by_a_temporary_identity(&calls[1]);
}

/// The field of a form that STS was sent.
fn sent(call: &Seen, field: &str) -> String {
    let start = format!("{field}=");
    let value = call.body.split('&').find_map(|pair| pair.strip_prefix(&start));
    value.unwrap_or_default().replace("%3A", ":").replace("%2F", "/").replace("%40", "@")
}

/// The name that this node gives to its sessions.
fn session_of_this_node() -> String {
    let node = read(Path::new("/proc/sys/kernel/hostname"));
    let name = format!("ecr-credential-provider@{}", node.trim());
    name.chars()
        .take(64)
        .map(|c| if c.is_ascii_alphanumeric() || "_+=,.@-".contains(c) { c } else { '-' })
        .collect()
}

#[test]
fn a_role_that_is_assumed_from_another() {
    let (aws, files) = (Aws::start(), Files::new());
    let config = "[default]\nrole_arn = arn:aws:iam::571600876202:role/pull\nsource_profile = hub\n\
                  external_id = customer-42\nduration_seconds = 900\nrole_session_name = mine\n\
                  [profile hub]\nrole_arn = arn:aws:iam::111122223333:role/hub\nsource_profile = base\n";
    let plugin = without_credentials(&aws)
        .env("AWS_CONFIG_FILE", files.write("config", config))
        .env("AWS_SHARED_CREDENTIALS_FILE", files.write("credentials", &key_file("base")));
    let calls = succeeds(&plugin, &aws);
    let [hub, pull, ecr] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!(sent(hub, "RoleArn"), "arn:aws:iam::111122223333:role/hub");
    assert_eq!(
        (sent(hub, "RoleSessionName"), sent(hub, "ExternalId")),
        (session_of_this_node(), String::new())
    );
    assert_eq!(sent(pull, "RoleArn"), "arn:aws:iam::571600876202:role/pull");
    assert_eq!(
        (sent(pull, "RoleSessionName"), sent(pull, "ExternalId")),
        ("mine".into(), "customer-42".into())
    );
    assert_eq!(sent(pull, "DurationSeconds"), "900");
    assert_eq!(hub.access_key_id, ACCESS_KEY_ID);
    assert!(pull.access_key_id.starts_with("ASIA") && pull.access_key_id != ecr.access_key_id, "{calls:?}");
    assert_signed_by_a_temporary_identity(ecr);
}

/// As in the AWS SDKs: in a profile that another names, the key comes before the role.
#[test]
fn a_source_profile_with_a_key_and_a_role() {
    let (aws, files) = (Aws::start(), Files::new());
    let config = "[default]\nrole_arn = arn:aws:iam::571600876202:role/pull\nsource_profile = hub\n\
                  [profile hub]\nrole_arn = arn:aws:iam::111122223333:role/hub\nsource_profile = hub\n";
    let plugin = without_credentials(&aws)
        .env("AWS_CONFIG_FILE", files.write("config", config))
        .env("AWS_SHARED_CREDENTIALS_FILE", files.write("credentials", &key_file("hub")));
    let calls = succeeds(&plugin, &aws);
    assert_eq!((calls.len(), calls[0].access_key_id.as_str()), (2, ACCESS_KEY_ID));
    assert_eq!(sent(&calls[0], "RoleArn"), "arn:aws:iam::571600876202:role/pull");
}

#[test]
fn a_role_that_is_assumed_with_the_key_of_the_same_profile() {
    let (aws, files) = (Aws::start(), Files::new());
    let role = "role_arn = arn:aws:iam::571600876202:role/pull\nsource_profile = default\n";
    let file = files.write("credentials", &format!("{}{role}", key_file("default")));
    let calls = succeeds(&without_credentials(&aws).env("AWS_SHARED_CREDENTIALS_FILE", file), &aws);
    assert_eq!(
        (calls[0].operation.as_str(), calls[0].access_key_id.as_str()),
        ("sts:AssumeRole", ACCESS_KEY_ID)
    );
}

#[test]
fn a_session_has_the_name_of_the_node_unless_another_was_set() {
    let (aws, files) = (Aws::start(), Files::new());
    let token = files.write("token", "canary-web-identity");
    let config = format!(
        "[profile named]\nrole_arn = arn:aws:iam::571600876202:role/pull\nweb_identity_token_file = {token}\n\
         role_session_name = of-the-profile\n\
         [profile plain]\nrole_arn = arn:aws:iam::571600876202:role/pull\nweb_identity_token_file = {token}\n"
    );
    let plugin = without_credentials(&aws).env("AWS_CONFIG_FILE", files.write("config", &config));
    let by_environment = plugin
        .clone()
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", token)
        .env("AWS_ROLE_ARN", "arn:aws:iam::571600876202:role/pull");
    let of_node = session_of_this_node();
    let rows = [
        (by_environment.clone(), of_node.as_str()),
        (by_environment.env("AWS_ROLE_SESSION_NAME", "of-the-variable"), "of-the-variable"),
        (plugin.clone().env("AWS_PROFILE", "plain"), &of_node),
        (plugin.env("AWS_PROFILE", "named"), "of-the-profile"),
    ];
    for (row, (plugin, expected)) in rows.into_iter().enumerate() {
        let calls = succeeds(&plugin, &aws);
        assert_eq!(calls[2 * row].operation, "sts:AssumeRoleWithWebIdentity");
        assert_eq!(sent(&calls[2 * row], "RoleSessionName"), expected, "row {row}");
    }
}

#[test]
fn a_container_gives_the_credentials_for_a_role() {
    let (aws, files) = (Aws::start(), Files::new());
    let config =
        "[default]\nrole_arn = arn:aws:iam::571600876202:role/pull\ncredential_source = EcsContainer\n";
    let plugin = without_credentials(&aws).env("AWS_CONFIG_FILE", files.write("config", config));
    plugin.ask(IMAGE).failed(
        "ECRP302 a source of AWS credentials failed: getting credentials from profile `default`: the profile wants \
         container: no `AWS_CONTAINER_CREDENTIALS_FULL_URI`; [..]",
    );
    let plugin = plugin
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/container-credentials", aws.url()))
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", CONTAINER_TOKEN);
    let calls = succeeds(&plugin, &aws);
    assert_eq!(calls[1].operation, "sts:AssumeRole");
    assert!(calls[1].access_key_id.starts_with("ASIA"), "{calls:?}");
}

/// `/dev/fd/3` and its kin can be read once.
#[test]
fn a_file_may_be_a_pipe() {
    let (aws, files) = (Aws::start(), Files::new());
    let pipe = files.path("pipe").display().to_string();
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::write(pipe, key_file("default"))
    });
    let plugin =
        without_credentials(&aws).env("AWS_SHARED_CREDENTIALS_FILE", pipe).with_cache(&files.path("cache"));
    let password = plugin.ask(IMAGE).credentials().0;
    assert!(aws.accepts_password(&password));
    writer.join().expect("no panic").expect("written");
}

#[test]
fn role_that_may_not_be_assumed() {
    let (aws, files) = (Aws::start(), Files::new());
    let config = "[default]\nrole_arn = arn:aws:iam::571600876202:role/forbidden\nsource_profile = base\n";
    let plugin = without_credentials(&aws)
        .env("AWS_CONFIG_FILE", files.write("config", config))
        .env("AWS_SHARED_CREDENTIALS_FILE", files.write("credentials", &key_file("base")));
    plugin.ask(IMAGE).masking(&aws.address(), "AWS").failed(
        "ECRP401 AWS denies access: getting credentials from profile `default` at `AWS`: AccessDenied: User \
         is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::571600876202:role/forbidden (status \
         403); name this identity in the trust policy of the role, and allow it `sts:AssumeRole`",
    );
}

#[test]
fn web_identity_token() {
    let (aws, files) = (Aws::start(), Files::new());
    let plugin = without_credentials(&aws)
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", files.write("token", "canary-web-identity"))
        .env("AWS_ROLE_ARN", "arn:aws:iam::571600876202:role/pull");
    let calls = succeeds(&plugin, &aws);
    assert_eq!(calls[0].operation, "sts:AssumeRoleWithWebIdentity");
    assert_signed_by_a_temporary_identity(&calls[1]);
}

#[test]
fn container_credentials() {
    let aws = Aws::start();
    let plugin = without_credentials(&aws)
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/container-credentials", aws.url()))
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", CONTAINER_TOKEN);
    assert_signed_by_a_temporary_identity(&succeeds(&plugin, &aws)[1]);

    let refused = plugin.env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "wrong").ask(IMAGE);
    refused.masking(&aws.address(), "AWS").failed(
        "ECRP302 a source of AWS credentials failed: getting credentials from the container credentials endpoint at \
         `AWS`: [..]; repair that source, or remove its setting so that the next source is asked",
    );
}

#[test]
fn instance_metadata_where_it_is_enabled_and_never_through_a_proxy() {
    let aws = Aws::start();
    let proxy = Proxy::start(aws.address(), Manner::Open);
    let plugin = without_credentials(&aws)
        .env("ECR_CREDENTIAL_PROVIDER_IMDS", "enabled")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", aws.url())
        .env("HTTP_PROXY", format!("http://{}", proxy.authority()));
    let calls = succeeds(&plugin, &aws);
    let operations: Vec<_> = calls.iter().map(|call| call.operation.as_str()).collect();
    let role = "/latest/meta-data/iam/security-credentials/";
    assert_eq!(
        operations,
        [
            "PUT /latest/api/token".to_owned(),
            format!("GET {role}"),
            format!("GET {role}node-role"),
            "ecr:GetAuthorizationToken".to_owned(),
        ]
    );
    assert_signed_by_a_temporary_identity(&calls[3]);
    assert!(proxy.asked().is_empty(), "{:?}", proxy.asked());
}

#[test]
fn instance_metadata_where_a_profile_says() {
    let (aws, files) = (Aws::start(), Files::new());
    let config = format!("[default]\nec2_metadata_service_endpoint = {}\n", aws.url());
    let plugin = without_credentials(&aws)
        .env("ECR_CREDENTIAL_PROVIDER_IMDS", "enabled")
        .env("AWS_CONFIG_FILE", files.write("config", &config));
    assert_signed_by_a_temporary_identity(&succeeds(&plugin, &aws)[3]);
}

#[test]
fn instance_metadata_in_a_mode_that_does_not_exist() {
    let aws = Aws::start();
    let plugin = without_credentials(&aws)
        .env("ECR_CREDENTIAL_PROVIDER_IMDS", "enabled")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv5");
    plugin.ask(IMAGE).failed(
        "ECRP203 the AWS configuration cannot be used: the endpoint mode `IPv5` of instance metadata: it must be IPv4 or \
         IPv6; [..]",
    );
}

/// Nothing anywhere: one line lists what was looked at.
fn nothing_found(instance_metadata: &str) -> String {
    format!(
        "ECRP301 no AWS identity found: environment: no `AWS_ACCESS_KEY_ID`; profile `default`: no \
         `AWS_SHARED_CREDENTIALS_FILE` and no HOME, no `AWS_CONFIG_FILE` and no HOME; web identity: no \
         `AWS_WEB_IDENTITY_TOKEN_FILE`; container: no `AWS_CONTAINER_CREDENTIALS_FULL_URI`; instance metadata: \
         {instance_metadata}; give the provider one: `AWS_SHARED_CREDENTIALS_FILE` with an absolute path in the `env` \
         of the CredentialProviderConfig is the usual way outside EC2"
    )
}

#[test]
fn instance_metadata_is_left_alone_where_it_is_not_wanted() {
    let aws = Aws::start();
    let plugin = without_credentials(&aws).env("AWS_EC2_METADATA_SERVICE_ENDPOINT", aws.url());
    plugin.ask(IMAGE).failed(&nothing_found("disabled"));
    let by_sdk_variable =
        plugin.without("ECR_CREDENTIAL_PROVIDER_IMDS").env("AWS_EC2_METADATA_DISABLED", "true");
    by_sdk_variable.ask(IMAGE).failed(&nothing_found("disabled"));
    assert_eq!(aws.seen().len(), 0);
}

/// What `auto` does depends on the machine that runs the test, so the test asks the machine too.
#[test]
fn instance_metadata_is_asked_by_default_only_on_ec2() {
    let aws = Aws::start();
    let plugin = without_credentials(&aws)
        .without("ECR_CREDENTIAL_PROVIDER_IMDS")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", aws.url());
    let vendor = Path::new("/sys/class/dmi/id/sys_vendor");
    if vendor.exists() && read(vendor).trim() == "Amazon EC2" {
        assert_signed_by_a_temporary_identity(&succeeds(&plugin, &aws)[3]);
    } else {
        plugin.ask(IMAGE).failed(&nothing_found("not asked, this machine is not EC2"));
        assert_eq!(aws.seen().len(), 0);
    }
}

#[test]
fn a_profile_cannot_reach_instance_metadata_where_it_is_not_wanted() {
    let (aws, files) = (Aws::start(), Files::new());
    let config = "[default]\nrole_arn = arn:aws:iam::571600876202:role/pull\ncredential_source = Ec2InstanceMetadata\n";
    let plugin = without_credentials(&aws)
        .env("AWS_CONFIG_FILE", files.write("config", config))
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", aws.url());
    plugin.ask(IMAGE).failed(
        "ECRP302 a source of AWS credentials failed: getting credentials from profile `default`: the profile wants \
         instance metadata: disabled; [..]",
    );
    assert_eq!(aws.seen().len(), 0);
    let enabled = plugin.env("ECR_CREDENTIAL_PROVIDER_IMDS", "enabled");
    assert_eq!(succeeds(&enabled, &aws)[3].operation, "sts:AssumeRole");
}

#[test]
fn an_empty_session_token_is_none() {
    let (aws, files) = (Aws::start(), Files::new());
    let file = format!("{}aws_session_token =\n", key_file("default"));
    let plugin =
        without_credentials(&aws).env("AWS_SHARED_CREDENTIALS_FILE", files.write("credentials", &file));
    assert_eq!(succeeds(&plugin, &aws)[0].session_token, None);
}

/// What a configuration file can be that it should not be, and the line that says so.
#[test]
fn a_broken_configuration_names_the_file_and_what_is_wrong() {
    let half = format!("[default]\naws_access_key_id = {ACCESS_KEY_ID}\n");
    let rows = [
        (
            "[default\nregion = x\n".to_owned(),
            "could not parse profile file: error parsing FILE on line 1: Profile definition must end with ']'",
        ),
        (
            "aws_access_key_id = x\n".to_owned(),
            "could not parse profile file: error parsing FILE on line 1: [..]",
        ),
        (
            "[default]\naws_secret_access_key canary\n".to_owned(),
            "could not parse profile file: error parsing FILE on line 2: Expected an '=' sign defining a property",
        ),
        (
            "\u{feff}[default]\n".to_owned(),
            "could not parse profile file: error parsing FILE on line 1: [..]",
        ),
        (half, "profile `default` has `aws_access_key_id`, but no `aws_secret_access_key`"),
        (
            "[default]\nrole_arn = a\nsource_profile = nope\n".to_owned(),
            "profile `default` has the `source_profile` `nope`, which does not exist",
        ),
        (
            "[default]\nrole_arn = a\nsource_profile = b\n[b]\nrole_arn = b\nsource_profile = c\n[c]\nrole_arn = c\n\
             source_profile = b\n"
                .to_owned(),
            "the `source_profile` of each profile leads in a circle: `default`, `b`, `c`, `b`",
        ),
        (
            "[default]\nrole_arn = a\nsource_profile = b\n[b]\nregion = x\n".to_owned(),
            "profile `b` has no key, role or `credential_process`",
        ),
        (
            "[default]\nrole_arn = a\n".to_owned(),
            "profile `default` has `role_arn`, but neither `source_profile` nor `credential_source`",
        ),
        (
            "[default]\nrole_arn = a\nsource_profile = b\ncredential_source = Environment\n".to_owned(),
            "profile `default` has both `source_profile` and `credential_source`",
        ),
        (
            "[default]\nsource_profile = b\n".to_owned(),
            "profile `default` has `source_profile`, but no `role_arn`",
        ),
        (
            "[default]\nrole_arn = a\ncredential_source = Moon\n".to_owned(),
            "profile `default` has the `credential_source` `Moon`: it must be Environment, EcsContainer or \
             Ec2InstanceMetadata",
        ),
        (
            "[default]\nweb_identity_token_file = /token\n".to_owned(),
            "profile `default` has `web_identity_token_file`, but no `role_arn`",
        ),
        (
            "[default]\nrole_arn = a\nsource_profile = b\nduration_seconds = 1h\n".to_owned(),
            "profile `default` has the `duration_seconds` `1h`, which is no number",
        ),
        (
            "[default]\nrole_arn = a\nsource_profile = b\nmfa_serial = arn:aws:iam::1:mfa/me\n".to_owned(),
            "profile `default` has `mfa_serial`: a node has no MFA device",
        ),
        (
            "[default]\nsso_session = corp\n".to_owned(),
            "profile `default` has `sso_session`: a node cannot sign in",
        ),
    ];
    for (text, cause) in rows {
        let (aws, files) = (Aws::start(), Files::new());
        let file = files.write("credentials", &text);
        let outcome = without_credentials(&aws).env("AWS_SHARED_CREDENTIALS_FILE", file.clone()).ask(IMAGE);
        outcome
            .masking(&file, "FILE")
            .failed(&format!("ECRP203 the AWS configuration cannot be used: {cause}; [..]"));
    }
}

#[test]
fn a_configuration_file_that_cannot_be_read_is_not_passed_over() {
    let (aws, files) = (Aws::start(), Files::new());
    let folder = files.path("").display().to_string();
    let not_text = files.path("latin1");
    fs::write(&not_text, b"[default]\n# \xfc\n").expect("written");
    let rows = [
        (folder.clone(), format!("cannot read `{folder}`: Is a directory (os error 21)")),
        (not_text.display().to_string(), format!("`{}` is not UTF-8 text", not_text.display())),
    ];
    for (file, cause) in rows {
        without_credentials(&aws).env("AWS_SHARED_CREDENTIALS_FILE", file).ask(IMAGE).failed(&format!(
            "ECRP203 the AWS configuration cannot be used: {cause}; correct the file, profile or variable that is named"
        ));
    }
}

/// A profile that was named must not be replaced by whatever identity comes next.
#[test]
fn a_profile_that_was_named_and_does_not_exist() {
    let (aws, files) = (Aws::start(), Files::new());
    let plugin = without_credentials(&aws)
        .env("AWS_PROFILE", "sigird")
        .env("AWS_SHARED_CREDENTIALS_FILE", files.write("credentials", &key_file("sigrid")))
        .env("AWS_CONFIG_FILE", "/nonexistent/config")
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/container-credentials", aws.url()))
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", CONTAINER_TOKEN);
    plugin.ask(IMAGE).masking(&files.path("credentials").display(), "FILE").failed(
        "ECRP203 the AWS configuration cannot be used: `AWS_PROFILE` names a profile that does not exist: profile `sigird`: \
         not in `FILE`, `/nonexistent/config` does not exist; correct the file, profile or variable that is named",
    );
    assert_eq!(aws.seen().len(), 0);
}

#[test]
fn a_file_that_is_named_and_does_not_exist() {
    let aws = Aws::start();
    let plugin = without_credentials(&aws).env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials");
    plugin.ask(IMAGE).failed(
        "ECRP301 no AWS identity found: [..]; profile `default`: `/nonexistent/credentials` does not exist, no \
         `AWS_CONFIG_FILE` and no HOME; [..]",
    );
    let plugin = without_credentials(&aws)
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent/token")
        .env("AWS_ROLE_ARN", "arn:aws:iam::571600876202:role/pull");
    plugin.ask(IMAGE).failed(
        "ECRP302 a source of AWS credentials failed: getting credentials from the web identity token in \
         `/nonexistent/token`: cannot read `/nonexistent/token`: No such file or directory (os error 2); [..]",
    );
}

/// The role is assumed, and then ECR cannot be asked: STS is not to blame.
#[test]
fn the_right_endpoint_is_blamed() {
    let (aws, files) = (Aws::start(), Files::new());
    let config = "[default]\nrole_arn = arn:aws:iam::571600876202:role/pull\nsource_profile = base\n";
    let plugin = without_credentials(&aws)
        .env("AWS_CONFIG_FILE", files.write("config", config))
        .env("AWS_SHARED_CREDENTIALS_FILE", files.write("credentials", &key_file("base")))
        .env("AWS_ENDPOINT_URL_ECR", "not a url");
    plugin.ask(IMAGE).failed(
        "ECRP203 the AWS configuration cannot be used: asking for a password for \
         `571600876202.dkr.ecr.eu-central-1.amazonaws.com`: invalid uri character; [..]",
    );
}

fn with_key(aws: &Aws, id: &str, secret: &str) -> Outcome {
    let plugin = without_credentials(aws).env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret);
    plugin.ask(IMAGE).masking(&aws.address(), "AWS")
}

#[test]
fn keys_that_aws_does_not_accept() {
    let aws = Aws::start();
    let remedy =
        "check that key id and secret belong together, are active, and are of the partition of the registry";
    let request = "request id 00000000-1111-2222-3333-444444444444";
    with_key(&aws, "AKIAUNKNOWN", SECRET_ACCESS_KEY).failed(&format!(
        "ECRP402 AWS does not accept the access key: {TRIED}: UnrecognizedClientException: The security token included \
         in the request is invalid. (status 400, {request}); {remedy}"
    ));
    with_key(&aws, ACCESS_KEY_ID, "wrong").failed(&format!(
        "ECRP402 AWS does not accept the access key: {TRIED}: InvalidSignatureException: The request signature we \
         calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. \
         (status 400, {request}); {remedy}"
    ));
}

#[test]
fn keys_that_cannot_be_sent() {
    let aws = Aws::start();
    let rows = [
        ("AKIA EXAMPLE", SECRET_ACCESS_KEY, "the access key id"),
        ("AKIA\nEXAMPLE", SECRET_ACCESS_KEY, "the access key id"),
        (ACCESS_KEY_ID, "two\nlines", "the secret access key"),
    ];
    for (id, secret, part) in rows {
        with_key(&aws, id, secret).failed(&format!(
            "ECRP303 the AWS credentials are malformed: getting credentials from the environment: {part} is empty, or \
             holds spaces or control characters; copy the access key again, on one line and without quotes"
        ));
    }
    assert_eq!(aws.seen().len(), 0);
}

#[expect(clippy::disallowed_methods, reason = "the test asks the machine what it is")]
fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("readable")
}
