//! Readers that are slow, stop, panic, or never read: nobody else notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use im_client::{Client, Message};
use im_common::code::Code;
use im_common::message::Recipient;
use im_server::ServerConfig;
use im_tests::PATIENCE;
use im_tests::proxy::{Flow, Flows};
use im_tests::raw::{Pass, Raw};
use im_tests::user::PASSWORD;

use crate::panics::ON_PURPOSE;
use crate::scenario::{ONE, PAIR, RELAYED, Scenario, Shape, scenario};
use crate::world::World;

/// Texts of 60,000 bytes.
const FLOOD: u64 = 250;
/// Twice as long as a server gathers acks, and a little more.
const HANDLER_RUNS: Duration = Duration::from_millis(500);

/// Servers that take no link for dead, however long a slow machine needs to fill a queue.
const PATIENT: Shape = Shape {
    server: || ServerConfig {
        ping_after: PATIENCE,
        write_within: PATIENCE,
        ..ServerConfig::for_tests()
    },
    ..RELAYED
};

pub(crate) const ALL: &[Scenario] = &[
    scenario!(
        PAIR,
        slow_reader,
        "a handler takes its time, and gets everything in order"
    ),
    scenario!(
        PAIR,
        blocked_reader,
        "a handler does not return for a while"
    ),
    scenario!(
        PAIR,
        reader_closes_with_messages_waiting,
        "somebody quits with unread messages, often"
    ),
    scenario!(
        ONE,
        dead_readers,
        "connections that are never read are closed, others hear all"
    ),
    scenario!(
        RELAYED,
        readers_stop_and_go,
        "links freeze and flow in turns, shorter than any timeout"
    ),
    scenario!(
        RELAYED,
        link_dead_for_good,
        "a link carries nothing any more: both sides find out"
    ),
    scenario!(
        PATIENT,
        nothing_follows_what_was_dropped,
        "a queue overflows, and nobody says anything more"
    ),
    scenario!(
        PAIR,
        program_dies_in_its_handler,
        "what a handler was busy with when its program died comes again"
    ),
    scenario!(
        PAIR,
        handler_panics,
        "a handler panics at every other message"
    ),
    scenario!(
        PAIR,
        handler_sends_and_closes,
        "a handler answers from within, then closes its client"
    ),
];

async fn slow_reader(world: &mut World) {
    let [alice, bob, carol] = world.join(["alice", "bob", "carol"]).await;
    world[bob].pace().set(Duration::from_millis(3));
    for _ in 0..200 {
        world[alice].send(world.to(bob));
        world[alice].send(world.to(carol));
        world[carol].send(Recipient::Lobby);
    }
    world.settle().await;
}

async fn blocked_reader(world: &mut World) {
    let [alice, bob, carol] = world.join(["alice", "bob", "carol"]).await;
    world[bob].pace().set(Duration::from_secs(3));
    for _ in 0..400 {
        world[alice].send(Recipient::Lobby);
    }
    world
        .until("carol has everything", || world.history.handled() >= 400)
        .await;
    assert!(
        world[bob].is_attached(),
        "a slow handler is no reason to go"
    );
    world[bob].pace().set(Duration::ZERO);
    world[carol].send(world.to(bob));
    world.settle().await;
}

async fn reader_closes_with_messages_waiting(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    world[bob].pace().set(Duration::from_millis(2));
    for _ in 0..8 {
        for _ in 0..30 {
            world[alice].send(world.to(bob));
        }
        let seen = world.history.handled();
        world
            .until("bob has read some", || world.history.handled() > seen + 5)
            .await;
        world.attach_anew(&[bob]).await;
    }
    world[bob].pace().set(Duration::ZERO);
}

async fn dead_readers(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    let mallory = world.register("mallory").await;
    world.retire(&[mallory]);
    let mut dead = Vec::new();
    for number in 0..5 {
        let pass = Pass::of(
            &world.cluster.urls(0)[0],
            "mallory",
            &format!("dead{number}"),
        )
        .await;
        let mut raw = Raw::connect_narrow(&pass.servers[0]).await;
        raw.say(pass.hello(1)).await;
        dead.push(raw);
    }
    let attached = || world.cluster.servers()[0].connections.count();
    world.until("they are attached", || attached() == 7).await;
    // More than the buffers of the system hold for each of them.
    for _ in 0..160 {
        world[alice].send_padded(Recipient::Lobby, 60_000);
    }
    world.settle().await;
    world.until("they are closed", || attached() == 2).await;
    world[bob].send(Recipient::Lobby);
    for raw in dead {
        let code = raw.closed_with().await;
        // The close itself may not get through any more.
        assert!([None, Some(Code::SLOW_READER)].contains(&code), "{code:?}");
    }
}

