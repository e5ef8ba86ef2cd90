//! etcd that dies, forgets and compacts; nodes that start without their stores.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt as _;
use im_tests::deployment::Profile::{Cluster, Embedded};
use serde_json::json;
use tokio::time::Instant;

use super::{millis, seconds};
use crate::catalogue::Scenario;
use crate::run::Run;

/// An entry's lease, and 2 s.
const ANNOUNCED_WITHIN: std::time::Duration = seconds(12);
/// Of one node, while etcd is as it should be: a few to come back, none in a loop.
const DIALS_MAX: u64 = 20;

pub(crate) fn table() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "F-18",
            "etcd is away; meanwhile a server dies",
            &[Cluster],
            "nobody else loses a connection; the server's clients elsewhere p99 <= 2 s",
            |run| away(run).boxed_local(),
        ),
        Scenario::new(
            "F-19",
            "etcd comes back empty",
            &[Cluster],
            "nobody loses a connection; every node is listed again within 12 s",
            |run| emptied(run).boxed_local(),
        ),
        Scenario::new(
            "F-20",
            "what nodes watch in etcd was compacted away",
            &[Cluster],
            "nobody loses a connection; no node dials etcd in a loop",
            |run| compacted(run).boxed_local(),
        ),
        Scenario::new(
            "F-21",
            "all leases are lost at once",
            &[Cluster],
            "nobody loses a connection; every node is listed again within 12 s",
            |run| revoked(run).boxed_local(),
        ),
        Scenario::new(
            "F-22",
            "start without Redis or etcd",
            &[Cluster, Embedded],
            "a node ends within 10 s and names what it cannot reach; started again it joins; a standalone needs neither",
            |run| cold(run).boxed_local(),
        ),
    ]
}

async fn away(run: &mut Run) -> anyhow::Result<()> {
    let fault = run.fault("etcd is away");
    etcd_of(run).kill();
    run.load_for(run.stretch(seconds(5), seconds(600))).await;
    run.nobody_lost(fault);
    run.logs_in_within(seconds(1)).await;
    let victim = run.choose(run.deployment.servers.len());
    let fault = run.fault("and a server dies");
    run.deployment.servers[victim].daemon.kill().await;
    run.load_for(seconds(5)).await;
    run.recovered(fault, millis(300), seconds(2));
    etcd_of(run).restart().await;
    run.deployment.heal().await
}

async fn emptied(run: &mut Run) -> anyhow::Result<()> {
    let fault = run.fault("etcd comes back empty");
    run.deployment
        .stores
        .as_mut()
        .expect("a cluster")
        .etcd
        .restart_empty()
        .await;
    listed_again(run, fault).await;
    run.load_for(seconds(5)).await;
    run.nobody_lost(fault);
    Ok(())
}

async fn compacted(run: &mut Run) -> anyhow::Result<()> {
    let fault = run.fault("watched revisions are compacted away");
    let refuse = |run: &Run| {
        let servers = run.deployment.servers.iter().map(|server| &server.to_etcd);
        let routes = run.deployment.routes.iter().map(|route| &route.to_etcd);
        for link in servers.chain(routes) {
            link.refuse();
            link.cut();
        }
    };
    refuse(run);
    for number in 0..100 {
        let key = STANDARD.encode(format!("/other/{number}"));
        let put = json!({"key": key, "value": key});
        etcd_of(run).ask("kv/put", &put).await;
    }
    let range = json!({"key": STANDARD.encode("/im/")});
    let now = etcd_of(run).ask("kv/range", &range).await;
    let revision = &now["header"]["revision"];
    let compact = json!({"revision": revision, "physical": true});
    etcd_of(run).ask("kv/compaction", &compact).await;
    run.load_for(seconds(2)).await;
    let servers = run.deployment.servers.iter().map(|server| &server.to_etcd);
    servers.for_each(im_tests::proxy::Proxy::heal);
    let routes = run.deployment.routes.iter().map(|route| &route.to_etcd);
    routes.for_each(im_tests::proxy::Proxy::heal);
    let before = run.deployment.routes[0].to_etcd.taken();
    run.load_for(seconds(8)).await;
    let dials = run.deployment.routes[0].to_etcd.taken() - before;
    run.note(format!("a route dialled etcd {dials} times in 8 s"));
    run.check(dials <= DIALS_MAX, format!("{dials} dials in 8 s"));
    run.nobody_lost(fault);
    Ok(())
}

