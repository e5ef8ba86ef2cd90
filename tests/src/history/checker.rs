//! The rules, applied to events as they come. Pure: it knows no clock, no task and no cluster.
//!
//! Every text says which message of its author it is, so that what a handler sees can be traced:
//! `NUMBER@DEVICE BODY`. An author is one device of one user.

mod deciding;
mod event;
mod reading;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use im_common::id::{ConversationId, DeviceId, LogEpoch, Sequence, UserId};
use im_common::message::{Position, Recipient};
use im_common::name::UserName;

use self::event::digest;
pub use self::event::{Handled, Outcome, Place, number_of};
use super::bits::Bits;
use super::log::{Log, Slot};
use super::verdict::{Findings, Kind, Violation};

/// The SDK ends a send after 30 s; a busy machine needs a moment to say so.
pub const SEND_ENDS_WITHIN: Duration = Duration::from_secs(40);
/// What a program that dies may have handled without its acks being kept: that much comes again.
const REPEATED_MAX: usize = 4096;

/// One device of one user, by the order in which they entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActorIx(u32);

/// Takes in events and finds what must not be.
#[derive(Debug, Default)]
pub struct Checker {
    actors: Vec<Record>,
    index: HashMap<(UserId, DeviceId), ActorIx>,
    users: HashMap<UserName, UserId>,
    conversations: HashMap<ConversationId, usize>,
    logs: Vec<(ConversationId, Log)>,
    /// Counts submits and arrivals of actors, to tell what came before what.
    now: u32,
    pending: u64,
    accepted: u64,
    refused: u64,
    handled: u64,
    /// Readers of accepted messages, as many as there were.
    due: u64,
    found: Findings,
    /// Time to accept in microseconds, by fault.
    latencies: Vec<Vec<(ActorIx, u32)>>,
}

#[derive(Debug)]
struct Record {
    user: UserId,
    name: UserName,
    device: DeviceId,
    /// What was submitted from then on, this reader must get; nothing yet when `None`.
    since: Option<u32>,
    is_retired: bool,
    sent: Vec<Sent>,
    /// Everything before has reached whom it must.
    complete_to: usize,
    handled: HashMap<ActorIx, Bits>,
    last: HashMap<usize, (LogEpoch, Sequence)>,
    /// Of each author and log, where places are not told: the last number.
    last_of: HashMap<(ActorIx, usize), u32>,
    lately: VecDeque<(ActorIx, u32)>,
    may_repeat: HashSet<(ActorIx, u32)>,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    digest: u64,
    at: u32,
    /// Index of the log, once known.
    log: Option<u32>,
    outcome: Outcome,
    /// Sent again later: its place among the others means nothing.
    is_retried: bool,
}

impl Checker {
    /// A device enters. The first of a user gets everything from now on; a further one begins where
    /// the user is when it attaches.
    pub fn enter(&mut self, user: UserId, name: &UserName, device: &DeviceId) -> ActorIx {
        let key = (user, device.clone());
        if let Some(known) = self.index.get(&key) {
            return *known;
        }
        let is_first = self.users.insert(name.clone(), user).is_none();
        let actor = ActorIx(u32::try_from(self.actors.len()).expect("few actors"));
        self.now += 1;
        self.actors.push(Record {
            user,
            name: name.clone(),
            device: device.clone(),
            since: is_first.then_some(self.now),
            is_retired: false,
            sent: Vec::new(),
            complete_to: 0,
            handled: HashMap::new(),
            last: HashMap::new(),
            last_of: HashMap::new(),
            lately: VecDeque::new(),
            may_repeat: HashSet::new(),
        });
        self.index.insert(key, actor);
        actor
    }

    /// A device is attached.
    pub fn attached(&mut self, actor: ActorIx) {
        self.now += 1;
        let now = self.now;
        self.record(actor).since.get_or_insert(now);
    }

    /// A reader will not come back: nothing more is asked of it.
    pub fn retire(&mut self, actor: ActorIx) {
        self.record(actor).is_retired = true;
    }

    /// A reader's program ended without closing: what it handled lately may come again.
    pub fn crashed(&mut self, actor: ActorIx) {
        let record = self.record(actor);
        let lately = std::mem::take(&mut record.lately);
        record.may_repeat.extend(lately);
        record.last.clear();
        record.last_of.clear();
    }

    /// A reader was told that a log lost something or began anew.
    pub fn rewound(&mut self, conversation: &ConversationId) {
        let log = self.log(conversation);
        self.logs[log].1.was_rewound = true;
    }

    /// Numbers a new message, and returns the number and the text to send.
    pub fn submit(&mut self, author: ActorIx, to: &Recipient, body: &str) -> (u32, String) {
        let log = self.conversation(author, to).map(|log| self.log(&log));
        self.now += 1;
        let at = self.now;
        self.pending += 1;
        let record = self.record(author);
        let number = u32::try_from(record.sent.len()).expect("fewer than four billion");
        let text = format!("{number}@{} {body}", record.device);
        record.sent.push(Sent {
            digest: digest(&text),
            at,
            log: log.map(|log| u32::try_from(log).expect("few logs")),
            outcome: Outcome::Pending,
            is_retried: false,
        });
        (number, text)
    }

