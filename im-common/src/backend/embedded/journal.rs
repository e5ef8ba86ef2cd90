//! Reads the database's journal as the database does, but for one thing: it looks behind what it
//! cannot read.
//!
//! The database takes the first bytes that make no sense for the end, and cuts there. That is right
//! for a commit that a crash interrupted, and loses everything that follows a flipped bit. So the
//! journal is checked before the database may open it (decision 8).
//!
//! A journal is a row of batches: a start (tag 1, number of items, sequence number), the items, and
//! an end (tag 3, checksum of the items, `FJL` and 3). Zeros may follow, up to the size the file was
//! made with. Integers are little-endian.

use xxhash_rust::xxh3::xxh3_64;

use super::commits::Commit;
use super::keys;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const MAGIC: [u8; 4] = *b"FJL\x03";
/// The database keeps the highest bit for itself.
const SEQNO_MAX: u64 = u64::MAX >> 1;

/// One commit in a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Batch {
    /// The database's own number.
    pub(super) seqno: u64,
    /// What we wrote into it; nothing in a database of before there were such records.
    pub(super) commit: Option<Commit>,
    /// How long it is.
    pub(super) bytes: usize,
}

/// Reads the batch that `bytes` begin with; `None` if they begin with none that is whole.
pub(super) fn first_batch(bytes: &[u8]) -> Option<Batch> {
    let mut rest = Rest(bytes);
    if rest.u8()? != START {
        return None;
    }
    let items = rest.u32()?;
    let seqno = rest.u64()?;
    let content = rest.0;
    let mut commit = None;
    for _ in 0..items {
        commit = item(&mut rest)?.or(commit);
    }
    let content = &content[..content.len() - rest.0.len()];
    let whole = rest.u8()? == END && rest.u64()? == xxh3_64(content) && rest.take(4)? == MAGIC;
    let sane = seqno <= SEQNO_MAX && commit.is_none_or(|commit| commit.least_seqno <= seqno);
    (whole && sane).then_some(Batch {
        seqno,
        commit,
        bytes: bytes.len() - rest.0.len(),
    })
}

/// Returns what an item says of its commit, if it is the one that does; `None` if it is no item.
fn item(rest: &mut Rest<'_>) -> Option<Option<Commit>> {
    match rest.u8()? {
        ITEM => {}
        CLEAR => return rest.take(8).map(|_| None),
        _ => return None,
    }
    // The kind of value and of compression, and the table.
    rest.take(10)?;
    let key = usize::from(rest.u16()?);
    let _length = rest.u32()?;
    let stored = usize::try_from(rest.u32()?).ok()?;
    let key = rest.take(key)?;
    let value = rest.take(stored)?;
    Some(if key == keys::commit().bytes {
        Commit::decode(value)
    } else {
        None
    })
}

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}
