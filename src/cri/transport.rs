//! One gRPC call over a Unix socket.
//!
//! tonic does the gRPC, and hyper, which talks to AWS too, the HTTP/2 below it. A call has a connection of its
//! own: to connect to a socket of this machine takes no time, and a runtime that restarts breaks one call.

use std::error::Error as _;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::{PathAndQuery, Uri};
use hyper::body::{Buf, Bytes, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::UnixStream;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataValue;
use tonic::{Request, Status};

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The socket does not take a connection.
    Connect(io::Error),
    /// The connection ended before the answer, or what answers does not speak HTTP/2.
    Broken(String),
    /// The runtime's answer is that it failed.
    Status(Status),
    /// The time is over.
    Timeout,
}

/// Calls the method `path` of what listens at `socket`.
pub(super) fn call<Q: Message, A: Message + Default>(
    socket: &Path,
    path: &'static str,
    question: &Q,
    limit: Duration,
) -> Result<A, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::Connect)?;
    let exchange = exchange(socket, path, question.encode_to_vec());
    let answer = runtime.block_on(async { tokio::time::timeout(limit, exchange).await });
    let answer = answer.map_err(|_| Failure::Timeout)??;
    A::decode(answer).map_err(|error| Failure::Broken(error.to_string()))
}

async fn exchange(socket: &Path, path: &'static str, question: Vec<u8>) -> Result<Bytes, Failure> {
    let stream = UnixStream::connect(socket).await.map_err(Failure::Connect)?;
    let broken = |error: hyper::Error| Failure::Broken(with_causes(&error));
    let (sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(broken)?;
    // It ends with the runtime, at the end of the call.
    tokio::spawn(connection);
    let mut client = Grpc::with_origin(Connection(sender), Uri::from_static("http://localhost"));
    client.ready().await.map_err(broken)?;
    let mut request = Request::new(question);
    // containerd's own API wants to know whose images are meant; CRI does not look at it.
    request.metadata_mut().insert("containerd-namespace", MetadataValue::from_static("k8s.io"));
    let answer = client.unary(request, PathAndQuery::from_static(path), Passed).await;
    answer.map(tonic::Response::into_inner).map_err(|status| match status.source() {
        Some(source) => Failure::Broken(with_causes(source)),
        None => Failure::Status(status),
    })
}

fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// hyper's half of a connection, as tonic wants it.
struct Connection(SendRequest<Body>);

impl tower_service::Service<http::Request<Body>> for Connection {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(task)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

/// Messages that are bytes already: so all of them share one copy of tonic's code.
struct Passed;

impl Codec for Passed {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Passed {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        prost::bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

impl Decoder for Passed {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
