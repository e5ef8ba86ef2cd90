//! What another user of the cluster can say, and be called.

use futures::stream::{self, StreamExt as _};
use im_client::Recipient;
use im_tests::PATIENCE;
use im_tests::cluster::TestCluster;
use im_tests::hostile::{controls, corpus};
use im_tests::http::Http;
use im_tests::tty::Tty;
use im_tests::user::{PASSWORD, TestUser, accepted};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Home, around, assert_only_ours, prompted};

/// Shown before every further line of a text.
const CONTINUATION: &str = "\r\n    | ";
/// Longer than a screen, as long as a text may be.
const FLOOD_BYTES: usize = 64 * 1024;

/// A hostile string between marks, by which it is found again.
fn marked(number: usize, text: &str) -> String {
    format!("<{number}:{text}:{number}>")
}

/// Between the marks of each text there is nothing that a terminal obeys, but its own further lines.
fn assert_texts_are_text(terminal: &Tty, count: usize) {
    let written = String::from_utf8(terminal.written()).expect("UTF-8");
    for number in 0..count {
        let start = written.find(&format!("<{number}:"));
        let start = start.unwrap_or_else(|| panic!("text {number} is not shown"));
        let end = written[start..].find(&format!(":{number}>"));
        let end =
            end.unwrap_or_else(|| panic!("text {number} has no end: {:?}", &written[start..]));
        let text = &written[start..start + end];
        let shown = text.replace(CONTINUATION, "");
        if let Some(control) = controls(&shown).first() {
            panic!("text {number}: {}", around(&shown, control));
        }
    }
}

async fn alice_and_mallory(cluster: &TestCluster) -> TestUser {
    im_client::register(&cluster.urls(0), "alice", PASSWORD)
        .await
        .expect("registered");
    cluster.user("mallory").await
}

/// Says all of it, in order, and waits until it is accepted.
async fn say_all(mallory: &TestUser, to: &Recipient, texts: &[String]) {
    let marked = texts
        .iter()
        .enumerate()
        .map(|(number, text)| marked(number, text));
    let sends: Vec<_> = marked
        .map(|text| mallory.client().send(to.clone(), text))
        .collect();
    stream::iter(sends)
        .for_each(async |send| {
            accepted(send).await;
        })
        .await;
}

