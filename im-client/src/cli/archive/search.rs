//! Answering questions: from the newest message back, as many as are wanted.

use std::fmt::Write;

use im_common::id::{ConversationId, UserId};
use im_common::message::Recipient;
use im_common::name::fold;
use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::ArchiveError;
use super::database::{Database, stored, user_id};
use super::past::{COLUMNS, message};
use super::query::{Phrase, Query};
use super::record::{first_id, log_mark, sender_mark};
use super::words::may_go_on;
use crate::Message;

/// What was found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Found {
    /// The newest matches, oldest first.
    pub messages: Vec<Message>,
    /// Where to go on; `None` when there are no more.
    pub next: Option<Next>,
}

/// A place among the matches: those before it are older.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next(i64);

impl Database {
    /// Finds the newest matches, before `next` if given.
    pub(super) fn search(
        &self,
        query: &Query,
        next: Option<Next>,
        limit: usize,
    ) -> Result<Found, ArchiveError> {
        let nothing = Found {
            messages: Vec::new(),
            next: None,
        };
        let Some(expression) = self.expression(query)? else {
            return Ok(nothing);
        };
        let first = query.after_ms.map_or(i64::MIN, first_id);
        let end = query.before_ms.map_or(i64::MAX, first_id);
        let end = next.map_or(end, |Next(id)| id.min(end));
        // The index of words is read from its end, and no further than `limit` matches.
        let (table, matching) = match expression.is_empty() {
            true => ("message", ""),
            false => ("word", "AND word MATCH ?4"),
        };
        let select = format!(
            "SELECT {COLUMNS} FROM \
             (SELECT rowid AS found FROM {table} WHERE rowid >= ?1 AND rowid < ?2 {matching} \
              ORDER BY rowid DESC LIMIT ?3) \
             JOIN message ON message.id = found \
             JOIN log ON log.id = message.log JOIN person ON person.id = message.sender \
             ORDER BY found DESC"
        );
        // One more tells whether there is more.
        let mut values = vec![
            Value::from(first),
            Value::from(end),
            Value::from(stored(limit as u64 + 1)),
        ];
        if !expression.is_empty() {
            values.push(Value::from(expression));
        }
        let mut select = self.connection.prepare_cached(&select)?;
        let mut rows = select.query(params_from_iter(values))?;
        let mut found = nothing;
        let mut oldest = None;
        while let Some(row) = rows.next()? {
            if found.messages.len() == limit {
                found.next = oldest;
                break;
            }
            oldest = Some(Next(row.get("id")?));
            found.messages.push(message(row)?);
        }
        found.messages.reverse();
        Ok(found)
    }

    /// The question in the language of the index; `None` when it names somebody unknown.
    fn expression(&self, query: &Query) -> Result<Option<String>, ArchiveError> {
        let mut parts: Vec<String> = query.phrases.iter().map(phrase).collect();
        if let Some(from) = &query.from {
            let senders = self.users(from)?;
            let marks = senders.into_iter().map(sender_mark);
            parts.push(one_of(marks));
        }
        if let Some(within) = &query.within {
            let logs = self.logs_with(within)?;
            parts.push(one_of(logs.into_iter().map(log_mark)));
        }
        let names_nobody = parts.iter().any(String::is_empty);
        Ok((!names_nobody).then(|| parts.join(" AND ")))
    }

    /// Everybody who is meant: a name may have belonged to several users, one after another.
    pub(super) fn users(&self, who: &Recipient) -> Result<Vec<UserId>, ArchiveError> {
        let name = match who {
            Recipient::Lobby => return Ok(Vec::new()),
            Recipient::User(user) => return Ok(vec![*user]),
            Recipient::Name(name) => fold(name.as_str()),
        };
        let known = "SELECT id FROM person WHERE folded = ? ORDER BY id DESC";
        let mut known = self.connection.prepare_cached(known)?;
        let rows = known.query_map([name], |row| row.get(0))?;
        rows.map(|user| user_id(user?)).collect()
    }

    fn logs_with(&self, who: &Recipient) -> Result<Vec<i64>, ArchiveError> {
        let conversations = match who {
            Recipient::Lobby => vec![ConversationId::Lobby],
            _ => {
                let Some(owner) = self.owner()? else {
                    return Ok(Vec::new());
                };
                let peers = self.users(who)?.into_iter();
                peers
                    .map(|peer| ConversationId::private(owner, peer))
                    .collect()
            }
        };
        let mut of = self
            .connection
            .prepare_cached("SELECT id FROM log WHERE conversation = ?")?;
        let mut logs = Vec::new();
        for conversation in conversations {
            let rows = of.query_map([conversation.to_string()], |row| row.get(0))?;
            for log in rows {
                logs.push(log?);
            }
        }
        Ok(logs)
    }
}

/// Words in order, the last of which may go on.
fn phrase(Phrase(words): &Phrase) -> String {
    let mut text = words.join(" ");
    // Words hold letters, whatever these are folded to; a quote would end the phrase.
    text.retain(|c| c != '"');
    let goes_on = words.last().is_some_and(|last| may_go_on(last));
    format!("text : \"{text}\"{}", if goes_on { " *" } else { "" })
}

fn one_of(marks: impl Iterator<Item = String>) -> String {
    let mut list = String::new();
    for mark in marks {
        let or = if list.is_empty() { "marks : (" } else { " OR " };
        write!(list, "{or}\"{mark}\"").expect("a string takes any text");
    }
    if !list.is_empty() {
        list.push(')');
    }
    list
}
