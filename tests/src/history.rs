//! What happened: every send, how it ended, and everything the handlers saw, checked as it streams by.
//!
//! A scenario gives each of its users an [`Actor`] of one [`History`], does what it does, lets the
//! history [settle](History::settle) and asks for the [`Verdict`]. The rules are in [`checker`];
//! they hold whatever was killed meanwhile. Memory is a few bytes for each message, so that ten
//! million of them can be checked.

mod actor;
mod bits;
pub mod checker;
mod guest;
mod log;
mod recent;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use im_client::{Message, SendError};
use im_common::id::{ConversationId, DeviceId, UserId};
use im_common::message::{Receipt, Recipient};
use im_common::name::UserName;
use im_common::tasks::Tasks;
use parking_lot::Mutex;
use tokio::time::{Instant, interval, timeout};

pub use actor::{Actor, Pace};
pub use checker::{ActorIx, Checker};
pub use guest::Guest;
pub use verdict::{Kind, Verdict, Violation};

use checker::{Handled, Outcome, Place};
use recent::{Entry, Recent};

/// How often a history that is to settle is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The record of one scenario. Clones share it.
#[derive(Clone)]
pub struct History {
    shared: Arc<Shared>,
}

struct Shared {
    seed: u64,
    began: Instant,
    /// Those who wait for the end of a send.
    tasks: Tasks,
    state: Mutex<State>,
}

struct State {
    checker: Checker,
    recent: Recent,
}

impl History {
    /// An empty history; the seed is only remembered, for whoever reads the verdict.
    pub fn new(seed: u64) -> Self {
        let state = State {
            checker: Checker::default(),
            recent: Recent::default(),
        };
        Self {
            shared: Arc::new(Shared {
                seed,
                began: Instant::now(),
                tasks: Tasks::new(),
                state: Mutex::new(state),
            }),
        }
    }

    /// The seed of the scenario.
    pub fn seed(&self) -> u64 {
        self.shared.seed
    }

    /// Notes what was done to the cluster. Latencies are kept apart by fault: what comes from here
    /// on counts for this one.
    pub fn fault(&self, what: &str) {
        let mut state = self.shared.state.lock();
        state.checker.begin_phase();
        self.note(&mut state, Entry::Fault(what.to_owned()));
    }

    /// How many sends have been accepted so far.
    pub fn accepted(&self) -> u64 {
        self.shared.state.lock().checker.accepted()
    }

    /// How many messages handlers have seen so far.
    pub fn handled(&self) -> u64 {
        self.shared.state.lock().checker.handled_count()
    }

    /// How many sends have not ended yet.
    pub fn pending(&self) -> u64 {
        self.shared.state.lock().checker.pending()
    }

    /// About how many deliveries of accepted messages are still to come.
    pub fn owed(&self) -> u64 {
        self.shared.state.lock().checker.owed()
    }

    /// What is known to be wrong already. More may come out in the end.
    pub fn violations(&self) -> Vec<Violation> {
        self.shared.state.lock().checker.violations().to_vec()
    }

    /// Waits until every send has ended and every reader that has not been retired has handled
    /// everything it must. Returns whether that came to pass in time; the verdict then says what is
    /// missing.
    pub async fn settle(&self, within: Duration) -> bool {
        let settled = async {
            let mut look = interval(LOOK_EVERY);
            loop {
                look.tick().await;
                let mut state = self.shared.state.lock();
                if state.checker.is_complete() {
                    return;
                }
            }
        };
        timeout(within, settled).await.is_ok()
    }

    /// What is to be said of everything so far.
    pub fn verdict(&self) -> Verdict {
        self.shared.state.lock().checker.verdict()
    }

    /// Panics with everything that helps unless nothing is wrong.
    pub fn assert_sound(&self) -> Verdict {
        let verdict = self.verdict();
        assert!(
            verdict.is_sound(),
            "seed {}: {verdict}\n{}",
            self.seed(),
            self.dump()
        );
        verdict
    }

    /// The end of the history, an event a line.
    pub fn dump(&self) -> String {
        let state = self.shared.state.lock();
        state.recent.render(|actor| state.checker.label(actor))
    }

    /// Latencies of accepted sends, in microseconds, unsorted, by author: since the `phase`-th
    /// fault (0: before any) and until the next one.
    pub fn latencies(&self, phase: usize) -> Vec<(ActorIx, u32)> {
        self.shared.state.lock().checker.latencies(phase)
    }

    fn note(&self, state: &mut State, entry: Entry) {
        state.recent.push(self.shared.began.elapsed(), entry);
    }

    fn enter(&self, user: UserId, name: &UserName, device: &DeviceId) -> ActorIx {
        let mut state = self.shared.state.lock();
        state.checker.enter(user, name, device)
    }

    fn attached(&self, actor: ActorIx) {
        self.shared.state.lock().checker.attached(actor);
    }

    fn state_changed(&self, actor: ActorIx, what: String) {
        let mut state = self.shared.state.lock();
        self.note(&mut state, Entry::State(actor, what));
    }

    fn submitting(&self, author: ActorIx, to: &Recipient, body: &str) -> (u32, String) {
        let mut state = self.shared.state.lock();
        let (number, text) = state.checker.submit(author, to, body);
        self.note(&mut state, Entry::Submitted(author, number));
        (number, text)
    }

    /// The same message is sent again.
    fn resubmitting(&self, author: ActorIx, number: u32) {
        let mut state = self.shared.state.lock();
        state.checker.resubmit(author, number);
        self.note(&mut state, Entry::Submitted(author, number));
    }

    fn ended(
        &self,
        author: ActorIx,
        number: u32,
        result: &Result<Receipt, SendError>,
        took: Duration,
    ) {
        if let Ok(receipt) = result {
            let mut state = self.shared.state.lock();
            state.checker.stored(author, number, &receipt.position);
        }
        self.ended_as(author, number, Outcome::from(result), took);
    }

    fn ended_as(&self, author: ActorIx, number: u32, outcome: Outcome, took: Duration) {
        let mut state = self.shared.state.lock();
        state.checker.end(author, number, outcome, took);
        self.note(&mut state, Entry::Ended(author, number, outcome, took));
    }

    fn on_message(&self, reader: ActorIx, message: &Message) {
        let mut state = self.shared.state.lock();
        let place = (message.epoch.0, message.sequence.0);
        let sender = message.sender;
        state.checker.handle(
            reader,
            &Handled {
                sender,
                device: message.sender_device.as_ref(),
                place: Some(Place {
                    conversation: &message.conversation,
                    epoch: message.epoch,
                    sequence: message.sequence,
                }),
                text: &message.text,
            },
        );
        let number = checker::number_of(&message.text);
        self.note(&mut state, Entry::Handled(reader, sender, number, place));
    }

    /// As [`History::on_message`], of a reader who is not told where the message is.
    fn on_text(&self, reader: ActorIx, sender: UserId, text: &str) {
        let mut state = self.shared.state.lock();
        let seen = Handled {
            sender,
            device: None,
            place: None,
            text,
        };
        state.checker.handle(reader, &seen);
        let number = checker::number_of(text);
        self.note(&mut state, Entry::Heard(reader, sender, number));
    }

    fn rewound(&self, reader: ActorIx, conversation: &ConversationId) {
        let mut state = self.shared.state.lock();
        state.checker.rewound(conversation);
        self.note(&mut state, Entry::Rewound(reader));
    }

    fn crashed(&self, reader: ActorIx) {
        self.shared.state.lock().checker.crashed(reader);
    }

    fn retired(&self, reader: ActorIx) {
        self.shared.state.lock().checker.retire(reader);
    }
}
