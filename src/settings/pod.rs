//! The keys below `serviceAccount`: pods that pull with a role of their own.

use serde::Deserialize;

use super::checked::checked_text;
use crate::arn::Arn;
use crate::service_account::{AccountPattern, Asker, PodSetting};

/// Pods that pull with a role of their own.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ServiceAccountSection {
    /// The annotation of a service account that names its role; without this, `eks.amazonaws.com/ecr-role-arn`. The
    /// kubelet hands over those that `tokenAttributes` lists.
    role_annotation: Option<AnnotationKey>,
    /// The role of service accounts without that annotation.
    role: Option<RoleArn>,
    /// Who asks AWS for a pod for which no role is named.
    fallback: Option<Asker>,
    /// Who asks AWS where the request has no token, as for static pods: the node, or nobody. Nobody is usual where
    /// `allow` or `fallback: deny` is set.
    without_token: Option<Asker>,
    /// The service accounts that may pull, as `NAMESPACE/NAME`, each of which may be `*`. Without this, all may.
    allow: Option<Vec<AllowedAccount>>,
}

impl ServiceAccountSection {
    pub(super) fn setting(&self) -> PodSetting {
        let allow = self.allow.as_ref().map(|list| list.iter().map(|account| account.0.clone()).collect());
        PodSetting {
            role_annotation: self.role_annotation.as_ref().map(|key| key.0.clone()),
            role: self.role.as_ref().map(|role| role.0.clone()),
            fallback: self.fallback,
            without_token: self.without_token,
            allow,
        }
    }
}

checked_text! {
    AnnotationKey(String) = |text| {
        let is_key = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        if text.chars().all(is_key) && !text.is_empty() {
            Ok(text)
        } else {
            Err("this is not the key of an annotation, such as `eks.amazonaws.com/ecr-role-arn`".into())
        }
    }
}

checked_text! {
    RoleArn(Arn) = |text| Arn::of_role(&text).ok_or_else(|| "this is not the ARN of a role: `arn:aws:iam::ACCOUNT:role/NAME`".into())
}

checked_text! {
    AllowedAccount(AccountPattern) = |text| {
        text.parse().map_err(|_| "this is not `NAMESPACE/NAME`, each of which may be `*`".into())
    }
}
