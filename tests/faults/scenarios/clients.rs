//! Clients that stop, and clients that come back to much.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use futures::FutureExt as _;
use im_common::message::Recipient;
use im_tests::deployment::Daemon;
use im_tests::deployment::Profile::{Cluster, Embedded};
use im_tests::history::Actor;
use im_tests::user::PASSWORD;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::{millis, seconds};
use crate::catalogue::Scenario;
use crate::run::Run;

/// Backlog of the catalogue, and of a quick run.
const BACKLOG: usize = 100_000;
const BACKLOG_QUICK: usize = 5_000;
/// Messages under way at a time while it is built.
const WINDOW: usize = 500;

pub(crate) fn table() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "F-36",
            "a client is suspended, then goes on",
            &[Cluster, Embedded],
            "the first missed message within 3 s, all in order, none twice",
            |run| suspended(run).boxed_local(),
        ),
        Scenario::new(
            "F-39",
            "a client comes back to 100,000 messages (5,000 unless long)",
            &[Cluster, Embedded],
            "level within 10 s; no process beyond 512 MiB",
            |run| backlog(run).boxed_local(),
        ),
    ]
}

/// The terminal client, so that a whole process can be stopped.
async fn suspended(run: &mut Run) -> anyhow::Result<()> {
    let mut tail = tail(run)?;
    tail.start().await?;
    run.load_for(seconds(2)).await;
    run.fault("suspend a client");
    tail.signal("STOP").await?;
    run.load_for(run.stretch(seconds(20), seconds(600))).await;
    let printed = lines_of(&tail.log).len();
    tail.signal("CONT").await?;
    let began = Instant::now();
    while lines_of(&tail.log).len() <= printed && began.elapsed() < seconds(30) {
        run.load_for(millis(20)).await;
    }
    run.bound("first missed message", began.elapsed(), seconds(3));
    run.load_for(seconds(3)).await;
    run.load.stop();
    anyhow::ensure!(run.history.settle(seconds(60)).await, "not settled");
    let lobby = Recipient::Lobby;
    let newest = run.load.actors()[1]
        .client()
        .history(&lobby, None, 1)
        .await?;
    let head = newest.last().context("the lobby has messages")?.sequence.0;
    let deadline = Instant::now() + seconds(10);
    while newest_in(&tail.log) < head && Instant::now() < deadline {
        run.load_for(millis(50)).await;
    }
    let wrong = disorder(&tail.log);
    run.check(wrong.is_empty(), format!("printed out of order: {wrong:?}"));
    let level = newest_in(&tail.log);
    run.check(level == head, format!("at {level} of the lobby's {head}"));
    tail.kill().await;
    Ok(())
}

fn tail(run: &Run) -> anyhow::Result<Daemon> {
    let folder = run.deployment.folder();
    let password = folder.join("password");
    std::fs::write(&password, PASSWORD)?;
    let mut arguments = vec![
        "tail".to_owned(),
        "--json".to_owned(),
        "--no-input".to_owned(),
        "--user=user-0".to_owned(),
        "--device=tail".to_owned(),
        format!("--password-file={}", password.display()),
    ];
    arguments.extend(
        run.deployment
            .urls()
            .iter()
            .map(|url| format!("--route={url}")),
    );
    let binary = run.deployment.plan.binaries.join("im");
    Ok(Daemon::new(binary, "tail".to_owned(), folder, arguments))
}

/// Conversation and sequence of each line that the client printed.
fn lines_of(log: &Path) -> Vec<(String, u64)> {
    let printed = std::fs::read_to_string(log.with_extension("out")).unwrap_or_default();
    let lines = printed.lines().filter_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let conversation = line["conversation"].as_str()?.to_owned();
        Some((conversation, line["sequence"].as_u64()?))
    });
    lines.collect()
}

fn newest_in(log: &Path) -> u64 {
    let lobby = lines_of(log)
        .into_iter()
        .filter(|(conversation, _)| conversation == "lobby");
    lobby.map(|(_, sequence)| sequence).max().unwrap_or(0)
}

/// Lines that do not follow on the line before of their conversation.
fn disorder(log: &Path) -> Vec<(String, u64, u64)> {
    let mut last: HashMap<String, u64> = HashMap::new();
    let mut wrong = Vec::new();
    for (conversation, sequence) in lines_of(log) {
        let before = last.insert(conversation.clone(), sequence);
        if before.is_some_and(|before| before + 1 != sequence) {
            wrong.push((conversation, before.unwrap_or(0), sequence));
        }
    }
    wrong
}

async fn backlog(run: &mut Run) -> anyhow::Result<()> {
    let count = if run.options.long {
        BACKLOG
    } else {
        BACKLOG_QUICK
    };
    let urls = run.deployment.urls();
    let mut late = Actor::join(&run.history, &urls, "late").await;
    late.close().await;
    run.load.stop();
    run.fault("a backlog grows");
    let window = Arc::new(Semaphore::new(WINDOW));
    let authors = run.load.actors();
    for number in 0..count {
        let author = &authors[number % authors.len()];
        author
            .send_within(&window, Recipient::User(late.user()))
            .await;
    }
    // All places free: all ended.
    let places = u32::try_from(WINDOW)?;
    drop(window.acquire_many(places).await?);
    run.fault("and its reader comes back");
    let began = Instant::now();
    late.attach().await?;
    let is_level = run.history.settle(seconds(60)).await;
    run.check(is_level, "not level");
    run.bound("level", began.elapsed(), seconds(10));
    run.check_memory(512);
    late.close().await;
    late.retire();
    Ok(())
}
