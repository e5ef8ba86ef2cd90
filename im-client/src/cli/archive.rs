//! What was said, kept on this machine: for looking back without the cluster, and for search.
//!
//! A file for each account and cluster, written by a thread of its own, so that no message waits
//! for a disk. It is a copy: what is missing is asked of the cluster when somebody looks back, and
//! when it is damaged, another one is begun.
//!
//! - `record`: taking in, once each, also when a log lost something;
//! - `words`, `query`, `search`: how messages are found again;
//! - `past`: reading back; `database`: the file itself; `survey`: how it is.

mod database;
mod past;
mod place;
mod query;
mod record;
mod search;
mod survey;
#[cfg(test)]
mod tests;
mod words;
mod writer;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use im_common::id::{ConversationId, LogEpoch, Sequence, UserId};
use im_common::message::{Identity, Receipt, Recipient};
use im_common::name::UserName;
use rust_i18n::t;
use tokio::sync::{Semaphore, oneshot, watch};

use self::database::Database;
pub(super) use self::past::Part;
pub(super) use self::query::moment;
pub use self::query::{Query, QueryError};
use self::record::Entry;
pub use self::search::{Found, Next};
pub(super) use self::survey::{Condition, look_at};
use self::writer::{Job, Queued, Writer};
use super::names::Names;
use crate::Message;

/// What waits to be written: some milliseconds of the fastest conversation. Whoever brings more
/// waits; nothing is left out.
const QUEUE_MAX: usize = 256;

/// A handle to the archive of one account; clones share it.
///
/// When the last one is dropped, what waits is still written; [`Archive::close`] waits for that.
#[derive(Clone)]
pub struct Archive {
    jobs: mpsc::SyncSender<Queued>,
    room: Arc<Semaphore>,
    trouble: watch::Receiver<Option<Trouble>>,
}

/// A message of this device: whom it was for, where it is, and what it says.
#[derive(Debug)]
pub(super) struct Sent<'a> {
    pub(super) to: &'a Recipient,
    pub(super) receipt: &'a Receipt,
    pub(super) text: &'a str,
}

/// Something that the user should know about the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// The file was damaged. It was moved there, and another one begun.
    Damaged(PathBuf),
    /// The file is of another account of this name. It was moved there, and another one begun.
    AnotherAccount(PathBuf),
    /// Nothing is kept, for this reason.
    Unusable(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::Damaged(kept) => t!("archive.damaged", file = kept.display()),
            Self::AnotherAccount(kept) => t!("archive.another_account", file = kept.display()),
            Self::Unusable(why) => t!("archive.not_kept", why = why),
        })
    }
}

/// Why the archive did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] io::Error),
    /// The database fails.
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    /// A later version of this program has made it.
    #[error("it was made by a later version of im")]
    Newer,
    /// It is of another account of this name.
    #[error("it is of another account of this name")]
    AnotherAccount,
    /// Its thread has ended.
    #[error("it is closed")]
    Closed,
}

impl ArchiveError {
    /// A row that makes no sense.
    fn nonsense() -> Self {
        Self::damaged(None)
    }

    /// Something that makes no sense, and what.
    fn damage(what: String) -> Self {
        Self::damaged(Some(what))
    }

    fn damaged(what: Option<String>) -> Self {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        Self::Database(rusqlite::Error::SqliteFailure(code, what))
    }
}

impl Archive {
    /// Starts the thread of an archive. The file is opened, and created if it is missing, when
    /// there is something to do.
    pub fn open(path: &Path) -> io::Result<Self> {
        let path = path.to_owned();
        Self::start(move || Ok(Some(path.clone())))
    }

    /// An archive that is gone when the program ends, for a cluster that is as well.
    pub fn in_memory() -> io::Result<Self> {
        Self::start(|| Ok(None))
    }

    /// The archive of a user of the cluster with these routes.
    pub(super) fn of_account(user: &UserName, routes: &[String]) -> io::Result<Self> {
        let name = place::file_name(user, routes);
        Self::start(move || Ok(Some(place::folder()?.join(&name))))
    }

    /// The file of that account, which need not be there.
    pub(super) fn file_of(user: &UserName, routes: &[String]) -> io::Result<PathBuf> {
        Ok(place::folder()?.join(place::file_name(user, routes)))
    }

    /// Whether there is an archive of that account.
    pub(super) fn exists(user: &UserName, routes: &[String]) -> bool {
        Self::file_of(user, routes).is_ok_and(|file| file.exists())
    }

    fn start<P>(place: P) -> io::Result<Self>
    where
        P: Fn() -> io::Result<Option<PathBuf>> + Send + 'static,
    {
        let (jobs, queue) = mpsc::sync_channel(QUEUE_MAX);
        let (tell, trouble) = watch::channel(None);
        let writer = Writer::new(Box::new(place), queue, tell);
        // Never joined: a disk may hang, and the end of the program must not.
        std::thread::Builder::new()
            .name("archive".to_owned())
            .spawn(move || writer.run())?;
        Ok(Self {
            jobs,
            room: Arc::new(Semaphore::new(QUEUE_MAX)),
            trouble,
        })
    }

    /// Keeps a message that `reader` has seen or sent; known ones change nothing. Returns once it
    /// is in the queue, from where it gets to the disk within a twentieth of a second. Waits while
    /// the queue is full.
    pub async fn record(&self, reader: &Identity, message: Message) {
        let entry = Entry::Message(Box::new(message));
        self.keep(reader.user, entry).await;
    }

