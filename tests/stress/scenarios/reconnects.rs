//! Connections that end while messages are on their way.

use im_common::message::Recipient;
use im_tests::proxy::{Flow, Flows};

use crate::scenario::{ONE, PAIR, RELAYED, Scenario, TRIO, scenario};
use crate::world::World;

pub(crate) const ALL: &[Scenario] = &[
    scenario!(PAIR, nothing_goes_wrong, "everybody talks to everybody"),
    scenario!(
        RELAYED,
        reconnect_storm,
        "every connection is cut at once, over and over, under load"
    ),
    scenario!(
        RELAYED,
        half_open_links,
        "links carry nothing more and say nothing, then flow again"
    ),
    scenario!(
        RELAYED,
        half_open_then_cut,
        "links freeze, and what was on them is lost"
    ),
    scenario!(
        RELAYED,
        a_byte_at_a_time,
        "everything travels in pieces of one byte"
    ),
    scenario!(
        RELAYED,
        refused_for_a_while,
        "no new connection is taken while all old ones are cut"
    ),
    scenario!(
        RELAYED,
        cut_after_every_message,
        "the link is cut after each single message"
    ),
    scenario!(
        TRIO,
        servers_crash_in_turn,
        "each server crashes once and another one comes"
    ),
    scenario!(
        PAIR,
        all_servers_crash_at_once,
        "no server is left until new ones come"
    ),
    scenario!(
        PAIR,
        crash_while_the_entry_stays,
        "a dead server stays in the registry"
    ),
    scenario!(
        ONE,
        restart_of_the_only_server,
        "the only server drains and another one follows"
    ),
    scenario!(
        PAIR,
        login_after_the_server_died,
        "a device comes back whose session is on a dead server"
    ),
];

/// A small group that is used throughout.
async fn four(world: &mut World) -> [crate::world::Who; 4] {
    world.join(["alice", "bob", "carol", "dave"]).await
}

async fn nothing_goes_wrong(world: &mut World) {
    let all = four(world).await;
    world.chatter(&all, 25);
    world.settle().await;
    for from in all {
        world[from].send(Recipient::Lobby);
        for to in all {
            world[from].send(world.to(to));
        }
    }
}

async fn reconnect_storm(world: &mut World) {
    let all = world.crowd(8).await;
    for _ in 0..6 {
        world.chatter(&all, 5);
        let until = world.history.accepted() + 10;
        world.accepted(until).await;
        world.fault("all connections are cut");
        world.cut_relays();
    }
    world.all_attached(&all).await;
}

async fn half_open_links(world: &mut World) {
    let all = four(world).await;
    world.chatter(&all, 10);
    world.fault("links freeze");
    world
        .relays
        .iter()
        .for_each(|relay| relay.set(Flows::both(Flow::stalled())));
    world.chatter(&all, 10);
    tokio::task::yield_now().await;
    world.fault("links flow");
    for relay in &world.relays {
        relay.heal();
    }
}

async fn half_open_then_cut(world: &mut World) {
    let all = four(world).await;
    for relay in 0..world.relays.len() {
        world.chatter(&all, 10);
        world.fault("one link freezes");
        world.relays[relay].set(Flows::both(Flow::stalled()));
        world.chatter(&all, 10);
        let until = world.history.accepted() + 5;
        world.accepted(until).await;
        world.fault("what was on it is lost");
        world.relays[relay].cut();
        world.relays[relay].heal();
    }
}

async fn a_byte_at_a_time(world: &mut World) {
    world
        .relays
        .iter()
        .for_each(|relay| relay.set(Flows::both(Flow::default().sliced())));
    let all = four(world).await;
    world.chatter(&all, 8);
    world.settle().await;
}

async fn refused_for_a_while(world: &mut World) {
    let all = four(world).await;
    world.chatter(&all, 10);
    world.fault("nobody gets in");
    for relay in &world.relays {
        relay.refuse();
        relay.cut();
    }
    world.chatter(&all, 10);
    world
        .until("all have noticed", || {
            all.iter().all(|who| !world[*who].is_attached())
        })
        .await;
    for relay in &world.relays {
        relay.heal();
    }
    world.all_attached(&all).await;
}

async fn cut_after_every_message(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    for _ in 0..10 {
        world[alice].send(world.to(bob));
        let chosen = world.dice.below(world.relays.len());
        world.fault("a link is cut");
        world.relays[chosen].cut();
        world[bob].send(world.to(alice));
    }
    world.all_attached(&[alice, bob]).await;
}

async fn servers_crash_in_turn(world: &mut World) {
    let all = world.crowd(6).await;
    for _ in 0..3 {
        world.chatter(&all, 8);
        world.crash_server(0);
        world.all_attached(&all).await;
        world.end_leases().await;
        world.add_server().await;
    }
}

async fn all_servers_crash_at_once(world: &mut World) {
    let all = four(world).await;
    world.chatter(&all, 10);
    world.crash_server(0);
    world.crash_server(0);
    world.chatter(&all, 10);
    world.end_leases().await;
    world.add_server().await;
    world.all_attached(&all).await;
}

async fn crash_while_the_entry_stays(world: &mut World) {
    let all = four(world).await;
    world.chatter(&all, 10);
    world.crash_server(0);
    world.chatter(&all, 10);
    world.all_attached(&all).await;
    let [eve] = world.join(["eve"]).await;
    world[eve].send(Recipient::Lobby);
    world.end_leases().await;
}

async fn restart_of_the_only_server(world: &mut World) {
    let all = four(world).await;
    world.chatter(&all, 10);
    world.drain_server(0).await;
    world.chatter(&all, 10);
    world.add_server().await;
    world.all_attached(&all).await;
}

async fn login_after_the_server_died(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    world[alice].send(world.to(bob));
    world.settle().await;
    world.abandon(&[alice]).await;
    world.crash_server(0);
    world.attach(&[alice]).await;
    world[alice].send(world.to(bob));
}
