//! Sending a message over HTTP: the same function as from a socket.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use im_common::api::{ErrorResponse, SendRequest, SendResponse};
use im_common::code::Code;
use im_common::id::MessageId;
use im_common::message::{Recipient, Submission};

use super::App;
use super::error::ApiError;
use crate::accounts::Caller;

/// Send a message to the lobby or to a user.
#[utoipa::path(post, path = "/v1/messages", request_body = SendRequest, responses(
    (status = 200, description = "Stored", body = SendResponse),
    (status = 400, description = "Empty (4005), too long (4006) or malformed (4001)", body = ErrorResponse),
    (status = 404, description = "No such user (4008)", body = ErrorResponse),
    (status = 409, description = "The id was used for another message (4007)", body = ErrorResponse),
    (status = 503, description = "Outcome unknown (1001): send again with the same id", body = ErrorResponse),
))]
pub(super) async fn send(
    State(app): State<App>,
    caller: Caller,
    body: Result<Json<SendRequest>, JsonRejection>,
) -> Result<Json<SendResponse>, ApiError> {
    let Json(SendRequest { to, text, id }) = body?;
    let id = id.map_or_else(|| Ok(MessageId::fresh()), |id| id.parse())?;
    let to = recipient(&to)?;
    let offer = (caller.identity, Submission { id, to, text });
    let outcome = app.uplink.delivery.submit(vec![offer]).await.pop();
    let receipt = outcome.unwrap_or_else(|| Err(Code::INTERNAL.into()))?;
    Ok(Json(SendResponse {
        id: receipt.id.to_string(),
        conversation: receipt.position.conversation.to_string(),
        epoch: receipt.position.epoch.0,
        sequence: receipt.position.sequence.0,
        accepted_at_ms: receipt.accepted_at_ms,
    }))
}

/// A name that cannot exist is a user that does not exist.
fn recipient(to: &str) -> Result<Recipient, ApiError> {
    to.parse().map_err(|_| {
        let shown: String = to.chars().take(64).collect();
        ApiError::new(Code::USER_UNKNOWN, format!("there is no user {shown:?}"))
    })
}
