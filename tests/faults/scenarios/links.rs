//! Ways between clients and servers that break, stall, slow down and garble.

use futures::FutureExt as _;
use im_tests::deployment::Daemon;
use im_tests::deployment::Profile::{Cluster, Embedded};
use im_tests::dice::Dice;
use im_tests::proxy::{Flow, Flows, Proxy};

use tokio::time::Instant;

use super::{millis, seconds};
use crate::catalogue::Scenario;
use crate::run::Run;

/// A text that fills queues soon.
const LARGE_BYTES: usize = 16 * 1024;
/// What a server keeps for a connection that does not read, and as much again in buffers.
const QUEUE_MIB: u64 = 2;

pub(crate) fn table() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "F-25",
            "half-open connections of clients",
            &[Cluster],
            "clients elsewhere p99 <= 15 s",
            |run| half_open(run).boxed_local(),
        ),
        Scenario::new(
            "F-26",
            "bytes arrive in one direction only, then in the other only",
            &[Cluster],
            "clients elsewhere p99 <= 9 s each, with pings after 2 s",
            |run| one_way(run).boxed_local(),
        )
        .shaped(|plan| {
            let quick = ["--ping-after=2s", "--pong-within=1s"];
            plan.server_options.extend(quick.map(str::to_owned));
        }),
        Scenario::new(
            "F-27",
            "half a second of latency, jitter, single bytes",
            &[Cluster, Embedded],
            "nobody loses a connection",
            |run| slow_and_sliced(run).boxed_local(),
        ),
        Scenario::new(
            "F-28",
            "half of all connections are reset, again and again",
            &[Cluster, Embedded],
            "recovery p99 <= 5 s; descriptors as before",
            |run| reset_storm(run).boxed_local(),
        ),
        Scenario::new(
            "F-29",
            "clients with 8 kB/s",
            &[Cluster],
            "no server beyond its queues; accepted p99 <= 1 s; they catch up",
            |run| narrow(run).boxed_local(),
        ),
        Scenario::new(
            "F-30",
            "a third of the clients read nothing",
            &[Cluster],
            "no server beyond its queues; accepted p99 <= 1 s; they catch up",
            |run| never_read(run).boxed_local(),
        ),
        Scenario::new(
            "F-35",
            "all clients reconnect at once (scaled: as many as the load has)",
            &[Cluster, Embedded],
            "all back p99 <= 5 s",
            |run| all_at_once(run).boxed_local(),
        ),
        Scenario::new(
            "F-38",
            "connections break between commit and answer",
            &[Cluster, Embedded],
            "one copy of each",
            |run| answers_lost(run).boxed_local(),
        ),
    ]
}

async fn half_open(run: &mut Run) -> anyhow::Result<()> {
    let victim = run.choose(run.deployment.client_links().len());
    let fault = run.fault("half-open connections");
    set(run, victim, Flows::both(Flow::swallowed()));
    run.load_for(seconds(17)).await;
    run.recovered(fault, seconds(13), seconds(15));
    mend(run, victim);
    run.load_for(seconds(1)).await;
    Ok(())
}

async fn one_way(run: &mut Run) -> anyhow::Result<()> {
    for direction in ["up", "down"] {
        let victim = run.choose(run.deployment.client_links().len());
        let fault = run.fault(&format!("nothing arrives {direction}"));
        let lost = Flow::swallowed();
        let flows = match direction {
            "up" => Flows {
                up: lost,
                ..Flows::default()
            },
            _ => Flows {
                down: lost,
                ..Flows::default()
            },
        };
        set(run, victim, flows);
        run.load_for(seconds(10)).await;
        run.recovered(fault, seconds(9), seconds(9));
        mend(run, victim);
        run.load_for(seconds(1)).await;
    }
    Ok(())
}

async fn slow_and_sliced(run: &mut Run) -> anyhow::Result<()> {
    let fault = run.fault("latency, jitter and single bytes");
    let late = Flow::delayed(millis(500), millis(200));
    for link in run.deployment.client_links() {
        link.set(Flows::both(late));
    }
    // Single bytes cost a system call each, on both sides: on one way they say enough.
    set(
        run,
        0,
        Flows {
            up: late.sliced(),
            down: late,
        },
    );
    run.load_for(seconds(8)).await;
    run.nobody_lost(fault);
    run.accepted_within(seconds(4));
    Ok(())
}

