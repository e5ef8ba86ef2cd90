//! What must hold after every scenario, whatever happened in it.

use std::collections::BTreeSet;
use std::time::Duration;

use im_common::id::{DeviceId, UserId};
use im_tests::http::Http;
use tokio::time::{interval, timeout};

use crate::patience;
use crate::world::{Who, World};

/// Everything is well again: what was late comes with the next sweep (at most every 1.5 s, and a
/// message that failed often waits up to half a minute), sessions with the next renewal.
const SETTLES_WITHIN: Duration = Duration::from_secs(60);
/// A closed connection is detached at once, and a list is asked for anew.
const CONVERGES_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Heals everything, brings everybody back and holds the world against the invariants. What is
/// wrong is returned; otherwise a line about the history.
pub(crate) async fn check(world: &mut World) -> Result<String, Vec<String>> {
    let mut wrong = look_into_history(world).await?;
    let verdict = world.history.verdict();
    for (what, holds) in [
        ("everybody's state tells the truth", states(world).await),
        (
            "each device has one session and nobody else has",
            sessions(world).await,
        ),
        (
            "the list of users online is who is attached",
            only_these_are_there(world, &world.everybody()).await,
        ),
    ] {
        if let Err(found) = holds {
            wrong.push(format!("not so: {what}: {found}"));
        }
    }
    if wrong.is_empty() {
        return Ok(format!(
            "{} accepted, {} handled",
            verdict.accepted, verdict.handled
        ));
    }
    Err(wrong)
}

/// Heals everything, brings everybody back and returns what the history has against the world.
///
/// # Errors
/// Somebody is locked out.
pub(crate) async fn look_into_history(world: &mut World) -> Result<Vec<String>, Vec<String>> {
    world.heal().await;
    everybody_gets_in(world)
        .await
        .map_err(|wrong| vec![wrong])?;
    let settled = world.history.settle(patience::of(SETTLES_WITHIN)).await;
    let violations = world.history.verdict().violations;
    let mut wrong: Vec<String> = violations.iter().map(ToString::to_string).collect();
    if !settled {
        wrong.push("the history does not settle".to_owned());
    }
    Ok(wrong)
}

/// Nobody is ever locked out: who is not attached now logs in.
async fn everybody_gets_in(world: &mut World) -> Result<(), String> {
    for who in world.everybody() {
        if world[who].has_ended() {
            world.abandon(&[who]).await;
            if let Err(error) = world[who].attach().await {
                return Err(format!("not so: {} gets in: {error}", world[who].name()));
            }
        }
    }
    Ok(())
}

async fn states(world: &World) -> Result<(), String> {
    let waiting = || {
        let all = world.everybody().into_iter();
        let waiting = all.filter(|who| !world[*who].is_attached());
        waiting
            .map(|who| world[who].name().to_string())
            .collect::<Vec<_>>()
    };
    converge(async || match waiting() {
        missing if missing.is_empty() => Ok(()),
        missing => Err(format!("not attached: {missing:?}")),
    })
    .await
}

async fn sessions(world: &World) -> Result<(), String> {
    let backend = world.cluster.backend().await;
    let device = |who: &Who| (world[*who].user(), world[*who].device().clone());
    let mut expected: Vec<(UserId, DeviceId)> = world.everybody().iter().map(device).collect();
    expected.sort_unstable();
    let users = world.users();
    converge(async || {
        let located = backend.sessions.locate(&users).await;
        let located = located.map_err(|error| error.to_string())?;
        let mut held: Vec<_> = located
            .iter()
            .map(|session| (session.user, session.device.clone()))
            .collect();
        held.sort_unstable();
        let connections: usize = world
            .cluster
            .servers()
            .iter()
            .map(|server| server.connections.count())
            .sum();
        if held == expected && connections == expected.len() {
            return Ok(());
        }
        let (held, expected_count) = (held.len(), expected.len());
        Err(format!(
            "{held} sessions and {connections} connections of {expected_count} devices"
        ))
    })
    .await
}

/// Whether each route lists just these as online, within a moment.
pub(crate) async fn only_these_are_there(world: &World, who: &[Who]) -> Result<(), String> {
    let Some(first) = who.first() else {
        return Ok(());
    };
    let asking = world[*first].name().to_string();
    let names = who.iter().map(|who| world[*who].name().to_string());
    let expected: BTreeSet<String> = names.collect();
    for url in world.cluster.urls(0) {
        // A device of its own, which never attaches.
        let http = Http::log_in(&url, &asking, "observer").await;
        let look = async || {
            let seen = online(&http).await;
            if seen == expected {
                return Ok(());
            }
            let missing: Vec<_> = expected.difference(&seen).take(5).collect();
            let ghosts: Vec<_> = seen.difference(&expected).take(5).collect();
            Err(format!("{url} misses {missing:?} and lists {ghosts:?}"))
        };
        converge(look).await?;
    }
    Ok(())
}

async fn online(http: &Http) -> BTreeSet<String> {
    let (_, page) = http.get("/v1/users/online?limit=1000").await;
    let users = page["users"].as_array().cloned().unwrap_or_default();
    let name = |user: &serde_json::Value| user["name"].as_str().map(str::to_owned);
    users.iter().filter_map(name).collect()
}

/// Looks again until it holds; what was wrong last is the answer when it never does.
async fn converge(look: impl AsyncFn() -> Result<(), String>) -> Result<(), String> {
    let mut last = Ok(());
    let mut ticks = interval(LOOK_EVERY);
    let held = async {
        loop {
            ticks.tick().await;
            last = look().await;
            if last.is_ok() {
                return;
            }
        }
    };
    timeout(patience::of(CONVERGES_WITHIN), held).await.ok();
    last
}
