//! Brings the messages of each conversation into order: no gaps, no duplicates. Pure.
//!
//! Everything that arrives, pushed or paged, own or foreign, passes through here and comes out as
//! steps for the handler's queue. What the queue has no room for is left to the log.

mod log;
mod seen;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use im_common::id::{ConversationId, DeviceId, LogEpoch, Sequence, UserId};
use im_common::message::{Fork, Head, Page, Position, StoredMessage};
use im_common::planted::{Bug, is_planted};
use tokio::time::Instant;

use log::Log;
use seen::Seen;

/// A push that overtook another one is seldom later than this; beyond it, one was lost.
const GAP_PATIENCE: Duration = Duration::from_millis(50);

/// What comes out, in this order, for the handler's queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// A message to handle.
    Message(StoredMessage),
    /// A message of this device, or one that was handled before at another place: nothing to
    /// handle, but the position moves on.
    Silent(Position),
    /// The log lost what was passed on beyond this position, and goes on from there.
    Rewound(Position),
}

/// Where this client is in every conversation it has heard of.
#[derive(Debug)]
pub(crate) struct Timeline {
    user: UserId,
    device: DeviceId,
    logs: HashMap<ConversationId, Log>,
    seen: Seen,
    /// Logs to ask for, first come, first served.
    due: VecDeque<ConversationId>,
    /// Logs that become due unless they are level by then.
    later: BTreeSet<(Instant, ConversationId)>,
    /// Before the first heads of a connection an unknown conversation may be an old one, so the
    /// newest sequence heard of it is only remembered.
    heard: Option<HashMap<ConversationId, (LogEpoch, Sequence)>>,
    /// Logs in the heads so far, until these are whole.
    mentioned: HashSet<ConversationId>,
}

impl Timeline {
    pub(crate) fn new(user: UserId, device: DeviceId) -> Self {
        Self {
            user,
            device,
            logs: HashMap::new(),
            seen: Seen::default(),
            due: VecDeque::new(),
            later: BTreeSet::new(),
            heard: Some(HashMap::new()),
            mentioned: HashSet::new(),
        }
    }

    /// An earlier program has handled everything up to these positions.
    pub(crate) fn restore(&mut self, positions: &[Position]) {
        for position in positions {
            let log = Log::read_to(position.epoch, position.sequence);
            self.logs.insert(position.conversation.clone(), log);
        }
    }

    /// A new connection begins: its heads say anew which conversations there are.
    pub(crate) fn attach(&mut self) {
        self.heard = Some(HashMap::new());
        self.mentioned.clear();
    }

    /// Whether the first heads of this connection are still to come.
    pub(crate) const fn awaits_heads(&self) -> bool {
        self.heard.is_some()
    }

    /// Whether the heads are known and every log has been read up to its own. A log that has not
    /// is due, will be, or is being asked for by the caller.
    pub(crate) fn is_level(&self) -> bool {
        let mut waiting = self.due.iter().chain(self.later.iter().map(|(_, log)| log));
        !self.awaits_heads() && waiting.all(|log| self.logs.get(log).is_none_or(Log::is_level))
    }

    /// Takes in how far some logs are.
    pub(crate) fn heads(&mut self, heads: Vec<Head>, now: Instant) {
        for head in heads {
            let newest = head.newest;
            self.mentioned.insert(newest.conversation.clone());
            let log = log_of(&mut self.logs, &newest.conversation, newest.epoch);
            if log.epoch == newest.epoch {
                if !is_planted(Bug::ForgetPosition) {
                    log.skip_to(head.handled);
                }
                // Pushed meanwhile, or the log was cut: the next page tells which.
                log.is_doubtful |= newest.sequence < log.position;
            }
            self.note(&newest, now);
        }
    }

    /// All heads are in: a conversation that is missing in the first ones of a connection had no
    /// log then. A log that this client has read and that is missing began meanwhile, or is lost:
    /// its next page tells which.
    pub(crate) fn heads_are_whole(&mut self, now: Instant) {
        let mentioned = std::mem::take(&mut self.mentioned);
        let is_missing = |(conversation, log): &(&ConversationId, &Log)| {
            log.position > Sequence(0) && !mentioned.contains(*conversation)
        };
        let missing = self.logs.iter().filter(is_missing);
        let missing: Vec<_> = missing
            .map(|(conversation, _)| conversation.clone())
            .collect();
        for conversation in &missing {
            self.doubt(conversation);
        }
        for (conversation, (epoch, sequence)) in self.heard.take().unwrap_or_default() {
            let newest = Position {
                conversation,
                epoch,
                sequence,
            };
            self.note(&newest, now);
        }
    }

    /// Takes in a pushed message.
    pub(crate) fn deliver(
        &mut self,
        message: StoredMessage,
        room: usize,
        now: Instant,
    ) -> Vec<Step> {
        let position = Position {
            conversation: message.conversation.clone(),
            epoch: message.epoch,
            sequence: message.sequence,
        };
        let step = self.step(message);
        self.admit(position, step, room, now)
    }

    /// Takes in where a message of this client was stored.
    pub(crate) fn accepted(&mut self, position: Position, room: usize, now: Instant) -> Vec<Step> {
        let step = Step::Silent(position.clone());
        self.admit(position, step, room, now)
    }