async fn readers_stop_and_go(world: &mut World) {
    let all = world.crowd(4).await;
    for turn in 0..8 {
        let relay = turn % world.relays.len();
        world.relays[relay].set(Flows::both(Flow::stalled()));
        world.chatter(&all, 5);
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.relays[relay].heal();
    }
    world.settle().await;
}

async fn link_dead_for_good(world: &mut World) {
    let all = world.crowd(4).await;
    world.chatter(&all, 5);
    world.settle().await;
    world.fault("one link is dead");
    world.relays[0].set(Flows::both(Flow::stalled()));
    world.chatter(&all, 5);
    // All of them end up on the other server, as soon as they miss the heartbeat.
    let held = || world.cluster.servers()[1].connections.count();
    world
        .until("all are on the other server", || held() == all.len())
        .await;
    world.settle().await;
    world.relays[0].cut();
}

async fn nothing_follows_what_was_dropped(world: &mut World) {
    world.relays[1].refuse();
    let [alice] = world.join(["alice"]).await;
    world.relays[0].refuse();
    world.relays[1].heal();
    let [bob] = world.join(["bob"]).await;
    world.fault("bob's link freezes");
    world.relays[1].set(Flows::both(Flow::stalled()));
    // More than the system's buffers and the queue hold.
    for _ in 0..FLOOD {
        world[alice].send_padded(world.to(bob), 60_000);
    }
    world.accepted(FLOOD).await;
    let server = &world.cluster.servers()[1].info.id;
    let is_dropped = || world.injected.handed_over(server) as u64 >= FLOOD;
    world.until("bob's server has had it all", is_dropped).await;
    world.fault("bob's link flows");
    world.relays[1].heal();
    world.settle().await;
}

async fn program_dies_in_its_handler(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    world.close(&[bob]).await;
    let program = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime starts");
    world.attach_in(program.handle(), bob).await;
    // Longer than the program lives.
    world[bob].pace().set(Duration::from_secs(600));
    for _ in 0..3 {
        world[alice].send(world.to(bob));
    }
    world.accepted(3).await;
    // Longer than acks are gathered for.
    tokio::time::sleep(HANDLER_RUNS).await;
    world.fault("bob's program dies");
    program.shutdown_background();
    world.abandon(&[bob]).await;
    world[bob].pace().set(Duration::ZERO);
    world.attach(&[bob]).await;
    world.settle().await;
}

async fn handler_panics(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let handler = move |_: Message| {
        let call = counted.fetch_add(1, Ordering::Relaxed);
        async move { assert!(call.is_multiple_of(2), "{ON_PURPOSE}") }
    };
    let client = client(world, "bob", "clumsy")
        .handler(handler)
        .connect()
        .await;
    let client = client.expect("connected");
    for _ in 0..50 {
        world[alice].send(world.to(bob));
    }
    world
        .until("each is handled once", || {
            calls.load(Ordering::Relaxed) == 50
        })
        .await;
    assert!(client.state().borrow().is_attached());
    world.settle().await;
    assert_eq!(calls.load(Ordering::Relaxed), 50);
    client.close().await;
}

async fn handler_sends_and_closes(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let handler = move |client: Client, _: Message| {
        let counted = Arc::clone(&counted);
        async move {
            counted.fetch_add(1, Ordering::Relaxed);
            client.close().await;
        }
    };
    for turn in 1..=5 {
        let client = client(world, "bob", "shy")
            .handler(handler.clone())
            .connect()
            .await;
        let client = client.expect("connected");
        world[alice].send(world.to(bob));
        client.ended().await;
        drop(client);
        // Each was handled and acked before the end, so none comes twice.
        world.settle().await;
        assert_eq!(calls.load(Ordering::Relaxed), turn);
    }
}

/// A client that the history knows nothing of.
fn client(world: &World, name: &str, device: &str) -> im_client::ClientBuilder {
    let builder = Client::builder()
        .user(name)
        .password(PASSWORD)
        .device(device);
    let urls = world.cluster.urls(0);
    urls.into_iter()
        .fold(builder, im_client::ClientBuilder::route)
}
