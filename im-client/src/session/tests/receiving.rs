//! What a program gets and when it is acked: handlers that block or stall, and the stream.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::*;
use crate::Events;
use crate::events::QUEUE_STEPS_MAX;

/// Far more than anything here takes.
const SOON: Duration = Duration::from_secs(10);

/// A closure that blocks its thread until something is sent, and tells when it begins.
fn blocking() -> (mpsc::Receiver<()>, SyncSender<()>, impl Fn(Message)) {
    let (begins, begun) = mpsc::channel(16);
    let (release, released): (_, Receiver<()>) = sync_channel(1);
    let released = Mutex::new(released);
    let handler = move |_message: Message| {
        let _ = begins.blocking_send(());
        let _ = released.lock().unwrap().recv_timeout(SOON);
    };
    (begun, release, handler)
}

async fn acked(peer: &mut Peer) -> u64 {
    let Frame::Ack(ack) = peer.hear().await else {
        panic!("no ack");
    };
    ack.positions[0].sequence
}

async fn answers_a_ping(peer: &mut Peer) {
    peer.say(wire::Ping { nonce: 42 }).await;
    assert!(matches!(peer.hear().await, Frame::Pong(pong) if pong.nonce == 42));
}

async fn a_handler_that_blocks_delays_nobody() {
    let (first, second) = (Server::start("s1").await, Server::start("s2").await);
    let (route, other) = (
        Route::start(&[&first]).await,
        Route::start(&[&second]).await,
    );
    let (mut begun, release, blocking) = blocking();
    let (client, mut peer) = attached(builder(&route).handler(blocking), &first).await;
    let (_other, mut other_peer) =
        attached(builder(&other).handler(|_message: Message| {}), &second).await;
    peer.say(note(1, "block")).await;
    begun.recv().await.unwrap();

    answers_a_ping(&mut peer).await;
    let sending = client.send(Recipient::Lobby, "meanwhile");
    assert!(matches!(peer.hear().await, Frame::Submit(_)));
    drop(sending);
    other_peer.say(note(1, "elsewhere")).await;
    assert_eq!(acked(&mut other_peer).await, 1);

    release.send(()).unwrap();
    assert_eq!(acked(&mut peer).await, 1);
}

#[tokio::test]
async fn a_handler_that_blocks_delays_nobody_on_a_single_thread() {
    a_handler_that_blocks_delays_nobody().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_handler_that_blocks_delays_nobody_on_one_worker() {
    a_handler_that_blocks_delays_nobody().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_delays_nobody_on_two_workers() {
    a_handler_that_blocks_delays_nobody().await;
}

#[tokio::test]
async fn closing_does_not_wait_long_for_a_handler_that_blocks() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let (mut begun, _release, blocking) = blocking();
    let (client, mut peer) = attached(builder(&route).handler(blocking), &server).await;
    peer.say(note(1, "block")).await;
    begun.recv().await.unwrap();
    let closing = timeout(Duration::from_secs(5), client.close());
    let (closed, frame) = tokio::join!(closing, async {
        let frame = peer.hear().await;
        drop(peer);
        frame
    });
    closed.expect("closed within about a second");
    assert!(matches!(frame, Frame::Close(_)), "not acked: {frame:?}");
}

/// Never returns from a message, and tells of events.
struct Stuck(mpsc::Sender<Event>);

#[async_trait]
impl MessageHandler for Stuck {
    async fn on_message(&self, _client: &Client, message: Message) {
        let _ = self.0.send(Event::Message(message)).await;
        std::future::pending::<()>().await;
    }

    async fn on_event(&self, event: Event) {
        let _ = self.0.send(event).await;
    }
}

#[tokio::test]
async fn a_handler_that_does_not_return_is_told_of() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let (events, mut seen) = mpsc::channel(16);
    let (_client, mut peer) = attached(builder(&route).handler(Stuck(events)), &server).await;
    peer.say(note(1, "hello")).await;
    while !matches!(seen.recv().await.unwrap(), Event::Message(_)) {}
    tokio::time::pause();
    let behind = async { while !matches!(seen.recv().await.unwrap(), Event::HandlerBehind) {} };
    // The server answers meanwhile, as one does.
    let answering = async {
        loop {
            if let Frame::Ping(ping) = peer.hear().await {
                peer.say(wire::Pong { nonce: ping.nonce }).await;
            }
        }
    };
    tokio::select! {
        () = behind => {}
        () = answering => unreachable!("it never ends"),
    }
}

/// Connects a client to the only server, with a stream of what arrives.
async fn attached_with_events(builder: ClientBuilder, server: &Server) -> (Client, Events, Peer) {
    let connecting = builder.connect_with_events();
    let (connected, (peer, _)) = tokio::join!(connecting, server.attach());
    let (client, events) = connected.unwrap();
    (client, events, peer)
}

/// The next message, past news about the client.
async fn next_message(events: &mut Events) -> Message {
    let next = async {
        loop {
            if let Event::Message(message) = events.next().await.expect("the client lives") {
                return message;
            }
        }
    };
    timeout(SOON, next).await.expect("no message came")
}

