//! A pseudo terminal whose every byte is seen: `script` runs a program in it, `vt100` keeps its
//! screen. Where keys and times matter and tmux would stand between.

use std::num::NonZeroU16;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use im_common::tasks::Tasks;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::PATIENCE;

/// Columns of the terminal.
const COLUMNS: NonZeroU16 = NonZeroU16::new(100).unwrap();
/// Rows of the terminal.
const ROWS: NonZeroU16 = NonZeroU16::new(30).unwrap();

/// A terminal with one program in it; killed when dropped.
pub struct Pty {
    _child: Child,
    _tasks: Tasks,
    keys: ChildStdin,
    shown: Arc<Shown>,
}

struct Shown {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    screen: vt100::Parser,
    bytes: Vec<u8>,
}

impl Pty {
    /// Starts a shell command.
    pub fn run(command: &str) -> Self {
        let command = format!("stty cols {COLUMNS} rows {ROWS}; {command}");
        let mut child = Command::new("script")
            .args(["--quiet", "--flush", "--command", &command, "/dev/null"])
            .env("TERM", "xterm-256color")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("script is part of util-linux");
        let keys = child.stdin.take().expect("piped");
        let output = child.stdout.take().expect("piped");
        let state = State {
            screen: vt100::Parser::new(ROWS, COLUMNS, 1000),
            bytes: Vec::new(),
        };
        let shown = Arc::new(Shown {
            state: Mutex::new(state),
            changed: Notify::new(),
        });
        let tasks = Tasks::new();
        tasks.spawn("pty", watch(output, Arc::clone(&shown)));
        Self {
            _child: child,
            _tasks: tasks,
            keys,
            shown,
        }
    }

    /// Types text as it is; a carriage return is Enter.
    pub async fn type_text(&mut self, text: &str) {
        let typed = self.keys.write_all(text.as_bytes()).await;
        typed.expect("the terminal takes keys");
        self.keys.flush().await.expect("the terminal takes keys");
    }

    /// What the screen shows.
    pub fn screen(&self) -> String {
        self.shown.state.lock().screen.screen().contents()
    }

    /// Everything that the program has written.
    pub fn bytes(&self) -> Vec<u8> {
        self.shown.state.lock().bytes.clone()
    }

    /// Waits until the screen satisfies a condition; returns how long that took.
    pub async fn until(&self, what: &str, is_there: impl Fn(&str) -> bool) -> Duration {
        let begun = Instant::now();
        let wait = async {
            loop {
                let changed = self.shown.changed.notified();
                if is_there(&self.screen()) {
                    return;
                }
                changed.await;
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            panic!("waited in vain for {what}; the screen:\n{}", self.screen());
        }
        begun.elapsed()
    }

    /// Waits until the screen shows a text.
    pub async fn shows(&self, text: &str) -> Duration {
        self.until(&format!("{text:?}"), |screen| screen.contains(text))
            .await
    }
}

async fn watch(mut output: ChildStdout, shown: Arc<Shown>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = output.read(&mut buffer).await {
        let mut state = shown.state.lock();
        state.screen.process(&buffer[..count]);
        state.bytes.extend_from_slice(&buffer[..count]);
        drop(state);
        shown.changed.notify_waiters();
    }
}
