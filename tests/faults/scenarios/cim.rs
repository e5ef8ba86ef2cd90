//! Users of CIM among the others.

use std::collections::HashSet;
use std::time::Duration;

use futures::FutureExt as _;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use im_tests::cim::{CimRoute, Habits, code};
use im_tests::deployment::CimPorts;
use im_tests::deployment::Profile::{Cluster, Embedded};
use tokio::time::{Instant, sleep};

use super::seconds;
use crate::catalogue::Scenario;
use crate::guests::{Guests, LOGINS_AT_ONCE};
use crate::run::Run;

/// The drain that the scenario asks for, and a moment to end.
const DRAIN_WITHIN: Duration = seconds(10);
/// The SDK's pause before it logs in again, and then some.
const BACK_WITHIN: Duration = seconds(30);
/// How often the list of who is online is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(crate) fn table() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "C-01",
            "as many users of CIM as of our client chat while servers are restarted",
            &[Cluster, Embedded],
            "nothing lost, doubled, out of order or under another name; all are back, and listed",
            |run| restarted(run).boxed_local(),
        )
        .shaped(|plan| {
            plan.cim = Some(CimPorts::Free);
            plan.server_options.push("--drain=4s".to_owned());
        }),
    ]
}

async fn restarted(run: &mut Run) -> anyhow::Result<()> {
    let habits = if run.options.long {
        Habits::SDK
    } else {
        Habits::BRISK
    };
    let (urls, count) = (run.deployment.cim_urls(), run.options.users);
    let mut guests = Guests::gather(&run.history, &urls, count, habits).await;
    guests.start(&run.load.shared(), run.options.rate, &mut run.dice);
    let until = Instant::now() + run.stretch(seconds(8), seconds(60));
    let mut turn = 0;
    while Instant::now() < until {
        run.load_for(seconds(2)).await;
        run.fault("restart a server");
        let status = restart(run, turn).await?;
        run.check(status.success(), format!("a server ended with {status}"));
        turn += 1;
    }
    run.load_for(seconds(2)).await;
    guests.stop().await?;
    let missing = guests.missing(BACK_WITHIN).await;
    run.check(missing == 0, format!("{missing} guests are not connected"));
    let are_back = run.all_attached(BACK_WITHIN).await;
    run.check(are_back, "not everybody else is attached");
    check_listed(run, &guests, &urls[0]).await?;
    let ports = run.deployment.plan.cim.expect("the plan lets them in");
    run.note(format!("{turn} restarts, {count} guests on {ports}"));
    run.guests = Some(guests);
    Ok(())
}

/// One server after another, or the standalone.
async fn restart(run: &mut Run, turn: usize) -> anyhow::Result<std::process::ExitStatus> {
    let count = run.deployment.servers.len();
    let daemon = match run.deployment.standalone.as_mut() {
        Some(standalone) => &mut standalone.daemon,
        None => &mut run.deployment.servers[turn % count].daemon,
    };
    let status = daemon.stop(DRAIN_WITHIN).await?;
    daemon.start().await?;
    Ok(status)
}

/// Everybody is online for CIM's clients too, and no guest can log in a second time.
async fn check_listed(run: &mut Run, guests: &Guests, url: &str) -> anyhow::Result<()> {
    let route = CimRoute::new(url);
    let natives = run.load.shared();
    let names = guests.all().iter().map(|guest| &guest.account().user_name);
    let expected: HashSet<String> = names
        .cloned()
        .chain(natives.iter().map(|actor| actor.name().to_string()))
        .collect();
    let unlisted = unlisted(&route, &expected).await?;
    run.check(unlisted.is_empty(), format!("not listed: {unlisted:?}"));
    let seconds = guests.all().iter().map(async |guest| {
        let account = guest.account();
        let second = route.log_in(account).await?.code;
        anyhow::Ok((&account.user_name, second))
    });
    let seconds = stream::iter(seconds).buffer_unordered(LOGINS_AT_ONCE);
    for (name, second) in seconds.try_collect::<Vec<_>>().await? {
        run.check(
            second == code::REPEAT_LOGIN,
            format!("{name} logs in a second time: {second}"),
        );
    }
    Ok(())
}

/// Who of these is not in the list in time. There is no answer to a login frame: a client that has
/// just written it may not be listed yet.
async fn unlisted(route: &CimRoute, expected: &HashSet<String>) -> anyhow::Result<HashSet<String>> {
    let deadline = Instant::now() + BACK_WITHIN;
    loop {
        let online = route.online().await?.body.unwrap_or_default();
        let online: HashSet<String> = online.into_iter().map(|user| user.user_name).collect();
        let unlisted: HashSet<String> = expected.difference(&online).cloned().collect();
        if unlisted.is_empty() || Instant::now() >= deadline {
            return Ok(unlisted);
        }
        sleep(LOOK_EVERY).await;
    }
}
