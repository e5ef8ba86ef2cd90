use super::*;
use im_common::id::MessageId;
use im_common::message::Identity;
use im_common::name::UserName;
use proptest::prelude::*;

const ROOMY: usize = 256;

impl Timeline {
    fn all_heads(&mut self, heads: Vec<Head>, now: Instant) {
        self.heads(heads, now);
        self.heads_are_whole(now);
    }
}

fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

fn device(name: &str) -> DeviceId {
    DeviceId::new(name).unwrap()
}

fn timeline() -> Timeline {
    Timeline::new(user(1), device("here"))
}

fn chat() -> ConversationId {
    ConversationId::private(user(1), user(2))
}

fn message(epoch: u64, sequence: u64) -> StoredMessage {
    StoredMessage {
        conversation: chat(),
        epoch: LogEpoch(epoch),
        sequence: Sequence(sequence),
        id: MessageId::from_bytes(&u128::from(sequence).to_be_bytes()).unwrap(),
        sender: Identity {
            user: user(2),
            name: UserName::new("bob").unwrap(),
            device: device("there"),
        },
        accepted_at_ms: 0,
        text: sequence.to_string(),
    }
}

fn own(epoch: u64, sequence: u64) -> StoredMessage {
    let mut message = message(epoch, sequence);
    message.sender.user = user(1);
    message.sender.device = device("here");
    message
}

fn position(epoch: u64, sequence: u64) -> Position {
    Position {
        conversation: chat(),
        epoch: LogEpoch(epoch),
        sequence: Sequence(sequence),
    }
}

fn head(epoch: u64, sequence: u64, handled: u64) -> Head {
    Head {
        newest: position(epoch, sequence),
        handled: Sequence(handled),
    }
}

fn page(epoch: u64, sequences: impl IntoIterator<Item = u64>, head: u64) -> Page {
    let messages = sequences.into_iter();
    Page {
        conversation: chat(),
        epoch: LogEpoch(epoch),
        messages: messages.map(|sequence| message(epoch, sequence)).collect(),
        head: Sequence(head),
        fork: None,
    }
}

fn sequences(steps: &[Step]) -> Vec<u64> {
    let sequence = |step: &Step| match step {
        Step::Message(message) => message.sequence.0,
        Step::Own(position) => position.sequence.0,
        Step::Reset(_) => 0,
    };
    steps.iter().map(sequence).collect()
}

/// A client that has attached and found `handled` of `head` messages.
fn attached(head_at: u64, handled: u64) -> Timeline {
    let mut timeline = timeline();
    timeline.all_heads(vec![head(7, head_at, handled)], Instant::now());
    timeline
}

#[test]
fn duplicates_are_dropped_and_early_ones_wait() {
    let mut timeline = attached(3, 3);
    let now = Instant::now();
    let mut deliver = |sequence| sequences(&timeline.deliver(message(7, sequence), ROOMY, now));
    assert!(deliver(3).is_empty());
    assert!(deliver(5).is_empty());
    assert!(deliver(6).is_empty());
    assert_eq!(deliver(4), [4, 5, 6]);
    assert!(deliver(5).is_empty());
    assert_eq!(timeline.next_sync(ROOMY), (vec![], None));
}

#[test]
fn duplicates_take_no_space() {
    let mut timeline = attached(100, 100);
    let now = Instant::now();
    for sequence in 1..=100 {
        timeline.deliver(message(7, sequence), ROOMY, now);
    }
    timeline.deliver(message(7, 102), ROOMY, now);
    let steps = timeline.deliver(message(7, 101), ROOMY, now);
    assert_eq!(sequences(&steps), [101, 102]);
}

#[test]
fn a_gap_that_does_not_close_is_fetched() {
    let mut timeline = attached(3, 3);
    let now = Instant::now();
    timeline.deliver(message(7, 5), ROOMY, now);
    assert_eq!(timeline.next_sync(ROOMY).1, None, "4 may be on its way");
    assert_eq!(timeline.wake_at(), Some(now + GAP_PATIENCE));
    timeline.wake(now + GAP_PATIENCE);
    assert_eq!(timeline.next_sync(ROOMY).1, Some(position(7, 3)));
    let (steps, progressed) = timeline.page(page(7, [4], 5), ROOMY);
    assert_eq!(sequences(&steps), [4, 5]);
    assert!(progressed);
    assert_eq!(timeline.next_sync(ROOMY).1, None);
}

#[test]
fn many_early_ones_are_fetched_at_once() {
    let mut timeline = attached(0, 0);
    let now = Instant::now();
    for sequence in 2..200 {
        timeline.deliver(message(7, sequence), ROOMY, now);
    }
    assert_eq!(timeline.next_sync(ROOMY).1, Some(position(7, 0)));
}