async fn revoked(run: &mut Run) -> anyhow::Result<()> {
    let fault = run.fault("all leases are lost");
    let leases = etcd_of(run).ask("lease/leases", &json!({})).await;
    let leases = leases["leases"].as_array().cloned().unwrap_or_default();
    run.check(leases.len() >= 5, format!("only {} leases", leases.len()));
    for lease in leases {
        etcd_of(run).ask("lease/revoke", &lease).await;
    }
    listed_again(run, fault).await;
    run.load_for(seconds(5)).await;
    run.nobody_lost(fault);
    Ok(())
}

async fn cold(run: &mut Run) -> anyhow::Result<()> {
    if run.profile() == Embedded {
        run.fault("restart the standalone");
        let standalone = run.deployment.standalone.as_mut().expect("this profile");
        standalone.daemon.restart().await?;
        run.load_for(seconds(2)).await;
        return Ok(());
    }
    // What a node says when it ends in this.
    run.expect_error("cannot reach");
    run.expect_error("ended by itself: exit status: 1");
    run.fault("a route starts without Redis");
    run.deployment.routes[0].daemon.kill().await;
    redis_kill(run);
    gives_up(run).await?;
    run.deployment
        .stores
        .as_mut()
        .expect("a cluster")
        .redis()
        .restart()
        .await;
    run.deployment.routes[0].daemon.start().await?;
    run.fault("a route starts without etcd");
    run.deployment.routes[0].daemon.kill().await;
    etcd_of(run).kill();
    gives_up(run).await?;
    run.deployment
        .stores
        .as_mut()
        .expect("a cluster")
        .etcd
        .restart()
        .await;
    run.deployment.routes[0].daemon.start().await
}

/// The first route ends by itself and says why.
async fn gives_up(run: &mut Run) -> anyhow::Result<()> {
    let began = Instant::now();
    let daemon = &mut run.deployment.routes[0].daemon;
    daemon.launch()?;
    let is_ready = daemon.ready(seconds(15)).await.is_ok();
    let has_ended = daemon.ended_unasked().is_some();
    let said = std::fs::read_to_string(&daemon.log)?;
    let says_why = said
        .lines()
        .rev()
        .take(3)
        .any(|line| line.contains("cannot reach"));
    run.check(!is_ready && has_ended, "it did not end");
    run.check(says_why, "it did not say what it cannot reach");
    run.bound("gave up", began.elapsed(), seconds(10));
    Ok(())
}

/// Until as many keys are there again as there are nodes.
async fn listed_again(run: &mut Run, fault: Instant) {
    let nodes = run.deployment.daemons().count() as u64;
    let range = json!({
        "key": STANDARD.encode("/im/"),
        "range_end": STANDARD.encode("/im0"),
        "count_only": true,
    });
    loop {
        let answer = etcd_of(run).ask("kv/range", &range).await;
        let listed = answer["count"]
            .as_str()
            .and_then(|count| count.parse().ok());
        if listed == Some(nodes) || fault.elapsed() > 2 * ANNOUNCED_WITHIN {
            return run.bound("all listed again", fault.elapsed(), ANNOUNCED_WITHIN);
        }
        run.load_for(millis(100)).await;
    }
}

fn etcd_of(run: &mut Run) -> &mut im_tests::services::Etcd {
    &mut run.deployment.stores.as_mut().expect("a cluster").etcd
}

fn redis_kill(run: &mut Run) {
    run.deployment
        .stores
        .as_mut()
        .expect("a cluster")
        .redis()
        .kill();
}
