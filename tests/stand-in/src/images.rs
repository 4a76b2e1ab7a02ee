//! Images with one small program in them, made without a container engine.

use std::net::SocketAddr;

use crate::http;
use crate::registry::digest;
use anyhow::{Result, ensure};
use hyper::Request;
use hyper::body::Bytes;
use serde_json::json;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The three parts of an image.
#[derive(Debug)]
pub struct Image {
    layer: Vec<u8>,
    config: Vec<u8>,
    manifest: Vec<u8>,
}

impl Image {
    /// An image that runs `program`, with its own name in a file, so that each image has a layer of its own.
    pub fn new(program: &[u8], name: &str) -> Result<Self> {
        let layer = tar_of(&[("program", 0o755, program), ("image-name", 0o644, name.as_bytes())])?;
        let config = json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "os": "linux",
            "config": {"Entrypoint": ["/program"], "User": "65534:65534"},
            "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
        });
        let config = config.to_string().into_bytes();
        let described = |kind: &str, content: &[u8]| {
            let media_type = format!("application/vnd.oci.image.{kind}");
            json!({"mediaType": media_type, "digest": digest(content), "size": content.len()})
        };
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": described("config.v1+json", &config),
            "layers": [described("layer.v1.tar", &layer)],
        });
        Ok(Self { layer, config, manifest: manifest.to_string().into_bytes() })
    }

    /// The image as an archive that `ctr images import` reads.
    pub fn archive(&self, reference: &str) -> Result<Vec<u8>> {
        let index = json!({"schemaVersion": 2, "manifests": [{
            "mediaType": MANIFEST, "digest": digest(&self.manifest), "size": self.manifest.len(),
            "annotations": {"io.containerd.image.name": reference},
        }]});
        let blob = |content: &[u8]| digest(content).replace("sha256:", "blobs/sha256/");
        tar_of(&[
            ("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#),
            ("index.json", 0o644, index.to_string().as_bytes()),
            (&blob(&self.layer), 0o644, &self.layer),
            (&blob(&self.config), 0o644, &self.config),
            (&blob(&self.manifest), 0o644, &self.manifest),
        ])
    }

    /// Pushes the image to a registry that asks for no password.
    pub fn push(self, registry: SocketAddr, repository: &str, tag: &str) -> Result<()> {
        for content in [self.layer, self.config] {
            let start = Request::post(format!("/v2/{repository}/blobs/uploads/"));
            let started = put(registry, start, Vec::new())?;
            let place = started.headers()["location"].to_str()?.to_owned();
            // The registry may say where with its own name; what follows is the path.
            let place = place.split_once("/v2/").map_or(place.clone(), |(_, rest)| format!("/v2/{rest}"));
            let upload = format!("{place}&digest={}", digest(&content));
            put(registry, Request::put(upload).header("content-type", "application/octet-stream"), content)?;
        }
        let manifest = format!("/v2/{repository}/manifests/{tag}");
        put(registry, Request::put(manifest).header("content-type", MANIFEST), self.manifest).map(drop)
    }
}

fn put(
    registry: SocketAddr,
    request: hyper::http::request::Builder,
    body: Vec<u8>,
) -> Result<hyper::Response<Bytes>> {
    let request = request.header("host", registry.to_string()).header("content-length", body.len());
    let response = http::send(registry, request.body(Bytes::from(body))?)?;
    let (status, text) = (response.status(), String::from_utf8_lossy(response.body()));
    ensure!(status.is_success(), "the registry answered {status}: {text}");
    Ok(response)
}

fn tar_of(files: &[(&str, u32, &[u8])]) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, mode, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(u64::try_from(content.len())?);
        header.set_mode(*mode);
        archive.append_data(&mut header, path, *content)?;
    }
    Ok(archive.into_inner()?)
}
