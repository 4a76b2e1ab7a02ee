//! What is known of an image before it is pulled.

use crate::error::{Code, Error};
use crate::image::ImageReference;
use crate::registry::Registry;
use crate::settings::{Choice, Configuration, Settings};

/// One image.
#[derive(Debug)]
pub(super) struct Job {
    /// As it was asked for.
    pub(super) image: String,
    /// As the runtime calls it.
    pub(super) name: String,
    /// Where to get a password; none if it is not of ECR.
    pub(super) access: Option<Access>,
}

/// What gives a password, the same for all that are equal in the first two.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) registry: Registry,
    pub(super) rule: Option<String>,
    pub(super) settings: Settings,
}

/// Each image once, in the order in which they were asked for.
pub(super) fn of(images: &[String], configuration: &Configuration) -> Result<Vec<Job>, Error> {
    let partitions = configuration.partitions();
    let mut jobs: Vec<Job> = Vec::new();
    for image in images {
        let malformed = |cause: String| Error::new(Code::ImageMalformed, format!("`{image}`: {cause}"));
        let reference: ImageReference = image.parse().map_err(|error| malformed(format!("{error}")))?;
        if reference.repository().is_empty() {
            return Err(malformed("it names a registry, and no repository in it".into()));
        }
        let name = reference.name_at_runtime();
        if jobs.iter().any(|job| job.name == name) {
            continue;
        }
        let Choice { rule, registry, settings, .. } = configuration.for_image(&reference);
        let host = registry.as_deref().unwrap_or(reference.host());
        let registry = Registry::from_host_in(host, &partitions).ok();
        let access = registry.map(|registry| Access { registry, rule, settings });
        jobs.push(Job { image: image.clone(), name, access });
    }
    if jobs.is_empty() {
        return Err(Error::new(Code::ImageList, "the list is empty"));
    }
    Ok(jobs)
}
