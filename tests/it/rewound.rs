//! A Redis that loses the end of what it had accepted, under people who chat.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use futures::future::join_all;
use im_client::{Event, Message};
use im_common::id::{ConversationId, LogEpoch, MessageId, Sequence};
use im_common::message::{Receipt, Recipient};
use im_tests::PATIENCE;
use im_tests::cluster::TestCluster;
use im_tests::user::{TestUser, accepted};
use tokio::time::{Instant, sleep};

/// How often the store is asked: nothing tells when a log has grown.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Which message was told to be at which place.
#[derive(Default)]
struct Places(BTreeMap<(ConversationId, LogEpoch, Sequence), MessageId>);

impl Places {
    /// No place is given to two messages, however it comes to be known.
    fn note(&mut self, conversation: &ConversationId, at: (LogEpoch, Sequence), id: MessageId) {
        let place = (conversation.clone(), at.0, at.1);
        let other = *self.0.entry(place).or_insert(id);
        assert_eq!(other, id, "{conversation} {at:?} was given twice");
    }

    fn note_receipts(&mut self, receipts: &[Receipt]) {
        for Receipt { id, position, .. } in receipts {
            let at = (position.epoch, position.sequence);
            self.note(&position.conversation, at, *id);
        }
    }

    fn note_seen(&mut self, seen: &[Message]) {
        for message in seen {
            let at = (message.epoch, message.sequence);
            self.note(&message.conversation, at, message.id);
        }
    }
}

/// Sends some messages, all at once, and waits until they are accepted.
async fn burst(from: &TestUser, to: &Recipient, phase: &str, count: usize) -> Vec<Receipt> {
    let sending = texts(from, to, phase, count)
        .map(|text| from.client().send(to.clone(), text))
        .collect::<Vec<_>>();
    join_all(sending.into_iter().map(accepted)).await
}

fn texts<'a>(
    from: &TestUser,
    to: &Recipient,
    phase: &'a str,
    count: usize,
) -> impl Iterator<Item = String> + use<'a> {
    let line = format!("{} to {to}, {phase}", from.address());
    (0..count).map(move |n| format!("{line} {n}"))
}

/// What is sent before the copy of Redis that comes back, after it, and once it is back: how many
/// by alice to bob, by bob to alice, by alice to the lobby, by alice to dave, by carol to alice.
const PHASES: [(&str, [usize; 5]); 3] = [
    ("kept", [8, 8, 8, 8, 0]),
    ("lost", [5, 5, 5, 5, 5]),
    ("after", [2; 5]),
];

/// Alice, bob, carol and dave.
struct People([TestUser; 4]);

impl People {
    /// Who sends to whom.
    fn errands(&self) -> [(&TestUser, Recipient); 5] {
        let [alice, bob, carol, dave] = &self.0;
        [
            (alice, bob.address()),
            (bob, alice.address()),
            (alice, Recipient::Lobby),
            (alice, dave.address()),
            // The first message of this log is among those that are lost.
            (carol, alice.address()),
        ]
    }

    async fn chat(&self, phase: usize) -> Vec<Receipt> {
        let (phase, counts) = PHASES[phase];
        let mut receipts = Vec::new();
        for ((from, to), count) in self.errands().into_iter().zip(counts) {
            receipts.extend(burst(from, &to, phase, count).await);
        }
        receipts
    }

    /// What a user is to see in the first phases.
    fn expected(&self, reader: &TestUser, phases: usize) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for (phase, counts) in &PHASES[..phases] {
            for ((from, to), count) in self.errands().into_iter().zip(*counts) {
                let is_in_lobby = to == Recipient::Lobby && from.address() != reader.address();
                if is_in_lobby || to == reader.address() {
                    all.extend(texts(from, &to, phase, count));
                }
            }
        }
        all
    }

    async fn see(&self, readers: std::ops::Range<usize>, phases: usize) {
        for reader in &self.0[readers] {
            let count = self.expected(reader, phases).len();
            reader.expect_count(count).await;
        }
    }

    /// Each saw each text once, and within an epoch in the order of the log.
    fn check(&self, reader: &TestUser) {
        let (seen, name) = (reader.seen(), reader.address());
        let texts: BTreeSet<_> = seen.iter().map(|message| message.text.clone()).collect();
        assert_eq!(texts, self.expected(reader, PHASES.len()), "{name}");
        assert_eq!(seen.len(), texts.len(), "{name} saw one twice");
        let mut last: HashMap<_, Sequence> = HashMap::new();
        for message in &seen {
            let key = (message.conversation.clone(), message.epoch);
            let before = last.insert(key, message.sequence);
            assert!(before < Some(message.sequence), "{name}: {message:?}");
        }
    }
}

/// Waits until a log is so long, which it must be exactly, and returns it.
async fn whole_log(reader: &TestUser, with: &Recipient, length: usize) -> Vec<Message> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // A route that has just lost its Redis says so.
        let log = reader.client().history(with, None, 100).await;
        let log = log.unwrap_or_default();
        let texts: Vec<_> = log.iter().map(|message| message.text.as_str()).collect();
        assert!(log.len() <= length, "{with} has too much: {texts:#?}");
        if log.len() == length {
            return log;
        }
        assert!(Instant::now() < deadline, "{with} lacks some: {texts:#?}");
        sleep(LOOK_EVERY).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_is_noticed_though_nobody_writes_any_more() {
    let mut cluster = TestCluster::durable_stores_with(1, 1).await;
    let [alice, mut bob, carol] = cluster.users(["alice", "bob", "carol"]).await;
    alice.send(&bob, "kept").await;
    bob.expect("kept").await;
    bob.disconnect().await;
    let copy = cluster.redis().save_disk();
    alice.send(&bob, "lost").await;
    alice.send(&carol, "lost with its log").await;
    carol.expect("lost with its log").await;
    cluster.redis().lose_what_came_after(copy).await;
    whole_log(&alice, &bob.address(), 2).await;
    whole_log(&alice, &carol.address(), 1).await;
    bob.reconnect().await;
    bob.expect("lost").await;
    bob.check_order();
    carol.check_order();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_lost_is_offered_again_and_nobody_sees_it_twice() {
    let mut cluster = TestCluster::durable_stores_with(2, 2).await;
    let mut people = People(cluster.users(["alice", "bob", "carol", "dave"]).await);
    let mut receipts = people.chat(0).await;
    people.see(0..4, 1).await;
    // What dave is sent while he is away, nobody but Redis and its sender has.
    people.0[3].disconnect().await;
    let copy = cluster.redis().save_disk();
    receipts.extend(people.chat(1).await);
    people.see(0..3, 2).await;

    cluster.redis().lose_what_came_after(copy).await;
    receipts.extend(people.chat(2).await);
    people.0[3].reconnect().await;
    people.see(0..4, 3).await;

    let [alice, bob, carol, dave] = &people.0;
    let mut places = Places::default();
    places.note_receipts(&receipts);
    let logs = [
        (alice, bob.address(), 30),
        (alice, Recipient::Lobby, 15),
        (alice, dave.address(), 15),
        (carol, alice.address(), 7),
    ];
    for (reader, with, length) in logs {
        places.note_seen(&whole_log(reader, &with, length).await);
    }
    for reader in &people.0 {
        people.check(reader);
        places.note_seen(&reader.seen());
    }
    let is_rewind = |event: &Event| {
        let after = Sequence(16);
        matches!(event, Event::Rewound { after: at, .. } if *at == after)
    };
    bob.expect_event("a rewind", is_rewind).await;
}
