//! The suites that every implementation of a seam must pass: what the doc comments of the seams
//! say, as checks.
//!
//! Each check draws users, devices and conversations of its own, so suites may run against a store
//! that holds other things already. A check fails by panicking.
#![expect(clippy::unwrap_used, reason = "a check fails by panicking")]

pub mod directory;
pub mod messages;
pub mod registry;
pub mod sessions;

use std::time::Duration;

use crate::id::{ConversationId, DeviceId, MessageId, UserId};
use crate::message::{Draft, Identity};
use crate::name::UserName;

/// How long a check waits for something that must happen: long enough for a loaded machine.
const SOON: Duration = Duration::from_secs(10);

/// Returns a user that no other check has.
fn fresh_user() -> UserId {
    let random = getrandom::u64().expect("the operating system provides randomness");
    UserId::new((random >> 11).max(1)).unwrap()
}

/// Returns a device that no other check has.
fn fresh_device() -> DeviceId {
    DeviceId::new(&format!("device-{}", MessageId::fresh())).unwrap()
}

/// Returns a conversation that no other check has.
fn fresh_conversation() -> ConversationId {
    ConversationId::private(fresh_user(), fresh_user())
}

/// Returns a name that no other check has, beginning as asked for.
fn fresh_name(beginning: &str) -> UserName {
    let random = getrandom::u64().expect("the operating system provides randomness");
    // Digits go with the letters of every script.
    UserName::new(&format!("{beginning}-{}", random >> 8)).unwrap()
}

fn sender(user: UserId) -> Identity {
    Identity {
        user,
        name: UserName::new("sender").unwrap(),
        device: DeviceId::new("device").unwrap(),
    }
}

/// Returns a draft with a fresh id from the first user of a conversation.
fn draft(conversation: &ConversationId, text: &str) -> Draft {
    let user = match conversation {
        ConversationId::Lobby => fresh_user(),
        ConversationId::Private(one, _) => *one,
    };
    Draft {
        conversation: conversation.clone(),
        id: MessageId::fresh(),
        sender: sender(user),
        text: text.to_owned(),
    }
}
