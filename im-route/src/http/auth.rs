//! Who a request comes from: a user's token, or a node's credential.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use im_common::code::Code;

use super::App;
use super::error::ApiError;
use crate::accounts::Caller;

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let header = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let token = header.and_then(|header| header.strip_prefix("Bearer "));
        let missing = || {
            let message = "log in first, then send `authorization: Bearer TOKEN`";
            ApiError::new(Code::UNAUTHENTICATED, message)
        };
        Ok(app
            .accounts
            .authenticate(token.ok_or_else(missing)?)
            .await?)
    }
}

/// Lets only nodes of the same cluster through.
pub(super) async fn require_node(State(app): State<App>, request: Request, next: Next) -> Response {
    let header = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    if header.is_some_and(|header| app.credential.matches(header)) {
        return next.run(request).await;
    }
    tracing::warn!(
        path = request.uri().path(),
        "request to the internal API without credential"
    );
    ApiError::new(
        Code::UNAUTHENTICATED,
        "this path is for nodes of the cluster",
    )
    .into_response()
}
