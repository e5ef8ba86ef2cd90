//! Copies of what a program has on the disk.

use std::path::Path;
use std::process::Command;

/// Copies what is in `from` to `to`, which is made if it is missing. Holes stay holes: journals are
/// made longer than what is in them.
///
/// # Errors
///
/// What `cp` ended with, when it could not.
pub fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    let copy = Command::new("cp")
        .args(["-r", "--sparse=always"])
        .arg(from.join("."))
        .arg(to)
        .status()?;
    anyhow::ensure!(copy.success(), "cp: {copy}");
    Ok(())
}
