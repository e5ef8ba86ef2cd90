//! From the first byte to the welcome, or to being sent away.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use im_common::code::Code;
use im_common::frame::encode;
use im_common::secret::ClusterSecret;
use im_common::ticket::{Ticket, TicketKey};
use im_common::wire::server_frame::Frame as ServerFrame;
use im_common::wire::{self, ClientFrame};
use tokio::time::Instant;

use super::push;
use crate::fixture::{Bench, Call, hello};

/// Bytes that break the framing or the order, and what the client is told.
fn broken_frames() -> Vec<(&'static str, Bytes, Code)> {
    let ping = encode(&ClientFrame::from(wire::Ping { nonce: 1 }));
    let bytes = Bytes::from_static;
    vec![
        ("not protobuf", bytes(&[2, 0xff, 0xff]), Code::MALFORMED),
        ("empty frame", bytes(&[0]), Code::MALFORMED),
        ("endless length", bytes(&[0x80; 6]), Code::MALFORMED),
        ("large", bytes(&[0x81, 0x80, 0x10]), Code::FRAME_TOO_LARGE),
        ("no hello", ping, Code::OUT_OF_ORDER),
    ]
}

/// A hello spoilt in one way.
fn spoilt(key: &TicketKey, spoil: impl FnOnce(&mut wire::Hello)) -> Bytes {
    let mut hello = hello(key, "alice", 1);
    spoil(&mut hello);
    encode(&ClientFrame::from(hello))
}

fn bad_hellos(key: &TicketKey) -> Vec<(&'static str, Bytes, Code)> {
    let foreign = TicketKey::new(&ClusterSecret::fresh());
    let version = spoilt(key, |hello| hello.version = 2);
    let none = spoilt(key, |hello| hello.ticket = Bytes::new());
    let device = spoilt(key, |hello| hello.device = "phone".to_owned());
    let position = spoilt(key, |hello| hello.positions = vec![Default::default()]);
    let foreign = spoilt(&foreign, |_| {});
    vec![
        ("another version", version, Code::VERSION_UNSUPPORTED),
        ("no ticket", none, Code::TICKET_INVALID),
        ("another device", device, Code::TICKET_INVALID),
        ("another cluster's ticket", foreign, Code::TICKET_INVALID),
        ("malformed position", position, Code::MALFORMED),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_false_start_is_told_its_code() {
    let bench = Bench::new();
    for (what, bytes, code) in broken_frames().into_iter().chain(bad_hellos(&bench.key)) {
        let mut client = bench.connect(1024);
        client.write(bytes).await;
        assert_eq!(client.closed().await, code, "{what}");
    }
    assert_eq!(bench.context.connections.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_expired_ticket_is_told_apart() {
    let bench = Bench::new();
    let mut client = bench.connect(1024);
    let expired = Ticket {
        identity: crate::fixture::identity("alice"),
        login_epoch: 1,
        expires_at: std::time::SystemTime::now() - Duration::from_secs(3600),
    };
    let ticket = bench.key.issue(&expired);
    client
        .say(wire::Hello {
            ticket,
            ..hello(&bench.key, "alice", 1)
        })
        .await;
    assert_eq!(client.closed().await, Code::TICKET_EXPIRED);
}

#[tokio::test(start_paused = true)]
async fn a_stranger_has_five_seconds() {
    let bench = Bench::new();
    let start = Instant::now();
    let mut client = bench.connect(1024);
    client.write(Bytes::from_static(&[20, 1])).await;
    assert_eq!(client.closed().await, Code::HANDSHAKE_TIMEOUT);
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn pushes_during_the_attach_follow_welcome_and_heads() {
    let mut bench = Bench::new();
    bench.uplink.holds_attach.store(true, Ordering::Relaxed);
    let mut client = bench.connect(4096);
    client.say(hello(&bench.key, "alice", 1)).await;
    let Call::Attach(session, Some(go)) = bench.call().await else {
        panic!("no attach");
    };
    assert_eq!(session.epoch, crate::fixture::epoch(1, 1));
    let absent = bench
        .context
        .connections
        .deliver(push(10, "early", "alice"))
        .await;
    assert_eq!(absent, []);
    go.send(()).unwrap();
    let ServerFrame::Welcome(welcome) = client.next().await else {
        panic!("no welcome");
    };
    assert_eq!(welcome.user_name, "alice");
    assert_eq!(welcome.submits_in_flight_max, 32);
    let ServerFrame::Heads(heads) = client.next().await else {
        panic!("no heads");
    };
    assert_eq!(heads.heads[0].sequence, 9);
    assert_eq!(client.delivered().await, 10);
}

#[tokio::test(start_paused = true)]
async fn a_refused_attach_leaves_nothing_behind() {
    let mut bench = Bench::new();
    *bench.uplink.refuses.lock() = Some(Code::LOGGED_OUT);
    let mut client = bench.connect(4096);
    client.say(hello(&bench.key, "alice", 1)).await;
    assert_eq!(client.closed().await, Code::LOGGED_OUT);
    assert_eq!(bench.context.connections.count(), 0);
    *bench.uplink.refuses.lock() = Some(Code::UNAVAILABLE);
    let mut client = bench.connect(4096);
    client.say(hello(&bench.key, "alice", 2)).await;
    let ServerFrame::Close(close) = client.next().await else {
        panic!("no close");
    };
    assert_eq!((close.code, close.retry_after_ms), (1001, 500));
    assert!(matches!(bench.call().await, Call::Attach(..)));
}

#[tokio::test(start_paused = true)]
async fn the_newer_connection_of_a_device_displaces_the_older() {
    let mut bench = Bench::new();
    let mut first = bench.attach("alice", 1).await;
    let mut second = bench.attach("alice", 2).await;
    assert_eq!(first.closed().await, Code::DISPLACED);
    let Call::Detach(session) = bench.call().await else {
        panic!("no detach");
    };
    assert_eq!(session.epoch.attempt, 1);
    let mut late = bench.connect(4096);
    late.say(hello(&bench.key, "alice", 1)).await;
    assert_eq!(late.closed().await, Code::DISPLACED);
    bench
        .context
        .connections
        .deliver(push(10, "hi", "alice"))
        .await;
    assert_eq!(second.delivered().await, 10);
    assert_eq!(bench.context.connections.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stranger_is_sent_away_when_the_server_stops() {
    let bench = Bench::new();
    let mut client = bench.connect(1024);
    bench.tasks.cancel();
    assert_eq!(client.closed().await, Code::GOING_AWAY);
}
