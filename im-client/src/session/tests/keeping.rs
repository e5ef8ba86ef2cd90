//! What a client with a store keeps from one program to the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use im_common::id::MessageId;
use im_common::message::Identity;

use super::*;
use crate::{
    Change, Contents, Error, Events, MemoryStore, PendingSend, Store, StoreError, StoreErrorKind,
};

/// A store whose disk can be full.
#[derive(Clone, Default)]
struct Disk {
    kept: MemoryStore,
    is_full: Arc<AtomicBool>,
}

#[async_trait]
impl Store for Disk {
    async fn load(&self, owner: &Identity) -> Result<Contents, StoreError> {
        self.kept.load(owner).await
    }

    async fn save(&self, changes: &[Change]) -> Result<(), StoreError> {
        if self.is_full.load(Ordering::Relaxed) {
            let error = StoreError::new(StoreErrorKind::Unavailable, "the disk is full");
            return Err(error);
        }
        self.kept.save(changes).await
    }
}

impl Disk {
    fn set_full(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::Relaxed);
    }

    async fn contents(&self, client: &Client) -> Contents {
        self.kept.load(client.identity()).await.unwrap()
    }
}

async fn streaming(builder: ClientBuilder, server: &Server) -> (Client, Events, Peer, wire::Hello) {
    let connect = builder.connect_with_events();
    let (connected, (peer, hello)) = tokio::join!(connect, server.attach());
    let (client, events) = connected.unwrap();
    (client, events, peer, hello)
}

/// The next event that is not about the connection.
async fn next(events: &mut Events) -> Event {
    loop {
        let event = timeout(Duration::from_secs(10), events.next());
        match event.await.expect("no event came").unwrap() {
            Event::StateChanged(_) => {}
            event => return event,
        }
    }
}

fn text(event: Event) -> String {
    match event {
        Event::Message(message) => message.text,
        other => panic!("{other:?}"),
    }
}

