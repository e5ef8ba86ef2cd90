//! Frames that make no sense, come in halves or are of another version.

use bytes::Bytes;
use im_common::code::Code;
use im_common::frame::encode;
use im_common::wire::server_frame::Frame as ServerFrame;
use im_common::wire::{self, ClientFrame};

use super::push;
use crate::fixture::{Bench, Call, submit, user_of};

#[tokio::test(start_paused = true)]
async fn frames_that_make_no_sense_end_the_connection() {
    let cases: Vec<(&str, Bytes, Code)> = vec![
        (
            "garbage",
            Bytes::from_static(&[2, 0xff, 0xff]),
            Code::MALFORMED,
        ),
        (
            "too large",
            Bytes::from_static(&[0x81, 0x80, 0x10]),
            Code::FRAME_TOO_LARGE,
        ),
        (
            "hello again",
            encode(&ClientFrame::from(wire::Hello::default())),
            Code::OUT_OF_ORDER,
        ),
        (
            "submit without id",
            encode(&ClientFrame::from(wire::Submit::default())),
            Code::MALFORMED,
        ),
        (
            "sync of nothing",
            encode(&ClientFrame::from(wire::Sync::default())),
            Code::MALFORMED,
        ),
        (
            "ack of nothing",
            encode(&ClientFrame::from(wire::Ack {
                positions: vec![wire::Position::default()],
            })),
            Code::MALFORMED,
        ),
    ];
    let mut bench = Bench::new();
    for (attempt, (what, bytes, code)) in (1..).zip(cases) {
        let mut client = bench.attach("alice", attempt).await;
        client.write(bytes).await;
        assert_eq!(client.closed().await, code, "{what}");
        assert!(matches!(bench.call().await, Call::Detach(_)), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_in_two_halves_survives_what_happens_between() {
    let mut bench = Bench::new();
    let mut client = bench.attach("alice", 1).await;
    let bytes = encode(&ClientFrame::from(submit(1, 0)));
    client.write(bytes.slice(..5)).await;
    bench
        .context
        .connections
        .deliver(push(10, "between", "alice"))
        .await;
    assert_eq!(client.delivered().await, 10);
    client.write(bytes.slice(5..)).await;
    assert_eq!(bench.submits().await.0, [1]);
}

#[tokio::test(start_paused = true)]
async fn hanging_up_in_mid_frame_detaches() {
    let mut bench = Bench::new();
    let mut client = bench.attach("alice", 1).await;
    client
        .write(encode(&ClientFrame::from(submit(1, 0))).slice(..5))
        .await;
    drop(client);
    let Call::Detach(session) = bench.call().await else {
        panic!("no detach");
    };
    assert_eq!(session.user, user_of("alice"));
    assert_eq!(bench.context.connections.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn frames_of_a_newer_protocol_are_passed_over() {
    let mut bench = Bench::new();
    let mut client = bench.attach("alice", 1).await;
    // Frame 99, as a number and as a message.
    for bytes in [&[3, 0x98, 0x06, 1][..], &[5, 0x9a, 0x06, 2, 8, 1]] {
        client.write(Bytes::from_static(bytes)).await;
    }
    client.say(wire::Ping { nonce: 7 }).await;
    let ServerFrame::Pong(pong) = client.next().await else {
        panic!("no pong");
    };
    assert_eq!(pong.nonce, 7);
}
