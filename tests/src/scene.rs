//! `Scene`: people who use the command `im`, in pipes, in scripts and in terminals.

use std::slice;

use crate::home::Home;
use crate::process::{Ended, Process, binary};
use crate::standalone::Standalone;
use crate::terminal::Terminal;
use crate::user::PASSWORD;

/// A standalone, and a home for those who use the command. Ends with all of it when dropped.
pub struct Scene {
    /// The cluster they talk to.
    pub standalone: Standalone,
    /// Where its route is.
    pub url: String,
    /// What they keep.
    pub home: Home,
}

impl Scene {
    /// A scene with nobody registered.
    pub async fn set() -> Self {
        let standalone = Standalone::start(&["--ephemeral"]).await;
        Self {
            url: standalone.url(),
            standalone,
            home: Home::new(),
        }
    }

    /// The route, as the SDK takes it.
    pub fn urls(&self) -> &[String] {
        slice::from_ref(&self.url)
    }

    /// Makes an account for a user, as another program would.
    pub async fn register(&self, user: &str) {
        let registered = im_client::register(self.urls(), user, PASSWORD).await;
        registered.unwrap_or_else(|error| panic!("register {user}: {error}"));
    }

    /// Starts the command between pipes, with a password at hand.
    pub async fn im(&self, user: &str, args: &[&str]) -> Process {
        let password = self.home.password_file();
        let variables = [
            ("IM_ROUTE", self.url.as_str()),
            ("IM_USER", user),
            ("IM_PASSWORD_FILE", &password),
        ];
        self.bare(args, &variables).await
    }

    /// As [`Scene::im`], with nothing but a home, and what it is given.
    pub async fn bare(&self, args: &[&str], variables: &[(&str, &str)]) -> Process {
        let all = [&self.home.variables()[..], variables].concat();
        Process::start_with("im", args, &all).await
    }

    /// As [`Scene::im`], and waits until it ends.
    pub async fn run(&self, user: &str, args: &[&str]) -> Ended {
        self.im(user, args).await.ended().await
    }

    /// How a shell starts the chat of a user, who shares nothing with the others but the password.
    pub fn command(&self, user: &str) -> String {
        let home = self.home.path().display();
        format!(
            "env LC_ALL=C.UTF-8 HOME={home} XDG_STATE_HOME={home}/{user} IM_ROUTE={} {} --user {user} --password-file {home}/password",
            self.url,
            binary("im").display(),
        )
    }

    /// The chat in a real terminal, which then says how it ended and in which mode it left the
    /// terminal.
    pub fn terminal(&self, user: &str) -> Terminal {
        Terminal::run_and_tell(&self.command(user))
    }
}
