//! Ends the waiting of messages.

use super::read::lineage;
use crate::backend::Result;
use crate::backend::embedded::{Change, keys, values};
use crate::id::{ConversationId, Sequence};
use crate::message::Position;

/// Removes the marks of messages, and returns of which: of all that are where they were read.
pub(super) fn settle(
    change: &mut Change<'_>,
    messages: &[Position],
) -> Result<Vec<(ConversationId, Sequence)>> {
    let mut settled = Vec::with_capacity(messages.len());
    for message in messages {
        if !is_still_there(change, message)? {
            continue;
        }
        let mark = keys::mark(&message.conversation, message.sequence);
        if change.get(&mark)?.is_some() {
            change.remove(mark);
        }
        settled.push((message.conversation.clone(), message.sequence));
    }
    Ok(settled)
}

fn is_still_there(change: &Change<'_>, message: &Position) -> Result<bool> {
    let Some(head) = change.get(&keys::head(&message.conversation))? else {
        return Ok(false);
    };
    let newest = values::parse_position(message.conversation.clone(), &head)?;
    Ok(lineage(&newest).resume(message).handled == message.sequence)
}
