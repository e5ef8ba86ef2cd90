//! Moving house: `im-admin import-cim` on a Redis that is filled as CIM fills it.

use im_common::backend::messages::Range;
use im_common::backend::{RedisConfig, STORE_FOLDER, Stores};
use im_common::id::{ConversationId, Sequence, UserId};
use im_common::name::UserName;
use im_tests::cim::{Account, CimStore};
use im_tests::process::{Ended, Process};
use im_tests::services::Redis;
use redis::cmd;
use serde_json::Value;

/// Ids as CIM gives them: milliseconds since 1970.
const ALICE: i64 = 1_547_028_929_407;
const BOB: i64 = 1_547_028_929_999;

fn user(id: i64) -> UserId {
    UserId::new(id.unsigned_abs()).expect("a valid id")
}

fn name(name: &str) -> UserName {
    UserName::new(name).expect("a valid name")
}

async fn stores(redis: &Redis) -> Stores {
    let config = RedisConfig {
        urls: vec![redis.url()],
        prefix: "im".to_owned(),
    };
    Stores::in_redis(&config).await.expect("Redis answers")
}

/// Runs the import; returns its exit code and the last two lines, and how it ended.
async fn import(cim: &CimStore, options: &[&str]) -> (Option<i32>, String, Ended) {
    let from = format!("--from={}", cim.url());
    let args: Vec<&str> = ["import-cim", &from]
        .into_iter()
        .chain(options.iter().copied())
        .collect();
    let ended = Process::start("im-admin", &args).await.ended().await;
    let last = ended.stdout.len().saturating_sub(2);
    (ended.code(), ended.stdout[last..].join("; "), ended)
}

async fn texts(stores: &Stores, conversation: &ConversationId) -> Vec<(UserId, String)> {
    let mut texts = Vec::new();
    loop {
        // A page is bounded by the length of its texts too.
        let rest = Range::After(Sequence(texts.len() as u64));
        let page = stores.messages.read(conversation, rest, 100).await;
        let messages = page.expect("the store answers").messages;
        if messages.is_empty() {
            return texts;
        }
        let messages = messages.into_iter();
        texts.extend(messages.map(|message| (message.sender.user, message.text)));
    }
}

async fn filled() -> (CimStore, [Account; 2]) {
    let cim = CimStore::start().await;
    let alice = cim.register(ALICE, "alice").await;
    let bob = cim.register(BOB, "bob").await;
    // What else is there while CIM serves.
    cim.run(cmd("SADD").arg("login-status").arg(ALICE)).await;
    let mut route = cmd("SET");
    route.arg(format!("cim-route:{ALICE}"));
    cim.run(route.arg("10.0.0.1:11211:8081")).await;
    (cim, [alice, bob])
}

