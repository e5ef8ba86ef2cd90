//! Checks a database before it is opened: what was accepted is there, or the start is refused.
//!
//! The database cuts its journal at the first bytes it cannot read, takes its list of tables as it
//! is, and removes files that are not on that list. None of this may happen to a damaged folder.

mod journals;
mod tables;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{fs, io};

pub(super) use self::journals::cut_behind;
pub(super) use self::tables::damaged_table;
use super::commits::Watermark;
use crate::backend::{BackendError, Result};

/// What the database writes into the file that says it is one.
const MARKER: &[u8] = b"FJL\x03";

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
        tables::check(&table)?;
    }
    journals::check(folder, synced)
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

/// Whether a crash interrupted the making of the database, before anything was stored.
fn is_unfinished(folder: &Path) -> Result<bool> {
    let marker = folder.join("version");
    if fs::metadata(&marker).is_ok_and(|marker| marker.len() > 0) {
        return Ok(false);
    }
    for path in journals::all(folder)? {
        if !journals::is_zero(&read(&path)?) {
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
    for path in journals::all(folder)? {
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