#[test]
fn heads_are_fetched_page_by_page() {
    let mut timeline = attached(5, 1);
    assert_eq!(timeline.next_sync(ROOMY).1, Some(position(7, 1)));
    assert_eq!(timeline.next_sync(ROOMY).1, None, "asked already");
    timeline.page(page(7, [2, 3], 5), ROOMY);
    assert_eq!(timeline.next_sync(ROOMY).1, Some(position(7, 3)));
    timeline.page(page(7, [4, 5], 5), ROOMY);
    assert_eq!(timeline.next_sync(ROOMY).1, None);
}

#[test]
fn an_unknown_conversation_after_the_heads_is_unread() {
    let mut timeline = timeline();
    let now = Instant::now();
    timeline.all_heads(vec![], now);
    assert_eq!(timeline.deliver(message(7, 1), ROOMY, now).len(), 1);
    let mut timeline = self::timeline();
    timeline.all_heads(vec![], now);
    assert_eq!(timeline.deliver(message(7, 2), ROOMY, now), []);
    timeline.wake(now + GAP_PATIENCE);
    assert_eq!(timeline.next_sync(ROOMY).1, Some(position(7, 0)));
}

#[test]
fn a_push_before_the_heads_is_fetched_from_where_the_device_is() {
    let mut timeline = timeline();
    let now = Instant::now();
    assert_eq!(timeline.deliver(message(7, 57), ROOMY, now), []);
    timeline.all_heads(vec![head(7, 56, 56)], now);
    assert_eq!(timeline.next_sync(ROOMY).1, Some(position(7, 56)));
}

#[test]
fn memory_wins_over_what_the_cluster_knows_on_a_reconnect() {
    let mut timeline = attached(3, 3);
    let now = Instant::now();
    timeline.deliver(message(7, 4), ROOMY, now);
    timeline.attach();
    timeline.all_heads(vec![head(7, 6, 2)], now);
    assert_eq!(timeline.next_sync(ROOMY).1, Some(position(7, 4)));
}

#[test]
fn own_messages_move_the_position_silently() {
    let mut timeline = attached(3, 3);
    let now = Instant::now();
    assert_eq!(timeline.accepted(position(7, 5), ROOMY, now), []);
    let steps = timeline.deliver(message(7, 4), ROOMY, now);
    assert_eq!(
        steps,
        [Step::Message(message(7, 4)), Step::Own(position(7, 5))]
    );
    assert_eq!(timeline.deliver(own(7, 5), ROOMY, now), []);
    let steps = timeline.deliver(own(7, 6), ROOMY, now);
    assert_eq!(steps, [Step::Own(position(7, 6))]);
}

#[test]
fn another_epoch_is_believed_only_from_a_page() {
    let mut timeline = attached(3, 3);
    let now = Instant::now();
    assert_eq!(timeline.deliver(message(8, 1), ROOMY, now), []);
    assert_eq!(timeline.next_sync(ROOMY).1, Some(position(7, 3)));
    let (steps, _) = timeline.page(page(7, [], 3), ROOMY);
    assert_eq!(steps, [], "it was a late push of an older epoch");
    timeline.all_heads(vec![head(9, 2, 0)], now);
    assert_eq!(timeline.next_sync(ROOMY).1, Some(position(7, 3)));
    let (steps, _) = timeline.page(page(9, [], 2), ROOMY);
    assert_eq!(steps, [Step::Reset(chat())]);
    assert_eq!(timeline.next_sync(ROOMY).1, Some(position(9, 0)));
    let (steps, _) = timeline.page(page(9, [1, 2], 2), ROOMY);
    assert_eq!(sequences(&steps), [1, 2]);
}

#[test]
fn what_has_no_room_is_kept_or_fetched_later() {
    let mut timeline = attached(0, 0);
    let now = Instant::now();
    assert_eq!(timeline.deliver(message(7, 1), 0, now), []);
    assert_eq!(timeline.deliver(message(7, 2), 0, now), []);
    let (steps, sync) = timeline.next_sync(ROOMY);
    assert_eq!(sequences(&steps), [1, 2]);
    assert_eq!(sync, None);
    let (steps, _) = timeline.page(page(7, [3, 4, 5], 5), 2);
    assert_eq!(sequences(&steps), [3, 4]);
    assert_eq!(sequences(&timeline.next_sync(ROOMY).0), [5]);
}

#[test]
fn a_page_that_brings_nothing_is_no_progress() {
    let mut timeline = attached(5, 3);
    timeline.next_sync(ROOMY);
    let (_, progressed) = timeline.page(page(7, [], 3), ROOMY);
    assert!(!progressed);
    assert_eq!(timeline.next_sync(ROOMY).1, None, "not at once");
    let later = Instant::now() + Duration::from_secs(1);
    timeline.retry(&chat(), later);
    timeline.wake(later);
    assert_eq!(timeline.next_sync(ROOMY).1, Some(position(7, 3)));
}

