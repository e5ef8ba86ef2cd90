//! Every queue filled to its bound, and past it.

use im_common::message::Recipient;
use im_common::wire::{self, server_frame::Frame};
use im_server::ServerConfig;
use im_tests::injected::Mood;
use im_tests::proxy::{Flow, Flows};
use im_tests::raw::{Pass, Raw};

use crate::scenario::{ONE, PAIR, RELAYED, Scenario, Shape, scenario};
use crate::world::World;

/// As much as the SDK's outbox holds: the rest waits for room.
const THE_OUTBOX: usize = 10_000;
/// More than the queue of a connection holds.
const OVER_THE_OUTBOUND: usize = 600;
/// More than a lane from a route to a server holds.
const OVER_THE_LANE: usize = 4400;

const FEW_SEATS: Shape = Shape {
    server: || ServerConfig {
        connections_max: 4,
        ..ServerConfig::for_tests()
    },
    ..PAIR
};

pub(crate) const ALL: &[Scenario] = &[
    scenario!(
        ONE,
        outbox_overflows,
        "more sends wait than the outbox holds"
    ),
    scenario!(
        ONE,
        lanes_overflow,
        "more pushes wait for a server than its lane holds"
    ),
    scenario!(
        RELAYED,
        outbound_overflows,
        "more pushes wait for a client than its queue holds"
    ),
    scenario!(
        RELAYED,
        outbound_overflows_by_bytes,
        "a few large pushes fill a client's queue"
    ),
    scenario!(
        ONE,
        submits_beyond_the_window,
        "a client does not care how many submits it may offer"
    ),
    scenario!(
        FEW_SEATS,
        servers_are_full,
        "more clients than a server takes go to the other one"
    ),
    scenario!(
        FEW_SEATS,
        strangers_take_all_seats,
        "strangers fill both servers, and are sent away"
    ),
    scenario!(
        ONE,
        commits_queue_up,
        "many authors write at once, more than the store takes in"
    ),
];

async fn outbox_overflows(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    world.injected.submits.set(Mood::Stalls);
    for _ in 0..THE_OUTBOX {
        world[alice].send(world.to(bob));
    }
    let heals = async {
        world.fault("submits flow");
        world.injected.heal();
    };
    // Each of these waits for room before it counts as sent, so the next one waits for it.
    let waits = async {
        for _ in 0..50 {
            let sent = world[alice].send_and_wait(world.to(bob), "").await;
            sent.expect("accepted in the end");
        }
    };
    tokio::join!(waits, heals);
    world.settle().await;
}

async fn lanes_overflow(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    world.fault("pushes stall");
    world.injected.pushes.set(Mood::Stalls);
    for _ in 0..OVER_THE_LANE {
        world[alice].send(world.to(bob));
    }
    world.accepted(OVER_THE_LANE as u64).await;
    world.fault("pushes flow");
    world.injected.heal();
    world.settle().await;
}

async fn outbound_overflows(world: &mut World) {
    let [alice, bob, carol] = world.join(["alice", "bob", "carol"]).await;
    world.fault("links freeze");
    world
        .relays
        .iter()
        .for_each(|relay| relay.set(Flows::both(Flow::stalled())));
    for turn in 0..OVER_THE_OUTBOUND {
        let from = [alice, carol][turn % 2];
        world[from].send(Recipient::Lobby);
        world[from].send(world.to(bob));
    }
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    world.fault("links flow");
    for relay in &world.relays {
        relay.heal();
    }
    world.settle().await;
}

async fn outbound_overflows_by_bytes(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    for _ in 0..3 {
        world.fault("bob reads nothing");
        world[bob].pace().set(std::time::Duration::from_millis(20));
        for _ in 0..40 {
            world[alice].send_padded(world.to(bob), 50_000);
        }
        world
            .until("all is stored", || world.history.pending() == 0)
            .await;
        world[bob].pace().set(std::time::Duration::ZERO);
        world.settle().await;
    }
}

async fn submits_beyond_the_window(world: &mut World) {
    let users = world.join(["alice", "bob"]).await;
    let mallory = world.register("mallory").await;
    world.retire(&[mallory]);
    let pass = Pass::of(&world.cluster.urls(0)[0], "mallory", "raw").await;
    let mut raw = Raw::attach(&pass.servers[0], &pass, 1).await;
    for number in 0..300_u64 {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        raw.say(wire::Submit {
            id: id.to_vec().into(),
            to: Some(wire::submit::To::UserName("mallory".into())),
            text: number.to_string(),
            round: 0,
        })
        .await;
    }
    world.chatter(&users, 10);
    let mut expected = 1;
    while expected <= 300 {
        match raw.next().await {
            Some(Frame::Accepted(accepted)) => {
                assert_eq!(accepted.sequence, expected);
                expected += 1;
            }
            Some(Frame::Refused(refused)) => panic!("refused with {}", refused.code),
            Some(_) => {}
            None => panic!("closed"),
        }
    }
}

async fn servers_are_full(world: &mut World) {
    // Eight seats, two of which stay free for those who switch.
    let all = world.crowd(6).await;
    for _ in 0..3 {
        world.chatter(&all, 5);
        world.settle().await;
        world.attach_anew(&all).await;
    }
}

async fn strangers_take_all_seats(world: &mut World) {
    let all = world.crowd(2).await;
    world.chatter(&all, 5);
    let addresses: Vec<String> = world
        .cluster
        .servers()
        .iter()
        .map(|server| server.info.client_address.clone())
        .collect();
    let mut strangers = Vec::new();
    for turn in 0..40 {
        strangers.push(Raw::connect(&addresses[turn % 2]).await);
    }
    // Nobody gets in until the strangers must have said hello.
    world.attach_anew(&all[..1]).await;
    world.chatter(&all, 5);
    for stranger in strangers {
        stranger.closed_with().await;
    }
}

async fn commits_queue_up(world: &mut World) {
    let all = world.crowd(20).await;
    world.chatter(&all, 60);
}
