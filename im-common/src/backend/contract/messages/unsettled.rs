//! Messages whose fan-out nobody finished.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::super::{SOON, draft, fresh_conversation};
use super::append;
use crate::backend::messages::MessageStore;
use crate::id::{ConversationId, LogEpoch};
use crate::message::{Position, StoredMessage};

/// Short, so that the suite is; long against the time of a call.
const WAITING: Duration = Duration::from_millis(300);
/// Many enough that other checks' messages do not crowd out one's own.
const MANY: usize = 10_000;

/// Claims what a conversation has to be fanned out.
async fn claim(store: &dyn MessageStore, conversation: &ConversationId) -> Vec<StoredMessage> {
    let mut claimed = store.claim_unsettled(WAITING, MANY).await.unwrap();
    claimed.retain(|message| message.conversation == *conversation);
    claimed
}

/// Claims until there is something; returns it, and since when it may have been claimed.
async fn claim_soon(
    store: &dyn MessageStore,
    conversation: &ConversationId,
) -> (Vec<StoredMessage>, Instant) {
    let claiming = async {
        loop {
            let began = Instant::now();
            let claimed = claim(store, conversation).await;
            if !claimed.is_empty() {
                return (claimed, began);
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, claiming)
        .await
        .expect("an unsettled message is claimed")
}

/// A message is claimed once it has waited, whole, and then only after waiting again, later each
/// time.
pub async fn unsettled_messages_are_claimed_in_turns(store: &dyn MessageStore) {
    let log = fresh_conversation();
    let draft = draft(&log, "nobody told them");
    let stored_at = Instant::now();
    let receipt = append(store, draft.clone()).await;
    let mut gaps = Vec::new();
    let mut since = stored_at;
    for _ in 0..3 {
        let (claimed, began) = claim_soon(store, &log).await;
        gaps.push(since.elapsed());
        since = began;
        assert_eq!(claimed.len(), 1);
        assert_eq!(claimed[0].sequence, receipt.position.sequence);
        assert_eq!(claimed[0].epoch, receipt.position.epoch);
        assert_eq!((claimed[0].id, &claimed[0].text), (draft.id, &draft.text));
        let again = claim(store, &log).await;
        let is_at_once = since.elapsed() < WAITING;
        assert!(again.is_empty() || !is_at_once, "not twice at once");
    }
    // The store's clock may be coarser than ours, and answers take time.
    let nearly = WAITING * 9 / 10;
    assert!(gaps.iter().all(|gap| *gap >= nearly), "{gaps:?}");
    assert!(gaps[2] > WAITING * 5 / 4, "later each time: {gaps:?}");
    store.settle(&[receipt.position]).await.unwrap();
}

/// Settling ends the claims; settling twice, or what never was, is no error.
pub async fn settled_messages_are_not_claimed(store: &dyn MessageStore) {
    let log = fresh_conversation();
    let mut receipts = Vec::new();
    for n in 0..3 {
        receipts.push(append(store, draft(&log, &n.to_string())).await);
    }
    let again = draft(&log, "once");
    receipts.push(append(store, again.clone()).await);
    let mark = |n: usize| receipts[n].position.clone();
    store.settle(&[mark(0), mark(2), mark(3)]).await.unwrap();
    store.settle(&[mark(0)]).await.unwrap();
    let nowhere = Position {
        conversation: fresh_conversation(),
        ..mark(0)
    };
    store.settle(&[nowhere]).await.unwrap();
    store.settle(&[]).await.unwrap();
    let duplicate = store.append(vec![again]).await.remove(0).unwrap();
    assert_eq!(duplicate.into_receipt(), receipts[3]);

    let (claimed, _) = claim_soon(store, &log).await;
    assert_eq!(super::sequences(&claimed), [2]);
    store.settle(&[mark(1)]).await.unwrap();
    sleep(WAITING * 2).await;
    assert_eq!(
        claim(store, &log).await,
        [],
        "a duplicate does not wait again"
    );
}

/// What was settled in a life of the log that is gone was another message.
pub async fn another_epoch_settles_nothing(store: &dyn MessageStore) {
    let log = fresh_conversation();
    let receipts = [
        append(store, draft(&log, "one")).await,
        append(store, draft(&log, "two")).await,
    ];
    let [one, two] = receipts.map(|receipt| receipt.position);
    let earlier = Position {
        epoch: LogEpoch(two.epoch.0 - 1),
        ..two.clone()
    };
    store.settle(&[one, earlier]).await.unwrap();
    let (claimed, _) = claim_soon(store, &log).await;
    assert_eq!(super::sequences(&claimed), [2]);
    store.settle(&[two]).await.unwrap();
}

/// A claim takes no more than asked for; the rest is there for the next.
pub async fn a_claim_is_bounded(store: &dyn MessageStore) {
    let log = fresh_conversation();
    super::fill(store, &log, 5).await;
    sleep(WAITING * 2).await;
    assert!(store.claim_unsettled(WAITING, 0).await.unwrap().is_empty());
    let mut claimed = HashSet::new();
    let claiming = async {
        while claimed.len() < 5 {
            let some = store.claim_unsettled(WAITING, 2).await.unwrap();
            assert!(some.len() <= 2);
            let own = some.into_iter().filter(|m| m.conversation == log);
            claimed.extend(own.map(|message| Position {
                conversation: message.conversation,
                epoch: message.epoch,
                sequence: message.sequence,
            }));
        }
    };
    let claiming = timeout(SOON, claiming).await;
    claiming.expect("the rest is claimed in turn");
    let marks: Vec<_> = claimed.into_iter().collect();
    store.settle(&marks).await.unwrap();
}
