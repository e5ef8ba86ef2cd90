//! Temporary folders. A process that is killed leaves its own behind; the next one removes it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use tempfile::TempDir;

const PREFIX: &str = "im-ephemeral-";

/// Makes a temporary folder, in the place where all programs have theirs.
pub(super) fn temporary() -> io::Result<TempDir> {
    in_parent(&std::env::temp_dir())
}

fn in_parent(parent: &Path) -> io::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
    let owner = fs::metadata(folder.path())?.uid();
    // That others cannot be removed keeps nobody from starting.
    for entry in fs::read_dir(parent)?.flatten() {
        let name = entry.file_name();
        let is_one = name.as_encoded_bytes().starts_with(PREFIX.as_bytes());
        if is_one && is_left(&entry.path(), owner) {
            let folder = entry.path();
            match fs::remove_dir_all(&folder) {
                Ok(()) => {
                    tracing::info!(folder = %folder.display(), "removed what a killed process left");
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot remove what a killed process left");
                }
            }
        }
    }
    Ok(folder)
}

/// Whether nobody uses a database of ours any more. One in the making is not one yet: its marker
/// comes after its lock was taken.
fn is_left(folder: &Path, owner: u32) -> bool {
    let is_ours =
        fs::symlink_metadata(folder).is_ok_and(|folder| folder.is_dir() && folder.uid() == owner);
    let exists = |name: &str| folder.join(OsStr::new(name)).exists();
    let is_free = || File::open(folder.join("lock")).is_ok_and(|lock| lock.try_lock().is_ok());
    is_ours && exists("version") && is_free()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::embedded::tables::Tables;

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let make = || in_parent(parent.path()).unwrap();
        let used = make();
        let (_tables, _) = Tables::open(used.path()).unwrap();
        let left = make().keep();
        drop(Tables::open(&left).unwrap());
        let in_the_making = parent.path().join(format!("{PREFIX}other"));
        fs::create_dir(&in_the_making).unwrap();
        let of_another_kind = parent.path().join("im-notes");
        fs::create_dir(&of_another_kind).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        drop(Tables::open(elsewhere.path()).unwrap());
        let link = parent.path().join(format!("{PREFIX}link"));
        std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();

        let _folder = make();
        assert!(!left.exists());
        for kept in [
            used.path(),
            &in_the_making,
            &of_another_kind,
            elsewhere.path(),
        ] {
            assert!(kept.exists(), "{}", kept.display());
        }
    }
}
