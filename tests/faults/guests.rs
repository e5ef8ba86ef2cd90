//! Users of CIM beside those of the standard load: they write to each other, to the others and to
//! everybody, and the others write to them.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use im_common::message::Recipient;
use im_common::tasks::Tasks;
use im_tests::cim::{CimRoute, Habits};
use im_tests::dice::Dice;
use im_tests::history::{Actor, Guest, History};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Logins at a time. No password is hashed for them.
pub(crate) const LOGINS_AT_ONCE: usize = 16;
/// Of a hundred messages of a guest, so many go to everybody.
const LOBBY_IN_HUNDRED: usize = 4;
/// How long a send that was begun may take to end.
const SENDS_END_WITHIN: Duration = Duration::from_secs(30);

/// Guests, connected, and the tasks that make them write.
pub(crate) struct Guests {
    guests: Arc<[Guest]>,
    tasks: Tasks,
    stop: CancellationToken,
}

impl Guests {
    /// Registers and connects guests, at one route after another.
    pub(crate) async fn gather(
        history: &History,
        urls: &[String],
        count: usize,
        habits: Habits,
    ) -> Self {
        let join = |number: usize| {
            let route = CimRoute::new(&urls[number % urls.len()]);
            let name = format!("guest-{number}");
            async move { Guest::join(history, &route, &name, habits).await }
        };
        let guests: Vec<Guest> = stream::iter((0..count).map(join))
            .buffered(LOGINS_AT_ONCE)
            .collect()
            .await;
        let tasks = Tasks::new();
        Self {
            guests: guests.into(),
            stop: tasks.token(),
            tasks,
        }
    }

    /// Begins to send so many messages in a second, half of them from the guests.
    pub(crate) fn start(&mut self, others: &Arc<[Actor]>, rate: u32, dice: &mut Dice) {
        let count = u32::try_from(self.guests.len()).expect("few guests");
        let pause = Duration::from_secs(2) * count / rate;
        for index in 0..self.guests.len() {
            let (guests, others) = (Arc::clone(&self.guests), Arc::clone(others));
            let (stop, mut dice) = (self.stop.clone(), Dice::new(dice.roll()));
            self.tasks.spawn("guest", async move {
                // A send that was begun ends: its outcome is part of the history.
                while stop
                    .run_until_cancelled(sleep(about(pause, &mut dice)))
                    .await
                    .is_some()
                {
                    let to = recipient(&guests, &others, index, &mut dice);
                    guests[index].send(to).await;
                }
            });
        }
        let (guests, others) = (Arc::clone(&self.guests), Arc::clone(others));
        let (stop, mut dice) = (self.stop.clone(), Dice::new(dice.roll()));
        self.tasks.spawn("load for guests", async move {
            let mut tick = interval(Duration::from_secs(2) / rate);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while stop.run_until_cancelled(tick.tick()).await.is_some() {
                let to = Recipient::User(dice.pick(&guests).user());
                dice.pick(&others).send(to);
            }
        });
    }

    /// Sends no more, and waits until what was begun has ended.
    pub(crate) async fn stop(&self) -> anyhow::Result<()> {
        self.stop.cancel();
        Ok(self.tasks.wait(SENDS_END_WITHIN).await?)
    }

    /// Waits until all are connected; returns how many are not.
    pub(crate) async fn missing(&self, within: Duration) -> usize {
        let all = async {
            for guest in self.guests.iter() {
                guest.client().expect_connected(true).await;
            }
        };
        timeout(within, all).await.ok();
        let is_missing = |guest: &&Guest| !guest.client().is_connected();
        self.guests.iter().filter(is_missing).count()
    }

    /// The guests.
    pub(crate) fn all(&self) -> &[Guest] {
        &self.guests
    }
}

/// From half to one and a half of a pause.
fn about(pause: Duration, dice: &mut Dice) -> Duration {
    let percent = u32::try_from(50 + dice.below(100)).expect("small");
    pause * percent / 100
}

fn recipient(guests: &[Guest], others: &[Actor], me: usize, dice: &mut Dice) -> Recipient {
    if dice.percent(LOBBY_IN_HUNDRED) {
        return Recipient::Lobby;
    }
    if dice.percent(50) {
        return Recipient::User(dice.pick(others).user());
    }
    let other = 1 + dice.below(guests.len() - 1);
    Recipient::User(guests[(me + other) % guests.len()].user())
}
