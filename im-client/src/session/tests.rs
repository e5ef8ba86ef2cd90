mod cluster;
mod keeping;
mod receiving;
mod tokens;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use im_common::code::Code;
use im_common::wire::client_frame::Frame;
use im_common::wire::{self, submit::To};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::{
    Client, ClientBuilder, ConnectionState, Error, ErrorKind, Event, Message, MessageHandler,
    Recipient, SendError,
};
use cluster::{Peer, Route, Server};

fn builder(route: &Route) -> ClientBuilder {
    let builder = Client::builder().route(&route.address);
    builder.user("alice").password("secret").device("here")
}

fn note(sequence: u64, text: &str) -> wire::Deliver {
    wire::Deliver {
        message: Some(wire::Message {
            conversation: "private:1:2".to_owned(),
            epoch: 7,
            sequence,
            id: Bytes::from_static(&[1; 16]),
            sender_id: 2,
            sender_name: "bob".to_owned(),
            sender_device: "there".to_owned(),
            accepted_at_ms: 0,
            text: text.to_owned(),
        }),
    }
}

/// Connects a client to the only server.
async fn attached(builder: ClientBuilder, server: &Server) -> (Client, Peer) {
    let (client, (peer, hello)) = tokio::join!(builder.connect(), server.attach());
    assert_eq!(hello.device, "here");
    (client.unwrap(), peer)
}

async fn until(client: &Client, wanted: impl FnMut(&ConnectionState) -> bool) {
    let mut state = client.state();
    let reached = timeout(Duration::from_secs(10), state.wait_for(wanted)).await;
    reached.expect("the state was not reached").unwrap();
}

#[tokio::test]
async fn a_closure_answers_and_its_message_is_acked_afterwards() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let answer = async |client: Client, message: Message| {
        let _ = client.reply(&message, format!("{}!", message.text)).await;
    };
    let (client, mut peer) = attached(builder(&route).handler(answer), &server).await;
    assert!(client.state().borrow().is_attached());
    peer.say(note(1, "hello")).await;
    let Frame::Submit(submit) = peer.hear().await else {
        panic!("no submit");
    };
    assert_eq!(
        (submit.to, submit.text.as_str()),
        (Some(To::UserId(2)), "hello!")
    );
    peer.say(wire::Accepted {
        id: submit.id,
        conversation: "private:1:2".to_owned(),
        epoch: 7,
        sequence: 2,
        accepted_at_ms: 0,
    })
    .await;
    let mut acked = 0;
    while acked < 2 {
        let Frame::Ack(ack) = peer.hear().await else {
            panic!("no ack");
        };
        acked = ack.positions[0].sequence;
    }
    client.close().await;
    assert_eq!(*client.state().borrow(), ConnectionState::Closed);
    assert!(matches!(peer.hear().await, Frame::Close(close) if close.code == 4018));
    assert_eq!(
        client.send(Recipient::Lobby, "x").await,
        Err(SendError::Closed)
    );
}

#[tokio::test]
async fn a_lost_server_is_replaced_without_asking_the_route() {
    let (first, second) = (Server::start("s1").await, Server::start("s2").await);
    let route = Route::start(&[&first, &second]).await;
    let handled = async |_message: Message| {};
    let (client, mut peer) = attached(builder(&route).handler(handled), &first).await;
    peer.say(note(1, "hello")).await;
    assert!(matches!(peer.hear().await, Frame::Ack(_)));
    let sending = client.send(Recipient::Lobby, "on its way");
    assert!(matches!(peer.hear().await, Frame::Submit(_)));
    drop(peer);
    let (mut peer, hello) = second.attach().await;
    assert_eq!(hello.attempt, 2);
    assert_eq!(hello.ticket, "ticket 1");
    assert_eq!(hello.positions[0].sequence, 1, "acks may be lost");
    assert!(
        matches!(peer.hear().await, Frame::Submit(submit) if *submit.id == *sending.id().as_bytes())
    );
    assert_eq!(route.calls(), ["/v1/login"]);
}

#[tokio::test]
async fn a_refused_ticket_is_replaced_by_token_or_password() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let script = async {
        for (code, ticket) in [
            (Code::TICKET_EXPIRED, "ticket 1"),
            (Code::TICKET_INVALID, "ticket 2"),
        ] {
            let (mut peer, hello) = server.greeted().await;
            assert_eq!(hello.ticket, ticket);
            if code == Code::TICKET_INVALID {
                route.refuse("/v1/ticket", Code::UNAUTHENTICATED);
            }
            peer.say(wire::Close::new(code, 0)).await;
        }
        let (peer, hello) = server.attach().await;
        assert_eq!(hello.attempt, 3);
        peer
    };
    let (client, _peer) = tokio::join!(builder(&route).connect(), script);
    client.unwrap();
    let calls = ["/v1/login", "/v1/ticket", "/v1/ticket", "/v1/login"];
    assert_eq!(route.calls(), calls);
}

