//! Which host names are registries of Amazon ECR, and what they say about the registry.
//!
//! A password of ECR is worth the vendor's images, so this is where it is decided who may get one. The
//! whole host name is taken apart, label by label; nothing is searched for inside it. What does not fit
//! is [`NotEcr`], with the reason, and gets nothing.

use std::collections::HashSet;
use std::fmt;

use crate::partition::{self, PARTITIONS, Partition};

const PUBLIC: &str = "public.ecr.aws";
const PUBLIC_DUAL_STACK: &str = "ecr-public.aws.com";
/// ECR Public has one API, in one region of the commercial partition.
const PUBLIC_REGION: &str = "us-east-1";

/// A registry of Amazon ECR, as its host name describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registry {
    /// The private registry of an account in a region.
    Private(PrivateRegistry),
    /// The public gallery. It serves without a password too, at a lower rate.
    Public {
        /// Whether the host name is the one that is reachable over IPv6 as well.
        dual_stack: bool,
    },
}

/// A private registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateRegistry {
    account: String,
    region: String,
    partition: Partition,
    fips: bool,
    dual_stack: bool,
}

impl Registry {
    /// Parses a host name (no port). DNS does not distinguish case, nor does this.
    ///
    /// Known forms, with the DNS suffixes of [`PARTITIONS`]:
    ///
    /// | host name | registry |
    /// |---|---|
    /// | `<account>.dkr.ecr.<region>.<suffix>` | private |
    /// | `<account>.dkr.ecr-fips.<region>.<suffix>` | private, FIPS endpoint |
    /// | `<account>.dkr-ecr.<region>.<dual-stack suffix>` | private, over IPv4 and IPv6 |
    /// | `<account>.dkr-ecr-fips.<region>.<dual-stack suffix>` | both |
    /// | `public.ecr.aws`, `ecr-public.aws.com` | public, the latter over IPv4 and IPv6 |
    pub fn from_host(host: &str) -> Result<Self, NotEcr> {
        Self::from_host_in(host, &[])
    }

    /// The same, with partitions that are not in the table.
    pub fn from_host_in(host: &str, others: &[Partition]) -> Result<Self, NotEcr> {
        let host = host.to_ascii_lowercase();
        match host.as_str() {
            PUBLIC => Ok(Self::Public { dual_stack: false }),
            PUBLIC_DUAL_STACK => Ok(Self::Public { dual_stack: true }),
            host => PrivateRegistry::from_host(host, others).map(Self::Private),
        }
    }

    /// The patterns of `matchImages` for every private registry there is.
    pub fn private_patterns() -> Vec<String> {
        let mut patterns = Vec::new();
        // The commercial partition stands last in the table, and is what most people look for.
        for partition in PARTITIONS.iter().rev() {
            let forms = SERVICE_LABELS.iter().filter(|(_, fips, dual_stack)| {
                (partition.has_fips() || !fips) && (partition.dual_stack_suffix.is_some() || !dual_stack)
            });
            patterns.extend(
                forms.map(|(_, fips, dual_stack)| PrivateRegistry::any(partition, *fips, *dual_stack)),
            );
        }
        let mut seen = HashSet::new();
        patterns.retain(|pattern: &String| seen.insert(pattern.clone()));
        patterns
    }

    /// The host names of ECR Public.
    pub const fn public_hosts() -> [&'static str; 2] {
        [PUBLIC, PUBLIC_DUAL_STACK]
    }

    /// The registries of all accounts of a region, which have the same password.
    pub(crate) fn of_region(region: &str, others: &[Partition]) -> Result<Self, NotEcr> {
        if !is_region(region) {
            return Err(NotEcr::Region(region.to_owned()));
        }
        let partition = partition::of_region(region, others).clone();
        let (account, region) = ("*".to_owned(), region.to_owned());
        Ok(Self::Private(PrivateRegistry { account, region, partition, fips: false, dual_stack: false }))
    }

    /// The region whose API issues passwords for this registry.
    pub fn region(&self) -> &str {
        match self {
            Self::Private(registry) => &registry.region,
            Self::Public { .. } => PUBLIC_REGION,
        }
    }

