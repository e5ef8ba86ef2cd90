//! A disk without room: nothing is accepted that is not durable, reading goes on, and writing goes
//! on by itself once there is room.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tokio::time::{Instant, sleep};

use super::*;
use crate::backend::messages::{AppendError, embedded::EmbeddedMessages};

/// Enough for the database, the watermark and trying the disk, not for what the test writes.
const SIZE: &str = "size=24m";

/// A small file system of its own.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Nothing, where mounting is not permitted.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap().keep();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", SIZE, "tmpfs"])
            .arg(&folder)
            .output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        fs::remove_dir(folder).unwrap();
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
        let _ = fs::remove_dir(&self.0);
    }
}

/// Fills the disk up to the last block.
fn fill(folder: &Path) -> PathBuf {
    let path = folder.join("ballast");
    let mut ballast = fs::File::create(&path).unwrap();
    for size in [1 << 20, 1 << 12] {
        while std::io::Write::write_all(&mut ballast, &vec![1; size]).is_ok() {}
    }
    path
}

/// Appends one message; returns its number if it was accepted.
async fn append(messages: &EmbeddedMessages, draft: Draft) -> Option<u64> {
    match messages.append(vec![draft]).await.remove(0) {
        Ok(appended) => Some(appended.into_receipt().position.sequence.0),
        Err(AppendError::Backend(BackendError::Unavailable(_))) => None,
        Err(error) => panic!("{error}"),
    }
}

async fn all(messages: &EmbeddedMessages) -> Vec<String> {
    let mut texts = Vec::new();
    loop {
        let after = Range::After(Sequence(texts.len() as u64));
        let page = messages.read(&conversation(), after, 100).await.unwrap();
        if page.messages.is_empty() {
            return texts;
        }
        texts.extend(page.messages.into_iter().map(|message| message.text));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_recovers_without_a_restart() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: mounting a tmpfs is not permitted");
        return;
    };
    let folder = disk.0.join("store");
    let store = Arc::new(Store::open(Some(&folder)).unwrap());
    let messages = EmbeddedMessages::open(Arc::clone(&store)).unwrap();
    let mut accepted = Vec::new();
    for round in 0..3 {
        let before = draft(&conversation(), &format!("before {round}"));
        accepted.push(before.text.clone());
        assert_eq!(append(&messages, before).await, Some(accepted.len() as u64));

        let ballast = fill(&disk.0);
        let refused = loop {
            let text = format!("{} {}", accepted.len(), "x".repeat(5000));
            let draft = draft(&conversation(), &text);
            match append(&messages, draft.clone()).await {
                Some(sequence) => {
                    accepted.push(text);
                    assert_eq!(sequence, accepted.len() as u64);
                }
                None => break draft,
            }
        };
        assert!(
            messages.ready().await.is_err(),
            "it says that it takes nothing"
        );
        assert_eq!(
            all(&messages).await,
            accepted,
            "reading goes on, nothing else is seen"
        );
        assert_eq!(append(&messages, refused.clone()).await, None);

        fs::remove_file(ballast).unwrap();
        let give_up_at = Instant::now() + Duration::from_secs(20);
        let sequence = loop {
            if let Some(sequence) = append(&messages, refused.clone()).await {
                break sequence;
            }
            assert!(Instant::now() < give_up_at, "it does not recover");
            sleep(Duration::from_millis(20)).await;
        };
        accepted.push(refused.text.clone());
        assert_eq!(sequence, accepted.len() as u64, "no number is given twice");
        assert_eq!(
            append(&messages, refused).await,
            Some(sequence),
            "nor is a message stored twice"
        );
        messages.ready().await.unwrap();
        assert_eq!(all(&messages).await, accepted);
    }
    let unsettled = messages.claim_unsettled(Duration::ZERO, accepted.len() + 1);
    assert_eq!(
        unsettled.await.unwrap().len(),
        accepted.len(),
        "all wait for their fan-out"
    );
    drop((messages, store));
    let store = Arc::new(Store::open(Some(&folder)).unwrap());
    let messages = EmbeddedMessages::open(store).unwrap();
    assert_eq!(all(&messages).await, accepted, "also after a restart");
}
