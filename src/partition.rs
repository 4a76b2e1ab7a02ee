//! The AWS partitions and the DNS names of their registries.
//!
//! A partition is a separate AWS (commercial, China, GovCloud, …) with its own regions, identities and
//! DNS suffixes. Names and suffixes: `partitions.json` of the AWS SDKs. Registry host names: the ECR user
//! guide ("[Making requests to Amazon ECR registries]") and the tables of the Go credential provider and
//! of amazon-ecr-credential-helper.
//!
//! [Making requests to Amazon ECR registries]: https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-requests.html

/// One AWS partition.
#[derive(Debug, PartialEq, Eq)]
pub struct Partition {
    /// The partition's name as in ARNs.
    pub name: &'static str,
    /// What the names of its regions start with.
    pub region_prefix: &'static str,
    /// The suffix of `<account>.dkr.ecr.<region>.<suffix>`, reachable over IPv4.
    pub suffix: &'static str,
    /// The suffix of `<account>.dkr-ecr.<region>.<suffix>`, reachable over IPv4 and IPv6.
    pub dual_stack_suffix: Option<&'static str>,
}

/// All partitions. The commercial one stands last: its regions are those that no other partition claims,
/// so a region that AWS opens tomorrow needs no release of ours.
pub const PARTITIONS: &[Partition] = &[
    Partition {
        name: "aws-cn",
        region_prefix: "cn-",
        suffix: "amazonaws.com.cn",
        dual_stack_suffix: Some("on.amazonwebservices.com.cn"),
    },
    Partition {
        name: "aws-us-gov",
        region_prefix: "us-gov-",
        suffix: "amazonaws.com",
        dual_stack_suffix: Some("on.aws"),
    },
    Partition { name: "aws-iso", region_prefix: "us-iso-", suffix: "c2s.ic.gov", dual_stack_suffix: None },
    Partition {
        name: "aws-iso-b",
        region_prefix: "us-isob-",
        suffix: "sc2s.sgov.gov",
        dual_stack_suffix: None,
    },
    Partition {
        name: "aws-iso-e",
        region_prefix: "eu-isoe-",
        suffix: "cloud.adc-e.uk",
        dual_stack_suffix: None,
    },
    Partition {
        name: "aws-iso-f",
        region_prefix: "us-isof-",
        suffix: "csp.hci.ic.gov",
        dual_stack_suffix: None,
    },
    Partition { name: "aws-eusc", region_prefix: "eusc-", suffix: "amazonaws.eu", dual_stack_suffix: None },
    Partition { name: "aws", region_prefix: "", suffix: "amazonaws.com", dual_stack_suffix: Some("on.aws") },
];

/// The partition to which a region of this name belongs.
pub(crate) fn of_region(region: &str) -> &'static Partition {
    let commercial = &PARTITIONS[PARTITIONS.len() - 1];
    PARTITIONS.iter().find(|partition| region.starts_with(partition.region_prefix)).unwrap_or(commercial)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_partition_takes_any_region() {
        let catch_all = PARTITIONS.iter().position(|partition| partition.region_prefix.is_empty());
        assert_eq!(catch_all, Some(PARTITIONS.len() - 1));
        assert_eq!(of_region("us-east-1").name, "aws");
        assert_eq!(of_region("us-gov-west-1").name, "aws-us-gov");
        assert_eq!(of_region("us-isof-south-1").name, "aws-iso-f");
    }
}
