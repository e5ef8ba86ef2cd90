//! What happens at the bounds of whole nodes: a code that the client understands, and nothing is
//! lost. Bounds of one part are tested beside it.

use std::time::Duration;

use bytes::Bytes;
use im_client::ConnectionState;
use im_common::backend::Backend;
use im_common::code::Code;
use im_common::frame::encode;
use im_common::id::{ConversationId, DeviceId, MessageId, UserId};
use im_common::message::{Draft, Identity, Recipient};
use im_common::name::UserName;
use im_common::stream::FrameStream;
use im_common::wire::{self, ClientFrame, ServerFrame, server_frame::Frame};
use im_server::ServerConfig;
use im_tests::PATIENCE;
use im_tests::cluster::TestCluster;
use im_tests::http::Http;
use im_tests::raw::{Pass, Raw};
use im_tests::user::{PASSWORD, TestUser, accepted};
use prost::Message as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Far more than the 32 submits and 20 syncs of a connection that a server takes in at a time.
const FLOOD: usize = 2000;
/// More than the 3400 heads of one frame.
const CONVERSATIONS: u64 = 3500;
/// A backlog of many pages, of which each holds 100.
const BACKLOG: usize = 20_000;
/// Enough to be turned away.
const NO_ROOM_FOR: Duration = Duration::from_millis(300);
/// How many drafts are stored in one go.
const SEED_AT_ONCE: usize = 500;

fn draft(conversation: &ConversationId, text: String) -> Draft {
    Draft {
        conversation: conversation.clone(),
        id: MessageId::fresh(),
        sender: Identity {
            user: UserId::new(1).expect("an id"),
            name: UserName::new("seed").expect("a name"),
            device: DeviceId::new("seed").expect("a device"),
        },
        text,
    }
}

async fn seed(backend: &Backend, drafts: Vec<Draft>) {
    for some in drafts.chunks(SEED_AT_ONCE) {
        for outcome in backend.messages.append(some.to_vec()).await {
            outcome.expect("stored");
        }
    }
}

async fn pass(cluster: &TestCluster, name: &str) -> Pass {
    let urls = cluster.urls(0);
    im_client::register(&urls, name, PASSWORD)
        .await
        .expect("registered");
    Pass::of(&urls[0], name, "raw").await
}

fn submit(number: usize) -> Bytes {
    let submit = wire::Submit {
        id: Bytes::copy_from_slice(MessageId::fresh().as_bytes()),
        to: Some(wire::submit::To::Lobby(wire::Lobby {})),
        text: number.to_string(),
        round: 0,
    };
    encode(&ClientFrame::from(submit))
}

fn sync() -> Bytes {
    let sync = wire::Sync {
        conversation: ConversationId::Lobby.to_string(),
        epoch: 0,
        after: 0,
    };
    encode(&ClientFrame::from(sync))
}

