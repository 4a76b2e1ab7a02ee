//! What `doctor` says of the certificate for IAM Roles Anywhere.

use jiff::SignedDuration;

use super::Report;
use crate::context::Context;
use crate::host;

/// A kubelet renews its certificate while 10 to 30 % of its life are left. Of what is closer to its end than that, and
/// than this, it is to be doubted that anybody renews it.
const NEAR: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Whose it is, and how long it holds.
pub(super) fn look(context: &Context<'_>, report: &mut Report) {
    let Some((_, Ok(pair))) = context.roles_anywhere().filter(|_| context.pod_role.is_none()) else { return };
    let leaf = &pair.leaf;
    report.good(
        "identity",
        format!(
            "the certificate of `{}`, serial number {}, issued by `{}`, holds until {:.0}",
            leaf.subject(),
            leaf.serial(),
            leaf.issuer(),
            leaf.not_after
        ),
    );
    let left = leaf.not_after.duration_since(host::now());
    let life = leaf.not_after.duration_since(leaf.not_before);
    if left < NEAR.min(life / 10) {
        let left = SignedDuration::from_mins(left.as_mins());
        report.note("identity", format!("it ends in {left:#}: see why it is not renewed"));
    }
}
