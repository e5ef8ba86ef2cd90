//! A route and servers played by the test, on sockets of their own.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use im_common::api::{ErrorResponse, LoginResponse, TicketResponse};
use im_common::code::Code;
use im_common::frame::encode;
use im_common::stream::FrameStream;
use im_common::tasks::Tasks;
use im_common::wire::client_frame::Frame;
use im_common::wire::{ClientFrame, Hello, ServerFrame, Welcome};
use prost::Message as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Far more than anything here takes.
const SOON: Duration = Duration::from_secs(10);

pub(super) struct Route {
    pub(super) address: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    servers: Vec<String>,
    refusals: VecDeque<(&'static str, Code)>,
    calls: Vec<String>,
    /// How far its clock is behind.
    behind: Duration,
}

impl Route {
    pub(super) async fn start(servers: &[&Server]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Mutex::new(Shared {
            servers: servers.iter().map(|server| server.address()).collect(),
            ..Shared::default()
        }));
        let serving = Arc::clone(&shared);
        Tasks::new().spawn("route", async move {
            while let Ok((stream, _)) = listener.accept().await {
                answer(stream, &serving).await;
            }
        });
        Self { address, shared }
    }

    /// The next call to that path is refused.
    pub(super) fn refuse(&self, path: &'static str, code: Code) {
        let mut shared = self.shared.lock().unwrap();
        shared.refusals.push_back((path, code));
    }

    pub(super) fn calls(&self) -> Vec<String> {
        self.shared.lock().unwrap().calls.clone()
    }

    /// From now on its clock is so far behind.
    pub(super) fn set_behind(&self, behind: Duration) {
        self.shared.lock().unwrap().behind = behind;
    }
}

async fn answer(mut stream: TcpStream, shared: &Mutex<Shared>) {
    let mut bytes = vec![0; 8192];
    let count = stream.read(&mut bytes).await.unwrap();
    let head = String::from_utf8_lossy(&bytes[..count]).into_owned();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let (status, body) = respond(&path, &mut shared.lock().unwrap());
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
}

fn respond(path: &str, shared: &mut Shared) -> (u16, String) {
    shared.calls.push(path.to_owned());
    let refusal = shared
        .refusals
        .iter()
        .position(|(refused, _)| *refused == path);
    if let Some((_, code)) = refusal.and_then(|index| shared.refusals.remove(index)) {
        let body = ErrorResponse {
            code: code.0,
            error: code.name().to_owned(),
            message: code.meaning().to_owned(),
            retryable: code.is_retryable(),
        };
        return (400, serde_json::to_string(&body).unwrap());
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let ends_at = now + Duration::from_secs(600) - shared.behind;
    let number = shared.calls.len();
    let ticket = TicketResponse {
        user_id: 1,
        name: "alice".to_owned(),
        device: "here".to_owned(),
        ticket: BASE64_URL_SAFE_NO_PAD.encode(format!("ticket {number}")),
        ticket_expires_at_ms: u64::try_from(ends_at.as_millis()).unwrap(),
        servers: shared.servers.clone(),
    };
    let body = match path {
        "/v1/login" => serde_json::to_string(&LoginResponse {
            token: format!("token {number}"),
            ticket,
        }),
        "/v1/ticket" => serde_json::to_string(&ticket),
        _ => Ok(String::new()),
    };
    (200, body.unwrap())
}

pub(super) struct Server {
    listener: TcpListener,
    name: &'static str,
}

impl Server {
    pub(super) async fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener, name }
    }

    pub(super) fn address(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    /// Waits for a client to introduce itself.
    pub(super) async fn greeted(&self) -> (Peer, Hello) {
        let accept = self.listener.accept();
        let (stream, _) = timeout(SOON, accept).await.expect("nobody came").unwrap();
        let mut peer = Peer(FrameStream::new(stream));
        let Frame::Hello(hello) = peer.hear().await else {
            panic!("no hello");
        };
        (peer, hello)
    }

    /// Takes a client in; it has no conversations.
    pub(super) async fn attach(&self) -> (Peer, Hello) {
        let (mut peer, hello) = self.greeted().await;
        let welcome = Welcome {
            version: 1,
            user_id: 1,
            user_name: "alice".to_owned(),
            server_id: self.name.to_owned(),
            ..Welcome::default()
        };
        peer.say(welcome).await;
        peer.say(im_common::wire::Heads::default()).await;
        (peer, hello)
    }
}

/// The server's end of one connection.
pub(super) struct Peer(FrameStream<TcpStream>);

impl Peer {
    pub(super) async fn say(&mut self, frame: impl Into<ServerFrame>) {
        let frame = encode(&frame.into());
        self.0.write_all(&mut [frame].into()).await.unwrap();
    }

    pub(super) async fn hear(&mut self) -> Frame {
        let bytes = timeout(SOON, self.0.next()).await.expect("no frame came");
        let bytes = bytes.unwrap().expect("the client hung up");
        ClientFrame::decode(bytes).unwrap().frame.unwrap()
    }
}
