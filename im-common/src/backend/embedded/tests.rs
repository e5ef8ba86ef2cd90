mod damage;
mod disk_full;
mod kill;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use proptest::prelude::*;

use super::*;
use crate::backend::messages::{MessageStore, Range};
use crate::backend::{Backend, contract};
use crate::id::{ConversationId, DeviceId, LogEpoch, MessageId, Sequence, UserId};
use crate::message::{Draft, Identity, Position};
use crate::name::UserName;
use crate::secret::Secret;
use crate::wire;

fn user(number: u64) -> UserId {
    UserId::new(number).unwrap()
}

fn phone() -> DeviceId {
    DeviceId::new("phone").unwrap()
}

fn conversation() -> ConversationId {
    ConversationId::private(user(1), user(2))
}

fn draft(conversation: &ConversationId, text: &str) -> Draft {
    Draft {
        conversation: conversation.clone(),
        id: MessageId::fresh(),
        sender: Identity {
            user: user(1),
            name: UserName::new("alice").unwrap(),
            device: phone(),
        },
        text: text.to_owned(),
    }
}

async fn texts(backend: &Backend) -> Vec<String> {
    let messages = &backend.messages;
    let page = messages.read(&conversation(), Range::Newest, 100).await;
    page.unwrap().messages.into_iter().map(|m| m.text).collect()
}

async fn run_suites(folder: Option<&Path>) {
    let backend = Backend::embedded(folder).unwrap();
    contract::messages::suite(backend.messages).await;
    contract::directory::suite(backend.directory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_suites_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    run_suites(Some(folder.path())).await;
}

#[tokio::test]
async fn passes_the_suites_without_a_folder() {
    run_suites(None).await;
}

fn reopened(folder: &tempfile::TempDir) -> Backend {
    Backend::embedded(Some(folder.path())).unwrap()
}

#[tokio::test]
async fn reopening_gives_messages_back() {
    let folder = tempfile::tempdir().unwrap();
    let first = draft(&conversation(), "first");
    let positions = [Position {
        conversation: conversation(),
        epoch: LogEpoch(7),
        sequence: Sequence(3),
    }];
    let head = {
        let messages = reopened(&folder).messages;
        let appended = messages.append(vec![first.clone()]).await.remove(0);
        appended.unwrap();
        messages.enlist(&conversation(), &[user(1)]).await.unwrap();
        let advanced = messages.advance(user(1), &phone(), &positions).await;
        advanced.unwrap();
        messages.heads(&[conversation()]).await.unwrap()
    };
    let backend = reopened(&folder);
    let messages = &backend.messages;
    assert_eq!(texts(&backend).await, ["first"]);
    assert_eq!(messages.heads(&[conversation()]).await.unwrap(), head);
    let enlisted = messages.conversations(user(1)).await.unwrap();
    assert_eq!(enlisted, [conversation()]);
    let held = messages.begin(user(1), &phone()).await.unwrap();
    assert_eq!(held, positions);
    let second = draft(&conversation(), "second");
    let again = messages.append(vec![first, second]).await.into_iter();
    let sequences = again.map(|outcome| outcome.unwrap().into_receipt().position.sequence.0);
    assert!(
        sequences.eq([1, 2]),
        "ids and numbers go on where they were"
    );
}

#[tokio::test]
async fn reopening_gives_accounts_and_logins_back() {
    let folder = tempfile::tempdir().unwrap();
    let [alice, bob] = ["Alice", "Bob"].map(|name| UserName::new(name).unwrap());
    let hash = || Secret("hash".to_owned());
    let desk = DeviceId::new("desk").unwrap();
    let (ended, held) = {
        let directory = reopened(&folder).directory;
        directory.register(&alice, hash()).await.unwrap();
        let held = directory.log_in(user(1), &desk, [2; 32]).await.unwrap();
        let ended = directory.log_in(user(1), &phone(), [1; 32]).await.unwrap();
        directory.log_out(user(1), &phone(), ended).await.unwrap();
        (ended, held)
    };
    let directory = reopened(&folder).directory;
    let account = directory.find(&alice).await.unwrap().unwrap();
    assert_eq!((account.user, account.name), (user(1), alice));
    directory.register(&bob, hash()).await.unwrap();
    assert_eq!(directory.name_of(user(2)).await.unwrap(), Some(bob));
    assert_eq!(directory.login(user(1), &phone()).await.unwrap(), None);
    let login = directory.login(user(1), &desk).await.unwrap().unwrap();
    assert_eq!((login.epoch, login.token_digest), (held, [2; 32]));
    let next = directory.log_in(user(1), &phone(), [3; 32]).await.unwrap();
    assert!(next > ended, "also after logging out and a restart");
}

/// Settled ones may come back after a crash, never after an orderly end.
#[tokio::test(start_paused = true)]
async fn unsettled_messages_are_claimed_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let waiting = Duration::from_secs(2);
    {
        let backend = reopened(&folder);
        let drafts = ["one", "two", "three"].map(|text| draft(&conversation(), text));
        let appended = backend.messages.append(drafts.to_vec()).await.remove(1);
        let settled = [appended.unwrap().into_receipt().position];
        backend.messages.settle(&settled).await.unwrap();
    }
    let backend = reopened(&folder);
    tokio::time::advance(waiting * 2).await;
    let claimed = backend.messages.claim_unsettled(waiting, 10).await.unwrap();
    let mut texts: Vec<_> = claimed.into_iter().map(|message| message.text).collect();
    texts.sort();
    assert_eq!(texts, ["one", "three"]);
}

