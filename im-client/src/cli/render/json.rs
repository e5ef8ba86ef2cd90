//! One JSON object on a line: the exact text, with everything escaped that a terminal or a naive
//! reader of lines might act on.

use std::fmt::Write;

use im_common::api::{SendResponse, User};
use im_common::id::{DeviceId, UserId};
use im_common::message::Receipt;
use serde::Serialize;

use super::safe;
use crate::Message;

/// A message, as `im tail --json` prints it.
#[derive(Debug, Serialize)]
struct MessageLine<'a> {
    conversation: String,
    epoch: u64,
    sequence: u64,
    id: String,
    sender: User,
    sender_device: Option<&'a str>,
    accepted_at_ms: u64,
    text: &'a str,
}

/// Renders a message.
pub(crate) fn message(message: &Message) -> String {
    line(&MessageLine {
        conversation: message.conversation.to_string(),
        epoch: message.epoch.0,
        sequence: message.sequence.0,
        id: message.id.to_string(),
        sender: User {
            user_id: message.sender.number(),
            name: message.sender_name.to_string(),
        },
        sender_device: message.sender_device.as_ref().map(DeviceId::as_str),
        accepted_at_ms: message.accepted_at_ms,
        text: &message.text,
    })
}

/// Renders what the sender of an accepted message is told, as the HTTP API does.
pub(crate) fn receipt(receipt: &Receipt) -> String {
    line(&SendResponse {
        id: receipt.id.to_string(),
        conversation: receipt.position.conversation.to_string(),
        epoch: receipt.position.epoch.0,
        sequence: receipt.position.sequence.0,
        accepted_at_ms: receipt.accepted_at_ms,
    })
}

/// Renders a user, as the HTTP API does.
pub(crate) fn user(user: UserId, name: &str) -> String {
    line(&User {
        user_id: user.number(),
        name: name.to_owned(),
    })
}

/// Logins that were kept, as `im login --json` prints them.
#[derive(Debug, Serialize)]
struct LoginLine<'a> {
    name: &'a str,
    devices: Vec<&'a str>,
}

/// Renders whose logins are kept, for which devices.
pub(crate) fn login(name: &str, devices: &[DeviceId]) -> String {
    let devices = devices.iter().map(DeviceId::as_str).collect();
    line(&LoginLine { name, devices })
}

/// Renders one object and ends the line.
pub(crate) fn line<T: Serialize>(value: &T) -> String {
    let plain = serde_json::to_string(value).expect("these types have only string keys");
    // Outside of strings JSON is ASCII, so everything else stands within one.
    let mut escaped = String::with_capacity(plain.len() + 1);
    for c in plain.chars() {
        if !c.is_control() && !safe::is_deceptive(c) {
            escaped.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            write!(escaped, "\\u{unit:04x}").expect("a string takes any text");
        }
    }
    escaped.push('\n');
    escaped
}
