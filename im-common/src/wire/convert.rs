//! Between wire and domain: the only file that knows both.
//!
//! Towards the wire nothing can fail. From the wire everything is checked here, so that the logic
//! behind it sees valid ids, names and positions only.

use bytes::Bytes;

use super::generated as wire;
use crate::code::Code;
use crate::id::{
    ConnectionId, DeviceId, InvalidId, LogEpoch, MessageId, Sequence, ServerId, SessionEpoch,
    UserId,
};
use crate::message::{
    Draft, Fork, Head, Identity, Page, Position, Receipt, Recipient, Session, StoredMessage,
    Submission,
};
use crate::name::{InvalidName, UserName};

/// A message of the wire that lacks a field or has an impossible value in one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A field that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// An id that cannot be.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// A name that cannot be.
    #[error(transparent)]
    Name(#[from] InvalidName),
}

impl From<Position> for wire::Position {
    fn from(position: Position) -> Self {
        Self {
            conversation: position.conversation.to_string(),
            epoch: position.epoch.0,
            sequence: position.sequence.0,
        }
    }
}

impl TryFrom<wire::Position> for Position {
    type Error = Malformed;

    fn try_from(position: wire::Position) -> Result<Self, Malformed> {
        Ok(Self {
            conversation: position.conversation.parse()?,
            epoch: LogEpoch(position.epoch),
            sequence: Sequence(position.sequence),
        })
    }
}

impl wire::Position {
    /// Converts all, or fails with the first that is malformed.
    pub fn list(positions: Vec<Self>) -> Result<Vec<Position>, Malformed> {
        positions.into_iter().map(TryInto::try_into).collect()
    }
}

impl From<Head> for wire::Head {
    fn from(head: Head) -> Self {
        Self {
            conversation: head.newest.conversation.to_string(),
            epoch: head.newest.epoch.0,
            sequence: head.newest.sequence.0,
            handled: head.handled.0,
        }
    }
}

impl TryFrom<wire::Head> for Head {
    type Error = Malformed;

    fn try_from(head: wire::Head) -> Result<Self, Malformed> {
        let newest = Position {
            conversation: head.conversation.parse()?,
            epoch: LogEpoch(head.epoch),
            sequence: Sequence(head.sequence),
        };
        Ok(Self {
            newest,
            handled: Sequence(head.handled),
        })
    }
}

impl From<Vec<Head>> for wire::Heads {
    fn from(heads: Vec<Head>) -> Self {
        Self {
            heads: heads.into_iter().map(Into::into).collect(),
            more: false,
        }
    }
}

impl TryFrom<wire::Heads> for Vec<Head> {
    type Error = Malformed;

    fn try_from(heads: wire::Heads) -> Result<Self, Malformed> {
        heads.heads.into_iter().map(TryInto::try_into).collect()
    }
}

impl From<StoredMessage> for wire::Message {
    fn from(message: StoredMessage) -> Self {
        Self {
            conversation: message.conversation.to_string(),
            epoch: message.epoch.0,
            sequence: message.sequence.0,
            id: id_bytes(message.id),
            sender_id: message.sender.user.number(),
            sender_name: message.sender.name.to_string(),
            sender_device: message.sender.device.to_string(),
            accepted_at_ms: message.accepted_at_ms,
            text: message.text,
        }
    }
}

impl TryFrom<wire::Message> for StoredMessage {
    type Error = Malformed;

    fn try_from(message: wire::Message) -> Result<Self, Malformed> {
        Ok(Self {
            conversation: message.conversation.parse()?,
            epoch: LogEpoch(message.epoch),
            sequence: Sequence(message.sequence),
            id: MessageId::from_bytes(&message.id)?,
            sender: Identity {
                user: UserId::new(message.sender_id)?,
                name: UserName::new(&message.sender_name)?,
                device: DeviceId::new(&message.sender_device)?,
            },
            accepted_at_ms: message.accepted_at_ms,
            text: message.text,
        })
    }
}

impl wire::LogEntry {
    /// Renders what a log keeps of a draft that it accepts.
    pub fn new(draft: &Draft, accepted_at_ms: u64) -> Self {
        Self {
            id: id_bytes(draft.id),
            sender_id: draft.sender.user.number(),
            sender_name: draft.sender.name.to_string(),
            sender_device: draft.sender.device.to_string(),
            accepted_at_ms,
            text: draft.text.clone(),
        }
    }

    /// Joins an entry with what its log knows: which log it is, and where the entry lies in it.
    pub fn into_message(self, position: Position) -> Result<StoredMessage, Malformed> {
        Ok(StoredMessage {
            conversation: position.conversation,
            epoch: position.epoch,
            sequence: position.sequence,
            id: MessageId::from_bytes(&self.id)?,
            sender: Identity {
                user: UserId::new(self.sender_id)?,
                name: UserName::new(&self.sender_name)?,
                device: DeviceId::new(&self.sender_device)?,
            },
            accepted_at_ms: self.accepted_at_ms,
            text: self.text,
        })
    }
}

impl From<Identity> for wire::Identity {
    fn from(identity: Identity) -> Self {
        Self {
            user_id: identity.user.number(),
            user_name: identity.name.to_string(),
            device: identity.device.to_string(),
        }
    }
}

impl TryFrom<wire::Identity> for Identity {
    type Error = Malformed;

    fn try_from(identity: wire::Identity) -> Result<Self, Malformed> {
        Ok(Self {
            user: UserId::new(identity.user_id)?,
            name: UserName::new(&identity.user_name)?,
            device: DeviceId::new(&identity.device)?,
        })
    }
}

