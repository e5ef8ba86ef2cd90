//! Reads logs: pages, heads, single messages.

use super::super::lineage::Lineage;
use super::super::{PAGE_MESSAGES_MAX, PAGE_TEXT_BYTES, Range};
use crate::backend::embedded::{Entry, View, keys, values};
use crate::backend::{BackendError, Result};
use crate::id::{ConversationId, LogEpoch, Sequence};
use crate::message::{Page, Position, StoredMessage};

impl View {
    /// Reads one page of a log.
    pub(super) fn page(
        &self,
        conversation: &ConversationId,
        range: Range,
        limit: usize,
    ) -> Result<Page> {
        let head = self.head(conversation)?;
        let fork = match range {
            Range::Resume { epoch, after } => lineage(&head).fork(epoch, after),
            Range::After(_) | Range::Before(_) | Range::Newest => None,
        };
        let messages = match range {
            Range::Resume { after, .. } if fork.is_some_and(|fork| fork.sequence < after) => {
                Vec::new()
            }
            Range::After(after) | Range::Resume { after, .. } => {
                self.rising(&head, after, limit)?
            }
            Range::Before(before) => self.falling(&head, before, limit)?,
            Range::Newest => self.falling(&head, head.sequence.next(), limit)?,
        };
        Ok(Page {
            conversation: head.conversation,
            epoch: head.epoch,
            messages,
            head: head.sequence,
            fork,
        })
    }

    /// Returns the newest position of a log.
    pub(super) fn head(&self, conversation: &ConversationId) -> Result<Position> {
        match self.get(&keys::head(conversation))? {
            Some(value) => values::parse_position(conversation.clone(), &value),
            None => Ok(no_log(conversation.clone())),
        }
    }

    /// Reads one message.
    pub(super) fn message(
        &self,
        conversation: &ConversationId,
        sequence: Sequence,
    ) -> Result<StoredMessage> {
        let position = Position {
            sequence,
            ..self.head(conversation)?
        };
        let entry = self.get(&keys::log_entry(conversation, sequence))?;
        let entry = entry.ok_or_else(|| missing(conversation, sequence))?;
        values::message(position, &entry)
    }

    /// Reads upwards from behind a sequence.
    fn rising(&self, head: &Position, after: Sequence, limit: usize) -> Result<Vec<StoredMessage>> {
        if after >= head.sequence {
            return Ok(Vec::new());
        }
        let sequences = after.0 + 1..=head.sequence.0;
        let entries = self.log(head, *sequences.start(), *sequences.end());
        page_of(head, sequences, entries, limit)
    }

    /// Reads downwards from before a sequence; the result rises all the same.
    fn falling(
        &self,
        head: &Position,
        before: Sequence,
        limit: usize,
    ) -> Result<Vec<StoredMessage>> {
        let newest = before.0.saturating_sub(1).min(head.sequence.0);
        if newest == 0 {
            return Ok(Vec::new());
        }
        let entries = self.log(head, 1, newest).rev();
        let mut messages = page_of(head, (1..=newest).rev(), entries, limit)?;
        messages.reverse();
        Ok(messages)
    }

    fn log(
        &self,
        head: &Position,
        first: u64,
        last: u64,
    ) -> impl DoubleEndedIterator<Item = Result<Entry>> {
        let key = |sequence| keys::log_entry(&head.conversation, Sequence(sequence));
        self.range(key(first), key(last))
    }
}

/// Takes what fits one page. Every sequence must be there: a gap must never look like the log.
fn page_of(
    head: &Position,
    sequences: impl Iterator<Item = u64>,
    mut entries: impl Iterator<Item = Result<Entry>>,
    limit: usize,
) -> Result<Vec<StoredMessage>> {
    let mut messages = Vec::new();
    let mut text_bytes = 0;
    for sequence in sequences.map(Sequence).take(limit.min(PAGE_MESSAGES_MAX)) {
        let gap = || missing(&head.conversation, sequence);
        let (key, value) = entries.next().ok_or_else(gap)??;
        if *key != *keys::log_entry(&head.conversation, sequence).bytes {
            return Err(gap());
        }
        let position = Position {
            sequence,
            ..head.clone()
        };
        let message = values::message(position, &value)?;
        text_bytes += message.text.len();
        messages.push(message);
        if text_bytes > PAGE_TEXT_BYTES {
            break;
        }
    }
    Ok(messages)
}

/// The log never loses what it has told anybody, so it has one epoch all its life.
pub(super) fn lineage(head: &Position) -> Lineage {
    Lineage {
        ended: Vec::new(),
        newest: head.epoch,
        head: head.sequence,
    }
}

fn no_log(conversation: ConversationId) -> Position {
    Position {
        conversation,
        epoch: LogEpoch::default(),
        sequence: Sequence::default(),
    }
}

/// A log lacks what its head or another record says it holds.
pub(super) fn missing(conversation: &ConversationId, sequence: Sequence) -> BackendError {
    BackendError::Damaged(format!("{conversation} has no message {sequence}"))
}
