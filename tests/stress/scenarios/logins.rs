//! Logins that end, and those of many devices and users: nobody is locked out.

use std::time::Duration;

use im_common::message::Recipient;
use im_route::RouteConfig;
use im_tests::raw::{Pass, Raw};

use crate::scenario::{ONE, PAIR, RELAYED, Scenario, Shape, scenario};
use crate::world::{Who, World};

/// Tickets that a client holds for too old after a second.
const SHORT_TICKETS: Shape = Shape {
    route: || RouteConfig {
        ticket_lifetime: Duration::from_secs(6),
        ..RouteConfig::for_tests()
    },
    ..RELAYED
};

pub(crate) const ALL: &[Scenario] = &[
    scenario!(
        PAIR,
        logins_without_a_connection,
        "logins whose connection never comes block nothing"
    ),
    scenario!(
        ONE,
        logout_while_sending,
        "a device logs out with messages on their way"
    ),
    scenario!(
        PAIR,
        logged_out_by_another_hand,
        "a login ends over HTTP while its connection stands"
    ),
    scenario!(
        SHORT_TICKETS,
        tickets_expire_between_reconnects,
        "every reconnect needs another ticket"
    ),
    scenario!(
        PAIR,
        many_devices_of_one_user,
        "twelve devices, each gets everything once"
    ),
    scenario!(
        PAIR,
        devices_come_and_go,
        "devices of one user close and come back in any order"
    ),
    scenario!(
        PAIR,
        presence_follows_everybody,
        "the list of users online after each coming and going"
    ),
    scenario!(PAIR, all_log_in_at_once, "a hundred users within a moment"),
];

async fn logins_without_a_connection(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    world.settle().await;
    world.close(&[alice]).await;
    for turn in 0..20 {
        Pass::of(&world.cluster.urls(turn)[0], "alice", "one").await;
    }
    world[bob].send(world.to(alice));
    world.attach(&[alice]).await;
    world[alice].send(world.to(bob));
}

async fn logout_while_sending(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    for _ in 0..100 {
        world[alice].send(world.to(bob));
        world[bob].send(world.to(alice));
    }
    world.accepted(10).await;
    world.fault("alice logs out");
    let client = world[alice].client().clone();
    client.logout().await.expect("logged out");
    assert!(world[alice].has_ended());
}

async fn logged_out_by_another_hand(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    for turn in 0..3 {
        world.chatter(&[alice, bob], 5);
        // A login of the same device over HTTP ends the one that is attached; so does its end.
        let pass = Pass::of(&world.cluster.urls(turn)[0], "alice", "one").await;
        let raw = Raw::attach(&pass.servers[0], &pass, 1).await;
        world
            .until("alice is displaced", || world[alice].has_ended())
            .await;
        drop(raw);
        world.abandon(&[alice]).await;
        world.attach(&[alice]).await;
    }
}

async fn tickets_expire_between_reconnects(world: &mut World) {
    let all = world.crowd(4).await;
    for _ in 0..4 {
        world.chatter(&all, 5);
        world.fault("all connections are cut");
        world.cut_relays();
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    world.settle().await;
    world.all_attached(&all).await;
}

async fn many_devices_of_one_user(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    let names: Vec<String> = (0..12).map(|number| format!("device{number}")).collect();
    let devices: Vec<Who> = names.iter().map(|name| world.device(alice, name)).collect();
    world.attach(&devices).await;
    for _ in 0..10 {
        world[bob].send(world.to(alice));
        world[bob].send(Recipient::Lobby);
    }
    for device in &devices {
        world[*device].send(world.to(bob));
    }
    world.settle().await;
}

async fn devices_come_and_go(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    let mut devices = vec![alice];
    for name in ["two", "three", "four"] {
        devices.push(world.device(alice, name));
    }
    world.attach(&devices[1..]).await;
    for _ in 0..12 {
        let who = *world.dice.pick(&devices);
        world[bob].send(world.to(alice));
        if world[who].has_ended() {
            world.attach(&[who]).await;
        } else {
            world.close(&[who]).await;
        }
        world[bob].send(Recipient::Lobby);
    }
}

async fn presence_follows_everybody(world: &mut World) {
    let all = world.crowd(10).await;
    for _ in 0..6 {
        let mut away = all.clone();
        world.dice.shuffle(&mut away);
        let here = away.split_off(1 + world.dice.below(8));
        world.close(&away).await;
        crate::aftermath::only_these_are_there(world, &here)
            .await
            .unwrap_or_else(|wrong| panic!("{wrong}"));
        world.attach(&away).await;
    }
}

async fn all_log_in_at_once(world: &mut World) {
    let all = world.crowd(100).await;
    let some: Vec<Who> = all.iter().copied().step_by(10).collect();
    world.chatter(&some, 2);
}
