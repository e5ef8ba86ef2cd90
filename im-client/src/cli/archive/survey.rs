//! Looking at an archive as it lies there: can it be used, and how much is in it?

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::path::Path;

use super::ArchiveError;
use super::database::{self, Database};

/// How the file of an archive is.
#[derive(Debug)]
pub(in crate::cli) enum Condition {
    /// Nothing was kept yet.
    Missing,
    /// It can be read, written and searched.
    Sound {
        /// How many messages it holds.
        messages: u64,
        /// What it takes of the disk.
        bytes: u64,
    },
    /// What it holds makes no sense, or not to search.
    Damaged(ArchiveError),
    /// A later version of this program has made it.
    Newer,
    /// It cannot be used as it is, for this reason.
    Unusable(ArchiveError),
}

/// Reads all of it, which takes a second for some million messages. Moves nothing away, whatever is
/// found.
pub(in crate::cli) fn look_at(file: &Path) -> Condition {
    match survey(file) {
        Ok((messages, bytes)) => Condition::Sound { messages, bytes },
        Err(ArchiveError::File(error)) if error.kind() == ErrorKind::NotFound => Condition::Missing,
        Err(ArchiveError::Newer) => Condition::Newer,
        Err(error) if database::is_damaged(&error) => Condition::Damaged(error),
        Err(error) => Condition::Unusable(error),
    }
}

fn survey(file: &Path) -> Result<(u64, u64), ArchiveError> {
    // Whoever can only read it keeps nothing.
    let bytes = OpenOptions::new()
        .append(true)
        .open(file)?
        .metadata()?
        .len();
    let messages = Database::open_to_read(file)?.checked()?;
    // What was written last.
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    let log = fs::metadata(log).map_or(0, |log| log.len());
    Ok((messages, bytes + log))
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};
    use std::path::PathBuf;

    use rusqlite::Connection;
    use tempfile::TempDir;

    use super::*;

    fn file() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("archive.db");
        (folder, file)
    }

    #[test]
    fn what_is_not_there_stays_away() {
        let (folder, file) = file();
        assert!(matches!(look_at(&file), Condition::Missing));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_archive_that_was_just_begun_is_sound() {
        let (_folder, file) = file();
        fs::write(&file, "").unwrap();
        assert!(matches!(
            look_at(&file),
            Condition::Sound { messages: 0, .. }
        ));
        drop(Database::open(&file).unwrap());
        assert!(matches!(
            look_at(&file),
            Condition::Sound { messages: 0, .. }
        ));
    }

    #[test]
    fn damage_is_found_in_the_middle_too_and_left_there() {
        let (_folder, file) = file();
        let database = Database::open(&file).unwrap();
        let fill = "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number LIMIT 500) \
            INSERT INTO person SELECT n, hex(randomblob(20)), n FROM number";
        database.connection.execute(fill, []).unwrap();
        drop(database);
        assert!(matches!(look_at(&file), Condition::Sound { .. }));
        let mut damaged = OpenOptions::new().write(true).open(&file).unwrap();
        damaged.seek(SeekFrom::End(-6000)).unwrap();
        damaged.write_all(&[0x5a; 4096]).unwrap();
        let before = fs::read(&file).unwrap();
        assert!(matches!(look_at(&file), Condition::Damaged(_)));
        assert_eq!(fs::read(&file).unwrap(), before);

        fs::write(&file, "no database, whatever its name says").unwrap();
        assert!(matches!(look_at(&file), Condition::Damaged(_)));
    }

    #[test]
    fn words_that_are_not_found_are_damage() {
        let (_folder, file) = file();
        let database = Database::open(&file).unwrap();
        let entry = "INSERT INTO word (rowid, text, marks) VALUES (1, 'lost', '')";
        database.connection.execute(entry, []).unwrap();
        drop(database);
        assert!(matches!(look_at(&file), Condition::Damaged(_)));
    }

    #[test]
    fn one_of_a_later_version_says_so() {
        let (_folder, file) = file();
        drop(Database::open(&file).unwrap());
        let later = Connection::open(&file).unwrap();
        later.pragma_update(None, "user_version", 99).unwrap();
        drop(later);
        assert!(matches!(look_at(&file), Condition::Newer));
    }

    #[test]
    fn what_is_no_file_cannot_be_used() {
        let (folder, _) = file();
        assert!(matches!(look_at(folder.path()), Condition::Unusable(_)));
    }
}
