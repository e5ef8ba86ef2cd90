//! Bytes that are no good frames: each costs its own connection and nothing else.

use bytes::{BufMut as _, BytesMut};
use im_common::code::Code;
use im_common::frame::{FRAME_BYTES_MAX, encode};
use im_common::wire::{self, ClientFrame, server_frame::Frame};
use im_tests::raw::{Raw, trickle};

use super::mischief::mischief;
use crate::scenario::{ONE, Scenario, scenario};
use crate::world::World;

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
];

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
