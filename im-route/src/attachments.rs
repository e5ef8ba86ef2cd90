//! Who is attached where, and what a device that attaches has missed.

use std::collections::HashMap;
use std::sync::Arc;

use futures::stream::{self, StreamExt as _};
use im_common::backend::BackendError;
use im_common::backend::directory::Directory;
use im_common::backend::messages::MessageStore;
use im_common::backend::sessions::{Renewed, SessionStore};
use im_common::code::Code;
use im_common::id::{ConversationId, DeviceId, Sequence, UserId};
use im_common::message::{Head, Identity, Position, Session};
use im_common::planted::{Bug, is_planted};
use im_common::tasks::Tasks;
use im_common::transport::{Downlink, Heads, OpenLogin, Refusal, Renewal};
use tokio::task::JoinHandle;

use crate::servers::Servers;
use crate::slots::Slots;

/// Logs of one user that are looked at together; they share a connection and its round trips.
const LOOKS_AT_ONCE: usize = 256;

/// Attaches and detaches devices.
#[derive(Clone)]
pub(crate) struct Attachments {
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) sessions: Arc<dyn SessionStore>,
    pub(crate) messages: Arc<dyn MessageStore>,
    pub(crate) downlink: Arc<dyn Downlink>,
    pub(crate) servers: Servers,
    pub(crate) slots: Slots,
    pub(crate) tasks: Tasks,
}

impl Attachments {
    /// See [`im_common::transport::Uplink::attach`]. The session is recorded before the heads are
    /// read: what is stored after the heads were read is pushed to the session.
    pub(crate) async fn attach(
        &self,
        session: &Session,
        positions: Vec<Position>,
    ) -> Result<Heads, Refusal> {
        for displaced in self.slots.take(session).await? {
            self.kick(displaced, Code::DISPLACED);
        }
        self.check_login(session).await?;
        self.heads(session.user, &session.device, positions).await
    }

    /// See [`im_common::transport::Uplink::login`].
    pub(crate) async fn open_login(
        &self,
        user: UserId,
        device: &DeviceId,
    ) -> Result<OpenLogin, Refusal> {
        let login = self.directory.login(user, device).await?;
        let account = self.directory.account(user).await?;
        let account = account.filter(|account| !account.has_password());
        let (Some(login), Some(account)) = (login, account) else {
            return Err(Code::LOGGED_OUT.into());
        };
        Ok(OpenLogin {
            identity: Identity {
                user,
                name: account.name,
                device: device.clone(),
            },
            epoch: login.epoch,
        })
    }

    /// A ticket outlives its login when the device logs out or logs in anew. Checked once the
    /// session is there: logging out looks for sessions after it has ended the login, so one of the
    /// two sees the other.
    async fn check_login(&self, session: &Session) -> Result<(), Refusal> {
        let login = self.directory.login(session.user, &session.device).await?;
        let is_current = login.is_some_and(|login| login.epoch == session.epoch.login);
        if is_current || is_planted(Bug::SkipLoginCheck) {
            return Ok(());
        }
        self.sessions.detach(session).await?;
        Err(Code::LOGGED_OUT.into())
    }

    /// Ends a connection elsewhere, in the background: should it fail, its server learns of the
    /// newer session when it renews. Who needs to know when it has ended can wait for the task.
    pub(crate) fn kick(&self, session: Session, code: Code) -> JoinHandle<()> {
        let server = self.servers.find(&session.server);
        let downlink = Arc::clone(&self.downlink);
        self.tasks.spawn("kick", async move {
            let Some(server) = server else {
                return;
            };
            if let Err(error) = downlink.kick(&server, &session, code).await {
                tracing::debug!(server.id = %server.id, %error, "kick failed");
            }
        })
    }

    pub(crate) async fn detach(&self, session: &Session) -> Result<(), Refusal> {
        Ok(self.sessions.detach(session).await?)
    }

    pub(crate) async fn renew(&self, sessions: Vec<Session>) -> Result<Renewal, Refusal> {
        let mut renewal = Renewal::default();
        let outcomes = self.sessions.renew(&sessions, self.slots.policy).await?;
        for (session, outcome) in sessions.iter().zip(outcomes) {
            match outcome {
                Renewed::Extended => {}
                Renewed::Restored => renewal.restored.push(session.connection),
                Renewed::Superseded => renewal.superseded.push(session.connection),
            }
        }
        Ok(renewal)
    }

    /// Returns the head of every log of the user that can be looked at, and how far the device is:
    /// as it says itself, else as it has acked. A device that is new begins with this.
    pub(crate) async fn heads(
        &self,
        user: UserId,
        device: &DeviceId,
        claimed: Vec<Position>,
    ) -> Result<Heads, Refusal> {
        let acked = self.messages.begin(user, device).await?;
        let handled: HashMap<ConversationId, Position> = acked
            .into_iter()
            .chain(claimed)
            .map(|position| (position.conversation.clone(), position))
            .collect();
        let mut conversations = self.messages.conversations(user).await?;
        conversations.push(ConversationId::Lobby);
        let mut begun = self.newest(&conversations).await?;
        let is_whole = begun.len() == conversations.len();
        begun.retain(|newest| newest.sequence > Sequence(0));
        let mut resumed = self.resume(&begun, &handled).await?;
        let head = |newest: Position| {
            let resumed = resumed.remove(&newest.conversation);
            resumed.unwrap_or_else(|| head(newest, &handled))
        };
        Ok(Heads {
            heads: begun.into_iter().map(head).collect(),
            is_whole,
        })
    }

    /// Asks how good the positions are whose log has a later epoch by now, nearly always none.
    async fn resume(
        &self,
        begun: &[Position],
        handled: &HashMap<ConversationId, Position>,
    ) -> Result<HashMap<ConversationId, Head>, Refusal> {
        let in_another_epoch = |newest: &Position| {
            let position = handled.get(&newest.conversation)?;
            (position.epoch != newest.epoch).then(|| position.clone())
        };
        let positions: Vec<Position> = begun.iter().filter_map(in_another_epoch).collect();
        if positions.is_empty() {
            return Ok(HashMap::new());
        }
        let heads = self.messages.resume(&positions).await?.into_iter();
        Ok(heads
            .map(|head| (head.newest.conversation.clone(), head))
            .collect())
    }

    /// Looks at each log by itself: one whose part of the store is away is left out.
    async fn newest(&self, conversations: &[ConversationId]) -> Result<Vec<Position>, Refusal> {
        let each = conversations.iter().map(std::slice::from_ref);
        let looks: Vec<_> = each.map(|one| self.messages.heads(one)).collect();
        let looks = stream::iter(looks).buffered(LOOKS_AT_ONCE);
        let answers: Vec<_> = looks.collect().await;
        let mut newest = Vec::with_capacity(conversations.len());
        for answer in answers {
            match answer {
                Ok(positions) => newest.extend(positions),
                Err(BackendError::Unavailable(reason)) => tracing::debug!(reason, "no head"),
                Err(damaged) => return Err(damaged.into()),
            }
        }
        Ok(newest)
    }
}

/// For a position in the log's own epoch, or none at all. One beyond the log's end is from before
/// the log lost it.
fn head(newest: Position, handled: &HashMap<ConversationId, Position>) -> Head {
    let known = handled.get(&newest.conversation);
    let handled = known.map_or(Sequence(0), |position| {
        position.sequence.min(newest.sequence)
    });
    Head { newest, handled }
}
