//! Every example of the SDK, run against a live cluster: what it prints, and that it ends by itself.

use im_client::Recipient;
use im_route::RouteConfig;
use im_server::ServerConfig;
use im_tests::cluster::TestCluster;
use im_tests::http::Http;
use im_tests::injected::{Injected, Mood};
use im_tests::process::{Ended, Process, root};
use im_tests::user::{PASSWORD, TestUser, accepted};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

async fn start(name: &str, arguments: &[&str], routes: &[&TestCluster]) -> Process {
    let urls: Vec<String> = routes
        .iter()
        .map(|cluster| cluster.urls(0).swap_remove(0))
        .collect();
    let names = ["IM_ROUTE", "IM_ROUTE_2"];
    let variables: Vec<_> = names
        .into_iter()
        .zip(urls.iter().map(String::as_str))
        .collect();
    Process::start_example(name, arguments, &variables).await
}

/// Runs an example on a cluster of its own, and returns what it printed.
async fn printed_by(name: &str, arguments: &[&str]) -> Vec<String> {
    let cluster = TestCluster::embedded().await;
    ended_well(start(name, arguments, &[&cluster]).await.ended().await)
}

fn ended_well(ended: Ended) -> Vec<String> {
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    ended.stdout
}

#[test]
fn every_example_is_run_here() {
    let tests = std::fs::read_to_string(root().join("tests/it/examples.rs")).expect("this file");
    let mut count = 0;
    for entry in std::fs::read_dir(root().join("im-client/examples")).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none() {
            continue;
        }
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .expect("a name");
        assert!(tests.contains(&format!("\"{name}\"")), "{name} is not run");
        count += 1;
    }
    assert!(count >= 15, "{count} examples");
}

