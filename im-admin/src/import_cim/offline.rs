//! A message as CIM stores it: JSON, encoded twice.

use im_common::id::{MessageId, UserId};
use im_common::message::TEXT_BYTES_MAX;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// Tells imported ids apart from what anybody else derives from the same number.
const ID_DOMAIN: &[u8] = b"im import-cim ";

/// What of a stored message matters here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Offline {
    /// Who wrote it.
    pub(super) sender: UserId,
    /// What it says: one text, or the parts of one that is too long for that.
    pub(super) parts: Vec<(MessageId, String)>,
}

/// Why a stored message cannot be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it is not what CIM stores")]
    Foreign,
    #[error("nobody sent it")]
    NoSender,
    #[error("it has no text")]
    NoText,
}

#[derive(Debug, Deserialize)]
struct Stored {
    content: Option<String>,
    properties: Option<Properties>,
}

#[derive(Debug, Deserialize)]
struct Properties {
    #[serde(rename = "sendUserId")]
    sender: Option<String>,
}

impl Offline {
    /// Reads the value of the key with this id.
    pub(super) fn read(id: &str, value: &str) -> Result<Self, Unreadable> {
        let inner: String = serde_json::from_str(value).map_err(|_| Unreadable::Foreign)?;
        let stored: Stored = serde_json::from_str(&inner).map_err(|_| Unreadable::Foreign)?;
        let sender = stored.properties.and_then(|properties| properties.sender);
        let sender = sender.and_then(|sender| sender.parse().ok());
        let text = stored.content.filter(|text| !text.is_empty());
        Ok(Self {
            sender: sender.ok_or(Unreadable::NoSender)?,
            parts: parts(id, &text.ok_or(Unreadable::NoText)?),
        })
    }
}

/// CIM has no limit on texts: a longer one becomes several messages.
fn parts(id: &str, mut text: &str) -> Vec<(MessageId, String)> {
    let mut parts = Vec::new();
    while !text.is_empty() {
        let (part, rest) = text.split_at(text.floor_char_boundary(TEXT_BYTES_MAX));
        parts.push((message_id(id, parts.len()), part.to_owned()));
        text = rest;
    }
    parts
}

/// The same at each import, so that the message is stored once.
fn message_id(id: &str, part: usize) -> MessageId {
    let mut hash = Sha256::new();
    hash.update(ID_DOMAIN);
    hash.update(id.as_bytes());
    hash.update(b"/");
    hash.update(part.to_string());
    MessageId::from_bytes(&hash.finalize()[..16]).expect("16 bytes are an id")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn stored(content: serde_json::Value) -> String {
        let object = json!({
            "messageId": 846_000_000_000_000_000_u64, "receiveUserId": 2, "content": content,
            "messageType": 0, "status": 0, "createdAt": "2026-04-05T10:00:00.123",
            "properties": {"sendUserId": "1", "sendUserName": "alice", "receiveUserId": "2"},
        });
        serde_json::Value::String(object.to_string()).to_string()
    }

    #[test]
    fn a_message_is_read_as_cim_stores_it() {
        let message = Offline::read("846", &stored(json!("hello \"you\""))).unwrap();
        assert_eq!(message.sender.number(), 1);
        assert_eq!(message.parts[0].1, "hello \"you\"");
        assert_eq!(message.parts.len(), 1);
    }

    #[test]
    fn ids_follow_from_those_of_cim() {
        let id = |id| Offline::read(id, &stored(json!("x"))).unwrap().parts[0].0;
        assert_eq!(id("846"), id("846"));
        assert_ne!(id("846"), id("847"));
        // An id is part of what is stored: it never changes.
        assert_eq!(
            id("846").to_string(),
            "0dc0a18f-dde0-b96e-501f-009cf3d7a4ff"
        );
    }

    #[test]
    fn a_text_too_long_becomes_several() {
        let text = "界".repeat(TEXT_BYTES_MAX);
        let message = Offline::read("1", &stored(json!(text))).unwrap();
        assert_eq!(message.parts.len(), 4);
        let whole: String = message
            .parts
            .iter()
            .map(|(_, part)| part.as_str())
            .collect();
        assert_eq!(whole, text);
        let fits = |(_, part): &(MessageId, String)| part.len() <= TEXT_BYTES_MAX;
        assert!(message.parts.iter().all(fits));
    }

    #[test]
    fn what_poisons_cim_is_told_apart() {
        let no_sender = json!("{\"content\":\"x\",\"properties\":{}}").to_string();
        let once = json!({"content": "x", "properties": {"sendUserId": "1"}}).to_string();
        for (value, why) in [
            (stored(json!(null)), Unreadable::NoText),
            (stored(json!("")), Unreadable::NoText),
            (no_sender, Unreadable::NoSender),
            (once, Unreadable::Foreign),
            ("null".to_owned(), Unreadable::Foreign),
            ("\"[]\"".to_owned(), Unreadable::Foreign),
            ("cim-account:7".to_owned(), Unreadable::Foreign),
        ] {
            assert_eq!(Offline::read("1", &value), Err(why), "{value}");
        }
    }
}
