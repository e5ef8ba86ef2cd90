//! Who is online.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use im_common::api::{ErrorResponse, OnlineResponse, User};
use im_common::name::fold;
use im_common::transport::OnlineQuery;
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::error::ApiError;
use crate::accounts::Caller;

/// Shown when no limit is given: a screenful or two.
const LIMIT_DEFAULT: usize = 100;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct OnlineParams {
    /// Only names that begin so, without regard to case.
    #[serde(default)]
    prefix: String,
    /// The `next` of the page before.
    #[serde(default)]
    after: String,
    /// At most this many; 100 when missing, never more than 1000.
    limit: Option<usize>,
}

/// List who is online, by name.
#[utoipa::path(get, path = "/v1/users/online", params(OnlineParams), responses(
    (status = 200, description = "One page", body = OnlineResponse),
    (status = 401, description = "Not logged in (2004)", body = ErrorResponse),
))]
pub(super) async fn online(
    State(app): State<App>,
    _caller: Caller,
    query: Result<Query<OnlineParams>, QueryRejection>,
) -> Result<Json<OnlineResponse>, ApiError> {
    let Query(OnlineParams {
        prefix,
        after,
        limit,
    }) = query?;
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    let query = OnlineQuery {
        prefix: fold(&prefix),
        after: fold(&after),
        limit,
    };
    let page = app.presence.online(&query).await;
    let users = page.users.into_iter().map(|user| User {
        user_id: user.user.number(),
        name: user.name.to_string(),
    });
    Ok(Json(OnlineResponse {
        users: users.collect(),
        next: page.next,
        partial: page.partial,
    }))
}
