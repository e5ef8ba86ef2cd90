//! Checks a database before it is opened: what was accepted is there, or the start is refused.
//!
//! The database cuts its journal at the first bytes it cannot read, takes its list of tables as it
//! is, and removes files that are not on that list. None of this may happen to a damaged folder.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_128;

use super::commits::{Commit, Watermark};
use super::journal::{self, Batch};
use crate::backend::{BackendError, Result};

/// What the database writes into the file that says it is one.
const MARKER: &[u8] = b"FJL\x03";
/// Zeros are skipped in pieces of this size.
const ZEROS: [u8; 4096] = [0; 4096];
/// Says which list of tables holds: a version, its checksum, and how that is made.
const CURRENT_BYTES: usize = 25;

/// What a sound folder holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The newest commit in the journals, if they hold any.
    pub(super) newest: Option<u64>,
    /// The newest commit that is known to have been synced.
    pub(super) synced: u64,
}

/// Checks everything that the database trusts without looking. What a crash left behind the last
/// synced commit is cut off.
pub(super) fn check(folder: &Path) -> Result<Found> {
    let synced = Watermark::read(folder)?;
    if is_unfinished(folder)? {
        return begin_again(folder).map(|()| Found::default());
    }
    let marker = folder.join("version");
    if read(&marker)? != MARKER {
        return Err(damaged(
            &marker,
            "it says that this is no database of this version",
        ));
    }
    for table in subfolders(&folder.join("keyspaces"))? {
        check_list_of_tables(&table)?;
    }
    check_journals(folder, synced)
}

/// Cuts off everything behind a commit, for a database whose last write failed: what could not be
/// synced may be in the journal nevertheless, and must not count as durable later.
pub(super) fn cut_behind(folder: &Path, commit: u64) -> Result<()> {
    let mut is_behind = false;
    for path in journals(folder)? {
        let bytes = read(&path)?;
        let mut at = 0;
        while !is_behind && let Some(batch) = journal::first_batch(&bytes[at..]) {
            is_behind = batch.commit.is_some_and(|found| found.number > commit);
            if !is_behind {
                at += batch.bytes;
            }
        }
        if is_behind || !is_zero(&bytes[at..]) {
            cut(&path, at)?;
            is_behind = true;
        }
    }
    Ok(())
}

/// Walks through all journals, the oldest first, as if they were one.
fn check_journals(folder: &Path, synced: u64) -> Result<Found> {
    let mut walk = Walk {
        synced,
        ..Walk::default()
    };
    for path in journals(folder)? {
        walk.read(&path)?;
    }
    walk.end()
}

#[derive(Default)]
struct Walk {
    synced: u64,
    newest: Option<Commit>,
    seqno: Option<u64>,
    /// Where the first bytes are that make no sense, and how many bytes follow.
    end: Option<(PathBuf, usize)>,
    last: Option<PathBuf>,
    /// A journal without any commit: only the last one may be so.
    empty: Option<PathBuf>,
}

impl Walk {
    fn read(&mut self, path: &Path) -> Result<()> {
        let bytes = read(path)?;
        let mut at = 0;
        if self.end.is_none() {
            at = self.follow(&bytes, path)?;
            self.last = Some(path.to_owned());
            if is_zero(&bytes[at..]) {
                return Ok(());
            }
            self.end = Some((path.to_owned(), at));
        }
        self.look_behind(&bytes[at..])?;
        if is_zero(&bytes[at..]) {
            return Ok(());
        }
        tracing::warn!(file = %path.display(), offset = at, bytes = bytes.len() - at,
            "cutting off what a crash left behind the last commit");
        cut(path, at)
    }

    /// Follows the batches from the beginning to where they end.
    fn follow(&mut self, bytes: &[u8], path: &Path) -> Result<usize> {
        let mut at = 0;
        while let Some(batch) = journal::first_batch(&bytes[at..]) {
            if !self.continues(&batch) {
                // At the beginning of a journal it is the one before that ends too early.
                let earlier = self.last.as_deref().filter(|_| at == 0);
                return Err(self.damaged(earlier.unwrap_or(path), at));
            }
            if let Some(empty) = &self.empty {
                return Err(self.damaged(empty, 0));
            }
            self.seqno = Some(batch.seqno);
            self.newest = batch.commit.or(self.newest);
            at += batch.bytes;
        }
        if at == 0 {
            self.empty = Some(path.to_owned());
        }
        Ok(at)
    }

