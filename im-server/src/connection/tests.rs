//! Whole connections over pipes, with the clock paused and a route played by the test.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use im_common::frame::encode;
use im_common::id::Members;
use im_common::secret::ClusterSecret;
use im_common::ticket::{Ticket, TicketKey};
use im_common::transport::Push;
use im_common::wire::server_frame::Frame as ServerFrame;
use im_common::wire::{self, ClientFrame};
use tokio::time::{Instant, timeout};

use super::*;
use crate::fixture::{Bench, Call, hello, position, receipt, stored, submit, user_of};

fn push(sequence: u64, text: &str, name: &str) -> Vec<Push> {
    vec![Push {
        message: stored(sequence, text),
        to: Members::Users(vec![user_of(name)]),
    }]
}

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
async fn a_client_is_told_of_its_logs_until_they_are_whole() {
    let mut bench = Bench::new();
    bench.uplink.lacks_logs.store(true, Ordering::Relaxed);
    let mut client = bench.attach("alice", 1).await;
    for _ in 0..3 {
        assert!(matches!(bench.call().await, Call::Heads));
        let ServerFrame::Heads(heads) = client.next().await else {
            panic!("no heads");
        };
        assert!(heads.more);
    }
    bench.uplink.lacks_logs.store(false, Ordering::Relaxed);
    assert!(matches!(bench.call().await, Call::Heads));
    let ServerFrame::Heads(heads) = client.next().await else {
        panic!("no heads");
    };
    assert!(!heads.more);
    // Whole: nobody looks any more.
    assert!(matches!(client.next().await, ServerFrame::Ping(_)));
    assert!(bench.calls.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_pinged_then_closed() {
    let mut bench = Bench::new();
    let mut client = bench.attach("alice", 1).await;
    let start = Instant::now();
    assert!(matches!(client.next().await, ServerFrame::Ping(_)));
    assert_eq!(start.elapsed().as_secs(), 8);
    client.say(wire::Pong { nonce: 0 }).await;
    assert!(matches!(client.next().await, ServerFrame::Ping(_)));
    assert_eq!(start.elapsed().as_secs(), 16);
    assert_eq!(client.closed().await, Code::SILENT);
    assert_eq!(start.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_with_their_nonce() {
    let mut bench = Bench::new();
    let mut client = bench.attach("alice", 1).await;
    client.say(wire::Ping { nonce: 77 }).await;
    let ServerFrame::Pong(pong) = client.next().await else {
        panic!("no pong");
    };
    assert_eq!(pong.nonce, 77);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_falls_behind_is_told_to_look_into_its_logs() {
    let mut bench = Bench::new();
    let mut client = bench.attach_over("alice", 1, 1024).await;
    let text = "x".repeat(1000);
    for sequence in 1..=600 {
        let pushed = push(sequence, &text, "alice");
        bench.context.connections.deliver(pushed).await;
        // Lets the connection take the first frames and get stuck with them.
        tokio::task::yield_now().await;
    }
    let mut last = 0;
    let heads = loop {
        match client.next().await {
            ServerFrame::Deliver(deliver) => {
                let sequence = deliver.message.unwrap().sequence;
                assert_eq!(sequence, last + 1);
                last = sequence;
            }
            ServerFrame::Heads(heads) => break heads,
            other => panic!("{other:?}"),
        }
    };
    assert!((256..600).contains(&last), "{last} were queued");
    assert_eq!(heads.heads[0].sequence, 9);
    assert!(matches!(bench.call().await, Call::Heads));
    bench
        .context
        .connections
        .deliver(push(601, "on", "alice"))
        .await;
    assert_eq!(client.delivered().await, 601);
}

#[tokio::test(start_paused = true)]
async fn looking_again_is_repeated_until_a_route_answers() {
    let mut bench = Bench::new();
    let mut client = bench.attach("alice", 1).await;
    *bench.uplink.refuses.lock() = Some(Code::UNAVAILABLE);
    bench.context.connections.all()[0].outbound.fall_behind();
    assert!(matches!(bench.call().await, Call::Heads));
    assert!(matches!(bench.call().await, Call::Heads));
    *bench.uplink.refuses.lock() = None;
    assert!(matches!(client.next().await, ServerFrame::Heads(_)));
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_takes_nothing_is_closed() {
    let mut bench = Bench::new();
    let mut client = bench.attach_over("alice", 1, 1024).await;
    let start = Instant::now();
    let text = "x".repeat(5000);
    bench
        .context
        .connections
        .deliver(push(1, &text, "alice"))
        .await;
    assert!(matches!(bench.call().await, Call::Detach(_)));
    let waited = start.elapsed().as_secs();
    assert!((10..=20).contains(&waited), "{waited} s");
    assert_eq!(bench.context.connections.count(), 0);
    assert_eq!(client.closed().await, Code::SLOW_READER);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_that_reads_at_all_is_kept() {
    let mut bench = Bench::new();
    let client = bench.attach_over("alice", 1, 1024).await;
    let text = "x".repeat(8000);
    bench
        .context
        .connections
        .deliver(push(1, &text, "alice"))
        .await;
    let mut stream = client.stream.into_inner();
    let mut chunk = [0; 1024];
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_secs(9)).await;
        let read = tokio::io::AsyncReadExt::read(&mut stream, &mut chunk).await;
        assert!(read.unwrap() > 0);
        assert_eq!(bench.context.connections.count(), 1);
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
async fn submits_gather_while_one_batch_is_in_flight() {
    let mut bench = Bench::new();
    let mut client = bench.attach("alice", 1).await;
    client.say(submit(1, 0)).await;
    let (first, answer) = bench.submits().await;
    assert_eq!(first, [1]);
    for number in 2..=5 {
        client.say(submit(number, 0)).await;
    }
    client.say(wire::Ping { nonce: 1 }).await;
    assert!(
        matches!(client.next().await, ServerFrame::Pong(_)),
        "pings pass by"
    );
    assert!(bench.calls.try_recv().is_err(), "one batch at a time");
    answer.send(vec![receipt(1)]).unwrap();
    let (second, answer) = bench.submits().await;
    assert_eq!(second, [2, 3, 4, 5]);
    answer.send((2..=5).map(receipt).collect()).unwrap();
    for number in 1..=5 {
        let ServerFrame::Accepted(accepted) = client.next().await else {
            panic!("not accepted");
        };
        assert_eq!(accepted.id[0], number);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_refusal_the_client_goes_back_in_a_new_round() {
    let mut bench = Bench::new();
    let mut client = bench.attach("alice", 1).await;
    client.say(submit(1, 1)).await;
    let (_, answer) = bench.submits().await;
    client.say(submit(2, 1)).await;
    answer.send(vec![Err(Code::UNAVAILABLE.into())]).unwrap();
    let mut codes = Vec::new();
    for _ in 0..2 {
        let ServerFrame::Refused(refused) = client.next().await else {
            panic!("not refused");
        };
        codes.push((refused.id[0], refused.code, refused.round));
    }
    assert_eq!(codes, [(1, 1001, 1), (2, 1003, 1)]);
    client.say(submit(3, 1)).await;
    assert!(matches!(client.next().await, ServerFrame::Refused(refused) if refused.code == 1003));
    client.say(submit(1, 2)).await;
    assert_eq!(bench.submits().await.0, [1]);
}

#[tokio::test(start_paused = true)]
async fn the_thirty_third_submit_is_not_read() {
    let mut bench = Bench::new();
    let mut client = bench.attach("alice", 1).await;
    for number in 1..=33 {
        client.say(submit(number, 0)).await;
    }
    client.say(wire::Ping { nonce: 1 }).await;
    let (numbers, answer) = bench.submits().await;
    let nothing = timeout(Duration::from_secs(20), client.stream.next()).await;
    assert!(nothing.is_err(), "the ping waits behind the submits");
    answer
        .send(numbers.iter().copied().map(receipt).collect())
        .unwrap();
    loop {
        match client.next().await {
            ServerFrame::Accepted(_) => {}
            ServerFrame::Pong(_) => break,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_unheard_client_is_not_taken_for_silent() {
    let mut bench = Bench::new();
    let mut client = bench.attach("alice", 1).await;
    for number in 1..=33 {
        client.say(submit(number, 0)).await;
    }
    let nothing = timeout(Duration::from_secs(300), client.stream.next()).await;
    assert!(nothing.is_err(), "neither pinged nor closed");
}

#[tokio::test(start_paused = true)]
async fn a_sync_is_answered_by_a_page_or_by_a_code() {
    let mut bench = Bench::new();
    let mut client = bench.attach("alice", 1).await;
    let sync = wire::Sync {
        conversation: "lobby".to_owned(),
        epoch: 1,
        after: 4,
    };
    client.say(sync.clone()).await;
    let ServerFrame::Page(page) = client.next().await else {
        panic!("no page");
    };
    assert_eq!((page.messages[0].sequence, page.head, page.code), (5, 5, 0));
    *bench.uplink.refuses.lock() = Some(Code::UNAVAILABLE);
    client.say(sync).await;
    let ServerFrame::Page(page) = client.next().await else {
        panic!("no page");
    };
    assert_eq!((page.conversation.as_str(), page.code), ("lobby", 1001));
}

#[tokio::test(start_paused = true)]
async fn many_syncs_are_all_answered() {
    let mut bench = Bench::new();
    let mut client = bench.attach("alice", 1).await;
    for after in 0..50 {
        let sync = wire::Sync {
            conversation: "lobby".to_owned(),
            epoch: 1,
            after,
        };
        client.say(sync).await;
    }
    for _ in 0..50 {
        assert!(matches!(client.next().await, ServerFrame::Page(_)));
    }
}

#[tokio::test(start_paused = true)]
async fn acks_leave_together_and_only_the_newest() {
    let mut bench = Bench::new();
    let stop = bench.tasks.token();
    let acks = bench.context.acks.clone();
    bench
        .tasks
        .spawn("acks", acks.run(bench.uplink.clone(), stop));
    let mut client = bench.attach("alice", 1).await;
    for sequence in [1, 3, 2] {
        let positions = vec![position(sequence).into()];
        client.say(wire::Ack { positions }).await;
    }
    let Call::Ack(acks) = bench.call().await else {
        panic!("no ack");
    };
    assert_eq!(acks.len(), 1);
    assert_eq!(acks[0].positions, [position(3)]);
}

#[tokio::test(start_paused = true)]
async fn a_stranger_is_sent_away_when_the_server_stops() {
    let bench = Bench::new();
    let mut client = bench.connect(1024);
    bench.tasks.cancel();
    assert_eq!(client.closed().await, Code::GOING_AWAY);
}

#[tokio::test]
async fn a_waiting_connection_is_small() {
    let bench = Bench::new();
    let (_, far) = tokio::io::duplex(64);
    let size = size_of_val(&serve(far, Arc::clone(&bench.context)));
    assert!(size < 1500, "{size} bytes");
}
