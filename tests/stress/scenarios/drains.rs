//! Servers and routes that stop, crash and come back while messages are on their way.

use im_tests::proxy::{Flow, Flows};

use crate::scenario::{PAIR, RELAYED, Scenario, TRIO, scenario};
use crate::world::World;

pub(crate) const ALL: &[Scenario] = &[
    scenario!(
        TRIO,
        drain_under_load,
        "a server drains: nothing is refused, nobody loses anything"
    ),
    scenario!(
        TRIO,
        rolling_restart,
        "all servers and routes are replaced, one after the other"
    ),
    scenario!(
        PAIR,
        flapping_server,
        "a server comes and crashes, again and again"
    ),
    scenario!(
        RELAYED,
        drain_of_frozen_clients,
        "a server drains whose clients hear nothing of it"
    ),
    scenario!(
        PAIR,
        route_stops_in_mid_request,
        "a route stops gracefully under load"
    ),
    scenario!(
        PAIR,
        route_crashes_in_mid_request,
        "a route dies with requests in its hands"
    ),
    scenario!(
        PAIR,
        all_routes_away_for_a_while,
        "no route is left, connections stand, routes come back"
    ),
    scenario!(
        TRIO,
        everything_is_replaced_at_once,
        "a server and a route crash at the same moment"
    ),
    scenario!(
        PAIR,
        last_of_two_servers_drains,
        "one server crashes, the other one drains"
    ),
];

async fn drain_under_load(world: &mut World) {
    let all = world.crowd(9).await;
    for _ in 0..2 {
        world.chatter(&all, 10);
        world.drain_server(0).await;
        world.chatter(&all, 10);
    }
    world.settle().await;
    let verdict = world.history.verdict();
    assert_eq!((verdict.refused, verdict.unknown), (0, 0), "{verdict}");
}

async fn rolling_restart(world: &mut World) {
    let all = world.crowd(6).await;
    for _ in 0..3 {
        world.chatter(&all, 5);
        world.drain_server(0).await;
        world.add_server().await;
        world.all_attached(&all).await;
    }
    for _ in 0..2 {
        world.chatter(&all, 5);
        world.stop_route().await;
        world.add_route().await;
    }
    world.chatter(&all, 5);
    world.attach_anew(&all).await;
}

async fn flapping_server(world: &mut World) {
    let all = world.crowd(4).await;
    for _ in 0..6 {
        world.chatter(&all, 3);
        world.crash_server(1);
        world.end_leases().await;
        world.add_server().await;
    }
    world.all_attached(&all).await;
}

async fn drain_of_frozen_clients(world: &mut World) {
    let all = world.crowd(4).await;
    world.chatter(&all, 10);
    world.fault("links freeze");
    world.relays[0].set(Flows::both(Flow::stalled()));
    world.chatter(&all, 10);
    world.drain_server(0).await;
    world.all_attached(&all).await;
}

async fn route_stops_in_mid_request(world: &mut World) {
    let all = world.crowd(6).await;
    for _ in 0..2 {
        world.chatter(&all, 15);
        world.stop_route().await;
        world.chatter(&all, 15);
        world.add_route().await;
    }
    world.settle().await;
    world.attach_anew(&all).await;
}

async fn route_crashes_in_mid_request(world: &mut World) {
    let all = world.crowd(6).await;
    for _ in 0..3 {
        world.chatter(&all, 15);
        let until = world.history.accepted() + 20;
        world.accepted(until).await;
        world.crash_route().await;
        world.chatter(&all, 5);
        world.add_route().await;
    }
    world.settle().await;
    world.attach_anew(&all).await;
}

async fn all_routes_away_for_a_while(world: &mut World) {
    let all = world.crowd(4).await;
    world.chatter(&all, 10);
    world.fault("no route is left");
    world.crash_route().await;
    world.crash_route().await;
    world.chatter(&all, 10);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert!(
        all.iter().all(|who| world[*who].is_attached()),
        "connections stand"
    );
    for _ in 0..2 {
        world.add_route().await;
    }
    world.settle().await;
    world.attach_anew(&all).await;
}

async fn everything_is_replaced_at_once(world: &mut World) {
    let all = world.crowd(6).await;
    world.chatter(&all, 15);
    world.crash_server(0);
    world.crash_route().await;
    world.chatter(&all, 15);
    world.add_route().await;
    world.end_leases().await;
    world.settle().await;
    world.attach_anew(&all).await;
}

async fn last_of_two_servers_drains(world: &mut World) {
    let all = world.crowd(4).await;
    world.chatter(&all, 10);
    world.crash_server(0);
    world.end_leases().await;
    world.drain_server(0).await;
    world.chatter(&all, 10);
    world.add_server().await;
    world.all_attached(&all).await;
}
