//! A log that grows, loses its end and grows on, a client behind an unreliable link, and what its
//! handler got.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;

/// What may happen between a log and a client.
#[derive(Debug, Clone)]
enum Act {
    /// Somebody else, or this device, writes; or what was lost is offered again, if there is any.
    Append {
        is_own: bool,
        is_pushed: bool,
        is_again: bool,
    },
    /// An old or new push arrives, perhaps again, perhaps of a message that is lost by now.
    Push(prop::sample::Index),
    /// The client asks; its page may be lost.
    Sync { is_lost: bool },
    /// The client asks, and hears of other things before the page arrives.
    SlowSync,
    /// The connection breaks and comes back; the cluster may have lost acks.
    Reattach { lost_acks: u64 },
    /// Time passes.
    Wait,
    /// The handler has no room, or has again.
    Room(usize),
    /// The store ends and comes back without its newest messages.
    Lose(usize),
}

fn acts(loses: u32) -> impl Strategy<Value = Vec<Act>> {
    let append =
        any::<(bool, bool, bool)>().prop_map(|(is_own, is_pushed, is_again)| Act::Append {
            is_own,
            is_pushed,
            is_again,
        });
    let act = prop_oneof![
        6 => append,
        4 => any::<prop::sample::Index>().prop_map(Act::Push),
        3 => any::<bool>().prop_map(|is_lost| Act::Sync { is_lost }),
        1 => Just(Act::SlowSync),
        1 => (0u64..20).prop_map(|lost_acks| Act::Reattach { lost_acks }),
        2 => Just(Act::Wait),
        1 => (0usize..6).prop_map(Act::Room),
        loses => (0usize..6).prop_map(Act::Lose),
    ];
    prop::collection::vec(act, 0..120)
}

struct World {
    log: Vec<StoredMessage>,
    /// The epochs that the log knows of, with the head at which each began.
    epochs: Vec<(u64, usize)>,
    /// How far positions of each epoch that ever was are good.
    good_to: BTreeMap<u64, usize>,
    /// The store was away: the next message begins an epoch.
    may_have_lost: bool,
    /// Every message as it was pushed, those that were lost later included.
    pushed: Vec<StoredMessage>,
    /// What its senders still have to offer again.
    lost: VecDeque<StoredMessage>,
    timeline: Timeline,
    /// A page under way.
    slow: Option<Page>,
    got: Vec<Step>,
    room: usize,
    now: Instant,
}

impl World {
    fn new() -> Self {
        let mut timeline = timeline();
        let now = Instant::now();
        timeline.all_heads(vec![], now);
        Self {
            log: Vec::new(),
            epochs: vec![(1, 0)],
            good_to: BTreeMap::from([(1, usize::MAX)]),
            may_have_lost: false,
            pushed: Vec::new(),
            lost: VecDeque::new(),
            timeline,
            slow: None,
            got: Vec::new(),
            room: ROOMY,
            now,
        }
    }

    fn play(&mut self, act: &Act) {
        match *act {
            Act::Append {
                is_own,
                is_pushed,
                is_again,
            } => self.append(is_own, is_pushed, is_again),
            Act::Push(ref index) if !self.pushed.is_empty() => {
                let message = index.get(&self.pushed).clone();
                let steps = self.timeline.deliver(message, self.room, self.now);
                self.got.extend(steps);
            }
            Act::Push(_) => {}
            Act::Sync { is_lost } => self.sync(is_lost),
            Act::SlowSync => self.sync_slowly(),
            Act::Reattach { lost_acks } => self.reattach(lost_acks),
            Act::Wait => {
                self.now += GAP_PATIENCE;
                self.timeline.wake(self.now);
            }
            Act::Room(room) => self.room = room,
            Act::Lose(count) => self.lose(count),
        }
    }

    fn epoch(&self) -> u64 {
        self.epochs.last().unwrap().0
    }

    fn append(&mut self, is_own: bool, is_pushed: bool, is_again: bool) {
        if std::mem::take(&mut self.may_have_lost) {
            let latest = *self.good_to.keys().next_back().unwrap();
            self.part(self.log.len());
            self.epochs.push((latest + 1, self.log.len()));
            self.good_to.insert(latest + 1, usize::MAX);
        }
        let (epoch, sequence) = (self.epoch(), self.log.len() as u64 + 1);
        let again = is_again.then(|| self.lost.pop_front()).flatten();
        let mut stored = again.unwrap_or_else(|| {
            let mut new = if is_own { own(1, 1) } else { message(1, 1) };
            let id = self.pushed.len() as u128 + 1;
            new.id = MessageId::from_bytes(&id.to_be_bytes()).unwrap();
            new
        });
        stored.epoch = LogEpoch(epoch);
        stored.sequence = Sequence(sequence);
        self.log.push(stored.clone());
        self.pushed.push(stored.clone());
        if !is_pushed {
            return;
        }
        let steps = if stored.sender.user == user(1) {
            let position = position(epoch, sequence);
            self.timeline.accepted(position, self.room, self.now)
        } else {
            self.timeline.deliver(stored, self.room, self.now)
        };
        self.got.extend(steps);
    }

