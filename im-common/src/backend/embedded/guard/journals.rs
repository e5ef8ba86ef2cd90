//! Checks the journals: every commit that was synced is there.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use super::super::commits::Commit;
use super::super::journal::{self, Batch};
use super::{Found, damaged, entries, read, unusable};
use crate::backend::{BackendError, Result};

/// Zeros are skipped in pieces of this size.
const ZEROS: [u8; 4096] = [0; 4096];

/// Walks through all journals, the oldest first, as if they were one.
pub(super) fn check(folder: &Path, synced: u64) -> Result<Found> {
    let mut walk = Walk {
        synced,
        ..Walk::default()
    };
    for path in all(folder)? {
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

/// Cuts off everything behind a commit, for a database whose last write failed: what could not be
/// synced may be in the journal nevertheless, and must not count as durable later.
pub(in crate::backend::embedded) fn cut_behind(folder: &Path, commit: u64) -> Result<()> {
    let mut is_behind = false;
    for path in all(folder)? {
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

/// All journals, the oldest first.
pub(super) fn all(folder: &Path) -> Result<Vec<PathBuf>> {
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

pub(super) fn is_zero(mut bytes: &[u8]) -> bool {
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
