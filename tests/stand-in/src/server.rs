//! An HTTP server on loopback, in a thread of its own, that can also misbehave.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use socket2::Socket;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// What a handler does with a request.
#[derive(Debug)]
pub enum Reply {
    /// Answers.
    Answer(Response<Bytes>),
    /// Answers after a time.
    Late(Duration, Response<Bytes>),
    /// Sends one byte of the body at a time, with a pause before each.
    Drip(Duration, Response<Bytes>),
    /// Resets the connection.
    Reset,
    /// Closes the connection without an answer.
    Close,
    /// Never answers.
    Hang,
}

/// A free port of 127.0.0.1.
pub(crate) const ANY_PORT: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

pub(crate) type Handler = Arc<dyn Fn(Request<Bytes>) -> Reply + Send + Sync>;

/// A listening socket and the thread that serves it until this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves HTTP, over TLS if there is an acceptor.
    pub(crate) fn http(address: SocketAddr, tls: Option<TlsAcceptor>, handler: Handler) -> Self {
        Self::start(address, move |stream| serve(stream, tls.clone(), handler.clone()))
    }

    /// Runs `connection` for each connection.
    pub(crate) fn start<F>(address: SocketAddr, connection: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = std::net::TcpListener::bind(address).expect("a free address");
        listener.set_nonblocking(true).expect("a socket option");
        let address = listener.local_addr().expect("the address of a bound socket");
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                let accept = async {
                    while let Ok((stream, _)) = listener.accept().await {
                        tokio::spawn(connection(stream));
                    }
                };
                tokio::select! { () = accept => {}, _ = stopped => {} }
            });
            runtime.shutdown_background();
        });
        Self { address, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, handler: Handler) {
    let Ok((stream, socket)) = with_handle(stream) else { return };
    match tls {
        None => serve_http(stream, &socket, handler).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                serve_http(stream, &socket, handler).await;
            }
        }
    }
}

/// A second handle of the same socket, through which the connection can be reset.
fn with_handle(stream: TcpStream) -> io::Result<(TcpStream, Socket)> {
    let stream = stream.into_std()?;
    let socket = Socket::from(stream.try_clone()?);
    Ok((TcpStream::from_std(stream)?, socket))
}

async fn serve_http(stream: impl AsyncRead + AsyncWrite + Unpin, socket: &Socket, handler: Handler) {
    let service = hyper::service::service_fn(|request: Request<Incoming>| {
        let handler = handler.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
            match handler(Request::from_parts(parts, body)) {
                Reply::Answer(response) => Ok(response.map(whole)),
                Reply::Late(pause, response) => {
                    tokio::time::sleep(pause).await;
                    Ok(response.map(whole))
                }
                Reply::Drip(pause, response) => Ok(response.map(|body| drip(pause, body))),
                Reply::Reset => {
                    socket.set_linger(Some(Duration::ZERO))?;
                    Err(io::Error::other("reset on purpose"))
                }
                Reply::Close => Err(io::Error::other("closed on purpose")),
                Reply::Hang => std::future::pending().await,
            }
        }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

type AnyBody = BoxBody<Bytes, Infallible>;

fn whole(body: Bytes) -> AnyBody {
    Full::new(body).boxed()
}

fn drip(pause: Duration, body: Bytes) -> AnyBody {
    BoxBody::new(Dripping { rest: body, pause: Box::pin(tokio::time::sleep(pause)), each: pause })
}

struct Dripping {
    rest: Bytes,
    pause: std::pin::Pin<Box<tokio::time::Sleep>>,
    each: Duration,
}

impl Body for Dripping {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return std::task::Poll::Ready(None);
        }
        std::task::ready!(self.pause.as_mut().poll(context));
        let each = self.each;
        let next = self.pause.deadline() + each;
        self.pause.as_mut().reset(next);
        std::task::Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(1)))))
    }
}
