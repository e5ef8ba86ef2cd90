//! Numbering, order and duplicates.

use std::collections::BTreeSet;

use futures::future::join_all;

use super::super::{draft, fresh_conversation, fresh_user, sender};
use super::{append, append_any, newest, sequences};
use crate::backend::messages::{AppendError, Appended, MessageStore, Range};
use crate::id::{LogEpoch, MessageId};
use crate::message::{Draft, TEXT_BYTES_MAX};

/// A log begins with sequence 1 and an epoch, which stays.
pub async fn sequences_rise_from_one(store: &dyn MessageStore) {
    let conversation = fresh_conversation();
    let mut epochs = BTreeSet::new();
    for sequence in 1..=3 {
        let draft = draft(&conversation, "hi");
        let receipt = append(store, draft.clone()).await;
        assert_eq!(receipt.id, draft.id);
        assert_eq!(receipt.position.conversation, conversation);
        assert_eq!(receipt.position.sequence.0, sequence);
        assert!(receipt.accepted_at_ms > 0);
        epochs.insert(receipt.position.epoch);
    }
    assert_eq!(epochs.len(), 1, "the epoch stays");
    assert!(!epochs.contains(&LogEpoch(0)), "0 stands for no log");

    let other = append(store, draft(&fresh_conversation(), "hi")).await;
    assert_eq!(other.position.sequence.0, 1, "each log has its own numbers");
    assert!(!epochs.contains(&other.position.epoch), "epochs are drawn");
}

/// Answers are in the order of the drafts, and so are the drafts of each conversation in its log.
pub async fn answers_and_logs_keep_the_order(store: &dyn MessageStore) {
    let logs = [fresh_conversation(), fresh_conversation()];
    let drafts: Vec<Draft> = (0..20)
        .map(|n| draft(&logs[n % 2], &n.to_string()))
        .collect();
    let outcomes = store.append(drafts.clone()).await;
    assert_eq!(outcomes.len(), drafts.len());
    for (n, (outcome, draft)) in outcomes.into_iter().zip(&drafts).enumerate() {
        let receipt = outcome.unwrap().into_receipt();
        assert_eq!(receipt.id, draft.id);
        assert_eq!(receipt.position.conversation, draft.conversation);
        assert_eq!(receipt.position.sequence.0, n as u64 / 2 + 1);
    }
    for (first, log) in logs.iter().enumerate() {
        let page = store.read(log, Range::Newest, 100).await.unwrap();
        let texts: Vec<_> = page.messages.iter().map(|m| m.text.clone()).collect();
        let expected: Vec<_> = (first..20).step_by(2).map(|n| n.to_string()).collect();
        assert_eq!(texts, expected);
    }
}

/// Sixteen senders at once: every sequence is given once, none is skipped, and each sender's own
/// order stays.
pub async fn many_at_once_leave_no_gaps(store: &dyn MessageStore) {
    const SENDERS: u64 = 16;
    const EACH: u64 = 10;
    let conversation = fresh_conversation();
    let senders = (0..SENDERS).map(|_| async {
        let user = fresh_user();
        let mut receipts = Vec::new();
        for n in 0..EACH {
            let draft = Draft {
                sender: sender(user),
                ..draft(&conversation, &n.to_string())
            };
            receipts.push(append(store, draft).await);
        }
        let given: Vec<_> = receipts.iter().map(|r| r.position.sequence).collect();
        assert!(given.is_sorted(), "a sender's order stays");
        receipts
    });
    let receipts: Vec<_> = join_all(senders).await.into_iter().flatten().collect();
    let epochs: BTreeSet<_> = receipts.iter().map(|r| r.position.epoch).collect();
    assert_eq!(
        epochs.len(),
        1,
        "a log that many begin at once has one epoch"
    );
    let given: BTreeSet<_> = receipts.iter().map(|r| r.position.sequence.0).collect();
    assert!(given.into_iter().eq(1..=SENDERS * EACH), "no gaps");
    let head = store.heads(&[conversation]).await.unwrap().remove(0);
    assert_eq!(head.sequence, newest(&receipts));
}