#[tokio::test]
async fn a_message_of_the_stream_is_acked_when_the_next_item_is_asked_for() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let (client, mut events, mut peer) = attached_with_events(builder(&route), &server).await;
    peer.say(note(1, "one")).await;
    assert_eq!(next_message(&mut events).await.text, "one");
    answers_a_ping(&mut peer).await;
    peer.say(note(2, "two")).await;
    let (second, first_acked) = tokio::join!(next_message(&mut events), acked(&mut peer));
    assert_eq!((second.text.as_str(), first_acked), ("two", 1));

    events.handled();
    let closing = async {
        assert_eq!(acked(&mut peer).await, 2);
        assert!(matches!(peer.hear().await, Frame::Close(_)));
        drop(peer);
    };
    tokio::join!(client.close(), closing);
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn closing_waits_for_what_the_stream_has_handed_out() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let (client, mut events, mut peer) = attached_with_events(builder(&route), &server).await;
    peer.say(note(1, "one")).await;
    next_message(&mut events).await;
    let (_, next, frame) = tokio::join!(client.close(), events.next(), async {
        let frame = peer.hear().await;
        assert!(matches!(peer.hear().await, Frame::Close(_)));
        drop(peer);
        frame
    });
    assert!(next.is_none());
    assert!(matches!(frame, Frame::Ack(ack) if ack.positions[0].sequence == 1));
}

#[tokio::test]
async fn what_the_program_does_not_ask_for_waits_in_the_cluster() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let (_client, mut events, mut peer) = attached_with_events(builder(&route), &server).await;
    // More than the queue and what is kept of pushes that come early.
    let sent = QUEUE_STEPS_MAX as u64 + 100;
    for sequence in 1..=sent {
        peer.say(note(sequence, "waits")).await;
    }
    answers_a_ping(&mut peer).await;
    assert_eq!(events.waiting(), QUEUE_STEPS_MAX);

    // There is room again: the rest is fetched, from where memory ends.
    let reading = async {
        let mut sequences = Vec::new();
        while sequences.last() != Some(&sent) {
            sequences.push(next_message(&mut events).await.sequence.0);
        }
        sequences
    };
    let fetching = async {
        loop {
            match peer.hear().await {
                Frame::Ack(_) => {}
                Frame::Sync(sync) => return peer.say(page(sync, sent)).await,
                frame => panic!("neither ack nor sync: {frame:?}"),
            }
        }
    };
    let (sequences, ()) = tokio::join!(reading, fetching);
    assert_eq!(sequences, (1..=sent).collect::<Vec<_>>());
}

/// Everything that was asked for.
fn page(sync: wire::Sync, head: u64) -> wire::Page {
    let rest = sync.after + 1..=head;
    let message = |sequence| note(sequence, "waited").message.expect("one");
    wire::Page {
        conversation: sync.conversation,
        epoch: sync.epoch,
        messages: rest.map(message).collect(),
        head,
        ..wire::Page::default()
    }
}

#[tokio::test]
async fn without_its_stream_a_client_sends_and_messages_stay_in_the_cluster() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let (client, mut events, mut peer) = attached_with_events(builder(&route), &server).await;
    peer.say(note(1, "one")).await;
    next_message(&mut events).await;
    drop(events);
    for sequence in 2..=QUEUE_STEPS_MAX as u64 * 2 {
        peer.say(note(sequence, "nobody reads")).await;
    }
    // No ack and no sync in between.
    answers_a_ping(&mut peer).await;
    let sending = client.send(Recipient::Lobby, "still here");
    assert!(matches!(peer.hear().await, Frame::Submit(_)));
    drop(sending);
    assert!(client.state().borrow().is_attached());
}

#[tokio::test]
async fn a_stream_ends_with_the_refusal_that_ended_the_client() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let (_client, mut events, mut peer) = attached_with_events(builder(&route), &server).await;
    peer.say(wire::Close::new(Code::DISPLACED, 0)).await;
    let mut last = None;
    while let Some(event) = timeout(SOON, events.next()).await.expect("it ends") {
        last = Some(event);
    }
    let refused = ConnectionState::Refused(Code::DISPLACED);
    assert!(matches!(last, Some(Event::StateChanged(state)) if state == refused));
}

#[tokio::test]
async fn what_cannot_be_understood_is_an_error_and_a_new_connection() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let (_client, mut events, mut peer) = attached_with_events(builder(&route), &server).await;
    peer.say(wire::Deliver { message: None }).await;
    let (_peer, hello) = server.attach().await;
    assert_eq!(hello.attempt, 2);
    loop {
        if let Event::Error(error) = timeout(SOON, events.next()).await.unwrap().unwrap() {
            assert_eq!(error.kind(), ErrorKind::Protocol);
            break;
        }
    }
}

#[tokio::test]
async fn there_is_a_handler_or_a_stream() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let both = builder(&route).handler(|_message: Message| {});
    let error = both.connect_with_events().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(route.calls().is_empty());
}
