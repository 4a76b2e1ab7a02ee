//! The AWS partitions and the DNS names of their registries.
//!
//! A partition is a separate AWS (commercial, China, GovCloud, …) with its own regions, identities and
//! DNS suffixes. Names and suffixes: `partitions.json` of the AWS SDKs. Registry host names: the ECR user
//! guide ("[Making requests to Amazon ECR registries]") and the tables of the Go credential provider and
//! of amazon-ecr-credential-helper.
//!
//! [Making requests to Amazon ECR registries]: https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-requests.html

use std::borrow::Cow;

/// One AWS partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The partition's name as in ARNs.
    pub name: Cow<'static, str>,
    /// What the names of its regions start with.
    pub region_prefix: Cow<'static, str>,
    /// The suffix of `<account>.dkr.ecr.<region>.<suffix>`, reachable over IPv4.
    pub suffix: Cow<'static, str>,
    /// The suffix of `<account>.dkr-ecr.<region>.<suffix>`, reachable over IPv4 and IPv6.
    pub dual_stack_suffix: Option<Cow<'static, str>>,
}

impl Partition {
    const fn known(
        name: &'static str,
        region_prefix: &'static str,
        suffix: &'static str,
        dual_stack_suffix: Option<&'static str>,
    ) -> Self {
        Self {
            name: Cow::Borrowed(name),
            region_prefix: Cow::Borrowed(region_prefix),
            suffix: Cow::Borrowed(suffix),
            dual_stack_suffix: match dual_stack_suffix {
                Some(suffix) => Some(Cow::Borrowed(suffix)),
                None => None,
            },
        }
    }

    /// Whether AWS has registries with FIPS endpoints there.
    pub(crate) fn has_fips(&self) -> bool {
        matches!(&*self.name, "aws" | "aws-us-gov")
    }
}

/// All partitions. The commercial one stands last: its regions are those that no other partition claims,
/// so a region that AWS opens tomorrow needs no release of ours.
pub const PARTITIONS: &[Partition] = &[
    Partition::known("aws-cn", "cn-", "amazonaws.com.cn", Some("on.amazonwebservices.com.cn")),
    Partition::known("aws-us-gov", "us-gov-", "amazonaws.com", Some("on.aws")),
    Partition::known("aws-iso", "us-iso-", "c2s.ic.gov", None),
    Partition::known("aws-iso-b", "us-isob-", "sc2s.sgov.gov", None),
    Partition::known("aws-iso-e", "eu-isoe-", "cloud.adc-e.uk", None),
    Partition::known("aws-iso-f", "us-isof-", "csp.hci.ic.gov", None),
    Partition::known("aws-eusc", "eusc-", "amazonaws.eu", None),
    Partition::known("aws", "", "amazonaws.com", Some("on.aws")),
];

/// The partition to which a region of this name belongs: one of `others`, or one that is known.
pub(crate) fn of_region<'a>(region: &str, others: &'a [Partition]) -> &'a Partition {
    let commercial = &PARTITIONS[PARTITIONS.len() - 1];
    let mut all = others.iter().chain(PARTITIONS);
    all.find(|partition| region.starts_with(&*partition.region_prefix)).unwrap_or(commercial)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_partition_takes_any_region() {
        let catch_all = PARTITIONS.iter().position(|partition| partition.region_prefix.is_empty());
        assert_eq!(catch_all, Some(PARTITIONS.len() - 1));
        assert_eq!(of_region("us-east-1", &[]).name, "aws");
        assert_eq!(of_region("us-gov-west-1", &[]).name, "aws-us-gov");
        assert_eq!(of_region("us-isof-south-1", &[]).name, "aws-iso-f");
    }
}
