mod logs;
mod searching;
mod trouble;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use im_common::id::{ConversationId, LogEpoch, Sequence};
use tempfile::TempDir;

use super::database::Database;
use super::*;
use crate::cli::fixture::{self, reader, user};

/// A folder with an archive in it.
struct Scene {
    folder: TempDir,
}

impl Scene {
    fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("a.db")
    }

    fn open(&self) -> Archive {
        Archive::open(&self.path()).unwrap()
    }

    fn files(&self) -> usize {
        fs::read_dir(self.folder.path()).unwrap().count()
    }
}

/// A message in the lobby, from Bob, accepted `sequence` seconds after 1970.
fn message(epoch: u64, sequence: u64, text: &str) -> Message {
    Message {
        sequence: Sequence(sequence),
        epoch: LogEpoch(epoch),
        accepted_at_ms: sequence * 1000,
        ..fixture::message(text)
    }
}

fn private(sequence: u64, peer: u64, text: &str) -> Message {
    Message {
        conversation: ConversationId::private(user(1), user(peer)),
        ..message(1, sequence, text)
    }
}

async fn record(archive: &Archive, messages: impl IntoIterator<Item = Message>) {
    for message in messages {
        archive.record(&reader(), message).await;
    }
}

/// Fills a file without a thread, and closes it.
fn fill(path: &Path, messages: impl IntoIterator<Item = Message>) {
    let entries = messages.into_iter();
    let entries: Vec<Entry> = entries
        .map(|message| Entry::Message(Box::new(message)))
        .collect();
    Database::open(path)
        .unwrap()
        .record(user(1), &entries)
        .unwrap();
}

async fn texts(archive: &Archive, typed: &str) -> Vec<String> {
    let found = archive.search(&typed.parse().unwrap(), None, 100).await;
    let messages = found.unwrap().messages.into_iter();
    messages.map(|message| message.text).collect()
}

#[tokio::test]
async fn what_is_recorded_is_there_in_another_run() {
    let scene = Scene::set();
    let sent = message(7, 1, "hello\u{1b}[2J");
    let archive = scene.open();
    record(&archive, [sent.clone(), sent.clone()]).await;
    archive.close().await;
    let archive = scene.open();
    record(&archive, [sent.clone()]).await;
    let found = archive.search(&"hello".parse().unwrap(), None, 9).await;
    let found = found.unwrap();
    assert_eq!(found.messages, [sent]);
    assert_eq!(found.next, None);
    assert_eq!(archive.owner().await.unwrap(), Some(user(1)));
}

#[tokio::test]
async fn only_its_user_may_read_it() {
    let scene = Scene::set();
    let archive = scene.open();
    record(&archive, [message(1, 1, "secret")]).await;
    assert_eq!(texts(&archive, "secret").await.len(), 1);
    for file in fs::read_dir(scene.folder.path()).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[tokio::test]
async fn a_full_queue_makes_its_writers_wait() {
    let scene = Scene::set();
    let archive = scene.open();
    let count = QUEUE_MAX as u64 * 5;
    record(&archive, (1..=count).map(|n| message(1, n, "flood"))).await;
    let found = archive.search(&"flood".parse().unwrap(), None, 9999).await;
    assert_eq!(found.unwrap().messages.len() as u64, count);
}
