//! The past of a conversation.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use im_common::api::{ErrorResponse, HistoryMessage, HistoryResponse, User};
use im_common::backend::messages::{PAGE_MESSAGES_MAX, Range};
use im_common::code::Code;
use im_common::id::{ConversationId, Sequence};
use im_common::message::StoredMessage;
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::error::ApiError;
use crate::accounts::Caller;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryParams {
    /// Messages that end before this sequence.
    before: Option<u64>,
    /// Messages that follow this sequence. Not together with `before`; the newest when both are missing.
    after: Option<u64>,
    /// At most this many; never more than 100.
    limit: Option<usize>,
}

/// Read part of a conversation, oldest first.
#[utoipa::path(get, path = "/v1/conversations/{conversation}/messages", params(
    ("conversation" = String, Path, description = "`lobby`, or `private:A:B` with the smaller user id first"),
    HistoryParams,
), responses(
    (status = 200, description = "The messages", body = HistoryResponse),
    (status = 403, description = "Not a member (4009)", body = ErrorResponse),
))]
pub(super) async fn messages(
    State(app): State<App>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<HistoryParams>, QueryRejection>,
) -> Result<Json<HistoryResponse>, ApiError> {
    let Path(conversation) = path?;
    let Query(HistoryParams {
        before,
        after,
        limit,
    }) = query?;
    let conversation: ConversationId = conversation.parse()?;
    let range = match (before, after) {
        (None, None) => Range::Newest,
        (Some(before), None) => Range::Before(Sequence(before)),
        (None, Some(after)) => Range::After(Sequence(after)),
        (Some(_), Some(_)) => {
            return Err(ApiError::new(
                Code::MALFORMED,
                "give `before` or `after`, not both",
            ));
        }
    };
    let limit = limit
        .unwrap_or(PAGE_MESSAGES_MAX)
        .clamp(1, PAGE_MESSAGES_MAX);
    let reading = &app.uplink.reading;
    let page = reading
        .history(caller.identity.user, &conversation, range, limit)
        .await?;
    Ok(Json(HistoryResponse {
        conversation: conversation.to_string(),
        epoch: page.epoch.0,
        head: page.head.0,
        messages: page.messages.into_iter().map(render).collect(),
    }))
}

fn render(message: StoredMessage) -> HistoryMessage {
    HistoryMessage {
        sequence: message.sequence.0,
        id: message.id.to_string(),
        sender: User {
            user_id: message.sender.user.number(),
            name: message.sender.name.to_string(),
        },
        accepted_at_ms: message.accepted_at_ms,
        text: message.text,
    }
}
