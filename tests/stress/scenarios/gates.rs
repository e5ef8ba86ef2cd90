//! Stores and links that fail, stall, lose answers, do things twice or in another order.

use std::time::Duration;

use im_common::message::Recipient;
use im_tests::injected::{Gate, Injected, Mood};

use crate::scenario::{PAIR, RELAYED, Scenario, scenario};
use crate::world::World;

/// Longer than what the nodes wait before they try again, shorter than what a client waits.
const TROUBLE: Duration = Duration::from_millis(800);
/// Longer than a stalled call.
const LONG_TROUBLE: Duration = Duration::from_millis(2500);
/// Within the time of any call.
const LATE: Duration = Duration::from_millis(150);

pub(crate) const ALL: &[Scenario] = &[
    scenario!(PAIR, logs_fail, "the logs cannot be reached for a while"),
    scenario!(PAIR, logs_stall, "the logs hang longer than a call waits"),
    scenario!(
        PAIR,
        logs_lose_answers,
        "everything is stored and nobody is told"
    ),
    scenario!(PAIR, logs_repeat, "every change of the logs is made twice"),
    scenario!(PAIR, logs_are_slow, "the logs answer late"),
    scenario!(PAIR, logs_are_moody, "the logs do any of it by chance"),
    scenario!(PAIR, sessions_fail, "nobody knows who is attached where"),
    scenario!(PAIR, sessions_stall, "the table of sessions hangs"),
    scenario!(
        PAIR,
        sessions_are_moody,
        "the table of sessions does anything by chance"
    ),
    scenario!(
        PAIR,
        directory_fails,
        "accounts and logins cannot be reached"
    ),
    scenario!(
        PAIR,
        directory_is_moody,
        "accounts and logins do anything by chance"
    ),
    scenario!(
        PAIR,
        all_stores_stall,
        "all stores hang longer than a call waits"
    ),
    scenario!(
        PAIR,
        all_stores_are_moody,
        "all stores do anything by chance"
    ),
    scenario!(
        RELAYED,
        reconnect_while_stores_fail,
        "all connections are cut while no store answers"
    ),
    scenario!(
        RELAYED,
        reconnect_while_stores_are_moody,
        "connections are cut while stores do anything"
    ),
    scenario!(
        PAIR,
        pushes_fail,
        "no push arrives: the sweeper brings everything"
    ),
    scenario!(
        PAIR,
        the_last_word_is_not_lost,
        "a push fails and nobody says anything more"
    ),
    scenario!(
        PAIR,
        pushes_lose_answers,
        "every push arrives and is repeated"
    ),
    scenario!(PAIR, pushes_double, "every push comes twice"),
    scenario!(PAIR, pushes_shuffle, "pushes come in any order"),
    scenario!(PAIR, pushes_stall, "pushes hang, then come"),
    scenario!(PAIR, pushes_are_moody, "pushes do anything by chance"),
    scenario!(PAIR, submits_fail, "no submit reaches a route"),
    scenario!(
        PAIR,
        submits_fail_in_a_burst,
        "a single batch of a burst fails"
    ),
    scenario!(
        PAIR,
        submits_lose_answers,
        "every submit is stored and its answer lost"
    ),
    scenario!(
        PAIR,
        submits_repeat,
        "every submit reaches the routes twice"
    ),
    scenario!(PAIR, submits_are_moody, "submits do anything by chance"),
    scenario!(
        PAIR,
        calls_are_moody,
        "attach, ack, sync, renew do anything by chance"
    ),
    scenario!(PAIR, renewals_fail, "sessions are not renewed for a while"),
    scenario!(PAIR, probes_fail, "routes hold all servers for dead"),
    scenario!(
        RELAYED,
        everything_is_moody,
        "all of it at once, and connections are cut"
    ),
    scenario!(
        PAIR,
        one_fault_after_another,
        "each gate in each mood, for a moment each"
    ),
];

/// Nothing that comes later shows the reader that something is missing.
async fn the_last_word_is_not_lost(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    world.fault("no push arrives");
    world.injected.pushes.set(Mood::Fails);
    world[alice].send(world.to(bob));
    world[alice].send(Recipient::Lobby);
    world.accepted(2).await;
    tokio::time::sleep(TROUBLE).await;
    world.injected.heal();
    world.settle().await;
}

