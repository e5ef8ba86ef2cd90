//! The chat of the command `im` in a terminal: its prompt, conversations, and what becomes of what
//! is typed.

use std::path::PathBuf;
use std::time::Duration;

use im_tests::scene::Scene;
use im_tests::terminal::Terminal;
use im_tests::tty::Tty;
use im_tests::user::TestUser;
use serde_json::Value;
use tokio::time::{Instant, sleep_until};
use vt100::Screen;

/// The time of everything that a user has delayed is past: by the clock on the wall, so no test can
/// make it pass sooner.
fn come_due(scene: &Scene, user: &str) {
    let folder = scene.home.path().join(user).join("im");
    let files = std::fs::read_dir(folder).expect("a folder");
    let paths = files.map(|file| file.expect("a file").path());
    let is_delayed = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("delayed-") && name.ends_with(".json")
    };
    let file = paths.into_iter().find(is_delayed).expect("a file of them");
    let text = std::fs::read_to_string(&file).expect("read");
    let mut waiting: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    for delayed in &mut waiting {
        delayed["due_at_ms"] = 1.into();
    }
    let text = serde_json::to_string(&waiting).expect("JSON");
    std::fs::write(file, text).expect("written");
}

/// The last line of the screen that has something in it.
fn last_line(screen: &str) -> &str {
    screen.trim_end().lines().last().unwrap_or_default()
}

