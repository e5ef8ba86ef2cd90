//! `HttpUplink`: the uplink over the internal API of the routes.

mod gather;
mod routes;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use im_common::backend::registry::RouteList;
use im_common::code::Code;
use im_common::id::{ConnectionId, DeviceId, UserId};
use im_common::message::{Identity, Page, Position, Receipt, Session, Submission};
use im_common::secret::NodeCredential;
use im_common::tasks::Tasks;
use im_common::transport::{DeviceAck, Heads, OpenLogin, Refusal, Renewal, SyncRequest, Uplink};
use im_common::wire::{self, Malformed, attach_response, login_response};
use tokio::sync::watch;

use self::gather::Gather;
use self::routes::Routes;

/// Asks whichever route answers. Submits of many connections leave together.
#[derive(Debug)]
pub struct HttpUplink {
    routes: Arc<Routes>,
    gather: Arc<Gather>,
}

impl HttpUplink {
    /// Asks the routes of the list, whatever it holds at that moment; `tasks` carry the requests
    /// that several connections share.
    pub fn new(
        routes: watch::Receiver<RouteList>,
        credential: NodeCredential,
        tasks: Tasks,
    ) -> Self {
        let routes = Arc::new(Routes::new(routes, &credential));
        Self {
            gather: Arc::new(Gather::new(Arc::clone(&routes), tasks)),
            routes,
        }
    }
}

#[async_trait]
impl Uplink for HttpUplink {
    async fn submit(&self, offers: Vec<(Identity, Submission)>) -> Vec<Result<Receipt, Refusal>> {
        self.gather.submit(offers).await
    }

    async fn login(&self, user: UserId, device: &DeviceId) -> Result<OpenLogin, Refusal> {
        let request = wire::LoginRequest {
            user_id: user.number(),
            device: device.to_string(),
        };
        let response: wire::LoginResponse = self.routes.call("login", &request).await?;
        match response.outcome {
            Some(login_response::Outcome::Login(login)) => open_login(login).map_err(nonsense),
            Some(login_response::Outcome::Refused(code)) => Err(Code::from(code).into()),
            None => Err(nonsense(Malformed::Missing("outcome"))),
        }
    }

    async fn attach(&self, session: &Session, positions: Vec<Position>) -> Result<Heads, Refusal> {
        let request = wire::AttachRequest {
            session: Some(session.clone().into()),
            positions: to_wire(positions),
        };
        let response: wire::AttachResponse = self.routes.call("attach", &request).await?;
        match response.outcome {
            Some(attach_response::Outcome::Attached(heads)) => from_wire(heads),
            Some(attach_response::Outcome::Refused(code)) => Err(Code::from(code).into()),
            None => Err(nonsense(Malformed::Missing("outcome"))),
        }
    }

    async fn detach(&self, session: &Session) -> Result<(), Refusal> {
        let request = wire::DetachRequest {
            session: Some(session.clone().into()),
        };
        let wire::DetachResponse {} = self.routes.call("detach", &request).await?;
        Ok(())
    }

    async fn renew(&self, sessions: Vec<Session>) -> Result<Renewal, Refusal> {
        let request = wire::RenewRequest {
            sessions: sessions.into_iter().map(Into::into).collect(),
        };
        let response: wire::RenewResponse = self.routes.call("renew", &request).await?;
        Ok(Renewal {
            restored: response.restored.into_iter().map(ConnectionId).collect(),
            superseded: response.superseded.into_iter().map(ConnectionId).collect(),
        })
    }

    async fn heads(
        &self,
        user: UserId,
        device: &DeviceId,
        positions: Vec<Position>,
    ) -> Result<Heads, Refusal> {
        let request = wire::HeadsRequest {
            user_id: user.number(),
            device: device.to_string(),
            positions: to_wire(positions),
        };
        let response: wire::HeadsResponse = self.routes.call("heads", &request).await?;
        from_wire(response.heads.unwrap_or_default())
    }

    async fn ack(&self, acks: Vec<DeviceAck>) -> Result<(), Refusal> {
        let to_wire = |ack: DeviceAck| wire::DeviceAck {
            user_id: ack.user.number(),
            device: ack.device.to_string(),
            positions: to_wire(ack.positions),
        };
        let request = wire::AckRequest {
            acks: acks.into_iter().map(to_wire).collect(),
        };
        let wire::AckResponse {} = self.routes.call("ack", &request).await?;
        Ok(())
    }

    async fn sync(&self, user: UserId, request: SyncRequest) -> Result<Page, Refusal> {
        let request = wire::SyncRequest {
            user_id: user.number(),
            sync: Some(wire::Sync {
                conversation: request.conversation.to_string(),
                epoch: request.epoch.0,
                after: request.after.0,
            }),
        };
        let response: wire::SyncResponse = self.routes.call("sync", &request).await?;
        let page = response
            .page
            .ok_or_else(|| nonsense(Malformed::Missing("page")))?;
        match page.code {
            0 => page.try_into().map_err(nonsense),
            code => Err(Code::from(code).into()),
        }
    }
}

fn open_login(login: wire::OpenLogin) -> Result<OpenLogin, Malformed> {
    let identity = login.identity.ok_or(Malformed::Missing("identity"))?;
    Ok(OpenLogin {
        identity: identity.try_into()?,
        epoch: login.epoch,
    })
}

fn from_wire(heads: wire::Heads) -> Result<Heads, Refusal> {
    Ok(Heads {
        is_whole: !heads.more,
        heads: heads.try_into().map_err(nonsense)?,
    })
}

fn to_wire(positions: Vec<Position>) -> Vec<wire::Position> {
    positions.into_iter().map(Into::into).collect()
}

/// A route of another version, perhaps; the outcome is unknown either way.
fn nonsense(malformed: Malformed) -> Refusal {
    tracing::warn!(%malformed, "a route's answer makes no sense");
    Code::UNAVAILABLE.into()
}