/// Writes all frames without waiting for anything, and reads meanwhile, until `enough` frames of a
/// kind have come.
async fn flood(raw: Raw, frames: Vec<Bytes>, enough: usize, mut counts: impl FnMut(Frame) -> bool) {
    let (read, mut write) = raw.into_socket().into_split();
    let mut stream = FrameStream::new(tokio::io::join(read, tokio::io::sink()));
    let writing = async { write.write_all(&frames.concat()).await.expect("taken") };
    let reading = async {
        let mut seen = 0;
        while seen < enough {
            let bytes = stream.next().await.expect("frames").expect("not closed");
            let frame = ServerFrame::decode(bytes).expect("the protocol").frame;
            seen += usize::from(counts(frame.expect("a known frame")));
        }
    };
    let both = async { tokio::join!(writing, reading) };
    timeout(PATIENCE, both).await.expect("all are answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_submits_is_stored_whole_and_in_order() {
    let cluster = TestCluster::embedded().await;
    let pass = pass(&cluster, "alice").await;
    let raw = Raw::attach(&pass.servers[0], &pass, 1).await;
    let mut sequences = Vec::new();
    let frames = (0..FLOOD).map(submit).collect();
    flood(raw, frames, FLOOD, |frame| match frame {
        Frame::Accepted(accepted) => {
            sequences.push(accepted.sequence);
            true
        }
        Frame::Refused(refused) => panic!("refused: {refused:?}"),
        Frame::Close(close) => panic!("closed: {close:?}"),
        _ => false,
    })
    .await;
    let expected: Vec<u64> = (1..=FLOOD as u64).collect();
    assert_eq!(sequences, expected, "answered in the order offered");
    let mut bob = TestUser::register(&cluster.urls(0), "bob").await;
    bob.disconnect().await;
    let url = &cluster.urls(0)[0];
    let http = Http::log_in(url, "bob", "web").await;
    let path = format!(
        "/v1/conversations/lobby/messages?before={}&limit=100",
        FLOOD + 1
    );
    let (status, page) = http.get(&path).await;
    assert_eq!(status, 200, "{page}");
    let texts = page["messages"].as_array().expect("messages");
    let texts: Vec<_> = texts.iter().filter_map(|m| m["text"].as_str()).collect();
    let last: Vec<_> = (FLOOD - 100..FLOOD).map(|n| n.to_string()).collect();
    assert_eq!(texts, last);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_syncs_is_answered_page_by_page_and_pings_too() {
    let cluster = TestCluster::embedded().await;
    let drafts = (0..150).map(|n| draft(&ConversationId::Lobby, n.to_string()));
    seed(&cluster.backend().await, drafts.collect()).await;
    let pass = pass(&cluster, "alice").await;
    let raw = Raw::attach(&pass.servers[0], &pass, 1).await;
    let mut frames = vec![sync(); FLOOD / 4];
    frames.push(encode(&ClientFrame::from(wire::Ping { nonce: 7 })));
    let (mut pages, mut pongs) = (0, 0);
    flood(raw, frames, FLOOD / 4 + 1, |frame| match frame {
        Frame::Page(page) => {
            assert_eq!((page.code, page.messages.len()), (0, 100), "never more");
            pages += 1;
            true
        }
        Frame::Pong(pong) => {
            assert_eq!(pong.nonce, 7);
            pongs += 1;
            true
        }
        Frame::Close(close) => panic!("closed: {close:?}"),
        _ => false,
    })
    .await;
    assert_eq!((pages, pongs), (FLOOD / 4, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_says_so_and_takes_the_next_when_somebody_leaves() {
    let mut cluster = TestCluster::embedded_with(1, 0).await;
    let small = ServerConfig {
        connections_max: 2,
        ..ServerConfig::for_tests()
    };
    cluster.add_server(small).await;
    let address = cluster.servers()[0].info.client_address.clone();
    let passes = [pass(&cluster, "alice").await, pass(&cluster, "bob").await];
    let alice = Raw::attach(&address, &passes[0], 1).await;
    let _bob = Raw::attach(&address, &passes[1], 1).await;
    let mut refused = Raw::connect(&address).await;
    let Some(Frame::Close(close)) = refused.next().await else {
        panic!("not closed");
    };
    assert_eq!(Code::from(close.code), Code::FULL);
    assert!(close.retry_after_ms > 0, "it is told when to come again");

    im_client::register(&cluster.urls(0), "carol", PASSWORD)
        .await
        .expect("registered");
    let mut carol = TestUser::offline(&cluster.urls(0), "carol");
    {
        let mut connecting = std::pin::pin!(carol.reconnect());
        let early = timeout(NO_ROOM_FOR, connecting.as_mut()).await;
        assert!(early.is_err(), "there is no room");
        alice.vanish();
        connecting.await;
    }
    carol
        .expect_state("attached", ConnectionState::is_attached)
        .await;
    accepted(carol.client().send(Recipient::Lobby, "in")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_heads_than_fit_a_frame_come_in_several() {
    let cluster = TestCluster::embedded().await;
    let pass = pass(&cluster, "alice").await;
    let backend = cluster.backend().await;
    let name = UserName::new("alice").expect("a name");
    let alice = backend.directory.find(&name);
    let alice = alice.await.expect("an answer").expect("registered").user;
    let others = (0..CONVERSATIONS).map(|n| UserId::new(n + 1_000).expect("an id"));
    let logs: Vec<_> = others
        .map(|other| ConversationId::private(alice, other))
        .collect();
    let drafts = logs.iter().map(|log| draft(log, "hi".into())).collect();
    seed(&backend, drafts).await;
    for log in &logs {
        let enlisted = backend.messages.enlist(log, &[alice]).await;
        enlisted.expect("enlisted");
    }
    let mut raw = Raw::connect(&pass.servers[0]).await;
    raw.say(pass.hello(1)).await;
    assert!(matches!(raw.next().await, Some(Frame::Welcome(_))));
    let (mut listed, mut frames) = (Vec::new(), 0);
    loop {
        let Some(Frame::Heads(heads)) = raw.next().await else {
            panic!("heads come first");
        };
        frames += 1;
        listed.extend(heads.heads.into_iter().map(|head| head.conversation));
        if !heads.more {
            break;
        }
    }
    assert_eq!(frames, 2);
    listed.retain(|log| log != "lobby");
    listed.sort();
    let mut expected: Vec<_> = logs.iter().map(ToString::to_string).collect();
    expected.sort();
    assert_eq!(listed, expected, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_backlog_comes_whole_and_in_order() {
    let cluster = TestCluster::embedded().await;
    let mut bob = cluster.user("bob").await;
    let bob_id = bob.id();
    bob.disconnect().await;
    let backend = cluster.backend().await;
    let log = ConversationId::private(bob_id, UserId::new(1_000).expect("an id"));
    let drafts = (0..BACKLOG).map(|n| draft(&log, n.to_string())).collect();
    seed(&backend, drafts).await;
    let enlisted = backend.messages.enlist(&log, &[bob_id]).await;
    enlisted.expect("enlisted");
    bob.reconnect().await;
    let seen = bob.expect_count(BACKLOG).await;
    for (message, n) in seen.iter().zip(0..) {
        assert_eq!(message.text, n.to_string());
    }
    bob.check_order();
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_nodes_have_a_bound_too() {
    let cluster = TestCluster::embedded().await;
    let too_large = vec![0; 8 * 1024 * 1024 + 1];
    let route = format!("{}/internal/v1/submit", cluster.urls(0)[0]);
    let server = &cluster.servers()[0].info.http_address;
    let server = format!("http://{server}/internal/v1/push");
    let http = reqwest::Client::builder().no_proxy().build();
    let http = http.expect("a client");
    for url in [route, server] {
        let post = http.post(&url).body(too_large.clone());
        let post = post.header("authorization", cluster.node_credential().header());
        // Whoever is cut off in mid-sending may not read why.
        if let Ok(answer) = post.send().await {
            assert_eq!(answer.status(), 413, "{url}");
        }
    }
    let [alice, bob] = cluster.users(["alice", "bob"]).await;
    alice.send(&bob, "still here").await;
    bob.expect("still here").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_a_length_gets_a_code_at_the_bound() {
    let cluster = TestCluster::embedded().await;
    let url = &cluster.urls(0)[0];
    let _alice = cluster.user("alice").await;
    let alice = Http::log_in(url, "alice", "web").await;
    let text = format!(
        "{{\"to\": \"lobby\", \"text\": \"{}",
        "x".repeat(600 * 1024)
    );
    let chunks: Vec<_> = text
        .as_bytes()
        .chunks(16 * 1024)
        .map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec()))
        .collect();
    let body = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
    let request = alice
        .request(reqwest::Method::POST, "/v1/messages")
        .header("content-type", "application/json")
        .body(body);
    let (status, answer) = Http::answer(request).await;
    assert_eq!(status, 413, "{answer}");
    assert_eq!(answer["code"], Code::BODY_TOO_LARGE.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_end_is_not_heard_out() {
    let cluster = TestCluster::embedded().await;
    let address = cluster.urls(0)[0].replace("http://", "");
    let mut socket = TcpStream::connect(&address).await.expect("accepted");
    let announced: u64 = 1 << 40;
    let head = format!(
        "POST /v1/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         content-length: {announced}\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.expect("written");
    let chunk = vec![b' '; 64 * 1024];
    let mut taken = 0;
    let until_cut = async {
        while socket.write_all(&chunk).await.is_ok() {
            taken += chunk.len();
        }
    };
    timeout(PATIENCE, until_cut).await.expect("it is cut off");
    // What is in the buffers of both sockets counts as taken.
    assert!(taken < 64 * 1024 * 1024, "{taken} bytes were taken");
}