/// What comes behind a batch that failed must not overtake it.
async fn submits_fail_in_a_burst(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    for _ in 0..10 {
        world.fault("a batch fails");
        world.injected.submits.set(Mood::FailsOnce(LATE));
        for _ in 0..20 {
            world[alice].send(world.to(bob));
            // One batch is in flight, and the next one gathers.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        world
            .until("all sends have ended", || world.history.pending() == 0)
            .await;
    }
}

/// Everybody talks before, during and after.
async fn trouble(
    world: &mut World,
    gates: fn(&Injected) -> Vec<&Gate>,
    mood: Mood,
    lasts: Duration,
) {
    let all = world.join(["alice", "bob", "carol", "dave"]).await;
    world.chatter(&all, 5);
    world.fault(&format!("{mood:?}"));
    for gate in gates(&world.injected) {
        gate.set(mood);
    }
    world.chatter(&all, 10);
    tokio::time::sleep(lasts).await;
    world.chatter(&all, 5);
    world.fault("all is well");
    world.injected.heal();
    world.chatter(&all, 5);
    world.settle().await;
    world.all_attached(&all).await;
}

macro_rules! troubles {
    ($($name:ident: $gate:ident $mood:expr, $lasts:expr;)*) => {
        $(async fn $name(world: &mut World) {
            trouble(world, |injected| vec![&injected.$gate], $mood, $lasts).await;
        })*
    };
}

troubles! {
    logs_fail: messages Mood::Fails, TROUBLE;
    logs_stall: messages Mood::Stalls, LONG_TROUBLE;
    logs_lose_answers: messages Mood::LosesAnswers, TROUBLE;
    logs_repeat: messages Mood::Repeats, TROUBLE;
    logs_are_slow: messages Mood::Slow(LATE), TROUBLE;
    logs_are_moody: messages Mood::Moody, LONG_TROUBLE;
    sessions_fail: sessions Mood::Fails, TROUBLE;
    sessions_stall: sessions Mood::Stalls, LONG_TROUBLE;
    sessions_are_moody: sessions Mood::Moody, TROUBLE;
    pushes_fail: pushes Mood::Fails, TROUBLE;
    pushes_lose_answers: pushes Mood::LosesAnswers, TROUBLE;
    pushes_double: pushes Mood::Repeats, TROUBLE;
    pushes_shuffle: pushes Mood::Shuffles, TROUBLE;
    pushes_stall: pushes Mood::Stalls, LONG_TROUBLE;
    pushes_are_moody: pushes Mood::Moody, TROUBLE;
    submits_fail: submits Mood::Fails, TROUBLE;
    submits_lose_answers: submits Mood::LosesAnswers, TROUBLE;
    submits_repeat: submits Mood::Repeats, TROUBLE;
    submits_are_moody: submits Mood::Moody, TROUBLE;
    calls_are_moody: calls Mood::Moody, TROUBLE;
    renewals_fail: calls Mood::Fails, LONG_TROUBLE;
    probes_fail: probes Mood::Fails, LONG_TROUBLE;
}

async fn all_stores_stall(world: &mut World) {
    trouble(
        world,
        |injected| injected.stores().to_vec(),
        Mood::Stalls,
        LONG_TROUBLE,
    )
    .await;
}

async fn all_stores_are_moody(world: &mut World) {
    trouble(
        world,
        |injected| injected.stores().to_vec(),
        Mood::Moody,
        LONG_TROUBLE,
    )
    .await;
}

async fn directory_fails(world: &mut World) {
    let all = world.join(["alice", "bob"]).await;
    let late = world.register("carol").await;
    world.chatter(&all, 5);
    world
        .until("all is stored", || world.history.pending() == 0)
        .await;
    world.fault("no login can be checked");
    world.injected.directory.set(Mood::Fails);
    world[all[0]].send(Recipient::Lobby);
    world[all[0]].send(world.to(all[1]));
    let injected = world.injected.clone();
    let heals = async {
        tokio::time::sleep(TROUBLE).await;
        injected.heal();
    };
    // Logging in is tried until there is an answer.
    let who = [late];
    tokio::join!(heals, world.attach(&who));
    world[late].send(Recipient::Lobby);
}

async fn directory_is_moody(world: &mut World) {
    let all = world.crowd(4).await;
    world.injected.directory.set(Mood::Moody);
    for _ in 0..4 {
        world.chatter(&all, 3);
        world.settle().await;
        world.attach_anew(&all).await;
    }
}

async fn reconnect_while_stores_fail(world: &mut World) {
    let all = world.crowd(6).await;
    world.chatter(&all, 5);
    world.fault("no store answers and all connections are cut");
    for gate in world.injected.stores() {
        gate.set(Mood::Fails);
    }
    world.cut_relays();
    world.chatter(&all, 5);
    tokio::time::sleep(TROUBLE).await;
    assert!(
        all.iter().all(|who| !world[*who].has_ended()),
        "nobody gives up"
    );
    world.injected.heal();
    world.all_attached(&all).await;
}

async fn reconnect_while_stores_are_moody(world: &mut World) {
    let all = world.crowd(6).await;
    for gate in world.injected.stores() {
        gate.set(Mood::Moody);
    }
    for _ in 0..5 {
        world.chatter(&all, 3);
        let until = world.history.accepted() + 5;
        world.accepted(until).await;
        world.fault("all connections are cut");
        world.cut_relays();
    }
}

async fn everything_is_moody(world: &mut World) {
    let all = world.crowd(6).await;
    for gate in world.injected.all() {
        gate.set(Mood::Moody);
    }
    for _ in 0..5 {
        world.chatter(&all, 4);
        let until = world.history.accepted() + 5;
        world.accepted(until).await;
        let chosen = world.dice.below(world.relays.len());
        world.fault("one link is cut");
        world.relays[chosen].cut();
    }
}

async fn one_fault_after_another(world: &mut World) {
    let all = world.join(["alice", "bob", "carol"]).await;
    let moods = [
        Mood::Fails,
        Mood::LosesAnswers,
        Mood::Repeats,
        Mood::Stalls,
        Mood::Shuffles,
        Mood::Moody,
    ];
    let gates = world.injected.all().len();
    let mut faults: Vec<(usize, Mood)> = (0..gates)
        .flat_map(|gate| moods.map(|mood| (gate, mood)))
        .collect();
    world.dice.shuffle(&mut faults);
    for (gate, mood) in faults {
        world.fault(&format!("gate {gate}: {mood:?}"));
        world.injected.all()[gate].set(mood);
        world.chatter(&all, 1);
        tokio::time::sleep(Duration::from_millis(60)).await;
        world.injected.all()[gate].set(Mood::Well);
    }
}
