//! One process of a service: started, watched until it answers, killed by its id.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a service may take until it answers, on a loaded machine.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How often it is asked. There is no event to wait for: it is another program.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// A running process. It is killed when it is dropped.
pub(super) struct Program {
    child: Child,
}

impl Program {
    /// Starts a program; what it prints goes to a file in its folder.
    pub(super) fn start(name: &str, package: &str, arguments: &[String], folder: &Path) -> Self {
        let log = File::options()
            .create(true)
            .append(true)
            .open(folder.join("output.log"))
            .expect("the test's folder can be written");
        let errors = log.try_clone().expect("a file handle can be cloned");
        let child = Command::new(name)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn();
        match child {
            Ok(child) => Self { child },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                panic!("{name} is not installed: apt-get install {package}")
            }
            Err(error) => panic!("cannot start {name}: {error}"),
        }
    }

    /// Waits until the service answers. Returns whether it does; if not, the process has ended.
    pub(super) async fn answers(&mut self, mut ask: impl AsyncFnMut() -> bool) -> bool {
        let deadline = Instant::now() + READY_WITHIN;
        while !ask().await {
            let has_ended = self.child.try_wait().is_ok_and(|status| status.is_some());
            if has_ended {
                return false;
            }
            assert!(Instant::now() < deadline, "a service does not answer");
            sleep(ASK_EVERY).await;
        }
        true
    }

    /// Its id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops or continues the process where it stands: its sockets stay open and say nothing.
    pub(super) fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(sent.is_ok_and(|status| status.success()), "kill {signal}");
    }

    /// Ends the process as a power cut would.
    pub(super) fn kill(&mut self) {
        // Both fail only for a process that has ended.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until something outside of this process has happened.
pub(super) async fn wait_until(mut happened: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + READY_WITHIN;
    while !happened().await {
        assert!(Instant::now() < deadline, "a service does not get ready");
        sleep(ASK_EVERY).await;
    }
}
