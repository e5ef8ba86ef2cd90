//! The database file: opening it, its tables, and putting it aside when it is of no use.
//!
//! Several `im` of one account may have it open. SQLite keeps them apart; a writer waits for
//! another one.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use im_common::id::{ConversationId, UserId};
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior,
};

use super::ArchiveError;

/// How long one `im` waits for another to finish writing: far longer than a batch takes.
const BUSY_WITHIN: Duration = Duration::from_secs(5);
/// Pages of 4 KiB kept in memory: the top of every index. Rows come from the system's cache.
const CACHE_KIB: i64 = 2048;

/// The tables, one step for each version of them; a step that was released never changes.
const MIGRATIONS: &[&str] = &[include_str!("tables.sql")];

/// One open database.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) connection: Connection,
    /// Logs that began anew and whose next message has not come yet.
    pub(super) began_anew: HashSet<ConversationId>,
    /// Which file it is; none in memory.
    file: Option<(PathBuf, u64)>,
}

impl Database {
    /// Opens or creates it, for this user only, and brings its tables up to date.
    pub(super) fn open(path: &Path) -> Result<Self, ArchiveError> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        let inode = file.metadata()?.ino();
        Self::set_up(Connection::open(path)?, Some((path.to_owned(), inode)))
    }

    /// Opens one that is there, of this version or an earlier one, to look at it.
    pub(super) fn open_to_read(path: &Path) -> Result<Self, ArchiveError> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(BUSY_WITHIN)?;
        let database = Self {
            connection,
            began_anew: HashSet::new(),
            file: None,
        };
        match database.version()? > MIGRATIONS.len() {
            true => Err(ArchiveError::Newer),
            false => Ok(database),
        }
    }

    /// Reads every page, and returns how many messages there are. Fails as damaged if that makes no
    /// sense, or if the index of words is of other messages.
    pub(super) fn checked(&self) -> Result<u64, ArchiveError> {
        let one = |question: &str| self.connection.query_row(question, [], |row| row.get(0));
        let said: String = self
            .connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if said != "ok" {
            return Err(ArchiveError::damage(said));
        }
        if self.version()? == 0 {
            // It was created, and nothing more.
            return Ok(0);
        }
        let messages: i64 = one("SELECT count(*) FROM message")?;
        let found: i64 = one("SELECT count(*) FROM word_docsize")?;
        match messages == found {
            true => Ok(loaded(messages)),
            false => Err(ArchiveError::damage(format!(
                "{messages} messages, of which {found} can be found"
            ))),
        }
    }

    /// One that is gone when it is closed.
    pub(super) fn in_memory() -> Result<Self, ArchiveError> {
        Self::set_up(Connection::open_in_memory()?, None)
    }

    fn set_up(connection: Connection, file: Option<(PathBuf, u64)>) -> Result<Self, ArchiveError> {
        connection.busy_timeout(BUSY_WITHIN)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // A power cut may take the newest back, and damages nothing; the cluster has them still.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        let mut database = Self {
            connection,
            began_anew: HashSet::new(),
            file,
        };
        database.migrate()?;
        Ok(database)
    }

    fn migrate(&mut self) -> Result<(), ArchiveError> {
        if self.version()? == MIGRATIONS.len() {
            return Ok(());
        }
        let transaction = self.begin()?;
        // Another process may have done it while this one waited.
        let version = version(&transaction)?;
        let Some(steps) = MIGRATIONS.get(version..) else {
            return Err(ArchiveError::Newer);
        };
        for step in steps {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
        Ok(transaction.commit()?)
    }

    fn version(&self) -> Result<usize, ArchiveError> {
        version(&self.connection)
    }

    /// Begins to write; waits for other writers.
    pub(super) fn begin(&mut self) -> rusqlite::Result<Transaction<'_>> {
        self.connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
    }

    /// Whose messages these are; `None` while there are none.
    pub(super) fn owner(&self) -> Result<Option<UserId>, ArchiveError> {
        let mut statement = self.connection.prepare_cached("SELECT user FROM owner")?;
        let user = statement.query_row([], |row| row.get(0)).optional()?;
        user.map(user_id).transpose()
    }

    /// Closes it and moves its files away, unless another process has done so. Returns where the
    /// file is now.
    pub(super) fn set_aside(self) -> Result<PathBuf, ArchiveError> {
        let Self {
            connection, file, ..
        } = self;
        drop(connection);
        let (path, inode) = file.ok_or(ArchiveError::Closed)?;
        set_aside(&path, inode)
    }

    /// The same for a file that could not be opened.
    pub(super) fn set_aside_unopened(path: &Path) -> Result<PathBuf, ArchiveError> {
        set_aside(path, fs::metadata(path)?.ino())
    }
}

fn version(connection: &Connection) -> Result<usize, ArchiveError> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

fn set_aside(path: &Path, inode: u64) -> Result<PathBuf, ArchiveError> {
    let mut kept = path.as_os_str().to_owned();
    kept.push(format!(".{inode}.old"));
    let kept = PathBuf::from(kept);
    let is_the_same = fs::metadata(path).is_ok_and(|now| now.ino() == inode);
    if is_the_same {
        // Before the file itself, so that no new one can be opened with an old one's companions.
        for companion in ["-wal", "-shm"] {
            let of = |path: &Path| {
                let mut name = path.as_os_str().to_owned();
                name.push(companion);
                PathBuf::from(name)
            };
            match fs::rename(of(path), of(&kept)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        fs::rename(path, &kept)?;
    }
    Ok(kept)
}

/// Whether the file is no database, or a broken one.
pub(super) fn is_damaged(error: &ArchiveError) -> bool {
    let ArchiveError::Database(error) = error else {
        return false;
    };
    let code = error.sqlite_error_code();
    matches!(
        code,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// SQLite knows no unsigned numbers; what does not fit comes from no cluster.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The number that [`stored`] was given.
pub(super) const fn loaded(number: i64) -> u64 {
    number.cast_unsigned()
}

pub(super) fn user_id(number: i64) -> Result<UserId, ArchiveError> {
    UserId::new(loaded(number)).map_err(|_| ArchiveError::nonsense())
}
