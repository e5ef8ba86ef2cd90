//! Logins that compete, that follow a death, that fail half-way; servers that are full.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::join_all;
use im_client::{Client, ConnectionState};
use im_tests::deployment::Profile::{Cluster, Embedded};
use tokio::time::Instant;

use super::{millis, seconds};
use crate::catalogue::Scenario;
use crate::run::Run;

/// Logins at the same moment.
const RIVALS: usize = 100;
/// How long rivals may take until one is left.
const DECIDED_WITHIN: Duration = seconds(10);

pub(crate) fn table() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "F-08",
            "every server is full",
            &[Cluster],
            "further clients are refused with a code and attach within 5 s once there is room",
            |run| full(run).boxed_local(),
        )
        .shaped(|plan| {
            plan.server_options
                .push(format!("--connections-max={FULL}"));
        }),
        Scenario::new(
            "F-32",
            "100 logins of one device at the same moment",
            &[Cluster, Embedded],
            "one is left within 10 s, the others are told; the next login works",
            |run| rivals(run).boxed_local(),
        ),
        Scenario::new(
            "F-33",
            "log in while the old session is on a dead server",
            &[Cluster],
            "attached within 1 s",
            |run| after_death(run).boxed_local(),
        ),
        Scenario::new(
            "F-34",
            "logged in, but no server can be reached",
            &[Cluster, Embedded],
            "the next login attaches within 1 s",
            |run| unreachable(run).boxed_local(),
        ),
    ]
}

/// Connections that each server of F-08 takes: for the standard load, two of three servers.
const FULL: usize = 110;

async fn full(run: &mut Run) -> anyhow::Result<()> {
    let users = run.load.actors().len();
    run.fault("every server is full");
    let mut more = Vec::new();
    // Whoever still finds a place fills it.
    let last = loop {
        let within = seconds(5);
        match run
            .log_in(more.len() % users, &format!("more-{}", more.len()), within)
            .await
        {
            Ok(client) => more.push(client),
            Err(error) => break error,
        }
    };
    let total = users + more.len();
    run.note(format!(
        "{total} clients attached, the next: {last} ({:?})",
        last.code()
    ));
    run.check(total >= 3 * FULL - 3, format!("full at {total}"));
    run.check(
        last.is_retryable(),
        format!("not to be tried again: {last}"),
    );
    let began = Instant::now();
    join_all(more.iter().map(Client::close)).await;
    let attached = run.log_in(0, "at-last", seconds(5)).await;
    run.check(attached.is_ok(), "no place although there is room");
    run.bound("a place", began.elapsed(), seconds(5));
    Ok(())
}

async fn rivals(run: &mut Run) -> anyhow::Result<()> {
    let user = run.choose(run.load.actors().len());
    run.fault("100 logins of one device");
    let run_ref: &Run = run;
    let attempts = (0..RIVALS).map(|_| run_ref.log_in(user, "contested", seconds(20)));
    let outcomes = join_all(attempts).await;
    let refused = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    let clients: Vec<Client> = outcomes.into_iter().flatten().collect();
    let decided = Instant::now();
    let is_over = |client: &&Client| client.state().borrow().is_final();
    while clients.iter().filter(is_over).count() + 1 < clients.len()
        && decided.elapsed() < DECIDED_WITHIN
    {
        run.load_for(millis(50)).await;
    }
    let states: Vec<ConnectionState> = clients
        .iter()
        .map(|client| client.state().borrow().clone())
        .collect();
    let attached = states.iter().filter(|state| state.is_attached()).count();
    run.note(format!(
        "{refused} failed to log in, {attached} of {} attached",
        states.len()
    ));
    run.check(attached == 1, format!("{attached} attached: {states:?}"));
    run.bound("decided", decided.elapsed(), DECIDED_WITHIN);
    let next = run.log_in(user, "contested", seconds(5)).await;
    run.check(next.is_ok(), "the next login fails");
    Ok(())
}

async fn after_death(run: &mut Run) -> anyhow::Result<()> {
    let user = run.choose(run.load.actors().len());
    let client = run.log_in(user, "moving", seconds(5)).await?;
    let state = client.state().borrow().clone();
    let Some(server) = state.server() else {
        anyhow::bail!("not attached: {state:?}");
    };
    let victim = run.deployment.server_by_id(&server.to_string());
    let victim = victim.ok_or_else(|| anyhow::anyhow!("no log tells of {server}"))?;
    // The program dies with the server: nobody says goodbye for it.
    drop(client);
    run.fault("kill -9 a server, then log in at once");
    run.deployment.servers[victim].daemon.kill().await;
    let began = Instant::now();
    let again = run.log_in(user, "moving", seconds(10)).await;
    run.check(again.is_ok(), "cannot log in");
    run.bound("login", began.elapsed(), seconds(1));
    run.load_for(seconds(3)).await;
    Ok(())
}

async fn unreachable(run: &mut Run) -> anyhow::Result<()> {
    let user = run.choose(run.load.actors().len());
    run.fault("no server can be reached");
    for link in run.deployment.client_links() {
        link.refuse();
    }
    let failed = run.log_in(user, "patient", seconds(3)).await;
    run.check(failed.is_err(), "attached to nobody");
    run.deployment.heal().await?;
    let began = Instant::now();
    let again = run.log_in(user, "patient", seconds(10)).await;
    run.check(again.is_ok(), "cannot log in");
    run.bound("login", began.elapsed(), seconds(1));
    Ok(())
}
