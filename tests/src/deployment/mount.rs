//! A small file system of its own, to be filled.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory; gone with everything in it when dropped.
#[derive(Debug)]
pub struct Mount(PathBuf);

/// Mounting needs rights that are not there.
#[derive(Debug, thiserror::Error)]
#[error("a file system of its own cannot be mounted here: {0}")]
pub struct CannotMount(String);

impl Mount {
    /// Mounts one of this size at a folder that it makes.
    pub fn new(folder: &Path, bytes: u64) -> Result<Self, CannotMount> {
        let cannot = |error: std::io::Error| CannotMount(error.to_string());
        std::fs::create_dir_all(folder).map_err(cannot)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]);
        let output = mount.arg(folder).output().map_err(cannot)?;
        if output.status.success() {
            Ok(Self(folder.to_owned()))
        } else {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(CannotMount(said.trim().to_owned()))
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a process that was just killed may still hold a file of it.
        let _gone = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
