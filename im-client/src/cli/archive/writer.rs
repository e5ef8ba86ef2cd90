//! The thread that has the database: gathers what is to be kept, writes it, answers questions.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use im_common::id::UserId;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use super::database::{self, Database};
use super::record::Entry;
use super::{ArchiveError, QUEUE_MAX, Trouble};

/// What comes within this time is written at once: a transaction costs as much as some twenty
/// messages. A kill loses no more than that, and looking back gets it from the cluster.
const GATHER_FOR: Duration = Duration::from_millis(50);

/// A job, and its place in the queue.
pub(super) struct Queued {
    pub(super) job: Job,
    pub(super) _place: OwnedSemaphorePermit,
}

/// Answers a question, if there is a database; returns whether that turned out to be damaged.
pub(super) type Question =
    Box<dyn FnOnce(Result<&mut Database, ArchiveError>) -> bool + Send + 'static>;

/// Something to do.
pub(super) enum Job {
    /// To be kept for this account.
    Keep(UserId, Entry),
    /// To be answered, after what came before.
    Ask(Question),
}

/// Says where the file is, if there is to be one; makes the folder for it.
pub(super) type Place = Box<dyn Fn() -> io::Result<Option<PathBuf>> + Send + 'static>;

/// Owns the database.
pub(super) struct Writer {
    place: Place,
    queue: Receiver<Queued>,
    tell: watch::Sender<Option<Trouble>>,
    database: Option<Database>,
}

/// What is written together: of one account.
struct Batch {
    owner: UserId,
    entries: Vec<Entry>,
    /// What came behind it and is none of it.
    behind: Option<Job>,
}

impl Writer {
    pub(super) fn new(
        place: Place,
        queue: Receiver<Queued>,
        tell: watch::Sender<Option<Trouble>>,
    ) -> Self {
        Self {
            place,
            queue,
            tell,
            database: None,
        }
    }

    /// Works until nobody holds the archive any more.
    pub(super) fn run(mut self) {
        while let Ok(queued) = self.queue.recv() {
            let mut next = Some(queued.job);
            while let Some(job) = next.take() {
                match job {
                    Job::Ask(question) => self.answer(question),
                    Job::Keep(owner, entry) => {
                        let batch = self.gather(owner, entry);
                        self.keep(batch.owner, &batch.entries);
                        next = batch.behind;
                    }
                }
            }
        }
    }

    /// Takes what comes soon, up to a question: nobody should wait for an answer.
    fn gather(&self, owner: UserId, first: Entry) -> Batch {
        let deadline = Instant::now() + GATHER_FOR;
        let mut batch = Batch {
            owner,
            entries: vec![first],
            behind: None,
        };
        while batch.entries.len() < QUEUE_MAX {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.queue.recv_timeout(left) {
                Ok(Queued {
                    job: Job::Keep(owner, entry),
                    ..
                }) if owner == batch.owner => batch.entries.push(entry),
                Ok(Queued { job, .. }) => {
                    batch.behind = Some(job);
                    break;
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        batch
    }

    fn keep(&mut self, owner: UserId, entries: &[Entry]) {
        let mut kept = self.record(owner, entries);
        if let Err(error) = &kept
            && self.begin_anew(error)
        {
            kept = self.record(owner, entries);
        }
        match kept {
            Ok(()) => self.works(),
            Err(error) => self.fails(&error),
        }
    }

    fn record(&mut self, owner: UserId, entries: &[Entry]) -> Result<(), ArchiveError> {
        self.database()?.record(owner, entries)
    }

    fn answer(&mut self, question: Question) {
        let is_damaged = question(self.database());
        if is_damaged {
            self.begin_anew(&ArchiveError::nonsense());
        }
    }

    fn database(&mut self) -> Result<&mut Database, ArchiveError> {
        if self.database.is_none() {
            let opened = match (self.place)()? {
                Some(path) => self.open(&path),
                None => Database::in_memory(),
            };
            self.database = Some(opened?);
        }
        // It was put there if it was missing.
        self.database.as_mut().ok_or(ArchiveError::Closed)
    }

    fn open(&self, path: &Path) -> Result<Database, ArchiveError> {
        match Database::open(path) {
            Err(error) if database::is_damaged(&error) => {
                let kept = Database::set_aside_unopened(path)?;
                self.say(Trouble::Damaged(kept));
                Database::open(path)
            }
            opened => opened,
        }
    }

    /// Puts the file aside if it can never be used; says whether there is another one to try.
    fn begin_anew(&mut self, error: &ArchiveError) -> bool {
        let trouble: fn(PathBuf) -> Trouble = match error {
            ArchiveError::AnotherAccount => Trouble::AnotherAccount,
            error if database::is_damaged(error) => Trouble::Damaged,
            _ => return false,
        };
        let Some(database) = self.database.take() else {
            return false;
        };
        match database.set_aside() {
            Ok(kept) => {
                self.say(trouble(kept));
                true
            }
            Err(error) => {
                self.fails(&error);
                false
            }
        }
    }

    fn works(&self) {
        self.tell.send_if_modified(|told| {
            // From here, the next failure is news again.
            let was_unusable = matches!(told, Some(Trouble::Unusable(_)));
            if was_unusable {
                *told = None;
            }
            false
        });
    }

    fn fails(&self, error: &ArchiveError) {
        tracing::debug!(%error, "cannot keep messages");
        let trouble = Trouble::Unusable(error.to_string());
        self.tell.send_if_modified(|told| {
            let is_known = matches!(told, Some(Trouble::Unusable(_)));
            if !is_known {
                *told = Some(trouble);
            }
            !is_known
        });
    }

    fn say(&self, trouble: Trouble) {
        self.tell.send_replace(Some(trouble));
    }
}
