//! Who takes part where, and how far devices are.

use futures::future::{join, join_all};

use super::super::{fresh_conversation, fresh_device, fresh_user};
use crate::backend::messages::MessageStore;
use crate::id::{ConversationId, DeviceId, LogEpoch, Sequence, UserId};
use crate::message::Position;

fn at(conversation: &ConversationId, epoch: u64, sequence: u64) -> Position {
    Position {
        conversation: conversation.clone(),
        epoch: LogEpoch(epoch),
        sequence: Sequence(sequence),
    }
}

async fn positions(store: &dyn MessageStore, user: UserId, device: &DeviceId) -> Vec<Position> {
    let mut positions = store.begin(user, device).await.unwrap();
    positions.sort_by(|one, other| one.conversation.cmp(&other.conversation));
    positions
}

/// Two conversations in the order that [`positions`] sorts them.
fn two_conversations() -> (ConversationId, ConversationId) {
    let (one, other) = (fresh_conversation(), fresh_conversation());
    if one < other {
        (one, other)
    } else {
        (other, one)
    }
}

/// Enlisting twice is enlisting once; others are not enlisted; the lobby never shows.
pub async fn enlisting_is_idempotent(store: &dyn MessageStore) {
    let [one, other, stranger] = [(); 3].map(|()| fresh_user());
    let (first, second) = two_conversations();
    assert_eq!(store.conversations(one).await.unwrap(), []);
    store.enlist(&first, &[one, other]).await.unwrap();
    store.enlist(&first, &[one]).await.unwrap();
    store.enlist(&second, &[one, one]).await.unwrap();
    store.enlist(&first, &[]).await.unwrap();
    let mut found = store.conversations(one).await.unwrap();
    found.sort();
    assert_eq!(found, [first.clone(), second]);
    assert_eq!(store.conversations(other).await.unwrap(), [first]);
    assert_eq!(store.conversations(stranger).await.unwrap(), []);

    let at_once = fresh_user();
    let both = [fresh_conversation(), fresh_conversation()];
    let calls = (0..8).map(|n| store.enlist(&both[n % 2], std::slice::from_ref(&at_once)));
    for enlisted in join_all(calls).await {
        enlisted.unwrap();
    }
    assert_eq!(store.conversations(at_once).await.unwrap().len(), 2);
}

/// Within an epoch the greatest sequence stays.
pub async fn a_position_never_moves_back(store: &dyn MessageStore) {
    let (user, device) = (fresh_user(), fresh_device());
    let (one, other) = two_conversations();
    store.advance(user, &device, &[]).await.unwrap();
    assert_eq!(positions(store, user, &device).await, []);
    let ahead = [at(&one, 7, 5), at(&other, 8, 2)];
    store.advance(user, &device, &ahead).await.unwrap();
    let mixed = [at(&one, 7, 3), at(&other, 8, 9)];
    store.advance(user, &device, &mixed).await.unwrap();
    let expected = [at(&one, 7, 5), at(&other, 8, 9)];
    assert_eq!(positions(store, user, &device).await, expected);
    let in_one_call = [at(&one, 7, 8), at(&one, 7, 6)];
    store.advance(user, &device, &in_one_call).await.unwrap();
    let expected = [at(&one, 7, 8), at(&other, 8, 9)];
    assert_eq!(positions(store, user, &device).await, expected);
}

/// A position of a later life of the log replaces the old one, also with a smaller sequence; one of
/// an earlier life comes too late.
pub async fn a_later_epoch_replaces_a_position(store: &dyn MessageStore) {
    let (user, device) = (fresh_user(), fresh_device());
    let log = fresh_conversation();
    store
        .advance(user, &device, &[at(&log, 4, 50)])
        .await
        .unwrap();
    // As numbers: a text that begins with 1 would come before one that begins with 4.
    store
        .advance(user, &device, &[at(&log, 10, 2)])
        .await
        .unwrap();
    assert_eq!(positions(store, user, &device).await, [at(&log, 10, 2)]);
    store
        .advance(user, &device, &[at(&log, 4, 51)])
        .await
        .unwrap();
    assert_eq!(positions(store, user, &device).await, [at(&log, 10, 2)]);
    let new_device = fresh_device();
    assert_eq!(positions(store, user, &new_device).await, [at(&log, 10, 2)]);
    let largest = at(&log, (1 << 53) - 1, 1 << 52);
    store
        .advance(user, &device, std::slice::from_ref(&largest))
        .await
        .unwrap();
    assert_eq!(positions(store, user, &device).await, [largest]);
}

