use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use im_common::id::{ConversationId, DeviceId, LogEpoch, MessageId, Sequence, UserId};
use im_common::name::UserName;
use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;

use super::database::Database;
use super::words::words;
use super::*;

/// A folder with an archive in it.
struct Scene {
    folder: TempDir,
}

impl Scene {
    fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("a.db")
    }

    fn open(&self) -> Archive {
        Archive::open(&self.path()).unwrap()
    }

    fn files(&self) -> usize {
        fs::read_dir(self.folder.path()).unwrap().count()
    }
}

fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

fn reader() -> Identity {
    Identity {
        user: user(1),
        name: UserName::new("alice").unwrap(),
        device: DeviceId::new("laptop").unwrap(),
    }
}

/// A message in the lobby, from bob, accepted `sequence` seconds after 1970.
fn message(epoch: u64, sequence: u64, text: &str) -> Message {
    Message {
        id: MessageId::fresh(),
        conversation: ConversationId::Lobby,
        sequence: Sequence(sequence),
        epoch: LogEpoch(epoch),
        sender: user(2),
        sender_name: UserName::new("Bob").unwrap(),
        sender_device: Some(DeviceId::new("phone").unwrap()),
        accepted_at_ms: sequence * 1000,
        text: text.to_owned(),
    }
}

fn private(sequence: u64, peer: u64, text: &str) -> Message {
    Message {
        conversation: ConversationId::private(user(1), user(peer)),
        ..message(1, sequence, text)
    }
}

async fn record(archive: &Archive, messages: impl IntoIterator<Item = Message>) {
    for message in messages {
        archive.record(&reader(), message).await;
    }
}

async fn texts(archive: &Archive, typed: &str) -> Vec<String> {
    let found = archive.search(&typed.parse().unwrap(), None, 100).await;
    let messages = found.unwrap().messages.into_iter();
    messages.map(|message| message.text).collect()
}

async fn lobby(archive: &Archive) -> Vec<(u64, u64, String)> {
    let part = Part {
        before: None,
        before_ms: None,
        limit: 9999,
    };
    let part = archive.part(&ConversationId::Lobby, part).await.unwrap();
    let line = |message: Message| (message.sequence.0, message.epoch.0, message.text);
    part.into_iter().map(line).collect()
}

#[tokio::test]
async fn what_is_recorded_is_there_in_another_run() {
    let scene = Scene::set();
    let sent = message(7, 1, "hello\u{1b}[2J");
    let archive = scene.open();
    record(&archive, [sent.clone(), sent.clone()]).await;
    archive.close().await;
    let archive = scene.open();
    record(&archive, [sent.clone()]).await;
    let found = archive.search(&"hello".parse().unwrap(), None, 9).await;
    let found = found.unwrap();
    assert_eq!(found.messages, [sent]);
    assert_eq!(found.next, None);
    assert_eq!(archive.owner().await.unwrap(), Some(user(1)));
}

