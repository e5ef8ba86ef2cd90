//! All paths on one page, all layers on one page.

mod account;
mod auth;
mod delivered;
mod error;
mod health;
mod history;
mod internal;
mod message;
mod presence;

use std::time::Duration;

use axum::Router;
use axum::body::HttpBody as _;
use axum::extract::DefaultBodyLimit;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use futures::StreamExt as _;
use im_common::code::Code;
use im_common::secret::NodeCredential;
use tokio::time::timeout;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::error::ApiError;
use crate::accounts::Accounts;
use crate::presence::Presence;
use crate::uplink::LocalUplink;

/// The largest text with every byte escaped as `\u00XX` is 384 KiB.
const BODY_BYTES_MAX: usize = 512 * 1024;
/// A batch of submits from a server: up to 1 MiB of text, and one more of the largest texts.
const INTERNAL_BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// A body over the limit is read and dropped up to here, so that its sender lives to see the answer;
/// beyond it the connection is cut.
const HEARD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Longer than the slowest thing a request waits for: a queue of password hashes.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// What handlers use.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) accounts: Accounts,
    pub(crate) presence: Presence,
    pub(crate) uplink: LocalUplink,
    pub(crate) credential: NodeCredential,
}

#[derive(OpenApi)]
#[openapi(info(
    title = "im route",
    description = "Accounts, login and messages of an instant-messaging cluster. Every error has a \
                   numbered code; docs/PROTOCOL.md says what to do after each.",
    license(name = "MIT OR Apache-2.0")
))]
struct Description;

fn public() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(account::register))
        .routes(routes!(account::log_in))
        .routes(routes!(account::ticket))
        .routes(routes!(account::log_out))
        .routes(routes!(message::send))
        .routes(routes!(presence::online))
        .routes(routes!(account::user))
        .routes(routes!(history::messages))
        .routes(routes!(delivered::delivered))
        .routes(routes!(health::health))
}

fn internal() -> Router<App> {
    Router::new()
        .route("/submit", post(internal::submit))
        .route("/login", post(internal::login))
        .route("/attach", post(internal::attach))
        .route("/detach", post(internal::detach))
        .route("/renew", post(internal::renew))
        .route("/heads", post(internal::heads))
        .route("/ack", post(internal::ack))
        .route("/sync", post(internal::sync))
        .route("/metrics", get(health::metrics))
        .layer(DefaultBodyLimit::max(INTERNAL_BODY_BYTES_MAX))
}

/// Everything a route serves.
pub(crate) fn router(app: App) -> Router {
    let (public, description) = public().split_for_parts();
    let description = description
        .to_pretty_json()
        .expect("a description is plain data");
    let serve_description = get(move || async move { health::json(description) });
    let internal = internal().layer(middleware::from_fn_with_state(
        app.clone(),
        auth::require_node,
    ));
    public
        .route("/v1/openapi.json", serve_description)
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(middleware::from_fn(hear_out))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .nest("/internal/v1", internal)
        .layer(middleware::from_fn(answer_in_time))
        .with_state(app)
}

/// Refuses a body that announces too much, once it has been sent: whoever is cut off in the middle of
/// sending never reads why.
async fn hear_out(request: Request, next: Next) -> Response {
    let announced = request.body().size_hint().lower();
    if announced <= BODY_BYTES_MAX as u64 {
        return next.run(request).await;
    }
    let mut chunks = request.into_body().into_data_stream();
    let mut heard = 0;
    while heard < HEARD_BYTES_MAX
        && let Some(Ok(chunk)) = chunks.next().await
    {
        heard += chunk.len();
    }
    ApiError::from(Code::BODY_TOO_LARGE).into_response()
}

/// Answers with a code when nothing else does: a store that stands still, or a body that never ends.
async fn answer_in_time(request: Request, next: Next) -> Response {
    let late = || {
        let message = "no answer in time; try again, with the same message id if there was one";
        ApiError::new(Code::UNAVAILABLE, message).into_response()
    };
    let answer = timeout(ANSWER_WITHIN, next.run(request)).await;
    answer.unwrap_or_else(|_| late())
}

/// The description of the public API, in OpenAPI's JSON.
pub fn openapi() -> String {
    let (_, description) = public().split_for_parts();
    description
        .to_pretty_json()
        .expect("a description is plain data")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use tower::ServiceExt as _;

    #[tokio::test(start_paused = true)]
    async fn what_is_not_answered_in_time_gets_a_code() {
        let stuck = get(std::future::pending::<()>);
        let router: Router = Router::new().route("/", stuck);
        let router = router.layer(middleware::from_fn(answer_in_time));
        let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status().as_u16(), 503);
        let body = to_bytes(response.into_body(), 1024).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["code"], Code::UNAVAILABLE.0);
    }
}