/// A new device begins where its user is: at the greatest of what its devices handled.
pub async fn a_new_device_begins_where_its_user_is(store: &dyn MessageStore) {
    let user = fresh_user();
    let [phone, desk, new, newer] = [(); 4].map(|()| fresh_device());
    let log = fresh_conversation();
    store
        .advance(user, &phone, &[at(&log, 1, 5)])
        .await
        .unwrap();
    store.advance(user, &desk, &[at(&log, 1, 3)]).await.unwrap();
    assert_eq!(positions(store, user, &new).await, [at(&log, 1, 5)]);
    store
        .advance(user, &phone, &[at(&log, 1, 6)])
        .await
        .unwrap();
    assert_eq!(positions(store, user, &newer).await, [at(&log, 1, 6)]);
    assert_eq!(
        positions(store, fresh_user(), &new).await,
        [],
        "others are not moved"
    );
}

/// Once a device has begun, it keeps the positions it began with until it advances them itself: or
/// it would skip what only another device has handled.
pub async fn a_device_that_began_is_moved_by_nobody_else(store: &dyn MessageStore) {
    let user = fresh_user();
    let [phone, desk, silent] = [(); 3].map(|()| fresh_device());
    let (one, other) = two_conversations();
    let begin = [at(&one, 1, 5), at(&other, 1, 7)];
    store.advance(user, &phone, &begin).await.unwrap();
    assert_eq!(positions(store, user, &silent).await, begin);
    store.advance(user, &desk, &[at(&one, 1, 6)]).await.unwrap();
    let began = [at(&one, 1, 6), at(&other, 1, 7)];
    assert_eq!(positions(store, user, &desk).await, began);
    let further = [at(&one, 1, 20), at(&other, 1, 20)];
    store.advance(user, &phone, &further).await.unwrap();
    assert_eq!(positions(store, user, &desk).await, began);
    assert_eq!(positions(store, user, &phone).await, further);
    assert_eq!(positions(store, user, &silent).await, begin);
    let little = [at(&one, 1, 6)];
    store.advance(user, &silent, &little).await.unwrap();
    let moved = [at(&one, 1, 6), at(&other, 1, 7)];
    assert_eq!(positions(store, user, &silent).await, moved);
}

/// The same where there was nothing to begin with: a device that has handled nothing yet must find
/// all that others handle after it came.
pub async fn a_device_that_began_without_positions_has_its_own(store: &dyn MessageStore) {
    let user = fresh_user();
    let [phone, desk] = [(); 2].map(|()| fresh_device());
    let (one, other) = two_conversations();
    assert_eq!(positions(store, user, &desk).await, []);
    let handled = [at(&one, 1, 5), at(&ConversationId::Lobby, 1, 3)];
    store.advance(user, &phone, &handled).await.unwrap();
    store.begin_at(user, &[at(&other, 1, 9)]).await.unwrap();
    assert_eq!(positions(store, user, &desk).await, []);
    store.advance(user, &desk, &[at(&one, 1, 2)]).await.unwrap();
    assert_eq!(positions(store, user, &desk).await, [at(&one, 1, 2)]);
    let lobby = at(&ConversationId::Lobby, 1, 1);
    let further = std::slice::from_ref(&lobby);
    store.advance(user, &desk, further).await.unwrap();
    let mut both = [at(&one, 1, 2), lobby];
    both.sort_by(|one, other| one.conversation.cmp(&other.conversation));
    assert_eq!(positions(store, user, &desk).await, both);
}