    /// The account that owns a private registry.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Private(registry) => Some(registry.account()),
            Self::Public { .. } => None,
        }
    }

    /// The name of the service that issues passwords for it, as in IAM actions.
    pub fn service(&self) -> &'static str {
        match self {
            Self::Private(_) => "ecr",
            Self::Public { .. } => "ecr-public",
        }
    }

    /// The partition of that region.
    pub fn partition(&self) -> &Partition {
        match self {
            Self::Private(registry) => &registry.partition,
            Self::Public { .. } => partition::of_region(PUBLIC_REGION, &[]),
        }
    }

    /// The URL of the API, where the AWS SDK cannot know it: in a partition that is not in the table.
    pub fn api_of_unknown_partition(&self) -> Option<String> {
        let partition = self.partition();
        let is_known = PARTITIONS.contains(partition);
        let name = if self.is_fips() { "ecr-fips" } else { "api.ecr" };
        (!is_known).then(|| format!("https://{name}.{}.{}", self.region(), partition.suffix))
    }

    /// The host names for which a password of this registry is good too: those of all accounts of the region.
    pub fn all_accounts(&self) -> String {
        match self {
            Self::Private(registry) => {
                PrivateRegistry { account: "*".into(), ..registry.clone() }.to_string()
            }
            Self::Public { .. } => self.to_string(),
        }
    }

    /// Whether the host name asks for endpoints validated under FIPS 140-3.
    pub fn is_fips(&self) -> bool {
        matches!(self, Self::Private(PrivateRegistry { fips: true, .. }))
    }

    /// Whether the host name is one that is reachable over IPv6 as well.
    pub fn is_dual_stack(&self) -> bool {
        match self {
            Self::Private(registry) => registry.dual_stack,
            Self::Public { dual_stack } => *dual_stack,
        }
    }
}

/// The host name in its canonical form; parsing it again gives the same registry.
impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Private(registry) => registry.fmt(f),
            Self::Public { dual_stack: false } => f.write_str(PUBLIC),
            Self::Public { dual_stack: true } => f.write_str(PUBLIC_DUAL_STACK),
        }
    }
}

impl PrivateRegistry {
    /// The 12 digits of the account that owns the registry.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The pattern for the registries of all accounts and regions.
    fn any(partition: &Partition, fips: bool, dual_stack: bool) -> String {
        let any = || "*".to_owned();
        Self { account: any(), region: any(), partition: partition.clone(), fips, dual_stack }.to_string()
    }

    fn from_host(host: &str, others: &[Partition]) -> Result<Self, NotEcr> {
        let (account, rest) = host.split_once('.').ok_or(NotEcr::Form)?;
        let (fips, dual_stack, rest) = service_labels(rest).ok_or(NotEcr::Form)?;
        let (region, suffix) = rest.split_once('.').ok_or(NotEcr::Form)?;
        if account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotEcr::Account(account.to_owned()));
        }
        if !is_region(region) {
            return Err(NotEcr::Region(region.to_owned()));
        }
        let has_suffix = |partition: &Partition| {
            if dual_stack {
                partition.dual_stack_suffix.as_deref() == Some(suffix)
            } else {
                partition.suffix == suffix
            }
        };
        if !PARTITIONS.iter().chain(others).any(has_suffix) {
            return Err(NotEcr::Suffix(suffix.to_owned()));
        }
        let partition = partition::of_region(region, others).clone();
        if !has_suffix(&partition) {
            return Err(NotEcr::Partition {
                region: region.to_owned(),
                partition: partition.name.into_owned(),
            });
        }
        Ok(Self { account: account.to_owned(), region: region.to_owned(), partition, fips, dual_stack })
    }
}

impl fmt::Display for PrivateRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, region, partition, fips, dual_stack } = self;
        let fips = if *fips { "-fips" } else { "" };
        match &partition.dual_stack_suffix {
            Some(suffix) if *dual_stack => write!(f, "{account}.dkr-ecr{fips}.{region}.{suffix}"),
            _ => write!(f, "{account}.dkr.ecr{fips}.{region}.{}", partition.suffix),
        }
    }
}

