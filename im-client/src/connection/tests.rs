use std::sync::Arc;

use im_common::id::{ConversationId, DeviceId, LogEpoch, MessageId, Sequence, UserId};
use im_common::message::{Position, Recipient, Submission};
use im_common::wire::client_frame::Frame;
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::events::EventSender;
use crate::outbox::{NewSend, SharedOutbox, deadline_after};
use crate::positions::Positions;
use crate::sending::{SendError, Sending};
use crate::state::Reporter;
use crate::timeline::{Step, Timeline};

/// The server's end of a connection, played by the test.
struct Server(FrameStream<DuplexStream>);

impl Server {
    async fn say(&mut self, frame: impl Into<ServerFrame>) {
        let frame = encode(&frame.into());
        self.0.write_all(&mut [frame].into()).await.unwrap();
    }

    async fn hear(&mut self) -> Frame {
        let bytes = self.0.next().await.unwrap().expect("the client hung up");
        ClientFrame::decode(bytes).unwrap().frame.unwrap()
    }

    async fn submits(&mut self, count: usize) -> Vec<(String, u32)> {
        let mut submits = Vec::new();
        while submits.len() < count {
            match self.hear().await {
                Frame::Submit(submit) => submits.push((submit.text, submit.round)),
                frame => panic!("{frame:?} is no submit"),
            }
        }
        submits
    }
}

fn welcome() -> wire::Welcome {
    wire::Welcome {
        version: 1,
        user_id: 1,
        user_name: "alice".to_owned(),
        server_id: "s1".to_owned(),
        connection_id: 1,
        ping_after_ms: 10_000,
        submits_in_flight_max: 2,
    }
}

async fn connected() -> (Connection<DuplexStream>, Server) {
    let (near, far) = tokio::io::duplex(1 << 20);
    let mut server = Server(FrameStream::new(far));
    let hello = wire::Hello {
        version: 1,
        attempt: 3,
        ..wire::Hello::default()
    };
    let greet = async {
        assert!(matches!(server.hear().await, Frame::Hello(hello) if hello.attempt == 3));
        server.say(welcome()).await;
    };
    let (connection, ()) = tokio::join!(open(near, hello), greet);
    (connection.unwrap(), server)
}

/// What a session lends, and the handler's end of it.
struct Fixture {
    traffic: Traffic,
    outbox: Arc<SharedOutbox>,
    closing: CancellationToken,
    state: watch::Receiver<ConnectionState>,
    steps: mpsc::Receiver<Step>,
    positions: Arc<Positions>,
}

fn fixture() -> Fixture {
    let (sender, steps) = mpsc::channel(crate::events::QUEUE_STEPS_MAX);
    let positions = Arc::new(Positions::default());
    let user = UserId::new(1).unwrap();
    let timeline = Timeline::new(user, DeviceId::new("here").unwrap());
    let mut traffic = Traffic {
        outbox: Arc::new(SharedOutbox::new()),
        inbox: Some(Inbox::new(timeline, sender, Arc::clone(&positions))),
        reporter: Reporter {
            state: watch::Sender::new(ConnectionState::Connecting),
            events: EventSender::to_nobody(),
        },
        closing: CancellationToken::new(),
    };
    traffic.attach();
    Fixture {
        outbox: Arc::clone(&traffic.outbox),
        closing: traffic.closing.clone(),
        state: traffic.reporter.state.subscribe(),
        traffic,
        steps,
        positions,
    }
}

fn send(outbox: &Arc<SharedOutbox>, text: &str) -> Sending {
    outbox.start(NewSend {
        submission: Submission {
            id: MessageId::fresh(),
            to: Recipient::Lobby,
            text: text.to_owned(),
        },
        deadline: deadline_after(Duration::from_secs(30)),
    })
}

fn message(sequence: u64) -> wire::Message {
    wire::Message {
        conversation: "lobby".to_owned(),
        epoch: 7,
        sequence,
        id: Bytes::from_static(&[1; 16]),
        sender_id: 2,
        sender_name: "bob".to_owned(),
        sender_device: "there".to_owned(),
        accepted_at_ms: 0,
        text: sequence.to_string(),
    }
}

fn deliver(sequence: u64) -> wire::Deliver {
    wire::Deliver {
        message: Some(message(sequence)),
    }
}

