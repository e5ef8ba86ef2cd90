//! The file: lines appended one after another, and written anew when there are too many.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use im_common::message::Identity;

use super::line::{Line, Read};
use crate::store::state::State;
use crate::store::{Change, StoreError, StoreErrorKind};

/// A file of less is not worth being written anew.
const SHORTEN_FROM: u64 = 1024 * 1024;
/// The longest line that is written: what a client saves at once, 1 MiB of text and one more of the
/// largest texts, with every byte escaped as `\u00XX`.
const LINE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// The file, open for appending, and locked.
pub(super) struct Journal {
    path: PathBuf,
    pub(super) file: File,
    /// Where the next line begins.
    length: u64,
    /// So much is safe on the disk.
    synced: u64,
    /// The length from which it is written anew.
    shorten_at: u64,
    /// A write or a sync failed: what the file holds now is not known, and it has to be written anew.
    is_broken: bool,
    _lock: File,
}

impl Journal {
    /// Reads the file, or creates it, and cuts off what a crash left at its end.
    pub(super) fn open(path: PathBuf, owner: Identity) -> Result<(Self, State), StoreError> {
        let lock = lock(&path)?;
        let failed = |error| unavailable("cannot open", &path, error);
        let (state, length) = match File::open(&path) {
            Ok(file) => read(&path, &file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let state = State::new(owner.clone());
                let length = write_anew(&path, &state).map_err(failed)?;
                (state, length)
            }
            Err(error) => return Err(failed(error)),
        };
        state
            .admit(&owner)
            .map_err(|error| located(&path, &error))?;
        let file = append_to(&path).map_err(failed)?;
        file.set_len(length).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        let journal = Self {
            path,
            file,
            length,
            synced: length,
            shorten_at: shorten_at(length),
            is_broken: false,
            _lock: lock,
        };
        Ok((journal, state))
    }

    /// Appends changes to those in the state. They survive the end of the program, and the end of the
    /// machine after [`Journal::sync`].
    pub(super) fn append(&mut self, state: &State, changes: &[Change]) -> Result<(), StoreError> {
        if self.is_broken || self.length >= self.shorten_at {
            self.shorten(state)?;
        }
        let line = Line::Changes(changes.to_vec()).encode(self.synced);
        let line = line.map_err(|error| unavailable("cannot write", &self.path, error.into()))?;
        if line.len() as u64 > LINE_BYTES_MAX {
            let message = "more than fits into a line of the store is saved at once";
            return Err(StoreError::new(StoreErrorKind::Full, message));
        }
        self.file.write_all(&line).map_err(|error| {
            self.is_broken = true;
            unavailable("cannot write", &self.path, error)
        })?;
        self.length += line.len() as u64;
        Ok(())
    }

    /// Makes everything safe on the disk.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(|error| {
            self.is_broken = true;
            unavailable("cannot sync", &self.path, error)
        })?;
        self.synced = self.length;
        Ok(())
    }

    fn shorten(&mut self, state: &State) -> Result<(), StoreError> {
        let failed = |error| unavailable("cannot write", &self.path, error);
        let length = write_anew(&self.path, state).map_err(failed)?;
        self.file = append_to(&self.path).map_err(failed)?;
        self.length = length;
        self.synced = length;
        self.shorten_at = shorten_at(length);
        self.is_broken = false;
        Ok(())
    }
}

const fn shorten_at(length: u64) -> u64 {
    let twice = length.saturating_mul(2);
    if twice > SHORTEN_FROM {
        twice
    } else {
        SHORTEN_FROM
    }
}

/// Tells others that the file is in use. Not the file itself is locked, which is replaced when it is
/// written anew.
fn lock(path: &Path) -> Result<File, StoreError> {
    let file = append_to(&beside(path, "lock"));
    let file = file.map_err(|error| unavailable("cannot lock", path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let message = format!("{} is in use by another program", path.display());
            Err(StoreError::new(StoreErrorKind::InUse, message))
        }
        Err(TryLockError::Error(error)) => Err(unavailable("cannot lock", path, error)),
    }
}

/// Reads all lines. Returns what they say, and the length of what is whole.
fn read(path: &Path, file: &File) -> Result<(State, u64), StoreError> {
    let failed = |error| unavailable("cannot read", path, error);
    let mut lines = BufReader::new(file);
    let (line, mut length) = next(&mut lines).map_err(failed)?;
    let Some(Read {
        line: Line::Owner(owner),
        ..
    }) = line
    else {
        return Err(damaged(path, 0));
    };
    let mut state = State::new(owner);
    loop {
        let (line, bytes) = next(&mut lines).map_err(failed)?;
        match line {
            Some(Read {
                line: Line::Changes(changes),
                ..
            }) => changes.iter().for_each(|change| state.apply(change)),
            _ if bytes == 0 => return Ok((state, length)),
            _ => break,
        }
        length += bytes;
    }
    // What was not synced when the machine stopped may be missing in the middle as well. It was, if a
    // later line says so.
    loop {
        let (line, bytes) = next(&mut lines).map_err(failed)?;
        if line.is_some_and(|line| line.synced > length) {
            return Err(damaged(path, length));
        }
        if bytes == 0 {
            return Ok((state, length));
        }
    }
}

/// Reads up to the next line feed: what is there, if it is whole, and its length.
fn next(lines: &mut BufReader<&File>) -> io::Result<(Option<Read>, u64)> {
    let mut bytes = Vec::new();
    let read = lines.take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)?;
    Ok((Line::decode(&bytes), read as u64))
}

/// Writes what is kept into a new file, and puts that in the place of the old one, safe on the disk.
fn write_anew(path: &Path, state: &State) -> io::Result<u64> {
    let aside = beside(path, "new");
    let contents = state.contents();
    let positions = contents.positions.into_iter().map(Change::Handled);
    let sends = contents.sends.into_iter().map(Change::Sending);
    let changes = positions
        .chain(sends)
        .map(|change| Line::Changes(vec![change]));
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = BufWriter::new(append_to(&aside)?);
    let mut length = 0;
    let owner = std::iter::once(Line::Owner(state.owner().clone()));
    // The last line says that those before are safe: none of them can be missing.
    for line in owner.chain(changes).chain([Line::Changes(Vec::new())]) {
        let line = line.encode(length)?;
        file.write_all(&line)?;
        length += line.len() as u64;
    }
    let file = file.into_inner()?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    sync_folder(path)?;
    Ok(length)
}

/// A new name is safe when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if cfg!(unix) {
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// Opens a file that only this user may read.
fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

fn unavailable(what: &str, path: &Path, error: io::Error) -> StoreError {
    let message = format!("{what} the store {}", path.display());
    StoreError::new(StoreErrorKind::Unavailable, message).because(error)
}

fn damaged(path: &Path, at: u64) -> StoreError {
    let message = format!(
        "the store {} is damaged at byte {at}; move it away to begin with what the cluster knows",
        path.display()
    );
    StoreError::new(StoreErrorKind::Damaged, message)
}

fn located(path: &Path, error: &StoreError) -> StoreError {
    let message = format!("the store {}: {error}", path.display());
    StoreError::new(error.kind(), message)
}