    /// Takes in the answer to a sync. Returns the steps, and whether it brought the log on.
    pub(crate) fn page(&mut self, page: Page, room: usize) -> (Vec<Step>, bool) {
        let steps: Vec<_> = page
            .messages
            .into_iter()
            .map(|message| (message.sequence, self.step(message)))
            .collect();
        let Some(log) = self.logs.get_mut(&page.conversation) else {
            return (Vec::new(), false);
        };
        let before = (log.epoch, log.position);
        let mut out = Vec::new();
        match good_to(log.epoch, page.epoch, page.fork) {
            Verdict::Whole => log.head = log.head.max(page.head),
            Verdict::UpTo(good_to) => {
                let is_rewound = log.position > good_to;
                if is_rewound && room == 0 {
                    self.make_due(&page.conversation);
                    return (out, true);
                }
                log.go_on_from(good_to, page.epoch, page.head);
                if is_rewound {
                    out.push(Step::Rewound(log.reached(page.conversation.clone())));
                }
            }
            Verdict::Late => return (out, false),
        }
        log.settle_doubt();
        for (sequence, step) in steps {
            log.hold(sequence, step);
            log.place(room, &mut self.seen, &mut out);
        }
        let progressed = before != (log.epoch, log.position) || log.is_level();
        if progressed && !log.is_level() {
            self.make_due(&page.conversation);
        }
        (out, progressed)
    }

    /// Asks for a log again at that time.
    pub(crate) fn retry(&mut self, conversation: &ConversationId, at: Instant) {
        if let Some(log) = self.logs.get_mut(conversation)
            && !log.is_due
            && !log.is_later
        {
            log.is_later = true;
            self.later.insert((at, conversation.clone()));
        }
    }

    /// The position means nothing any more: the next page tells the log's epoch.
    pub(crate) fn doubt(&mut self, conversation: &ConversationId) {
        if let Some(log) = self.logs.get_mut(conversation) {
            log.is_doubtful = true;
            self.make_due(conversation);
        }
    }

    /// Returns steps that had no room before, and the next position to sync from, if any.
    pub(crate) fn next_sync(&mut self, room: usize) -> (Vec<Step>, Option<Position>) {
        let mut out = Vec::new();
        while let Some(conversation) = self.due.pop_front() {
            let Some(log) = self.logs.get_mut(&conversation) else {
                continue;
            };
            log.is_due = false;
            log.place(room, &mut self.seen, &mut out);
            if !log.is_level() {
                return (out, Some(log.reached(conversation)));
            }
        }
        (out, None)
    }

    /// When [`Timeline::wake`] has something to do.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        self.later.first().map(|(at, _)| *at)
    }

    /// Makes the logs due whose time has come and that are still behind.
    pub(crate) fn wake(&mut self, now: Instant) {
        while self.wake_at().is_some_and(|at| at <= now) {
            let Some((_, conversation)) = self.later.pop_first() else {
                return;
            };
            if let Some(log) = self.logs.get_mut(&conversation) {
                log.is_later = false;
                if !log.is_level() {
                    self.make_due(&conversation);
                }
            }
        }
    }

    fn admit(&mut self, position: Position, step: Step, room: usize, now: Instant) -> Vec<Step> {
        let mut out = Vec::new();
        if let Some(heard) = &mut self.heard
            && !self.logs.contains_key(&position.conversation)
        {
            let newest = (position.epoch, position.sequence);
            let known = heard.entry(position.conversation).or_insert(newest);
            if known.0 != newest.0 || known.1 < newest.1 {
                *known = newest;
            }
            return out;
        }
        let log = log_of(&mut self.logs, &position.conversation, position.epoch);
        if log.epoch == position.epoch {
            if is_planted(Bug::StepOverGaps) {
                log.skip_to(Sequence(position.sequence.0.saturating_sub(1)));
            }
            log.hold(position.sequence, step);
            log.place(room, &mut self.seen, &mut out);
        }
        self.note(&position, now);
        out
    }

    /// Notes that the log holds a message there, and sees to it that it is fetched.
    fn note(&mut self, newest: &Position, now: Instant) {
        let log = log_of(&mut self.logs, &newest.conversation, newest.epoch);
        log.hear(newest.epoch, newest.sequence);
        if log.is_level() {
            return;
        }
        if log.may_close_by_itself() {
            self.retry(&newest.conversation, now + GAP_PATIENCE);
        } else {
            self.make_due(&newest.conversation);
        }
    }

    fn make_due(&mut self, conversation: &ConversationId) {
        if let Some(log) = self.logs.get_mut(conversation)
            && !log.is_due
        {
            log.is_due = true;
            self.due.push_back(conversation.clone());
        }
    }

    fn step(&self, message: StoredMessage) -> Step {
        if message.sender.user == self.user && message.sender.device == self.device {
            return Step::Silent(Position {
                conversation: message.conversation,
                epoch: message.epoch,
                sequence: message.sequence,
            });
        }
        Step::Message(message)
    }
}

/// What a page says of the position it was asked for.
enum Verdict {
    /// It is good.
    Whole,
    /// It is good up to there.
    UpTo(Sequence),
    /// Nothing: the page answers what was asked in an earlier epoch.
    Late,
}

fn good_to(known: LogEpoch, told: LogEpoch, fork: Option<Fork>) -> Verdict {
    match fork {
        Some(fork) if fork.epoch == known => Verdict::UpTo(fork.sequence),
        _ if told == known => Verdict::Whole,
        // A route of an earlier version, which knows no forks.
        None if told > known => Verdict::UpTo(Sequence(0)),
        _ => Verdict::Late,
    }
}

/// The log of a conversation; an unknown one is taken as unread.
fn log_of<'a>(
    logs: &'a mut HashMap<ConversationId, Log>,
    conversation: &ConversationId,
    epoch: LogEpoch,
) -> &'a mut Log {
    logs.entry(conversation.clone())
        .or_insert_with(|| Log::unread(epoch))
}
