//! Real processes of the project's binaries.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::PATIENCE;

/// The path of a binary of this workspace, built from what is in the tree.
pub fn binary(name: &str) -> PathBuf {
    built().join(name)
}

/// The path of an example of the SDK, built from what is in the tree.
fn example(name: &str) -> PathBuf {
    built().join("examples").join(name)
}

/// The folder of all binaries and examples.
///
/// A test binary is not told where binaries of other packages are, nor are they built for it; so
/// cargo is asked once, which takes no time when everything is up to date. It is asked together with
/// the tests, whose features and crates decide how everything else is built: asked for less, it would
/// build most of it once more.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let status = std::process::Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked", "--workspace"])
            .args(["--bins", "--examples", "--test", "it"])
            .current_dir(root())
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the binaries cannot be built");
        let test = std::env::current_exe().expect("a test knows its own path");
        test.ancestors()
            .nth(2)
            .expect("tests live in target/PROFILE/deps")
            .to_owned()
    })
}

/// The root of the workspace.
pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A running process of a binary; killed when dropped.
pub struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines<BufReader<ChildStdout>>,
    /// What a killed process leaves behind goes with this.
    _temporary: TempDir,
}

/// How a process ended, and what it still had to say.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// The rest of its standard output.
    pub stdout: Vec<String>,
    /// All of its standard error.
    pub stderr: String,
}

impl Ended {
    /// The exit code; a signal has none.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

impl Process {
    /// Starts a binary with logs and ready line in JSON.
    pub async fn start(name: &str, args: &[&str]) -> Self {
        Self::start_with(name, args, &[]).await
    }

    /// As [`Process::start`], with variables set. Nothing else of the environment that begins with
    /// `IM_` reaches it.
    pub async fn start_with(name: &str, args: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::spawn(name, &binary(name), args, variables)
    }

    /// As [`Process::start_with`], an example of the SDK.
    pub async fn start_example(name: &str, args: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::spawn(name, &example(name), args, variables)
    }

    fn spawn(name: &str, path: &Path, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(path);
        for (variable, _) in std::env::vars().filter(|(variable, _)| variable.starts_with("IM_")) {
            command.env_remove(variable);
        }
        let mut child = command
            .args(args)
            .env("IM_LOG_FORMAT", "json")
            .env("TMPDIR", temporary.path())
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", path.display()));
        let stdout = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let stdin = child.stdin.take();
        Self {
            name: name.to_owned(),
            child,
            stdin,
            stdout,
            _temporary: temporary,
        }
    }

    /// Waits for the line that says that the node is ready.
    pub async fn ready(&mut self) -> Value {
        let line = self.line().await;
        serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{}: {line:?} is no JSON: {error}", self.name))
    }

    /// Waits for the next line of standard output.
    pub async fn line(&mut self) -> String {
        let line = timeout(PATIENCE, self.stdout.next_line()).await;
        match line {
            Ok(Ok(Some(line))) => line,
            Ok(_) => {
                let mut stderr = String::new();
                if let Some(mut pipe) = self.child.stderr.take() {
                    pipe.read_to_string(&mut stderr).await.ok();
                }
                panic!(
                    "{} ended without another line; it said: {stderr}",
                    self.name
                )
            }
            Err(_) => panic!("{} printed nothing for {PATIENCE:?}", self.name),
        }
    }

    /// Writes a line to its standard input.
    pub async fn type_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("standard input is open");
        stdin
            .write_all(format!("{line}\n").as_bytes())
            .await
            .expect("the process reads");
    }

    /// Ends its standard input.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Sends a signal by pid, such as `TERM`, `KILL`, `STOP`.
    pub async fn signal(&self, signal: &str) {
        let pid = self.child.id().expect("the process runs").to_string();
        let status = Command::new("kill")
            .args([&format!("-{signal}"), &pid])
            .status()
            .await;
        assert!(
            status.is_ok_and(|status| status.success()),
            "kill -{signal} {pid}"
        );
    }

    /// Waits until it ends.
    pub async fn ended(mut self) -> Ended {
        self.end_input();
        let mut stderr = String::new();
        let mut pipe = self.child.stderr.take();
        let read_stderr = async {
            if let Some(pipe) = &mut pipe {
                pipe.read_to_string(&mut stderr).await.ok();
            }
        };
        let mut stdout = Vec::new();
        let read_stdout = async {
            while let Ok(Some(line)) = self.stdout.next_line().await {
                stdout.push(line);
            }
        };
        let all = async { tokio::join!(read_stdout, read_stderr, self.child.wait()).2 };
        let status = timeout(PATIENCE, all)
            .await
            .unwrap_or_else(|_| panic!("{} does not end", self.name));
        Ended {
            status: status.expect("a child can be waited for"),
            stdout,
            stderr,
        }
    }
}
