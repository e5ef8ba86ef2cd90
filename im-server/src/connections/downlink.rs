//! The table of connections as the downlink: what routes ask of this server.

use async_trait::async_trait;
use bytes::Bytes;
use im_common::backend::registry::ServerInfo;
use im_common::code::Code;
use im_common::frame::encode;
use im_common::id::{Members, ServerId, UserId};
use im_common::message::{Session, StoredMessage};
use im_common::transport::{Downlink, DownlinkError, OnlineQuery, OnlineUser, Push, ServerHealth};
use im_common::wire;

use super::Connections;

/// A push to everybody lets other tasks run after this many deliveries, about a millisecond.
const DELIVERIES_PER_TURN: usize = 4096;

impl Connections {
    /// Hands over messages, in order; returns the users named who are not attached.
    pub(crate) async fn deliver(&self, pushes: Vec<Push>) -> Vec<UserId> {
        let mut absent = Vec::new();
        for Push { message, to } in pushes {
            let frame = encoded(message);
            match to {
                Members::Users(users) => {
                    absent.extend(users.into_iter().filter(|user| !self.reach(*user, &frame)));
                }
                Members::Everyone => self.reach_everyone(&frame).await,
            }
        }
        absent.sort_unstable();
        absent.dedup();
        absent
    }

    /// Lists confirmed users, sorted by folded name.
    pub(crate) fn online_users(&self, query: &OnlineQuery) -> Vec<OnlineUser> {
        self.table.names.list(query)
    }

    /// Closes the connection of a session, if it is still there. It is out of the table when this
    /// returns, however long it takes to say goodbye: whoever asks next who is here does not see it.
    pub(crate) fn close(&self, session: &Session, code: Code) {
        if let Some(handle) = self.find(session) {
            handle.outbound.close(code);
            self.detach(&handle);
        }
    }

    /// How the server is.
    pub(crate) fn state(&self) -> ServerHealth {
        ServerHealth {
            draining: self.is_draining(),
            connections: self.count() as u64,
        }
    }

    /// Queues a frame for each device of a user; returns whether there is one.
    fn reach(&self, user: UserId, frame: &Bytes) -> bool {
        let shard = self.shard(user);
        let devices = shard.get(&user);
        for handle in devices.into_iter().flatten() {
            handle.outbound.push(frame.clone());
        }
        devices.is_some()
    }

    async fn reach_everyone(&self, frame: &Bytes) {
        let mut deliveries = 0;
        for shard in &self.table.shards {
            // Cloned out, so that waking thousands of tasks keeps nobody from attaching.
            let handles: Vec<_> = shard.lock().values().flatten().cloned().collect();
            for handle in &handles {
                handle.outbound.push(frame.clone());
            }
            deliveries += handles.len();
            if deliveries >= DELIVERIES_PER_TURN {
                deliveries = 0;
                tokio::task::yield_now().await;
            }
        }
    }

    fn check(&self, asked: &ServerId) -> Result<(), DownlinkError> {
        if asked == self.server() {
            Ok(())
        } else {
            Err(DownlinkError::Mistaken)
        }
    }
}

/// Encodes a delivery once; all receivers share the bytes.
fn encoded(message: StoredMessage) -> Bytes {
    let deliver = wire::Deliver {
        message: Some(message.into()),
    };
    encode(&wire::ServerFrame::from(deliver))
}

#[async_trait]
impl Downlink for Connections {
    async fn push(
        &self,
        server: &ServerInfo,
        pushes: Vec<Push>,
    ) -> Result<Vec<UserId>, DownlinkError> {
        self.check(&server.id)?;
        Ok(self.deliver(pushes).await)
    }

    async fn kick(
        &self,
        server: &ServerInfo,
        session: &Session,
        code: Code,
    ) -> Result<(), DownlinkError> {
        self.check(&server.id)?;
        self.close(session, code);
        Ok(())
    }

    async fn holds(&self, server: &ServerInfo, session: &Session) -> Result<bool, DownlinkError> {
        self.check(&server.id)?;
        Ok(self.find(session).is_some())
    }

    async fn online(
        &self,
        server: &ServerInfo,
        query: &OnlineQuery,
    ) -> Result<Vec<OnlineUser>, DownlinkError> {
        self.check(&server.id)?;
        Ok(self.online_users(query))
    }

    async fn health(&self, server: &ServerInfo) -> Result<ServerHealth, DownlinkError> {
        self.check(&server.id)?;
        Ok(self.state())
    }
}
