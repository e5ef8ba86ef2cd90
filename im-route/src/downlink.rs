//! `HttpDownlink`: the route's requests to servers.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use im_common::backend::registry::ServerInfo;
use im_common::code::Code;
use im_common::id::{Members, UserId};
use im_common::message::Session;
use im_common::name::UserName;
use im_common::secret::NodeCredential;
use im_common::serve::POOLED_FOR;
use im_common::transport::{Downlink, DownlinkError, OnlineQuery, OnlineUser, Push, ServerHealth};
use im_common::wire;
use prost::Message;
use reqwest::{Client, RequestBuilder, header};

/// A live server on the same network connects in milliseconds.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// A server answers a push when it has queued it; longer means that it stands still.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// A probe that takes longer is a failed one; so is a question about one connection.
const HEALTH_WITHIN: Duration = Duration::from_secs(1);
/// Kept open towards each server: one lane, kicks, probes.
const IDLE_CONNECTIONS_MAX: usize = 8;

/// Reaches servers by their internal HTTP API.
#[derive(Debug, Clone)]
pub struct HttpDownlink {
    client: Client,
}

impl HttpDownlink {
    /// Prepares requests that carry the credential.
    pub fn new(credential: &NodeCredential) -> Self {
        let mut value = header::HeaderValue::from_str(credential.header())
            .expect("a credential is hexadecimal digits");
        value.set_sensitive(true);
        let client = Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .pool_idle_timeout(POOLED_FOR)
            .tcp_nodelay(true)
            .default_headers([(header::AUTHORIZATION, value)].into_iter().collect())
            .build()
            .expect("a client without TLS needs nothing that can fail");
        Self { client }
    }

    async fn post<A>(
        &self,
        server: &ServerInfo,
        path: &str,
        body: Vec<u8>,
    ) -> Result<A, DownlinkError>
    where
        A: Message + Default,
    {
        answer(self.request(server, path, body)).await
    }

    fn request(&self, server: &ServerInfo, path: &str, body: Vec<u8>) -> RequestBuilder {
        let url = format!("http://{}/internal/v1/{path}", server.http_address);
        let request = self
            .client
            .post(url)
            .header(header::CONTENT_TYPE, "application/x-protobuf");
        request.body(body)
    }
}

async fn answer<A: Message + Default>(request: RequestBuilder) -> Result<A, DownlinkError> {
    let response = request.send().await.map_err(unreachable)?;
    let response = response.error_for_status().map_err(unreachable)?;
    let body: Bytes = response.bytes().await.map_err(unreachable)?;
    A::decode(body)
        .map_err(|error| DownlinkError::Unreachable(format!("answer is malformed: {error}")))
}

/// The URL is left out: the server is in the span already.
fn unreachable(error: reqwest::Error) -> DownlinkError {
    let is_gone = error.is_connect() && !error.is_timeout();
    let error = anyhow::Error::from(error.without_url());
    let reason = format!("{error:#}");
    if is_gone {
        DownlinkError::Gone(reason)
    } else {
        DownlinkError::Unreachable(reason)
    }
}

#[async_trait]
impl Downlink for HttpDownlink {
    async fn push(
        &self,
        server: &ServerInfo,
        pushes: Vec<Push>,
    ) -> Result<Vec<UserId>, DownlinkError> {
        let request = wire::PushRequest {
            pushes: pushes.into_iter().map(push).collect(),
        };
        let response: wire::PushResponse =
            self.post(server, "push", request.encode_to_vec()).await?;
        Ok(response
            .absent
            .into_iter()
            .filter_map(|user| UserId::new(user).ok())
            .collect())
    }

    async fn kick(
        &self,
        server: &ServerInfo,
        session: &Session,
        code: Code,
    ) -> Result<(), DownlinkError> {
        let request = wire::KickRequest {
            session: Some(session.clone().into()),
            code: code.0.into(),
        };
        let _: wire::KickResponse = self.post(server, "kick", request.encode_to_vec()).await?;
        Ok(())
    }

    async fn holds(&self, server: &ServerInfo, session: &Session) -> Result<bool, DownlinkError> {
        let request = wire::HoldsRequest {
            session: Some(session.clone().into()),
        };
        let asked = self.request(server, "holds", request.encode_to_vec());
        let response: wire::HoldsResponse = answer(asked.timeout(HEALTH_WITHIN)).await?;
        Ok(response.holds)
    }

    async fn online(
        &self,
        server: &ServerInfo,
        query: &OnlineQuery,
    ) -> Result<Vec<OnlineUser>, DownlinkError> {
        let request = wire::OnlineRequest {
            prefix: query.prefix.clone(),
            after: query.after.clone(),
            limit: u32::try_from(query.limit).unwrap_or(u32::MAX),
        };
        let response: wire::OnlineResponse =
            self.post(server, "online", request.encode_to_vec()).await?;
        Ok(response.users.into_iter().filter_map(online_user).collect())
    }

    async fn health(&self, server: &ServerInfo) -> Result<ServerHealth, DownlinkError> {
        let url = format!("http://{}/internal/v1/health", server.http_address);
        let health: wire::HealthResponse =
            answer(self.client.get(url).timeout(HEALTH_WITHIN)).await?;
        if health.server_id != server.id.as_str() {
            return Err(DownlinkError::Mistaken);
        }
        Ok(ServerHealth {
            draining: health.draining,
            connections: health.connections,
        })
    }
}

fn push(push: Push) -> wire::Push {
    let (user_ids, everyone) = match push.to {
        Members::Everyone => (Vec::new(), true),
        Members::Users(users) => (users.into_iter().map(UserId::number).collect(), false),
    };
    wire::Push {
        message: Some(push.message.into()),
        user_ids,
        everyone,
    }
}

fn online_user(user: wire::OnlineUser) -> Option<OnlineUser> {
    let name = UserName::new(&user.user_name).ok()?;
    Some(OnlineUser {
        folded: name.folded(),
        user: UserId::new(user.user_id).ok()?,
        name,
    })
}
