//! What the tests share: a backend in memory, and servers that do what the test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use im_common::backend::messages::MessageStore;
use im_common::backend::registry::ServerInfo;
use im_common::backend::{Backend, Mode};
use im_common::code::Code;
use im_common::id::{ConversationId, DeviceId, MessageId, Sequence, ServerId, UserId};
use im_common::message::{Draft, Identity, Session, StoredMessage};
use im_common::name::UserName;
use im_common::tasks::Tasks;
use im_common::transport::{
    Downlink, DownlinkError, ONLINE_USERS_MAX, OnlineQuery, OnlineUser, Push, ServerHealth,
};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

/// Servers that are there; each lists everybody who is said to be online.
pub(crate) struct FakeServers {
    /// Pushes wait for this.
    pub(crate) may_take: Semaphore,
    /// What was pushed, in order.
    pub(crate) taken: Mutex<Vec<Sequence>>,
    /// Orders to end a connection wait for this.
    pub(crate) may_kick: Semaphore,
    /// Whose connections were ended.
    pub(crate) kicked: Mutex<Vec<Session>>,
    /// Whether they hold whoever is asked for.
    pub(crate) holds: AtomicBool,
    /// Who is online, sorted by folded name.
    pub(crate) online: Mutex<Vec<OnlineUser>>,
}

impl FakeServers {
    pub(crate) fn new(online: Vec<OnlineUser>) -> Arc<Self> {
        Arc::new(Self {
            may_take: Semaphore::new(0),
            taken: Mutex::default(),
            may_kick: Semaphore::new(1),
            kicked: Mutex::default(),
            holds: AtomicBool::new(false),
            online: Mutex::new(online),
        })
    }
}

#[async_trait]
impl Downlink for FakeServers {
    async fn push(
        &self,
        _server: &ServerInfo,
        pushes: Vec<Push>,
    ) -> Result<Vec<UserId>, DownlinkError> {
        let _may = self.may_take.acquire().await.unwrap();
        let sequences = pushes.iter().map(|push| push.message.sequence);
        self.taken.lock().extend(sequences);
        Ok(Vec::new())
    }

    async fn kick(&self, _: &ServerInfo, session: &Session, _: Code) -> Result<(), DownlinkError> {
        let _may = self.may_kick.acquire().await.unwrap();
        self.kicked.lock().push(session.clone());
        Ok(())
    }

    async fn holds(&self, _: &ServerInfo, _: &Session) -> Result<bool, DownlinkError> {
        Ok(self.holds.load(Ordering::Relaxed))
    }

    async fn online(
        &self,
        _server: &ServerInfo,
        query: &OnlineQuery,
    ) -> Result<Vec<OnlineUser>, DownlinkError> {
        let online = self.online.lock();
        let behind = online.iter().filter(|user| user.folded > query.after);
        let most = query.limit.min(ONLINE_USERS_MAX);
        Ok(behind.take(most).cloned().collect())
    }

    async fn health(&self, _server: &ServerInfo) -> Result<ServerHealth, DownlinkError> {
        Ok(ServerHealth {
            draining: false,
            connections: 0,
        })
    }
}

/// A backend in memory that lists one server.
pub(crate) async fn backend(tasks: &Tasks) -> Backend {
    let backend = Backend::connect(&Mode::Embedded(None), tasks)
        .await
        .unwrap();
    let server = server_info(ServerId::fresh().as_str());
    backend.registry.announce(server).await.unwrap();
    backend
}

/// What an empty server tells of itself. Nobody is at its addresses.
pub(crate) fn server_info(id: &str) -> ServerInfo {
    ServerInfo {
        id: ServerId::new(id).unwrap(),
        client_address: "127.0.0.1:1".to_owned(),
        http_address: "127.0.0.1:2".to_owned(),
        draining: false,
        connections: 0,
        entrances: Default::default(),
    }
}

/// Stores so many messages to everybody.
pub(crate) async fn store(messages: &dyn MessageStore, count: usize) -> Vec<StoredMessage> {
    let draft = |_| Draft {
        conversation: ConversationId::Lobby,
        id: MessageId::fresh(),
        sender: Identity {
            user: UserId::new(1).unwrap(),
            name: UserName::new("alice").unwrap(),
            device: DeviceId::new("desk").unwrap(),
        },
        text: "hi".to_owned(),
    };
    let drafts: Vec<Draft> = (0..count).map(draft).collect();
    let outcomes = messages.append(drafts.clone()).await;
    let receipts = outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap().into_receipt());
    let pairs = drafts.into_iter().zip(receipts);
    pairs
        .map(|(draft, receipt)| crate::delivery::stored(draft, &receipt))
        .collect()
}
