//! From the JSON of the routes to the types of the SDK.

use std::error::Error as StdError;

use im_common::api::{DeliveredResponse, HistoryMessage, OnlineResponse};
use im_common::id::{ConversationId, LogEpoch, Sequence, UserId};
use im_common::message::Position;
use im_common::name::UserName;

use crate::error::{Error, ErrorKind};
use crate::message::{Message, OnlinePage, User};

pub(crate) fn user_id(number: u64) -> Result<UserId, Error> {
    UserId::new(number).map_err(wrong)
}

pub(crate) fn online_page(answer: OnlineResponse) -> Result<OnlinePage, Error> {
    let user = |user: im_common::api::User| {
        Ok::<_, Error>(User {
            user: user_id(user.user_id)?,
            name: user.name,
        })
    };
    Ok(OnlinePage {
        users: answer
            .users
            .into_iter()
            .map(user)
            .collect::<Result<_, _>>()?,
        next: answer.next,
        partial: answer.partial,
    })
}

pub(crate) fn past_message(
    conversation: &ConversationId,
    epoch: LogEpoch,
    message: HistoryMessage,
) -> Result<Message, Error> {
    Ok(Message {
        id: message.id.parse().map_err(wrong)?,
        conversation: conversation.clone(),
        sequence: Sequence(message.sequence),
        epoch,
        sender: user_id(message.sender.user_id)?,
        sender_name: UserName::new(&message.sender.name).map_err(wrong)?,
        sender_device: None,
        accepted_at_ms: message.accepted_at_ms,
        text: message.text,
    })
}

/// Nothing was handled yet in epoch 0.
pub(crate) fn delivered(
    conversation: ConversationId,
    answer: &DeliveredResponse,
) -> Option<Position> {
    (answer.epoch > 0).then_some(Position {
        conversation,
        epoch: LogEpoch(answer.epoch),
        sequence: Sequence(answer.sequence),
    })
}

fn wrong(error: impl StdError + Send + Sync + 'static) -> Error {
    let message = "the route's answer makes no sense";
    Error::new(ErrorKind::Protocol, message).because(error)
}
