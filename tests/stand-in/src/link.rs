//! A long way to a server: a relay that lets bytes wait for half a round trip in each direction.
//!
//! For kernels without netem. What `connect` costs on a real link, one round trip, is spent before the
//! first byte is passed on.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use crate::server::{ANY_PORT, Server};

/// A running relay.
#[derive(Debug)]
pub struct Link(Server);

impl Link {
    /// Starts a relay to `target` with this round-trip time.
    pub fn start(target: SocketAddr, round_trip: Duration) -> Self {
        Self(Server::start(ANY_PORT, move |near| async move {
            sleep(round_trip).await;
            let Ok(far) = TcpStream::connect(target).await else { return };
            let _ = near.set_nodelay(true).and_then(|()| far.set_nodelay(true));
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::join!(
                delayed(near_in, far_out, round_trip / 2),
                delayed(far_in, near_out, round_trip / 2)
            );
        }))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }
}

/// Passes bytes on, each after `delay`, and does not stop reading meanwhile.
async fn delayed(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, delay: Duration) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let read = async move {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            if sender.send((Instant::now() + delay, buffer[..length].to_vec())).is_err() {
                break;
            }
        }
    };
    let write = async move {
        while let Some((due, bytes)) = receiver.recv().await {
            sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}
