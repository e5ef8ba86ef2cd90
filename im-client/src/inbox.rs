//! The receiving half of a client: from frames through the timeline into the handler's queue.
//!
//! Never waits: what the queue has no room for stays in the cluster and is asked for later.

use std::sync::Arc;
use std::time::Duration;

use im_common::backoff::{Backoff, random_fraction};
use im_common::code::{Code, NextStep};
use im_common::id::ConversationId;
use im_common::message::{Head, Page, Position};
use im_common::wire::{self, Malformed};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::events::ROOM_FOR_PAGE;
use crate::outbox::Forked;
use crate::positions::Positions;
use crate::timeline::{Step, Timeline};

/// A server that has not answered a sync by then has lost it.
const PAGE_WITHIN: Duration = Duration::from_secs(10);
/// A log that cannot be read now is asked for again after this, then ever more seldom.
const RETRY_FIRST: Duration = Duration::from_millis(100);
/// Soon enough once the store is back, rare enough while it is not.
const RETRY_LONGEST: Duration = Duration::from_secs(5);
/// Heads follow the welcome at once. A server that has none to tell may leave them out.
const HEADS_WITHIN: Duration = Duration::from_secs(5);
/// Keeps an ack far below the size of a frame; the rest goes with the next one.
const ACK_POSITIONS_MAX: usize = 1000;
/// Keeps a hello well below the size of a frame: 2,000 positions of at most 64 bytes.
const HELLO_POSITIONS_MAX: usize = 2000;

/// What this client has received, kept over reconnects.
#[derive(Debug)]
pub(crate) struct Inbox {
    timeline: Timeline,
    steps: mpsc::Sender<Step>,
    positions: Arc<Positions>,
    /// The sync that waits for its page; one at a time, so that memory stays bounded.
    asked: Option<(Position, Instant)>,
    /// The first heads of this connection come by then, or not at all.
    heads_by: Option<Instant>,
    /// Whether this connection has not brought everything yet that there was when it began.
    is_catching_up: bool,
    backoff: Backoff,
}

impl Inbox {
    pub(crate) fn new(
        timeline: Timeline,
        steps: mpsc::Sender<Step>,
        positions: Arc<Positions>,
    ) -> Self {
        Self {
            timeline,
            steps,
            positions,
            asked: None,
            heads_by: None,
            is_catching_up: false,
            backoff: Backoff::new(RETRY_FIRST, RETRY_LONGEST),
        }
    }

    /// A new connection begins; its heads name the log again whose page was lost, if any.
    pub(crate) fn attach(&mut self) {
        self.timeline.attach();
        self.heads_by = Some(Instant::now() + HEADS_WITHIN);
        self.asked = None;
        self.is_catching_up = true;
    }

    /// Whether what was missed before this connection is still on its way.
    pub(crate) const fn is_catching_up(&self) -> bool {
        self.is_catching_up
    }

    /// Whether this client has just caught up; true once for each connection.
    pub(crate) fn has_caught_up(&mut self) -> bool {
        let is_level = self.asked.is_none() && self.timeline.is_level();
        // Nobody receives any more: then there is nothing to catch up with.
        let is_done = self.is_catching_up && (is_level || self.steps.is_closed());
        self.is_catching_up &= !is_done;
        is_done
    }

    /// What a hello tells: where the handler is.
    pub(crate) fn hello_positions(&self) -> Vec<wire::Position> {
        let latest = self.positions.latest(HELLO_POSITIONS_MAX);
        latest.into_iter().map(Into::into).collect()
    }

    pub(crate) fn heads(&mut self, heads: wire::Heads) -> Result<(), Malformed> {
        let (more, now) = (heads.more, Instant::now());
        let heads: Vec<Head> = heads.try_into()?;
        self.timeline.heads(heads, now);
        // Once there are some, the rest follows, also if a part of the store is away for long.
        self.heads_by = None;
        if !more {
            self.timeline.heads_are_whole(now);
        }
        Ok(())
    }

    pub(crate) fn deliver(&mut self, deliver: wire::Deliver) -> Result<(), Malformed> {
        let message = deliver.message.ok_or(Malformed::Missing("message"))?;
        let now = Instant::now();
        let steps = self.timeline.deliver(message.try_into()?, self.room(), now);
        self.pass_on(steps);
        Ok(())
    }

    pub(crate) fn accepted(&mut self, position: Position) {
        let now = Instant::now();
        let steps = self.timeline.accepted(position, self.room(), now);
        self.pass_on(steps);
    }

