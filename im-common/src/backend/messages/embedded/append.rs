//! Numbers drafts, recognises those that were stored before, and writes what is new.

use std::collections::HashMap;
use std::sync::Arc;

use prost::Message as _;
use tokio::time::Instant;

use super::super::{AppendError, Appended};
use super::read::missing;
use super::unsettled::Unsettled;

use crate::backend::embedded::{Change, keys, now_ms, values};
use crate::backend::{BackendError, Result};
use crate::id::{ConversationId, LogEpoch, Sequence};
use crate::message::{Draft, Position, Receipt};
use crate::wire;

/// Appends drafts in their order. Behind one that fails its conversation takes no more, so that
/// the order of a sender stays whole when it offers them again.
pub(super) fn append(
    change: &mut Change<'_>,
    drafts: &[Draft],
    unsettled: &Arc<Unsettled>,
    now: Instant,
) -> Vec<Result<Appended, AppendError>> {
    let mut failed: HashMap<&ConversationId, BackendError> = HashMap::new();
    let outcomes = drafts.iter().map(|draft| {
        if let Some(error) = failed.get(&draft.conversation) {
            return Err(error.clone().into());
        }
        let outcome = append_one(change, draft);
        match &outcome {
            Ok(Appended::New(receipt)) => mark(change, &receipt.position, unsettled, now),
            Err(AppendError::Backend(error)) => {
                failed.insert(&draft.conversation, error.clone());
            }
            Ok(Appended::Duplicate(_)) | Err(AppendError::Conflict) => {}
        }
        outcome
    });
    outcomes.collect()
}

/// Reads everything it needs before it writes anything: failing, it leaves no trace.
fn append_one(change: &mut Change<'_>, draft: &Draft) -> Result<Appended, AppendError> {
    let conversation = &draft.conversation;
    let id = keys::message_id(conversation, draft.sender.user, draft.id);
    let head = change.get(&keys::head(conversation))?;
    let head = head
        .map(|value| values::parse_position(conversation.clone(), &value))
        .transpose()?;
    if let Some(sequence) = change.get(&id)? {
        let sequence = values::sequence(&sequence)?;
        let head = head.ok_or_else(|| missing(conversation, sequence))?;
        return stored_before(change, draft, Position { sequence, ..head });
    }
    let position = head.map_or_else(|| first(conversation), |head| following(&head));
    let accepted_at_ms = now_ms();
    let entry = wire::LogEntry::new(draft, accepted_at_ms).encode_to_vec();
    change.insert(keys::log_entry(conversation, position.sequence), entry);
    change.insert(keys::head(conversation), values::position(&position));
    change.insert(id, values::number(position.sequence.0));
    Ok(Appended::New(Receipt {
        id: draft.id,
        position,
        accepted_at_ms,
    }))
}

fn stored_before(
    change: &Change<'_>,
    draft: &Draft,
    position: Position,
) -> Result<Appended, AppendError> {
    let Position {
        conversation,
        sequence,
        ..
    } = &position;
    let entry = change.get(&keys::log_entry(conversation, *sequence))?;
    let entry = entry.ok_or_else(|| missing(conversation, *sequence))?;
    let stored = values::message(position.clone(), &entry)?;
    if stored.text != draft.text {
        return Err(AppendError::Conflict);
    }
    Ok(Appended::Duplicate(Receipt {
        id: draft.id,
        position,
        accepted_at_ms: stored.accepted_at_ms,
    }))
}

/// In the same step as the message: from now on somebody is responsible for its fan-out.
fn mark(change: &mut Change<'_>, position: &Position, unsettled: &Arc<Unsettled>, now: Instant) {
    let (conversation, sequence) = (position.conversation.clone(), position.sequence);
    change.insert(keys::mark(&conversation, sequence), []);
    let unsettled = Arc::clone(unsettled);
    change.when_committed(move || {
        unsettled.note(conversation, sequence, now);
    });
}

fn first(conversation: &ConversationId) -> Position {
    Position {
        conversation: conversation.clone(),
        epoch: LogEpoch::fresh(),
        sequence: Sequence(1),
    }
}

fn following(head: &Position) -> Position {
    Position {
        sequence: head.sequence.next(),
        ..head.clone()
    }
}
