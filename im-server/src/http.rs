//! The internal API: what routes ask of this server, and how it is.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use im_common::id::{Members, UserId};
use im_common::secret::NodeCredential;
use im_common::transport::{OnlineQuery, Push};
use im_common::wire::{self, Malformed};
use prost::Message;
use tower_http::timeout::TimeoutLayer;

use crate::connections::Connections;

/// A batch of a few dozen messages of the largest size.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// A route gives up on a push much earlier.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Everything a request can ask for.
pub(crate) fn router(connections: Connections, credential: NodeCredential) -> Router {
    let internal = Router::new()
        .route("/internal/v1/push", post(push))
        .route("/internal/v1/kick", post(kick))
        .route("/internal/v1/holds", post(holds))
        .route("/internal/v1/online", post(online))
        .route("/internal/v1/health", get(internal_health))
        .layer(middleware::from_fn_with_state(
            Arc::new(credential),
            authenticate,
        ));
    Router::new()
        .route("/v1/health", get(health))
        .merge(internal)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            ANSWER_WITHIN,
        ))
        .with_state(connections)
}

async fn authenticate(
    State(credential): State<Arc<NodeCredential>>,
    request: Request,
    next: Next,
) -> Response {
    let header = request.headers().get(header::AUTHORIZATION);
    let is_node = header
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| credential.matches(value));
    if is_node {
        next.run(request).await
    } else {
        (
            StatusCode::UNAUTHORIZED,
            "only nodes of this cluster may ask\n",
        )
            .into_response()
    }
}

async fn push(State(connections): State<Connections>, body: Bytes) -> Result<Protobuf, BadRequest> {
    let request = wire::PushRequest::decode(body)?;
    let pushes: Vec<Push> = request
        .pushes
        .into_iter()
        .map(to_push)
        .collect::<Result<_, _>>()?;
    let absent = connections.deliver(pushes).await;
    Ok(Protobuf::new(&wire::PushResponse {
        absent: absent.into_iter().map(UserId::number).collect(),
    }))
}

fn to_push(push: wire::Push) -> Result<Push, Malformed> {
    let message = push.message.ok_or(Malformed::Missing("message"))?;
    let to = if push.everyone {
        Members::Everyone
    } else {
        let users = push.user_ids.into_iter().map(UserId::new);
        Members::Users(users.collect::<Result<_, _>>()?)
    };
    Ok(Push {
        message: message.try_into()?,
        to,
    })
}

async fn kick(State(connections): State<Connections>, body: Bytes) -> Result<Protobuf, BadRequest> {
    let request = wire::KickRequest::decode(body)?;
    let session = request.session.ok_or(Malformed::Missing("session"))?;
    connections.close(&session.try_into()?, request.code.into());
    Ok(Protobuf::new(&wire::KickResponse {}))
}

async fn holds(
    State(connections): State<Connections>,
    body: Bytes,
) -> Result<Protobuf, BadRequest> {
    let request = wire::HoldsRequest::decode(body)?;
    let session = request.session.ok_or(Malformed::Missing("session"))?;
    let holds = connections.find(&session.try_into()?).is_some();
    Ok(Protobuf::new(&wire::HoldsResponse { holds }))
}

async fn online(
    State(connections): State<Connections>,
    body: Bytes,
) -> Result<Protobuf, BadRequest> {
    let request = wire::OnlineRequest::decode(body)?;
    let query = OnlineQuery {
        prefix: request.prefix,
        after: request.after,
        limit: usize::try_from(request.limit).unwrap_or(usize::MAX),
    };
    let users = connections.online_users(&query).into_iter();
    Ok(Protobuf::new(&wire::OnlineResponse {
        users: users
            .map(|user| wire::OnlineUser {
                user_id: user.user.number(),
                user_name: user.name.to_string(),
            })
            .collect(),
    }))
}

async fn internal_health(State(connections): State<Connections>) -> Protobuf {
    let state = connections.state();
    Protobuf::new(&wire::HealthResponse {
        server_id: connections.server().to_string(),
        draining: state.draining,
        connections: state.connections,
    })
}

async fn health(State(connections): State<Connections>) -> impl IntoResponse {
    let state = connections.state();
    let body = format!(
        "{{\"status\":\"ok\",\"draining\":{},\"connections\":{}}}\n",
        state.draining, state.connections
    );
    ([(header::CONTENT_TYPE, "application/json")], body)
}

/// An encoded answer.
struct Protobuf(Vec<u8>);

impl Protobuf {
    fn new(message: &impl Message) -> Self {
        Self(message.encode_to_vec())
    }
}

impl IntoResponse for Protobuf {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "application/x-protobuf")], self.0).into_response()
    }
}

/// A body that makes no sense.
struct BadRequest(String);

impl<E: std::error::Error> From<E> for BadRequest {
    fn from(error: E) -> Self {
        Self(format!("{error}\n"))
    }
}

impl IntoResponse for BadRequest {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, self.0).into_response()
    }
}