#[tokio::test]
async fn a_folder_in_use_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let _backend = Backend::embedded(Some(folder.path())).unwrap();
    let error = Backend::embedded(Some(folder.path()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("in use by another process"), "{error}");
    assert!(error.contains("choose another folder"), "{error}");
    assert!(error.contains(folder.path().to_str().unwrap()), "{error}");
}

#[test]
fn a_folder_that_cannot_be_is_refused_by_name() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let folder = file.path().join("below-a-file");
    let error = Backend::embedded(Some(&folder)).unwrap_err().to_string();
    assert!(error.contains("cannot use the data folder"), "{error}");
    assert!(error.contains("below-a-file"), "{error}");
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_look_into_the_folder() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("a/b");
    let _backend = Backend::embedded(Some(&folder)).unwrap();
    let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn without_a_folder_nothing_is_left() {
    let store = Store::open(None).unwrap();
    let folder = store._folder.as_ref().unwrap().path().to_owned();
    assert!(folder.is_dir());
    drop(store);
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_change_that_fails_leaves_no_trace_and_stops_nobody() {
    let store = Arc::new(Store::open(None).unwrap());
    let key = || keys::account(user(1));
    let broken = store.write(Durable::Now, move |change| {
        change.insert(key(), *b"half");
        Err::<(), _>(BackendError::damaged("on purpose"))
    });
    let seen = store.write(Durable::Now, move |change| change.get(&key()));
    let (broken, seen) = futures::future::join(broken, seen).await;
    assert!(matches!(broken, Err(BackendError::Damaged(_))));
    assert_eq!(seen.unwrap(), None);
    assert_eq!(store.view().unwrap().get(&key()).unwrap(), None);
}

/// Changes see those before them in the same commit, also under a prefix.
#[tokio::test]
async fn changes_at_once_see_each_other() {
    let store = Arc::new(Store::open(None).unwrap());
    let counted = join_all((0..100).map(|_| {
        store.write(Durable::Now, |change| {
            let key = keys::newest_user();
            let count = change
                .get(&key)?
                .map_or(0, |count| values::user(&count).unwrap().number());
            change.insert(key, values::number(count + 1));
            let mark = keys::mark(&ConversationId::Lobby, Sequence(count));
            change.insert(mark, []);
            Ok(change.prefix(&keys::marks())?.len())
        })
    }));
    let counted: Vec<_> = counted.await.into_iter().map(Result::unwrap).collect();
    assert!(counted.into_iter().eq(1..=100));
    let removed = store.write(Durable::Now, |change| {
        change.remove(keys::mark(&ConversationId::Lobby, Sequence(5)));
        Ok(change.prefix(&keys::marks())?.len())
    });
    assert_eq!(removed.await.unwrap(), 99);
}

/// What is stored makes no sense: the log it is in fails, for appending too, and only that one.
#[tokio::test]
async fn a_damaged_head_stops_its_own_conversation_only() {
    let store = Arc::new(Store::open(None).unwrap());
    let damage = |change: &mut Change<'_>| {
        change.insert(keys::head(&conversation()), *b"nonsense");
        Ok(())
    };
    store.write(Durable::Now, damage).await.unwrap();
    let messages = crate::backend::messages::embedded::EmbeddedMessages::open(store).unwrap();
    let other = ConversationId::Lobby;
    let drafts = vec![
        draft(&conversation(), "lost"),
        draft(&other, "kept"),
        draft(&conversation(), "behind"),
    ];
    let outcomes = messages.append(drafts).await;
    let damaged: Vec<_> = outcomes.iter().map(Result::is_err).collect();
    assert_eq!(damaged, [true, false, true]);
    let read = messages.read(&conversation(), Range::Newest, 1).await;
    assert!(matches!(read, Err(BackendError::Damaged(_))));
}