/// What may happen between a log and a client.
#[derive(Debug, Clone)]
enum Act {
    /// Somebody else, or this device, writes.
    Append { is_own: bool, is_pushed: bool },
    /// An old or new push arrives, perhaps again.
    Push(prop::sample::Index),
    /// The client asks; its page may be lost.
    Sync { is_lost: bool },
    /// The connection breaks and comes back; the cluster may have lost acks.
    Reattach { lost_acks: u64 },
    /// Time passes.
    Wait,
    /// The handler has no room, or has again.
    Room(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => any::<(bool, bool)>().prop_map(|(is_own, is_pushed)| Act::Append { is_own, is_pushed }),
        4 => any::<prop::sample::Index>().prop_map(Act::Push),
        3 => any::<bool>().prop_map(|is_lost| Act::Sync { is_lost }),
        1 => (0u64..20).prop_map(|lost_acks| Act::Reattach { lost_acks }),
        2 => Just(Act::Wait),
        1 => (0usize..6).prop_map(Act::Room),
    ];
    prop::collection::vec(act, 0..120)
}

/// A log, a client behind an unreliable link, and what its handler got.
struct World {
    log: Vec<StoredMessage>,
    timeline: Timeline,
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
            timeline,
            got: Vec::new(),
            room: ROOMY,
            now,
        }
    }

    fn play(&mut self, act: &Act) {
        match *act {
            Act::Append { is_own, is_pushed } => self.append(is_own, is_pushed),
            Act::Push(ref index) if !self.log.is_empty() => {
                let message = index.get(&self.log).clone();
                let steps = self.timeline.deliver(message, self.room, self.now);
                self.got.extend(steps);
            }
            Act::Push(_) => {}
            Act::Sync { is_lost } => self.sync(is_lost),
            Act::Reattach { lost_acks } => self.reattach(lost_acks),
            Act::Wait => {
                self.now += GAP_PATIENCE;
                self.timeline.wake(self.now);
            }
            Act::Room(room) => self.room = room,
        }
    }

    fn append(&mut self, is_own: bool, is_pushed: bool) {
        let sequence = self.log.len() as u64 + 1;
        let stored = if is_own {
            own(7, sequence)
        } else {
            message(7, sequence)
        };
        self.log.push(stored.clone());
        let steps = match (is_pushed, is_own) {
            (false, _) => return,
            (true, true) => {
                let position = position(7, sequence);
                self.timeline.accepted(position, self.room, self.now)
            }
            (true, false) => self.timeline.deliver(stored, self.room, self.now),
        };
        self.got.extend(steps);
    }

    fn sync(&mut self, is_lost: bool) {
        let (steps, sync) = self.timeline.next_sync(self.room);
        self.got.extend(steps);
        let Some(sync) = sync else { return };
        if is_lost {
            self.timeline.retry(&sync.conversation, self.now);
            return;
        }
        let after = usize::try_from(sync.sequence.0).unwrap();
        let page = Page {
            conversation: chat(),
            epoch: LogEpoch(7),
            messages: self.log.iter().skip(after).take(5).cloned().collect(),
            head: Sequence(self.log.len() as u64),
            fork: None,
        };
        let (steps, progressed) = self.timeline.page(page, self.room);
        self.got.extend(steps);
        if !progressed {
            self.timeline.retry(&chat(), self.now);
        }
    }

    fn reattach(&mut self, lost_acks: u64) {
        self.timeline.attach();
        if self.log.is_empty() {
            self.timeline.all_heads(vec![], self.now);
            return;
        }
        let handled = (self.got.len() as u64).saturating_sub(lost_acks);
        let heads = vec![head(7, self.log.len() as u64, handled)];
        self.timeline.all_heads(heads, self.now);
    }
}

proptest! {
    #[test]
    fn whatever_happens_each_message_is_handled_once_and_in_order(acts in acts()) {
        let mut world = World::new();
        for act in acts {
            world.play(&act);
        }
        world.room = ROOMY;
        world.reattach(0);
        for _ in 0..world.log.len() + 3 {
            world.play(&Act::Wait);
            world.play(&Act::Sync { is_lost: false });
        }
        let expected: Vec<u64> = (1..=world.log.len() as u64).collect();
        prop_assert_eq!(sequences(&world.got), expected);
        for (step, stored) in world.got.iter().zip(&world.log) {
            let is_own = stored.sender.user == user(1);
            prop_assert_eq!(matches!(step, Step::Own(_)), is_own);
        }
    }
}

#[test]
fn heads_in_two_parts_hold_back_what_is_pushed_in_between() {
    let now = Instant::now();
    let mut timeline = timeline();
    timeline.heads(vec![], now);
    assert!(timeline.deliver(message(7, 5), ROOMY, now).is_empty());
    timeline.heads(vec![head(7, 5, 4)], now);
    timeline.heads_are_whole(now);
    timeline.wake(now + GAP_PATIENCE);
    assert_eq!(timeline.next_sync(ROOMY).1, Some(position(7, 4)));
}
