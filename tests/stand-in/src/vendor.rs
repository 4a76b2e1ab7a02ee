//! The registry of the first user's vendor, and what is in it.

use anyhow::Result;

use crate::distribution::Distribution;
use crate::images::Image;

/// Its name.
pub const REGISTRY: &str = "571600876202.dkr.ecr.eu-central-1.amazonaws.com";
/// What the names of its repositories start with.
pub const NAMESPACE: &str = "softwareimprovementgroup";
/// Its images.
pub const REPOSITORIES: [&str; 9] = [
    "ai-explanation-service",
    "auth-api-db-migration",
    "auth-api",
    "quality-model-service",
    "sigrid-api-db-migration",
    "sigrid-api",
    "sigrid-frontend",
    "sigrid-multi-analyzer",
    "sigrid-multi-importer",
];
/// Their version.
pub const TAG: &str = "1.0.20250603";

/// The repository of a pause image, with the tag `1`, that is mirrored there.
pub const PAUSE: &str = "softwareimprovementgroup/pause";

/// Fills a storage with these images, which run `program`, through a registry without a password that is gone
/// afterwards.
pub fn push_images(storage: &Distribution, program: &[u8]) -> Result<()> {
    let address = "127.0.0.1:5000".parse()?;
    let mut registry = storage.start_open("registry-push", address)?;
    for repository in REPOSITORIES {
        let name = format!("{NAMESPACE}/{repository}");
        Image::new(program, &name)?.push(address, &name, TAG)?;
    }
    Image::new(program, PAUSE)?.push(address, PAUSE, "1")?;
    registry.check()
}
