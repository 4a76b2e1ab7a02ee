//! What tells one token from another.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;

use sha2::{Digest, Sha256};

use crate::context::Context;
use crate::host::FileError;
use crate::key_pair::KeyPair;
use crate::registry::Registry;
use crate::service_account::{Claims, PodRole};
use crate::settings::{ProxySetting, RolesAnywhereSetting, Settings};

/// Changes when the meaning of a key or the format of an entry does, so that versions of this program that
/// run side by side do not see each other's entries.
const FORMAT: &str = "ecr-credential-provider token 2";

/// Variables of the AWS SDK that change neither the identity nor which service is asked. The region is the
/// registry's. Of the configuration files, the profile and what is in them count, and not who named them.
const WITHOUT_EFFECT: &[&str] = &[
    "AWS_CONFIG_FILE",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_MAX_ATTEMPTS",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_RETRY_MODE",
    "AWS_SDK_UA_APP_ID",
    "AWS_SHARED_CREDENTIALS_FILE",
];

/// Variables that only change the way to the service, and so whether it can be reached.
const OF_THE_WAY: &[&str] = &[
    "ALL_PROXY",
    "AWS_CA_BUNDLE",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// Everything that decides which token AWS issues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Inputs<'a> {
    /// `ecr` or `ecr-public`.
    service: &'a str,
    partition: &'a str,
    region: &'a str,
    fips: bool,
    /// What the settings file and the environment say of endpoint, kind of endpoint and instance metadata.
    settings: &'a str,
    /// The variables that the AWS SDK may read, but for those of [`WITHOUT_EFFECT`] and [`OF_THE_WAY`].
    environment: BTreeMap<&'a OsStr, &'a OsStr>,
    /// The name of the profile.
    profile: &'a str,
    /// The role that asks for a pod or a certificate, and for whom; empty if another identity asks.
    asker: &'a str,
    /// What is in the shared credentials file; none if there is no such file.
    credentials: Option<&'a [u8]>,
    /// The same of the AWS configuration file.
    config: Option<&'a [u8]>,
}

/// The name of a token among the others, and the name of a way to get it, in hexadecimal digits.
///
/// They are hashes of all inputs. Some of these are secret, so that another secret is another name; none can
/// be read back from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    token: String,
    way: String,
}

impl Key {
    /// The key for `registry` in this environment. The registries of all accounts share it.
    pub(super) fn of(registry: &Registry, context: &Context<'_>) -> Result<Self, String> {
        let matters = |name: &OsStr| match name.to_str() {
            Some(name) => name.starts_with("AWS_") && ![WITHOUT_EFFECT, OF_THE_WAY].concat().contains(&name),
            None => false,
        };
        let variables = || context.host.variables();
        let Settings { imds, endpoint, fips, identity, .. } = &context.settings;
        // Which files and profile it is stands below; here, that they are the only ones.
        let is_profile_named = context.aws_files.names_profile.is_some();
        let settings = format!("{imds:?} {endpoint:?} {fips:?} {} {is_profile_named}", identity.is_some());
        // With its DNS names, which the settings file may have corrected.
        let partition = format!("{:?}", registry.partition());
        let unreadable = |error: &FileError| error.to_string();
        let asker = match &context.pod_role {
            Some(role) => of_pod(role),
            None => match context.roles_anywhere() {
                Some((setting, pair)) => of_certificate(setting, pair.map_err(|error| error.to_string())?),
                None => String::new(),
            },
        };
        let inputs = Inputs {
            settings: &settings,
            service: registry.service(),
            partition: &partition,
            region: registry.region(),
            fips: registry.is_fips(),
            environment: variables().filter(|(name, _)| matters(name)).collect(),
            profile: &context.aws_files.profile,
            asker: &asker,
            credentials: context.aws_files.credentials.content(&context.watchdog).map_err(unreadable)?,
            config: context.aws_files.config.content(&context.watchdog).map_err(unreadable)?,
        };
        let is_of_the_way = |name: &OsStr| name.to_str().is_some_and(|name| OF_THE_WAY.contains(&name));
        let mut way = Hash::default();
        way.add(&[u8::from(registry.is_dual_stack())]);
        let Settings { proxy, no_proxy, ca_bundles, dual_stack, .. } = &context.settings;
        let url = match proxy {
            Some(ProxySetting::Url(url)) => url.expose(),
            Some(ProxySetting::Direct) => "direct",
            None => "",
        };
        way.add(format!("{url} {no_proxy:?} {ca_bundles:?} {dual_stack:?}").as_bytes());
        for (name, value) in variables().filter(|(name, _)| is_of_the_way(name)) {
            way.add(name.as_bytes());
            way.add(value.as_bytes());
        }
        let mut way = way.digits();
        way.truncate(16);
        Ok(Self { token: inputs.digits(), way })
    }

