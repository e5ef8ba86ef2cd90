//! The data folder: the store, and the secrets that must outlive the process.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use im_common::backend::STORE_FOLDER;

use crate::args::Args;

/// 256 bits, printed as hexadecimal digits.
const SECRET_BYTES: usize = 32;

/// Where things are kept; nowhere when ephemeral.
#[derive(Debug)]
pub(crate) struct Folder(Option<PathBuf>);

impl Folder {
    /// Finds the folder and makes it, with a store that only its owner may read.
    pub(crate) fn open(args: &Args) -> anyhow::Result<Self> {
        if args.ephemeral {
            return Ok(Self(None));
        }
        let path = match &args.data_dir {
            Some(path) => path.clone(),
            None => xdg_data_home()?.join("im"),
        };
        // The folder itself may have been there before, open to others.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path.join(STORE_FOLDER))
            .with_context(|| format!("cannot make the data folder {}", path.display()))?;
        Ok(Self(Some(path)))
    }

    /// Where the store lives.
    pub(crate) fn store(&self) -> Option<PathBuf> {
        self.path(STORE_FOLDER)
    }

    /// Opens the file that takes the log while the terminal shows the chat.
    pub(crate) fn log_file(&self) -> io::Result<File> {
        let path = self
            .path("im.log")
            .unwrap_or_else(|| PathBuf::from("/dev/null"));
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
    }

    /// Returns the secret of this name, drawn at its first use.
    pub(crate) fn secret(&self, name: &str) -> anyhow::Result<String> {
        let Some(path) = self.path(name) else {
            return draw();
        };
        match fs::read_to_string(&path) {
            Ok(secret) => Ok(secret.trim().to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let secret = draw()?;
                write_private(&path, &secret)
                    .with_context(|| format!("cannot write {}", path.display()))?;
                Ok(secret)
            }
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Where the file of this name lives; nowhere when ephemeral.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.0.as_ref().map(|folder| folder.join(name))
    }
}

/// A crash in between leaves either no file or a whole one.
fn write_private(path: &Path, secret: &str) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(secret.as_bytes())?;
    file.sync_all()?;
    fs::rename(unfinished, path)
}

fn draw() -> anyhow::Result<String> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).context("the operating system has no randomness")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn xdg_data_home() -> anyhow::Result<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    match (
        set("XDG_DATA_HOME").filter(|path| path.is_absolute()),
        set("HOME"),
    ) {
        (Some(data), _) => Ok(data),
        (None, Some(home)) => Ok(home.join(".local/share")),
        (None, None) => {
            bail!("neither HOME nor XDG_DATA_HOME is set; give --data-dir DIR, or --ephemeral")
        }
    }
}
