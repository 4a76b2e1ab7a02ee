//! The calls of `DescribeImages`, for `latest-tag`.

use aws_credential_types::Credentials;
use aws_sdk_ecr::types::{DescribeImagesFilter, ImageDetail, ImageStatus, TagStatus};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use jiff::Timestamp;

use super::classify::{Doing, sdk_error};
use super::ecr::sdk_config;
use super::way::Way;
use crate::error::{Code, Error};
use crate::latest::PushedImage;
use crate::registry::Registry;

/// How many images one answer may describe. AWS allows 1000, but with many tags those would be more than an answer may
/// have here.
const PAGE: i32 = 250;

/// All images of the repository that can be the latest, of however many pages.
pub(super) async fn all(
    registry: &Registry,
    repository: &str,
    credentials: Credentials,
    way: &Way<'_>,
) -> Result<Vec<PushedImage>, Error> {
    let what = format!("listing the images of `{repository}` in `{registry}`");
    way.context.watchdog.enter(what.clone());
    let doing = Doing::start(what, way.transport, Some(&credentials));
    let config = sdk_config(registry, credentials, way).await;
    let client = aws_sdk_ecr::Client::new(&config);
    let filter = DescribeImagesFilter::builder().tag_status(TagStatus::Tagged).build();
    let mut images = Vec::new();
    let mut next = None;
    loop {
        let call = client
            .describe_images()
            .set_registry_id(registry.account().map(str::to_owned))
            .repository_name(repository)
            .filter(filter.clone())
            .max_results(PAGE)
            .set_next_token(next);
        let page = call.send().await.map_err(|error| {
            let is_missing = error.code() == Some("RepositoryNotFoundException");
            let error = sdk_error(&error, &doing);
            if is_missing { error.with_code(Code::RepositoryNotFound) } else { error }
        })?;
        images.extend(page.image_details().iter().filter(|image| can_be_pulled(image)).map(pushed));
        images.retain(PushedImage::is_candidate);
        match page.next_token {
            Some(token) if !token.is_empty() => next = Some(token),
            _ => return Ok(images),
        }
    }
}

/// What lies in the archive has to be restored first.
fn can_be_pulled(image: &ImageDetail) -> bool {
    !matches!(image.image_status, Some(ImageStatus::Archived | ImageStatus::Activating))
}

fn pushed(image: &ImageDetail) -> PushedImage {
    let mut tags = image.image_tags().to_vec();
    tags.sort_unstable();
    let pushed_at = image.image_pushed_at().and_then(|time| Timestamp::from_nanosecond(time.as_nanos()).ok());
    PushedImage {
        tags,
        digest: image.image_digest().unwrap_or_default().to_owned(),
        pushed_at,
        artifact_type: image.artifact_media_type().map(str::to_owned),
        subject: image.subject_manifest_digest().map(str::to_owned),
    }
}
