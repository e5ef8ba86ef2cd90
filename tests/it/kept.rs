//! A program with a store that is killed again and again: a real process, this test binary itself.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use im_client::{Client, FileStore, Message};
use im_tests::cluster::TestCluster;
use im_tests::dice::Dice;
use im_tests::user::PASSWORD;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// What the program is told by its environment.
const ROUTE: &str = "KEPT_PROGRAM_ROUTE";
const FOLDER: &str = "KEPT_PROGRAM_FOLDER";

const MESSAGES: usize = 600;
const KILLS: usize = 8;
/// When it is killed, to the millisecond; what it is at by then is chance in any case.
const SEED: u64 = 4;

/// Not a test: the program that is killed. It notes what it handles, and answers it.
#[tokio::test(flavor = "multi_thread")]
async fn program() {
    let (Ok(route), Ok(folder)) = (std::env::var(ROUTE), std::env::var(FOLDER)) else {
        return;
    };
    let folder = Path::new(&folder);
    let notes = OpenOptions::new()
        .append(true)
        .create(true)
        .open(folder.join("notes"))
        .expect("notes");
    let handler = move |client: Client, message: Message| {
        writeln!(&notes, "{}", message.text).expect("noted");
        // On its way, whatever happens to this program.
        drop(client.reply(&message, format!("re {}", message.text)));
        std::future::ready(())
    };
    let store = FileStore::new(folder.join("store"));
    let client = Client::builder()
        .route(route)
        .user("bob")
        .password(PASSWORD)
        .device("program")
        .connect_timeout(im_tests::PATIENCE)
        .store(store)
        .handler(handler)
        .connect()
        .await
        .expect("connected");
    client.ended().await;
}

fn start(route: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().expect("a test knows its own path"))
        .args(["--exact", "kept::program", "--nocapture"])
        .env(ROUTE, route)
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the program starts")
}

fn notes(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("notes")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// How often each text is there.
fn counted(texts: impl IntoIterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for text in texts {
        *counted.entry(text).or_default() += 1;
    }
    counted
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(im_tests::PATIENCE, waiting)
        .await
        .unwrap_or_else(|_| panic!("never {what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_killed_handles_and_answers_each_message_once() {
    let cluster = TestCluster::embedded().await;
    let [alice, mut bob] = cluster.users(["alice", "bob"]).await;
    // Else the program's device might begin behind what this one has handled.
    bob.disconnect().await;
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let route = &cluster.urls(0)[0];
    let mut dice = Dice::new(SEED);

    let mut program = start(route, folder);
    alice.send(&bob, "0").await;
    until("began", || !notes(folder).is_empty()).await;
    let sendings: Vec<_> = (1..MESSAGES)
        .map(|number| alice.client().send(bob.address(), number.to_string()))
        .collect();
    for kill in 0..KILLS {
        let enough = (kill + 1) * MESSAGES / (KILLS + 2);
        until("went on", || notes(folder).len() >= enough).await;
        sleep(Duration::from_millis(dice.below(20) as u64)).await;
        program.kill().await.expect("killed");
        program = start(route, folder);
    }
    for sending in sendings {
        sending.await.expect("accepted");
    }
    let last = format!("re {}", MESSAGES - 1);
    alice.expect(&last).await;
    program.kill().await.expect("killed");

    let noted = notes(folder);
    let once = counted(noted.clone());
    assert_eq!(once.len(), MESSAGES, "none is missing");
    let again: usize = once.values().map(|count| count - 1).sum();
    assert!(again <= KILLS, "{again} handled again after {KILLS} kills");
    let mut in_order: Vec<usize> = noted
        .iter()
        .map(|text| text.parse().expect("a number"))
        .collect();
    in_order.dedup();
    assert!(in_order.is_sorted(), "{in_order:?}");

    let answers = counted(alice.seen().into_iter().map(|message| message.text));
    assert_eq!(answers.len(), MESSAGES, "each is answered");
    let twice: usize = answers.values().map(|count| count - 1).sum();
    assert!(
        twice <= again,
        "{twice} answered again, {again} handled again"
    );
}