impl wire::Submit {
    /// Renders a submission as an offer of the given round.
    pub fn new(submission: Submission, round: u32) -> Self {
        let to = match submission.to {
            Recipient::Lobby => wire::submit::To::Lobby(wire::Lobby {}),
            Recipient::User(user) => wire::submit::To::UserId(user.number()),
            Recipient::Name(name) => wire::submit::To::UserName(name.to_string()),
        };
        Self {
            id: id_bytes(submission.id),
            to: Some(to),
            text: submission.text,
            round,
        }
    }
}

impl TryFrom<wire::Submit> for Submission {
    type Error = Malformed;

    fn try_from(submit: wire::Submit) -> Result<Self, Malformed> {
        let to = match submit.to.ok_or(Malformed::Missing("recipient"))? {
            wire::submit::To::Lobby(wire::Lobby {}) => Recipient::Lobby,
            wire::submit::To::UserId(user) => Recipient::User(UserId::new(user)?),
            wire::submit::To::UserName(name) => Recipient::Name(UserName::new(&name)?),
        };
        Ok(Self {
            id: MessageId::from_bytes(&submit.id)?,
            to,
            text: submit.text,
        })
    }
}

impl From<Receipt> for wire::Accepted {
    fn from(receipt: Receipt) -> Self {
        Self {
            id: id_bytes(receipt.id),
            conversation: receipt.position.conversation.to_string(),
            epoch: receipt.position.epoch.0,
            sequence: receipt.position.sequence.0,
            accepted_at_ms: receipt.accepted_at_ms,
        }
    }
}

impl TryFrom<wire::Accepted> for Receipt {
    type Error = Malformed;

    fn try_from(accepted: wire::Accepted) -> Result<Self, Malformed> {
        let position = Position {
            conversation: accepted.conversation.parse()?,
            epoch: LogEpoch(accepted.epoch),
            sequence: Sequence(accepted.sequence),
        };
        Ok(Self {
            id: MessageId::from_bytes(&accepted.id)?,
            position,
            accepted_at_ms: accepted.accepted_at_ms,
        })
    }
}

impl From<Page> for wire::Page {
    fn from(page: Page) -> Self {
        Self {
            conversation: page.conversation.to_string(),
            epoch: page.epoch.0,
            messages: page.messages.into_iter().map(Into::into).collect(),
            head: page.head.0,
            code: 0,
            fork: page.fork.map(Into::into),
        }
    }
}

impl wire::Page {
    /// Renders a page that could not be read.
    pub fn refused(conversation: String, code: Code) -> Self {
        Self {
            conversation,
            code: code.0.into(),
            ..Self::default()
        }
    }
}

impl TryFrom<wire::Page> for Page {
    type Error = Malformed;

    fn try_from(page: wire::Page) -> Result<Self, Malformed> {
        Ok(Self {
            conversation: page.conversation.parse()?,
            epoch: LogEpoch(page.epoch),
            messages: page
                .messages
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
            head: Sequence(page.head),
            fork: page.fork.map(Into::into),
        })
    }
}

impl From<Fork> for wire::Fork {
    fn from(fork: Fork) -> Self {
        Self {
            epoch: fork.epoch.0,
            sequence: fork.sequence.0,
        }
    }
}

impl From<wire::Fork> for Fork {
    fn from(fork: wire::Fork) -> Self {
        Self {
            epoch: LogEpoch(fork.epoch),
            sequence: Sequence(fork.sequence),
        }
    }
}

impl From<Session> for wire::Session {
    fn from(session: Session) -> Self {
        Self {
            user_id: session.user.number(),
            device: session.device.to_string(),
            server_id: session.server.to_string(),
            connection_id: session.connection.0,
            login_epoch: session.epoch.login,
            attempt: session.epoch.attempt,
        }
    }
}

impl TryFrom<wire::Session> for Session {
    type Error = Malformed;

    fn try_from(session: wire::Session) -> Result<Self, Malformed> {
        Ok(Self {
            user: UserId::new(session.user_id)?,
            device: DeviceId::new(&session.device)?,
            server: ServerId::new(&session.server_id)?,
            connection: ConnectionId(session.connection_id),
            epoch: SessionEpoch {
                login: session.login_epoch,
                attempt: session.attempt,
            },
        })
    }
}

impl wire::Close {
    /// Renders a close with the code's own meaning as the reason.
    pub fn new(code: Code, retry_after_ms: u32) -> Self {
        Self {
            code: code.0.into(),
            reason: code.meaning().to_owned(),
            retry_after_ms,
        }
    }
}

/// Codes travel as 32-bit numbers; one that does not fit is as unknown as any other.
impl From<u32> for Code {
    fn from(number: u32) -> Self {
        Self(u16::try_from(number).unwrap_or(0))
    }
}

macro_rules! frames {
    ($whole:ident, $oneof:ident: $($variant:ident)*) => {
        $(impl From<wire::$variant> for wire::$whole {
            fn from(frame: wire::$variant) -> Self {
                Self { frame: Some(wire::$oneof::Frame::$variant(frame)) }
            }
        })*
    };
}

frames!(ClientFrame, client_frame: Hello Submit Ack Sync Ping Pong Close);
frames!(ServerFrame, server_frame: Welcome Accepted Refused Deliver Heads Page Ping Pong GoAway Close);

fn id_bytes(id: MessageId) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}