async fn reset_storm(run: &mut Run) -> anyhow::Result<()> {
    let before = descriptors(run);
    let (rounds, pause) = if run.options.long {
        (6, seconds(10))
    } else {
        (5, seconds(2))
    };
    let mut dice = Dice::new(run.dice.roll());
    let mut fault = run.fault("half of all connections are reset");
    for _ in 0..rounds {
        fault = run.fault("half of all connections are reset");
        for link in run.deployment.client_links() {
            link.cut_where(|_| dice.percent(50));
        }
        run.load_for(pause).await;
    }
    run.load_for(seconds(3)).await;
    run.recovered(fault, seconds(2), seconds(5));
    // Pools of connections between nodes grow under the storm, and shrink when they idle.
    let most = before + before / 5 + 50;
    let calm = Instant::now();
    while descriptors(run) > most && calm.elapsed() < seconds(20) {
        run.load_for(millis(200)).await;
    }
    let after = descriptors(run);
    run.note(format!("descriptors: {before} before, {after} after"));
    let each = each_descriptors(run);
    run.check(
        after <= most,
        format!("{before} became {after} descriptors: {each}"),
    );
    Ok(())
}

async fn narrow(run: &mut Run) -> anyhow::Result<()> {
    crowd(run, Flow::slow(8000), seconds(8)).await
}

async fn never_read(run: &mut Run) -> anyhow::Result<()> {
    crowd(run, Flow::stalled(), seconds(14)).await
}

/// Large messages to everybody, while one server's clients hardly read.
async fn crowd(run: &mut Run, down: Flow, time: std::time::Duration) -> anyhow::Result<()> {
    let victim = run.choose(run.deployment.client_links().len());
    let clients = run.deployment.client_links()[victim].links() as u64;
    let memory = memory_of(run, victim);
    let slow = run.users_on(victim);
    run.fault("a third of the clients hardly read");
    set(
        run,
        victim,
        Flows {
            down,
            ..Flows::default()
        },
    );
    let rounds = u32::try_from(time.as_millis() / 250)?;
    for round in 0..rounds as usize {
        let authors = run.load.actors();
        let author = &authors[round % authors.len()];
        author.send_padded(im_common::message::Recipient::Lobby, LARGE_BYTES);
        run.load_for(millis(250)).await;
    }
    let grown = memory_of(run, victim).saturating_sub(memory);
    run.note(format!("{clients} clients hardly read: {grown} MiB more"));
    let most = clients * QUEUE_MIB + 32;
    run.check(grown <= most, format!("{grown} MiB more > {most} MiB"));
    // Theirs are answered as slowly as they read.
    run.others_accepted_within(&slow, seconds(1));
    Ok(())
}

async fn all_at_once(run: &mut Run) -> anyhow::Result<()> {
    let fault = run.fault("all connections are reset");
    run.deployment.client_links().into_iter().for_each(|link| {
        link.cut();
    });
    run.load_for(seconds(6)).await;
    let lost = run.lost(fault);
    run.check(
        lost == run.load.actors().len(),
        format!("only {lost} noticed"),
    );
    run.recovered(fault, seconds(2), seconds(5));
    Ok(())
}

/// What is stored meanwhile is never answered: everything is offered again elsewhere.
async fn answers_lost(run: &mut Run) -> anyhow::Result<()> {
    let rounds = if run.options.long { 40 } else { 10 };
    for _ in 0..rounds {
        run.fault("no answer arrives, then the connection breaks");
        for link in run.deployment.client_links() {
            link.set(Flows {
                down: Flow::swallowed(),
                ..Flows::default()
            });
        }
        for (number, actor) in run.load.actors().iter().enumerate() {
            let peer = &run.load.actors()[(number + 1) % run.load.actors().len()];
            actor.send(im_common::message::Recipient::User(peer.user()));
        }
        run.load_for(millis(300)).await;
        for link in run.deployment.client_links() {
            link.cut();
            link.heal();
        }
        run.load_for(millis(700)).await;
    }
    Ok(())
}

fn set(run: &Run, link: usize, flows: Flows) {
    run.deployment.client_links()[link].set(flows);
}

/// Bytes were lost: what is open is beyond repair.
fn mend(run: &Run, link: usize) {
    let link: &Proxy = run.deployment.client_links()[link];
    link.cut();
    link.heal();
}

fn descriptors(run: &Run) -> usize {
    let figures = run.deployment.daemons().filter_map(Daemon::figures);
    figures.map(|figures| figures.fds).sum()
}

fn each_descriptors(run: &Run) -> String {
    let each = run.deployment.daemons().filter_map(|daemon| {
        let fds = daemon.figures()?.fds;
        Some(format!("{} {fds}", daemon.name))
    });
    each.collect::<Vec<_>>().join(", ")
}

/// Resident memory in MiB of the server behind a link.
fn memory_of(run: &Run, link: usize) -> u64 {
    let figures = run.deployment.servers[link].daemon.figures();
    figures.map_or(0, |figures| figures.rss_bytes >> 20)
}