#[tokio::test(flavor = "multi_thread")]
async fn users_keep_their_numbers_and_what_waits_for_them() {
    let (cim, [alice, bob]) = filled().await;
    let carol = cim.register(7, "carol").await;
    cim.wait(1, &alice, BOB, "one").await;
    cim.wait(2, &carol, BOB, "from another").await;
    cim.wait(3, &alice, BOB, "two").await;
    cim.wait(4, &bob, 7, "x".repeat(200_000)).await;
    let (before, redis) = (cim.changes().await, Redis::start().await);
    let redis_option = format!("--redis={}", redis.url());
    let (code, said, ended) = import(&cim, &[&redis_option]).await;
    assert_eq!(code, Some(0), "{ended:?}");
    assert_eq!(
        said,
        "accounts: 3 imported, 0 there already, 0 left out; \
         messages: 7 imported, 0 there already, 0 left out"
    );
    assert_eq!(cim.changes().await, before, "the source is only read");

    let stores = stores(&redis).await;
    for (id, text) in [(ALICE, "alice"), (BOB, "bob"), (7, "carol")] {
        let found = stores.directory.find(&name(text)).await.unwrap().unwrap();
        assert_eq!(found.user, user(id));
        assert_eq!(found.password_hash.0, "");
        let known = stores.directory.name_of(user(id)).await.unwrap();
        assert_eq!(known, Some(name(text)));
    }
    let both = ConversationId::private(user(ALICE), user(BOB));
    let waiting = [
        (user(ALICE), "one".to_owned()),
        (user(ALICE), "two".to_owned()),
    ];
    assert_eq!(texts(&stores, &both).await, waiting);
    let long = texts(&stores, &ConversationId::private(user(BOB), user(7))).await;
    let of_bob = long.into_iter().filter(|(sender, _)| *sender == user(BOB));
    let whole: String = of_bob.map(|(_, text)| text).collect();
    assert_eq!(whole.len(), 200_000, "a text too long becomes several");
    let mut waits_for_bob = stores.messages.conversations(user(BOB)).await.unwrap();
    waits_for_bob.sort();
    let with_carol = ConversationId::private(user(7), user(BOB));
    assert_eq!(waits_for_bob, [with_carol, both]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_repeated() {
    let (cim, [alice, _]) = filled().await;
    cim.wait(1, &alice, BOB, "one").await;
    let redis = Redis::start().await;
    let redis_option = format!("--redis={}", redis.url());
    let (code, said, ended) = import(&cim, &[&redis_option, "--accounts-only"]).await;
    assert_eq!(code, Some(0), "{ended:?}");
    assert_eq!(
        said,
        "accounts: 2 imported, 0 there already, 0 left out; \
         messages: 0 imported, 0 there already, 0 left out"
    );
    // CIM serves on meanwhile.
    cim.register(8, "dave").await;
    cim.wait(2, &alice, BOB, "two").await;
    for (imported, known) in [(2, 0), (0, 2)] {
        let (_, said, _) = import(&cim, &[&redis_option]).await;
        let messages = format!("messages: {imported} imported, {known} there already, 0 left out");
        assert!(said.ends_with(&messages), "{said}");
    }
    let both = ConversationId::private(user(ALICE), user(BOB));
    assert_eq!(texts(&stores(&redis).await, &both).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_imported_is_told_and_stops_nothing() {
    let (cim, [alice, bob]) = filled().await;
    let nameless = cim.register(9, "two words").await;
    // Of names that look alike one can be had, whichever comes first.
    cim.register(10, "carol").await;
    cim.register(12, "CAROL").await;
    // Each of these stops CIM from delivering anything behind it.
    cim.wait(1, &alice, BOB, Value::Null).await;
    cim.wait(2, &alice, BOB, "").await;
    cim.wait(3, &nameless, BOB, "from nobody").await;
    cim.wait(4, &alice, 4711, "for nobody").await;
    let mut poison = cmd("SET");
    cim.run(poison.arg("offline:msg:5").arg("cim-account:5\u{1b}[2J"))
        .await;
    let list = format!("offline:msg:user:{BOB}");
    cim.run(cmd("RPUSH").arg(&list).arg("5\u{1b}[2J").arg(5))
        .await;
    cim.run(cmd("SET").arg("offline:msg:user:1").arg("a name"))
        .await;
    cim.run(cmd("LPUSH").arg("cim-account:11").arg("a list"))
        .await;
    cim.wait(6, &bob, ALICE, "expired").await;
    cim.expire(6).await;
    cim.wait(7, &alice, BOB, "behind all that").await;
    let redis = Redis::start().await;
    let redis_option = format!("--redis={}", redis.url());
    let (code, said, ended) = import(&cim, &[&redis_option]).await;
    assert_eq!(code, Some(3), "{ended:?}");
    assert_eq!(
        said,
        "accounts: 3 imported, 0 there already, 3 left out; \
         messages: 1 imported, 0 there already, 5 left out, 2 expired in CIM"
    );
    for line in [
        r#"left out: account "9" "two words": a name has only letters"#,
        r#"left out: message "1" for "1547028929999": it has no text"#,
        r#"left out: message "3" for "1547028929999": its sender, 9, has no account here"#,
        r#"left out: message "4" for "4711": there is no such account here"#,
        r#"left out: message "5" for "1547028929999": it is not what CIM stores"#,
    ] {
        let is_there = ended.stdout.iter().any(|said| said.starts_with(line));
        assert!(is_there, "{line}: {:#?}", ended.stdout);
    }
    let is_plain = |line: &String| !line.contains('\u{1b}');
    assert!(ended.stdout.iter().all(is_plain), "hostile text is quoted");
    let both = ConversationId::private(user(ALICE), user(BOB));
    let arrived = [(user(ALICE), "behind all that".to_owned())];
    assert_eq!(texts(&stores(&redis).await, &both).await, arrived);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standalone_takes_them_in_too() {
    let (cim, [alice, _]) = filled().await;
    cim.wait(1, &alice, BOB, "hello").await;
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = format!("--data-dir={}", folder.path().display());
    let (code, _, ended) = import(&cim, &[&data_dir]).await;
    assert_eq!(code, Some(2), "there is no store yet: {ended:?}");
    assert!(ended.stderr.contains("start im-standalone"), "{ended:?}");

    let options = [
        "--headless",
        &data_dir,
        "--route-listen=127.0.0.1:0",
        "--server-listen=127.0.0.1:0",
    ];
    let mut standalone = Process::start("im-standalone", &options).await;
    standalone.ready().await;
    let (code, _, ended) = import(&cim, &[&data_dir]).await;
    assert_eq!(code, Some(1), "it runs: {ended:?}");
    standalone.signal("TERM").await;
    standalone.ended().await;

    let (code, _, ended) = import(&cim, &[&data_dir]).await;
    assert_eq!(code, Some(0), "{ended:?}");
    let stores = Stores::in_folder(&folder.path().join(STORE_FOLDER)).expect("nobody has it open");
    let both = ConversationId::private(user(ALICE), user(BOB));
    assert_eq!(texts(&stores, &both).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cim_that_is_not_there_is_named_without_its_password() {
    let redis = Redis::start().await;
    let options = [
        "import-cim",
        "--from=redis://:hunter2@127.0.0.1:1",
        &format!("--redis={}", redis.url()),
    ];
    let ended = Process::start("im-admin", &options).await.ended().await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("127.0.0.1:1"), "{ended:?}");
    assert!(!ended.stderr.contains("hunter2"), "{ended:?}");
}