    fn continues(&self, batch: &Batch) -> bool {
        let rises = self.seqno.is_none_or(|earlier| earlier < batch.seqno);
        let follows = match (self.newest, batch.commit) {
            (Some(earlier), Some(commit)) => commit.number == earlier.number + 1,
            (Some(_), None) => false,
            (None, _) => true,
        };
        rises && follows
    }

    /// A commit that was made after another had been synced proves that the other was there.
    fn look_behind(&self, mut bytes: &[u8]) -> Result<()> {
        let newest = self.newest.map_or(0, |commit| commit.number);
        while !bytes.is_empty() {
            if let Some(rest) = bytes.strip_prefix(&ZEROS) {
                bytes = rest;
                continue;
            }
            let batch = journal::first_batch(bytes);
            let synced = batch.map_or(0, |batch| self.proven_by(&batch, bytes.len()));
            if synced > newest {
                let (path, at) = self.end.as_ref().expect("looked behind the end only");
                return Err(self.damaged(path, *at));
            }
            bytes = &bytes[batch.map_or(1, |batch| batch.bytes)..];
        }
        Ok(())
    }

    /// Up to which commit everything was synced when this one was made. Texts of users are searched
    /// as well: one that looks like a commit must also guess where the numbers are.
    fn proven_by(&self, batch: &Batch, bytes_left: usize) -> u64 {
        let newest = self.newest.map(|commit| commit.number);
        match (newest, batch.commit) {
            (newest, Some(commit)) => {
                let ahead = commit.number.saturating_sub(newest.unwrap_or_default());
                let is_likely = commit.synced < commit.number && ahead <= bytes_left as u64;
                if is_likely { commit.synced } else { 0 }
            }
            // Of before there were records: nothing tells whether it was synced.
            (None, None) => u64::MAX,
            (Some(_), None) => 0,
        }
    }

    fn end(self) -> Result<Found> {
        let newest = self.newest.map(|commit| commit.number);
        if let (Some(newest), Some(last)) = (newest, &self.last)
            && newest < self.synced
        {
            let at = self.end.as_ref().map(|(_, at)| *at);
            let at = at.or_else(|| fs::metadata(last).ok()?.len().try_into().ok());
            return Err(self.damaged(last, at.unwrap_or_default()));
        }
        let noted = self.newest.map_or(0, |commit| commit.synced);
        Ok(Found {
            newest,
            synced: self.synced.max(noted),
        })
    }

    fn damaged(&self, path: &Path, at: usize) -> BackendError {
        let newest = self.newest.map_or(0, |commit| commit.number);
        damaged(
            path,
            &format!("from byte {at} on, behind commit {newest}; later commits were accepted"),
        )
    }
}

/// The newest commit of an open database, against what the check found.
pub(super) fn agrees(folder: &Path, found: &Found, newest: u64) -> Result<()> {
    let expected = found.newest.unwrap_or(found.synced);
    if newest < expected || found.newest.is_some_and(|found| found != newest) {
        return Err(damaged(
            folder,
            &format!("it ends with commit {newest}, and {expected} were accepted"),
        ));
    }
    Ok(())
}

/// The list of tables has a checksum that the database writes and never reads.
fn check_list_of_tables(table: &Path) -> Result<()> {
    let path = table.join("current");
    if !path.exists() {
        // A table in the making has no files yet.
        let has_files =
            fs::read_dir(table.join("tables")).is_ok_and(|mut files| files.next().is_some());
        return if has_files {
            Err(damaged(&path, "it is missing"))
        } else {
            Ok(())
        };
    }
    let current = read(&path)?;
    let current: [u8; CURRENT_BYTES] = current
        .try_into()
        .map_err(|_| damaged(&path, "it has another length"))?;
    let (version, rest) = current.split_first_chunk().expect("25 are more than 8");
    let (checksum, kind) = rest.split_first_chunk().expect("17 are more than 16");
    if kind != [0] {
        return Err(damaged(&path, "its last byte is not 0"));
    }
    let list = table.join(format!("v{}", u64::from_le_bytes(*version)));
    if !list.exists() {
        return Err(damaged(&path, "the version that it names is missing"));
    }
    if xxh3_128(&read(&list)?) != u128::from_le_bytes(*checksum) {
        let what = format!("its checksum is not the one in {}", path.display());
        return Err(damaged(&list, &what));
    }
    Ok(())
}

