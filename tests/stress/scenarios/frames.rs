//! Strangers who do not keep to the protocol: each costs its own connection and nothing else.

use bytes::{BufMut as _, Bytes, BytesMut};
use im_common::code::Code;
use im_common::frame::{FRAME_BYTES_MAX, encode};
use im_common::id::MessageId;
use im_common::message::TEXT_BYTES_MAX;
use im_common::wire::{self, ClientFrame, server_frame::Frame};
use im_tests::raw::{Pass, Raw, trickle};

use crate::scenario::{ONE, Scenario, scenario};
use crate::world::{Who, World};

pub(crate) const ALL: &[Scenario] = &[
    scenario!(
        ONE,
        length_of_two_gigabytes,
        "a frame that claims 2^31 bytes"
    ),
    scenario!(
        ONE,
        length_of_four_gigabytes,
        "a frame that claims 2^32 - 1 bytes"
    ),
    scenario!(ONE, length_without_end, "a length of eleven bytes"),
    scenario!(ONE, length_of_nothing, "an empty frame"),
    scenario!(
        ONE,
        length_just_over,
        "a frame of one byte more than allowed"
    ),
    scenario!(ONE, frame_cut_off, "the stream ends inside a frame"),
    scenario!(ONE, frame_never_finished, "half a hello and then silence"),
    scenario!(ONE, hello_a_byte_at_a_time, "a good hello, slowly"),
    scenario!(
        ONE,
        wrong_wire_types,
        "fields of another type than they should be"
    ),
    scenario!(ONE, text_that_is_not_utf8, "bytes that are no text"),
    scenario!(
        ONE,
        unknown_frames,
        "frames and fields of a newer version are passed over"
    ),
    scenario!(
        ONE,
        nested_without_end,
        "groups in groups, a hundred thousand deep"
    ),
    scenario!(ONE, random_bytes, "two hundred connections of noise"),
    scenario!(ONE, mutated_frames, "good frames with a few bytes changed"),
    scenario!(
        ONE,
        frames_of_a_server,
        "a client that speaks as if it were a server"
    ),
    scenario!(ONE, a_second_hello, "hello twice on one connection"),
    scenario!(ONE, submit_before_hello, "a message from nobody"),
    scenario!(
        ONE,
        text_too_long_or_empty,
        "texts over and under the bounds are refused, no more"
    ),
    scenario!(
        ONE,
        positions_without_end,
        "acks and hellos with as many positions as fit a frame"
    ),
    scenario!(
        ONE,
        names_of_no_conversation,
        "positions and syncs of logs that cannot be"
    ),
    scenario!(
        ONE,
        syncs_without_pause,
        "many pages asked for at once, and nothing read"
    ),
    scenario!(
        ONE,
        gone_with_unread_answers,
        "connections reset in the middle of everything"
    ),
    scenario!(
        ONE,
        silent_strangers,
        "sockets that say nothing, while users log in"
    ),
    scenario!(
        ONE,
        forged_tickets,
        "tickets with changed bytes, of other devices, of ended logins"
    ),
];

/// A cluster at work, and somebody who means no good.
struct Mischief {
    users: Vec<Who>,
    pass: Pass,
    address: String,
    attempt: u32,
}

async fn mischief(world: &mut World) -> Mischief {
    let users = world.join(["alice", "bob"]).await.to_vec();
    let mallory = world.register("mallory").await;
    world.retire(&[mallory]);
    world.chatter(&users, 10);
    let pass = Pass::of(&world.cluster.urls(0)[0], "mallory", "raw").await;
    let address = world.cluster.servers()[0].info.client_address.clone();
    Mischief {
        users,
        pass,
        address,
        attempt: 0,
    }
}

impl Mischief {
    async fn stranger(&self) -> Raw {
        Raw::connect(&self.address).await
    }

    async fn attached(&mut self) -> Raw {
        self.attempt += 1;
        Raw::attach(&self.address, &self.pass, self.attempt).await
    }

    /// These bytes end a connection with this code, before the hello and after it.
    async fn ends_with(&mut self, world: &mut World, bytes: &[u8], codes: [Code; 2]) {
        let mut stranger = self.stranger().await;
        stranger.write(bytes.to_vec()).await;
        assert_eq!(
            stranger.closed_with().await,
            Some(codes[0]),
            "as a stranger"
        );
        let mut known = self.attached().await;
        known.write(bytes.to_vec()).await;
        assert_eq!(known.closed_with().await, Some(codes[1]), "when attached");
        self.still_works(world).await;
    }

    /// Another connection is taken, and answers.
    async fn still_works(&mut self, world: &mut World) {
        let raw = self.attached().await;
        self.answers(raw).await;
        world.chatter(&self.users, 5);
    }

