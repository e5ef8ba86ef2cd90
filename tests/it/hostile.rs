//! The corpus of hostile strings in every place where another person, a route or a server can put
//! them, and the bytes that the real `im` then writes to a terminal.

mod lies;
mod people;
mod typed;

use std::path::Path;
use std::process::Command;

use im_tests::home;
use im_tests::hostile::{Control, controls};
use im_tests::process::{Process, binary};
use im_tests::tty::Tty;

/// Clears the line.
const CTRL_U: &str = "\u{15}";

/// A home for alice, and how she uses `im`.
struct Home(home::Home);

impl Home {
    fn new() -> Self {
        Self(home::Home::new())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// `im` at a terminal, as alice. Without colours, so that nothing of ours can hide a leak.
    fn im(&self, route: &str, arguments: &[&str]) -> Tty {
        Tty::start(
            Command::new(binary("im"))
                .args(["--route", route, "--user", "alice", "--password-file"])
                .arg(self.0.password_file())
                .args(arguments)
                .env("HOME", self.path())
                .env("XDG_STATE_HOME", self.0.file("state"))
                .env("XDG_CONFIG_HOME", self.0.file("config"))
                .env("LC_ALL", "C.UTF-8")
                .env("NO_COLOR", "1")
                .env_remove("IM_LOG"),
        )
    }

    /// `im` between pipes, as alice.
    async fn im_in_a_pipe(&self, route: &str, arguments: &[&str]) -> Process {
        let password = self.0.password_file();
        let variables = [
            ("IM_ROUTE", route),
            ("IM_USER", "alice"),
            ("IM_PASSWORD_FILE", &password),
            ("LC_ALL", "C.UTF-8"),
        ];
        let all = [&self.0.variables()[..], &variables].concat();
        Process::start_with("im", arguments, &all).await
    }
}

/// Fails if a program wrote anything to its terminal that it does not need for a prompt.
fn assert_only_ours(terminal: &Tty) {
    let written = terminal.written();
    let written = std::str::from_utf8(&written).expect("UTF-8");
    for control in controls(written) {
        assert!(control.is_ours(), "{}", around(written, &control));
    }
    let liberties = terminal.liberties();
    assert!(liberties.is_empty(), "{liberties:?}");
    for line in terminal.lines() {
        assert!(
            !is_forged(&line),
            "{line:?} in\n{}",
            terminal.lines().join("\n")
        );
    }
}

/// Waits for a prompt with nothing behind it: what is typed before, the terminal itself may show.
async fn prompted(im: &Tty) {
    im.until("a prompt", |screen| {
        screen.contents().trim_end().ends_with("alice>")
    })
    .await;
}

/// Whether a line looks as if the program itself, or somebody else, had said what a hostile string
/// says.
fn is_forged(line: &str) -> bool {
    let after_time = line.trim_start_matches(|c: char| c.is_ascii_digit() || " :-".contains(c));
    let as_somebody = ["admin", "alice"]
        .iter()
        .any(|name| after_time.starts_with(name));
    let is_message = after_time.len() < line.len() && as_somebody;
    let as_program = ["* forged", "forged", "alice> forged", "im: forged"];
    let is_notice = as_program.iter().any(|start| line.starts_with(start));
    line.contains("forged") && (is_message || is_notice)
}

/// What stands around a control, for a person.
fn around(text: &str, control: &Control<'_>) -> String {
    let before = text[..control.start].chars().rev().take(60);
    let before: String = before.collect::<Vec<_>>().into_iter().rev().collect();
    let after: String = text[control.start..].chars().take(60).collect();
    format!(
        "{:?} reaches the terminal, after {before:?}: {after:?}",
        control.text
    )
}
