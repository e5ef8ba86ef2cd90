//! What every store must do, run over those of the library and one of an integrator.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use im_common::id::{ConversationId, DeviceId, LogEpoch, MessageId, Sequence, UserId};
use im_common::message::{Identity, Position, Recipient};
use im_common::name::UserName;

use super::{
    Change, Contents, FileStore, MemoryStore, PendingSend, Store, StoreError, StoreErrorKind,
};

pub(super) fn owner() -> Identity {
    Identity {
        user: UserId::new(1).unwrap(),
        name: UserName::new("alice").unwrap(),
        device: DeviceId::new("here").unwrap(),
    }
}

pub(super) fn handled(peer: u64, epoch: u64, sequence: u64) -> Change {
    let user = |id| UserId::new(id).unwrap();
    Change::Handled(Position {
        conversation: ConversationId::private(user(1), user(peer)),
        epoch: LogEpoch(epoch),
        sequence: Sequence(sequence),
    })
}

pub(super) fn send(to: &str, text: &str) -> PendingSend {
    let to: Recipient = to.parse().unwrap();
    PendingSend::new(MessageId::fresh(), to, text.to_owned(), 1_800_000_000_000)
}

/// Contents in an order that can be compared.
pub(super) fn sorted(mut contents: Contents) -> Contents {
    let order = |one: &Position, other: &Position| one.conversation.cmp(&other.conversation);
    contents.positions.sort_by(order);
    contents
}

/// What is kept after these changes, by the words of the contract.
pub(super) fn after(changes: &[Change]) -> Contents {
    let mut contents = Contents::default();
    for change in changes {
        match change {
            Change::Handled(position) => {
                let other = |known: &Position| known.conversation != position.conversation;
                contents.positions.retain(other);
                contents.positions.push(position.clone());
            }
            Change::Sending(send) => contents.sends.push(send.clone()),
            Change::Ended(id) => contents.sends.retain(|send| send.id != *id),
        }
    }
    sorted(contents)
}

/// A store as an integrator writes one: what the contract asks for, and nothing else.
#[derive(Clone, Default)]
struct OwnStore(Arc<Mutex<Option<(Identity, Contents)>>>);

#[async_trait]
impl Store for OwnStore {
    async fn load(&self, owner: &Identity) -> Result<Contents, StoreError> {
        let mut kept = self.0.lock().unwrap();
        let (of, contents) = kept.get_or_insert_with(|| (owner.clone(), Contents::default()));
        if of != owner {
            return Err(StoreError::new(StoreErrorKind::Foreign, "of somebody else"));
        }
        Ok(contents.clone())
    }

    async fn save(&self, changes: &[Change]) -> Result<(), StoreError> {
        let mut kept = self.0.lock().unwrap();
        let (_, contents) = kept.as_mut().unwrap();
        for change in changes {
            match change {
                Change::Handled(position) => {
                    let other = |known: &Position| known.conversation != position.conversation;
                    contents.positions.retain(other);
                    contents.positions.push(position.clone());
                }
                Change::Sending(send) => {
                    if !contents.sends.iter().any(|known| known.id == send.id) {
                        contents.sends.push(send.clone());
                    }
                }
                Change::Ended(id) => contents.sends.retain(|send| send.id != *id),
            }
        }
        Ok(())
    }
}

/// Returns the store as the next program finds it.
type Open = Box<dyn Fn() -> Box<dyn Store>>;

async fn reopened(open: &Open, last: Box<dyn Store>) -> (Box<dyn Store>, Contents) {
    last.close().await;
    drop(last);
    let store = open();
    let contents = store.load(&owner()).await.unwrap();
    (store, sorted(contents))
}

async fn it_is_empty_at_first(open: Open) {
    let store = open();
    assert_eq!(store.load(&owner()).await.unwrap(), Contents::default());
    let (_, contents) = reopened(&open, store).await;
    assert_eq!(contents, Contents::default());
}

