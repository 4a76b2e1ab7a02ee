//! What the container runtime does after it has the password: manifest, and a layer.

use serde_json::Value;

use super::report::Report;
use crate::aws::{Probe, Want};
use crate::error::{Code, Error};
use crate::image::ImageReference;
use crate::token::AuthorizationToken;

const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                         application/vnd.docker.distribution.manifest.list.v2+json, \
                         application/vnd.docker.distribution.manifest.v2+json";

/// Asks the registry of `image`. The layer is not fetched: where it is stored has to be reached.
pub(super) fn look(
    image: &ImageReference,
    token: &AuthorizationToken,
    probe: &Probe<'_>,
    report: &mut Report,
) {
    // As container runtimes do: without TLS on this machine alone.
    let scheme = if matches!(image.host(), "localhost" | "127.0.0.1") { "http" } else { "https" };
    let base = format!("{scheme}://{}/v2/", image.auth_key());
    let repository = format!("{base}{}", image.repository());
    let door = probe.get(&base, token, Want::Presence).and_then(|answer| answer.expect("the registry"));
    if report.check("pull", door).is_none() {
        return;
    }
    report.good("pull", "the registry takes the password");
    let manifest = manifest_of(&repository, image.tag_or_digest(), token, probe);
    let Some(manifest) = report.check("pull", manifest) else { return };
    report.good("pull", format!("the manifest of `{}` is there", image.tag_or_digest()));
    let layers = manifest["layers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(digest) = layers.first().and_then(|layer| layer["digest"].as_str()) else {
        report.note("pull", "it has no layer");
        return;
    };
    let layer = find_layer(&format!("{repository}/blobs/{digest}"), token, probe);
    if let Some(place) = report.check("pull", layer) {
        report.good("pull", format!("the first layer is {place}"));
    }
}

/// The manifest, or the first of an index.
fn manifest_of(
    repository: &str,
    reference: &str,
    token: &AuthorizationToken,
    probe: &Probe<'_>,
) -> Result<Value, Error> {
    let ask = |reference: &str| {
        let url = format!("{repository}/manifests/{reference}");
        let body = probe
            .get(&url, token, Want::Manifest(MANIFESTS))?
            .expect(&format!("the manifest of `{reference}`"))?
            .body;
        let malformed =
            |error| Error::new(Code::Pull, format!("the manifest of `{reference}` is no JSON: {error}"));
        serde_json::from_slice::<Value>(&body).map_err(malformed)
    };
    let manifest = ask(reference)?;
    match manifest["manifests"][0]["digest"].as_str() {
        Some(digest) => ask(digest),
        None => Ok(manifest),
    }
}

/// Where the layer is: at the registry, or at the storage to which it sends, which firewalls forget.
fn find_layer(url: &str, token: &AuthorizationToken, probe: &Probe<'_>) -> Result<String, Error> {
    let answer = probe.get(url, token, Want::Presence)?;
    let place = probe.way().endpoint;
    answer.expect("the first layer")?;
    if url.contains(&format!("://{place}/")) {
        return Ok("at the registry itself".into());
    }
    Ok(format!("at its storage, `{place}`"))
}