    /// Takes in the answer to a sync. Returns what it says of the log's past, if anything.
    pub(crate) fn page(&mut self, page: wire::Page) -> Result<Option<Forked>, Malformed> {
        let code = Code::from(page.code);
        if page.code != 0 {
            self.page_refused(code);
            return Ok(None);
        }
        let page = Page::try_from(page)?;
        let conversation = page.conversation.clone();
        let forked = page.fork.map(|fork| Forked {
            conversation: conversation.clone(),
            epoch: page.epoch,
            fork,
        });
        self.asked
            .take_if(|(asked, _)| asked.conversation == conversation);
        let (steps, progressed) = self.timeline.page(page, self.room());
        self.pass_on(steps);
        if progressed {
            self.backoff.reset();
        } else {
            self.retry(&conversation);
        }
        Ok(forked)
    }

    /// Returns the sync to send now, if there is one and its page will fit.
    pub(crate) fn next_sync(&mut self) -> Option<wire::Sync> {
        if self.asked.is_some() || self.room() < ROOM_FOR_PAGE {
            return None;
        }
        let (steps, position) = self.timeline.next_sync(self.room());
        self.pass_on(steps);
        let position = position?;
        self.asked = Some((position.clone(), Instant::now() + PAGE_WITHIN));
        Some(wire::Sync {
            conversation: position.conversation.to_string(),
            epoch: position.epoch.0,
            after: position.sequence.0,
        })
    }

    /// Returns the next ack to send, if the handler has got on.
    pub(crate) fn next_ack(&self) -> Option<wire::Ack> {
        let positions = self.positions.take_unacked(ACK_POSITIONS_MAX);
        let positions: Vec<_> = positions.into_iter().map(Into::into).collect();
        (!positions.is_empty()).then_some(wire::Ack { positions })
    }

    /// Whether the handler has got on since the last ack.
    pub(crate) fn has_unacked(&self) -> bool {
        self.positions.has_unacked()
    }

    /// Resolves when the handler has got on. Cancel-safe.
    pub(crate) async fn progressed(&self) {
        self.positions.progressed().await;
    }

    /// When [`Inbox::wake`] has something to do.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        let asked = self.asked.as_ref().map(|(_, answer_by)| *answer_by);
        let heads = self.heads_by.filter(|_| self.timeline.awaits_heads());
        let times = [self.timeline.wake_at(), asked, heads];
        times.into_iter().flatten().min()
    }

    /// Does what is due by now.
    pub(crate) fn wake(&mut self, now: Instant) {
        self.timeline.wake(now);
        if self.timeline.awaits_heads() && self.heads_by.is_some_and(|by| by <= now) {
            self.timeline.heads_are_whole(now);
        }
        if let Some((position, _)) = self.asked.take_if(|(_, answer_by)| *answer_by <= now) {
            tracing::debug!(conversation.id = %position.conversation, "sync was not answered");
            self.retry(&position.conversation);
        }
    }

    fn page_refused(&mut self, code: Code) {
        let Some((position, _)) = self.asked.take() else {
            return;
        };
        match code.next_step() {
            NextStep::Sync => self.timeline.doubt(&position.conversation),
            _ => self.retry(&position.conversation),
        }
    }

    fn retry(&mut self, conversation: &ConversationId) {
        let delay = self.backoff.next(random_fraction());
        self.timeline.retry(conversation, Instant::now() + delay);
    }

    /// None once nobody receives any more: then messages stay in the cluster.
    fn room(&self) -> usize {
        match self.steps.is_closed() {
            true => 0,
            false => self.steps.capacity(),
        }
    }

    /// The timeline never returns more steps than there was room for, and nobody else sends.
    fn pass_on(&self, steps: Vec<Step>) {
        for step in steps {
            if self.steps.try_send(step).is_err() {
                tracing::debug!("the handler has stopped");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use im_common::id::{DeviceId, LogEpoch, Sequence, UserId};

    use super::*;

    #[test]
    fn of_very_many_positions_an_ack_and_a_hello_tell_so_many() {
        let user = |id| UserId::new(id).unwrap();
        let positions = Arc::new(Positions::default());
        for peer in 2..3002 {
            positions.handled(Position {
                conversation: ConversationId::private(user(1), user(peer)),
                epoch: LogEpoch(1),
                sequence: Sequence(peer),
            });
        }
        let timeline = Timeline::new(user(1), DeviceId::new("desk").unwrap());
        let (steps, _received) = mpsc::channel(1);
        let inbox = Inbox::new(timeline, steps, positions);
        let hello = inbox.hello_positions();
        assert_eq!(hello.len(), HELLO_POSITIONS_MAX);
        assert_eq!(hello[0].sequence, 3001, "the newest are told");
        let acks = std::iter::from_fn(|| inbox.next_ack());
        let told: Vec<usize> = acks.map(|ack| ack.positions.len()).collect();
        assert_eq!(told, [ACK_POSITIONS_MAX; 3]);
    }
}
