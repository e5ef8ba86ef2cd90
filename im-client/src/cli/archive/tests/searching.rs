//! What is found, by which words, and in which order.

use im_common::id::Sequence;
use im_common::name::UserName;
use proptest::prelude::*;

use super::{Scene, fill, message, private, record, texts};
use crate::Message;
use crate::cli::archive::database::Database;
use crate::cli::archive::words::words;
use crate::cli::archive::{QUEUE_MAX, Query};
use crate::cli::fixture::user;

#[tokio::test]
async fn filters_narrow_the_search() {
    let scene = Scene::set();
    let archive = scene.open();
    let carol = Message {
        sender: user(3),
        sender_name: UserName::new("carol").unwrap(),
        ..private(5, 3, "note five")
    };
    record(
        &archive,
        [
            message(1, 1, "note one"),
            message(1, 200_000, "Notes later"),
            private(4, 2, "note four"),
            carol,
        ],
    )
    .await;
    for (typed, expected) in [
        (
            "note",
            &["note one", "note four", "note five", "Notes later"][..],
        ),
        ("no", &["note one", "note four", "note five", "Notes later"]),
        ("note from:BOB", &["note one", "note four", "Notes later"]),
        ("from:@carol", &["note five"]),
        ("from:3", &["note five"]),
        ("in:lobby note", &["note one", "Notes later"]),
        ("in:bob", &["note four"]),
        ("in:carol from:bob", &[]),
        ("note from:dave", &[]),
        ("after:1970-01-02T12:00 note", &["Notes later"]),
        ("note four", &["note four"]),
        ("\"four note\"", &[]),
        ("ote", &[]),
    ] {
        assert_eq!(texts(&archive, typed).await, expected, "{typed}");
    }
}

#[tokio::test]
async fn any_run_of_chinese_is_found() {
    let scene = Scene::set();
    let archive = scene.open();
    record(
        &archive,
        [
            message(1, 1, "今天我们部署新版本。"),
            message(1, 2, "天今"),
            message(1, 3, "Привет, Мир"),
        ],
    )
    .await;
    for (typed, expected) in [
        ("天我", &["今天我们部署新版本。"][..]),
        ("部署 版本", &["今天我们部署新版本。"]),
        ("今", &["今天我们部署新版本。", "天今"]),
        ("прив", &["Привет, Мир"]),
        ("м", &["Привет, Мир"]),
    ] {
        assert_eq!(texts(&archive, typed).await, expected, "{typed}");
    }
}

#[tokio::test]
async fn matches_come_page_by_page_the_newest_first() {
    let scene = Scene::set();
    let archive = scene.open();
    // Recorded as they are looked back at: not in the order of time.
    let mut all: Vec<Message> = (1..=25).map(|n| message(1, n, &format!("m {n}"))).collect();
    all.rotate_left(10);
    record(&archive, all).await;
    let query = "m".parse().unwrap();
    let (mut next, mut pages) = (None, Vec::new());
    loop {
        let found = archive.search(&query, next, 10).await.unwrap();
        pages.push(
            found
                .messages
                .iter()
                .map(|m| m.sequence.0)
                .collect::<Vec<_>>(),
        );
        next = found.next;
        if next.is_none() {
            break;
        }
    }
    let expected: [Vec<u64>; 3] = [(16..=25).collect(), (6..=15).collect(), (1..=5).collect()];
    assert_eq!(pages, expected);
}

/// Words of several scripts.
const VOCABULARY: &[&str] = &[
    "deploy",
    "release",
    "server",
    "naïve",
    "привет",
    "мир",
    "שלום",
    "مرحبا",
    "नमस्ते",
    "안녕하세요",
    "你好",
    "世界",
    "部署",
    "こんにちは",
    "สวัสดี",
    "👍",
];

#[test]
fn a_hundred_thousand_of_many_scripts_are_found() {
    let scene = Scene::set();
    let mut dice = 1_u64;
    let mut pick = move || {
        // Marsaglia's xorshift: the same texts in every run.
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        VOCABULARY[usize::try_from(dice % VOCABULARY.len() as u64).unwrap()]
    };
    let mut expected = std::collections::BTreeMap::new();
    let mut texts: Vec<String> = Vec::new();
    for n in 0..100_000 {
        let (a, b) = (pick(), pick());
        texts.push(format!("{a} {b} {n}"));
        *expected.entry(a).or_insert(0) += 1;
        *expected.entry(b).or_insert(0) += usize::from(a != b);
    }
    for (at, chunk) in texts.chunks(QUEUE_MAX).enumerate() {
        let first = (at * QUEUE_MAX) as u64 + 1;
        let of = |(n, text): (usize, &String)| message(1, first + n as u64, text);
        fill(&scene.path(), chunk.iter().enumerate().map(of));
    }
    let database = Database::open(&scene.path()).unwrap();
    for (word, count) in expected {
        let found = database
            .search(&word.parse().unwrap(), None, 100_000)
            .unwrap();
        assert_eq!(found.messages.len(), count, "{word}");
    }
    let last = database
        .search(&"99999".parse().unwrap(), None, 10)
        .unwrap();
    assert_eq!(last.messages[0].sequence, Sequence(100_000));
}

/// Whether the first message is found by a word, and the word in its text.
fn is_found(database: &Database, word: &str, text: &str) -> bool {
    let query: Query = format!("\"{word}\"").parse().unwrap();
    let found = database.search(&query, None, 2).unwrap().messages;
    found.iter().any(|message| message.sequence == Sequence(1)) && !query.matches(text).is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_recorded_is_found_by_each_of_its_words(text in any::<String>()) {
        let scene = Scene::set();
        fill(&scene.path(), [message(1, 1, &text), message(1, 2, "another")]);
        let database = Database::open(&scene.path()).unwrap();
        for word in words(&text) {
            prop_assert!(is_found(&database, &text[word.at.clone()], &text), "{word:?}");
        }
    }

    #[test]
    fn what_is_recorded_is_found_by_the_beginnings_of_its_words(
        text in "([A-Za-zÀ-ÿΑ-Ωа-я가-힣]{1,8}[ ,.:-]{1,2}|[一-龥あ-ん]){1,6}",
    ) {
        let scene = Scene::set();
        fill(&scene.path(), [message(1, 1, &text)]);
        let database = Database::open(&scene.path()).unwrap();
        for word in words(&text) {
            let word = &text[word.at];
            for (end, _) in word.char_indices().skip(1) {
                prop_assert!(is_found(&database, &word[..end], &text), "{word:?} to {end}");
            }
        }
    }

    #[test]
    fn no_question_breaks_the_index(typed in any::<String>()) {
        let scene = Scene::set();
        fill(&scene.path(), [message(1, 1, "x")]);
        let database = Database::open(&scene.path()).unwrap();
        if let Ok(query) = typed.parse::<Query>() {
            prop_assert!(database.search(&query, None, 2).is_ok(), "{typed:?}");
        }
    }
}
