//! Messages for those who are not there.

use std::sync::Arc;

use im_common::message::Recipient;
use im_tests::injected::Mood;
use tokio::sync::Semaphore;

use crate::scenario::{ONE, PAIR, RELAYED, Scenario, scenario};
use crate::world::{Who, World};

/// Sends of one author that are on their way at the same time.
const WINDOW: usize = 512;

pub(crate) const ALL: &[Scenario] = &[
    scenario!(
        ONE,
        backlog_of_five_thousand,
        "five thousand messages wait, and are paged in order"
    ),
    scenario!(
        PAIR,
        backlog_that_grows,
        "somebody catches up while more is sent"
    ),
    scenario!(
        RELAYED,
        backlog_over_broken_links,
        "somebody catches up over links that are cut"
    ),
    scenario!(
        PAIR,
        backlog_of_large_texts,
        "pages end by bytes, not by count"
    ),
    scenario!(
        PAIR,
        backlog_in_many_conversations,
        "thirty conversations to catch up with at once"
    ),
    scenario!(
        PAIR,
        backlog_while_pages_fail,
        "somebody catches up while syncs fail by chance"
    ),
    scenario!(
        PAIR,
        new_device_begins_where_the_user_is,
        "a device comes later and gets what is new"
    ),
    scenario!(
        PAIR,
        away_and_back,
        "somebody quits and comes back between messages"
    ),
    scenario!(
        PAIR,
        what_was_handled_stays_handled,
        "somebody quits with everything handled, and comes back to a single message"
    ),
    scenario!(
        PAIR,
        programs_die_and_come_back,
        "somebody's program dies between messages"
    ),
];

async fn flood(world: &World, from: Who, to: &Recipient, count: usize) {
    let window = Arc::new(Semaphore::new(WINDOW));
    for _ in 0..count {
        world[from].send_within(&window, to.clone()).await;
    }
}

async fn backlog_of_five_thousand(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    world.close(&[bob]).await;
    flood(world, alice, &world.to(bob), 5000).await;
    world
        .until("all is stored", || world.history.pending() == 0)
        .await;
    world.attach(&[bob]).await;
    world.settle().await;
}

async fn backlog_that_grows(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    world.close(&[bob]).await;
    flood(world, alice, &world.to(bob), 600).await;
    world.attach(&[bob]).await;
    flood(world, alice, &world.to(bob), 600).await;
    flood(world, alice, &Recipient::Lobby, 300).await;
}

async fn backlog_over_broken_links(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    world.close(&[bob]).await;
    flood(world, alice, &world.to(bob), 800).await;
    world
        .until("all is stored", || world.history.pending() == 0)
        .await;
    world.attach(&[bob]).await;
    for turn in 1..5 {
        let enough = turn * 120;
        world
            .until("some is read", || world.history.handled() >= enough)
            .await;
        world.fault("all connections are cut");
        world.cut_relays();
    }
}

async fn backlog_of_large_texts(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    world.close(&[bob]).await;
    for turn in 0..60 {
        let bytes = if turn % 3 == 0 {
            60_000
        } else {
            world.dice.below(30_000)
        };
        world[alice].send_padded(world.to(bob), bytes);
    }
    world
        .until("all is stored", || world.history.pending() == 0)
        .await;
    world.attach(&[bob]).await;
}

async fn backlog_in_many_conversations(world: &mut World) {
    let all = world.crowd(31).await;
    let away = all[0];
    world.close(&[away]).await;
    for round in 0..5 {
        for from in &all[1..] {
            world[*from].send(world.to(away));
        }
        world[all[1 + round]].send(Recipient::Lobby);
    }
    world
        .until("all is stored", || world.history.pending() == 0)
        .await;
    world.attach(&[away]).await;
}

async fn backlog_while_pages_fail(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    world.close(&[bob]).await;
    flood(world, alice, &world.to(bob), 600).await;
    world
        .until("all is stored", || world.history.pending() == 0)
        .await;
    world.injected.calls.set(Mood::Moody);
    world.attach(&[bob]).await;
    world.settle().await;
}

async fn new_device_begins_where_the_user_is(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    flood(world, alice, &world.to(bob), 150).await;
    world.settle().await;
    // What bob handled is acked when he quits, and his next device begins there.
    world.close(&[bob]).await;
    let tablet = world.device(bob, "tablet");
    world.attach(&[tablet]).await;
    flood(world, alice, &world.to(bob), 150).await;
    world.attach(&[bob]).await;
    world.settle().await;
}

async fn away_and_back(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    for _ in 0..15 {
        world[alice].send(world.to(bob));
        world.close(&[bob]).await;
        world[alice].send(world.to(bob));
        world[alice].send(Recipient::Lobby);
        world.attach(&[bob]).await;
        world[bob].send(world.to(alice));
    }
}

async fn what_was_handled_stays_handled(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    for _ in 0..4 {
        world[alice].send(world.to(bob));
        world[alice].send(Recipient::Lobby);
        world.settle().await;
        world.close(&[bob]).await;
        world[alice].send(world.to(bob));
        world
            .until("it is stored", || world.history.pending() == 0)
            .await;
        world.attach(&[bob]).await;
        world.settle().await;
    }
}

async fn programs_die_and_come_back(world: &mut World) {
    let all = world.crowd(4).await;
    for _ in 0..10 {
        world.chatter(&all, 3);
        let dies = *world.dice.pick(&all[1..]);
        world.abandon(&[dies]).await;
        world.chatter(&all[..1], 2);
        world.attach(&[dies]).await;
    }
}
