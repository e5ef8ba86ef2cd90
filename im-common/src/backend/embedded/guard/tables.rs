//! Checks the lists of tables, and finds the table that is damaged.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_128;

use super::{damaged, entries, read, subfolders};
use crate::backend::Result;

/// Says which list of tables holds: a version, its checksum, and how that is made.
const CURRENT_BYTES: usize = 25;

/// The list of tables has a checksum that the database writes and never reads.
pub(super) fn check(table: &Path) -> Result<()> {
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
pub(in crate::backend::embedded) fn damaged_table(folder: &Path) -> Option<PathBuf> {
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