    async fn answers(&self, mut raw: Raw) {
        raw.say(wire::Ping { nonce: 77 }).await;
        loop {
            match raw.next().await {
                Some(Frame::Pong(pong)) => return assert_eq!(pong.nonce, 77),
                Some(Frame::Close(close)) => panic!("closed with {}", close.code),
                Some(_) => {}
                None => panic!("gone"),
            }
        }
    }
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut frame = BytesMut::new();
    prost::encoding::encode_varint(body.len() as u64, &mut frame);
    frame.put_slice(body);
    frame.to_vec()
}

fn length(length: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_varint(length, &mut bytes);
    bytes
}

async fn length_of_two_gigabytes(world: &mut World) {
    let mut mischief = mischief(world).await;
    let codes = [Code::FRAME_TOO_LARGE; 2];
    mischief.ends_with(world, &length(1 << 31), codes).await;
}

async fn length_of_four_gigabytes(world: &mut World) {
    let mut mischief = mischief(world).await;
    let codes = [Code::FRAME_TOO_LARGE; 2];
    mischief
        .ends_with(world, &length(u64::from(u32::MAX)), codes)
        .await;
}

async fn length_without_end(world: &mut World) {
    let mut mischief = mischief(world).await;
    mischief
        .ends_with(world, &[0x80; 11], [Code::MALFORMED; 2])
        .await;
    mischief
        .ends_with(world, &[0xff; 11], [Code::MALFORMED; 2])
        .await;
}

async fn length_of_nothing(world: &mut World) {
    let mut mischief = mischief(world).await;
    mischief.ends_with(world, &[0], [Code::MALFORMED; 2]).await;
}

async fn length_just_over(world: &mut World) {
    let mut mischief = mischief(world).await;
    let over = FRAME_BYTES_MAX as u64 + 1;
    let codes = [Code::FRAME_TOO_LARGE; 2];
    mischief.ends_with(world, &length(over), codes).await;
}

async fn frame_cut_off(world: &mut World) {
    let mut mischief = mischief(world).await;
    let hello = encode(&ClientFrame::from(mischief.pass.hello(1)));
    for end in [0, 1, hello.len() / 2, hello.len() - 1] {
        let mut stranger = mischief.stranger().await;
        stranger.write(hello.slice(..end)).await;
        stranger.finish().await;
        stranger.closed_with().await;
        let mut known = mischief.attached().await;
        known.write(hello.slice(..end)).await;
        known.finish().await;
        known.closed_with().await;
    }
    mischief.still_works(world).await;
}

async fn frame_never_finished(world: &mut World) {
    let mut mischief = mischief(world).await;
    let hello = encode(&ClientFrame::from(mischief.pass.hello(1)));
    let mut stranger = mischief.stranger().await;
    stranger.write(hello.slice(..hello.len() / 2)).await;
    assert_eq!(stranger.closed_with().await, Some(Code::HANDSHAKE_TIMEOUT));
    mischief.still_works(world).await;
}

async fn hello_a_byte_at_a_time(world: &mut World) {
    let mut mischief = mischief(world).await;
    let hello = encode(&ClientFrame::from(mischief.pass.hello(1)));
    let mut socket = mischief.stranger().await.into_socket();
    trickle(&mut socket, &hello).await;
    let mut raw = Raw::over(socket);
    assert!(matches!(raw.next().await, Some(Frame::Welcome(_))));
    mischief.attempt = 1;
    mischief.answers(raw).await;
}

