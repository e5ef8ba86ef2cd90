//! The facade for programs without an asynchronous runtime, in threads of such a program.

use std::sync::mpsc::{Receiver, sync_channel};

use im_client::blocking::{self, Client};
use im_client::{Code, ConnectionState, ErrorKind, Message, Recipient, SendError};
use im_tests::PATIENCE;
use im_tests::cluster::TestCluster;
use im_tests::user::PASSWORD;
use tokio::task::spawn_blocking;

/// Runs what a program without a runtime does, against a cluster of its own.
async fn against_a_cluster(program: impl FnOnce(String) + Send + 'static) {
    let cluster = TestCluster::embedded().await;
    let route = cluster.urls(0).remove(0);
    // A thread of its own, which has a runtime at hand all the same; it must make no difference.
    let ended = spawn_blocking(move || program(route)).await;
    ended.expect("the program ends well");
}

fn connect(route: &str, name: &str) -> Client {
    let builder = Client::builder().route(route).user(name).password(PASSWORD);
    builder.connect_blocking().expect("connected")
}

fn named(name: &str) -> Recipient {
    name.parse().expect("a name")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_without_a_runtime_sends_receives_and_reads() {
    against_a_cluster(|route| {
        for name in ["alice", "bob"] {
            blocking::register(&[&route], name, PASSWORD).unwrap();
        }
        let (heard, hears) = sync_channel::<Message>(1);
        let answer = move |client: Client, message: Message| {
            if message.text == "how are you?" {
                client.reply(&message, "well").unwrap();
            }
            heard.send(message).unwrap();
        };
        let builder = Client::builder().route(&route).user("bob");
        let builder = builder.password(PASSWORD).handler(answer);
        let bob = builder.connect_blocking().unwrap();
        let alice = connect(&route, "alice");

        let sent = alice.send(named("bob"), "how are you?").unwrap();
        let heard = next(&hears);
        assert_eq!((heard.id, heard.sender), (sent.id, alice.identity().user));
        let again = alice.send_as(sent.id, named("bob"), "how are you?");
        assert_eq!(again.unwrap().position, sent.position, "stored once");
        bob.flush();
        let texts: Vec<_> = alice
            .history(&named("bob"), None, 10)
            .unwrap()
            .into_iter()
            .map(|message| message.text)
            .collect();
        assert_eq!(texts, ["how are you?", "well"]);

        alice.delivered(&named("bob")).unwrap();
        let lobby = alice.delivered(&Recipient::Lobby).unwrap_err();
        assert_eq!(lobby.kind(), ErrorKind::InvalidInput);

        let refused = alice.send(Recipient::Lobby, "").unwrap_err();
        assert_eq!(refused.code(), Some(Code::TEXT_EMPTY));
        let online = alice.online("b", None, 10).unwrap();
        assert_eq!(online.users[0].name, "bob");
        assert!(alice.state().is_attached());

        alice.close();
        assert_eq!(alice.ended(), ConnectionState::Closed);
        let closed = alice.send(Recipient::Lobby, "too late");
        assert_eq!(closed, Err(SendError::Closed));
        bob.logout().unwrap();
    })
    .await;
}

fn next(hears: &Receiver<Message>) -> Message {
    hears.recv_timeout(PATIENCE).expect("a message comes")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_may_close_its_own_client_and_what_it_handled_is_acked() {
    against_a_cluster(|route| {
        for name in ["alice", "bob"] {
            blocking::register(&[&route], name, PASSWORD).unwrap();
        }
        let connect_bob = || {
            let (heard, hears) = sync_channel::<Message>(16);
            let quit = move |client: Client, message: Message| {
                heard.send(message).unwrap();
                client.close();
            };
            let builder = Client::builder().route(&route).user("bob");
            let builder = builder.password(PASSWORD).handler(quit);
            (builder.connect_blocking().unwrap(), hears)
        };
        let alice = connect(&route, "alice");
        let (bob, hears) = connect_bob();
        alice.send(named("bob"), "quit").unwrap();
        assert_eq!(next(&hears).text, "quit");
        assert_eq!(bob.ended(), ConnectionState::Closed);

        let (_bob, hears) = connect_bob();
        alice.send(named("bob"), "again").unwrap();
        assert_eq!(
            next(&hears).text,
            "again",
            "what was handled is not repeated"
        );
    })
    .await;
}