    fn lose(&mut self, count: usize) {
        let kept = self.log.len().saturating_sub(count);
        self.lost.extend(self.log.drain(kept..));
        // An epoch whose first message is lost was never heard of.
        while self.epochs.len() > 1 && self.epochs.last().unwrap().1 >= kept {
            self.epochs.pop();
        }
        self.part(kept);
        self.may_have_lost = true;
    }

    /// Nothing of any epoch so far is known beyond.
    fn part(&mut self, at: usize) {
        for good_to in self.good_to.values_mut() {
            *good_to = at.min(*good_to);
        }
    }

    fn page(&self, asked: &Position) -> Page {
        let (epoch, after) = (asked.epoch.0, usize::try_from(asked.sequence.0).unwrap());
        let good_to = self.good_to[&epoch];
        let is_whole = epoch == self.epoch() && after <= self.log.len();
        let rest = self.log.iter().skip(after).take(5).cloned();
        let mut page = Page {
            conversation: chat(),
            epoch: LogEpoch(self.epoch()),
            messages: rest.collect(),
            head: Sequence(self.log.len() as u64),
            fork: (!is_whole).then_some(Fork {
                epoch: asked.epoch,
                sequence: Sequence(good_to.min(self.log.len()) as u64),
            }),
        };
        if after > good_to {
            page.messages.clear();
        }
        for message in &mut page.messages {
            message.epoch = page.epoch;
        }
        page
    }

    fn sync(&mut self, is_lost: bool) {
        if let Some(page) = self.slow.take() {
            self.take(page);
        }
        let (steps, sync) = self.timeline.next_sync(self.room);
        self.got.extend(steps);
        let Some(sync) = sync else { return };
        if is_lost {
            self.timeline.retry(&sync.conversation, self.now);
            return;
        }
        self.take(self.page(&sync));
    }

    fn sync_slowly(&mut self) {
        if self.slow.is_some() {
            return;
        }
        let (steps, sync) = self.timeline.next_sync(self.room);
        self.got.extend(steps);
        self.slow = sync.map(|sync| self.page(&sync));
    }

    fn take(&mut self, page: Page) {
        let (steps, progressed) = self.timeline.page(page, self.room);
        self.got.extend(steps);
        if !progressed {
            self.timeline.retry(&chat(), self.now);
        }
    }

    fn reattach(&mut self, lost_acks: u64) {
        self.timeline.attach();
        self.slow = None;
        let newest = self.log.len() as u64;
        if newest == 0 {
            self.timeline.all_heads(vec![], self.now);
            return;
        }
        let reached = self.got.last().map(place_of);
        let reached = reached.filter(|(epoch, _)| *epoch == self.epoch());
        let handled = reached.map_or(0, |(_, sequence)| sequence.saturating_sub(lost_acks));
        let heads = vec![head(self.epoch(), newest, handled.min(newest))];
        self.timeline.all_heads(heads, self.now);
    }

    /// Everything is offered again, and the link works.
    fn calm_down(&mut self) {
        self.room = ROOMY;
        while !self.lost.is_empty() {
            self.append(false, false, true);
        }
        self.reattach(0);
        for _ in 0..self.log.len() + 3 {
            self.play(&Act::Wait);
            self.play(&Act::Sync { is_lost: false });
        }
    }

    fn handled(&self) -> Vec<MessageId> {
        let id = |step: &Step| match step {
            Step::Message(message) => Some(message.id),
            Step::Silent(_) | Step::Rewound(_) => None,
        };
        self.got.iter().filter_map(id).collect()
    }
}

fn place_of(step: &Step) -> (u64, u64) {
    match step {
        Step::Message(message) => (message.epoch.0, message.sequence.0),
        Step::Silent(position) | Step::Rewound(position) => (position.epoch.0, position.sequence.0),
    }
}

proptest! {
    #[test]
    fn whatever_happens_each_message_is_handled_once_and_in_order(acts in acts(0)) {
        let mut world = World::new();
        for act in acts {
            world.play(&act);
        }
        world.calm_down();
        let expected: Vec<u64> = (1..=world.log.len() as u64).collect();
        prop_assert_eq!(sequences(&world.got), expected);
        for (step, stored) in world.got.iter().zip(&world.log) {
            let is_own = stored.sender.user == user(1);
            prop_assert_eq!(matches!(step, Step::Silent(_)), is_own);
        }
    }

    #[test]
    fn whatever_a_log_loses_each_message_is_handled_once(acts in acts(2)) {
        let mut world = World::new();
        for act in acts {
            world.play(&act);
        }
        world.calm_down();
        let handled = world.handled();
        let once: BTreeSet<_> = handled.iter().map(MessageId::as_bytes).collect();
        prop_assert_eq!(once.len(), handled.len(), "something was handled twice");
        let foreign = world.log.iter().filter(|message| message.sender.user != user(1));
        let stored: BTreeSet<_> = foreign.map(|message| message.id.as_bytes()).collect();
        prop_assert_eq!(stored, once);

        let mut reached = 0;
        for step in &world.got {
            let (_, sequence) = place_of(step);
            match step {
                Step::Rewound(_) => prop_assert!(sequence < reached),
                _ => prop_assert_eq!(sequence, reached + 1),
            }
            reached = sequence;
        }
        prop_assert_eq!(reached, world.log.len() as u64);
    }
}
