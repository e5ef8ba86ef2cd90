//! What the tests share: a route that the test plays itself, and a client that speaks frames.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use im_common::backend::registry::ServerInfo;
use im_common::code::Code;
use im_common::frame::{PROTOCOL_VERSION, encode};
use im_common::id::{
    ConversationId, DeviceId, LogEpoch, MessageId, Sequence, ServerId, SessionEpoch, UserId,
};
use im_common::message::{
    Head, Identity, Page, Position, Receipt, Session, StoredMessage, Submission,
};
use im_common::name::UserName;
use im_common::secret::ClusterSecret;
use im_common::stream::FrameStream;
use im_common::tasks::Tasks;
use im_common::ticket::{Ticket, TicketKey};
use im_common::transport::{DeviceAck, Heads, OpenLogin, Refusal, Renewal, SyncRequest, Uplink};
use im_common::wire::{self, server_frame::Frame};
use parking_lot::Mutex;
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::acks::Acks;
use crate::config::ServerConfig;
use crate::connection::{Context, serve};
use crate::connections::Connections;
use crate::detaches::Detaches;
use crate::handshake::Gate;

/// Longer than anything a test waits for; passes at once where the clock is paused.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) type Outcomes = Vec<Result<Receipt, Refusal>>;

/// What a server asked; where there is a sender, the test answers.
#[derive(Debug)]
pub(crate) enum Call {
    Submit(Vec<Submission>, oneshot::Sender<Outcomes>),
    Attach(Session, Option<oneshot::Sender<()>>),
    Detach(Session),
    Renew(Vec<Session>, oneshot::Sender<Renewal>),
    Heads,
    Ack(Vec<DeviceAck>),
    Sync,
}

/// A route played by the test.
pub(crate) struct FakeUplink {
    calls: mpsc::Sender<Call>,
    /// Attaching waits for the test.
    pub(crate) holds_attach: AtomicBool,
    /// A part of the store is away.
    pub(crate) lacks_logs: AtomicBool,
    /// What every call but submit is refused with.
    pub(crate) refuses: Mutex<Option<Code>>,
    /// Who is logged in without a ticket.
    pub(crate) logins: Mutex<HashMap<UserId, OpenLogin>>,
}

impl FakeUplink {
    pub(crate) fn new() -> (Arc<Self>, mpsc::Receiver<Call>) {
        let (calls, receiver) = mpsc::channel(1000);
        let uplink = Self {
            calls,
            holds_attach: AtomicBool::new(false),
            lacks_logs: AtomicBool::new(false),
            refuses: Mutex::default(),
            logins: Mutex::default(),
        };
        (Arc::new(uplink), receiver)
    }

    fn heads(&self) -> Heads {
        Heads {
            heads: vec![head()],
            is_whole: !self.lacks_logs.load(Ordering::Relaxed),
        }
    }

    async fn note(&self, call: Call) -> Result<(), Refusal> {
        // A test that is done does not listen.
        let _ = self.calls.send(call).await;
        self.refuses.lock().map_or(Ok(()), |code| Err(code.into()))
    }
}

#[async_trait]
impl Uplink for FakeUplink {
    async fn submit(&self, offers: Vec<(Identity, Submission)>) -> Outcomes {
        let (answer, outcomes) = oneshot::channel();
        let submissions = offers.into_iter().map(|(_, submission)| submission);
        let _ = self.note(Call::Submit(submissions.collect(), answer)).await;
        outcomes.await.unwrap_or_default()
    }

    async fn login(&self, user: UserId, device: &DeviceId) -> Result<OpenLogin, Refusal> {
        let login = self.logins.lock().get(&user).cloned();
        let login = login.filter(|login| login.identity.device == *device);
        login.ok_or_else(|| Code::LOGGED_OUT.into())
    }

    async fn attach(&self, session: &Session, _: Vec<Position>) -> Result<Heads, Refusal> {
        let (go, gone) = oneshot::channel();
        let holds = self.holds_attach.load(Ordering::Relaxed);
        let go = holds.then_some(go);
        self.note(Call::Attach(session.clone(), go)).await?;
        if holds {
            gone.await.unwrap();
        }
        Ok(self.heads())
    }