/// The labels that name the service, whether they ask for FIPS, and whether for IPv6 too.
const SERVICE_LABELS: [(&str, bool, bool); 4] = [
    ("dkr.ecr.", false, false),
    ("dkr.ecr-fips.", true, false),
    ("dkr-ecr.", false, true),
    ("dkr-ecr-fips.", true, true),
];

/// Takes the labels that name the service off the front: FIPS, dual-stack, and what follows.
fn service_labels(rest: &str) -> Option<(bool, bool, &str)> {
    SERVICE_LABELS.iter().find_map(|(labels, fips, dual_stack)| {
        rest.strip_prefix(labels).map(|rest| (*fips, *dual_stack, rest))
    })
}

/// At least two words and a number, joined by dashes: `eu-central-1`, `us-gov-west-1`, `eusc-de-east-1`.
fn is_region(text: &str) -> bool {
    let Some((words, number)) = text.rsplit_once('-') else { return false };
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    words.contains('-')
        && words.split('-').all(is_word)
        && (1..=2).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
}

/// Why a host name is not a registry of Amazon ECR.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotEcr {
    /// It has none of the known forms.
    #[error("the host name has none of the forms of ECR")]
    Form,
    /// The first label is not an account.
    #[error("`{0}` is not an AWS account of 12 digits")]
    Account(String),
    /// The label after the service is not a region.
    #[error("`{0}` is not an AWS region")]
    Region(String),
    /// The end of the name is none of the suffixes of AWS.
    #[error("`{0}` is not a DNS suffix of AWS for this form of name")]
    Suffix(String),
    /// Region and suffix are of different partitions.
    #[error("region `{region}` is of partition {partition}, which has another DNS suffix")]
    Partition {
        /// The region in the host name.
        region: String,
        /// The name of its partition.
        partition: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The hostnames that end-to-end tests use too; here the parts are checked.
    #[test]
    fn takes_every_form_apart() {
        let rows = [
            ("571600876202.dkr.ecr.eu-central-1.amazonaws.com", "aws", "eu-central-1", false, false),
            ("000000000000.dkr.ecr-fips.us-east-2.amazonaws.com", "aws", "us-east-2", true, false),
            ("571600876202.dkr-ecr.eu-central-1.on.aws", "aws", "eu-central-1", false, true),
            ("571600876202.dkr-ecr-fips.us-west-2.on.aws", "aws", "us-west-2", true, true),
            ("571600876202.dkr.ecr.mx-central-1.amazonaws.com", "aws", "mx-central-1", false, false),
            ("571600876202.dkr.ecr.us-gov-west-1.amazonaws.com", "aws-us-gov", "us-gov-west-1", false, false),
            (
                "571600876202.dkr.ecr-fips.us-gov-east-1.amazonaws.com",
                "aws-us-gov",
                "us-gov-east-1",
                true,
                false,
            ),
            ("571600876202.dkr-ecr.us-gov-west-1.on.aws", "aws-us-gov", "us-gov-west-1", false, true),
            ("571600876202.dkr.ecr.cn-north-1.amazonaws.com.cn", "aws-cn", "cn-north-1", false, false),
            (
                "571600876202.dkr-ecr.cn-northwest-1.on.amazonwebservices.com.cn",
                "aws-cn",
                "cn-northwest-1",
                false,
                true,
            ),
            ("571600876202.dkr.ecr.us-iso-east-1.c2s.ic.gov", "aws-iso", "us-iso-east-1", false, false),
            (
                "571600876202.dkr.ecr.us-isob-east-1.sc2s.sgov.gov",
                "aws-iso-b",
                "us-isob-east-1",
                false,
                false,
            ),
            (
                "571600876202.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk",
                "aws-iso-e",
                "eu-isoe-west-1",
                false,
                false,
            ),
            (
                "571600876202.dkr.ecr.us-isof-south-1.csp.hci.ic.gov",
                "aws-iso-f",
                "us-isof-south-1",
                false,
                false,
            ),
            ("571600876202.dkr.ecr.eusc-de-east-1.amazonaws.eu", "aws-eusc", "eusc-de-east-1", false, false),
        ];
        for (host, partition, region, fips, dual_stack) in rows {
            let registry = Registry::from_host(host).unwrap_or_else(|error| panic!("{host}: {error}"));
            assert_eq!(registry.region(), region, "{host}");
            assert_eq!((registry.is_fips(), registry.is_dual_stack()), (fips, dual_stack), "{host}");
            assert_eq!(registry.to_string(), host);
            assert_eq!(registry.partition().name, partition, "{host}");
            if !dual_stack {
                assert_eq!(registry.all_accounts(), format!("*{}", &host[12..]));
            }
            let Registry::Private(registry) = registry else { panic!("{host} is private") };
            assert_eq!(registry.account(), &host[..12], "{host}");
        }
        assert_eq!(Registry::from_host("public.ecr.aws"), Ok(Registry::Public { dual_stack: false }));
        assert_eq!(Registry::from_host("ecr-public.aws.com"), Ok(Registry::Public { dual_stack: true }));
    }

    #[test]
    fn case_does_not_matter_in_dns() {
        let shouted = Registry::from_host("571600876202.DKR.ECR.EU-CENTRAL-1.AMAZONAWS.COM");
        assert_eq!(shouted, Registry::from_host("571600876202.dkr.ecr.eu-central-1.amazonaws.com"));
    }

    #[test]
    fn says_why_a_host_is_not_ecr() {
        let rows = [
            ("registry.k8s.io", NotEcr::Form),
            ("x.public.ecr.aws", NotEcr::Form),
            ("57160087620.dkr.ecr.eu-central-1.amazonaws.com", NotEcr::Account("57160087620".into())),
            ("571600876202.dkr.ecr.frankfurt.amazonaws.com", NotEcr::Region("frankfurt".into())),
            (
                "571600876202.dkr.ecr.eu-central-1.amazonaws.com.evil.example",
                NotEcr::Suffix("amazonaws.com.evil.example".into()),
            ),
            ("571600876202.dkr.ecr.eu-central-1.on.aws", NotEcr::Suffix("on.aws".into())),
            (
                "571600876202.dkr.ecr.cn-north-1.amazonaws.com",
                NotEcr::Partition { region: "cn-north-1".into(), partition: "aws-cn".into() },
            ),
            (
                "571600876202.dkr-ecr.us-iso-east-1.on.aws",
                NotEcr::Partition { region: "us-iso-east-1".into(), partition: "aws-iso".into() },
            ),
        ];
        for (host, reason) in rows {
            assert_eq!(Registry::from_host(host), Err(reason), "{host}");
        }
    }

    fn region_of(partition: &Partition) -> String {
        match &*partition.region_prefix {
            "" => "eu-central-1".into(),
            "cn-" => "cn-north-1".into(),
            prefix => format!("{prefix}east-1"),
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_never_says_yes_to_a_name_that_it_would_not_write(
            host in "\\PC{0,60}|[0-9]{11,13}\\.(dkr\\.ecr|dkr-ecr)(-fips)?\\.[a-z0-9.-]{0,40}"
        ) {
            if let Ok(registry) = Registry::from_host(&host) {
                prop_assert_eq!(registry.to_string(), host.to_ascii_lowercase());
            }
        }

        #[test]
        fn one_more_label_or_letter_makes_a_stranger(
            row in 0..PARTITIONS.len(), account in "[0-9]{12}", fips in any::<bool>(),
            stranger in "[a-z0-9]{1,8}", dot in prop_oneof![Just("."), Just("")],
        ) {
            let partition = &PARTITIONS[row];
            let registry = Registry::Private(PrivateRegistry {
                account, region: region_of(partition), partition: partition.clone(), fips, dual_stack: false,
            });
            let host = registry.to_string();
            prop_assert_eq!(Registry::from_host(&host), Ok(registry));
            let [after, before] = [format!("{host}{dot}{stranger}"), format!("{stranger}{dot}{host}")];
            prop_assert!(Registry::from_host(&after).is_err(), "{}", after);
            prop_assert!(Registry::from_host(&before).is_err(), "{}", before);
        }
    }
}
