//! Servers that die, freeze, drain and flap.

use futures::FutureExt as _;
use im_tests::deployment::Profile::{Cluster, Embedded, RedisCluster};

use super::{millis, seconds};
use crate::catalogue::Scenario;
use crate::outages::percentile;
use crate::run::Run;

/// The server's own limit for a drain, 30 s, and a moment to end.
const DRAIN_WITHIN: std::time::Duration = seconds(33);

pub(crate) fn table() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "F-01",
            "kill -9 a server with clients",
            &[Cluster, RedisCluster, Embedded],
            "its clients elsewhere p50 <= 300 ms, p99 <= 2 s; embedded: back p99 <= 5 s (their longest pause) after its restart",
            |run| killed(run).boxed_local(),
        ),
        Scenario::new(
            "F-04",
            "freeze a server, then let it go on",
            &[Cluster],
            "5 s: nothing moves; longer: its clients elsewhere p99 <= 16 s",
            |run| frozen(run).boxed_local(),
        ),
        Scenario::new(
            "F-05",
            "drain under load",
            &[Cluster, Embedded],
            "interruption p99 <= 500 ms where there is another server; exit 0 within 30 s",
            |run| drained(run).boxed_local(),
        ),
        Scenario::new(
            "F-06",
            "rolling restart of all servers and routes",
            &[Cluster],
            "after each step everybody is attached within 5 s; exit 0 each",
            |run| rolled(run).boxed_local(),
        )
        .shaped(|plan| plan.server_options.push("--drain=4s".to_owned())),
        Scenario::new(
            "F-07",
            "a server that keeps crashing",
            &[Cluster],
            "interruption p99 <= 2 s",
            |run| flapping(run).boxed_local(),
        ),
    ]
}

async fn killed(run: &mut Run) -> anyhow::Result<()> {
    if run.profile() == Embedded {
        return standalone_killed(run).await;
    }
    let victim = run.choose(run.deployment.servers.len());
    let fault = run.fault("kill -9 a server");
    run.deployment.servers[victim].daemon.kill().await;
    run.load_for(seconds(6)).await;
    run.recovered(fault, millis(300), seconds(2));
    Ok(())
}

/// There is no other server to go to: what counts is how soon all are back at the restarted one.
async fn standalone_killed(run: &mut Run) -> anyhow::Result<()> {
    let killed = run.fault("kill -9 the standalone");
    let standalone = run.deployment.standalone.as_mut().expect("this profile");
    standalone.daemon.kill().await;
    run.load_for(seconds(1)).await;
    let standalone = run.deployment.standalone.as_mut().expect("this profile");
    standalone.daemon.start().await?;
    let back = run.fault("it is back");
    run.load_for(seconds(6)).await;
    let lost = run.lost(killed);
    run.check(
        lost == run.load.actors().len(),
        format!("only {lost} noticed"),
    );
    run.recovered(back, seconds(2), seconds(5));
    Ok(())
}

/// Shorter than a client's patience, then longer.
async fn frozen(run: &mut Run) -> anyhow::Result<()> {
    let victim = run.choose(run.deployment.servers.len());
    let fault = run.fault("freeze a server for 5 s");
    run.deployment.servers[victim].daemon.signal("STOP").await?;
    run.load_for(seconds(5)).await;
    run.deployment.servers[victim].daemon.signal("CONT").await?;
    run.load_for(seconds(2)).await;
    run.nobody_lost(fault);
    let fault = run.fault("freeze it for longer");
    run.deployment.servers[victim].daemon.signal("STOP").await?;
    run.load_for(run.stretch(seconds(17), seconds(120))).await;
    run.recovered(fault, seconds(15), seconds(16));
    run.deployment.servers[victim].daemon.signal("CONT").await?;
    run.load_for(seconds(3)).await;
    Ok(())
}

async fn drained(run: &mut Run) -> anyhow::Result<()> {
    let victim = run.choose(run.deployment.servers.len().max(1));
    let fault = run.fault("drain a server");
    let is_alone = run.profile() == Embedded;
    let daemon = match run.deployment.standalone.as_mut() {
        Some(standalone) => &mut standalone.daemon,
        None => &mut run.deployment.servers[victim].daemon,
    };
    let status = daemon.stop(DRAIN_WITHIN).await?;
    run.check(status.success(), format!("it ended with {status}"));
    run.note(format!("drained in {:.1?}", fault.elapsed()));
    if is_alone {
        run.deployment.heal().await?;
        run.load_for(seconds(4)).await;
        return Ok(());
    }
    run.load_for(seconds(2)).await;
    let gaps = run.gaps(fault);
    run.check(!gaps.is_empty(), "nobody was moved");
    if let Some(gap) = percentile(&gaps, 99) {
        run.bound("interruption p99", gap, millis(500));
    }
    run.accepted_within(millis(500));
    Ok(())
}

async fn rolled(run: &mut Run) -> anyhow::Result<()> {
    let rounds = if run.options.long { 3 } else { 1 };
    for _ in 0..rounds {
        for number in 0..run.deployment.servers.len() {
            run.fault("restart a server");
            let daemon = &mut run.deployment.servers[number].daemon;
            let status = daemon.stop(DRAIN_WITHIN).await?;
            daemon.start().await?;
            run.check(status.success(), format!("a server ended with {status}"));
            step(run).await;
        }
        for number in 0..run.deployment.routes.len() {
            run.fault("restart a route");
            let daemon = &mut run.deployment.routes[number].daemon;
            let status = daemon.stop(DRAIN_WITHIN).await?;
            daemon.start().await?;
            run.check(status.success(), format!("a route ended with {status}"));
            step(run).await;
        }
    }
    run.accepted_within(seconds(1));
    Ok(())
}

async fn step(run: &mut Run) {
    let is_whole = run.all_attached(seconds(5)).await;
    run.check(is_whole, "not everybody is attached after a step");
}

async fn flapping(run: &mut Run) -> anyhow::Result<()> {
    let crashes = if run.options.long { 10 } else { 3 };
    let victim = run.choose(run.deployment.servers.len());
    let fault = run.fault("a server crashes again and again");
    for _ in 0..crashes {
        run.deployment.servers[victim].daemon.restart().await?;
        run.load_for(seconds(4)).await;
    }
    if let Some(gap) = percentile(&run.gaps(fault), 99) {
        run.bound("interruption p99", gap, seconds(2));
    }
    Ok(())
}