    /// The same message is sent once more, under the same id.
    pub fn resubmit(&mut self, author: ActorIx, number: u32) {
        self.pending += 1;
        self.sent(author, number).is_retried = true;
    }

    /// The author was told where its message is.
    pub fn stored(&mut self, author: ActorIx, number: u32, position: &Position) {
        let log = self.log(&position.conversation);
        self.sent(author, number).log = Some(u32::try_from(log).expect("few logs"));
        self.place(
            log,
            position.epoch,
            position.sequence,
            Slot { author, number },
        );
    }

    /// A send ended.
    pub fn end(&mut self, author: ActorIx, number: u32, outcome: Outcome, took: Duration) {
        self.pending -= 1;
        if took > SEND_ENDS_WITHIN {
            let who = self.label(author);
            self.object(Kind::Late, || {
                format!("{number} of {who} ended after {took:?}")
            });
        }
        let before = std::mem::replace(&mut self.sent(author, number).outcome, outcome);
        match (before, outcome) {
            (Outcome::Accepted, Outcome::Accepted) => {}
            (Outcome::Accepted, Outcome::Unknown) => {
                self.sent(author, number).outcome = Outcome::Accepted;
            }
            (Outcome::Accepted, _) => {
                let who = self.label(author);
                self.object(Kind::Lost, || {
                    format!("{number} of {who} was accepted, and {outcome:?} when sent again")
                });
            }
            (_, Outcome::Accepted) => {
                self.accepted += 1;
                self.due += self.readers_of(author, number);
                let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
                self.phase().push((author, micros));
            }
            (_, Outcome::Refused) => self.refused += 1,
            _ => {}
        }
    }

    /// Sends that are not ended.
    pub const fn pending(&self) -> u64 {
        self.pending
    }

    /// Sends accepted so far.
    pub const fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Messages that handlers saw so far.
    pub const fn handled_count(&self) -> u64 {
        self.handled
    }

    /// About how many deliveries are still to come.
    pub const fn owed(&self) -> u64 {
        self.due.saturating_sub(self.handled)
    }

    /// What is wrong already.
    pub fn violations(&self) -> &[Violation] {
        &self.found.violations
    }

    /// From here on latencies count for the next phase.
    pub fn begin_phase(&mut self) {
        self.phase();
        self.latencies.push(Vec::new());
    }

    /// Time from send to accept in microseconds, by author, within a phase.
    pub fn latencies(&self, phase: usize) -> Vec<(ActorIx, u32)> {
        self.latencies.get(phase).cloned().unwrap_or_default()
    }

    /// A name for people.
    pub fn label(&self, actor: ActorIx) -> String {
        let record = &self.actors[actor.0 as usize];
        format!("{}/{}", record.name.as_str(), record.device)
    }

    fn place(&mut self, log: usize, epoch: LogEpoch, at: Sequence, slot: Slot) {
        if let Some(other) = self.logs[log].1.place(epoch, at, slot) {
            let (one, two) = (self.label(slot.author), self.label(other.author));
            let conversation = self.logs[log].0.clone();
            self.object(Kind::Reordered, || {
                let (number, earlier) = (slot.number, other.number);
                format!("{conversation}/{at} is {number} of {one}, and {earlier} of {two}")
            });
        }
    }

    fn conversation(&self, author: ActorIx, to: &Recipient) -> Option<ConversationId> {
        let me = self.actors[author.0 as usize].user;
        match to {
            Recipient::Lobby => Some(ConversationId::Lobby),
            Recipient::User(user) => Some(ConversationId::private(me, *user)),
            Recipient::Name(name) => {
                let user = self.users.get(name)?;
                Some(ConversationId::private(me, *user))
            }
        }
    }

    fn log(&mut self, conversation: &ConversationId) -> usize {
        if let Some(known) = self.conversations.get(conversation) {
            return *known;
        }
        let log = self.logs.len();
        self.logs.push((conversation.clone(), Log::default()));
        self.conversations.insert(conversation.clone(), log);
        log
    }

    fn object(&mut self, kind: Kind, what: impl FnOnce() -> String) {
        self.found.object(kind, what);
    }

    fn phase(&mut self) -> &mut Vec<(ActorIx, u32)> {
        if self.latencies.is_empty() {
            self.latencies.push(Vec::new());
        }
        self.latencies.last_mut().expect("not empty")
    }

    fn record(&mut self, actor: ActorIx) -> &mut Record {
        &mut self.actors[actor.0 as usize]
    }

    fn sent(&mut self, author: ActorIx, number: u32) -> &mut Sent {
        &mut self.record(author).sent[number as usize]
    }
}