async fn the_next_program_finds_what_was_saved(open: Open) {
    let store = open();
    store.load(&owner()).await.unwrap();
    let [first, second, third] =
        [("lobby", "1"), ("@bob", "2"), ("7", "\u{0}\n3")].map(|(to, text)| send(to, text));
    let changes = [
        handled(2, 7, 1),
        Change::Sending(first.clone()),
        handled(3, 7, 9),
        Change::Sending(second),
        // A cluster that lost messages goes back.
        handled(3, 8, 4),
        Change::Sending(third.clone()),
        handled(2, 7, 2),
        Change::Ended(first.id),
    ];
    store.save(&changes[..3]).await.unwrap();
    store.save(&changes[3..]).await.unwrap();
    let (store, contents) = reopened(&open, store).await;
    assert_eq!(contents, after(&changes));
    let more = [Change::Ended(third.id), handled(2, 7, 3)];
    store.save(&more).await.unwrap();
    let (_, contents) = reopened(&open, store).await;
    assert_eq!(contents, after(&[&changes[..], &more[..]].concat()));
}

async fn a_send_that_is_saved_again_is_kept_once(open: Open) {
    let store = open();
    store.load(&owner()).await.unwrap();
    let send = send("lobby", "once");
    let twice = [Change::Sending(send.clone()), Change::Sending(send.clone())];
    store.save(&twice).await.unwrap();
    store
        .save(&[Change::Ended(MessageId::fresh())])
        .await
        .unwrap();
    let (store, contents) = reopened(&open, store).await;
    assert_eq!(contents.sends, std::slice::from_ref(&send));
    store
        .save(&[Change::Ended(send.id), Change::Ended(send.id)])
        .await
        .unwrap();
    let (_, contents) = reopened(&open, store).await;
    assert_eq!(contents, Contents::default());
}

async fn it_belongs_to_one_device_of_one_user(open: Open) {
    let store = open();
    store.load(&owner()).await.unwrap();
    store.save(&[handled(2, 7, 1)]).await.unwrap();
    store.close().await;
    for foreign in [
        Identity {
            device: DeviceId::new("there").unwrap(),
            ..owner()
        },
        Identity {
            user: UserId::new(2).unwrap(),
            ..owner()
        },
    ] {
        let error = open().load(&foreign).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Foreign, "{error}");
    }
    let (_, contents) = reopened(&open, store).await;
    assert_eq!(contents, after(&[handled(2, 7, 1)]));
}

macro_rules! contract {
    ($($check:ident)*) => {
        mod memory {
            $(#[tokio::test]
            async fn $check() {
                let store = super::MemoryStore::new();
                super::$check(Box::new(move || Box::new(store.clone()))).await;
            })*
        }
        mod file {
            $(#[tokio::test]
            async fn $check() {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("store");
                super::$check(Box::new(move || Box::new(super::FileStore::new(&path)))).await;
            })*
        }
        mod of_an_integrator {
            $(#[tokio::test]
            async fn $check() {
                let store = super::OwnStore::default();
                super::$check(Box::new(move || Box::new(store.clone()))).await;
            })*
        }
    };
}

contract! {
    it_is_empty_at_first
    the_next_program_finds_what_was_saved
    a_send_that_is_saved_again_is_kept_once
    it_belongs_to_one_device_of_one_user
}

#[tokio::test]
async fn a_store_keeps_so_much_text_and_no_more() {
    let store = MemoryStore::new();
    store.load(&owner()).await.unwrap();
    let text = "x".repeat(64 * 1024);
    let sends: Vec<_> = (0..1024)
        .map(|_| Change::Sending(send("lobby", &text)))
        .collect();
    store.save(&sends).await.unwrap();
    let one_more = [handled(2, 7, 1), Change::Sending(send("lobby", "x"))];
    let error = store.save(&one_more).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Full);
    let contents = store.load(&owner()).await.unwrap();
    assert_eq!(contents.positions, [], "all or nothing");
    store.save(&one_more[..1]).await.unwrap();
    store
        .save(&[Change::Ended(contents.sends[0].id)])
        .await
        .unwrap();
    store.save(&one_more).await.unwrap();
}