#[test]
fn the_readme_shows_the_echo_bot_as_it_is() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).expect("a file");
    let bot = read("im-client/examples/echo_bot.rs");
    let (_comment, code) = bot.split_once('\n').expect("lines");
    assert!(read("README.md").contains(&format!("```rust\n{code}```")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_echo_bot_answers() {
    let cluster = TestCluster::embedded().await;
    let urls = cluster.urls(0);
    im_client::register(&urls, "parrot", PASSWORD)
        .await
        .expect("registered");
    let _bot = start("echo_bot", &[], &[&cluster]).await;
    let alice = TestUser::register(&urls, "alice").await;
    let parrot: Recipient = "parrot".parse().expect("a name");
    alice
        .client()
        .send(parrot, "hello")
        .await
        .expect("accepted");
    assert_eq!(alice.expect("hello").await.sender_name.as_str(), "parrot");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_logger_writes_a_line_for_each_message() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("lobby.jsonl");
    let path = file.display().to_string();
    let printed = printed_by("file_logger", &[&path]).await;
    assert_eq!(printed, [format!("3 messages are in {path}")]);
    let lines = std::fs::read_to_string(file).expect("the log");
    let texts: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let texts: Vec<_> = texts.iter().map(|line| &line["text"]).collect();
    assert_eq!(texts, ["one", "two", "and\nthree"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_logger_stops_when_the_disk_is_full() {
    let cluster = TestCluster::embedded().await;
    let ended = start("file_logger", &["/dev/full"], &[&cluster]).await;
    let ended = ended.ended().await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("cannot write the log"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bridge_carries_both_ways() {
    let clusters = [TestCluster::embedded().await, TestCluster::embedded().await];
    let bridge = start("bridge", &[], &[&clusters[0], &clusters[1]]).await;
    let expected = ["hello over there", "hello back"]
        .map(|text| format!("heard in the other cluster: speaker: {text}"));
    assert_eq!(ended_well(bridge.ended().await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_webhook_posts_until_it_is_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let hook = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let cluster = TestCluster::embedded().await;
    let example = start("webhook", &[&hook], &[&cluster]).await;
    refuse(&listener).await;
    let body = take(&listener).await;
    assert_eq!(
        (&body["from"], &body["text"]),
        (&"alice".into(), &"ship it".into())
    );
    let printed = ended_well(example.ended().await);
    assert!(printed[0].starts_with("trying again: "), "{printed:?}");
    assert_eq!(printed[1], "forwarded a message of alice");
}

/// Answers a request as a receiver that is not ready.
async fn refuse(listener: &TcpListener) {
    let (mut socket, _) = listener.accept().await.expect("a connection");
    let answer = b"HTTP/1.1 503 Not Yet\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let _request = read_json(&mut socket).await;
    socket.write_all(answer).await.expect("written");
}

/// Takes a request, and returns its body.
async fn take(listener: &TcpListener) -> serde_json::Value {
    let (mut socket, _) = listener.accept().await.expect("a connection");
    let body = read_json(&mut socket).await;
    let answer = b"HTTP/1.1 204 Taken\r\nconnection: close\r\n\r\n";
    socket.write_all(answer).await.expect("written");
    body
}

/// Reads a request until its body is whole.
async fn read_json(socket: &mut tokio::net::TcpStream) -> serde_json::Value {
    let mut request = Vec::new();
    loop {
        socket.read_buf(&mut request).await.expect("read");
        let text = String::from_utf8_lossy(&request);
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body);
        if let Some(Ok(body)) = body.map(serde_json::from_str) {
            return body;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_is_kept() {
    let printed = printed_by("scheduled", &[]).await;
    assert_eq!(printed.len(), 3, "{printed:?}");
    for (number, line) in printed.iter().enumerate() {
        let place = format!(" is number {} of the lobby", number + 1);
        assert!(
            line.starts_with("tick ") && line.ends_with(&place),
            "{line}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_bot_obeys() {
    assert_eq!(
        printed_by("command_bot", &[]).await,
        [
            "!help: !online PREFIX, !count",
            "!online al: alice",
            "!dance: \"!dance\" is no command; !help lists them",
            "!count: 4 commands so far",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_share_a_program() {
    let ring: Vec<String> = (1..10)
        .chain([0])
        .map(|number| format!("ring-{number}"))
        .collect();
    let word = format!("word > {}", ring.join(" > "));
    assert_eq!(
        printed_by("many_clients", &[]).await,
        ["10 users are connected", &word]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_and_the_next_one_are_observed() {
    let mut cluster = TestCluster::with_faults(&Injected::new(1)).await;
    cluster.add_route(RouteConfig::for_tests()).await;
    cluster.add_server(ServerConfig::for_tests()).await;
    cluster.add_server(ServerConfig::for_tests()).await;
    let mut observer = start("reconnects", &["2"], &[&cluster]).await;
    let first = connected_to(&mut observer).await;
    let index = cluster
        .servers()
        .iter()
        .position(|server| server.info.id.as_str() == first);
    cluster.crash_server(index.expect("one of the two"));
    assert_ne!(connected_to(&mut observer).await, first);
    assert_eq!(ended_well(observer.ended().await), ["closed"]);
}

async fn connected_to(observer: &mut Process) -> String {
    loop {
        if let Some(server) = observer.line().await.strip_prefix("connected to ") {
            return server.to_owned();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limited_sender_keeps_to_its_rate() {
    let printed = printed_by("rate_limited", &[]).await;
    assert!(
        printed[0].starts_with("100 of 100 accepted in "),
        "{printed:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_happened() {
    let printed = printed_by("metrics", &[]).await;
    for line in [
        "im_client_attached 1",
        "im_client_received_total 10",
        "im_client_received_bytes_total 90",
        "im_client_accepted_total 10",
    ] {
        assert!(
            printed.iter().any(|printed| printed == line),
            "{line}: {printed:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_exported_whole_and_in_order() {
    let expected = (1..=5).map(|number| {
        format!("{{\"sender\":\"archivist\",\"sequence\":{number},\"text\":\"line {number}\"}}")
    });
    assert_eq!(
        printed_by("history_export", &[]).await,
        expected.collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_hands_out_every_message() {
    let printed = printed_by("event_stream", &[]).await;
    let said: Vec<_> = printed
        .iter()
        .filter(|line| line.starts_with("speaker"))
        .collect();
    let expected = ["one", "two", "three"].map(|text| format!("speaker says {text:?}"));
    assert_eq!(said, expected.iter().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_without_a_runtime_gets_an_answer() {
    let printed = printed_by("blocking", &[]).await;
    assert_eq!(printed, ["stored as number 1", "IS ANYBODY THERE?"]);
}

/// Spoken to while it is away, and killed with an answer that nobody took.
#[tokio::test(flavor = "multi_thread")]
async fn a_bot_with_its_own_store_counts_and_answers_once_whenever_it_is_killed() {
    let gates = Injected::new(2);
    let mut cluster = TestCluster::with_faults(&gates).await;
    cluster.add_route(RouteConfig::for_tests()).await;
    cluster.add_server(ServerConfig::for_tests()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = folder.path().join("ledger.json").display().to_string();
    let alice = cluster.user("alice").await;

    let mut bot = counting(&ledger, &cluster).await;
    let counter: Recipient = "counter".parse().expect("a name");
    let say = async |text| accepted(alice.client().send(counter.clone(), text)).await;
    say("one").await;
    alice.expect("that was number 1").await;
    killed(bot).await;

    say("two").await;
    say("three").await;
    bot = counting(&ledger, &cluster).await;
    alice.expect("that was number 2").await;
    alice.expect("that was number 3").await;

    // Whatever comes by HTTP is stored; what the bot offers is not.
    gates.submits.set(Mood::Fails);
    let http = Http::log_in(&cluster.urls(0)[0], "alice", "http").await;
    let body = serde_json::json!({"to": "counter", "text": "four"});
    let (status, answer) = http.post("/v1/messages", body).await;
    assert_eq!(status, 200, "{answer}");
    while bot.line().await != "alice: that was number 4" {}
    killed(bot).await;
    gates.heal();
    bot = counting(&ledger, &cluster).await;
    alice.expect("that was number 4").await;

    say("five").await;
    alice.expect("that was number 5").await;
    killed(bot).await;
    let answers = alice.seen();
    let answers = answers
        .iter()
        .filter(|message| message.sender != alice.id());
    let answers: Vec<_> = answers.map(|message| message.text.as_str()).collect();
    let expected: Vec<_> = (1..=5)
        .map(|number| format!("that was number {number}"))
        .collect();
    assert_eq!(answers, expected);
}

/// The bot, once it is connected.
async fn counting(ledger: &str, cluster: &TestCluster) -> Process {
    let mut bot = start("custom_store", &[ledger], &[cluster]).await;
    while bot.line().await != "counting" {}
    bot
}

async fn killed(bot: Process) {
    bot.signal("KILL").await;
    assert_eq!(bot.ended().await.code(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tutorial_ends_well() {
    assert!(!printed_by("tutorial", &[]).await.is_empty());
}
