//! Texts that are to be sent later: kept in the folder for state, in a file for each account.
//!
//! A text is there before its writer hears that it waits, and until the cluster has answered. It
//! is sent under one id, however often that takes, so it is stored once.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use im_common::id::MessageId;
use im_common::message::{Identity, Recipient};
use serde::{Deserialize, Serialize};

use super::state;

/// Texts that wait at once: more is no work for a person.
pub(super) const DELAYED_MAX: usize = 100;

/// A text that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Delayed {
    /// What its writer calls it.
    pub(super) number: u64,
    /// When it is due, milliseconds since 1970.
    pub(super) due_at_ms: u64,
    /// The id of its message.
    id: String,
    to: String,
    /// What it says.
    pub(super) text: String,
}

impl Delayed {
    /// The id it is sent under, and whom it is for; `None` if somebody edited them away.
    pub(super) fn message(&self) -> Option<(MessageId, Recipient)> {
        Some((self.id.parse().ok()?, self.to.parse().ok()?))
    }

    /// Whom it is for, as it was said.
    pub(super) fn to(&self) -> &str {
        &self.to
    }
}

/// The file of one account.
#[derive(Debug, Clone)]
pub(super) struct DelayedFile {
    folder: PathBuf,
    name: String,
}

impl DelayedFile {
    /// The file of an account in the folder for state.
    pub(super) fn of(folder: PathBuf, identity: &Identity) -> Self {
        let name = format!("delayed-{}-{}", identity.name, identity.user);
        Self { folder, name }
    }

    /// What waits, by the time it is due.
    pub(super) fn list(&self) -> io::Result<Vec<Delayed>> {
        let mut waiting = self.read()?;
        waiting.sort_by_key(|delayed| delayed.due_at_ms);
        Ok(waiting)
    }

    /// Whether a text still waits: another program may have cancelled or sent it.
    pub(super) fn holds(&self, delayed: &Delayed) -> io::Result<bool> {
        let waiting = self.read()?;
        Ok(waiting.iter().any(|other| other.id == delayed.id))
    }

    /// Keeps a text; `None` if too many wait already.
    pub(super) fn add(
        &self,
        due_at_ms: u64,
        to: &Recipient,
        text: String,
    ) -> io::Result<Option<Delayed>> {
        self.change(|waiting| {
            if waiting.len() >= DELAYED_MAX {
                return None;
            }
            let numbers = waiting.iter().map(|delayed| delayed.number);
            let delayed = Delayed {
                number: numbers.max().unwrap_or(0) + 1,
                due_at_ms,
                id: MessageId::fresh().to_string(),
                to: to.to_string(),
                text,
            };
            waiting.push(delayed.clone());
            Some(delayed)
        })
    }

    /// Lets go of a text; tells whether it was there.
    pub(super) fn remove(&self, number: u64) -> io::Result<bool> {
        self.change(|waiting| {
            let before = waiting.len();
            waiting.retain(|delayed| delayed.number != number);
            waiting.len() < before
        })
    }

    /// Other programs of this account may be at it at the same time.
    fn change<T>(&self, change: impl FnOnce(&mut Vec<Delayed>) -> T) -> io::Result<T> {
        let _lock = state::lock(&self.folder, &self.name)?;
        let mut waiting = self.read()?;
        let result = change(&mut waiting);
        let aside = self.folder.join(format!("{}.new", self.name));
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&aside)?;
        serde_json::to_writer(&mut file, &waiting)?;
        file.flush()?;
        file.sync_all()?;
        fs::rename(&aside, self.path())?;
        Ok(result)
    }

    fn read(&self) -> io::Result<Vec<Delayed>> {
        match fs::read(self.path()) {
            Ok(content) => Ok(serde_json::from_slice(&content)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.json", self.name))
    }
}

/// Now, in milliseconds since 1970: a text is due by the clock on the wall, also after a sleep.
pub(super) fn now_ms() -> u64 {
    // Before 1970, everything is due in the future.
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    milliseconds(since.unwrap_or(Duration::ZERO))
}

/// A time in milliseconds.
pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use im_common::id::{DeviceId, UserId};
    use im_common::name::UserName;

    use super::*;

    fn file(folder: &Path) -> DelayedFile {
        let identity = Identity {
            user: UserId::new(7).unwrap(),
            name: UserName::new("alice").unwrap(),
            device: DeviceId::new("laptop").unwrap(),
        };
        DelayedFile::of(folder.to_owned(), &identity)
    }

    #[test]
    fn texts_wait_until_they_are_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let delayed = file(folder.path());
        let long = "长".repeat(20_000);
        let bob: Recipient = "bob".parse().unwrap();
        let later = delayed.add(200, &Recipient::Lobby, long.clone()).unwrap();
        let sooner = delayed.add(100, &bob, "two\nlines".to_owned()).unwrap();
        let (later, sooner) = (later.unwrap(), sooner.unwrap());
        assert_eq!((later.number, sooner.number), (1, 2));
        assert_eq!(later.text, long);
        assert_eq!(sooner.message().unwrap().1, bob);
        let again = file(folder.path());
        assert_eq!(again.list().unwrap(), [sooner.clone(), later.clone()]);
        assert!(again.holds(&sooner).unwrap());
        assert!(again.remove(1).unwrap());
        assert!(!again.remove(1).unwrap());
        assert!(!again.holds(&later).unwrap());
        assert_eq!(delayed.list().unwrap(), [sooner]);
        let mode = fs::metadata(delayed.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn no_more_than_so_many_wait() {
        let folder = tempfile::tempdir().unwrap();
        let delayed = file(folder.path());
        for _ in 0..DELAYED_MAX {
            let added = delayed.add(1, &Recipient::Lobby, "x".to_owned()).unwrap();
            assert!(added.is_some());
        }
        let more = delayed.add(1, &Recipient::Lobby, "x".to_owned()).unwrap();
        assert_eq!(more, None);
    }

    #[test]
    fn a_damaged_file_is_not_taken_for_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let delayed = file(folder.path());
        fs::write(delayed.path(), "[{").unwrap();
        assert!(delayed.list().is_err());
        assert!(delayed.add(1, &Recipient::Lobby, "x".to_owned()).is_err());
    }
}
