//! The command `im`: in pipes, in scripts, and in a real terminal.

use std::process::Command;

use im_tests::process::binary;
use im_tests::scene::Scene;
use im_tests::terminal::Terminal;
use im_tests::user::TestUser;
use serde_json::Value;
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn scripts_register_send_tail_and_list() {
    let scene = Scene::set().await;
    for user in ["alice", "bob"] {
        let ended = scene.run(user, &["register", "--json"]).await;
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        let json: Value = serde_json::from_str(&ended.stdout[0]).expect("JSON");
        assert_eq!(json["name"], user);
    }
    let again = scene.run("alice", &["register"]).await;
    assert_eq!(again.code(), Some(1), "{again:?}");
    assert!(again.stderr.contains("taken"), "{again:?}");

    let mut tail = scene.im("bob", &["tail", "--json", "--count", "2"]).await;
    let online = async {
        loop {
            let ended = scene.run("alice", &["online", "--json"]).await;
            if ended.stdout.iter().any(|line| line.contains("\"bob\"")) {
                return;
            }
        }
    };
    tokio::time::timeout(im_tests::PATIENCE, online)
        .await
        .expect("bob is online");
    let sent = scene
        .run(
            "alice",
            &["send", "bob", "line one\nline \"two\"", "--json"],
        )
        .await;
    assert_eq!(sent.code(), Some(0), "{sent:?}");
    let receipt: Value = serde_json::from_str(&sent.stdout[0]).expect("JSON");
    let mut pipe = scene.im("alice", &["send", "lobby", "-"]).await;
    pipe.type_line("from a pipe").await;
    assert_eq!(pipe.ended().await.code(), Some(0));
    let first: Value = serde_json::from_str(&tail.line().await).expect("JSON");
    assert_eq!(
        (&first["text"], &first["sequence"]),
        (&Value::from("line one\nline \"two\""), &receipt["sequence"])
    );
    let second: Value = serde_json::from_str(&tail.line().await).expect("JSON");
    assert_eq!(
        second["text"].as_str().expect("text").trim_end(),
        "from a pipe"
    );
    assert_eq!(tail.ended().await.code(), Some(0));
}