fn end_of(texts: &[String]) -> String {
    let last = texts.len() - 1;
    format!(":{last}>")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_said_takes_the_terminal() {
    let cluster = TestCluster::embedded().await;
    let mallory = alice_and_mallory(&cluster).await;
    let (home, texts) = (Home::new(), corpus());
    let mut alice = home.im(&cluster.urls(0)[0], &[]);
    alice.shows("connected as alice").await;
    say_all(&mallory, &Recipient::Lobby, &texts).await;
    alice.shows(&end_of(&texts)).await;
    assert_texts_are_text(&alice, texts.len());

    let to_alice = "alice".parse().expect("a name");
    let few = texts[..200].to_vec();
    say_all(&mallory, &to_alice, &few).await;
    let last = format!("-> you: <{}:", few.len() - 1);
    alice.shows(&last).await;
    for (command, answer) in [
        (":history mallory 200", end_of(&few)),
        (":history 200", end_of(&texts)),
        (":olu", " mallory".to_owned()),
        (":info", "device ".to_owned()),
    ] {
        alice.type_text(&format!("{command}\r"));
        let typed = format!("> {command}");
        alice
            .until(command, move |screen| {
                let contents = screen.contents();
                let answered = contents
                    .rsplit_once(&typed)
                    .map(|(_, after)| after.contains(&answer));
                // A long answer has pushed the command off the screen.
                answered.unwrap_or_else(|| contents.contains(&answer))
            })
            .await;
    }
    alice.type_text(":q\r");
    assert_eq!(alice.ended().await, Some(0));
    assert_only_ours(&alice);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_in_one_message_stays_within_it() {
    let cluster = TestCluster::embedded().await;
    let mallory = alice_and_mallory(&cluster).await;
    let home = Home::new();
    let mut alice = home.im(&cluster.urls(0)[0], &[]);
    alice.shows("connected as alice").await;
    let floods: Vec<String> = [
        "\u{1b}[2J",
        "\u{335}",
        "\n",
        "\r",
        "\u{202e}",
        "👩\u{200d}",
        "\u{7}",
        "﷽",
    ]
    .iter()
    .map(|text| text.repeat((FLOOD_BYTES - 64) / text.len()))
    .collect();
    say_all(&mallory, &Recipient::Lobby, &floods).await;
    alice.shows(&end_of(&floods)).await;
    assert_texts_are_text(&alice, floods.len());
    alice.type_text(":q\r");
    assert_eq!(alice.ended().await, Some(0));
    assert_only_ours(&alice);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tail_prints_is_as_harmless() {
    let cluster = TestCluster::embedded().await;
    let mallory = alice_and_mallory(&cluster).await;
    let (home, texts) = (Home::new(), corpus());
    let route = &cluster.urls(0)[0];
    let count = texts.len().to_string();
    let mut plain = home.im(route, &["tail", "--device", "plain", "--count", &count]);
    let mut json = home.im(
        route,
        &["tail", "--device", "json", "--json", "--count", &count],
    );
    attached(&cluster, 3).await;
    say_all(&mallory, &Recipient::Lobby, &texts).await;
    for tail in [&mut plain, &mut json] {
        assert_eq!(tail.ended().await, Some(0));
        assert_only_ours(tail);
    }
    assert_texts_are_text(&plain, texts.len());
    let lines = String::from_utf8(json.written()).expect("UTF-8");
    let said: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is one object"))
        .collect();
    for (number, (line, text)) in said.iter().zip(&texts).enumerate() {
        assert_eq!(line["text"], marked(number, text));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_looked_back_at_and_found_is_as_harmless() {
    let cluster = TestCluster::embedded().await;
    let mallory = alice_and_mallory(&cluster).await;
    let (home, texts) = (Home::new(), corpus());
    let route = &cluster.urls(0)[0];
    let count = texts.len().to_string();
    let mut tail = home.im(route, &["tail", "--count", &count]);
    attached(&cluster, 2).await;
    say_all(&mallory, &Recipient::Lobby, &texts).await;
    assert_eq!(tail.ended().await, Some(0));
    for arguments in [
        &["history", "--count", &count][..],
        &["history", "--count", &count, "--local"],
        &["search", "--count", &count, "from:mallory"],
        &["search", "--count", &count, "in:lobby", "from:mallory"],
    ] {
        let mut past = home.im(route, arguments);
        assert_eq!(past.ended().await, Some(0), "{arguments:?}");
        assert_texts_are_text(&past, texts.len());
        assert_only_ours(&past);
    }
    let mut alice = home.im(route, &[]);
    alice.shows("connected as alice").await;
    for command in [":search from:mallory", ":unread", ":who", ":olu"] {
        prompted(&alice).await;
        alice.type_text(command);
        alice.shows(command).await;
        alice.type_text("\r");
    }
    prompted(&alice).await;
    alice.type_text(":q\r");
    assert_eq!(alice.ended().await, Some(0));
    assert_only_ours(&alice);
}

/// Waits until so many devices are attached, so that nothing is said before they listen.
async fn attached(cluster: &TestCluster, devices: usize) {
    let all = async {
        while cluster.servers()[0].connections.count() < devices {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, all).await.expect("all are attached");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_be_called_what_cannot_be_seen() {
    let cluster = TestCluster::embedded().await;
    let route = Http::anonymous(&cluster.urls(0)[0]);
    // Those whom some of the corpus would like to be taken for.
    for name in ["admin", "paypal", "google", "microsoft", "work", "system"] {
        let body = json!({"name": name, "password": PASSWORD});
        assert_eq!(route.post("/v1/users", body).await.0, 201, "{name}");
    }
    for text in corpus() {
        let body = json!({"name": text, "password": PASSWORD});
        let (status, answer) = route.post("/v1/users", body).await;
        // Letters that are rare, but can be seen, are somebody's name.
        let name = answer["name"].as_str().unwrap_or_default();
        let is_harmless = status == 201 && !name.contains(is_unseen);
        let is_refused = (400..500).contains(&status);
        assert!(is_harmless || is_refused, "{text:?}: {status} {answer}");
        let body = json!({"name": "admin", "password": PASSWORD, "device": text});
        let (status, answer) = route.post("/v1/login", body).await;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_harmless = status == 200 && text.bytes().all(is_plain);
        let is_refused = (400..500).contains(&status);
        assert!(
            is_harmless || is_refused,
            "device {text:?}: {status} {answer}"
        );
    }
}

/// Whether a character leaves no trace on the screen, or another one than itself.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_text_is_refused() {
    let cluster = TestCluster::embedded().await;
    let _mallory = cluster.user("mallory").await;
    let mallory = Http::log_in(&cluster.urls(0)[0], "mallory", "web").await;
    for text in [
        &br#""\ud800""#[..],
        br#""\udfff\ud800""#,
        br#""\ud83d no pair""#,
        b"\"\xff\xfe\"",
        b"\"\xc0\x9b2J\"",
        b"\"\xe2\x80\"",
        b"\"\xed\xa0\x80\"",
        b"\"\xf4\x90\x80\x80\"",
        b"\"\x1b[2J\"",
    ] {
        let body = [br#"{"to":"lobby","text":"#, text, b"}"].concat();
        let (status, answer) = mallory.post_raw("/v1/messages", body).await;
        assert_eq!(status, 400, "{}: {answer}", text.escape_ascii());
    }
}

/// In a pipe there is no terminal to own, but a reader of lines to deceive.
#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_gets_one_line_for_each_message() {
    let cluster = TestCluster::embedded().await;
    let mallory = alice_and_mallory(&cluster).await;
    let (home, texts) = (Home::new(), corpus());
    let count = texts.len().to_string();
    let tail = home
        .im_in_a_pipe(&cluster.urls(0)[0], &["tail", "--count", &count])
        .await;
    attached(&cluster, 2).await;
    say_all(&mallory, &Recipient::Lobby, &texts).await;
    let printed = tail.ended().await;
    let (further, first): (Vec<_>, Vec<_>) = printed
        .stdout
        .iter()
        .partition(|line| line.starts_with("    | "));
    assert_eq!(first.len(), texts.len());
    for (number, line) in first.iter().enumerate() {
        assert!(line.contains(&format!(" mallory: <{number}:")), "{line:?}");
    }
    for line in first.into_iter().chain(further) {
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}
