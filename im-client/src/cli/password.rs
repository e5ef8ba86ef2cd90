//! Where a password comes from: a file, or the terminal. Never the command line or the
//! environment, which other programs can read.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::failure::Failure;
use super::terminal;

/// Larger files hold no password.
const FILE_BYTES_MAX: u64 = 4096;

/// Reads a password from a file; the last line end does not belong to it.
pub(super) fn from_file(path: &Path) -> Result<String, Failure> {
    let unreadable = |source: io::Error| {
        Failure::fixable(format!(
            "cannot read the password from {}: {source}",
            path.display()
        ))
    };
    let file = File::open(path).map_err(unreadable)?;
    if let Ok(metadata) = file.metadata()
        && metadata.is_file()
        && metadata.permissions().mode() & 0o044 != 0
    {
        super::tell(&format!("others can read {}: chmod 600 it", path.display()));
    }
    let mut password = String::new();
    file.take(FILE_BYTES_MAX)
        .read_to_string(&mut password)
        .map_err(unreadable)?;
    let end = password.strip_suffix('\n').unwrap_or(&password);
    let end = end.strip_suffix('\r').unwrap_or(end).len();
    password.truncate(end);
    if password.is_empty() {
        let empty = format!("{} holds no password", path.display());
        return Err(Failure::fixable(empty));
    }
    Ok(password)
}

/// Asks for the password of `name`.
pub(super) async fn ask(name: &str) -> Result<String, Failure> {
    prompt(&format!("password of {name}: ")).await
}

/// Asks for the password of an account about to be created, twice.
pub(super) async fn ask_new(name: &str) -> Result<String, Failure> {
    let password = prompt(&format!("new password for {name}: ")).await?;
    confirm(&password).await?;
    Ok(password)
}

/// Asks for a password again, because nobody can look up what was mistyped.
pub(super) async fn confirm(password: &str) -> Result<(), Failure> {
    if prompt("the same password again: ").await? == password {
        Ok(())
    } else {
        Err(Failure::fixable("the passwords differ"))
    }
}

async fn prompt(question: &str) -> Result<String, Failure> {
    let answer = terminal::ask_secretly(question).await;
    match answer {
        Ok(password) if !password.is_empty() => Ok(password),
        Ok(_) => Err(Failure::fixable("no password given")),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(Failure::fixable("no password given"))
        }
        Err(error) => Err(Failure::fixable(format!(
            "no terminal to ask for the password ({error}); give --password-file"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_the_last_line_end_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        for (content, password) in [
            ("secret", "secret"),
            ("secret\n", "secret"),
            ("secret\r\n", "secret"),
            (" se cret \n\n", " se cret \n"),
        ] {
            fs::write(&path, content).unwrap();
            assert_eq!(from_file(&path).ok().unwrap(), password);
        }
        for content in ["", "\n"] {
            fs::write(&path, content).unwrap();
            assert!(from_file(&path).is_err());
        }
    }
}
