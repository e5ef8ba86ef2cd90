//! Wall clocks that are wrong, on single nodes.

use std::path::PathBuf;
use std::time::Duration;

use futures::FutureExt as _;
use im_tests::deployment::Daemon;
use im_tests::deployment::Profile::{Cluster, Embedded};

use super::seconds;
use crate::catalogue::Scenario;
use crate::run::Run;
use crate::runner::CannotTry;

pub(crate) fn table() -> Vec<Scenario> {
    vec![Scenario::new(
        "F-40",
        "wall clocks an hour off, and back",
        &[Cluster, Embedded],
        "everybody is attached within 15 s after each step",
        |run| wrong(run).boxed_local(),
    )]
}

async fn wrong(run: &mut Run) -> anyhow::Result<()> {
    let library = library()?;
    for (server, route) in [
        ("+1h", "-1h"),
        ("-1h", "+1h"),
        ("+50s", "-50s"),
        ("+0", "+0"),
    ] {
        run.fault(&format!("a server's clock is {server}, a route's {route}"));
        if let Some(standalone) = run.deployment.standalone.as_mut() {
            set_clock(&mut standalone.daemon, &library, server).await?;
        } else {
            set_clock(&mut run.deployment.servers[0].daemon, &library, server).await?;
            set_clock(&mut run.deployment.routes[0].daemon, &library, route).await?;
        }
        let is_whole = run.all_attached(seconds(15)).await;
        if !is_whole {
            let away = run.load.actors().iter().find(|actor| !actor.is_attached());
            let state = away.map(|actor| actor.state().borrow().clone());
            run.check(false, format!("at {server}, {route} somebody is {state:?}"));
        }
        run.load_for(Duration::from_secs(4)).await;
    }
    Ok(())
}

/// The clock is read where the program is linked to the C library; the monotonic one stays true.
async fn set_clock(daemon: &mut Daemon, library: &str, offset: &str) -> anyhow::Result<()> {
    let variables = [
        ("LD_PRELOAD", library),
        ("FAKETIME", offset),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
    ];
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    daemon.variables = variables.map(own).into();
    daemon.restart().await
}

fn library() -> anyhow::Result<String> {
    let folders = std::fs::read_dir("/usr/lib")?.flatten();
    let candidates = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    let found = candidates.into_iter().find(|path: &PathBuf| path.exists());
    match found {
        Some(path) => Ok(path.display().to_string()),
        None => Err(CannotTry("Debian's package faketime is not installed".to_owned()).into()),
    }
}
