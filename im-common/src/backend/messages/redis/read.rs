//! Reading: pages of a log, the newest positions of many, and where readers of many go on.

use std::sync::LazyLock;

use super::{RedisMessages, decode};
use crate::backend::messages::lineage::Lineage;
use crate::backend::messages::{PAGE_MESSAGES_MAX, PAGE_TEXT_BYTES, Range};
use crate::backend::redis::{Call, Script};
use crate::backend::{BackendError, Result};
use crate::id::{ConversationId, LogEpoch, Sequence};
use crate::message::{Head, Page, Position};

static READ: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("read.lua")));
static LINEAGE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lineage.lua")));

/// More than an entry without its text can have.
const ENTRY_WITHOUT_TEXT_BYTES: usize = 512;

/// Sequence and entry.
type Entry = (u64, Vec<u8>);

impl RedisMessages {
    pub(super) async fn read_page(
        &self,
        conversation: &ConversationId,
        range: Range,
        limit: usize,
    ) -> Result<Page> {
        let limit = limit.min(PAGE_MESSAGES_MAX);
        let (command, from, to) = bounds(range);
        let call = READ
            .on(&[
                self.keys.log(conversation),
                self.keys.meta(conversation),
                self.keys.epochs(conversation),
            ])
            .arg(&[command, &from, &to])
            .arg(limit)
            .arg(PAGE_TEXT_BYTES + limit * ENTRY_WITHOUT_TEXT_BYTES);
        let call = match range {
            Range::Resume { epoch, .. } => call.arg(epoch.0),
            Range::After(_) | Range::Before(_) | Range::Newest => call,
        };
        let (epoch, head, entries, ended): (u64, u64, Vec<Entry>, Vec<String>) =
            self.connection.call(&call).await?;
        let mut page = Page {
            conversation: conversation.clone(),
            epoch: LogEpoch(epoch),
            messages: Vec::with_capacity(entries.len()),
            head: Sequence(head),
            fork: None,
        };
        if let Range::Resume { epoch, after } = range {
            page.fork = lineage(page.epoch, page.head, &ended)?.fork(epoch, after);
            if page.fork.is_some_and(|fork| fork.sequence < after) {
                return Ok(page);
            }
        }
        let mut text_bytes = 0;
        for (expected, (sequence, entry)) in sequences(range, head).zip(entries) {
            // A gap must never look like the log.
            if sequence != expected {
                let gap = format!("{conversation} has no message {expected}");
                return Err(BackendError::Damaged(gap));
            }
            let position = Position {
                conversation: conversation.clone(),
                epoch: page.epoch,
                sequence: Sequence(sequence),
            };
            let message = decode(entry, position)?;
            text_bytes += message.text.len();
            page.messages.push(message);
            if text_bytes > PAGE_TEXT_BYTES {
                break;
            }
        }
        // The newest were read first, so that a page that is cut short ends where it was to end.
        if matches!(range, Range::Before(_) | Range::Newest) {
            page.messages.reverse();
        }
        Ok(page)
    }

    pub(super) async fn read_heads(
        &self,
        conversations: &[ConversationId],
    ) -> Result<Vec<Position>> {
        let look = |conversation: &ConversationId| {
            Call::new("HMGET", &self.keys.meta(conversation)).arg(&["epoch", "head"])
        };
        let calls = conversations.iter().map(look).collect();
        let heads: Vec<(Option<u64>, Option<u64>)> = self.connection.all(calls).await?;
        let position =
            |(conversation, (epoch, head)): (&ConversationId, (Option<_>, Option<_>))| Position {
                conversation: conversation.clone(),
                epoch: LogEpoch(epoch.unwrap_or(0)),
                sequence: Sequence(head.unwrap_or(0)),
            };
        Ok(conversations.iter().zip(heads).map(position).collect())
    }

    pub(super) async fn resume_at(&self, positions: &[Position]) -> Result<Vec<Head>> {
        let look = |position: &Position| {
            let conversation = &position.conversation;
            LINEAGE.on(&[self.keys.meta(conversation), self.keys.epochs(conversation)])
        };
        let calls = positions.iter().map(look).collect();
        let lineages: Vec<(u64, u64, Vec<String>)> = self.connection.all(calls).await?;
        let resume = |(position, (epoch, head, ended)): (&Position, (u64, u64, Vec<String>))| {
            let lineage = lineage(LogEpoch(epoch), Sequence(head), &ended)?;
            Ok(lineage.resume(position))
        };
        positions.iter().zip(lineages).map(resume).collect()
    }
}

/// Reads what `append.lua` notes of the epochs of a log.
fn lineage(newest: LogEpoch, head: Sequence, ended: &[String]) -> Result<Lineage> {
    let parse = |end: &String| {
        let (epoch, sequence) = end.split_once(':')?;
        Some((
            LogEpoch(epoch.parse().ok()?),
            Sequence(sequence.parse().ok()?),
        ))
    };
    let malformed = |end: &String| BackendError::damaged(format!("end of an epoch {end:?}"));
    let ended = ended
        .iter()
        .map(|end| parse(end).ok_or_else(|| malformed(end)));
    Ok(Lineage {
        ended: ended.collect::<Result<_>>()?,
        newest,
        head,
    })
}

/// The sequences of a range in the order of reading.
fn sequences(range: Range, head: u64) -> Box<dyn Iterator<Item = u64> + Send> {
    match range {
        Range::After(sequence)
        | Range::Resume {
            after: sequence, ..
        } => Box::new(sequence.0.saturating_add(1)..=head),
        Range::Before(sequence) => Box::new((1..=head.min(sequence.0.saturating_sub(1))).rev()),
        Range::Newest => Box::new((1..=head).rev()),
    }
}

/// The command that reads a range, beginning with the message that must be on the page.
fn bounds(range: Range) -> (&'static str, String, String) {
    let all = || "+".to_owned();
    let none = || "-".to_owned();
    match range {
        Range::After(sequence)
        | Range::Resume {
            after: sequence, ..
        } => {
            let from = format!("{}-0", sequence.0.saturating_add(1));
            ("XRANGE", from, all())
        }
        Range::Before(sequence) => {
            let from = format!("{}-0", sequence.0.saturating_sub(1));
            ("XREVRANGE", from, none())
        }
        Range::Newest => ("XREVRANGE", all(), none()),
    }
}