/// Finds a file of a table that is not as it was written. This reads all of them, so it is for when
/// the database has said that there is damage, which it does without a name.
pub(super) fn damaged_table(folder: &Path) -> Option<PathBuf> {
    let tables = subfolders(&folder.join("keyspaces")).ok()?;
    tables.iter().find_map(|table| {
        let current = fs::read(table.join("current")).ok()?;
        let version = u64::from_le_bytes(*current.first_chunk()?);
        let list = fs::read(table.join(format!("v{version}"))).ok()?;
        let files = entries(&table.join("tables")).ok()?;
        files.into_iter().find(|file| !is_as_listed(file, &list))
    })
}

/// The list holds the number of each file, a zero, and its checksum.
fn is_as_listed(file: &Path, list: &[u8]) -> bool {
    let number = file.file_name().and_then(OsStr::to_str);
    let number: Option<u64> = number.and_then(|number| number.parse().ok());
    let (Some(number), Ok(bytes)) = (number, fs::read(file)) else {
        return false;
    };
    let mut entry = number.to_le_bytes().to_vec();
    entry.push(0);
    entry.extend_from_slice(&xxh3_128(&bytes).to_le_bytes());
    list.windows(entry.len()).any(|listed| listed == entry)
}

/// Whether a crash interrupted the making of the database, before anything was stored.
fn is_unfinished(folder: &Path) -> Result<bool> {
    let marker = folder.join("version");
    if fs::metadata(&marker).is_ok_and(|marker| marker.len() > 0) {
        return Ok(false);
    }
    for path in journals(folder)? {
        if !is_zero(&read(&path)?) {
            return Err(damaged(
                &marker,
                "it is missing or empty, and the journal is not",
            ));
        }
    }
    for table in subfolders(&folder.join("keyspaces"))? {
        if table.file_name() != Some(OsStr::new("0")) && table.join("current").exists() {
            return Err(damaged(
                &marker,
                "it is missing or empty, and there are tables",
            ));
        }
    }
    Ok(true)
}

/// The database makes nothing where it finds its own files.
fn begin_again(folder: &Path) -> Result<()> {
    for path in journals(folder)? {
        fs::remove_file(&path).map_err(|error| unusable(&path, &error))?;
    }
    let remove = |path: PathBuf, removed: io::Result<()>| match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unusable(&path, &error)),
        _ => Ok(()),
    };
    let (marker, tables) = (folder.join("version"), folder.join("keyspaces"));
    let (no_marker, no_tables) = (fs::remove_file(&marker), fs::remove_dir_all(&tables));
    remove(marker, no_marker)?;
    remove(tables, no_tables)
}

/// All journals, the oldest first.
fn journals(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut journals = Vec::new();
    for path in entries(folder)? {
        if path.extension() == Some(OsStr::new("jnl")) {
            let number = path.file_stem().and_then(OsStr::to_str);
            let number: Option<u64> = number.and_then(|number| number.parse().ok());
            let number = number.ok_or_else(|| damaged(&path, "its name is not a number"))?;
            journals.push((number, path));
        }
    }
    journals.sort();
    Ok(journals.into_iter().map(|(_, path)| path).collect())
}

fn subfolders(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = entries(folder)?;
    folders.retain(|path| path.is_dir());
    Ok(folders)
}

/// Nothing, if there is no such folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = || -> io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?
            .map(|entry| Ok(entry?.path()))
            .collect()
    };
    match list() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.map_err(|error| unusable(folder, &error)),
    }
}

fn is_zero(mut bytes: &[u8]) -> bool {
    while let Some(rest) = bytes.strip_prefix(&ZEROS) {
        bytes = rest;
    }
    bytes.iter().all(|byte| *byte == 0)
}

fn cut(path: &Path, at: usize) -> Result<()> {
    let cut = || {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(at as u64)?;
        file.sync_all()
    };
    cut().map_err(|error| unusable(path, &error))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &io::Error) -> BackendError {
    BackendError::Unavailable(format!("cannot use {}: {error}", path.display()))
}

fn damaged(path: &Path, what: &str) -> BackendError {
    BackendError::Damaged(format!(
        "{}: {what}. Nothing was changed; put back a backup of the whole folder, or move the folder \
         away to begin anew",
        path.display()
    ))
}
