//! Accounts and logins.

use std::time::UNIX_EPOCH;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use im_common::api::{
    ErrorResponse, LoginRequest, LoginResponse, RegisterRequest, TicketResponse, User,
};
use im_common::id::DeviceId;
use im_common::message::Identity;
use im_common::name::UserName;
use im_common::secret::Secret;

use super::App;
use super::error::ApiError;
use crate::accounts::{Caller, Pass};

/// Register an account.
#[utoipa::path(post, path = "/v1/users", request_body = RegisterRequest, responses(
    (status = 201, description = "Registered", body = User),
    (status = 400, description = "Name or password not allowed (4012, 4014), or malformed (4001)", body = ErrorResponse),
    (status = 409, description = "Name taken (4013)", body = ErrorResponse),
))]
pub(super) async fn register(
    State(app): State<App>,
    body: Result<Json<RegisterRequest>, JsonRejection>,
) -> Result<(StatusCode, Json<User>), ApiError> {
    let Json(RegisterRequest { name, password }) = body?;
    let name = UserName::new(&name)?;
    let user = app.accounts.register(&name, Secret(password)).await?;
    Ok((
        StatusCode::CREATED,
        Json(User {
            user_id: user.number(),
            name: name.to_string(),
        }),
    ))
}

/// Log a device in. An earlier login of the same device ends.
#[utoipa::path(post, path = "/v1/login", request_body = LoginRequest, responses(
    (status = 200, description = "Logged in", body = LoginResponse),
    (status = 401, description = "Name or password wrong (4015)", body = ErrorResponse),
    (status = 409, description = "Online already, where a second login is refused (4019)", body = ErrorResponse),
))]
pub(super) async fn log_in(
    State(app): State<App>,
    body: Result<Json<LoginRequest>, JsonRejection>,
) -> Result<Json<LoginResponse>, ApiError> {
    let Json(LoginRequest {
        name,
        password,
        device,
    }) = body?;
    let device = DeviceId::new(&device)?;
    let (caller, token) = app.accounts.log_in(&name, Secret(password), device).await?;
    let response = LoginResponse {
        token: token.0,
        ticket: render(&caller, app.accounts.pass(&caller)),
    };
    Ok(Json(response))
}

/// Get a fresh ticket and servers to connect to. Also tells who is logged in with the token.
#[utoipa::path(post, path = "/v1/ticket", responses(
    (status = 200, description = "A ticket", body = TicketResponse),
    (status = 401, description = "Not logged in (2004)", body = ErrorResponse),
))]
pub(super) async fn ticket(State(app): State<App>, caller: Caller) -> Json<TicketResponse> {
    Json(render(&caller, app.accounts.pass(&caller)))
}

/// End this login and its connection.
#[utoipa::path(post, path = "/v1/logout", responses(
    (status = 204, description = "Logged out"),
    (status = 401, description = "Not logged in (2004)", body = ErrorResponse),
))]
pub(super) async fn log_out(
    State(app): State<App>,
    caller: Caller,
) -> Result<StatusCode, ApiError> {
    app.accounts.log_out(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Look a user up by name or id.
#[utoipa::path(get, path = "/v1/users/{user}", params(("user" = String, Path, description = "A name or an id")), responses(
    (status = 200, description = "The user", body = User),
    (status = 404, description = "No such user (4008)", body = ErrorResponse),
))]
pub(super) async fn user(
    State(app): State<App>,
    _caller: Caller,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<User>, ApiError> {
    let Path(name_or_id) = path?;
    let (user, name) = app.accounts.user(&name_or_id).await?;
    Ok(Json(User {
        user_id: user.number(),
        name: name.to_string(),
    }))
}

fn render(caller: &Caller, pass: Pass) -> TicketResponse {
    let expires_in = pass
        .expires_at
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let Identity { user, name, device } = &caller.identity;
    TicketResponse {
        user_id: user.number(),
        name: name.to_string(),
        device: device.to_string(),
        ticket: URL_SAFE_NO_PAD.encode(pass.ticket),
        ticket_expires_at_ms: u64::try_from(expires_in.as_millis()).unwrap_or(u64::MAX),
        servers: pass.servers,
    }
}
