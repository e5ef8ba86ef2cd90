//! CIM's frames: one protobuf message for both directions, behind a varint length as in our own.

use std::collections::BTreeMap;

use bytes::Bytes;
use im_common::frame::encode;
use im_common::id::UserId;
use im_common::message::StoredMessage;

/// Says who the client is. The default of protobuf, so that it is never on the wire.
pub(super) const LOGIN: i32 = 0;
/// One text, or a batch of texts.
pub(super) const MESSAGE: i32 = 1;
/// Sent by the client each 10 s, and answered.
pub(super) const PING: i32 = 2;
/// Texts that waited for the client.
pub(super) const OFFLINE: i32 = 3;

/// Texts in one frame, as in CIM. With the 192 KiB of text that a page holds at most they fit.
const TEXTS_MAX: usize = 100;

/// `Request` and `Response` of CIM, package `com.crossoverjie.cim.common.protocol`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Frame {
    /// A text; in a login the user's name.
    #[prost(string, tag = "1")]
    pub(super) text: String,
    /// The receiver; in a login the client.
    #[prost(int64, tag = "2")]
    pub(super) user: i64,
    /// One of the commands above, or one of another version.
    #[prost(int32, tag = "3")]
    pub(super) command: i32,
    /// Who sends to whom.
    #[prost(btree_map = "string, string", tag = "4")]
    pub(super) properties: BTreeMap<String, String>,
    /// Several texts, in order.
    #[prost(string, repeated, tag = "5")]
    pub(super) batch: Vec<String>,
}

/// The answer to a ping.
pub(super) fn pong() -> Bytes {
    encode(&Frame {
        text: "pong".to_owned(),
        command: PING,
        ..Frame::default()
    })
}

/// A message as it happens.
pub(super) fn message(to: UserId, message: StoredMessage) -> Bytes {
    encode(&Frame {
        command: MESSAGE,
        user: number(to),
        properties: properties(to, &message),
        text: message.text,
        ..Frame::default()
    })
}

/// Messages that waited, in order: as many in a frame as have one sender, for a frame names only
/// one.
pub(super) fn missed(to: UserId, messages: Vec<StoredMessage>) -> Vec<Bytes> {
    let mut frames: Vec<(UserId, Frame)> = Vec::new();
    for message in messages {
        let sender = message.sender.user;
        match frames.last_mut() {
            Some((last, frame)) if *last == sender && frame.batch.len() < TEXTS_MAX => {
                frame.batch.push(message.text);
            }
            _ => {
                let frame = Frame {
                    command: OFFLINE,
                    user: number(to),
                    properties: properties(to, &message),
                    batch: vec![message.text],
                    ..Frame::default()
                };
                frames.push((sender, frame));
            }
        }
    }
    frames.iter().map(|(_, frame)| encode(frame)).collect()
}

fn properties(to: UserId, message: &StoredMessage) -> BTreeMap<String, String> {
    let sender = &message.sender;
    [
        ("receiveUserId", to.to_string()),
        ("sendUserId", sender.user.to_string()),
        ("sendUserName", sender.name.to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

fn number(user: UserId) -> i64 {
    i64::try_from(user.number()).expect("user ids are below 2^53")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::stored;
    use im_common::name::UserName;
    use prost::Message as _;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn receiver() -> UserId {
        UserId::new(1_547_028_929_407).unwrap()
    }

    fn from(sender: u64, name: &str, text: &str) -> StoredMessage {
        let mut message = stored(1, text);
        message.sender.user = UserId::new(sender).unwrap();
        message.sender.name = UserName::new(name).unwrap();
        message
    }

    #[test]
    fn what_clients_say_is_understood() {
        let login = b"\x0a\x08zhangsan\x10\xff\xb6\xf0\x90\x83\x2d";
        let login = Frame::decode(&login[..]).unwrap();
        assert_eq!((login.command, login.user), (LOGIN, 1_547_028_929_407));
        assert_eq!(login.text, "zhangsan");
        let ping = b"\x0a\x04ping\x10\xff\xb6\xf0\x90\x83\x2d\x18\x02";
        assert_eq!(Frame::decode(&ping[..]).unwrap().command, PING);
        let nothing = Frame::decode(&b""[..]).unwrap();
        assert_eq!((nothing.command, nothing.user), (LOGIN, 0));
    }

    #[test]
    fn what_clients_are_told_is_what_cim_says() {
        assert_eq!(hex(&pong()), "080a04706f6e671802");
        let hello = message(receiver(), from(100, "cj", "hello"));
        assert_eq!(
            hex(&hello),
            "570a0568656c6c6f10ffb6f090832d1801221e0a0d72656365697665557365724964120d3135343730323\
             839323934303722110a0a73656e64557365724964120331303022120a0c73656e64557365724e616d65120\
             2636a"
        );
        let waited = vec![from(100, "cj", "m1"), from(100, "cj", "m2")];
        let frames = missed(receiver(), waited);
        assert_eq!(frames.len(), 1);
        assert_eq!(
            hex(&frames[0]),
            "5810ffb6f090832d1803221e0a0d72656365697665557365724964120d3135343730323839323934303722\
             110a0a73656e64557365724964120331303022120a0c73656e64557365724e616d651202636a2a026d312a\
             026d32"
        );
    }

    #[test]
    fn each_frame_has_one_sender_and_no_more_texts_than_cim_sends() {
        let mut waited = vec![
            from(1, "ann", "a1"),
            from(2, "bob", "b1"),
            from(1, "ann", "a2"),
        ];
        waited.extend((0..101).map(|n| from(3, "cat", &n.to_string())));
        let frames = missed(receiver(), waited);
        let decode = |bytes: &Bytes| Frame::decode_length_delimited(bytes.clone()).unwrap();
        let frames: Vec<Frame> = frames.iter().map(decode).collect();
        let senders = frames
            .iter()
            .map(|frame| frame.properties["sendUserName"].as_str());
        assert_eq!(
            senders.collect::<Vec<_>>(),
            ["ann", "bob", "ann", "cat", "cat"]
        );
        let sizes: Vec<usize> = frames.iter().map(|frame| frame.batch.len()).collect();
        assert_eq!(sizes, [1, 1, 1, 100, 1]);
        let texts: Vec<&String> = frames[3].batch.iter().chain(&frames[4].batch).collect();
        assert!(
            texts
                .iter()
                .enumerate()
                .all(|(n, text)| **text == n.to_string())
        );
    }
}
