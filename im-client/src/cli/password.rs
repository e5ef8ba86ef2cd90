//! Where a password comes from: a file, a descriptor, a command, or the terminal. Never the command
//! line or the environment, which other programs can read.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use rust_i18n::t;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::args::PasswordSource;
use super::failure::Failure;
use super::{detached, terminal};

/// What is larger holds no password.
const BYTES_MAX: u64 = 4096;

/// Reads a password from where it is kept; the last line end does not belong to it.
pub(super) async fn from(source: &PasswordSource) -> Result<String, Failure> {
    match source {
        PasswordSource::File(path) => from_file(path).await,
        PasswordSource::Descriptor(number) => {
            // A way to an open descriptor that needs no unsafe code.
            from_file(Path::new(&format!("/dev/fd/{number}"))).await
        }
        PasswordSource::Command(command) => from_command(command).await,
    }
}

async fn from_file(path: &Path) -> Result<String, Failure> {
    let name = path.display().to_string();
    let opened = path.to_owned();
    // A pipe may take its time.
    let read = detached::run("password", move || read_file(&opened)).await;
    let password = read
        .map_err(|error| Failure::fixable(t!("password.unreadable", file = name, why = error)))?;
    let password = without_line_end(password);
    if password.is_empty() {
        return Err(Failure::fixable(t!("password.empty", file = name)));
    }
    Ok(password)
}

fn read_file(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    if let Ok(metadata) = file.metadata()
        && metadata.is_file()
        && metadata.permissions().mode() & 0o044 != 0
    {
        super::tell(&t!("password.exposed", file = path.display()));
    }
    let mut password = String::new();
    file.take(BYTES_MAX).read_to_string(&mut password)?;
    Ok(password)
}

/// Runs a command of the shell. What it has to say or to ask is for the terminal, as is its end
/// when it is interrupted.
async fn from_command(command: &str) -> Result<String, Failure> {
    let not_started =
        |error: io::Error| Failure::fixable(t!("password.command_not_started", why = error));
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(not_started)?;
    let mut password = String::new();
    if let Some(stdout) = child.stdout.take() {
        let mut stdout = stdout.take(BYTES_MAX);
        stdout
            .read_to_string(&mut password)
            .await
            .map_err(not_started)?;
    }
    let status = child.wait().await.map_err(not_started)?;
    if !status.success() {
        return Err(Failure::fixable(t!(
            "password.command_failed",
            status = status
        )));
    }
    let password = without_line_end(password);
    match password.is_empty() {
        true => Err(Failure::fixable(t!("password.command_silent"))),
        false => Ok(password),
    }
}

fn without_line_end(mut password: String) -> String {
    let end = password.strip_suffix('\n').unwrap_or(&password);
    let end = end.strip_suffix('\r').unwrap_or(end).len();
    password.truncate(end);
    password
}

/// Asks for the password of `name`.
pub(super) async fn ask(name: &str) -> Result<String, Failure> {
    prompt(&t!("password.ask", user = name)).await
}

/// Asks for the password of an account about to be created, twice.
pub(super) async fn ask_new(name: &str) -> Result<String, Failure> {
    let password = prompt(&t!("password.ask_new", user = name)).await?;
    confirm(&password).await?;
    Ok(password)
}

/// Asks for a password again, because nobody can look up what was mistyped.
pub(super) async fn confirm(password: &str) -> Result<(), Failure> {
    match prompt(&t!("password.ask_again")).await? == password {
        true => Ok(()),
        false => Err(Failure::fixable(t!("password.differs"))),
    }
}

async fn prompt(question: &str) -> Result<String, Failure> {
    let answer = terminal::ask_secretly(question).await;
    match answer {
        Ok(password) if !password.is_empty() => Ok(password),
        Ok(_) => Err(Failure::fixable(t!("password.none"))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(Failure::fixable(t!("password.none")))
        }
        Err(error) => Err(Failure::fixable(t!("password.no_terminal", why = error))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn only_the_last_line_end_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        for (content, password) in [
            ("secret", "secret"),
            ("secret\n", "secret"),
            ("secret\r\n", "secret"),
            (" se cret \n\n", " se cret \n"),
        ] {
            fs::write(&path, content).unwrap();
            let source = PasswordSource::File(path.clone());
            assert_eq!(from(&source).await.ok().unwrap(), password);
            let source = PasswordSource::Command(format!("cat {}", path.display()));
            assert_eq!(from(&source).await.ok().unwrap(), password);
        }
        for content in ["", "\n"] {
            fs::write(&path, content).unwrap();
            assert!(from(&PasswordSource::File(path.clone())).await.is_err());
        }
    }

    #[tokio::test]
    async fn a_descriptor_gives_the_password() {
        use std::os::fd::AsRawFd;
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, b"secret\n").unwrap();
        let number = file.as_raw_fd().unsigned_abs();
        let password = from(&PasswordSource::Descriptor(number)).await;
        assert_eq!(password.ok().unwrap(), "secret");
    }

    #[tokio::test]
    async fn a_command_that_fails_gives_no_password() {
        for command in ["echo secret; exit 3", "true", "exit 127"] {
            let source = PasswordSource::Command(command.to_owned());
            assert!(from(&source).await.is_err(), "{command}");
        }
    }
}
