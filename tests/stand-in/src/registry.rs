//! An OCI registry with one image, that lets in whoever has a password that AWS issued.
//!
//! As much of the [distribution specification] as a pull needs.
//!
//! [distribution specification]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Bytes;
use hyper::{Request, Response, StatusCode};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::aws::Aws;
use crate::server::{ANY_PORT, Reply, Server};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const LAYER: &[u8] = b"the layer of an image";
const CONFIG: &[u8] = b"{}";

/// A running registry.
#[derive(Debug)]
pub struct Registry {
    server: Server,
}

impl Registry {
    /// Starts a registry that trusts the passwords of `aws`.
    pub fn start(aws: &Aws) -> Self {
        Self::with_storage(aws, None)
    }

    /// Starts one that keeps its layers elsewhere, as ECR does: at `storage`, the authority of a URL.
    pub fn with_storage(aws: &Aws, storage: Option<String>) -> Self {
        let aws = aws.clone();
        let handler =
            move |request: Request<Bytes>| Reply::Answer(answer(&request, &aws, storage.as_deref()));
        Self { server: Server::http(ANY_PORT, None, Arc::new(handler)) }
    }

    /// Starts a storage, which gives a layer to whoever has its signed URL, and to nobody who sends a password.
    pub fn start_storage() -> Self {
        let handler = |request: Request<Bytes>| {
            let is_signed = request.uri().query() == Some("X-Amz-Signature=canary-signature");
            let has_password = request.headers().contains_key("authorization");
            let status = if is_signed && !has_password { StatusCode::OK } else { StatusCode::BAD_REQUEST };
            let response = Response::builder().status(status).body(Bytes::from_static(LAYER));
            Reply::Answer(response.expect("a valid response"))
        };
        Self { server: Server::http(ANY_PORT, None, Arc::new(handler)) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }
}

fn answer(request: &Request<Bytes>, aws: &Aws, storage: Option<&str>) -> Response<Bytes> {
    if !password_of(request).is_some_and(|password| aws.accepts_password(&password)) {
        return Response::builder()
            .status(StatusCode::UNAUTHORIZED)
            .header(
                "www-authenticate",
                "Basic realm=\"https://571600876202.dkr.ecr.eu-central-1.amazonaws.com/\"",
            )
            .body(Bytes::from_static(b"Not Authorized\n"))
            .expect("a valid response");
    }
    let path = request.uri().path();
    let (content_type, body) = if path == "/v2/" {
        ("application/json", Bytes::from_static(b"{}"))
    } else if path.contains("/manifests/") {
        (MANIFEST, Bytes::from(manifest()))
    } else if let (Some(storage), true) = (storage, path.ends_with(&digest(LAYER))) {
        let location = format!("http://{storage}/layer?X-Amz-Signature=canary-signature");
        let elsewhere =
            Response::builder().status(StatusCode::TEMPORARY_REDIRECT).header("location", location);
        return elsewhere.body(Bytes::new()).expect("a valid response");
    } else if path.ends_with(&digest(LAYER)) {
        ("application/octet-stream", Bytes::from_static(LAYER))
    } else if path.ends_with(&digest(CONFIG)) {
        ("application/octet-stream", Bytes::from_static(CONFIG))
    } else {
        let not_found = Response::builder().status(StatusCode::NOT_FOUND);
        return not_found.body(Bytes::new()).expect("a valid response");
    };
    let found = Response::builder().header("content-type", content_type);
    found.header("docker-content-digest", digest(&body)).body(body).expect("a valid response")
}

fn password_of(request: &Request<Bytes>) -> Option<String> {
    let header = request.headers().get("authorization")?.to_str().ok()?;
    let decoded = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    String::from_utf8(decoded).ok()?.strip_prefix("AWS:").map(str::to_owned)
}

fn manifest() -> String {
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": CONFIG.len(), "digest": digest(CONFIG)},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "size": LAYER.len(), "digest": digest(LAYER)}],
    })
    .to_string()
}

/// `sha256:…` of a content.
pub fn digest(content: &[u8]) -> String {
    let hash = Sha256::digest(content);
    hash.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// A request for `path` of the registry `host`, as a container runtime makes it.
pub fn pull(path: &str, host: &str, user_and_password: Option<(&str, &str)>) -> Request<Bytes> {
    let mut request = Request::get(path).header("host", host).header("accept", MANIFEST);
    if let Some((user, password)) = user_and_password {
        let credentials = STANDARD.encode(format!("{user}:{password}"));
        request = request.header("authorization", format!("Basic {credentials}"));
    }
    request.body(Bytes::new()).expect("a valid request")
}
