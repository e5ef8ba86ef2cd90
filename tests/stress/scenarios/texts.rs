//! Texts of every kind arrive as they were sent.

use im_client::{SendError, TEXT_BYTES_MAX};
use im_common::code::Code;
use im_common::message::Recipient;
use im_common::name::UserName;

use crate::scenario::{ONE, PAIR, Scenario, scenario};
use crate::world::World;

pub(crate) const ALL: &[Scenario] = &[
    scenario!(
        PAIR,
        hostile_texts,
        "texts that would harm a terminal, a log, a parser"
    ),
    scenario!(
        PAIR,
        texts_at_the_bound,
        "the largest text, and one byte more"
    ),
    scenario!(ONE, random_texts, "texts of any characters and any length"),
    scenario!(
        ONE,
        refusals_do_not_block,
        "messages that are refused for good among others"
    ),
];

const HOSTILE: [&str; 14] = [
    "\u{1b}]52;c;aGk=\u{7}",
    "\u{1b}[2J\u{1b}[21t",
    "\u{0}\u{1}\u{7f}\u{9b}31m",
    "line\r\nline\n\n\u{2028}\u{2029}",
    "\u{202e}txt.exe\u{2066}",
    "\u{200b}\u{feff}\u{200d}",
    "'; DROP TABLE messages; --",
    "{\"code\": 4010}",
    "${jndi:ldap://127.0.0.1/x}",
    "%s%n%x",
    "<script>alert(1)</script>",
    "Z\u{351}\u{36b}\u{343}\u{36a}\u{302}\u{36b}\u{33d}",
    "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
    "\u{10ffff}\u{e000}\u{fffd}",
];

async fn hostile_texts(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    for text in HOSTILE {
        world[alice].send_text(world.to(bob), text);
        world[bob].send_text(Recipient::Lobby, &text.repeat(200));
    }
    world.settle().await;
}

async fn texts_at_the_bound(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    // "0@one " and "1@one " stand before what is said.
    let most = "x".repeat(TEXT_BYTES_MAX - "0@one ".len());
    let over = "x".repeat(TEXT_BYTES_MAX - "1@one ".len() + 1);
    let sent = world[alice].send_and_wait(world.to(bob), &most).await;
    sent.expect("the largest text is accepted");
    let sent = world[alice].send_and_wait(world.to(bob), &over).await;
    assert_eq!(code(sent), Some(Code::TEXT_TOO_LONG));
    let empty = world[alice].client().send(Recipient::Lobby, "").await;
    assert_eq!(code(empty), Some(Code::TEXT_EMPTY));
    for _ in 0..10 {
        world[bob].send_padded(Recipient::Lobby, TEXT_BYTES_MAX - 100);
    }
}

fn code<T>(sent: Result<T, SendError>) -> Option<Code> {
    sent.err().and_then(|error| error.code())
}

async fn random_texts(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    for _ in 0..150 {
        let length = world.dice.below(2000);
        let bytes = world.dice.bytes(length);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        world[alice].send_text(world.to(bob), &text);
    }
    world.settle().await;
}

async fn refusals_do_not_block(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    let nobody = Recipient::Name(UserName::new("nobody").expect("a valid name"));
    for _ in 0..30 {
        world[alice].send(world.to(bob));
        world[alice].send(nobody.clone());
        world[alice].send(Recipient::Lobby);
    }
    world.settle().await;
    let verdict = world.history.verdict();
    assert_eq!((verdict.accepted, verdict.refused), (60, 30), "{verdict}");
}
