//! What happens at the bounds: nothing is lost, it only comes later.

use std::collections::HashSet;
use std::time::Duration;

use im_common::backend::messages::FAN_OUT_WITHIN;
use tokio::time::{interval, timeout};

use super::*;
use crate::fixture::{self, FakeServers};

/// Much longer than it takes until what was too much is claimed.
const PATIENCE: Duration = Duration::from_secs(60);

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let mut look = interval(Duration::from_millis(20));
    let held = async {
        while !holds().await {
            look.tick().await;
        }
    };
    assert!(timeout(PATIENCE, held).await.is_ok(), "{what}");
}

#[tokio::test]
async fn what_finds_no_room_in_the_queue_or_on_a_lane_is_pushed_all_the_same() {
    let tasks = Tasks::new();
    let backend = fixture::backend(&tasks).await;
    let downlink = FakeServers::new(Vec::new());
    let servers = Servers::follow(&*backend.registry, downlink.clone(), &tasks);
    let stored = fixture::store(&*backend.messages, QUEUE_MAX + 100).await;
    let counters = Arc::new(Counters::default());
    let fan_out = FanOut::start(&backend, downlink.clone(), servers, &counters, &tasks);
    // The planner does not run in between: the queue is full, and soon after so is the lane.
    for message in stored.iter().cloned() {
        fan_out.offer(message);
    }
    assert_eq!(fan_out.queue.capacity(), 0);
    until("the lane is full", async || {
        fan_out.queue.capacity() == QUEUE_MAX
    })
    .await;
    downlink.may_take.add_permits(1);
    let expected: HashSet<_> = stored.iter().map(|message| message.sequence).collect();
    let all_are_pushed = async || {
        let taken: HashSet<_> = downlink.taken.lock().iter().copied().collect();
        taken == expected
    };
    until("all are pushed", all_are_pushed).await;
    tasks.cancel();
}

#[tokio::test]
async fn what_finds_no_room_to_be_settled_is_claimed_again() {
    let tasks = Tasks::new();
    let backend = fixture::backend(&tasks).await;
    let stored = fixture::store(&*backend.messages, errand::QUEUE_MAX + 10).await;
    let settling = Tasks::new();
    let settler = Settler::start(Arc::clone(&backend.messages), &settling);
    for message in &stored {
        drop(settler.errand(message));
    }
    // What waits to be settled may be claimed meanwhile; so nothing is looked at before it is done.
    drop(settler);
    until("the queue is settled", async || settling.count() == 0).await;
    let mut unsettled = Vec::new();
    let claimed = async || {
        let claimed = backend.messages.claim_unsettled(FAN_OUT_WITHIN, 100).await;
        unsettled.extend(claimed.unwrap().into_iter().map(|message| message.sequence));
        !unsettled.is_empty()
    };
    until("something is left", claimed).await;
    let last: Vec<_> = stored[errand::QUEUE_MAX..]
        .iter()
        .map(|message| message.sequence)
        .collect();
    assert_eq!(unsettled, last);
    tasks.cancel();
}
