//! One process of ours that can end and come back to the same ports.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::figures::Figures;

/// How long a node may take to say that it is ready, on a loaded machine.
pub const READY_WITHIN: Duration = Duration::from_secs(30);
/// How often its ready line is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A process that is started, killed, paused and started again. Killed when dropped.
pub struct Daemon {
    /// Unique in its deployment, such as `server-2`.
    pub name: String,
    /// The file that its standard error goes to, life after life.
    pub log: PathBuf,
    /// Further variables from the next start on.
    pub variables: Vec<(String, String)>,
    folder: PathBuf,
    binary: PathBuf,
    arguments: Vec<String>,
    child: Option<Child>,
    /// How its present life ended, when nobody had asked it to.
    ended: Option<ExitStatus>,
    /// How all lives ended that nobody had asked to.
    crashes: Vec<ExitStatus>,
}

impl Daemon {
    /// Describes a process; nothing runs yet.
    pub fn new(binary: PathBuf, name: String, folder: &Path, arguments: Vec<String>) -> Self {
        Self {
            log: folder.join(format!("{name}.log")),
            name,
            variables: Vec::new(),
            folder: folder.to_owned(),
            binary,
            arguments,
            child: None,
            ended: None,
            crashes: Vec::new(),
        }
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        self.launch()?;
        self.ready(READY_WITHIN).await
    }

    /// Starts it, and does not wait.
    pub fn launch(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.binary);
        let is_ours = |name: &String| name.starts_with("IM_") || name.starts_with("XDG_");
        for name in std::env::vars().map(|(name, _)| name).filter(is_ours) {
            command.env_remove(name);
        }
        let child = command
            .args(&self.arguments)
            .env("IM_LOG_FORMAT", "json")
            // What a client keeps belongs to this deployment, not to whoever runs the suite.
            .env("HOME", &self.folder)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(File::create(self.ready_line())?)
            .stderr(log)
            // Ctrl-C at the terminal is for the suite alone, which then ends its processes itself.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        self.child = Some(child);
        self.ended = None;
        Ok(())
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&mut self, within: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + within;
        while !is_line(&self.ready_line()) {
            if let Some(status) = self.ended_unasked() {
                bail!("{} ended: {status}; see {}", self.name, self.log.display());
            }
            let log = self.log.display();
            anyhow::ensure!(
                Instant::now() < deadline,
                "{} not ready; see {log}",
                self.name
            );
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Kills it as a power cut would.
    pub async fn kill(&mut self) {
        // One that has ended already is not killed: that would hide it.
        self.ended_unasked();
        if let Some(mut child) = self.child.take() {
            // Fails only for one that has ended.
            let _ended = child.kill().await;
        }
    }

    /// Asks it to stop (SIGTERM) and waits for its end.
    pub async fn stop(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        self.signal("TERM").await?;
        let mut child = self.child.take().context("it runs")?;
        match timeout(within, child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => bail!("{} did not stop within {within:?}", self.name),
        }
    }

    /// Sends a signal by pid, such as `STOP` or `CONT`.
    pub async fn signal(&self, signal: &str) -> anyhow::Result<()> {
        let pid = self.pid().context("it does not run")?.to_string();
        let kill = Command::new("kill")
            .args([&format!("-{signal}"), &pid])
            .status();
        anyhow::ensure!(kill.await?.success(), "kill -{signal} {pid}");
        Ok(())
    }

    /// Kills it if it runs, and starts it again.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.kill().await;
        self.start().await
    }

    /// Lets it go on if it is paused, starts it if it does not run.
    pub async fn ensure_running(&mut self) -> anyhow::Result<()> {
        match self.child {
            Some(_) => self.signal("CONT").await,
            None => self.start().await,
        }
    }

    /// Its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// What it uses now, while it runs.
    pub fn figures(&self) -> Option<Figures> {
        Figures::of(self.pid()?)
    }

    /// How it ended, if it did and nobody had asked it to.
    pub fn ended_unasked(&mut self) -> Option<ExitStatus> {
        if let Some(child) = &mut self.child
            && let Ok(Some(status)) = child.try_wait()
        {
            self.ended = Some(status);
            self.crashes.push(status);
            self.child = None;
        }
        self.ended
    }

    /// How each of its lives ended that nobody had asked to end.
    pub fn crashes(&mut self) -> &[ExitStatus] {
        self.ended_unasked();
        &self.crashes
    }

    fn ready_line(&self) -> PathBuf {
        self.log.with_extension("out")
    }
}

fn is_line(file: &Path) -> bool {
    std::fs::read(file).is_ok_and(|said| said.contains(&b'\n'))
}
