//! The bytes of every frame, length prefix included, frozen: a client of any version must be able
//! to read them. A change here is a change of the protocol. docs/PROTOCOL.md shows them.

use bytes::Bytes;
use prost::Message as _;

use super::*;
use crate::frame::encode;

const ID: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn position() -> Position {
    Position {
        conversation: "private:1:2".into(),
        epoch: 9,
        sequence: 300,
    }
}

fn message() -> Message {
    Message {
        conversation: "lobby".into(),
        epoch: 9,
        sequence: 7,
        id: Bytes::from_static(ID),
        sender_id: 1,
        sender_name: "alice".into(),
        sender_device: "laptop".into(),
        accepted_at_ms: 1_700_000_000_000,
        text: "héllo".into(),
    }
}

fn submit(to: submit::To) -> ClientFrame {
    Submit {
        id: Bytes::from_static(ID),
        to: Some(to),
        text: "hi".into(),
        round: 1,
    }
    .into()
}

fn client_frames() -> Vec<(&'static str, ClientFrame)> {
    let hello = Hello {
        version: 1,
        ticket: Bytes::from_static(b"ticket"),
        device: "laptop".into(),
        attempt: 2,
        positions: vec![position()],
    };
    vec![
        ("hello", hello.into()),
        ("submit to the lobby", submit(submit::To::Lobby(Lobby {}))),
        ("submit to an id", submit(submit::To::UserId(2))),
        (
            "submit to a name",
            submit(submit::To::UserName("bob".into())),
        ),
        (
            "ack",
            Ack {
                positions: vec![position()],
            }
            .into(),
        ),
        (
            "sync",
            Sync {
                conversation: "lobby".into(),
                epoch: 9,
                after: 6,
            }
            .into(),
        ),
        ("ping", Ping { nonce: 5 }.into()),
        ("pong", Pong { nonce: 5 }.into()),
        (
            "close",
            Close {
                code: 4018,
                reason: "bye".into(),
                retry_after_ms: 0,
            }
            .into(),
        ),
    ]
}

fn heads() -> ServerFrame {
    let head = Head {
        conversation: "lobby".into(),
        epoch: 9,
        sequence: 7,
        handled: 6,
    };
    Heads {
        heads: vec![head],
        more: true,
    }
    .into()
}

fn page(fork: Option<Fork>) -> ServerFrame {
    let page = Page {
        conversation: "lobby".into(),
        epoch: 9,
        messages: vec![message()],
        head: 7,
        code: 0,
        fork,
    };
    page.into()
}

fn go_away() -> ServerFrame {
    let go_away = GoAway {
        retry_after_ms: 100,
        candidates: vec!["127.0.0.1:8084".into()],
        deadline_ms: 30_000,
    };
    go_away.into()
}

fn server_frames() -> Vec<(&'static str, ServerFrame)> {
    let welcome = Welcome {
        version: 1,
        user_id: 1,
        user_name: "alice".into(),
        server_id: "s1".into(),
        connection_id: 3,
        ping_after_ms: 30_000,
        submits_in_flight_max: 32,
    };
    let id = Bytes::from_static(ID);
    let accepted = Accepted {
        id: id.clone(),
        conversation: "private:1:2".into(),
        epoch: 9,
        sequence: 300,
        accepted_at_ms: 1_700_000_000_000,
    };
    let refused = Refused {
        id,
        code: 1001,
        reason: "later".into(),
        retry_after_ms: 500,
        round: 1,
    };
    vec![
        ("welcome", welcome.into()),
        ("accepted", accepted.into()),
        ("refused", refused.into()),
        (
            "deliver",
            Deliver {
                message: Some(message()),
            }
            .into(),
        ),
        ("heads", heads()),
        ("page", page(None)),
        (
            "page of an unknown log",
            Page::refused("lobby".into(), crate::code::Code::UNAVAILABLE).into(),
        ),
        ("ping", Ping { nonce: 5 }.into()),
        ("pong", Pong { nonce: 5 }.into()),
        ("go away", go_away()),
        (
            "close",
            Close {
                code: 1004,
                reason: "stopping".into(),
                retry_after_ms: 100,
            }
            .into(),
        ),
        (
            "page of a log that was cut",
            page(Some(Fork {
                epoch: 8,
                sequence: 6,
            })),
        ),
        (
            "page of a log that has nothing in common",
            page(Some(Fork::default())),
        ),
    ]
}

