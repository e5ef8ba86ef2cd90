use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::journal::Journal;
use super::*;
use crate::store::contract::{after, handled, owner, send, sorted};

/// Saves changes one by one, and returns the file's length after each.
async fn filled(path: &Path, changes: &[Change]) -> Vec<u64> {
    let store = FileStore::new(path);
    store.load(&owner()).await.unwrap();
    let mut lengths = vec![fs::metadata(path).unwrap().len()];
    for change in changes {
        store.save(std::slice::from_ref(change)).await.unwrap();
        lengths.push(fs::metadata(path).unwrap().len());
    }
    store.close().await;
    lengths
}

async fn load(path: &Path) -> Result<Contents, StoreError> {
    let store = FileStore::new(path);
    let contents = store.load(&owner()).await;
    store.close().await;
    contents.map(sorted)
}

fn some_changes() -> Vec<Change> {
    let first = send("lobby", "first");
    vec![
        handled(2, 7, 1),
        Change::Sending(first.clone()),
        handled(3, 7, 1),
        Change::Ended(first.id),
        Change::Sending(send("@bob", "second")),
        handled(2, 8, 1),
    ]
}

#[tokio::test]
async fn it_is_for_its_user_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    filled(&path, &some_changes()).await;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[tokio::test]
async fn one_client_at_a_time_uses_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = FileStore::new(&path);
    store.load(&owner()).await.unwrap();
    for again in [store.load(&owner()).await, load(&path).await] {
        assert_eq!(again.unwrap_err().kind(), StoreErrorKind::InUse);
    }
    store.save(&[handled(2, 7, 1)]).await.unwrap();
    store.close().await;
    assert_eq!(load(&path).await, Ok(after(&[handled(2, 7, 1)])));
    let error = store.save(&[handled(2, 7, 2)]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    store.load(&owner()).await.unwrap();
}

#[tokio::test]
async fn what_a_crash_left_half_written_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let changes = some_changes();
    let lengths = filled(&path, &changes).await;
    let whole = fs::read(&path).unwrap();
    let cut_path = folder.path().join("cut");
    // Every few bytes, and every end of a line.
    let cuts = (lengths[0]..whole.len() as u64).step_by(7);
    for length in cuts.chain(lengths.clone()) {
        fs::write(&cut_path, &whole[..usize::try_from(length).unwrap()]).unwrap();
        let saved = lengths[1..].iter().filter(|end| **end <= length).count();
        assert_eq!(
            load(&cut_path).await,
            Ok(after(&changes[..saved])),
            "{length}"
        );
        // It goes on behind what is whole.
        let store = FileStore::new(&cut_path);
        store.load(&owner()).await.unwrap();
        store.save(&[handled(9, 7, 1)]).await.unwrap();
        store.close().await;
        let all = [&changes[..saved], &[handled(9, 7, 1)]].concat();
        assert_eq!(load(&cut_path).await, Ok(after(&all)));
    }
}

#[tokio::test]
async fn damage_is_found_or_takes_the_end_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let changes = some_changes();
    let lengths = filled(&path, &changes).await;
    // The last line that waits for the disk says that those before have reached it.
    let safe = usize::try_from(lengths[5]).unwrap();
    let whole = fs::read(&path).unwrap();
    let line_feeds = (0..whole.len()).filter(|at| whole[*at] == b'\n');
    for at in (0..whole.len()).step_by(5).chain(line_feeds) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(&path, &damaged).unwrap();
        match load(&path).await {
            Err(error) => {
                assert_eq!(error.kind(), StoreErrorKind::Damaged, "{error}");
                assert!(error.to_string().contains("at byte"), "{error}");
                assert_eq!(fs::read(&path).unwrap(), damaged, "it is left as it is");
            }
            Ok(contents) => {
                // A line feed that is damaged joins the line before with the last one.
                let whole = if at + 1 == safe { 4 } else { 5 };
                assert!(at + 1 >= safe, "damage at {at} of {safe} is not found");
                assert_eq!(contents, after(&changes[..whole]));
            }
        }
    }
}

#[tokio::test]
async fn a_file_that_has_grown_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = FileStore::new(&path);
    store.load(&owner()).await.unwrap();
    let kept = send("lobby", "kept");
    store.save(&[Change::Sending(kept.clone())]).await.unwrap();
    let batch: Vec<_> = (1..=100).map(|sequence| handled(2, 7, sequence)).collect();
    let mut longest = 0;
    for _ in 0..300 {
        store.save(&batch).await.unwrap();
        longest = longest.max(fs::metadata(&path).unwrap().len());
    }
    store.close().await;
    let length = fs::metadata(&path).unwrap().len();
    assert!((1024 * 1024..1100 * 1024).contains(&longest), "{longest}");
    assert!(length < longest);
    let all = [Change::Sending(kept), handled(2, 7, 100)];
    assert_eq!(load(&path).await, Ok(after(&all)));
}

#[test]
fn after_a_failed_write_the_file_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let (mut journal, mut state) = Journal::open(path.clone(), owner()).unwrap();
    let kept = handled(2, 7, 1);
    journal.append(&state, std::slice::from_ref(&kept)).unwrap();
    state.apply(&kept);
    journal.file = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let error = journal.append(&state, &[handled(2, 7, 2)]).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(error.is_retryable());
    journal.append(&state, &[handled(3, 7, 1)]).unwrap();
    drop(journal);
    let (_, state) = Journal::open(path, owner()).unwrap();
    assert_eq!(sorted(state.contents()), after(&[kept, handled(3, 7, 1)]));
}

#[tokio::test]
async fn what_is_no_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes");
    fs::write(&path, "to do: nothing\n").unwrap();
    assert_eq!(
        load(&path).await.unwrap_err().kind(),
        StoreErrorKind::Damaged
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "to do: nothing\n");
    let nowhere = folder.path().join("missing/store");
    let error = load(&nowhere).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}