#[tokio::test]
async fn a_ticket_that_seems_over_at_once_is_used_until_it_is_refused() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    route.set_behind(Duration::from_secs(3600));
    let (_client, mut peer) = attached(builder(&route), &server).await;
    peer.say(wire::Close::new(Code::TICKET_EXPIRED, 0)).await;
    let (_peer, hello) = server.attach().await;
    assert_eq!(hello.ticket, "ticket 2");
    assert_eq!(route.calls(), ["/v1/login", "/v1/ticket"]);
}

#[tokio::test]
async fn the_old_ticket_is_not_used_once_a_new_login_may_have_ended_it() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    route.refuse("/v1/ticket", Code::UNAUTHENTICATED);
    let script = async {
        let (mut peer, hello) = server.greeted().await;
        assert_eq!(hello.ticket, "ticket 1");
        route.refuse("/v1/login", Code::UNAVAILABLE);
        peer.say(wire::Close::new(Code::FULL, 0)).await;
        let (peer, hello) = server.attach().await;
        assert_ne!(hello.ticket, "ticket 1");
        peer
    };
    let (client, _peer) = tokio::join!(builder(&route).connect(), script);
    client.unwrap();
}

#[tokio::test]
async fn a_newer_login_is_not_fought() {
    for code in [Code::LOGGED_OUT, Code::DISPLACED, Code::KICKED] {
        let server = Server::start("s1").await;
        let route = Route::start(&[&server]).await;
        let (client, mut peer) = attached(builder(&route), &server).await;
        let sending = client.send(Recipient::Lobby, "x");
        peer.say(wire::Close::new(code, 0)).await;
        assert_eq!(client.ended().await, ConnectionState::Refused(code));
        assert_eq!(sending.await, Err(SendError::Closed));
        assert_eq!(route.calls(), ["/v1/login"]);
    }
}

#[tokio::test]
async fn connecting_fails_at_once_when_waiting_cannot_help() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    route.refuse("/v1/login", Code::WRONG_PASSWORD);
    let error = builder(&route).connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused(Code::WRONG_PASSWORD));
    let refuse = async {
        let (mut peer, _) = server.greeted().await;
        peer.say(wire::Close::new(Code::LOGGED_OUT, 0)).await;
        peer
    };
    let (client, _peer) = tokio::join!(builder(&route).connect(), refuse);
    assert_eq!(client.unwrap_err().code(), Some(Code::LOGGED_OUT));
    let error = builder(&route).device("a b").connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn connecting_waits_for_a_server_until_its_deadline() {
    let route = Route::start(&[]).await;
    let patience = Duration::from_millis(300);
    let builder = builder(&route).connect_timeout(patience);
    let error = builder.connect().await.unwrap_err();
    assert!(matches!(error.code(), None | Some(Code::NO_SERVER)));
    assert!(error.is_retryable());
}

#[tokio::test]
async fn a_route_that_is_gone_is_passed_over_for_the_next() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let gone = format!("http://{}", Server::start("gone").await.address());
    let builder = Client::builder().route(gone).route(&route.address);
    let builder = builder.user("alice").password("secret").device("here");
    let (_client, mut peer) = attached(builder, &server).await;
    peer.say(wire::Close::new(Code::TICKET_EXPIRED, 0)).await;
    let (_peer, hello) = server.attach().await;
    assert_eq!(hello.ticket, "ticket 2");
    assert_eq!(route.calls(), ["/v1/login", "/v1/ticket"]);
}

#[tokio::test]
async fn a_stopping_server_is_left_only_for_one_that_answers() {
    let (first, second) = (Server::start("s1").await, Server::start("s2").await);
    let route = Route::start(&[&first]).await;
    let (client, mut old) = attached(builder(&route), &first).await;
    let dead = Server::start("dead").await.address();
    old.say(wire::GoAway {
        candidates: vec![dead.clone()],
        ..wire::GoAway::default()
    })
    .await;
    old.say(wire::Ping { nonce: 1 }).await;
    assert!(matches!(old.hear().await, Frame::Pong(_)), "still served");
    old.say(wire::GoAway {
        candidates: vec![dead, second.address()],
        ..wire::GoAway::default()
    })
    .await;
    let (mut new, hello) = second.attach().await;
    assert!(hello.attempt > 1);
    assert!(matches!(old.hear().await, Frame::Close(_)));
    let sending = client.send(Recipient::Lobby, "x");
    assert!(matches!(new.hear().await, Frame::Submit(_)));
    drop(sending);
    until(
        &client,
        |state| matches!(state, ConnectionState::Attached { server } if server.as_str() == "s2"),
    )
    .await;
}

