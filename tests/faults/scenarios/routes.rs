//! Routes that die, and ways between them and the servers that break.

use futures::FutureExt as _;
use im_tests::deployment::Profile::{Cluster, RedisCluster};
use im_tests::proxy::{Flow, Flows};

use super::{millis, seconds};
use crate::catalogue::Scenario;
use crate::run::Run;

/// Kept of each connection to be repeated: many requests of this load.
const RECORDED_BYTES: usize = 256 * 1024;

pub(crate) fn table() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "F-02",
            "kill -9 a route while requests are under way",
            &[Cluster, RedisCluster],
            "accepted p99 <= 1 s; nobody loses a connection",
            |run| killed(run).boxed_local(),
        ),
        Scenario::new(
            "F-03",
            "all routes down",
            &[Cluster],
            "nobody loses a connection; login <= 2 s once they are back",
            |run| all_killed(run).boxed_local(),
        ),
        Scenario::new(
            "F-23",
            "routes cannot reach one server",
            &[Cluster],
            "accepted p99 <= 1 s; delivered once it is reached again",
            |run| one_server_cut_off(run).boxed_local(),
        ),
        Scenario::new(
            "F-24",
            "one route cannot reach Redis (a server never talks to it)",
            &[Cluster],
            "accepted p99 <= 2 s; nobody loses a connection",
            |run| one_route_without_redis(run).boxed_local(),
        ),
        Scenario::new(
            "F-31",
            "requests between nodes arrive again, later and out of order",
            &[Cluster],
            "as if they had not",
            |run| repeated(run).boxed_local(),
        ),
    ]
}

async fn killed(run: &mut Run) -> anyhow::Result<()> {
    let victim = run.choose(run.deployment.routes.len());
    let fault = run.fault("kill -9 a route");
    run.deployment.routes[victim].daemon.kill().await;
    run.load_for(seconds(6)).await;
    run.nobody_lost(fault);
    run.accepted_within(seconds(1));
    Ok(())
}

async fn all_killed(run: &mut Run) -> anyhow::Result<()> {
    let fault = run.fault("kill -9 all routes");
    for route in &mut run.deployment.routes {
        route.daemon.kill().await;
    }
    run.load_for(run.stretch(seconds(10), seconds(60))).await;
    run.nobody_lost(fault);
    run.deployment.heal().await?;
    run.fault("they are back");
    run.logs_in_within(seconds(2)).await;
    run.load_for(seconds(3)).await;
    Ok(())
}

async fn one_server_cut_off(run: &mut Run) -> anyhow::Result<()> {
    let victim = run.choose(run.deployment.servers.len());
    run.fault("routes cannot reach a server");
    run.deployment.servers[victim]
        .for_routes
        .set(Flows::both(Flow::swallowed()));
    run.load_for(seconds(8)).await;
    run.accepted_within(seconds(1));
    let link = &run.deployment.servers[victim].for_routes;
    link.cut();
    link.heal();
    run.load_for(seconds(2)).await;
    Ok(())
}

async fn one_route_without_redis(run: &mut Run) -> anyhow::Result<()> {
    let victim = run.choose(run.deployment.routes.len());
    let fault = run.fault("a route cannot reach Redis");
    let link = run.deployment.routes[victim].to_redis.as_ref();
    let link = link.expect("one Redis is behind a proxy");
    link.refuse();
    link.cut();
    run.load_for(seconds(6)).await;
    run.nobody_lost(fault);
    run.accepted_within(seconds(2));
    Ok(())
}

async fn repeated(run: &mut Run) -> anyhow::Result<()> {
    run.fault("requests arrive again");
    for server in &run.deployment.servers {
        server.for_routes.record(RECORDED_BYTES);
        server.for_routes.cut();
    }
    for route in &run.deployment.routes {
        route.for_servers.record(RECORDED_BYTES);
        route.for_servers.cut();
    }
    let mut repeated = 0;
    for _ in 0..4 {
        run.load_for(seconds(1) + millis(500)).await;
        for server in &run.deployment.servers {
            repeated += server.for_routes.replay().await;
        }
        for route in &run.deployment.routes {
            repeated += route.for_servers.replay().await;
        }
    }
    run.note(format!("{repeated} connections repeated"));
    run.check(repeated > 0, "nothing was repeated");
    Ok(())
}