async fn submitted(peer: &mut Peer) -> wire::Submit {
    loop {
        match peer.hear().await {
            Frame::Submit(submit) => return submit,
            Frame::Ack(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn accepted(id: &[u8]) -> wire::Accepted {
    wire::Accepted {
        id: Bytes::copy_from_slice(id),
        conversation: "lobby".to_owned(),
        epoch: 3,
        sequence: 9,
        accepted_at_ms: 0,
    }
}

#[tokio::test]
async fn what_was_handled_is_not_handed_to_the_next_program() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let store = MemoryStore::new();
    let kept = || builder(&route).store(store.clone());
    let (client, mut events, mut peer, hello) = streaming(kept(), &server).await;
    assert_eq!(hello.positions, []);
    for (sequence, text) in [(1, "one"), (2, "two"), (3, "three")] {
        peer.say(note(sequence, text)).await;
    }
    assert_eq!(text(next(&mut events).await), "one");
    assert_eq!(text(next(&mut events).await), "two");
    // It ends before "two" counts as handled, and before anything is acked for certain.
    drop((events, client, peer));

    let (_client, mut events, mut peer, hello) = streaming(kept(), &server).await;
    assert_eq!(hello.positions.len(), 1);
    assert_eq!(hello.positions[0].sequence, 1);
    for (sequence, text) in [(1, "one"), (2, "two"), (3, "three")] {
        peer.say(note(sequence, text)).await;
    }
    assert_eq!(text(next(&mut events).await), "two");
    assert_eq!(text(next(&mut events).await), "three");
}

#[tokio::test]
async fn a_send_without_an_answer_is_offered_by_the_next_program() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let store = Disk::default();
    let kept = || builder(&route).store(store.clone());
    let (client, mut peer) = attached(kept(), &server).await;
    let sendings = ["1", "2", "3"].map(|text| client.send(Recipient::Lobby, text));
    for _ in &sendings {
        submitted(&mut peer).await;
    }
    let [first, second, third] = sendings;
    peer.say(accepted(first.id().as_bytes())).await;
    let ids = [second.id(), third.id()];
    assert_eq!(first.await.unwrap().position.sequence.0, 9);
    client.close().await;
    assert_eq!(second.await, Err(SendError::Closed));
    drop(third);

    let (client, mut events, mut peer, _) = streaming(kept(), &server).await;
    for id in ids {
        assert_eq!(*submitted(&mut peer).await.id, *id.as_bytes());
        peer.say(accepted(id.as_bytes())).await;
    }
    for expected in ids {
        match next(&mut events).await {
            Event::SendEnded { id, outcome } => {
                assert_eq!(id, expected);
                assert_eq!(outcome.unwrap().position.epoch.0, 3);
            }
            other => panic!("{other:?}"),
        }
    }
    // The second one is not handled yet: this program might end before it has seen it.
    client.close().await;
    let left = store.contents(&client).await.sends;
    assert_eq!(
        left.iter().map(|send| send.id).collect::<Vec<_>>(),
        [ids[1]]
    );
}

#[tokio::test]
async fn a_send_whose_deadline_passed_meanwhile_ends_as_unknown() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let store = Disk::default();
    let (client, _peer) = attached(builder(&route).store(store.clone()), &server).await;
    client.close().await;
    let late = PendingSend::new(MessageId::fresh(), Recipient::Lobby, "late".to_owned(), 1);
    let left = [Change::Sending(late.clone())];
    store.save(&left).await.unwrap();
    let (_client, mut events, _peer, _) =
        streaming(builder(&route).store(store.clone()), &server).await;
    match next(&mut events).await {
        Event::SendEnded { id, outcome } => {
            assert_eq!((id, outcome), (late.id, Err(SendError::Unknown)));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_send_that_cannot_be_kept_is_not_offered() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let store = Disk::default();
    let (client, mut peer) = attached(builder(&route).store(store.clone()), &server).await;
    store.set_full(true);
    let error = client.send(Recipient::Lobby, "lost").await.unwrap_err();
    assert!(matches!(error, SendError::NotKept(_)), "{error:?}");
    let kind = ErrorKind::Store(StoreErrorKind::Unavailable);
    assert_eq!((error.kind(), error.is_retryable()), (kind, true));
    assert_eq!(Error::from(error).kind(), kind);
    store.set_full(false);
    let sending = client.send(Recipient::Lobby, "kept");
    assert_eq!(submitted(&mut peer).await.text, "kept");
    assert_eq!(store.contents(&client).await.sends[0].id, sending.id());
    peer.say(accepted(sending.id().as_bytes())).await;
    sending.await.unwrap();
    client.close().await;
    assert_eq!(store.contents(&client).await.sends, []);
}

#[tokio::test]
async fn nothing_goes_on_while_a_position_cannot_be_kept() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let store = Disk::default();
    let kept = builder(&route).store(store.clone());
    let (client, mut events, mut peer, _) = streaming(kept, &server).await;
    store.set_full(true);
    peer.say(note(1, "one")).await;
    peer.say(note(2, "two")).await;
    assert_eq!(text(next(&mut events).await), "one");
    let mut second = Box::pin(next(&mut events));
    // It tries at least three times, and answers all the while; nothing is handed out or acked.
    for _ in 0..3 {
        assert!(
            timeout(Duration::from_millis(200), &mut second)
                .await
                .is_err()
        );
        peer.say(wire::Ping { nonce: 1 }).await;
        assert!(matches!(peer.hear().await, Frame::Pong(_)));
    }
    store.set_full(false);
    match second.await {
        Event::Error(error) => {
            assert_eq!(error.kind(), ErrorKind::Store(StoreErrorKind::Unavailable));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(text(next(&mut events).await), "two");
    assert!(matches!(peer.hear().await, Frame::Ack(ack) if ack.positions[0].sequence == 1));
    drop(client);
}

#[tokio::test]
async fn a_client_ends_although_its_store_fails() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let store = Disk::default();
    let kept = builder(&route).store(store.clone());
    let (client, mut events, mut peer, _) = streaming(kept, &server).await;
    peer.say(note(1, "one")).await;
    assert_eq!(text(next(&mut events).await), "one");
    store.set_full(true);
    let sending = client.send(Recipient::Lobby, "lost");
    let rest = async {
        let mut rest = Vec::new();
        while let Some(event) = events.next().await {
            rest.push(event);
        }
        rest
    };
    let ended = async { tokio::join!(rest, client.close()) };
    let (rest, ()) = timeout(Duration::from_secs(10), ended).await.unwrap();
    let is_message = |event: &Event| matches!(event, Event::Message(_));
    assert!(!rest.iter().any(is_message), "{rest:?}");
    sending.await.unwrap_err();
    store.set_full(false);
    let (_client, _events, _peer, hello) =
        streaming(builder(&route).store(store.clone()), &server).await;
    assert_eq!(hello.positions, [], "the message comes again");
}

#[tokio::test]
async fn a_store_that_cannot_be_read_keeps_the_client_from_connecting() {
    let route = Route::start(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("store");
    let error = builder(&route).store(crate::FileStore::new(path)).connect();
    let error = error.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store(StoreErrorKind::Unavailable));
    assert!(error.to_string().contains("missing"), "{error}");
}

#[tokio::test]
async fn a_closed_client_leaves_its_file_to_the_next() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    for sequence in 1..=3 {
        let kept = builder(&route).store(crate::FileStore::new(&path));
        let (client, mut events, mut peer, hello) = streaming(kept, &server).await;
        let told = hello
            .positions
            .first()
            .map_or(0, |position| position.sequence);
        assert_eq!(told + 1, sequence);
        peer.say(note(sequence, "next")).await;
        assert_eq!(text(next(&mut events).await), "next");
        events.handled();
        client.close().await;
    }
}
