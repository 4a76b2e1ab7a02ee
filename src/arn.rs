//! The names of resources of AWS.

use std::fmt;
use std::ops::Range;

/// An Amazon Resource Name, `arn:PARTITION:SERVICE:REGION:ACCOUNT:KIND/NAME`.
#[derive(Clone, PartialEq, Eq)]
pub struct Arn {
    text: String,
    /// Where the region is in it, and where the partition ends.
    region: Range<usize>,
    partition_end: usize,
}

impl Arn {
    /// The name of a role; it is of no region.
    pub fn of_role(text: &str) -> Option<Self> {
        Self::of(text, "iam", "role").filter(|arn| arn.region.is_empty())
    }

    /// The name of a resource of `service` of this kind.
    pub fn of(text: &str, service: &str, kind: &str) -> Option<Self> {
        let [prefix, partition, found, region, account, resource] =
            text.splitn(6, ':').collect::<Vec<_>>()[..]
        else {
            return None;
        };
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let name = resource.strip_prefix(kind).and_then(|rest| rest.strip_prefix('/'));
        let is_one = prefix == "arn"
            && partition.starts_with("aws")
            && found == service
            && is_account
            && name.is_some_and(|name| !name.is_empty())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        let partition_end = prefix.len() + 1 + partition.len();
        let start = partition_end + 1 + found.len() + 1;
        is_one.then(|| Self { text: text.to_owned(), region: start..start + region.len(), partition_end })
    }

    /// The region; empty for what is of all regions.
    pub fn region(&self) -> &str {
        &self.text[self.region.clone()]
    }

    /// The partition.
    pub fn partition(&self) -> &str {
        &self.text["arn:".len()..self.partition_end]
    }

    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_and_partition_are_those_of_the_text() {
        let text = "arn:aws-us-gov:rolesanywhere:us-gov-west-1:571600876202:profile/6b3f";
        let arn = Arn::of(text, "rolesanywhere", "profile").expect("a profile");
        assert_eq!((arn.partition(), arn.region(), arn.as_str()), ("aws-us-gov", "us-gov-west-1", text));
        assert_eq!(Arn::of(text, "rolesanywhere", "trust-anchor"), None);
    }

    #[test]
    fn a_role_is_told_from_everything_else() {
        let rows = [
            ("arn:aws:iam::571600876202:role/pull", true),
            ("arn:aws-cn:iam::571600876202:role/path/to/pull", true),
            ("arn:aws:iam::571600876202:role/", false),
            ("arn:aws:iam::571600876202:role", false),
            ("arn:aws:iam::571600876202:user/pull", false),
            ("arn:aws:iam:eu-central-1:571600876202:role/pull", false),
            ("arn:aws:iam::5716:role/pull", false),
            ("arn:aws:sts::571600876202:assumed-role/pull/x", false),
            ("arn:aws:iam::571600876202:role/a b", false),
            ("pull", false),
            ("", false),
        ];
        for (text, is_role) in rows {
            assert_eq!(Arn::of_role(text).is_some(), is_role, "{text}");
        }
    }
}