async fn wrong_wire_types(world: &mut World) {
    let mut mischief = mischief(world).await;
    // The number of each frame, as a varint, as eight bytes and as four.
    for number in 1..8 {
        let varint = framed(&[number << 3, 1]);
        let wide = framed(&[number << 3 | 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        let narrow = framed(&[number << 3 | 5, 0, 0, 0, 0]);
        for bytes in [varint, wide, narrow] {
            mischief
                .ends_with(world, &bytes, [Code::MALFORMED; 2])
                .await;
        }
    }
}

async fn text_that_is_not_utf8(world: &mut World) {
    let mut mischief = mischief(world).await;
    let bytes = framed(&[0x12, 0x07, 0x12, 0x00, 0x32, 0x03, 0xff, 0xfe, 0xfd]);
    mischief
        .ends_with(world, &bytes, [Code::MALFORMED; 2])
        .await;
}

async fn unknown_frames(world: &mut World) {
    let mut mischief = mischief(world).await;
    let mut known = mischief.attached().await;
    // Field 99 of every kind, and a ping with a field that nobody knows.
    for body in [
        &[0x98, 0x06, 0x01][..],
        &[0x9a, 0x06, 0x03, 1, 2, 3],
        &[0x9d, 0x06, 0, 0, 0, 0],
        &[0x99, 0x06, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0x2a, 0x05, 0x08, 0x4d, 0x98, 0x06, 0x01],
    ] {
        known.write(framed(body)).await;
    }
    mischief.answers(known).await;
    mischief.still_works(world).await;
}

async fn nested_without_end(world: &mut World) {
    let mut mischief = mischief(world).await;
    // Field 15 begins a group, and so on: nothing may follow this down.
    let bytes = framed(&vec![0x7b; 100_000]);
    mischief
        .ends_with(world, &bytes, [Code::MALFORMED; 2])
        .await;
    // The same as messages in messages.
    let mut nested = Vec::new();
    for _ in 0..5000 {
        let mut outer = vec![0x0a];
        prost::encoding::encode_varint(nested.len() as u64, &mut outer);
        outer.append(&mut nested);
        nested = outer;
    }
    let mut stranger = mischief.stranger().await;
    stranger.write(framed(&nested)).await;
    assert!(stranger.closed_with().await.is_some());
    mischief.still_works(world).await;
}

async fn random_bytes(world: &mut World) {
    let mut mischief = mischief(world).await;
    for turn in 0..200 {
        let size = 1 + world.dice.below(300);
        let noise = world.dice.bytes(size);
        let noise = if turn % 2 == 0 { framed(&noise) } else { noise };
        let mut raw = match turn % 8 {
            0 => mischief.attached().await,
            _ => mischief.stranger().await,
        };
        raw.write(noise).await;
        raw.finish().await;
        raw.closed_with().await;
    }
    mischief.still_works(world).await;
}

async fn mutated_frames(world: &mut World) {
    let mut mischief = mischief(world).await;
    let me: Vec<ClientFrame> = vec![
        mischief.pass.hello(1).into(),
        wire::Sync {
            conversation: "lobby".into(),
            epoch: 1,
            after: 0,
        }
        .into(),
        wire::Ping { nonce: 1 }.into(),
        wire::Close {
            code: 4018,
            ..Default::default()
        }
        .into(),
    ];
    for _ in 0..150 {
        let mut bytes = encode(world.dice.pick(&me)).to_vec();
        for _ in 0..=world.dice.below(3) {
            let at = world.dice.below(bytes.len());
            bytes[at] = world.dice.bytes(1)[0];
        }
        let mut raw = match world.dice.below(4) {
            0 => mischief.attached().await,
            _ => mischief.stranger().await,
        };
        raw.write(bytes).await;
        raw.finish().await;
        raw.closed_with().await;
    }
    mischief.still_works(world).await;
}

async fn frames_of_a_server(world: &mut World) {
    let mut mischief = mischief(world).await;
    let accepted = wire::ServerFrame::from(wire::Accepted {
        id: Bytes::from_static(&[1; 16]),
        conversation: "lobby".into(),
        ..Default::default()
    });
    let bytes = encode(&accepted);
    mischief
        .ends_with(world, &bytes, [Code::MALFORMED; 2])
        .await;
    let mut known = mischief.attached().await;
    let go_away = wire::GoAway {
        candidates: vec!["127.0.0.1:1".into()],
        ..Default::default()
    };
    known.write(encode(&wire::ServerFrame::from(go_away))).await;
    mischief.answers(known).await;
}

async fn a_second_hello(world: &mut World) {
    let mut mischief = mischief(world).await;
    let mut known = mischief.attached().await;
    known.say(mischief.pass.hello(9)).await;
    assert_eq!(known.closed_with().await, Some(Code::OUT_OF_ORDER));
    mischief.still_works(world).await;
}

async fn submit_before_hello(world: &mut World) {
    let mut mischief = mischief(world).await;
    let mut stranger = mischief.stranger().await;
    stranger.say(submit("hi")).await;
    assert_eq!(stranger.closed_with().await, Some(Code::OUT_OF_ORDER));
    mischief.still_works(world).await;
}

/// To nobody who is there, since the history does not know of it.
fn submit(text: &str) -> wire::Submit {
    wire::Submit {
        id: Bytes::copy_from_slice(MessageId::fresh().as_bytes()),
        to: Some(wire::submit::To::UserName("mallory".into())),
        text: text.into(),
        round: 0,
    }
}

async fn text_too_long_or_empty(world: &mut World) {
    let mut mischief = mischief(world).await;
    let mut known = mischief.attached().await;
    for (bytes, code) in [
        (0, Some(Code::TEXT_EMPTY)),
        (1, None),
        (TEXT_BYTES_MAX, None),
        (TEXT_BYTES_MAX + 1, Some(Code::TEXT_TOO_LONG)),
        (FRAME_BYTES_MAX - 100, Some(Code::TEXT_TOO_LONG)),
        (2, None),
    ] {
        known.say(submit(&"x".repeat(bytes))).await;
        assert_eq!(known.answer().await, code, "{bytes} bytes");
    }
    mischief.answers(known).await;
    mischief.still_works(world).await;
}

async fn positions_without_end(world: &mut World) {
    let mut mischief = mischief(world).await;
    let position = |number: u64| wire::Position {
        conversation: format!("private:1:{}", number + 2),
        epoch: 5,
        sequence: u64::MAX,
    };
    let positions: Vec<wire::Position> = (0..6000).map(position).collect();
    let mut known = mischief.attached().await;
    known
        .say(wire::Ack {
            positions: positions.clone(),
        })
        .await;
    mischief.answers(known).await;
    mischief.attempt += 1;
    let mut raw = mischief.stranger().await;
    raw.say(wire::Hello {
        positions,
        ..mischief.pass.hello(mischief.attempt)
    })
    .await;
    assert!(matches!(raw.next().await, Some(Frame::Welcome(_))));
    mischief.answers(raw).await;
    mischief.still_works(world).await;
}

async fn names_of_no_conversation(world: &mut World) {
    let mut mischief = mischief(world).await;
    for conversation in [
        "",
        "private:2:1",
        "private:0:1",
        "Lobby",
        "private:1:1:1",
        "\u{202e}",
    ] {
        let mut known = mischief.attached().await;
        known
            .say(wire::Sync {
                conversation: conversation.into(),
                epoch: 1,
                after: 0,
            })
            .await;
        known.finish().await;
        known.closed_with().await;
    }
    // Somebody else's conversation is there, and stays closed.
    let mut known = mischief.attached().await;
    known
        .say(wire::Sync {
            conversation: "private:1:2".into(),
            epoch: 0,
            after: 0,
        })
        .await;
    loop {
        match known.next().await {
            Some(Frame::Page(page)) => {
                assert_eq!(Code::from(page.code), Code::NOT_PERMITTED);
                assert!(page.messages.is_empty());
                break;
            }
            Some(_) => {}
            None => panic!("no answer"),
        }
    }
    mischief.still_works(world).await;
}

async fn syncs_without_pause(world: &mut World) {
    let mut mischief = mischief(world).await;
    let users = mischief.users.clone();
    world.settle().await;
    for _ in 0..30 {
        world[users[0]].send_padded(im_common::message::Recipient::Lobby, 4000);
    }
    world.settle().await;
    let mut known = mischief.attached().await;
    for _ in 0..200 {
        known
            .say(wire::Sync {
                conversation: "lobby".into(),
                epoch: 0,
                after: 0,
            })
            .await;
    }
    mischief.answers(known).await;
    mischief.still_works(world).await;
}

async fn gone_with_unread_answers(world: &mut World) {
    let mut mischief = mischief(world).await;
    for _ in 0..40 {
        let mut known = mischief.attached().await;
        for _ in 0..5 {
            known.say(submit("hi")).await;
        }
        known.vanish();
    }
    mischief.still_works(world).await;
}

async fn silent_strangers(world: &mut World) {
    let mischief = mischief(world).await;
    let mut strangers = Vec::new();
    for _ in 0..150 {
        strangers.push(mischief.stranger().await);
    }
    let late = world.join(["eve", "frank"]).await;
    world.chatter(&late, 5);
    for stranger in strangers {
        assert_eq!(stranger.closed_with().await, Some(Code::HANDSHAKE_TIMEOUT));
    }
}

async fn forged_tickets(world: &mut World) {
    let mut mischief = mischief(world).await;
    let good = mischief.pass.clone();
    for at in 0..good.ticket.len() {
        let mut forged = good.ticket.to_vec();
        forged[at] ^= 1 << world.dice.below(8);
        let pass = Pass {
            ticket: forged.into(),
            ..good.clone()
        };
        let mut raw = mischief.stranger().await;
        raw.say(pass.hello(1)).await;
        assert_eq!(
            raw.closed_with().await,
            Some(Code::TICKET_INVALID),
            "byte {at}"
        );
    }
    let other_device = Pass {
        device: "other".into(),
        ..good.clone()
    };
    let mut raw = mischief.stranger().await;
    raw.say(other_device.hello(1)).await;
    assert_eq!(raw.closed_with().await, Some(Code::TICKET_INVALID));
    // A later login ends the ticket of the earlier one, on whatever connection it comes.
    let url = world.cluster.urls(0)[0].clone();
    mischief.pass = Pass::of(&url, "mallory", "raw").await;
    let mut raw = mischief.stranger().await;
    raw.say(good.hello(1000)).await;
    let code = raw.closed_with().await;
    let ended = [Some(Code::LOGGED_OUT), Some(Code::DISPLACED)];
    assert!(ended.contains(&code), "{code:?}");
    mischief.still_works(world).await;
}
