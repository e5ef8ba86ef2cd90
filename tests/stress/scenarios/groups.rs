//! The lobby: everybody reads what everybody says.

use im_common::message::Recipient;
use im_tests::injected::Mood;

use crate::scenario::{PAIR, Scenario, TRIO, scenario};
use crate::world::{Who, World};

pub(crate) const ALL: &[Scenario] = &[
    scenario!(
        TRIO,
        lobby_of_hundreds,
        "two hundred users on three servers hear the same"
    ),
    scenario!(
        PAIR,
        lobby_all_at_once,
        "forty users speak at the same time"
    ),
    scenario!(
        PAIR,
        lobby_with_comers_and_goers,
        "users come and go while others speak"
    ),
    scenario!(
        TRIO,
        lobby_over_crashes,
        "servers crash while everybody speaks"
    ),
    scenario!(
        PAIR,
        lobby_with_shuffled_pushes,
        "what is pushed comes in any order"
    ),
];

fn speak(world: &World, who: &[Who], times: usize) {
    for _ in 0..times {
        for from in who {
            world[*from].send(Recipient::Lobby);
        }
    }
}

async fn lobby_of_hundreds(world: &mut World) {
    let all = world.crowd(200).await;
    speak(world, &all[..4], 5);
    world.settle().await;
}

async fn lobby_all_at_once(world: &mut World) {
    let all = world.crowd(40).await;
    speak(world, &all, 3);
    world.settle().await;
}

async fn lobby_with_comers_and_goers(world: &mut World) {
    let all = world.crowd(20).await;
    for _ in 0..5 {
        speak(world, &all[..3], 3);
        let mut some = all[3..].to_vec();
        world.dice.shuffle(&mut some);
        some.truncate(6);
        world.attach_anew(&some).await;
    }
}

async fn lobby_over_crashes(world: &mut World) {
    let all = world.crowd(20).await;
    for _ in 0..2 {
        speak(world, &all[..5], 3);
        world.crash_server(0);
        speak(world, &all[..5], 3);
        world.end_leases().await;
        world.all_attached(&all).await;
    }
}

async fn lobby_with_shuffled_pushes(world: &mut World) {
    let all = world.crowd(10).await;
    world.injected.pushes.set(Mood::Shuffles);
    speak(world, &all, 20);
    world.settle().await;
}
