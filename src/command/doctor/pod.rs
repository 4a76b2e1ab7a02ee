//! What `doctor` says of pods that pull with a role of their own.

use std::path::PathBuf;

use super::Report;
use crate::context::Context;
use crate::error::{Code, Error};
use crate::host;
use crate::node::config::TokenAttributes;
use crate::protocol::ServiceAccount;
use crate::secret::Secret;
use crate::service_account::{Claims, Name, PodSetting};

/// The pod in whose place to ask.
#[derive(Debug, clap::Args)]
pub(super) struct Pod {
    /// A file with the token of a service account: what would a pod of it get?
    ///
    /// kubectl create token NAME --namespace NAMESPACE --audience sts.amazonaws.com >FILE
    #[arg(long, value_name = "FILE", requires = "image")]
    service_account_token: Option<PathBuf>,
    /// An annotation of that service account, such as the one that names its role
    #[arg(long, value_name = "KEY=VALUE", requires = "service_account_token", value_parser = annotation)]
    annotation: Vec<(String, String)>,
}

impl Pod {
    /// The run in which the role of the pod asks AWS, if there is one; none if nobody may ask.
    pub(super) fn who_asks<'a>(&self, context: Context<'a>, report: &mut Report) -> Option<Context<'a>> {
        let Some(account) = report.check("identity", self.account())? else {
            if context.settings.pod.wants_token() {
                let text = "the settings file wants a service account; what follows is the node, see --service-account-token";
                report.note("identity", text);
            }
            return Some(context);
        };
        let context = report.check("identity", context.for_pod(Some(&account)))?;
        if context.pod_role.is_none() {
            let claims = Claims::of(&account.token);
            let text = format!("no role is named for {}: the node asks AWS", Name(claims.as_ref()));
            report.note("identity", text);
        }
        Some(context)
    }

    fn account(&self) -> Result<Option<ServiceAccount>, Error> {
        let Some(file) = &self.service_account_token else { return Ok(None) };
        let text = host::read_file(file).map_err(|error| Error::new(Code::IdentitySource, error))?;
        let token = String::from_utf8_lossy(&text).trim().to_owned();
        Ok(Some(ServiceAccount {
            token: Secret::from(token),
            annotations: self.annotation.iter().cloned().collect(),
        }))
    }
}

fn annotation(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    parts.ok_or_else(|| "it is not KEY=VALUE".to_owned())
}

/// What the kubelet hands over of a pod, and what the settings want of that.
pub(super) fn look_at_attributes(
    attributes: Option<&TokenAttributes>,
    setting: &PodSetting,
    report: &mut Report,
) {
    let Some(attributes) = attributes else {
        if setting.wants_token() {
            let text = "the settings file wants service accounts, but the provider has no `tokenAttributes`, or was not found";
            report.note("kubelet", text);
        }
        return;
    };
    let audience = attributes.service_account_token_audience.as_ref().map_or("", |it| it.value.as_str());
    report
        .good("kubelet", format!("it hands over tokens of service accounts, for the audience `{audience}`"));
    let wanted = setting.role_annotation();
    let lists = [
        &attributes.required_service_account_annotation_keys,
        &attributes.optional_service_account_annotation_keys,
    ];
    if !lists.into_iter().flatten().any(|key| key.value == wanted) {
        let text =
            format!("but not the annotation `{wanted}`, which names roles: list it in `tokenAttributes`");
        report.note("kubelet", text);
    }
}