fn heads(sequence: u64, handled: u64) -> wire::Heads {
    wire::Heads {
        more: false,
        heads: vec![wire::Head {
            conversation: "lobby".to_owned(),
            epoch: 7,
            sequence,
            handled,
        }],
    }
}

fn page(sequences: std::ops::RangeInclusive<u64>, head: u64) -> wire::Page {
    wire::Page {
        conversation: "lobby".to_owned(),
        epoch: 7,
        messages: sequences.map(message).collect(),
        head,
        code: 0,
        fork: None,
    }
}

fn accepted(id: MessageId, sequence: u64) -> wire::Accepted {
    wire::Accepted {
        id: Bytes::copy_from_slice(id.as_bytes()),
        conversation: "lobby".to_owned(),
        epoch: 7,
        sequence,
        accepted_at_ms: 5,
    }
}

fn position(sequence: u64) -> Position {
    Position {
        conversation: ConversationId::Lobby,
        epoch: LogEpoch(7),
        sequence: Sequence(sequence),
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_welcome_is_given_up() {
    let (near, _far) = tokio::io::duplex(1024);
    let start = Instant::now();
    let error = open(near, wire::Hello::default()).await.unwrap_err();
    assert!(matches!(error, OpenError::Lost(_)));
    assert_eq!(start.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_refused_hello_says_why() {
    let (near, far) = tokio::io::duplex(1024);
    let mut server = Server(FrameStream::new(far));
    server.say(wire::Close::new(Code::LOGGED_OUT, 9)).await;
    let error = open(near, wire::Hello::default()).await.unwrap_err();
    let OpenError::Closed(closure) = error else {
        panic!("{error:?}");
    };
    assert_eq!(closure.code, Code::LOGGED_OUT);
    assert_eq!(closure.retry_after, Duration::from_millis(9));
}

#[tokio::test(start_paused = true)]
async fn silence_is_pinged_and_a_half_open_link_given_up() {
    let (mut connection, mut server) = connected().await;
    let mut fixture = fixture();
    let start = Instant::now();
    let script = async {
        let Frame::Ping(ping) = server.hear().await else {
            panic!("no ping");
        };
        assert_eq!(start.elapsed(), Duration::from_secs(10));
        server.say(wire::Pong { nonce: ping.nonce }).await;
        assert!(matches!(server.hear().await, Frame::Ping(_)));
        assert_eq!(start.elapsed(), Duration::from_secs(20));
    };
    let (end, ()) = tokio::join!(connection.serve(&mut fixture.traffic), script);
    assert!(matches!(end, End::Lost(_)), "{end:?}");
    assert_eq!(start.elapsed(), Duration::from_secs(24));
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_while_the_handler_is_stuck() {
    let (mut connection, mut server) = connected().await;
    let mut fixture = fixture();
    let script = async {
        server.say(heads(0, 0)).await;
        for sequence in 1..=400 {
            server.say(deliver(sequence)).await;
        }
        server.say(wire::Ping { nonce: 42 }).await;
        assert_eq!(server.hear().await, Frame::Pong(wire::Pong { nonce: 42 }));
        server.say(wire::Close::new(Code::GOING_AWAY, 0)).await;
    };
    let (end, ()) = tokio::join!(connection.serve(&mut fixture.traffic), script);
    assert!(matches!(end, End::Closed(closure) if closure.code == Code::GOING_AWAY));
    assert_eq!(fixture.steps.len(), 256, "the rest stays in the cluster");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_log_is_not_taken_for_a_new_one_until_the_heads_are_whole() {
    let (mut connection, mut server) = connected().await;
    let mut fixture = fixture();
    let script = async {
        let some = wire::Heads {
            more: true,
            heads: Vec::new(),
        };
        server.say(some).await;
        server.say(deliver(5)).await;
        // Longer than heads that never begin are waited for.
        tokio::time::sleep(Duration::from_secs(6)).await;
        server.say(heads(5, 4)).await;
        let Frame::Sync(sync) = server.hear().await else {
            panic!("no sync");
        };
        assert_eq!(sync.after, 4);
        server.say(wire::Close::new(Code::GOING_AWAY, 0)).await;
    };
    let (end, ()) = tokio::join!(connection.serve(&mut fixture.traffic), script);
    assert!(matches!(end, End::Closed(closure) if closure.code == Code::GOING_AWAY));
}

#[tokio::test(start_paused = true)]
async fn a_client_has_caught_up_once_every_log_is_level() {
    let (mut connection, mut server) = connected().await;
    let mut fixture = fixture();
    assert!(matches!(
        connection.state(&fixture.traffic),
        ConnectionState::CatchingUp { .. }
    ));
    let script = async {
        server.say(heads(3, 0)).await;
        for (after, last) in [(0, 2), (2, 3)] {
            assert!(matches!(server.hear().await, Frame::Sync(sync) if sync.after == after));
            assert!(!fixture.state.has_changed().unwrap(), "behind");
            server.say(page(after + 1..=last, 3)).await;
        }
        fixture.state.changed().await.unwrap();
        let is_level = |state: &ConnectionState| matches!(state, ConnectionState::Attached { .. });
        assert!(is_level(&fixture.state.borrow_and_update()));
        // A gap later on is a matter of the log alone.
        server.say(deliver(5)).await;
        assert!(matches!(server.hear().await, Frame::Sync(sync) if sync.after == 3));
        assert!(!fixture.state.has_changed().unwrap(), "still attached");
        fixture.closing.cancel();
    };
    let (end, ()) = tokio::join!(connection.serve(&mut fixture.traffic), script);
    assert_eq!(end, End::Closing);
}

#[tokio::test(start_paused = true)]
async fn submits_keep_the_limit_and_go_back_after_a_refusal() {
    let (mut connection, mut server) = connected().await;
    let mut fixture = fixture();
    let sends: Vec<_> = ["1", "2", "3"]
        .map(|text| send(&fixture.outbox, text))
        .into();
    let ids: Vec<_> = sends.iter().map(Sending::id).collect();
    let pair = |text: &str, round| (text.to_owned(), round);
    let script = async {
        assert_eq!(server.submits(2).await, [pair("1", 1), pair("2", 1)]);
        server.say(accepted(ids[0], 1)).await;
        assert_eq!(server.submits(1).await, [pair("3", 1)]);
        let start = Instant::now();
        for (id, code) in [(ids[1], Code::OVERLOADED), (ids[2], Code::OLD_ROUND)] {
            let refused = wire::Refused {
                id: Bytes::copy_from_slice(id.as_bytes()),
                code: code.0.into(),
                reason: String::new(),
                retry_after_ms: 500,
                round: 1,
            };
            server.say(refused).await;
        }
        assert_eq!(server.submits(2).await, [pair("2", 2), pair("3", 2)]);
        assert!(start.elapsed() >= Duration::from_millis(500));
        server.say(accepted(ids[1], 2)).await;
        server.say(accepted(ids[2], 3)).await;
        for (send, sequence) in sends.into_iter().zip(1..) {
            assert_eq!(send.await.unwrap().position, position(sequence));
        }
        fixture.closing.cancel();
    };
    let (end, ()) = tokio::join!(connection.serve(&mut fixture.traffic), script);
    assert_eq!(end, End::Closing);
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_followed_by_the_same_offers_elsewhere() {
    let (mut connection, mut server) = connected().await;
    let mut fixture = fixture();
    let mut sending = send(&fixture.outbox, "1");
    let script = async {
        server.submits(1).await;
        drop(server);
    };
    let (end, ()) = tokio::join!(connection.serve(&mut fixture.traffic), script);
    assert!(matches!(end, End::Lost(_)), "{end:?}");
    assert!(futures::poll!(&mut sending).is_pending());
    let (mut connection, mut server) = connected().await;
    fixture.traffic.attach();
    let script = async {
        assert_eq!(server.submits(1).await, [("1".to_owned(), 1)]);
        server.say(accepted(sending.id(), 1)).await;
        assert!(sending.await.is_ok());
        fixture.closing.cancel();
    };
    tokio::join!(connection.serve(&mut fixture.traffic), script);
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_is_fetched_when_there_is_room_and_acked_when_handled() {
    let (mut connection, mut server) = connected().await;
    let mut fixture = fixture();
    let script = async {
        server.say(heads(300, 0)).await;
        for first in [1, 101] {
            let Frame::Sync(sync) = server.hear().await else {
                panic!("no sync");
            };
            assert_eq!((sync.epoch, sync.after), (7, first - 1));
            server.say(page(first..=first + 99, 300)).await;
        }
        for nonce in 1..=2 {
            server.say(wire::Ping { nonce }).await;
            let frame = server.hear().await;
            assert!(matches!(frame, Frame::Pong(_)), "no room: {frame:?}");
        }
        for sequence in 1..=200 {
            assert!(matches!(fixture.steps.recv().await, Some(Step::Message(_))));
            fixture.positions.handled(position(sequence));
        }
        fixture.positions.announce_progress();
        let mut sync_after = None;
        let mut acked = Vec::new();
        while sync_after.is_none() || acked.is_empty() {
            match server.hear().await {
                Frame::Sync(sync) => sync_after = Some(sync.after),
                Frame::Ack(ack) => acked = ack.positions,
                frame => panic!("unexpected {frame:?}"),
            }
        }
        assert_eq!(sync_after, Some(200));
        assert_eq!(acked, [position(200).into()]);
        fixture.closing.cancel();
    };
    let (end, ()) = tokio::join!(connection.serve(&mut fixture.traffic), script);
    assert_eq!(end, End::Closing);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_cannot_be_read_is_asked_for_again() {
    let (mut connection, mut server) = connected().await;
    let mut fixture = fixture();
    let script = async {
        server.say(heads(1, 0)).await;
        for _ in 0..3 {
            assert!(matches!(server.hear().await, Frame::Sync(_)));
            let refused = wire::Page::refused("lobby".to_owned(), Code::UNAVAILABLE);
            server.say(refused).await;
        }
        assert!(matches!(server.hear().await, Frame::Sync(_)));
        server.say(page(1..=1, 1)).await;
        assert!(matches!(fixture.steps.recv().await, Some(Step::Message(_))));
        fixture.closing.cancel();
    };
    tokio::join!(connection.serve(&mut fixture.traffic), script);
}

#[tokio::test(start_paused = true)]
async fn the_goodbye_carries_the_last_acks() {
    let (mut connection, mut server) = connected().await;
    let mut fixture = fixture();
    fixture.closing.cancel();
    assert_eq!(connection.serve(&mut fixture.traffic).await, End::Closing);
    fixture.positions.handled(position(9));
    connection.finish(fixture.traffic.inbox.as_ref()).await;
    let Frame::Ack(ack) = server.hear().await else {
        panic!("no ack");
    };
    assert_eq!(ack.positions, [position(9).into()]);
    let Frame::Close(close) = server.hear().await else {
        panic!("no close");
    };
    assert_eq!(Code::from(close.code), Code::CLOSED);
}

#[tokio::test(start_paused = true)]
async fn go_away_ends_serving_but_not_the_connection() {
    let (mut connection, mut server) = connected().await;
    let mut fixture = fixture();
    let go_away = wire::GoAway {
        candidates: vec!["b:1".to_owned()],
        ..wire::GoAway::default()
    };
    server.say(wire::GoAway::default()).await;
    server.say(go_away).await;
    server.say(wire::Close::new(Code::DISPLACED, 0)).await;
    let end = connection.serve(&mut fixture.traffic).await;
    assert_eq!(end, End::GoAway(vec!["b:1".to_owned()]));
    let end = connection.serve(&mut fixture.traffic).await;
    assert!(matches!(end, End::Closed(closure) if closure.code == Code::DISPLACED));
}

#[tokio::test(start_paused = true)]
async fn without_a_handler_messages_stay_in_the_cluster() {
    let (mut connection, mut server) = connected().await;
    let mut fixture = fixture();
    fixture.traffic.inbox = None;
    let script = async {
        server.say(heads(5, 0)).await;
        server.say(deliver(6)).await;
        server.say(wire::Ping { nonce: 1 }).await;
        assert!(matches!(server.hear().await, Frame::Pong(_)));
        fixture.closing.cancel();
    };
    tokio::join!(connection.serve(&mut fixture.traffic), script);
    let unsent = send(&fixture.outbox, "x");
    fixture.outbox.close();
    assert_eq!(unsent.await, Err(SendError::Closed));
}
