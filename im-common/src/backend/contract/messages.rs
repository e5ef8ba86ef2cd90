//! What every `MessageStore` must do.

pub mod appending;
pub mod positions;
pub mod reading;
pub mod resuming;
pub mod unsettled;

use std::sync::Arc;

use crate::backend::messages::{AppendError, Appended, MessageStore};
use crate::id::{ConversationId, Sequence};
use crate::message::{Draft, Receipt};

/// Runs every check. Not twice at once against one store: claims of unsettled messages are
/// everybody's.
pub async fn suite(store: Arc<dyn MessageStore>) {
    let store = &*store;
    appending::sequences_rise_from_one(store).await;
    appending::answers_and_logs_keep_the_order(store).await;
    appending::many_at_once_leave_no_gaps(store).await;
    appending::what_is_offered_again_is_stored_once(store).await;
    appending::the_same_offer_many_times_at_once_is_stored_once(store).await;
    appending::another_text_under_the_same_id_is_a_conflict(store).await;
    appending::ids_are_compared_within_sender_and_conversation(store).await;
    appending::the_largest_text_is_kept_whole(store).await;
    reading::ranges_are_read_in_rising_order(store).await;
    reading::ranges_beyond_the_ends_are_empty_or_cut(store).await;
    reading::a_page_is_bounded_by_count(store).await;
    reading::a_page_is_bounded_by_text(store).await;
    reading::a_missing_log_has_no_epoch(store).await;
    reading::heads_come_in_the_order_asked_for(store).await;
    reading::readers_see_no_gaps_while_it_grows(store).await;
    resuming::a_position_of_the_newest_epoch_is_good(store).await;
    resuming::a_position_beyond_the_end_is_cut(store).await;
    resuming::an_epoch_of_another_log_has_nothing_in_common(store).await;
    resuming::a_missing_log_holds_no_position(store).await;
    resuming::many_readers_resume_in_the_order_asked_for(store).await;
    positions::enlisting_is_idempotent(store).await;
    positions::a_position_never_moves_back(store).await;
    positions::a_later_epoch_replaces_a_position(store).await;
    positions::a_new_device_begins_where_its_user_is(store).await;
    positions::a_device_that_began_is_moved_by_nobody_else(store).await;
    positions::a_device_that_began_without_positions_has_its_own(store).await;
    positions::devices_that_begin_at_once_keep_what_they_were_told(store).await;
    positions::a_user_can_begin_without_a_device(store).await;
    positions::a_user_is_where_the_furthest_device_is(store).await;
    positions::acks_at_once_end_at_the_newest(store).await;
    unsettled::unsettled_messages_are_claimed_in_turns(store).await;
    unsettled::settled_messages_are_not_claimed(store).await;
    unsettled::another_epoch_settles_nothing(store).await;
    unsettled::a_claim_is_bounded(store).await;
}

/// Appends one draft that must be new.
async fn append(store: &dyn MessageStore, draft: Draft) -> Receipt {
    match append_any(store, draft).await.unwrap() {
        Appended::New(receipt) => receipt,
        Appended::Duplicate(receipt) => panic!("a duplicate: {receipt:?}"),
    }
}

async fn append_any(store: &dyn MessageStore, draft: Draft) -> Result<Appended, AppendError> {
    let mut outcomes = store.append(vec![draft]).await;
    assert_eq!(outcomes.len(), 1, "one answer for each draft");
    outcomes.remove(0)
}

/// Fills a log with messages whose texts are their sequences.
async fn fill(store: &dyn MessageStore, conversation: &ConversationId, count: u64) {
    let drafts = (1..=count).map(|n| super::draft(conversation, &n.to_string()));
    for outcome in store.append(drafts.collect()).await {
        outcome.unwrap();
    }
}

fn sequences(messages: &[crate::message::StoredMessage]) -> Vec<u64> {
    messages.iter().map(|message| message.sequence.0).collect()
}

fn newest(receipts: &[Receipt]) -> Sequence {
    let all = receipts.iter().map(|receipt| receipt.position.sequence);
    all.max().unwrap_or_default()
}
