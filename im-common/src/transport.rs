//! The two directions between a server and a route, each in process or over HTTP.

use async_trait::async_trait;

use crate::backend::BackendError;
use crate::backend::registry::ServerInfo;
use crate::code::Code;
use crate::id::{ConnectionId, ConversationId, DeviceId, LogEpoch, Members, Sequence, UserId};
use crate::message::{Head, Identity, Page, Position, Receipt, Session, StoredMessage, Submission};
use crate::name::UserName;

/// Why a submission was not stored: a code of the table, and a reason for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// What the client is told.
    pub code: Code,
    /// What a person is told.
    pub reason: String,
}

impl Refusal {
    /// A refusal with a reason of its own.
    pub fn new(code: Code, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self::new(code, code.meaning())
    }
}

impl From<BackendError> for Refusal {
    fn from(error: BackendError) -> Self {
        match error {
            BackendError::Unavailable(_) => Code::UNAVAILABLE.into(),
            // What is damaged is for the operator's eyes only.
            BackendError::Damaged(_) => {
                tracing::error!(%error, "stored data is damaged");
                Code::INTERNAL.into()
            }
        }
    }
}

/// What came back from renewing sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Renewal {
    /// Connections whose session had vanished and was put back: they may have missed pushes.
    pub restored: Vec<ConnectionId>,
    /// Connections that a newer session has replaced.
    pub superseded: Vec<ConnectionId>,
}

/// Where the logs of a user are, as far as can be told now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heads {
    /// The head of each log that could be looked at.
    pub heads: Vec<Head>,
    /// Whether these are all: otherwise a part of the store is away, and a log that is missing may
    /// have begun all the same.
    pub is_whole: bool,
}

/// A login that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenLogin {
    /// Who is logged in, on which device.
    pub identity: Identity,
    /// Which login of this device it is.
    pub epoch: u64,
}

/// How far one device has handled its conversations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceAck {
    /// The account.
    pub user: UserId,
    /// The installation.
    pub device: DeviceId,
    /// Everything up to here, in each conversation named.
    pub positions: Vec<Position>,
}

/// What a server asks of the routes. Implemented by the route's delivery service in process, and
/// over HTTP by the server, which tries another route when one does not answer.
///
/// All calls are idempotent and end within a few seconds; [`Code::UNAVAILABLE`] means that the
/// outcome is unknown.
#[async_trait]
pub trait Uplink: Send + Sync {
    /// Offers messages. The outcomes are in the order of the offers; offers to one conversation
    /// are stored in the order given, and when one of them is [`Code::UNAVAILABLE`], so are all
    /// behind it in that conversation.
    async fn submit(&self, offers: Vec<(Identity, Submission)>) -> Vec<Result<Receipt, Refusal>>;

    /// Returns the login of a device, for connections whose protocol has no tickets. Refused with
    /// [`Code::LOGGED_OUT`] when the device is not logged in, and for accounts with a password: who
    /// speaks for those is proven by a ticket alone.
    async fn login(&self, user: UserId, device: &DeviceId) -> Result<OpenLogin, Refusal>;

    /// Records that a device is attached and returns the head of every log of its user. When they
    /// are whole, a conversation that is not among them is known to begin later. `positions` are what the
    /// device itself says; they win over what it has acked. Refused with [`Code::LOGGED_OUT`] or
    /// [`Code::DISPLACED`] when a newer login or session exists.
    async fn attach(&self, session: &Session, positions: Vec<Position>) -> Result<Heads, Refusal>;

    /// Ends a session, unless a newer one holds.
    async fn detach(&self, session: &Session) -> Result<(), Refusal>;

    /// Extends the leases of sessions, and puts back those that have vanished.
    async fn renew(&self, sessions: Vec<Session>) -> Result<Renewal, Refusal>;

    /// Returns the heads again, as in [`Uplink::attach`].
    async fn heads(
        &self,
        user: UserId,
        device: &DeviceId,
        positions: Vec<Position>,
    ) -> Result<Heads, Refusal>;

    /// Records how far devices are. Positions never move back.
    async fn ack(&self, acks: Vec<DeviceAck>) -> Result<(), Refusal>;

    /// Reads the messages that follow a position.
    async fn sync(&self, user: UserId, request: SyncRequest) -> Result<Page, Refusal>;
}

/// Asks for what follows a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRequest {
    /// The log.
    pub conversation: ConversationId,
    /// The epoch the client knows. In another one the page tells how far its position is good.
    pub epoch: LogEpoch,
    /// Everything behind this.
    pub after: Sequence,
}

/// A stored message on its way to those of its readers that one server holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The message.
    pub message: StoredMessage,
    /// Who gets it there.
    pub to: Members,
}

/// A user with at least one device attached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OnlineUser {
    /// The name without regard to case, by which users are sorted.
    pub folded: String,
    /// The name.
    pub name: UserName,
    /// The account.
    pub user: UserId,
}

/// Users in one answer of a server at most: a full page of a route, and the one more that tells
/// that others follow.
pub const ONLINE_USERS_MAX: usize = 1001;

/// Which online users to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OnlineQuery {
    /// Only names that begin so, case folded.
    pub prefix: String,
    /// Only names behind this one, case folded; empty from the start.
    pub after: String,
    /// At most this many, and never more than [`ONLINE_USERS_MAX`].
    pub limit: usize,
}

/// How a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerHealth {
    /// Whether it is about to stop.
    pub draining: bool,
    /// How many connections it holds.
    pub connections: u64,
}

/// Why a server did not do what a route asked.
#[derive(Debug, thiserror::Error)]
pub enum DownlinkError {
    /// No answer in time.
    #[error("server does not answer: {0}")]
    Unreachable(String),
    /// Nobody listens at its address: its process has ended, or cannot be reached at all.
    #[error("nobody listens at its address: {0}")]
    Gone(String),
    /// Somebody else answers at its address.
    #[error("another server answers at this address")]
    Mistaken,
}

/// What a route asks of the servers. Implemented by the table of connections in process, and over
/// HTTP by the route.
#[async_trait]
pub trait Downlink: Send + Sync {
    /// Hands over messages, in order, and returns the users named who are not attached there.
    async fn push(
        &self,
        server: &ServerInfo,
        pushes: Vec<Push>,
    ) -> Result<Vec<UserId>, DownlinkError>;

    /// Closes the connection of a session, if it is still there. Once this has returned the server
    /// lists its user no more, for this connection.
    async fn kick(
        &self,
        server: &ServerInfo,
        session: &Session,
        code: Code,
    ) -> Result<(), DownlinkError>;

    /// Whether the connection of exactly this session is there.
    async fn holds(&self, server: &ServerInfo, session: &Session) -> Result<bool, DownlinkError>;

    /// Lists users attached there, sorted by folded name.
    async fn online(
        &self,
        server: &ServerInfo,
        query: &OnlineQuery,
    ) -> Result<Vec<OnlineUser>, DownlinkError>;

    /// Asks whether the server is alive and the one it is taken for.
    async fn health(&self, server: &ServerInfo) -> Result<ServerHealth, DownlinkError>;
}
