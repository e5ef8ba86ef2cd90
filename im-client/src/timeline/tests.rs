use super::*;
use im_common::id::MessageId;
use im_common::message::Identity;
use im_common::name::UserName;
use proptest::prelude::*;

mod world;

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
        Step::Silent(position) => position.sequence.0,
        Step::Rewound(_) => 0,
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
        [Step::Message(message(7, 4)), Step::Silent(position(7, 5))]
    );
    assert_eq!(timeline.deliver(own(7, 5), ROOMY, now), []);
    let steps = timeline.deliver(own(7, 6), ROOMY, now);
    assert_eq!(steps, [Step::Silent(position(7, 6))]);
}

#[test]
fn another_epoch_is_believed_only_from_a_page() {
    let mut timeline = attached(3, 3);
    let now = Instant::now();
    assert_eq!(timeline.deliver(message(8, 1), ROOMY, now), []);
    assert_eq!(timeline.next_sync(ROOMY).1, Some(position(7, 3)));
    // Read before that push, perhaps: only a page that was asked for after it tells.
    timeline.page(page(7, [], 3), ROOMY);
    timeline.retry(&chat(), now);
    timeline.wake(now);
    assert_eq!(timeline.next_sync(ROOMY).1, Some(position(7, 3)));
    let (steps, _) = timeline.page(page(7, [], 3), ROOMY);
    assert_eq!(steps, [], "it was a push of an epoch that is gone");
    assert_eq!(timeline.next_sync(ROOMY).1, None);
    timeline.all_heads(vec![head(9, 2, 0)], now);
    assert_eq!(timeline.next_sync(ROOMY).1, Some(position(7, 3)));
    let (steps, _) = timeline.page(page(9, [], 2), ROOMY);
    assert_eq!(steps, [Step::Rewound(position(9, 0))]);
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

fn forked(mut page: Page, epoch: u64, sequence: u64) -> Page {
    page.fork = Some(Fork {
        epoch: LogEpoch(epoch),
        sequence: Sequence(sequence),
    });
    page
}

fn other_id(mut message: StoredMessage, id: u128) -> StoredMessage {
    message.id = MessageId::from_bytes(&id.to_be_bytes()).unwrap();
    message
}

#[test]
fn a_log_that_lost_nothing_goes_on_silently_in_a_later_epoch() {
    let mut timeline = attached(3, 3);
    let now = Instant::now();
    assert_eq!(timeline.deliver(message(8, 4), ROOMY, now), []);
    assert_eq!(timeline.next_sync(ROOMY).1, Some(position(7, 3)));
    let (steps, progressed) = timeline.page(forked(page(8, [4], 4), 7, 3), ROOMY);
    assert_eq!(steps, [Step::Message(message(8, 4))]);
    assert!(progressed);
    assert_eq!(timeline.next_sync(ROOMY).1, None);
    let steps = timeline.deliver(message(8, 5), ROOMY, now);
    assert_eq!(sequences(&steps), [5]);
}

#[test]
fn what_was_lost_and_comes_again_is_not_handled_twice() {
    let mut timeline = attached(1, 1);
    let now = Instant::now();
    for sequence in 2..=5 {
        timeline.deliver(message(7, sequence), ROOMY, now);
    }
    timeline.deliver(message(8, 4), ROOMY, now);
    assert_eq!(timeline.next_sync(ROOMY).1, Some(position(7, 5)));
    let (steps, _) = timeline.page(forked(page(8, [], 4), 7, 3), ROOMY);
    assert_eq!(steps, [Step::Rewound(position(8, 3))]);
    assert_eq!(timeline.next_sync(ROOMY).1, Some(position(8, 3)));
    let mut after = page(8, [4, 5, 6, 7], 7);
    after.messages[0] = other_id(message(8, 4), 40);
    after.messages[1] = other_id(message(8, 5), 4);
    after.messages[2] = other_id(message(8, 6), 5);
    let (steps, _) = timeline.page(after.clone(), ROOMY);
    let expected = [
        Step::Message(after.messages[0].clone()),
        Step::Silent(position(8, 5)),
        Step::Silent(position(8, 6)),
        Step::Message(message(8, 7)),
    ];
    assert_eq!(steps, expected);
}

#[test]
fn a_log_that_is_shorter_than_it_was_is_asked_at_once() {
    let mut timeline = attached(5, 5);
    let now = Instant::now();
    timeline.attach();
    timeline.all_heads(vec![head(7, 3, 3)], now);
    assert_eq!(timeline.next_sync(ROOMY).1, Some(position(7, 5)));
    let (steps, _) = timeline.page(forked(page(7, [], 3), 7, 3), ROOMY);
    assert_eq!(steps, [Step::Rewound(position(7, 3))]);
    assert_eq!(timeline.next_sync(ROOMY).1, None);
    timeline.attach();
    timeline.all_heads(vec![head(7, 3, 3)], now);
    assert_eq!(timeline.next_sync(ROOMY).1, None);
}

#[test]
fn a_page_that_answers_an_earlier_epoch_changes_nothing() {
    let mut timeline = attached(5, 5);
    timeline.deliver(message(8, 4), ROOMY, Instant::now());
    timeline.next_sync(ROOMY);
    let late = forked(page(8, [], 4), 7, 3);
    timeline.page(late.clone(), ROOMY);
    timeline.page(page(8, [4], 4), ROOMY);
    let (steps, _) = timeline.page(late, ROOMY);
    assert_eq!(steps, []);
    let (steps, _) = timeline.page(page(7, [4, 5], 5), ROOMY);
    assert_eq!(steps, []);
    assert_eq!(timeline.next_sync(ROOMY).1, None);
    let steps = timeline.deliver(message(8, 5), ROOMY, Instant::now());
    assert_eq!(steps, [Step::Message(message(8, 5))]);
}

#[test]
fn a_rewind_waits_for_room() {
    let mut timeline = attached(5, 5);
    timeline.deliver(message(8, 4), ROOMY, Instant::now());
    timeline.next_sync(ROOMY);
    let cut = forked(page(8, [], 4), 7, 3);
    assert_eq!(timeline.page(cut.clone(), 0), (vec![], true));
    assert_eq!(timeline.next_sync(ROOMY).1, Some(position(7, 5)));
    let (steps, _) = timeline.page(cut, 1);
    assert_eq!(steps, [Step::Rewound(position(8, 3))]);
}

#[test]
fn a_push_that_overtakes_the_page_of_its_epoch_is_fetched() {
    let mut timeline = attached(3, 3);
    let now = Instant::now();
    timeline.deliver(message(8, 4), ROOMY, now);
    timeline.next_sync(ROOMY);
    timeline.deliver(message(8, 5), ROOMY, now);
    timeline.page(forked(page(8, [4], 4), 7, 3), ROOMY);
    assert_eq!(timeline.next_sync(ROOMY).1, Some(position(8, 4)));
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

#[test]
fn a_log_that_whole_heads_do_not_know_any_more_is_asked_for() {
    let now = Instant::now();
    let mut timeline = timeline();
    timeline.all_heads(vec![head(7, 0, 0)], now);
    timeline.deliver(message(7, 1), ROOMY, now);
    assert_eq!(timeline.next_sync(ROOMY).1, None);
    timeline.heads(vec![head(7, 1, 1)], now);
    timeline.all_heads(vec![], now);
    assert_eq!(
        timeline.next_sync(ROOMY).1,
        None,
        "it was in the first part"
    );
    timeline.all_heads(vec![], now);
    assert_eq!(timeline.next_sync(ROOMY).1, Some(position(7, 1)));
}
