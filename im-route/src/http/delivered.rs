//! How far the other user of a conversation is.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use im_common::api::{DeliveredResponse, ErrorResponse};
use im_common::id::ConversationId;

use super::App;
use super::error::ApiError;
use crate::accounts::Caller;

/// Read how far the other user of a private conversation is: what any of their devices has handled.
#[utoipa::path(get, path = "/v1/conversations/{conversation}/delivered", params(
    ("conversation" = String, Path, description = "`private:A:B` with the smaller user id first"),
), responses(
    (status = 200, description = "How far the other user is", body = DeliveredResponse),
    (status = 400, description = "Not a private conversation (4001)", body = ErrorResponse),
    (status = 403, description = "Not a member (4009)", body = ErrorResponse),
))]
pub(super) async fn delivered(
    State(app): State<App>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<DeliveredResponse>, ApiError> {
    let Path(conversation) = path?;
    let conversation: ConversationId = conversation.parse()?;
    let reading = &app.uplink.reading;
    let handled = reading
        .delivered(caller.identity.user, &conversation)
        .await?;
    let (epoch, sequence) = handled
        .map(|position| (position.epoch, position.sequence))
        .unwrap_or_default();
    Ok(Json(DeliveredResponse {
        conversation: conversation.to_string(),
        epoch: epoch.0,
        sequence: sequence.0,
    }))
}