#[tokio::test]
async fn an_own_attempt_that_displaces_and_then_fails_is_no_newer_login() {
    let (first, second) = (Server::start("s1").await, Server::start("s2").await);
    let route = Route::start(&[&first]).await;
    let (client, mut old) = attached(builder(&route), &first).await;
    old.say(wire::GoAway {
        candidates: vec![second.address()],
        ..wire::GoAway::default()
    })
    .await;
    // A route has put it into the other's place, and said so too late.
    let (mut new, tried) = second.greeted().await;
    new.say(wire::Close::new(Code::UNAVAILABLE, 0)).await;
    old.say(wire::Close::new(Code::DISPLACED, 0)).await;
    let (mut again, hello) = first.attach().await;
    assert!(hello.attempt > tried.attempt);
    again.say(wire::Close::new(Code::DISPLACED, 0)).await;
    let refused = ConnectionState::Refused(Code::DISPLACED);
    assert_eq!(client.ended().await, refused);
}

/// Panics at the first message and tells of events and errors.
struct Fragile(mpsc::Sender<Event>);

#[async_trait]
impl MessageHandler for Fragile {
    async fn on_message(&self, _client: &Client, message: Message) {
        assert_ne!(message.sequence.0, 1, "on purpose");
    }

    async fn on_event(&self, event: Event) {
        let _ = self.0.send(event).await;
    }

    async fn on_error(&self, error: Error) {
        let _ = self.0.send(Event::Error(error)).await;
    }
}

/// Waits for an error of that kind, and returns what it says.
async fn error_of(kind: ErrorKind, seen: &mut mpsc::Receiver<Event>) -> String {
    loop {
        if let Event::Error(error) = seen.recv().await.expect("the client lives")
            && error.kind() == kind
        {
            return error.to_string();
        }
    }
}

#[tokio::test]
async fn a_panicking_handler_goes_on_with_the_next_message() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let (events, mut seen) = mpsc::channel(16);
    let (_client, mut peer) = attached(builder(&route).handler(Fragile(events)), &server).await;
    peer.say(note(1, "bad")).await;
    peer.say(note(2, "good")).await;
    let said = error_of(ErrorKind::HandlerPanicked, &mut seen).await;
    assert!(said.contains("on purpose"), "{said}");
    let mut acked = 0;
    while acked < 2 {
        let Frame::Ack(ack) = peer.hear().await else {
            panic!("no ack");
        };
        acked = ack.positions[0].sequence;
    }
}

#[tokio::test]
async fn a_handler_may_close_its_own_client() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let quit = async |client: Client, _message: Message| client.close().await;
    let (client, mut peer) = attached(builder(&route).handler(quit), &server).await;
    peer.say(note(1, "quit")).await;
    assert!(matches!(peer.hear().await, Frame::Ack(ack) if ack.positions[0].sequence == 1));
    assert!(matches!(peer.hear().await, Frame::Close(_)));
    assert_eq!(client.ended().await, ConnectionState::Closed);
}

#[tokio::test]
async fn connections_that_fail_at_once_are_not_repeated_without_a_pause() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let (events, mut seen) = mpsc::channel(16);
    let builder = builder(&route).handler(Fragile(events));
    let (_client, peer) = attached(builder, &server).await;
    drop(peer);
    let paused = |event| {
        matches!(
            event,
            Event::StateChanged(ConnectionState::BackingOff { .. })
        )
    };
    while !paused(seen.recv().await.unwrap()) {}
    let (_peer, hello) = server.attach().await;
    assert_eq!(hello.attempt, 2);
}

#[tokio::test]
async fn dropping_the_last_handle_says_goodbye() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let (client, mut peer) = attached(builder(&route), &server).await;
    drop(client);
    assert!(matches!(peer.hear().await, Frame::Close(_)));
}

#[tokio::test]
async fn logging_out_closes_and_ends_the_login() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let (client, mut peer) = attached(builder(&route), &server).await;
    client.logout().await.unwrap();
    assert!(matches!(peer.hear().await, Frame::Close(_)));
    assert_eq!(route.calls(), ["/v1/login", "/v1/logout"]);
    assert_eq!(client.ended().await, ConnectionState::Closed);
}
