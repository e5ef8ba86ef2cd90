//! `kill -9` at any moment loses nothing that was accepted.
//!
//! The test runs its own binary as a child that appends and prints what was accepted, kills it,
//! and looks into the folder.

use std::collections::BTreeMap;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::*;
use crate::backend::messages::Appended;

const FOLDER: &str = "IM_TEST_KILL_FOLDER";
const THIS_CHILD: &str = "backend::embedded::tests::kill::child_appends_until_it_is_killed";
const SENDERS: u64 = 8;
const KILLS: usize = 4;

fn log_of(sender: u64) -> ConversationId {
    ConversationId::private(user(1), user(2 + sender % 3))
}

/// Does nothing unless [`kill_loses_nothing_accepted`] started it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_appends_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let backend = Backend::embedded(Some(folder.as_ref())).unwrap();
    let senders = (0..SENDERS).map(|sender| {
        let messages = Arc::clone(&backend.messages);
        async move {
            loop {
                let draft = draft(&log_of(sender), "");
                let text = draft.id.to_string();
                let outcome = messages.append(vec![Draft { text, ..draft }]).await;
                let Ok(Appended::New(receipt)) = &outcome[0] else {
                    panic!("{outcome:?}");
                };
                let (log, sequence) = (log_of(sender), receipt.position.sequence);
                println!("accepted {log} {sequence} {}", receipt.id);
            }
        }
    });
    join_all(senders).await;
}

/// Runs the child until it has accepted some more, kills it, and returns all it said.
async fn accepted_before_kill(folder: &Path, lines: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", THIS_CHILD, "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut accepted = Vec::new();
    // What is in the pipe after the kill was said before it.
    while let Some(line) = output.next_line().await.unwrap() {
        // The harness's own words may stand before the first of ours.
        if let Some((_, line)) = line.split_once("accepted ") {
            accepted.push(line.to_owned());
        }
        if accepted.len() == lines {
            child.start_kill().unwrap();
        }
    }
    assert!(accepted.len() >= lines, "the child ended by itself");
    child.wait().await.unwrap();
    accepted
}

/// Reads a whole log, page by page: from 1, without gaps, each id once.
async fn whole_log(messages: &dyn MessageStore, log: &ConversationId) -> BTreeMap<u64, String> {
    let mut texts = BTreeMap::new();
    let mut after = Sequence(0);
    loop {
        let page = messages.read(log, Range::After(after), 100).await.unwrap();
        for message in page.messages {
            assert_eq!(message.sequence, after.next());
            assert_eq!(message.id.to_string(), message.text);
            after = message.sequence;
            texts.insert(after.0, message.text);
        }
        if after == page.head {
            break;
        }
    }
    let ids: std::collections::BTreeSet<_> = texts.values().collect();
    assert_eq!(ids.len(), texts.len(), "no message twice");
    texts
}

#[tokio::test]
async fn kill_loses_nothing_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let mut accepted = Vec::new();
    for _ in 0..KILLS {
        let random = getrandom::u32().unwrap();
        let lines = 20 + usize::try_from(random % 400).unwrap();
        accepted.extend(accepted_before_kill(folder.path(), lines).await);

        let backend = Backend::embedded(Some(folder.path())).unwrap();
        let mut logs = BTreeMap::new();
        for sender in 0..3 {
            let log = log_of(sender);
            let texts = whole_log(&*backend.messages, &log).await;
            logs.insert(log.to_string(), texts);
        }
        for line in &accepted {
            let [log, sequence, id] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{line:?}");
            };
            let sequence: u64 = sequence.parse().unwrap();
            assert_eq!(
                logs[log].get(&sequence).map(String::as_str),
                Some(id),
                "{line}"
            );
        }
        let stored = logs.values().map(BTreeMap::len).sum::<usize>();
        let unsettled = backend
            .messages
            .claim_unsettled(Duration::ZERO, stored + 1)
            .await;
        assert_eq!(
            unsettled.unwrap().len(),
            stored,
            "nobody fanned out anything"
        );
    }
}
