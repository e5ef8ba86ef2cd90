//! Several connections of one device: the newest one stays, whichever comes first.

use futures::future::join_all;
use im_common::code::Code;
use im_common::wire::{self, server_frame::Frame};
use im_tests::injected::Mood;
use im_tests::raw::{Pass, Raw};

use crate::scenario::{ONE, PAIR, Scenario, TRIO, scenario};
use crate::world::{Who, World};

pub(crate) const ALL: &[Scenario] = &[
    scenario!(
        PAIR,
        logins_from_all_routes_at_once,
        "a hundred logins of one device: one connection stays"
    ),
    scenario!(
        TRIO,
        programs_of_one_device_at_once,
        "twelve programs of one device: one stays attached"
    ),
    scenario!(
        PAIR,
        two_programs_take_turns,
        "each displaces the other, with messages under way"
    ),
    scenario!(
        PAIR,
        displaced_while_writing,
        "a writer is displaced in the middle of its messages"
    ),
    scenario!(
        PAIR,
        displaced_while_kicks_are_lost,
        "the older connection is found out by the renewal"
    ),
    scenario!(
        PAIR,
        displaced_cannot_send,
        "the older of two connections has no say any more"
    ),
    scenario!(
        ONE,
        displaced_on_the_same_server,
        "both connections of a device come to one server"
    ),
    scenario!(
        PAIR,
        older_attempts_arrive_late,
        "connections of one login in every order of arrival"
    ),
    scenario!(
        PAIR,
        older_login_arrives_late,
        "the ticket of an ended login comes after the new one"
    ),
    scenario!(
        PAIR,
        ended_login_arrives_alone,
        "the ticket of an ended login comes, and no newer one has"
    ),
];

async fn logins_from_all_routes_at_once(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    world.settle().await;
    world.close(&[alice]).await;
    let urls = world.cluster.urls(0);
    let logins = (0..100).map(|turn| {
        let url = &urls[turn % urls.len()];
        async move {
            let pass = Pass::of(url, "alice", "one").await;
            let server = &pass.servers[0];
            let mut raw = Raw::connect(server).await;
            raw.say(pass.hello(1)).await;
            raw
        }
    });
    let connections = join_all(logins).await;
    let ends = connections.into_iter().map(async |mut raw| {
        loop {
            match raw.next().await {
                Some(Frame::Heads(_)) => {
                    raw.say(wire::Ping { nonce: 1 }).await;
                }
                // A moment later all logins are done, and the newest is the one that is left.
                Some(Frame::Ping(ping)) => raw.say(wire::Pong { nonce: ping.nonce }).await,
                Some(Frame::Close(close)) => return Code::from(close.code),
                Some(_) => {}
                None => return Code::CLOSED,
            }
        }
    });
    let ends = join_all(ends);
    // The one that stays is displaced by alice herself.
    let alice_comes = async {
        let count = || {
            world
                .cluster
                .servers()
                .iter()
                .map(|one| one.connections.count())
                .sum::<usize>()
        };
        world
            .until("bob and one of alice are left", || count() == 2)
            .await;
        Pass::of(&urls[0], "alice", "one").await
    };
    tokio::pin!(ends);
    let pass = tokio::select! {
        biased;
        _ = &mut ends => panic!("nobody is left"),
        pass = alice_comes => pass,
    };
    let last = Raw::attach(&pass.servers[0], &pass, 1).await;
    let codes = ends.await;
    drop(last);
    let told = |code: &Code| [Code::DISPLACED, Code::LOGGED_OUT].contains(code);
    assert!(codes.iter().all(told), "{codes:?}");
    world[bob].send(world.to(alice));
}

async fn programs_of_one_device_at_once(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    world.close(&[alice]).await;
    let rivals: Vec<Who> = (0..12).map(|_| world.rival(alice)).collect();
    world.try_attach(&rivals).await;
    let attached = |world: &World| {
        let rivals = rivals.iter();
        rivals.filter(|who| world[**who].is_attached()).count()
    };
    world.until("one is left", || attached(world) == 1).await;
    world[bob].send(world.to(alice));
    world.settle().await;
    assert_eq!(attached(world), 1);
    world.close(&rivals).await;
}

async fn two_programs_take_turns(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    let rival = world.rival(alice);
    for turn in 0..8 {
        let (comes, goes) = if turn % 2 == 0 {
            (rival, alice)
        } else {
            (alice, rival)
        };
        world.settle().await;
        world.acked(goes).await;
        world.attach(&[comes]).await;
        world
            .until("the other is displaced", || world[goes].has_ended())
            .await;
        world.abandon(&[goes]).await;
        world[comes].send(world.to(bob));
        world[bob].send(world.to(alice));
    }
    world.settle().await;
}

