//! The standard load: many users who write to each other and to the lobby at a steady rate.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use im_common::message::Recipient;
use im_common::tasks::Tasks;
use im_tests::dice::Dice;
use im_tests::history::{Actor, History};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Logins at a time: a route hashes two passwords at once, and two routes are the rule.
const LOGINS_AT_ONCE: usize = 8;
/// Of a thousand messages of the standard load, so many go to the lobby, where everybody reads.
const LOBBY_IN_THOUSAND: usize = 40;

/// Users, attached, and the task that makes them write.
pub(crate) struct Load {
    actors: Arc<[Actor]>,
    tasks: Tasks,
    stop: Option<CancellationToken>,
}

impl Load {
    /// Registers and attaches users; each asks another route first.
    pub(crate) async fn gather(history: &History, urls: &[String], users: usize) -> Self {
        let join = |number: usize| {
            let mut urls = urls.to_vec();
            let count = urls.len();
            urls.rotate_left(number % count);
            let name = format!("user-{number}");
            async move { Actor::join(history, &urls, &name).await }
        };
        let actors: Vec<Actor> = stream::iter((0..users).map(join))
            .buffered(LOGINS_AT_ONCE)
            .collect()
            .await;
        Self {
            actors: actors.into(),
            tasks: Tasks::new(),
            stop: None,
        }
    }

    /// The users.
    pub(crate) fn actors(&self) -> &[Actor] {
        &self.actors
    }

    /// The users, for a task of their own.
    pub(crate) fn shared(&self) -> Arc<[Actor]> {
        Arc::clone(&self.actors)
    }

    /// Begins to send so many messages in a second.
    pub(crate) fn start(&mut self, rate: u32, mut dice: Dice) {
        let (actors, stop) = (Arc::clone(&self.actors), self.tasks.token());
        self.stop = Some(stop.clone());
        let pause = Duration::from_secs(1) / rate;
        self.tasks.spawn("load", async move {
            let mut tick = interval(pause);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while stop.run_until_cancelled(tick.tick()).await.is_some() {
                let author = dice.below(actors.len());
                let to = recipient(&actors, author, &mut dice, LOBBY_IN_THOUSAND);
                actors[author].send(to);
            }
        });
    }

    /// Sends no more.
    pub(crate) fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.cancel();
        }
    }
}

/// Somebody else, or the lobby.
pub(crate) fn recipient(
    actors: &[Actor],
    author: usize,
    dice: &mut Dice,
    lobby_in_thousand: usize,
) -> Recipient {
    if dice.below(1000) < lobby_in_thousand {
        return Recipient::Lobby;
    }
    let other = 1 + dice.below(actors.len() - 1);
    Recipient::User(actors[(author + other) % actors.len()].user())
}
