//! Looking back in a conversation: what is kept here and what only the cluster has, as one.
//!
//! The cluster says what is newest. From there back, what is kept here is taken as far as it goes
//! without a gap; a gap is asked for, and kept.

use im_common::id::{ConversationId, Sequence};
use im_common::message::Recipient;

use super::archive::{Archive, Part};
use crate::{Client, Error, Message};

/// The most that a route gives at once.
const PAGE: usize = 100;

/// Part of a conversation.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// The messages, oldest first.
    pub(super) messages: Vec<Message>,
    /// Why the cluster was not asked for all of it: then some may be missing.
    pub(super) unreached: Option<Error>,
}

/// Reads that part of a conversation; only what is kept here if the cluster cannot be reached.
pub(super) async fn look_back(
    client: &Client,
    archive: &Archive,
    with: &Recipient,
    part: Part,
) -> Result<Past, Error> {
    match both(client, archive, with, part).await {
        Ok(messages) => Ok(Past {
            messages,
            unreached: None,
        }),
        Err(error) if error.is_retryable() => Ok(Past {
            messages: kept(archive, with, part).await,
            unreached: Some(error),
        }),
        Err(error) => Err(error),
    }
}

/// Reads what is kept of it here.
pub(super) async fn kept(archive: &Archive, with: &Recipient, part: Part) -> Vec<Message> {
    let Some(conversation) = conversation(archive, with).await else {
        return Vec::new();
    };
    let part = archive.part(&conversation, part).await;
    part.unwrap_or_else(|error| {
        tracing::debug!(%error, "cannot read what is kept");
        Vec::new()
    })
}

async fn conversation(archive: &Archive, with: &Recipient) -> Option<ConversationId> {
    if *with == Recipient::Lobby {
        return Some(ConversationId::Lobby);
    }
    let owner = archive.owner().await.ok()??;
    let peer = archive.user(with).await.ok()??;
    Some(ConversationId::private(owner, peer))
}

async fn both(
    client: &Client,
    archive: &Archive,
    with: &Recipient,
    part: Part,
) -> Result<Vec<Message>, Error> {
    let before = match part.before_ms {
        Some(before_ms) => first_since(client, with, before_ms).await?,
        None => part.before,
    };
    let mut messages = fetch(client, archive, with, (before, part.limit)).await?;
    while let Some(first) = messages.first()
        && messages.len() < part.limit
        && first.sequence > Sequence(1)
    {
        let place = (first.epoch, first.sequence);
        let missing = part.limit - messages.len();
        let run = archive.run(&first.conversation, place, missing).await;
        // An archive that fails has nothing; the chat is told of it elsewhere.
        let mut older = run.unwrap_or_default();
        if older.is_empty() {
            older = fetch(client, archive, with, (Some(place.1), missing)).await?;
        }
        if older.is_empty() {
            break;
        }
        older.append(&mut messages);
        messages = older;
    }
    Ok(messages)
}

/// Asks the cluster, and keeps what it says.
async fn fetch(
    client: &Client,
    archive: &Archive,
    with: &Recipient,
    (before, limit): (Option<Sequence>, usize),
) -> Result<Vec<Message>, Error> {
    let page = client.history(with, before, limit.min(PAGE)).await?;
    for message in &page {
        archive.record(client.identity(), message.clone()).await;
    }
    Ok(page)
}

/// The first message that was accepted at that time or later: each answer halves what is left to
/// look through. `None` when the log has no messages.
async fn first_since(
    client: &Client,
    with: &Recipient,
    at_ms: u64,
) -> Result<Option<Sequence>, Error> {
    let newest = client.history(with, None, 1).await?;
    let Some(newest) = newest.last() else {
        return Ok(None);
    };
    // What is up to `earlier` was accepted before; what is from `since` on was not.
    let (mut earlier, mut since) = (0, newest.sequence.0 + 1);
    while since - earlier > 1 {
        let middle = earlier + (since - earlier) / 2;
        let page = client.history(with, Some(Sequence(middle + 1)), 1).await?;
        match page.last() {
            Some(message) if message.accepted_at_ms >= at_ms => since = message.sequence.0,
            _ => earlier = middle,
        }
    }
    Ok(Some(Sequence(since)))
}