    /// Keeps a message of this device that was accepted, as [`Archive::record`] does.
    pub(super) async fn record_sent(&self, reader: &Identity, sent: Sent<'_>) {
        let Sent { to, receipt, text } = sent;
        let position = receipt.position.clone();
        let peer = position.conversation.peer_of(reader.user);
        let message = Message {
            id: receipt.id,
            conversation: position.conversation,
            sequence: position.sequence,
            epoch: position.epoch,
            sender: reader.user,
            sender_name: reader.name.clone(),
            sender_device: Some(reader.device.clone()),
            accepted_at_ms: receipt.accepted_at_ms,
            text: text.to_owned(),
        };
        self.record(reader, message).await;
        if let (Recipient::Name(name), Some(peer)) = (to, peer) {
            // Who has never said anything is known by this name only.
            self.keep(reader.user, Entry::Person(peer, name.to_string()))
                .await;
        }
    }

    /// Notes that the log of a conversation began anew. What it held before remains to be found.
    pub(super) async fn reset(&self, conversation: ConversationId) {
        let noted = self.ask(|database| {
            database.began_anew.insert(conversation);
            Ok(())
        });
        // Otherwise nothing is kept, which is told.
        let _ = noted.await;
    }

    /// Finds the newest `limit` messages that match, or those before `next`. Cancel-safe.
    pub async fn search(
        &self,
        query: &Query,
        next: Option<Next>,
        limit: usize,
    ) -> Result<Found, ArchiveError> {
        let query = query.clone();
        self.ask(move |database| database.search(&query, next, limit))
            .await
    }

    /// What is held of a part of a conversation, oldest first. Cancel-safe.
    pub(super) async fn part(
        &self,
        conversation: &ConversationId,
        part: Part,
    ) -> Result<Vec<Message>, ArchiveError> {
        let conversation = conversation.clone();
        self.ask(move |database| database.part(&conversation, part))
            .await
    }

    /// What is held right before a place, without gaps, oldest first. Cancel-safe.
    pub(super) async fn run(
        &self,
        conversation: &ConversationId,
        before: (LogEpoch, Sequence),
        limit: usize,
    ) -> Result<Vec<Message>, ArchiveError> {
        let conversation = conversation.clone();
        self.ask(move |database| database.run(&conversation, before, limit))
            .await
    }

    /// Whose messages these are; `None` when there are none. Cancel-safe.
    pub(super) async fn owner(&self) -> Result<Option<UserId>, ArchiveError> {
        self.ask(|database| database.owner()).await
    }

    /// The user who is meant, if the name was ever seen. Cancel-safe.
    pub(super) async fn user(&self, who: &Recipient) -> Result<Option<UserId>, ArchiveError> {
        let who = who.clone();
        self.ask(move |database| Ok(database.users(&who)?.first().copied()))
            .await
    }

    /// Teaches `names` how the other sides of these messages are called, as far as is known.
    /// Cancel-safe.
    pub(super) async fn introduce(&self, reader: &Identity, names: &Names, messages: &[Message]) {
        let peers = messages.iter();
        let peers = peers.filter_map(|message| message.conversation.peer_of(reader.user));
        let peers: BTreeSet<UserId> = peers.collect();
        let known = self.ask(move |database| {
            let named = |peer| Ok(database.name_of(peer)?.map(|name| (peer, name)));
            peers.into_iter().map(named).collect::<Result<Vec<_>, _>>()
        });
        // Without them, ids are shown.
        for (peer, name) in known.await.unwrap_or_default().into_iter().flatten() {
            names.learn(peer, &name);
        }
    }

    /// Resolves when there is something to tell the user; each is told once. Cancel-safe.
    pub(super) async fn trouble(&mut self) -> Trouble {
        while self.trouble.changed().await.is_ok() {
            if let Some(trouble) = self.trouble.borrow_and_update().clone() {
                return trouble;
            }
        }
        std::future::pending().await
    }

    /// Waits until everything so far is on the disk, or cannot be written; returns what the user
    /// should know and was not told yet. Cancel-safe.
    pub async fn close(mut self) -> Option<Trouble> {
        // Nobody can be told more of a failure than the trouble tells.
        let _ = self.ask(|_| Ok(())).await;
        let is_new = self.trouble.has_changed().unwrap_or(false);
        is_new.then(|| self.trouble.borrow_and_update().clone())?
    }

    async fn keep(&self, owner: UserId, entry: Entry) {
        self.queue(Job::Keep(owner, entry)).await;
    }

    /// Asks the database, after everything that was to be kept before.
    async fn ask<T, Q>(&self, question: Q) -> Result<T, ArchiveError>
    where
        T: Send + 'static,
        Q: FnOnce(&mut Database) -> Result<T, ArchiveError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let question = |database: Result<&mut Database, ArchiveError>| {
            let result = database.and_then(question);
            let is_damaged = result.as_ref().err().is_some_and(database::is_damaged);
            let _ = answer.send(result);
            is_damaged
        };
        self.queue(Job::Ask(Box::new(question))).await;
        answered.await.unwrap_or(Err(ArchiveError::Closed))
    }

    async fn queue(&self, job: Job) {
        // The room is never closed.
        let Ok(place) = Arc::clone(&self.room).acquire_owned().await else {
            return;
        };
        // There is a place in the queue for each permit, so this never waits.
        if self.jobs.send(Queued { job, _place: place }).is_err() {
            tracing::debug!("the archive's thread has ended");
        }
    }
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive")
            .field("waiting", &(QUEUE_MAX - self.room.available_permits()))
            .finish_non_exhaustive()
    }
}