/// Behind a queue of messages a key would wait for the flood to end, which it never does. How fast it
/// is on an idle machine is measured by `im-bench`.
const ECHOES_WITHIN: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_does_not_damage_the_line_nor_delay_the_keys() {
    const MESSAGES_A_SECOND: u32 = 1000;
    let scene = Scene::set().await;
    scene.register("alice").await;
    let alice = Tty::run(&scene.command("alice"));
    alice.shows("connected as alice").await;
    let bob = TestUser::register(scene.urls(), "bob").await;
    let flood = async {
        let begun = Instant::now();
        for number in 0.. {
            let _sending = bob.client().send(
                im_client::Recipient::Lobby,
                format!("number {number} 你好 👍"),
            );
            sleep_until(begun + Duration::from_secs(1) / MESSAGES_A_SECOND * number).await;
        }
    };
    let typing = async {
        let is_flooded = |screen: &Screen| {
            let text = screen.contents();
            let numbers = text.split("number ").skip(1);
            let numbers = numbers.filter_map(|rest| rest.split(' ').next()?.parse::<u32>().ok());
            numbers.max().is_some_and(|newest| newest >= 500)
        };
        alice.until("500 messages", is_flooded).await;
        let mut times = Vec::new();
        let mut typed = String::from("alice> ");
        for key in "half a line, 半行, and still half a line, which is long enough to wrap: 一二三四五六七八九十 and on".chars() {
            typed.push(key);
            let pressed = Instant::now();
            alice.type_text(&key.to_string());
            let expected = typed.clone();
            let is_whole = move |screen: &Screen| {
                let text = screen.contents();
                text.trim_end().replace('\n', "").ends_with(expected.trim_end())
            };
            times.push(alice.until("the key", is_whole).await - pressed);
        }
        times.sort();
        times
    };
    let times = tokio::select! {
        times = typing => times,
        () = flood => unreachable!("it has no end"),
    };
    let (median, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    eprintln!("key echo at {MESSAGES_A_SECOND} messages a second: median {median:?}, p99 {p99:?}");
    assert!(p99 < ECHOES_WITHIN, "p99 {p99:?}");
    let screen = alice.lines().join("\n");
    assert_eq!(screen.matches("alice>").count(), 1, "{screen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resized_window_shows_every_line_once() {
    let scene = Scene::set().await;
    scene.register("alice").await;
    let alice = scene.terminal("alice");
    alice.shows("connected as alice").await;
    let bob = TestUser::register(scene.urls(), "bob").await;
    for number in 0..5 {
        bob.say(&format!("message-{number} {}", "x".repeat(70)))
            .await;
    }
    let typed = format!("half {} a 长行 end", "y".repeat(90));
    alice.type_text(&typed);
    alice.shows("end").await;
    for (columns, rows) in [(40, 30), (70, 30), (140, 20), (33, 25), (100, 30)] {
        alice.resize(columns, rows);
        bob.say("one more").await;
        let whole = format!("alice> {typed}").replace(' ', "");
        let is_right = |window: &str| {
            let text = window.replace(['\n', ' '], "");
            let once = |what: &str| window.matches(what).count() == 1;
            // A narrow window has no room for all of them.
            let has_all = columns < 60 || (0..5).all(|number| once(&format!("message-{number}")));
            text.ends_with(&whole) && once("alice>") && has_all
        };
        alice
            .until("everything once", |_| is_right(&alice.window()))
            .await;
    }
    alice.press("Enter");
    bob.expect(&typed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_in_focus_is_not_drowned() {
    let scene = Scene::set().await;
    scene.register("alice").await;
    let alice = scene.terminal("alice");
    alice.shows("connected as alice").await;
    let bob = TestUser::register(scene.urls(), "bob").await;
    let carol = TestUser::register(scene.urls(), "carol").await;
    let to_alice: im_client::Recipient = "alice".parse().expect("a name");

    alice.type_line(":to bob");
    alice.shows("alice @bob>").await;
    alice.type_line("for you alone");
    bob.expect("for you alone").await;
    alice.shows("✓ alice -> bob: for you alone").await;

    bob.say("to everybody").await;
    bob.say("and again").await;
    alice.shows("new in the lobby").await;
    bob.say("but @alice should look").await;
    alice
        .shows("bob (mentions you): but @alice should look")
        .await;
    let sent = carol.client().send(to_alice, "from carol").await;
    sent.expect("accepted");
    alice.shows("\"from carol\" (:to carol)").await;
    assert!(!alice.screen().contains("to everybody"));
    alice.type_line(":unread");
    alice.shows("2 unread: lobby").await;
    alice.shows("1 unread: carol").await;

    alice.type_line("lobby;;hello all");
    bob.expect("hello all").await;
    alice.type_line(":to");
    alice.shows("2 new:").await;
    alice.shows("bob: to everybody").await;
    alice
        .until("the lobby in focus", |screen| last_line(screen) == "alice>")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_reader_is_told_of_and_the_return_too() {
    let scene = Scene::set().await;
    for name in ["alice", "bob"] {
        scene.register(name).await;
    }
    let alice = scene.terminal("alice");
    alice.shows("connected as alice").await;
    alice.type_line("@bob are you there?");
    alice.shows("✓ alice -> ").await;
    alice.shows("does not have it yet").await;
    let mut bob = TestUser::offline(scene.urls(), "bob");
    bob.reconnect().await;
    bob.expect("are you there?").await;
    alice.shows("has everything now").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_text_outlives_the_program_and_is_sent_once() {
    let scene = Scene::set().await;
    scene.register("alice").await;
    let bob = TestUser::register(scene.urls(), "bob").await;
    let alice = scene.terminal("alice");
    alice.shows("connected as alice").await;
    alice.type_line(":delay 3600 never");
    alice.shows("number 1 is sent to lobby at").await;
    alice.type_line(":delay 1800 @bob later");
    alice.shows("number 2 is sent to bob at").await;
    alice.type_line(":delay cancel 1");
    alice.shows("number 1 will not be sent").await;
    alice.type_line(":q");
    alice.shows("left with 0").await;

    come_due(&scene, "alice");
    let alice = scene.terminal("alice");
    alice.shows("came due while you were away").await;
    alice.shows("alice -> bob: later").await;
    bob.expect("later").await;
    alice.type_line(":delay");
    alice.shows("nothing waits").await;
    alice.type_line("@bob the end");
    bob.expect("the end").await;
    assert_eq!(bob.seen_count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_prompt_does_not_wait_for_the_cluster() {
    let scene = Scene::set().await;
    scene.register("alice").await;
    // Nobody answers there.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", silent.local_addr().expect("an address"));
    let command = scene.command("alice").replace(&scene.url, &address);
    // Long enough for all that is typed; without the option it would be ten seconds.
    let alice = Tty::run(&format!("{command} --timeout 5; echo left with $?"));
    alice.shows("alice> ").await;
    alice.type_text("typed early\rand half a line");
    alice.shows("not connected yet").await;
    alice.shows("alice> and half a line").await;
    alice.shows("left with 8").await;
    let lines = alice.lines().join("\n");
    assert!(lines.contains("not sent: typed early"), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_chat_gives_the_terminal_back_and_goes_on() {
    let scene = Scene::set().await;
    scene.register("alice").await;
    let command = scene.command("alice");
    let terminal = Terminal::run("env PS1='shell$ ' bash --norc -i");
    terminal.shows("shell$").await;
    let pid_file = scene.home.file("pid");
    let script = scene.home.file("chat");
    let remembered = format!("echo $$ >{pid_file}; exec {command}\n");
    std::fs::write(&script, remembered).expect("written");
    terminal.type_line(&format!("sh {script}"));
    terminal.shows("connected as alice").await;
    terminal.type_text("half a line");
    terminal.shows("alice> half a line").await;
    terminal.press("C-z");
    terminal.shows("Stopped").await;
    terminal.type_line("stty -a | grep -o -- '-\\?icanon'");
    let is_ordinary = |screen: &str| screen.lines().any(|line| line.trim() == "icanon");
    terminal.until("ordinary modes", is_ordinary).await;
    terminal.type_line("fg");
    terminal
        .until("the line again", |screen| {
            last_line(screen) == "alice> half a line"
        })
        .await;
    // A program that is stopped from outside cannot give the terminal back before.
    let pid = std::fs::read_to_string(pid_file).expect("the process id");
    let stopped = std::process::Command::new("kill")
        .args(["-STOP", pid.trim()])
        .status();
    assert!(stopped.expect("kill runs").success());
    terminal
        .until("the shell", |screen| screen.matches("Stopped").count() == 2)
        .await;
    terminal.type_line("fg");
    terminal
        .until("the line again", |screen| {
            last_line(screen) == "alice> half a line"
        })
        .await;
    terminal.type_line(" and the rest");
    terminal.shows("✓ alice: half a line and the rest").await;
    terminal.type_line(":q");
    terminal
        .until("the shell", |screen| last_line(screen) == "shell$")
        .await;
}
