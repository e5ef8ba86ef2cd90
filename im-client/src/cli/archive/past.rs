//! Reading a conversation back, as far as it is held here.

use im_common::id::{ConversationId, DeviceId, LogEpoch, MessageId, Sequence, UserId};
use im_common::name::UserName;
use rusqlite::{OptionalExtension, Row, params};

use super::ArchiveError;
use super::database::{Database, loaded, stored, user_id};
use crate::Message;

/// What [`message`] reads; with `person` as the sender.
pub(super) const COLUMNS: &str = "message.id AS id, log.conversation AS conversation, \
     message.sequence AS sequence, message.epoch AS epoch, message.sender AS sender, \
     person.name AS sender_name, message.device AS device, message.name AS name, \
     message.accepted_at_ms AS accepted_at_ms, message.text AS text";

/// Which part of a conversation is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Part {
    /// Only messages before this place.
    pub(in crate::cli) before: Option<Sequence>,
    /// Only messages accepted before this time.
    pub(in crate::cli) before_ms: Option<u64>,
    /// At most so many, the newest of them.
    pub(in crate::cli) limit: usize,
}

impl Database {
    /// The newest messages of that part of the conversation's newest log, oldest first, whether or
    /// not others are missing between them.
    pub(super) fn part(
        &self,
        conversation: &ConversationId,
        part: Part,
    ) -> Result<Vec<Message>, ArchiveError> {
        let select = format!(
            "SELECT {COLUMNS} FROM message JOIN log ON log.id = message.log \
             JOIN person ON person.id = message.sender \
             WHERE log = (SELECT max(id) FROM log WHERE conversation = ?1) \
             AND sequence < ?2 AND accepted_at_ms < ?3 ORDER BY sequence DESC LIMIT ?4"
        );
        let mut select = self.connection.prepare_cached(&select)?;
        let mut rows = select.query(params![
            conversation.to_string(),
            part.before.map_or(i64::MAX, |before| stored(before.0)),
            part.before_ms.map_or(i64::MAX, stored),
            stored(part.limit as u64),
        ])?;
        let mut messages = Vec::new();
        while let Some(row) = rows.next()? {
            messages.push(message(row)?);
        }
        messages.reverse();
        Ok(messages)
    }

    /// The messages right before a place, without gaps, of that epoch: what is held of an earlier
    /// one may be lost in the cluster.
    pub(super) fn run(
        &self,
        conversation: &ConversationId,
        (epoch, before): (LogEpoch, Sequence),
        limit: usize,
    ) -> Result<Vec<Message>, ArchiveError> {
        let part = Part {
            before: Some(before),
            before_ms: None,
            limit,
        };
        let mut messages = self.part(conversation, part)?;
        let mut expected = before.0;
        let run = messages.iter().rev().take_while(|message| {
            expected = expected.saturating_sub(1);
            message.epoch == epoch && message.sequence.0 == expected
        });
        let length = run.count();
        Ok(messages.split_off(messages.len() - length))
    }

    /// The name of a user, if it was ever seen.
    pub(super) fn name_of(&self, user: UserId) -> Result<Option<String>, ArchiveError> {
        let mut name = self
            .connection
            .prepare_cached("SELECT name FROM person WHERE id = ?")?;
        let name = name.query_row([stored(user.number())], |row| row.get(0));
        Ok(name.optional()?)
    }
}

/// Reads a message from a row of [`COLUMNS`].
pub(super) fn message(row: &Row<'_>) -> Result<Message, ArchiveError> {
    let conversation: String = row.get("conversation")?;
    let name: Vec<u8> = row.get("name")?;
    let sender_name: String = row.get("sender_name")?;
    let device: Option<String> = row.get("device")?;
    let nonsense = |_| ArchiveError::nonsense();
    Ok(Message {
        id: MessageId::from_bytes(&name).map_err(nonsense)?,
        conversation: conversation.parse().map_err(nonsense)?,
        sequence: Sequence(loaded(row.get("sequence")?)),
        epoch: LogEpoch(loaded(row.get("epoch")?)),
        sender: user_id(row.get("sender")?)?,
        sender_name: UserName::new(&sender_name).map_err(|_| ArchiveError::nonsense())?,
        sender_device: device
            .map(|device| DeviceId::new(&device))
            .transpose()
            .map_err(nonsense)?,
        accepted_at_ms: loaded(row.get("accepted_at_ms")?),
        text: row.get("text")?,
    })
}
