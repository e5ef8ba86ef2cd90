//! What the tests of the command share: a reader, and messages for her.

use im_common::id::{ConversationId, DeviceId, LogEpoch, MessageId, Sequence, UserId};
use im_common::message::Identity;
use im_common::name::UserName;

use crate::Message;

pub(super) fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

/// Alice, who is user 1.
pub(super) fn reader() -> Identity {
    Identity {
        user: user(1),
        name: UserName::new("alice").unwrap(),
        device: DeviceId::new("laptop").unwrap(),
    }
}

/// The first message in the lobby, from Bob, who is user 2, as old as can be.
pub(super) fn message(text: &str) -> Message {
    Message {
        id: MessageId::fresh(),
        conversation: ConversationId::Lobby,
        sequence: Sequence(1),
        epoch: LogEpoch(1),
        sender: user(2),
        sender_name: UserName::new("Bob").unwrap(),
        sender_device: DeviceId::new("phone").ok(),
        accepted_at_ms: 0,
        text: text.to_owned(),
    }
}