/// Asks a route that is not there, for less long than usual.
const NOBODY_THERE: [&str; 5] = ["--route", "http://127.0.0.1:1", "--timeout", "3", "online"];

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_say_what_went_wrong() {
    let scene = Scene::set().await;
    scene.run("alice", &["register"]).await;
    for (user, args, code) in [
        ("alice", &["send", "nobody", "hi"][..], 7),
        ("nobody", &["online"], 4),
        ("alice", &["send", "lobby"], 2),
        ("alice", &NOBODY_THERE, 3),
        ("alice", &["send", "lobby", ""], 1),
    ] {
        let ended = scene.run(user, args).await;
        assert_eq!(ended.code(), Some(code), "{args:?}: {ended:?}");
        assert!(!ended.stderr.is_empty(), "{args:?} explains itself");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_sends_lines_and_prints_plainly() {
    let scene = Scene::set().await;
    let bob = TestUser::register(scene.urls(), "bob").await;
    scene.run("alice", &["register"]).await;
    let mut alice = scene.im("alice", &[]).await;
    for line in [
        "hello all",
        "@bob only you",
        &format!("{};;also you", bob.id()),
        "::colon",
        ":nonsense",
    ] {
        alice.type_line(line).await;
    }
    let ended = alice.ended().await;
    let seen = bob.expect_count(4).await;
    let texts: Vec<_> = seen
        .iter()
        .filter(|message| message.is_private())
        .map(|message| message.text.as_str())
        .collect();
    assert_eq!(texts, ["only you", "also you"]);
    bob.expect(":colon").await;
    assert!(
        seen.iter()
            .all(|message| !message.text.contains("nonsense")),
        "a command is never sent as text"
    );
    assert!(
        ended.stdout.iter().all(|line| !line.contains('\u{1b}')),
        "{ended:?}"
    );
    assert_eq!(
        ended.code(),
        Some(1),
        "an unknown command was an error: {ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_chat_in_real_terminals() {
    let scene = Scene::set().await;
    for user in ["alice", "bob"] {
        assert_eq!(scene.run(user, &["register"]).await.code(), Some(0));
    }
    let (alice, bob) = (scene.terminal("alice"), scene.terminal("bob"));
    alice.shows("alice>").await;
    bob.shows("bob>").await;
    bob.type_line("hello from bob");
    alice.shows("hello from bob").await;

    // Half a line is typed while messages arrive; it must still be there, whole.
    alice.type_text("half a li");
    alice.shows("alice> half a li").await;
    for number in 0..20 {
        bob.type_line(&format!("interruption {number}"));
    }
    alice.shows("interruption 19").await;
    let screen = alice
        .until("the prompt", |screen| {
            screen.trim_end().ends_with("alice> half a li")
        })
        .await;
    assert_eq!(screen.matches("alice> half a li").count(), 1, "{screen}");
    alice.type_line("ne, finished");
    bob.shows("half a line, finished").await;

    alice.type_line("@bob in private");
    bob.shows("in private").await;
    alice.type_line(":olu");
    alice
        .until("both names", |screen| {
            screen.contains("echo") && screen.matches("bob").count() > 1
        })
        .await;
    alice.type_line(":qq");
    alice.shows(":all").await;
    let everything = bob.screen();
    assert!(!everything.contains(":qq"), "{everything}");

    alice.type_line(":q");
    let left = alice.shows("left with 0").await;
    assert!(left.contains("left with 0"), "{left}");
    alice
        .until("a terminal in its ordinary mode", |screen| {
            screen.lines().any(|line| line.trim() == "icanon")
        })
        .await;
    bob.press("C-d");
    bob.shows("left with 0").await;
}

/// The standalone in a real terminal; tells its process id first.
fn standalone_at_a_terminal(home: &TempDir, args: &str) -> Terminal {
    let path = home.path().display();
    Terminal::run_and_tell(&format!(
        "env HOME={path} XDG_DATA_HOME={path}/data XDG_STATE_HOME={path}/state USER=alice sh -c 'echo $$ >{path}/pid; exec {} --server-listen 127.0.0.1:0 {args}'",
        binary("im-standalone").display(),
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_standalone_gives_the_terminal_back_when_terminated() {
    let home = tempfile::tempdir().expect("a home");
    let terminal = standalone_at_a_terminal(&home, "--route-listen 127.0.0.1:0");
    terminal.shows("alice>").await;
    terminal.type_text("half a line");
    terminal.shows("alice> half a line").await;
    let pid = std::fs::read_to_string(home.path().join("pid")).expect("the process id");
    let killed = Command::new("kill").args(["-TERM", pid.trim()]).status();
    assert!(killed.expect("kill runs").success());
    let screen = terminal.shows("left with 0").await;
    assert!(screen.contains("\nleft with 0"), "{screen}");
    terminal
        .until("a terminal in its ordinary mode", |screen| {
            screen.lines().any(|line| line.trim() == "icanon")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_standalone_tells_a_person_why_it_does_not_start() {
    let home = tempfile::tempdir().expect("a home");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let terminal = standalone_at_a_terminal(&home, &format!("--route-listen {address}"));
    let screen = terminal.shows("left with 1").await;
    assert!(screen.contains("use --route-listen ADDR"), "{screen}");

    let terminal = standalone_at_a_terminal(&home, "--route-listen 127.0.0.1:0");
    terminal.shows("alice>").await;
    terminal.type_line(":q");
    terminal.shows("left with 0").await;
    std::fs::remove_file(home.path().join("data/im/password-alice")).expect("removed");
    let terminal = standalone_at_a_terminal(&home, "--route-listen 127.0.0.1:0");
    let screen = terminal.shows("left with 1").await;
    assert!(screen.contains("alice has an account already"), "{screen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_standalone_opens_a_chat_at_a_terminal() {
    let home = tempfile::tempdir().expect("a home");
    let terminal = standalone_at_a_terminal(&home, "--route-listen 127.0.0.1:0");
    terminal.shows("alice>").await;
    terminal.type_line("@echo hello bot");
    terminal
        .until("the answer", |screen| {
            screen.matches("hello bot").count() >= 2
        })
        .await;
    terminal.type_line(":q");
    terminal.shows("left with 0").await;
}

#[test]
fn help_begins_with_examples() {
    for name in ["im", "im-server", "im-route", "im-standalone"] {
        let output = Command::new(binary(name))
            .arg("--help")
            .output()
            .expect("it runs");
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && help.contains("Examples:"),
            "{name}: {help}"
        );
    }
}
