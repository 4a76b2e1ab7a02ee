//! An HTTP proxy that leads every name to one address. With it the real names of AWS are used, without DNS
//! and without leaving the machine.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;

use crate::server::{ANY_PORT, Server};

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    server: Server,
    asked: Arc<Mutex<Vec<String>>>,
}

/// How a proxy treats its clients.
#[derive(Clone, Debug)]
pub enum Manner {
    /// Lets everyone through.
    Open,
    /// Wants `user:password`.
    Password(&'static str),
    /// Answers with this status line.
    Refuses(&'static str),
    /// Says that it has connected, and closes.
    Closes,
    /// Never answers.
    Hangs,
}

impl Proxy {
    /// Starts a proxy in front of `target`.
    pub fn start(target: SocketAddr, manner: Manner) -> Self {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let log = asked.clone();
        let server = Server::start(ANY_PORT, move |client| {
            let (log, manner) = (log.clone(), manner.clone());
            async move {
                let _ = relay(client, target, &log, &manner).await;
            }
        });
        Self { server, asked }
    }

    /// `host:port` of the proxy itself.
    pub fn authority(&self) -> String {
        self.server.address().to_string()
    }

    /// The first line of each request, such as `CONNECT api.ecr.eu-central-1.amazonaws.com:443 HTTP/1.1`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

async fn relay(
    mut client: TcpStream,
    target: SocketAddr,
    log: &Mutex<Vec<String>>,
    manner: &Manner,
) -> std::io::Result<()> {
    let head = read_head(&mut client).await?;
    let first = head.lines().next().unwrap_or_default().to_owned();
    log.lock().expect("not poisoned").push(first.clone());
    let refusal = match manner {
        Manner::Open => None,
        Manner::Password(text) if credentials_in(&head) == Some(&STANDARD.encode(text)) => None,
        Manner::Password(_) => Some("407 Proxy Authentication Required"),
        Manner::Refuses(status) => Some(*status),
        Manner::Closes => return client.write_all(CONNECTED).await,
        Manner::Hangs => return std::future::pending().await,
    };
    if let Some(status) = refusal {
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        return client.write_all(answer.as_bytes()).await;
    }
    let mut server = TcpStream::connect(target).await?;
    if first.starts_with("CONNECT ") {
        client.write_all(CONNECTED).await?;
    } else {
        server.write_all(head.as_bytes()).await?;
    }
    copy_bidirectional(&mut client, &mut server).await.map(|_| ())
}

const CONNECTED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

fn credentials_in(head: &str) -> Option<&str> {
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let (scheme, credentials) = value.split_once(' ')?;
        let basic = scheme.eq_ignore_ascii_case("basic") && name.eq_ignore_ascii_case("proxy-authorization");
        basic.then_some(credentials)
    })
}

async fn read_head(client: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
