//! What a call meets on its way.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::dice::Dice;

/// The seams promise that a call ends within a few seconds, whatever is the matter: so does a call
/// that stalls. As long as Redis is given.
const STALL_ENDS: Duration = Duration::from_secs(2);
/// Longer than a round trip, shorter than any patience.
const MOODY_PAUSE: Duration = Duration::from_millis(30);

/// How a gate treats the calls that come now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// They pass.
    Well,
    /// They fail at once and nothing is done.
    Fails,
    /// The next one fails after this time, and those that come meanwhile or later pass.
    FailsOnce(Duration),
    /// They wait until the mood changes, at most 2 s; then they fail and nothing is done.
    Stalls,
    /// They are done and nobody is told.
    LosesAnswers,
    /// They are done twice.
    Repeats,
    /// They come this late.
    Slow(Duration),
    /// They are done at once, and the answer comes this late.
    LateAnswers(Duration),
    /// What they carry arrives in another order; where they carry nothing they pass.
    Shuffles,
    /// Each of the above by chance, half of them pass.
    Moody,
}

/// What a single call is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passage {
    Through,
    Blocked,
    Unanswered,
    Twice,
    Shuffled,
    Answered(Duration),
}

/// A place where calls can be held up. Clones share it.
#[derive(Clone)]
pub struct Gate {
    mood: watch::Sender<Mood>,
    dice: Arc<Mutex<Dice>>,
}

impl Gate {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            mood: watch::Sender::new(Mood::Well),
            dice: Arc::new(Mutex::new(Dice::new(seed))),
        }
    }

    /// From the next call on; calls that stall are let through.
    pub fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Does a call, or what is left of it. `lost` makes the error of one whose end is unknown.
    pub(super) async fn guard<T, E, F>(
        &self,
        call: impl Fn() -> F,
        lost: impl FnOnce() -> E,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        match self.enter().await {
            Passage::Through | Passage::Shuffled => call().await,
            Passage::Blocked => Err(lost()),
            Passage::Unanswered => {
                call().await?;
                Err(lost())
            }
            Passage::Twice => {
                call().await?;
                call().await
            }
            Passage::Answered(late) => {
                let answer = call().await;
                sleep(late).await;
                answer
            }
        }
    }

    pub(super) async fn enter(&self) -> Passage {
        let mood = *self.mood.borrow();
        let mood = if mood == Mood::Moody {
            self.roll()
        } else {
            mood
        };
        match mood {
            Mood::Well | Mood::Moody => Passage::Through,
            Mood::Fails => Passage::Blocked,
            Mood::FailsOnce(after) => {
                self.set(Mood::Well);
                sleep(after).await;
                Passage::Blocked
            }
            Mood::LosesAnswers => Passage::Unanswered,
            Mood::Repeats => Passage::Twice,
            Mood::Shuffles => Passage::Shuffled,
            Mood::LateAnswers(late) => Passage::Answered(late),
            Mood::Slow(pause) => {
                sleep(pause).await;
                Passage::Through
            }
            Mood::Stalls => self.stall().await,
        }
    }

    /// Another order for what a call carries.
    pub(super) fn shuffle<T>(&self, all: &mut [T]) {
        self.dice.lock().shuffle(all);
    }

    fn roll(&self) -> Mood {
        let mut dice = self.dice.lock();
        if dice.percent(50) {
            return Mood::Well;
        }
        *dice.pick(&[
            Mood::Fails,
            Mood::LosesAnswers,
            Mood::Repeats,
            Mood::Slow(MOODY_PAUSE),
            Mood::Shuffles,
        ])
    }

    async fn stall(&self) -> Passage {
        let mut mood = self.mood.subscribe();
        let changed = mood.wait_for(|mood| *mood != Mood::Stalls);
        match timeout(STALL_ENDS, changed).await {
            Ok(_) => Passage::Through,
            Err(_) => Passage::Blocked,
        }
    }
}
