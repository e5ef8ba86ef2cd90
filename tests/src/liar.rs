//! A route and a server that say what they like.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use im_common::frame::{PROTOCOL_VERSION, encode};
use im_common::stream::FrameStream;
use im_common::tasks::Tasks;
use im_common::wire::{self, ClientFrame, ServerFrame, client_frame};
use parking_lot::Mutex;
use prost::Message as _;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What a route answers to a path and a body: a status and a body.
type Answers = dyn Fn(&str, &Value) -> (u16, Value) + Send + Sync;
/// What a server says on its connection with this number, after the welcome, and to each message.
type Speech = dyn Fn(Said) -> Vec<ServerFrame> + Send + Sync;

/// When it is the server's turn to speak.
#[derive(Debug)]
pub enum Said {
    /// A client has been welcomed; it is the so manieth, from 0.
    Hello(usize),
    /// The client offers a message.
    Submit(wire::Submit),
    /// The client asks for what follows a position.
    Sync(wire::Sync),
}

/// A route and a server on ports of their own; they end when this is dropped.
pub struct Liar {
    route: SocketAddr,
    tasks: Tasks,
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

impl Liar {
    /// A route that logs anybody in, sends them to the server, and answers everything else so.
    pub async fn start(
        answers: impl Fn(&str) -> (u16, Value) + Send + Sync + 'static,
        speech: impl Fn(Said) -> Vec<ServerFrame> + Send + Sync + 'static,
    ) -> Self {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = server.local_addr().expect("a bound socket");
        let tasks = Tasks::new();
        tasks.spawn(
            "lying server",
            serve(server, Arc::new(speech), tasks.clone()),
        );
        let device = Mutex::new(String::new());
        let answers = move |path: &str, body: &Value| {
            let mut device = device.lock();
            match path {
                "/v1/login" => body["device"]
                    .as_str()
                    .unwrap_or_default()
                    .clone_into(&mut device),
                "/v1/ticket" => {}
                _ => return answers(path),
            }
            (200, login(address, &device))
        };
        let route = listen(Arc::new(answers), &tasks).await;
        Self { route, tasks }
    }

    /// A route that answers everything so.
    pub async fn route(answers: impl Fn(&str) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let tasks = Tasks::new();
        let route = listen(Arc::new(move |path: &str, _: &Value| answers(path)), &tasks).await;
        Self { route, tasks }
    }

    /// The base of the route's HTTP API.
    pub fn url(&self) -> String {
        format!("http://{}", self.route)
    }
}

fn login(server: SocketAddr, device: &str) -> Value {
    json!({
        "user_id": 1,
        "name": "alice",
        "device": device,
        "token": "token",
        "ticket": "AAAA",
        "ticket_expires_at_ms": 9_999_999_999_999_u64,
        "servers": [server.to_string()],
    })
}

async fn listen(answers: Arc<Answers>, tasks: &Tasks) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("a bound socket");
    let each = tasks.clone();
    tasks.spawn("lying route", async move {
        while let Some(Ok((socket, _))) = each.token().run_until_cancelled(listener.accept()).await
        {
            let answers = Arc::clone(&answers);
            each.spawn("lying answer", async move {
                // Whoever asked may have gone.
                let _ = answer(socket, &*answers).await;
            });
        }
    });
    address
}

/// One request, one answer.
async fn answer(socket: TcpStream, answers: &Answers) -> std::io::Result<()> {
    let mut socket = BufReader::new(socket);
    let mut line = String::new();
    socket.read_line(&mut line).await?;
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut body_bytes = 0;
    while line.trim_end() != "" {
        line.clear();
        socket.read_line(&mut line).await?;
        let header = line.to_ascii_lowercase();
        if let Some(length) = header.strip_prefix("content-length:") {
            body_bytes = length.trim().parse().unwrap_or_default();
        }
    }
    let mut body = vec![0; body_bytes];
    socket.read_exact(&mut body).await?;
    let asked = serde_json::from_slice(&body).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    let (status, body) = answers(path, &asked);
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} Lie\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    socket
        .write_all(&[head.as_bytes(), body.as_bytes()].concat())
        .await
}

async fn serve(listener: TcpListener, speech: Arc<Speech>, tasks: Tasks) {
    let mut number = 0;
    while let Some(Ok((socket, _))) = tasks.token().run_until_cancelled(listener.accept()).await {
        let (speech, connection) = (Arc::clone(&speech), number);
        let stop = tasks.token();
        tasks.spawn("lying connection", async move {
            stop.run_until_cancelled(converse(socket, connection, &*speech))
                .await;
        });
        number += 1;
    }
}

async fn converse(socket: TcpStream, number: usize, speech: &Speech) {
    let mut stream = FrameStream::new(socket);
    while let Ok(Some(bytes)) = stream.next().await {
        let frame = ClientFrame::decode(bytes).expect("the SDK speaks the protocol");
        let frames = match frame.frame {
            Some(client_frame::Frame::Hello(_)) => {
                let mut frames = welcome();
                frames.extend(speech(Said::Hello(number)));
                frames
            }
            Some(client_frame::Frame::Submit(submit)) => speech(Said::Submit(submit)),
            Some(client_frame::Frame::Sync(sync)) => speech(Said::Sync(sync)),
            Some(client_frame::Frame::Ping(wire::Ping { nonce })) => {
                vec![wire::Pong { nonce }.into()]
            }
            _ => Vec::new(),
        };
        let mut bytes: VecDeque<_> = frames.iter().map(encode).collect();
        if stream.write_all(&mut bytes).await.is_err() {
            return;
        }
    }
}

fn welcome() -> Vec<ServerFrame> {
    let welcome = wire::Welcome {
        version: PROTOCOL_VERSION,
        user_id: 1,
        user_name: "alice".to_owned(),
        server_id: "liar".to_owned(),
        connection_id: 1,
        ping_after_ms: 5_000,
        submits_in_flight_max: 16,
    };
    vec![welcome.into(), wire::Heads::default().into()]
}