    async fn detach(&self, session: &Session) -> Result<(), Refusal> {
        self.note(Call::Detach(session.clone())).await
    }

    async fn renew(&self, sessions: Vec<Session>) -> Result<Renewal, Refusal> {
        let (answer, renewal) = oneshot::channel();
        self.note(Call::Renew(sessions, answer)).await?;
        Ok(renewal.await.unwrap_or_default())
    }

    async fn heads(&self, _: UserId, _: &DeviceId, _: Vec<Position>) -> Result<Heads, Refusal> {
        self.note(Call::Heads).await?;
        Ok(self.heads())
    }

    async fn ack(&self, acks: Vec<DeviceAck>) -> Result<(), Refusal> {
        self.note(Call::Ack(acks)).await
    }

    async fn sync(&self, _: UserId, request: SyncRequest) -> Result<Page, Refusal> {
        self.note(Call::Sync).await?;
        Ok(Page {
            conversation: request.conversation,
            epoch: LogEpoch(1),
            messages: vec![stored(request.after.0 + 1, "missed")],
            head: request.after.next(),
            fork: None,
        })
    }
}

/// A server without sockets: connections over pipes.
pub(crate) struct Bench {
    pub(crate) context: Arc<Context>,
    pub(crate) uplink: Arc<FakeUplink>,
    pub(crate) calls: mpsc::Receiver<Call>,
    pub(crate) tasks: Tasks,
    pub(crate) key: TicketKey,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let (uplink, calls) = FakeUplink::new();
        let tasks = Tasks::new();
        let key = TicketKey::new(&ClusterSecret::fresh());
        let (detaches, leavers) = Detaches::new();
        let config = ServerConfig::default();
        let context = Arc::new(Context {
            connections: Connections::new(100),
            uplink: uplink.clone(),
            acks: Acks::default(),
            detaches,
            gate: Gate {
                key: key.clone(),
                within: config.handshake_within,
                closing: tasks.token(),
            },
            ping_after: config.ping_after,
            pong_within: config.pong_within,
            write_within: config.write_within,
        });
        tasks.spawn("detaches", leavers.run(uplink.clone()));
        Self {
            context,
            uplink,
            calls,
            tasks,
            key,
        }
    }

    /// Opens a connection over a pipe that holds so many bytes.
    pub(crate) fn connect(&self, pipe_bytes: usize) -> TestClient<DuplexStream> {
        let (near, far) = tokio::io::duplex(pipe_bytes);
        self.tasks
            .spawn("connection", serve(far, Arc::clone(&self.context)));
        TestClient::new(near)
    }

    /// Opens a connection and attaches it.
    pub(crate) async fn attach(&mut self, name: &str, attempt: u32) -> TestClient<DuplexStream> {
        self.attach_over(name, attempt, 64 * 1024).await
    }

    pub(crate) async fn attach_over(
        &mut self,
        name: &str,
        attempt: u32,
        pipe_bytes: usize,
    ) -> TestClient<DuplexStream> {
        let mut client = self.connect(pipe_bytes);
        client.say(hello(&self.key, name, attempt)).await;
        assert!(matches!(client.next().await, Frame::Welcome(_)));
        assert!(matches!(client.next().await, Frame::Heads(_)));
        assert!(matches!(self.call().await, Call::Attach(..)));
        client
    }

    /// The next thing a server asked.
    pub(crate) async fn call(&mut self) -> Call {
        let call = timeout(PATIENCE, self.calls.recv()).await;
        call.expect("the server asks for nothing").unwrap()
    }

    pub(crate) async fn submits(&mut self) -> (Vec<u8>, oneshot::Sender<Outcomes>) {
        match self.call().await {
            Call::Submit(submissions, answer) => {
                let numbers = submissions.iter().map(|one| one.id.as_bytes()[0]);
                (numbers.collect(), answer)
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The other end of a connection.
pub(crate) struct TestClient<S> {
    pub(crate) stream: FrameStream<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> TestClient<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream: FrameStream::new(stream),
        }
    }

    pub(crate) async fn say(&mut self, frame: impl Into<wire::ClientFrame>) {
        self.write(encode(&frame.into())).await;
    }

    pub(crate) async fn write(&mut self, bytes: bytes::Bytes) {
        let written = self.stream.write_all(&mut VecDeque::from([bytes])).await;
        written.expect("the server listens");
    }

    pub(crate) async fn next(&mut self) -> Frame {
        let frame = timeout(PATIENCE, self.stream.next()).await;
        let bytes = frame.expect("the server says nothing").unwrap();
        let bytes = bytes.expect("the server has hung up");
        wire::ServerFrame::decode(bytes).unwrap().frame.unwrap()
    }

    /// Reads up to the close that ends the connection; returns its code.
    pub(crate) async fn closed(&mut self) -> Code {
        loop {
            if let Frame::Close(close) = self.next().await {
                let end = timeout(PATIENCE, self.stream.next()).await.unwrap();
                assert!(end.unwrap().is_none(), "the close is the last frame");
                return close.code.into();
            }
        }
    }

    pub(crate) async fn delivered(&mut self) -> u64 {
        match self.next().await {
            Frame::Deliver(deliver) => deliver.message.unwrap().sequence,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn user_of(name: &str) -> UserId {
    let number = name.bytes().fold(1, |sum, byte| sum * 31 + u64::from(byte));
    UserId::new(number).unwrap()
}

pub(crate) fn identity(name: &str) -> Identity {
    Identity {
        user: user_of(name),
        name: UserName::new(name).unwrap(),
        device: DeviceId::new("laptop").unwrap(),
    }
}

pub(crate) const fn epoch(login: u64, attempt: u32) -> SessionEpoch {
    SessionEpoch { login, attempt }
}

pub(crate) fn ticket(key: &TicketKey, name: &str, lifetime: Duration) -> bytes::Bytes {
    key.issue(&Ticket {
        identity: identity(name),
        login_epoch: 1,
        expires_at: SystemTime::now() + lifetime,
    })
}

pub(crate) fn hello(key: &TicketKey, name: &str, attempt: u32) -> wire::Hello {
    wire::Hello {
        version: PROTOCOL_VERSION,
        ticket: ticket(key, name, PATIENCE),
        device: "laptop".to_owned(),
        attempt,
        positions: Vec::new(),
    }
}

pub(crate) fn submit(number: u8, round: u32) -> wire::Submit {
    let submission = Submission {
        id: MessageId::from_bytes(&[number; 16]).unwrap(),
        to: im_common::message::Recipient::Lobby,
        text: "hi".to_owned(),
    };
    wire::Submit::new(submission, round)
}

pub(crate) fn receipt(number: u8) -> Result<Receipt, Refusal> {
    Ok(Receipt {
        id: MessageId::from_bytes(&[number; 16]).unwrap(),
        position: position(number.into()),
        accepted_at_ms: 0,
    })
}

pub(crate) fn position(sequence: u64) -> Position {
    Position {
        conversation: ConversationId::Lobby,
        epoch: LogEpoch(1),
        sequence: Sequence(sequence),
    }
}

pub(crate) fn stored(sequence: u64, text: &str) -> StoredMessage {
    StoredMessage {
        conversation: ConversationId::Lobby,
        epoch: LogEpoch(1),
        sequence: Sequence(sequence),
        id: MessageId::fresh(),
        sender: identity("sender"),
        accepted_at_ms: 0,
        text: text.to_owned(),
    }
}

/// What an empty server tells of itself. Nobody is at its addresses, which begin with its name.
pub(crate) fn server_info(name: &str) -> ServerInfo {
    ServerInfo {
        id: ServerId::fresh(),
        client_address: format!("{name}:1"),
        http_address: format!("{name}:2"),
        draining: false,
        connections: 0,
        entrances: Default::default(),
    }
}

fn head() -> Head {
    Head {
        newest: position(9),
        handled: Sequence(3),
    }
}
