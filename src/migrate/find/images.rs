//! The images of private registries that pods here pull: `matchImages` must cover their hosts.

use std::collections::{BTreeMap, BTreeSet};

use super::super::read::Object;
use crate::image::ImageReference;
use crate::registry::Registry;

/// A registry, and an image of it.
pub(crate) struct Image {
    /// `host[:port]`.
    pub(crate) registry: String,
    /// An image that is pulled from it, if one is named in full.
    pub(crate) example: Option<String>,
    /// How many different ones are.
    pub(crate) count: usize,
}

/// In the order of their names. Charts keep registry and repository apart, so every text counts that starts with a
/// registry.
pub(super) fn find(objects: &[&Object]) -> Vec<Image> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for object in objects {
        object.tree.walk(&mut |path, node| {
            let Some(text) = node.text().filter(|text| text.len() < LONGEST && text.contains(".dkr")) else {
                return;
            };
            let Ok(image) = text.trim_start_matches("oci://").parse::<ImageReference>() else { return };
            if !matches!(Registry::from_host(image.host()), Ok(Registry::Private(_))) {
                return;
            }
            let images = found.entry(image.auth_key()).or_default();
            if path.key() == "image" && !image.repository().is_empty() {
                images.insert(image.to_string());
            }
        });
    }
    let images = found.into_iter().map(|(registry, images)| Image {
        registry,
        count: images.len(),
        example: images.into_iter().next(),
    });
    images.collect()
}

/// An image reference is not longer.
const LONGEST: usize = 600;
