//! Every commit carries a number of its own, so that what is lost can be told from what never was.
//!
//! The record travels in the batch it describes, under one key that each commit overwrites. A file
//! beside the database, the watermark, says which commit was synced last: without it, a journal that
//! was cut would look like a journal that ends there.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use crate::backend::{BackendError, Result};

/// The watermark's name in the folder of the database.
const WATERMARK: &str = "synced";
/// A number and its checksum. Far less than a sector, so that a crash leaves the old or the new.
const WATERMARK_BYTES: usize = 16;

/// What a batch says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Commit {
    /// Counts from 1, without gaps.
    pub(super) number: u64,
    /// The database gave the batch this sequence number or a greater one. It has no checksum there.
    pub(super) least_seqno: u64,
    /// This commit and all before it were synced when the batch was made.
    pub(super) synced: u64,
}

impl Commit {
    /// Encodes the record.
    pub(super) fn encode(self) -> Vec<u8> {
        [self.number, self.least_seqno, self.synced]
            .map(u64::to_be_bytes)
            .concat()
    }

    /// Decodes a record; `None` if it is none.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk()?;
        let (least_seqno, synced) = rest.split_first_chunk()?;
        Some(Self {
            number: u64::from_be_bytes(*number),
            least_seqno: u64::from_be_bytes(*least_seqno),
            synced: u64::from_be_bytes(synced.try_into().ok()?),
        })
    }
}

/// The file that says which commit was synced last.
///
/// It is written after the journal was synced, and not synced itself: it may be late, never early.
/// After the end of the process it is exact but for the last commit; after a power loss as late as
/// the operating system writes back.
#[derive(Debug)]
pub(super) struct Watermark {
    file: File,
    path: PathBuf,
}

impl Watermark {
    /// Reads what a folder's watermark says: 0 where there is none.
    pub(super) fn read(folder: &Path) -> Result<u64> {
        let path = folder.join(WATERMARK);
        let mut bytes = Vec::new();
        match File::open(&path) {
            Ok(file) => file
                .take(WATERMARK_BYTES as u64 + 1)
                .read_to_end(&mut bytes)
                .map_err(|error| unusable(&path, &error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(unusable(&path, &error)),
        };
        parse(&bytes).ok_or_else(|| {
            BackendError::Damaged(format!(
                "{} is damaged; it says which commit was synced last. Without it the end of the \
                 journal cannot be checked: compare with a backup, or remove it to start all the same",
                path.display()
            ))
        })
    }

    /// Opens the watermark for writing, and makes it durable that there is one.
    pub(super) fn open(folder: &Path, synced: u64) -> Result<Self> {
        let path = folder.join(WATERMARK);
        let open = || -> io::Result<File> {
            let mut file = OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(false)
                .open(&path)?;
            file.write_all(&encode(synced))?;
            file.sync_all()?;
            File::open(folder)?.sync_all()?;
            Ok(file)
        };
        let file = open().map_err(|error| unusable(&path, &error))?;
        Ok(Self { file, path })
    }

    /// Raises the watermark. Failing costs a check at the next start, nothing else.
    pub(super) fn raise(&mut self, synced: u64) {
        let write = |file: &mut File| {
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&encode(synced))
        };
        if let Err(error) = write(&mut self.file) {
            tracing::warn!(%error, file = %self.path.display(), "cannot note what was synced");
        }
    }

    /// Makes it durable, at an orderly end.
    pub(super) fn sync(&self) {
        if let Err(error) = self.file.sync_data() {
            tracing::warn!(%error, file = %self.path.display(), "cannot note what was synced");
        }
    }
}

fn encode(number: u64) -> [u8; WATERMARK_BYTES] {
    let number = number.to_be_bytes();
    let mut bytes = [0; WATERMARK_BYTES];
    bytes[..8].copy_from_slice(&number);
    bytes[8..].copy_from_slice(&xxh3_64(&number).to_be_bytes());
    bytes
}

fn parse(bytes: &[u8]) -> Option<u64> {
    let (number, checksum) = bytes.split_first_chunk()?;
    let checksum = u64::from_be_bytes(checksum.try_into().ok()?);
    (checksum == xxh3_64(number)).then(|| u64::from_be_bytes(*number))
}

fn unusable(path: &Path, error: &io::Error) -> BackendError {
    BackendError::Unavailable(format!("cannot use {}: {error}", path.display()))
}
