//! A client that speaks frames, or what is none: for everything that the SDK would never do.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use im_common::code::Code;
use im_common::frame::{PROTOCOL_VERSION, encode};
use im_common::stream::FrameStream;
use im_common::wire::{self, ClientFrame, ServerFrame, server_frame::Frame};
use prost::Message as _;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::PATIENCE;
use crate::http::Http;
use crate::user::PASSWORD;

/// The system makes it a little more.
const NARROW_BYTES: u32 = 4096;

/// A login over HTTP: what a client needs for `Hello`.
#[derive(Debug, Clone)]
pub struct Pass {
    /// The ticket's bytes.
    pub ticket: Bytes,
    /// The device in it.
    pub device: String,
    /// Where to connect.
    pub servers: Vec<String>,
}

impl Pass {
    /// Logs a registered user in.
    pub async fn of(url: &str, name: &str, device: &str) -> Self {
        let body = json!({"name": name, "password": PASSWORD, "device": device});
        let (status, login) = Http::anonymous(url).post("/v1/login", body).await;
        assert_eq!(status, 200, "{login}");
        let ticket = login["ticket"].as_str().expect("a ticket");
        let servers = login["servers"].as_array().expect("servers");
        Self {
            ticket: BASE64_URL_SAFE_NO_PAD
                .decode(ticket)
                .expect("base64url")
                .into(),
            device: device.to_owned(),
            servers: servers
                .iter()
                .filter_map(|server| server.as_str().map(str::to_owned))
                .collect(),
        }
    }

    /// The first frame of a connection.
    pub fn hello(&self, attempt: u32) -> wire::Hello {
        wire::Hello {
            version: PROTOCOL_VERSION,
            ticket: self.ticket.clone(),
            device: self.device.clone(),
            attempt,
            positions: Vec::new(),
        }
    }
}

/// A connection to a server.
pub struct Raw {
    stream: FrameStream<TcpStream>,
}

impl Raw {
    /// Connects and says nothing.
    pub async fn connect(address: &str) -> Self {
        let socket = TcpStream::connect(address)
            .await
            .expect("the server accepts");
        socket.set_nodelay(true).expect("a connected socket");
        Self::over(socket)
    }

    /// Goes on with a socket.
    pub fn over(socket: TcpStream) -> Self {
        Self {
            stream: FrameStream::new(socket),
        }
    }

    /// Connects with as little room for what is not read as the system allows.
    pub async fn connect_narrow(address: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .set_recv_buffer_size(NARROW_BYTES)
            .expect("a small buffer");
        let address = address.parse().expect("an address and a port");
        Self::over(socket.connect(address).await.expect("the server accepts"))
    }

    /// Connects, says hello and reads the welcome, up to the heads.
    pub async fn attach(address: &str, pass: &Pass, attempt: u32) -> Self {
        let mut raw = Self::connect(address).await;
        raw.say(pass.hello(attempt)).await;
        assert!(matches!(raw.next().await, Some(Frame::Welcome(_))));
        assert!(matches!(raw.next().await, Some(Frame::Heads(_))));
        raw
    }

    /// Writes a frame; the server may have closed already.
    pub async fn say(&mut self, frame: impl Into<ClientFrame>) {
        self.write(encode(&frame.into())).await;
    }

    /// Writes bytes; the server may have closed already.
    pub async fn write(&mut self, bytes: impl Into<Bytes>) {
        self.stream
            .write_all(&mut VecDeque::from([bytes.into()]))
            .await
            .ok();
    }

    /// Writes nothing more; reading goes on.
    pub async fn finish(&mut self) {
        self.stream.shutdown().await.ok();
    }

    /// The next frame, none at the end.
    pub async fn next(&mut self) -> Option<Frame> {
        let frame = timeout(PATIENCE, self.stream.next()).await;
        let bytes = frame.expect("the server says or ends it in time").ok()??;
        let frame = ServerFrame::decode(bytes).expect("the server speaks the protocol");
        frame.frame
    }

    /// Reads up to the answer to a submit: the code of a refusal, none when accepted.
    pub async fn answer(&mut self) -> Option<Code> {
        loop {
            match self.next().await {
                Some(Frame::Accepted(_)) => return None,
                Some(Frame::Refused(refused)) => return Some(refused.code.into()),
                Some(Frame::Close(close)) => return Some(close.code.into()),
                Some(_) => {}
                None => panic!("closed without an answer"),
            }
        }
    }

    /// Reads until the server closes, and returns the code it gave.
    pub async fn closed_with(mut self) -> Option<Code> {
        let mut code = None;
        while let Some(frame) = self.next().await {
            if let Frame::Close(close) = frame {
                code = Some(close.code.into());
            }
        }
        code
    }

    /// Ends it as a program that is killed: what was not read resets the connection.
    pub fn vanish(self) {
        drop(self);
    }

    /// The bare socket.
    pub fn into_socket(self) -> TcpStream {
        self.stream.into_inner()
    }
}

/// Writes bytes one by one.
pub async fn trickle(socket: &mut TcpStream, bytes: &[u8]) {
    for byte in bytes {
        if socket.write_all(&[*byte]).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
}