/// A log must never be shown with a hole.
#[tokio::test]
async fn a_missing_entry_is_damage() {
    let store = Arc::new(Store::open(None).unwrap());
    let messages =
        crate::backend::messages::embedded::EmbeddedMessages::open(Arc::clone(&store)).unwrap();
    let drafts = (0..5).map(|_| draft(&conversation(), "x")).collect();
    messages.append(drafts).await;
    let lose = |change: &mut Change<'_>| {
        change.remove(keys::log_entry(&conversation(), Sequence(3)));
        Ok(())
    };
    store.write(Durable::Now, lose).await.unwrap();
    for range in [
        Range::Newest,
        Range::After(Sequence(0)),
        Range::Before(Sequence(5)),
    ] {
        let read = messages.read(&conversation(), range, 10).await;
        assert!(matches!(read, Err(BackendError::Damaged(_))), "{range:?}");
    }
    let page = messages
        .read(&conversation(), Range::Newest, 2)
        .await
        .unwrap();
    assert_eq!(page.messages.len(), 2, "what is whole can be read");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let at = Position {
            conversation: ConversationId::Lobby,
            epoch: LogEpoch(1),
            sequence: Sequence(1),
        };
        let _ = values::sequence(&bytes);
        let _ = values::user(&bytes);
        let _ = values::parse_position(ConversationId::Lobby, &bytes);
        let _ = values::message(at, &bytes);
        let _ = values::record::<wire::AccountRecord>(&bytes);
        let _ = values::record::<wire::LoginsRecord>(&bytes);
        let _ = keys::parse_mark(&bytes);
        let _ = keys::conversation_behind(&keys::marks(), &bytes);
    }

    #[test]
    fn keys_sort_as_numbers_and_are_read_back(one in 1..1u64 << 53, other in 1..1u64 << 53,
            low in any::<u64>(), high in any::<u64>()) {
        let conversation = ConversationId::private(user(one), user(other));
        let mark = |sequence| keys::mark(&conversation, Sequence(sequence));
        prop_assert_eq!(mark(low).cmp(&mark(high)), low.cmp(&high));
        let (named, sequence) = keys::parse_mark(&mark(low).bytes).unwrap();
        prop_assert_eq!((&named, sequence.0), (&conversation, low));
        let key = keys::enlisted(user(one), &conversation);
        let prefix = keys::enlisted_in(user(one));
        prop_assert_eq!(keys::conversation_behind(&prefix, &key.bytes).unwrap(), conversation);
    }
}