    /// 64 digits.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// 16 digits. The same token may be out of reach by one way and not by another.
    pub(super) fn way(&self) -> &str {
        &self.way
    }
}

/// Pods of one service account share a token, whichever token of the cluster they came with. AWS lets a service
/// account have the role, so another one with the same role has to ask for itself. A token that does not say
/// whose it is is for itself alone.
fn of_pod(role: &PodRole) -> String {
    let PodRole { arn, token, claims } = role;
    match claims {
        Some(Claims { issuer, subject, audiences, uid, .. }) => {
            format!("{:?}", (arn.as_str(), issuer, subject, audiences, uid))
        }
        None => format!("{:?}", (arn.as_str(), token.expose())),
    }
}

/// The names in the certificate, and not its number: a certificate that was renewed is the same node's. AWS tags
/// sessions with the names, and policies may look at them.
fn of_certificate(setting: &RolesAnywhereSetting, pair: &KeyPair) -> String {
    let RolesAnywhereSetting { trust_anchor, profile, role, session_name, .. } = setting;
    format!("{:?}", (trust_anchor, profile, role, session_name, pair.leaf.names()))
}

/// A name for what is kept of a registry itself, in as many digits as a key has.
pub(super) fn of_registry(registry: &Registry) -> String {
    let mut hash = Hash::default();
    hash.add(b"ecr-credential-provider registry");
    hash.add(registry.to_string().as_bytes());
    hash.digits()
}

impl Inputs<'_> {
    fn digits(&self) -> String {
        let Self {
            service,
            partition,
            region,
            fips,
            settings,
            environment,
            profile,
            asker,
            credentials,
            config,
        } = self;
        let mut hash = Hash::default();
        for part in [FORMAT, service, partition, region, settings, profile, asker] {
            hash.add(part.as_bytes());
        }
        hash.add(&[u8::from(*fips)]);
        for file in [credentials, config] {
            hash.add(&[u8::from(file.is_some())]);
            hash.add(file.unwrap_or_default());
        }
        for (name, value) in environment {
            hash.add(name.as_bytes());
            hash.add(value.as_bytes());
        }
        hash.digits()
    }
}

/// A hash of parts. Each goes in with its length, so that no two sequences of parts are the same bytes.
#[derive(Default)]
struct Hash(Sha256);

impl Hash {
    fn add(&mut self, part: &[u8]) {
        self.0.update(part.len().to_le_bytes());
        self.0.update(part);
    }

    fn digits(self) -> String {
        let mut digits = String::with_capacity(64);
        for byte in self.0.finalize() {
            let _ = write!(digits, "{byte:02x}");
        }
        digits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_map;
    use proptest::option;
    use proptest::prelude::*;

    /// Owned inputs of few different texts, so that some are equal, and some are only equal when joined.
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Owned {
        texts: [String; 6],
        fips: bool,
        environment: BTreeMap<String, String>,
        files: [Option<Vec<u8>>; 2],
    }

    impl Owned {
        fn key(&self) -> String {
            let [service, partition, region, settings, profile, asker] =
                self.texts.each_ref().map(String::as_str);
            let [credentials, config] = self.files.each_ref().map(Option::as_deref);
            let environment = &self.environment;
            let environment =
                environment.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
            let fips = self.fips;
            Inputs {
                service,
                partition,
                region,
                fips,
                settings,
                environment,
                profile,
                asker,
                credentials,
                config,
            }
            .digits()
        }
    }

    fn inputs() -> impl Strategy<Value = Owned> {
        let text = || "[ab]{0,2}";
        let file = || option::of(prop::collection::vec(prop_oneof![Just(b'a'), Just(b'b')], 0..3));
        (
            [text(), text(), text(), text(), text(), text()],
            any::<bool>(),
            btree_map("[AB]{1,2}", text(), 0..3),
            [file(), file()],
        )
            .prop_map(|(texts, fips, environment, files)| Owned { texts, fips, environment, files })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn the_same_inputs_have_the_same_key_and_others_another(one in inputs(), other in inputs()) {
            prop_assert_eq!(one.key() == other.key(), one == other);
        }
    }

    #[test]
    fn a_key_is_a_file_name() {
        let key = Inputs::default().digits();
        assert_eq!(key.len(), 64);
        assert!(key.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
