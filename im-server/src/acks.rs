//! Gathers acks of all connections and hands them to a route in batches.
//!
//! Losing some is harmless: a device is then offered messages again that its client drops.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use im_common::backoff::{Backoff, random_fraction};
use im_common::id::{ConversationId, DeviceId, LogEpoch, Sequence, UserId};
use im_common::message::Position;
use im_common::planted::{Bug, is_planted};
use im_common::transport::{DeviceAck, Uplink};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Merges the acks of a lively conversation into a few writes for each second.
const GATHER_FOR: Duration = Duration::from_millis(200);
/// Leaves at once when this many devices wait: one store round trip serves them all.
const BATCH_DEVICES_MAX: usize = 500;
/// What an outage may pile up, a few tens of megabytes; further logs are not noted.
const POSITIONS_MAX: usize = 200_000;
/// A leaving client waits for this, so it is short; the next batch makes up for it.
const HAND_OVER_WITHIN: Duration = Duration::from_millis(500);
/// How soon to try again after a failure, growing up to the longest.
const RETRY: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));

type Marks = HashMap<ConversationId, (LogEpoch, Sequence)>;

/// How far devices are, as far as no route knows it yet. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Acks {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    pending: Mutex<Pending>,
    changed: Notify,
}

#[derive(Default)]
struct Pending {
    devices: HashMap<(UserId, DeviceId), Marks>,
    positions: usize,
    /// Handed to a route that has not answered yet.
    on_the_way: Vec<DeviceAck>,
}

impl Acks {
    /// Notes how far a device is.
    pub(crate) fn note(&self, user: UserId, device: &DeviceId, positions: Vec<Position>) {
        if is_planted(Bug::ForgetAcks) {
            return;
        }
        let mut pending = self.shared.pending.lock();
        let before = pending.devices.len();
        for position in positions {
            pending.note((user, device), position, Freshness::Newer);
        }
        let after = pending.devices.len();
        drop(pending);
        let first = before == 0 && after > 0;
        if first || (before < BATCH_DEVICES_MAX && after >= BATCH_DEVICES_MAX) {
            self.shared.changed.notify_one();
        }
    }

    /// Returns what a device has acked and no route has confirmed yet, older positions first.
    pub(crate) fn pending(&self, user: UserId, device: &DeviceId) -> Vec<Position> {
        let pending = self.shared.pending.lock();
        let is_its = |ack: &&DeviceAck| ack.user == user && ack.device == *device;
        let on_the_way = pending.on_the_way.iter().filter(is_its);
        let mut positions: Vec<_> = on_the_way.flat_map(|ack| ack.positions.clone()).collect();
        if let Some(marks) = pending.devices.get(&(user, device.clone())) {
            positions.extend(positions_of(marks));
        }
        positions
    }

    /// Hands over what one device has acked, so that its next connection, wherever it is, begins
    /// there. What a route does not take in time leaves with a later batch.
    pub(crate) async fn hand_over(&self, user: UserId, device: &DeviceId, uplink: &dyn Uplink) {
        let positions = self.pending(user, device);
        if positions.is_empty() {
            return;
        }
        let ack = DeviceAck {
            user,
            device: device.clone(),
            positions,
        };
        if timeout(HAND_OVER_WITHIN, uplink.ack(vec![ack]))
            .await
            .is_err()
        {
            tracing::debug!(user.id = user.number(), "acks of a leaving device are late");
        }
    }

    /// Hands over batches until told to stop.
    pub(crate) async fn run(self, uplink: Arc<dyn Uplink>, stop: CancellationToken) {
        let mut backoff = RETRY;
        while !stop.is_cancelled() {
            let pause = if self.flush(&*uplink).await {
                backoff.reset();
                self.gather(&stop).await;
                continue;
            } else {
                backoff.next(random_fraction())
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Hands over everything; returns whether that succeeded. What failed is kept.
    pub(crate) async fn flush(&self, uplink: &dyn Uplink) -> bool {
        loop {
            let batch = self.shared.pending.lock().send(BATCH_DEVICES_MAX);
            if batch.is_empty() {
                return true;
            }
            let taken = uplink.ack(batch.clone()).await;
            self.shared.pending.lock().on_the_way.clear();
            if let Err(refusal) = taken {
                tracing::debug!(code = refusal.code.name(), "acks not taken, keeping them");
                self.put_back(batch);
                return false;
            }
        }
    }

    /// Waits for something to hand over, and a little longer for company.
    async fn gather(&self, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => return,
            () = self.shared.changed.notified() => {}
        }
        if self.shared.pending.lock().devices.len() >= BATCH_DEVICES_MAX {
            return;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.shared.changed.notified() => {}
            () = tokio::time::sleep(GATHER_FOR) => {}
        }
    }

    fn put_back(&self, batch: Vec<DeviceAck>) {
        let mut pending = self.shared.pending.lock();
        for DeviceAck {
            user,
            device,
            positions,
        } in batch
        {
            for position in positions {
                pending.note((user, &device), position, Freshness::Older);
            }
        }
    }
}

/// Whether a position was acked before or after what is noted already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Freshness {
    Older,
    Newer,
}

impl Pending {
    fn note(&mut self, (user, device): (UserId, &DeviceId), position: Position, age: Freshness) {
        let Position {
            conversation,
            epoch,
            sequence,
        } = position;
        let is_full = self.positions >= POSITIONS_MAX;
        let key = (user, device.clone());
        let known = self
            .devices
            .get_mut(&key)
            .and_then(|marks| marks.get_mut(&conversation));
        match known {
            Some(mark) if mark.0 == epoch => mark.1 = mark.1.max(sequence),
            Some(mark) if age == Freshness::Newer => *mark = (epoch, sequence),
            Some(_) => {}
            None if is_full => {}
            None => {
                let marks = self.devices.entry(key).or_default();
                marks.insert(conversation, (epoch, sequence));
                self.positions += 1;
            }
        }
    }