/// Devices begin while another one advances: each stays where it was told that it began.
pub async fn devices_that_begin_at_once_keep_what_they_were_told(store: &dyn MessageStore) {
    let (user, phone) = (fresh_user(), fresh_device());
    let log = fresh_conversation();
    let acks: Vec<_> = (1..=16).map(|n| [at(&log, 1, n)]).collect();
    let advances = acks.iter().map(|ack| store.advance(user, &phone, ack));
    let devices: Vec<_> = (0..16).map(|_| fresh_device()).collect();
    let begins = devices.iter().map(|device| positions(store, user, device));
    let (advanced, told) = join(join_all(advances), join_all(begins)).await;
    for advanced in advanced {
        advanced.unwrap();
    }
    for (device, told) in devices.iter().zip(told) {
        assert_eq!(positions(store, user, device).await, told);
    }
}

/// A user can be given positions before it has any device; they never move back either.
pub async fn a_user_can_begin_without_a_device(store: &dyn MessageStore) {
    let (user, device) = (fresh_user(), fresh_device());
    let log = fresh_conversation();
    store.begin_at(user, &[]).await.unwrap();
    store.begin_at(user, &[at(&log, 1, 40)]).await.unwrap();
    store.begin_at(user, &[at(&log, 1, 30)]).await.unwrap();
    assert_eq!(
        positions(store, user, &fresh_device()).await,
        [at(&log, 1, 40)]
    );
    store.begin_at(user, &[at(&log, 2, 10)]).await.unwrap();
    assert_eq!(positions(store, user, &device).await, [at(&log, 2, 10)]);
    store
        .advance(user, &device, &[at(&log, 2, 12)])
        .await
        .unwrap();
    store.begin_at(user, &[at(&log, 2, 50)]).await.unwrap();
    assert_eq!(positions(store, user, &device).await, [at(&log, 2, 12)]);
    assert_eq!(
        positions(store, user, &fresh_device()).await,
        [at(&log, 2, 50)]
    );
}

/// How far a user is follows the device that is furthest, never back, and nobody else.
pub async fn a_user_is_where_the_furthest_device_is(store: &dyn MessageStore) {
    let (user, log) = (fresh_user(), fresh_conversation());
    let [phone, desk] = [(); 2].map(|()| fresh_device());
    let handled = async || store.handled(user, &log).await.unwrap();
    assert_eq!(handled().await, None);
    store.begin(user, &phone).await.unwrap();
    assert_eq!(
        handled().await,
        None,
        "a device that is there handles nothing"
    );
    for (device, acked, furthest) in [
        (&phone, at(&log, 1, 5), at(&log, 1, 5)),
        (&desk, at(&log, 1, 3), at(&log, 1, 5)),
        (&desk, at(&log, 1, 6), at(&log, 1, 6)),
        (&phone, at(&log, 2, 1), at(&log, 2, 1)),
        (&desk, at(&log, 1, 9), at(&log, 2, 1)),
    ] {
        store.advance(user, device, &[acked]).await.unwrap();
        assert_eq!(handled().await, Some(furthest));
    }
    assert_eq!(store.handled(fresh_user(), &log).await.unwrap(), None);
    let elsewhere = fresh_conversation();
    assert_eq!(store.handled(user, &elsewhere).await.unwrap(), None);
}

/// Acks that overtake each other end at the newest.
pub async fn acks_at_once_end_at_the_newest(store: &dyn MessageStore) {
    let (user, device) = (fresh_user(), fresh_device());
    let log = fresh_conversation();
    let acks: Vec<_> = (1..=32).map(|n| [at(&log, 1, n * 7 % 32 + 1)]).collect();
    let calls = acks.iter().map(|ack| store.advance(user, &device, ack));
    for advanced in join_all(calls).await {
        advanced.unwrap();
    }
    assert_eq!(positions(store, user, &device).await, [at(&log, 1, 32)]);
    assert_eq!(
        positions(store, user, &fresh_device()).await,
        [at(&log, 1, 32)]
    );
}
