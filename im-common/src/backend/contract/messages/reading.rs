//! Pages and heads.

use futures::future::join;

use super::super::{draft, fresh_conversation};
use super::{append, fill, sequences};
use crate::backend::messages::{MessageStore, PAGE_MESSAGES_MAX, PAGE_TEXT_BYTES, Range};
use crate::id::{ConversationId, LogEpoch, Sequence};
use crate::message::TEXT_BYTES_MAX;

async fn read(
    store: &dyn MessageStore,
    conversation: &ConversationId,
    range: Range,
    limit: usize,
) -> Vec<u64> {
    let page = store.read(conversation, range, limit).await.unwrap();
    assert_eq!(page.conversation, *conversation);
    sequences(&page.messages)
}

/// Each range gives its part of the log, rising.
pub async fn ranges_are_read_in_rising_order(store: &dyn MessageStore) {
    let log = fresh_conversation();
    fill(store, &log, 10).await;
    assert_eq!(
        read(store, &log, Range::After(Sequence(0)), 3).await,
        [1, 2, 3]
    );
    assert_eq!(
        read(store, &log, Range::After(Sequence(7)), 100).await,
        [8, 9, 10]
    );
    assert_eq!(
        read(store, &log, Range::Before(Sequence(5)), 3).await,
        [2, 3, 4]
    );
    assert_eq!(
        read(store, &log, Range::Before(Sequence(3)), 100).await,
        [1, 2]
    );
    assert_eq!(read(store, &log, Range::Newest, 3).await, [8, 9, 10]);
    assert_eq!(read(store, &log, Range::Newest, 100).await.len(), 10);

    let page = store
        .read(&log, Range::After(Sequence(0)), 2)
        .await
        .unwrap();
    let head = store.heads(&[log]).await.unwrap().remove(0);
    assert_eq!((page.head, page.epoch), (head.sequence, head.epoch));
    assert_eq!(
        page.head,
        Sequence(10),
        "the head is the log's, not the page's"
    );
    assert!(page.messages.iter().all(|m| m.epoch == page.epoch));
}

/// Sequences that the log does not hold are no error.
pub async fn ranges_beyond_the_ends_are_empty_or_cut(store: &dyn MessageStore) {
    let log = fresh_conversation();
    fill(store, &log, 3).await;
    assert_eq!(
        read(store, &log, Range::After(Sequence(3)), 10).await,
        [0; 0]
    );
    assert_eq!(
        read(store, &log, Range::After(Sequence(99)), 10).await,
        [0; 0]
    );
    let last = Sequence(u64::MAX);
    assert_eq!(read(store, &log, Range::After(last), 10).await, [0; 0]);
    assert_eq!(
        read(store, &log, Range::Before(Sequence(0)), 10).await,
        [0; 0]
    );
    assert_eq!(
        read(store, &log, Range::Before(Sequence(1)), 10).await,
        [0; 0]
    );
    assert_eq!(
        read(store, &log, Range::Before(Sequence(99)), 2).await,
        [2, 3]
    );
    assert_eq!(read(store, &log, Range::Before(last), 2).await, [2, 3]);
    assert_eq!(read(store, &log, Range::Newest, 0).await, [0; 0]);
}

/// No page has more than [`PAGE_MESSAGES_MAX`] messages, whatever is asked for.
pub async fn a_page_is_bounded_by_count(store: &dyn MessageStore) {
    let log = fresh_conversation();
    let bound = PAGE_MESSAGES_MAX as u64;
    fill(store, &log, bound + 20).await;
    let everything = usize::MAX;
    let oldest = read(store, &log, Range::After(Sequence(0)), everything).await;
    assert!(oldest.into_iter().eq(1..=bound));
    let newest = read(store, &log, Range::Newest, everything).await;
    assert!(newest.into_iter().eq(21..=bound + 20));
    let before = read(store, &log, Range::Before(Sequence(bound + 11)), everything).await;
    assert!(before.into_iter().eq(11..=bound + 10));
}

/// A page ends with the message that passes [`PAGE_TEXT_BYTES`]; read downwards it is the oldest.
pub async fn a_page_is_bounded_by_text(store: &dyn MessageStore) {
    let log = fresh_conversation();
    // Two and a half of these pass the bound, so a page holds three.
    let text = "x".repeat(PAGE_TEXT_BYTES * 2 / 5);
    assert!(text.len() <= TEXT_BYTES_MAX);
    for _ in 0..8 {
        append(store, draft(&log, &text)).await;
    }
    assert_eq!(
        read(store, &log, Range::After(Sequence(2)), 100).await,
        [3, 4, 5]
    );
    assert_eq!(read(store, &log, Range::Newest, 100).await, [6, 7, 8]);
    assert_eq!(
        read(store, &log, Range::Before(Sequence(6)), 100).await,
        [3, 4, 5]
    );
    assert_eq!(
        read(store, &log, Range::After(Sequence(2)), 2).await,
        [3, 4]
    );
}

/// A log that nobody wrote to reads as empty, with epoch and head 0.
pub async fn a_missing_log_has_no_epoch(store: &dyn MessageStore) {
    let log = fresh_conversation();
    for range in [
        Range::Newest,
        Range::After(Sequence(3)),
        Range::Before(Sequence(3)),
    ] {
        let page = store.read(&log, range, 10).await.unwrap();
        assert_eq!((page.epoch, page.head), (LogEpoch(0), Sequence(0)));
        assert_eq!(page.messages, []);
    }
}

/// Heads are in the order asked for, with zeros for logs that do not exist.
pub async fn heads_come_in_the_order_asked_for(store: &dyn MessageStore) {
    assert_eq!(store.heads(&[]).await.unwrap(), []);
    let (two, none, one) = (
        fresh_conversation(),
        fresh_conversation(),
        fresh_conversation(),
    );
    fill(store, &two, 2).await;
    fill(store, &one, 1).await;
    let asked = [two.clone(), none, one, two];
    let heads = store.heads(&asked).await.unwrap();
    let named: Vec<_> = heads.iter().map(|head| head.conversation.clone()).collect();
    assert_eq!(named, asked);
    let sequences: Vec<_> = heads.iter().map(|head| head.sequence.0).collect();
    assert_eq!(sequences, [2, 0, 1, 2]);
    let exists: Vec<_> = heads.iter().map(|head| head.epoch != LogEpoch(0)).collect();
    assert_eq!(exists, [true, false, true, true]);
}

/// Whoever reads while others append sees a beginning of the log, whole up to the head it is told.
pub async fn readers_see_no_gaps_while_it_grows(store: &dyn MessageStore) {
    let log = fresh_conversation();
    let writing = async {
        for _ in 0..50 {
            append(store, draft(&log, "more")).await;
        }
    };
    let reading = async {
        let mut head = Sequence(0);
        while head < Sequence(50) {
            let page = store
                .read(&log, Range::After(Sequence(0)), 100)
                .await
                .unwrap();
            assert!(page.head >= head, "a log never becomes shorter");
            head = page.head;
            assert!(sequences(&page.messages).into_iter().eq(1..=head.0));
            // A store that answers without waiting must not keep the writer from its turn.
            tokio::task::yield_now().await;
        }
    };
    let both = join(writing, reading);
    tokio::time::timeout(super::super::SOON, both)
        .await
        .unwrap();
}