    fn send(&mut self, devices_max: usize) -> Vec<DeviceAck> {
        let taken = self.devices.extract_if(|_, _| true).take(devices_max);
        let batch: Vec<_> = taken
            .map(|((user, device), marks)| DeviceAck {
                user,
                device,
                positions: positions_of(&marks),
            })
            .collect();
        self.positions -= batch.iter().map(|ack| ack.positions.len()).sum::<usize>();
        if self.devices.is_empty() {
            self.devices = HashMap::new();
        }
        self.on_the_way.clone_from(&batch);
        batch
    }
}

fn positions_of(marks: &Marks) -> Vec<Position> {
    marks
        .iter()
        .map(|(conversation, (epoch, sequence))| Position {
            conversation: conversation.clone(),
            epoch: *epoch,
            sequence: *sequence,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Bench, Call, position, user_of};
    use im_common::code::Code;

    #[tokio::test(start_paused = true)]
    async fn what_no_route_took_is_kept_and_never_moves_back() {
        let mut bench = Bench::new();
        let (acks, alice) = (Acks::default(), user_of("alice"));
        let device = DeviceId::new("laptop").unwrap();
        acks.note(alice, &device, vec![position(5)]);
        *bench.uplink.refuses.lock() = Some(Code::UNAVAILABLE);
        assert!(!acks.flush(&*bench.uplink).await);
        assert_eq!(acks.pending(alice, &device), [position(5)]);
        acks.note(alice, &device, vec![position(4)]);
        let reborn = Position {
            epoch: LogEpoch(2),
            ..position(1)
        };
        assert_eq!(acks.pending(alice, &device), [position(5)]);
        acks.note(alice, &device, vec![reborn.clone()]);
        *bench.uplink.refuses.lock() = None;
        assert!(acks.flush(&*bench.uplink).await);
        assert!(acks.pending(alice, &device).is_empty());
        assert!(matches!(bench.call().await, Call::Ack(_)));
        let Call::Ack(taken) = bench.call().await else {
            panic!("no ack");
        };
        assert_eq!(taken[0].positions, [reborn]);
    }

    #[test]
    fn when_there_is_no_room_known_positions_move_on_and_others_wait_for_it() {
        let (acks, device) = (Acks::default(), DeviceId::new("laptop").unwrap());
        let user = |number: usize| UserId::new(number as u64).unwrap();
        for number in 1..=POSITIONS_MAX {
            acks.note(user(number), &device, vec![position(1)]);
        }
        let late = user(POSITIONS_MAX + 1);
        acks.note(late, &device, vec![position(1)]);
        assert!(acks.pending(late, &device).is_empty());
        acks.note(user(1), &device, vec![position(2)]);
        assert_eq!(acks.pending(user(1), &device), [position(2)]);
        let room = acks.shared.pending.lock().send(1);
        assert_eq!(room.len(), 1);
        acks.note(late, &device, vec![position(2)]);
        assert_eq!(acks.pending(late, &device), [position(2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_crowd_leaves_in_batches() {
        let mut bench = Bench::new();
        let acks = Acks::default();
        for number in 1..=1200 {
            let device = DeviceId::new("laptop").unwrap();
            acks.note(UserId::new(number).unwrap(), &device, vec![position(1)]);
        }
        assert!(acks.flush(&*bench.uplink).await);
        for expected in [500, 500, 200] {
            let Call::Ack(batch) = bench.call().await else {
                panic!("no ack");
            };
            assert_eq!(batch.len(), expected);
        }
    }
}