const FROZEN_CLIENT: &[&str] = &[
    "2a0a28080112067469636b65741a066c6170746f7020022a120a0b707269766174653a313a32100918ac02",
    "1c121a0a100102030405060708090a0b0c0d0e0f101200320268693801",
    "1c121a0a100102030405060708090a0b0c0d0e0f101802320268693801",
    "1f121d0a100102030405060708090a0b0c0d0e0f102203626f62320268693801",
    "161a140a120a0b707269766174653a313a32100918ac02",
    "0d220b0a056c6f62627910091806",
    "042a020805",
    "0432020805",
    "0a3a0808b21f1203627965",
];

const FROZEN_SERVER: &[&str] = &[
    "190a17080110011a05616c69636522027331280330b0ea013820",
    "2d122b0a100102030405060708090a0b0c0d0e0f10120b707269766174653a313a32180920ac022880d095ffbc31",
    "231a210a100102030405060708090a0b0c0d0e0f1010e9071a056c6174657220f4032801",
    "41223f0a3d0a056c6f6262791009180722100102030405060708090a0b0c0d0e0f1028013205616c6963653a066c6170746f704080d095ffbc314a0668c3a96c6c6f",
    "132a110a0d0a056c6f6262791009180720061001",
    "4c324a0a056c6f62627910091a3d0a056c6f6262791009180722100102030405060708090a0b0c0d0e0f1028013205616c6963653a066c6170746f704080d095ffbc314a0668c3a96c6c6f2007",
    "0c320a0a056c6f62627928e907",
    "043a020805",
    "0442020805",
    "184a160864120e3132372e302e302e313a3830383418b0ea01",
    "11520f08ec07120873746f7070696e671864",
    "5232500a056c6f62627910091a3d0a056c6f6262791009180722100102030405060708090a0b0c0d0e0f1028013205616c6963653a066c6170746f704080d095ffbc314a0668c3a96c6c6f2007320408081006",
    "4e324c0a056c6f62627910091a3d0a056c6f6262791009180722100102030405060708090a0b0c0d0e0f1028013205616c6963653a066c6170746f704080d095ffbc314a0668c3a96c6c6f20073200",
];

#[test]
fn the_bytes_of_every_frame_are_frozen() {
    let client: Vec<_> = client_frames()
        .iter()
        .map(|(name, frame)| (*name, hex(&encode(frame))))
        .collect();
    let server: Vec<_> = server_frames()
        .iter()
        .map(|(name, frame)| (*name, hex(&encode(frame))))
        .collect();
    let bare = |frames: &[(&str, String)]| {
        frames
            .iter()
            .map(|(_, bytes)| bytes.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(bare(&client), FROZEN_CLIENT, "{client:#?}");
    assert_eq!(bare(&server), FROZEN_SERVER, "{server:#?}");
}

#[test]
fn every_frame_survives_the_way_there_and_back() {
    for (name, frame) in client_frames() {
        let bytes = frame.encode_to_vec();
        assert_eq!(ClientFrame::decode(&*bytes).unwrap(), frame, "{name}");
    }
    for (name, frame) in server_frames() {
        let bytes = frame.encode_to_vec();
        assert_eq!(ServerFrame::decode(&*bytes).unwrap(), frame, "{name}");
    }
}

#[test]
fn fields_of_a_newer_version_are_passed_over() {
    // Field 99, length-delimited, inside a ping.
    let bytes = [0x2a, 0x07, 0x08, 0x05, 0x9a, 0x06, 0x02, b'h', b'i'];
    let frame = ClientFrame::decode(&bytes[..]).unwrap();
    assert_eq!(frame, Ping { nonce: 5 }.into());
}

mod arbitrary {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(frame) = ClientFrame::decode(&*bytes)
                && let Some(client_frame::Frame::Submit(submit)) = frame.frame {
                    let _ = crate::message::Submission::try_from(submit);
                }
            if let Ok(frame) = ServerFrame::decode(&*bytes)
                && let Some(server_frame::Frame::Deliver(Deliver { message: Some(message) })) = frame.frame {
                    let _ = crate::message::StoredMessage::try_from(message);
                }
        }
    }
}
