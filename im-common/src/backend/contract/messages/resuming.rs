//! Readers that come back with a position.

use super::super::{draft, fresh_conversation};
use super::{append, fill, sequences};
use crate::backend::messages::{MessageStore, Range};
use crate::id::{ConversationId, LogEpoch, Sequence};
use crate::message::{Fork, Page, Position};

async fn resume(
    store: &dyn MessageStore,
    conversation: &ConversationId,
    epoch: LogEpoch,
    after: u64,
) -> Page {
    let after = Sequence(after);
    let range = Range::Resume { epoch, after };
    store.read(conversation, range, 100).await.unwrap()
}

/// Fills a log and returns its epoch.
async fn filled(store: &dyn MessageStore, conversation: &ConversationId, count: u64) -> LogEpoch {
    fill(store, conversation, count).await;
    let heads = store.heads(std::slice::from_ref(conversation)).await;
    heads.unwrap()[0].epoch
}

/// What follows a position is what follows its sequence.
pub async fn a_position_of_the_newest_epoch_is_good(store: &dyn MessageStore) {
    let log = fresh_conversation();
    let epoch = filled(store, &log, 5).await;
    let page = resume(store, &log, epoch, 3).await;
    assert_eq!(sequences(&page.messages), [4, 5]);
    assert_eq!((page.epoch, page.fork), (epoch, None));
    let level = resume(store, &log, epoch, 5).await;
    assert_eq!((sequences(&level.messages), level.fork), (vec![], None));
}

/// Nobody was told of a sequence that the log never held: it has lost it.
pub async fn a_position_beyond_the_end_is_cut(store: &dyn MessageStore) {
    let log = fresh_conversation();
    let epoch = filled(store, &log, 5).await;
    let page = resume(store, &log, epoch, 8).await;
    let sequence = Sequence(5);
    assert_eq!(page.fork, Some(Fork { epoch, sequence }));
    assert_eq!(sequences(&page.messages), [0; 0]);
}

/// The epoch of a log that is gone, or none, says nothing about the one that took its place.
pub async fn an_epoch_of_another_log_has_nothing_in_common(store: &dyn MessageStore) {
    let (gone, log) = (fresh_conversation(), fresh_conversation());
    let earlier = append(store, draft(&gone, "hi")).await.position.epoch;
    let epoch = filled(store, &log, 5).await;
    assert!(earlier < epoch, "epochs rise");
    for foreign in [LogEpoch(0), earlier] {
        let nothing = Some(Fork {
            epoch: foreign,
            sequence: Sequence(0),
        });
        let page = resume(store, &log, foreign, 3).await;
        assert_eq!((sequences(&page.messages), page.fork), (vec![], nothing));
        let page = resume(store, &log, foreign, 0).await;
        assert_eq!(page.fork, nothing);
        assert!(sequences(&page.messages).into_iter().eq(1..=5));
    }
}

/// Whoever knew a log that is not there knows nothing of it any more.
pub async fn a_missing_log_holds_no_position(store: &dyn MessageStore) {
    let page = resume(store, &fresh_conversation(), LogEpoch(7), 3).await;
    assert_eq!((page.epoch, page.head), (LogEpoch(0), Sequence(0)));
    assert_eq!(page.fork.map(|fork| fork.sequence), Some(Sequence(0)));
}

/// Each is told the head of its log, and how far it is there.
pub async fn many_readers_resume_in_the_order_asked_for(store: &dyn MessageStore) {
    assert_eq!(store.resume(&[]).await.unwrap(), []);
    let (one, other) = (fresh_conversation(), fresh_conversation());
    let epochs = [filled(store, &one, 4).await, filled(store, &other, 6).await];
    let at = |conversation: &ConversationId, epoch, sequence| Position {
        conversation: conversation.clone(),
        epoch,
        sequence: Sequence(sequence),
    };
    let positions = [
        at(&other, epochs[1], 2),
        at(&one, epochs[0], 9),
        at(&fresh_conversation(), epochs[0], 1),
        at(&other, LogEpoch(1), 5),
    ];
    let heads = store.resume(&positions).await.unwrap();
    let handled: Vec<_> = heads.iter().map(|head| head.handled.0).collect();
    assert_eq!(handled, [2, 4, 0, 0]);
    let newest: Vec<_> = heads.into_iter().map(|head| head.newest).collect();
    let missing = at(&positions[2].conversation, LogEpoch(0), 0);
    let [one, other] = [at(&one, epochs[0], 4), at(&other, epochs[1], 6)];
    assert_eq!(newest, [other.clone(), one, missing, other]);
}