#[tokio::test]
async fn only_its_user_may_read_it() {
    let scene = Scene::set();
    let archive = scene.open();
    record(&archive, [message(1, 1, "secret")]).await;
    assert_eq!(texts(&archive, "secret").await.len(), 1);
    for file in fs::read_dir(scene.folder.path()).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

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

#[tokio::test]
async fn what_is_said_within_a_millisecond_stays_in_order() {
    let scene = Scene::set();
    let archive = scene.open();
    let at_once = |message: Message| Message {
        accepted_at_ms: 7,
        ..message
    };
    // The second page of looking back holds what was said before.
    let places = [3, 4, 1, 2];
    let lobby = places.map(|n| at_once(message(1, n, &format!("lobby {n}"))));
    let elsewhere = places.map(|n| at_once(private(n, 2, &format!("private {n}"))));
    record(&archive, lobby.into_iter().chain(elsewhere)).await;
    let expected = ["lobby 1", "lobby 2", "lobby 3", "lobby 4"];
    assert_eq!(texts(&archive, "lobby").await, expected);
    assert_eq!(texts(&archive, "private").await.len(), 4);
}

#[tokio::test]
async fn what_the_log_lost_goes() {
    let scene = Scene::set();
    let archive = scene.open();
    let kept = message(1, 2, "kept");
    record(
        &archive,
        [
            message(1, 1, "first"),
            kept.clone(),
            message(1, 3, "lost"),
            message(1, 4, "lost too"),
        ],
    )
    .await;
    // The page of the new epoch overlaps with what is held.
    let again = Message {
        epoch: LogEpoch(2),
        ..kept
    };
    record(
        &archive,
        [again, message(2, 3, "new"), message(1, 3, "late")],
    )
    .await;
    let held = [(1, 1, "first"), (2, 2, "kept"), (3, 2, "new")];
    let held = held.map(|(sequence, epoch, text)| (sequence, epoch, text.to_owned()));
    assert_eq!(lobby(&archive).await, held);
    assert!(texts(&archive, "lost").await.is_empty());
    assert!(texts(&archive, "late").await.is_empty());
}

#[tokio::test]
async fn a_log_that_began_anew_leaves_the_earlier_one_to_be_found() {
    let scene = Scene::set();
    let archive = scene.open();
    record(
        &archive,
        [message(1, 5, "old five"), message(1, 6, "old six")],
    )
    .await;
    // Told by the cluster: nothing is held at its first places.
    archive.reset(ConversationId::Lobby).await;
    record(
        &archive,
        [message(2, 1, "new one"), message(2, 2, "new two")],
    )
    .await;
    // Another process was told as well, of the same.
    archive.reset(ConversationId::Lobby).await;
    record(
        &archive,
        [message(2, 2, "new two"), message(2, 3, "new three")],
    )
    .await;
    // Not told: this log holds other messages from its first place on.
    record(&archive, [message(3, 1, "newest")]).await;
    assert_eq!(lobby(&archive).await, [(1, 3, "newest".to_owned())]);
    assert_eq!(texts(&archive, "old").await, ["old five", "old six"]);
    assert_eq!(texts(&archive, "new in:lobby").await.len(), 4);
}

#[tokio::test]
async fn a_run_ends_at_a_gap_and_at_an_earlier_epoch() {
    let scene = Scene::set();
    let archive = scene.open();
    let places = [(1, 1), (1, 2), (2, 3), (2, 4), (2, 6), (2, 7)];
    record(
        &archive,
        places.map(|(epoch, sequence)| message(epoch, sequence, "x")),
    )
    .await;
    for (before, limit, expected) in [
        (8, 9, &[6, 7][..]),
        (8, 1, &[7]),
        (5, 9, &[3, 4]),
        (6, 9, &[]),
        (3, 9, &[]),
    ] {
        let before = (LogEpoch(2), Sequence(before));
        let run = archive.run(&ConversationId::Lobby, before, limit).await;
        let run: Vec<u64> = run.unwrap().iter().map(|m| m.sequence.0).collect();
        assert_eq!(run, expected, "before {before:?}");
    }
}

#[tokio::test]
async fn a_full_queue_makes_its_writers_wait() {
    let scene = Scene::set();
    let archive = scene.open();
    let count = QUEUE_MAX as u64 * 5;
    record(&archive, (1..=count).map(|n| message(1, n, "flood"))).await;
    let found = archive.search(&"flood".parse().unwrap(), None, 9999).await;
    assert_eq!(found.unwrap().messages.len() as u64, count);
}

/// Fills a file without a thread, and closes it.
fn fill(path: &Path, messages: impl IntoIterator<Item = Message>) {
    let entries = messages.into_iter();
    let entries: Vec<Entry> = entries
        .map(|message| Entry::Message(Box::new(message)))
        .collect();
    Database::open(path)
        .unwrap()
        .record(user(1), &entries)
        .unwrap();
}

#[tokio::test]
async fn a_damaged_file_is_put_aside_and_told() {
    let no_database = |_| vec![b'x'; 5000];
    let broken_tables = |mut content: Vec<u8>| {
        content[4096..].fill(0xee);
        content
    };
    let damages: [fn(Vec<u8>) -> Vec<u8>; 2] = [no_database, broken_tables];
    for damage in damages {
        let scene = Scene::set();
        fill(&scene.path(), (1..100).map(|n| message(1, n, "before")));
        let damaged = damage(fs::read(scene.path()).unwrap());
        fs::write(scene.path(), &damaged).unwrap();
        let mut archive = scene.open();
        record(&archive, [message(1, 100, "after")]).await;
        assert_eq!(texts(&archive, "after").await, ["after"]);
        let Trouble::Damaged(kept) = archive.trouble().await else {
            panic!("another trouble");
        };
        assert_eq!(fs::read(kept).unwrap(), damaged);
    }
}

#[tokio::test]
async fn damage_that_a_question_finds_is_put_aside_as_well() {
    let scene = Scene::set();
    fill(&scene.path(), [message(1, 1, "before")]);
    let connection = Connection::open(scene.path()).unwrap();
    connection
        .execute("UPDATE message SET name = x'00'", [])
        .unwrap();
    drop(connection);
    let mut archive = scene.open();
    let query: Query = "before".parse().unwrap();
    assert!(archive.search(&query, None, 1).await.is_err());
    assert!(matches!(archive.trouble().await, Trouble::Damaged(_)));
    assert!(texts(&archive, "before").await.is_empty());
}

#[tokio::test]
async fn another_account_of_the_same_name_gets_an_archive_of_its_own() {
    let scene = Scene::set();
    fill(&scene.path(), [message(1, 1, "of the first")]);
    let mut archive = scene.open();
    let second = Identity {
        user: user(9),
        ..reader()
    };
    archive
        .record(&second, message(1, 1, "of the second"))
        .await;
    assert_eq!(texts(&archive, "of").await, ["of the second"]);
    assert!(matches!(archive.trouble().await, Trouble::AnotherAccount(kept) if kept.exists()));
}

#[tokio::test]
async fn a_file_of_a_later_version_is_left_alone() {
    let scene = Scene::set();
    fill(&scene.path(), [message(1, 1, "x")]);
    let connection = Connection::open(scene.path()).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let mut archive = scene.open();
    record(&archive, [message(1, 2, "y")]).await;
    let Trouble::Unusable(why) = archive.trouble().await else {
        panic!("another trouble");
    };
    assert!(why.contains("later version"), "{why}");
    assert!(
        archive
            .search(&"y".parse().unwrap(), None, 1)
            .await
            .is_err()
    );
    assert_eq!(scene.files(), 1);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_told_once() {
    let mut archive = Archive::open(Path::new("/nowhere/at/all.db")).unwrap();
    record(&archive, [message(1, 1, "x")]).await;
    assert!(matches!(archive.trouble().await, Trouble::Unusable(_)));
    record(&archive, [message(1, 2, "x")]).await;
    assert_eq!(archive.clone().close().await, None);
    let told_again = tokio::time::timeout(Duration::ZERO, archive.trouble());
    assert!(told_again.await.is_err());
}

#[tokio::test]
async fn several_write_at_once() {
    let scene = Scene::set();
    let archives: Vec<Archive> = (0..4).map(|_| scene.open()).collect();
    // Each brings what another one brings as well.
    let all: Vec<Message> = (1..=2000)
        .map(|n| message(1, n, &format!("w{n}")))
        .collect();
    let writing = archives.iter().enumerate().map(|(at, archive)| {
        let mine = all.iter().skip(at * 400).take(800).cloned();
        record(archive, mine)
    });
    futures::future::join_all(writing).await;
    for archive in archives {
        archive.close().await;
    }
    let archive = scene.open();
    let held: Vec<u64> = lobby(&archive).await.iter().map(|(at, ..)| *at).collect();
    assert!(held.iter().copied().eq(1..=2000), "{} held", held.len());
    assert_eq!(texts(&archive, "w1999").await, ["w1999"]);
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
