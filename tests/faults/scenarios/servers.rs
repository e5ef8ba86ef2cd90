//! Servers that die, freeze, drain and flap.

use futures::FutureExt as _;
use im_tests::deployment::Profile::{Cluster, Embedded, RedisCluster};

use super::{millis, seconds};
use crate::catalogue::Scenario;
use crate::run::Run;

pub(crate) fn table() -> Vec<Scenario> {
    vec![Scenario {
        id: "F-01",
        title: "kill -9 a server with clients",
        profiles: &[Cluster, RedisCluster, Embedded],
        bound: "its clients elsewhere: p50 <= 300 ms, p99 <= 2 s; embedded: back 2 s after its restart",
        shape: |_| (),
        body: |run| killed(run).boxed(),
    }]
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
    run.fault("kill -9 the standalone");
    let standalone = run.deployment.standalone.as_mut().expect("this profile");
    standalone.daemon.kill().await;
    run.load_for(seconds(1)).await;
    let standalone = run.deployment.standalone.as_mut().expect("this profile");
    standalone.daemon.start().await?;
    let fault = run.fault("it is back");
    run.load_for(seconds(6)).await;
    run.recovered(fault, seconds(1), seconds(2));
    Ok(())
}
