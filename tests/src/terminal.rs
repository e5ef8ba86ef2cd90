//! A real terminal: tmux runs a program, takes keys and shows the screen.

use std::process::Command;
use std::time::Duration;

use tokio::time::{interval, timeout};

use crate::PATIENCE;

/// A terminal of 100 columns and 30 lines with one program in it. Closed when dropped.
pub struct Terminal {
    socket: String,
}

impl Terminal {
    /// Starts a shell command in a terminal of its own.
    pub fn run(command: &str) -> Self {
        let terminal = Self {
            socket: format!("im-test-{}-{}", std::process::id(), next_number()),
        };
        terminal.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "100",
            "-y",
            "30",
            command,
        ]);
        terminal.tmux(&["set-option", "-g", "remain-on-exit", "on"]);
        terminal
    }

    /// As [`Terminal::run`]; when the command has ended, says how, and in which mode the terminal
    /// was left.
    pub fn run_and_tell(command: &str) -> Self {
        let modes = "stty -a | grep -o -- '-\\?icanon'";
        Self::run(&format!("{command}; echo left with $?; {modes}; cat"))
    }

    /// Types text as it is.
    pub fn type_text(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    /// Presses a key by tmux's name for it, such as `Enter` or `C-c`.
    pub fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// Types a line.
    pub fn type_line(&self, line: &str) {
        self.type_text(line);
        self.press("Enter");
    }

    /// Changes the size of the window; the terminal wraps its lines anew, as most do.
    pub fn resize(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.tmux(&["resize-window", "-x", &columns, "-y", &rows]);
    }

    /// What the window shows, without what has scrolled out of it.
    pub fn window(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// What the screen shows.
    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-S", "-200"])
    }

    /// Waits until the screen satisfies a condition, and returns it.
    pub async fn until(&self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let mut look = interval(Duration::from_millis(30));
        let wait = async {
            loop {
                let screen = self.screen();
                if is_there(&screen) {
                    return screen;
                }
                look.tick().await;
            }
        };
        match timeout(PATIENCE, wait).await {
            Ok(screen) => screen,
            Err(_) => panic!("waited in vain for {what}; the screen:\n{}", self.screen()),
        }
    }

    /// Waits until the screen shows a text.
    pub async fn shows(&self, text: &str) -> String {
        self.until(&format!("{text:?}"), |screen| screen.contains(text))
            .await
    }

    fn tmux(&self, args: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-L", &self.socket])
            .args(args)
            .output();
        let output = output.expect("tmux is installed (tests/run.sh installs it)");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

fn next_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
