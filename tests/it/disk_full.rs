//! A standalone whose disk is full says so, to clients and to whoever asks for its health.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::slice;
use std::time::Duration;

use im_common::code::Code;
use im_tests::PATIENCE;
use im_tests::deployment::Mount;
use im_tests::http::Http;
use im_tests::standalone::Standalone;
use im_tests::user::PASSWORD;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// Enough for the database and for trying the disk, not for what the test writes.
const DISK_BYTES: u64 = 24 * 1024 * 1024;
/// What is sent until the disk is full: larger than the last block, so that it soon is.
const TEXT_BYTES: usize = 5000;
/// How often is looked whether it goes on by itself.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Fills the disk up to the last block.
fn fill(ballast: &Path) {
    let mut file = File::create(ballast).expect("a file");
    for size in [1 << 20, 1 << 12] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
}

async fn say(alice: &Http, text: &str) -> (u16, Value) {
    let body = json!({"to": "lobby", "text": text});
    alice.post("/v1/messages", body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_tells_of_a_full_disk_until_there_is_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = folder.path().join("disk");
    let _mount = match Mount::new(&disk, DISK_BYTES) {
        Ok(mount) => mount,
        Err(error) => {
            println!("skipped: {error}");
            return;
        }
    };
    let data_dir = format!("--data-dir={}", disk.join("data").display());
    let standalone = Standalone::start(&[&data_dir]).await;
    let url = standalone.url();
    im_client::register(slice::from_ref(&url), "alice", PASSWORD)
        .await
        .expect("registered");
    let alice = Http::log_in(&url, "alice", "web").await;
    let health = async || alice.get("/v1/health").await;
    assert_eq!(health().await.0, 200);

    let ballast = disk.join("ballast");
    fill(&ballast);
    let mut accepted = 0;
    let (status, refused) = loop {
        let text = format!("{accepted} {}", "x".repeat(TEXT_BYTES));
        let (status, answer) = say(&alice, &text).await;
        if status != 200 {
            break (status, answer);
        }
        accepted += 1;
    };
    assert_eq!(
        (status, &refused["code"]),
        (503, &json!(Code::UNAVAILABLE.0))
    );
    assert_eq!(refused["retryable"], true);
    for _ in 0..3 {
        let (status, why) = health().await;
        assert_eq!(status, 503, "{why}");
        assert_ne!(why["status"], "ok", "it says why");
    }
    let path = "/v1/conversations/lobby/messages?limit=1";
    assert_eq!(alice.get(path).await.0, 200, "reading goes on");

    fs::remove_file(ballast).expect("removed");
    let give_up_at = Instant::now() + PATIENCE;
    while health().await.0 != 200 {
        assert!(Instant::now() < give_up_at, "it does not recover");
        sleep(LOOK_EVERY).await;
    }
    let (status, after) = say(&alice, "after").await;
    assert_eq!(status, 200, "{after}");
    assert_eq!(after["sequence"], accepted + 1, "nothing else was stored");
    standalone.process.signal("TERM").await;
    let ended = standalone.process.ended().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
}
