//! The folder of what `im` keeps between runs, the name of this device, and the lines typed at the
//! prompt.

use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use im_common::id::DeviceId;
use uuid::Uuid;

/// Longer contents are not a device name.
const DEVICE_BYTES_MAX: u64 = 64;

/// The folder for this user's state (`$XDG_STATE_HOME/im`, or `~/.local/state/im`); created when
/// missing, for this user only.
pub fn state_dir() -> io::Result<PathBuf> {
    let set = |name| env::var_os(name).map(PathBuf::from);
    // The XDG specification: relative paths are invalid and must be ignored.
    let base = set("XDG_STATE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| Some(set("HOME")?.join(".local/state")))
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "HOME is not set"))?;
    let folder = base.join("im");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)?;
    Ok(folder)
}

/// A folder within that for the state, for this user only; created when missing.
pub(super) fn folder(name: &str) -> io::Result<PathBuf> {
    let folder = state_dir()?.join(name);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)?;
    Ok(folder)
}

/// The name of this installation, drawn at the first use. It must outlive the program: how far a
/// device has read is kept under its name.
pub(super) fn device(folder: &Path) -> io::Result<DeviceId> {
    let path = folder.join("device");
    match read_device(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        known => return known,
    }
    let (_, random) = Uuid::new_v4().as_u64_pair();
    let drawn = format!("im-{:08x}", random & 0xffff_ffff);
    // Written aside and linked into place, so that of two first runs both get the same name.
    let aside = folder.join(format!("device.{}", Uuid::new_v4().simple()));
    create(&aside)?.write_all(drawn.as_bytes())?;
    let linked = fs::hard_link(&aside, &path);
    fs::remove_file(&aside)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => read_device(&path),
    }
}

fn read_device(path: &Path) -> io::Result<DeviceId> {
    let mut name = String::new();
    io::Read::read_to_string(
        &mut io::Read::take(File::open(path)?, DEVICE_BYTES_MAX + 1),
        &mut name,
    )?;
    DeviceId::new(name.trim_end()).map_err(|reason| {
        let reason = format!("{} holds no device name: {reason}", path.display());
        io::Error::new(io::ErrorKind::InvalidData, reason)
    })
}

/// The file with the lines typed at the prompt; created when missing.
pub(super) fn input_history(folder: &Path) -> io::Result<PathBuf> {
    let path = folder.join("input_history");
    create(&path)?;
    Ok(path)
}

/// Waits until no other process of this user holds the lock of this name. Released when dropped,
/// and when the process ends.
pub(super) fn lock(folder: &Path, name: &str) -> io::Result<File> {
    let file = create(&folder.join(format!("{name}.lock")))?;
    file.lock()?;
    Ok(file)
}

/// Opens a file that only this user may read.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_device_keeps_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let first = device(folder.path()).unwrap();
        assert_eq!(device(folder.path()).unwrap(), first);
        assert_eq!(mode(&folder.path().join("device")), 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_device_name_is_not_replaced_silently() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("device"), "two words\n").unwrap();
        let error = device(folder.path()).unwrap_err();
        assert!(
            error.to_string().contains("holds no device name"),
            "{error}"
        );
    }

    #[test]
    fn typed_lines_are_for_their_typist_only() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(mode(&input_history(folder.path()).unwrap()), 0o600);
    }
}