async fn displaced_while_writing(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    let rival = world.rival(alice);
    for _ in 0..300 {
        world[alice].send(world.to(bob));
    }
    world.accepted(20).await;
    world.fault("alice is displaced");
    world.attach(&[rival]).await;
    world
        .until("alice is displaced", || world[alice].has_ended())
        .await;
    world
        .until("all sends have ended", || world.history.pending() == 0)
        .await;
    world[rival].send(world.to(bob));
    world.settle().await;
    world.close(&[rival]).await;
}

async fn displaced_while_kicks_are_lost(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    world.fault("kicks are lost");
    world.injected.kicks.set(Mood::Fails);
    let rival = world.rival(alice);
    for _ in 0..3 {
        world.attach(&[rival]).await;
        world
            .until("alice is displaced", || world[alice].has_ended())
            .await;
        world.close(&[rival]).await;
        world.abandon(&[alice]).await;
        world.attach(&[alice]).await;
    }
    world[bob].send(world.to(alice));
}

/// Mallory, whose messages the history does not know, and where to connect.
async fn mallory(world: &mut World) -> (Pass, Vec<String>) {
    let users = world.join(["alice", "bob"]).await;
    world.chatter(&users, 5);
    let mallory = world.register("mallory").await;
    world.retire(&[mallory]);
    let pass = Pass::of(&world.cluster.urls(0)[0], "mallory", "raw").await;
    let servers = world.cluster.servers().iter();
    let servers = servers.map(|server| server.info.client_address.clone());
    (pass, servers.collect())
}

fn note(text: &str) -> wire::Submit {
    wire::Submit {
        id: im_common::id::MessageId::fresh().as_bytes().to_vec().into(),
        to: Some(wire::submit::To::UserName("mallory".into())),
        text: text.into(),
        round: 0,
    }
}

async fn displaced_cannot_send(world: &mut World) {
    let (pass, servers) = mallory(world).await;
    let mut older = Raw::attach(&servers[0], &pass, 1).await;
    older.say(note("mine")).await;
    assert_eq!(older.answer().await, None);
    let mut newer = Raw::attach(&servers[1], &pass, 2).await;
    newer.say(note("mine too")).await;
    assert_eq!(newer.answer().await, None);
    assert_eq!(older.closed_with().await, Some(Code::DISPLACED));
    newer.say(note("mine again")).await;
    assert_eq!(newer.answer().await, None);
}

async fn displaced_on_the_same_server(world: &mut World) {
    let (pass, servers) = mallory(world).await;
    for attempt in 1..=10 {
        let mut older = Raw::attach(&servers[0], &pass, 2 * attempt).await;
        let mut newer = Raw::attach(&servers[0], &pass, 2 * attempt + 1).await;
        older.say(note("too late")).await;
        let answer = older.answer().await;
        assert_eq!(answer, Some(Code::DISPLACED), "the older has no say");
        newer.say(note("mine")).await;
        assert_eq!(newer.answer().await, None);
    }
}

async fn older_attempts_arrive_late(world: &mut World) {
    let (pass, servers) = mallory(world).await;
    let mut holds = Raw::attach(&servers[0], &pass, 1000).await;
    for _ in 0..12 {
        let server = world.dice.pick(&servers).clone();
        let attempt = 1 + u32::try_from(world.dice.below(1000)).expect("small");
        let mut late = Raw::connect(&server).await;
        late.say(pass.hello(attempt.min(999))).await;
        assert_eq!(
            late.closed_with().await,
            Some(Code::DISPLACED),
            "attempt {attempt}"
        );
    }
    holds.say(note("still here")).await;
    assert_eq!(holds.answer().await, None);
}

async fn older_login_arrives_late(world: &mut World) {
    let (old, servers) = mallory(world).await;
    let new = Pass::of(&world.cluster.urls(1)[0], "mallory", "raw").await;
    let mut holds = Raw::attach(&servers[0], &new, 1).await;
    for server in &servers {
        let mut late = Raw::connect(server).await;
        late.say(old.hello(u32::MAX)).await;
        let code = late.closed_with().await;
        let ended = [Some(Code::DISPLACED), Some(Code::LOGGED_OUT)];
        assert!(ended.contains(&code), "{code:?}");
    }
    holds.say(note("still here")).await;
    assert_eq!(holds.answer().await, None);
}

async fn ended_login_arrives_alone(world: &mut World) {
    let (ended, servers) = mallory(world).await;
    Pass::of(&world.cluster.urls(1)[0], "mallory", "raw").await;
    for server in &servers {
        let mut late = Raw::connect(server).await;
        late.say(ended.hello(1)).await;
        late.say(note("let me in")).await;
        let answer = late.answer().await;
        assert_eq!(answer, Some(Code::LOGGED_OUT), "the login has ended");
    }
}