/// The same message again is answered with the same receipt, in one call and in later ones.
pub async fn what_is_offered_again_is_stored_once(store: &dyn MessageStore) {
    let conversation = fresh_conversation();
    let again = draft(&conversation, "again");
    let both = vec![again.clone(), again.clone(), draft(&conversation, "else")];
    let mut outcomes = store.append(both).await.into_iter();
    let Appended::New(receipt) = outcomes.next().unwrap().unwrap() else {
        panic!("the first is new");
    };
    let second = outcomes.next().unwrap().unwrap();
    assert_eq!(second, Appended::Duplicate(receipt.clone()));
    let third = outcomes.next().unwrap().unwrap();
    assert!(matches!(third, Appended::New(ref new) if new.position.sequence.0 == 2));

    let later = append_any(store, again).await.unwrap();
    assert_eq!(later, Appended::Duplicate(receipt));
    let page = store.read(&conversation, Range::Newest, 10).await.unwrap();
    assert_eq!(sequences(&page.messages), [1, 2]);
}

/// Of the same message offered by many at once exactly one is new; all are told the same.
pub async fn the_same_offer_many_times_at_once_is_stored_once(store: &dyn MessageStore) {
    let draft = draft(&fresh_conversation(), "once");
    let offers = (0..16).map(|_| append_any(store, draft.clone()));
    let outcomes: Vec<_> = join_all(offers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let new = outcomes.iter().filter(|o| matches!(o, Appended::New(_)));
    assert_eq!(new.count(), 1);
    let receipts: Vec<_> = outcomes.into_iter().map(Appended::into_receipt).collect();
    assert!(receipts.iter().all(|receipt| *receipt == receipts[0]));
    assert_eq!(receipts[0].position.sequence.0, 1);
}

/// The same id with another text is refused, changes nothing, and stops nothing behind it.
pub async fn another_text_under_the_same_id_is_a_conflict(store: &dyn MessageStore) {
    let conversation = fresh_conversation();
    let first = draft(&conversation, "one");
    append(store, first.clone()).await;
    let other = Draft {
        text: "other".to_owned(),
        ..first.clone()
    };
    let outcomes = store.append(vec![other, draft(&conversation, "two")]).await;
    assert!(matches!(outcomes[0], Err(AppendError::Conflict)));
    assert!(matches!(&outcomes[1], Ok(Appended::New(new)) if new.position.sequence.0 == 2));
    let page = store.read(&conversation, Range::Newest, 10).await.unwrap();
    assert_eq!(page.messages[0].text, "one");

    let fresh = draft(&conversation, "three");
    let clash = Draft {
        text: "clash".to_owned(),
        ..fresh.clone()
    };
    let outcomes = store.append(vec![fresh, clash]).await;
    assert!(matches!(outcomes[0], Ok(Appended::New(_))));
    assert!(
        matches!(outcomes[1], Err(AppendError::Conflict)),
        "also within one call"
    );
}

/// Another sender, or another conversation, may use the same id.
pub async fn ids_are_compared_within_sender_and_conversation(store: &dyn MessageStore) {
    let conversation = fresh_conversation();
    let first = draft(&conversation, "one");
    let by_another = Draft {
        sender: sender(fresh_user()),
        text: "two".to_owned(),
        ..first.clone()
    };
    let elsewhere = Draft {
        conversation: fresh_conversation(),
        text: "three".to_owned(),
        ..first.clone()
    };
    assert_eq!(append(store, first).await.position.sequence.0, 1);
    assert_eq!(append(store, by_another).await.position.sequence.0, 2);
    assert_eq!(append(store, elsewhere).await.position.sequence.0, 1);
}

/// Everything about a message comes back as it was given, also at the largest size.
pub async fn the_largest_text_is_kept_whole(store: &dyn MessageStore) {
    let conversation = fresh_conversation();
    let draft = Draft {
        id: MessageId::from_bytes(&[0xff; 16]).unwrap(),
        ..draft(&conversation, &"\u{1f680}".repeat(TEXT_BYTES_MAX / 4))
    };
    let receipt = append(store, draft.clone()).await;
    let page = store.read(&conversation, Range::Newest, 1).await.unwrap();
    let message = &page.messages[0];
    assert_eq!(message.text, draft.text);
    assert_eq!(message.id, draft.id);
    assert_eq!(message.sender, draft.sender);
    assert_eq!(message.conversation, conversation);
    assert_eq!(message.epoch, receipt.position.epoch);
    assert_eq!(message.accepted_at_ms, receipt.accepted_at_ms);
}
