//! Redis that dies, forgets, slows down or fills up.

use futures::FutureExt as _;
use im_tests::deployment::Profile::{Cluster, Embedded, RedisCluster};
use im_tests::proxy::{Flow, Flows};
use redis::{Cmd, Value};
use tokio::time::Instant;

use super::{millis, seconds};
use crate::catalogue::Scenario;
use crate::run::Run;

/// Renewals put back what Redis forgot: every four seconds, and a moment to read.
const RENEWED_WITHIN: std::time::Duration = seconds(5);

pub(crate) fn table() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "F-12",
            "kill -9 Redis, and start it again",
            &[Cluster, RedisCluster],
            "nobody loses a connection; login <= 2 s once it is back, 4 s with a Redis Cluster",
            |run| killed(run).boxed_local(),
        ),
        Scenario::new(
            "F-13",
            "Redis forgets every session",
            &[Cluster],
            "put back and delivered within 5 s; nobody loses a connection (accounts and logs are in the same Redis: losing those is F-15)",
            |run| sessions_forgotten(run).boxed_local(),
        ),
        Scenario::new(
            "F-14",
            "Redis is away for long",
            &[Cluster],
            "nobody loses a connection; no process beyond 512 MiB; login <= 2 s once it is back",
            |run| away(run).boxed_local(),
        ),
        Scenario::new(
            "F-15",
            "Redis comes back without its last writes",
            &[Cluster],
            "no number is given twice; what was accepted is there again",
            |run| behind(run).boxed_local(),
        ),
        Scenario::new(
            "F-16",
            "Redis is slow, then hangs",
            &[Cluster],
            "nobody loses a connection; no process beyond 512 MiB",
            |run| slow(run).boxed_local(),
        ),
        Scenario::new(
            "F-17",
            "Redis is full; a key is of the wrong type",
            &[Cluster],
            "a clear refusal, no crash; others go on",
            |run| full(run).boxed_local(),
        ),
    ]
}

async fn killed(run: &mut Run) -> anyhow::Result<()> {
    let fault = run.fault("kill -9 Redis");
    let node = run.choose(3);
    let stores = run.deployment.stores.as_mut().expect("a cluster");
    let redis = match &mut stores.redis_cluster {
        Some(cluster) => cluster.node(node),
        None => stores.redis.as_mut().expect("one or the other"),
    };
    redis.kill();
    tokio::time::sleep(seconds(3)).await;
    redis.restart().await;
    run.fault("it is back");
    let bound = match run.profile() {
        // Its masters have to agree first that the one that was away is back.
        RedisCluster => seconds(4),
        Cluster | Embedded => seconds(2),
    };
    run.logs_in_within(bound).await;
    run.load_for(seconds(3)).await;
    run.nobody_lost(fault);
    Ok(())
}

async fn sessions_forgotten(run: &mut Run) -> anyhow::Result<()> {
    let fault = run.fault("Redis forgets every session");
    let keys = command(run, redis::cmd("KEYS").arg("im:{u*}:sessions")).await;
    let keys: Vec<String> = redis::from_redis_value(keys)?;
    run.check(!keys.is_empty(), "there was no session to forget");
    command(run, redis::cmd("DEL").arg(&keys)).await;
    run.load_for(seconds(2)).await;
    run.load.stop();
    let is_delivered = run.history.settle(seconds(60)).await;
    run.check(is_delivered, "not delivered");
    run.bound("delivered", fault.elapsed(), RENEWED_WITHIN);
    run.nobody_lost(fault);
    Ok(())
}

async fn away(run: &mut Run) -> anyhow::Result<()> {
    let fault = run.fault("Redis is away");
    redis_of(run).kill();
    run.load_for(run.stretch(seconds(12), seconds(600))).await;
    run.nobody_lost(fault);
    run.check_memory(512);
    redis_of(run).restart().await;
    run.fault("it is back");
    run.logs_in_within(seconds(2)).await;
    run.load_for(seconds(3)).await;
    Ok(())
}

async fn behind(run: &mut Run) -> anyhow::Result<()> {
    let copy = redis_of(run).save_disk();
    run.load_for(seconds(3)).await;
    run.fault("Redis comes back without its last writes");
    redis_of(run).lose_what_came_after(copy).await;
    run.load_for(seconds(8)).await;
    Ok(())
}

async fn slow(run: &mut Run) -> anyhow::Result<()> {
    let fault = run.fault("Redis answers half a second late");
    delay_redis(run, Flow::delayed(millis(500), millis(100)));
    run.load_for(seconds(4)).await;
    run.accepted_within(seconds(4));
    run.fault("Redis answers later than anybody waits");
    delay_redis(run, Flow::delayed(millis(2500), millis(0)));
    run.load_for(seconds(4)).await;
    delay_redis(run, Flow::default());
    run.fault("Redis hangs for 3 s");
    redis_of(run).pause();
    run.load_for(seconds(3)).await;
    redis_of(run).resume();
    run.load_for(seconds(3)).await;
    run.nobody_lost(fault);
    run.check_memory(512);
    Ok(())
}

async fn full(run: &mut Run) -> anyhow::Result<()> {
    let fault = run.fault("Redis is full");
    command(run, redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(1)).await;
    run.load_for(seconds(3)).await;
    command(run, redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(0)).await;
    run.load_for(seconds(2)).await;
    run.nobody_lost(fault);
    run.fault("a key is of the wrong type");
    let user = run.choose(run.load.actors().len());
    let key = format!("im:{{u{}}}:sessions", run.load.actors()[user].user());
    command(run, redis::cmd("SET").arg(&key).arg("not a hash")).await;
    let began = Instant::now();
    let refused = run.log_in(user, "unlucky", seconds(3)).await.err();
    run.check(refused.is_some(), "attached without a session");
    run.note(format!("{refused:?} after {:.1?}", began.elapsed()));
    let other = (user + 1) % run.load.actors().len();
    let others = run.log_in(other, "lucky", seconds(3)).await;
    run.check(others.is_ok(), "another user cannot log in");
    command(run, redis::cmd("DEL").arg(&key)).await;
    run.load_for(seconds(1)).await;
    Ok(())
}

fn redis_of(run: &mut Run) -> &mut im_tests::services::Redis {
    run.deployment.stores.as_mut().expect("a cluster").redis()
}

fn delay_redis(run: &Run, flow: Flow) {
    for route in &run.deployment.routes {
        let link = route
            .to_redis
            .as_ref()
            .expect("one Redis is behind a proxy");
        link.set(Flows {
            down: flow,
            ..Flows::default()
        });
    }
}

async fn command(run: &mut Run, command: &Cmd) -> Value {
    redis_of(run).command(command).await
}
