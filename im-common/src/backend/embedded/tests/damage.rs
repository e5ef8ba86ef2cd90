//! Damage at any place of any file is found: what can be read is what was written, or there is an
//! error that says where.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;

use futures::FutureExt as _;

use super::*;
use crate::backend::embedded::keys::Table;
use crate::backend::messages::embedded::EmbeddedMessages;

const LOGS: u64 = 3;
/// In each round: so many for each log.
const MESSAGES: usize = 400;
/// How many places are damaged, by each of two threads.
const PLACES: u64 = 600;

fn log_of(number: u64) -> ConversationId {
    ConversationId::private(user(1), user(2 + number))
}

fn text_of(log: u64, sequence: u64) -> String {
    let padding = "x".repeat(usize::try_from(sequence * 7 % 300).unwrap());
    format!("{log}/{sequence} {padding}")
}

async fn write(store: &Arc<Store>, round: usize) {
    let messages = EmbeddedMessages::open(Arc::clone(store)).unwrap();
    for at in 0..MESSAGES {
        let sequence = u64::try_from(round * MESSAGES + at).unwrap() + 1;
        let drafts = (0..LOGS).map(|log| draft(&log_of(log), &text_of(log, sequence)));
        for outcome in messages.append(drafts.collect()).await {
            assert_eq!(
                outcome.unwrap().into_receipt().position.sequence.0,
                sequence
            );
        }
    }
}

/// A closed database with messages in tables of its own and others in the journal only.
async fn written(folder: &Path) {
    let store = Arc::new(Store::open(Some(folder)).unwrap());
    write(&store, 0).await;
    for table in [Table::Records, Table::Marks] {
        let tables = store.handle.tables().unwrap();
        tables.table(table).rotate_memtable_and_wait().unwrap();
    }
    drop(store);
    // As after the journal of what was written out is gone.
    OpenOptions::new()
        .write(true)
        .open(folder.join("0.jnl"))
        .unwrap()
        .set_len(0)
        .unwrap();
    let store = Arc::new(Store::open(Some(folder)).unwrap());
    write(&store, 1).await;
    drop(store);
    // The second start cuts the zeros off.
    drop(Store::open(Some(folder)).unwrap());
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn copied(from: &Path) -> tempfile::TempDir {
    // Each start syncs some files; in memory that takes no time.
    let memory = Path::new("/dev/shm");
    let to = tempfile::Builder::new();
    let to = if memory.is_dir() {
        to.tempdir_in(memory)
    } else {
        to.tempdir()
    }
    .unwrap();
    for file in files(from) {
        let target = to.path().join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, &target).unwrap();
    }
    to
}

/// A small generator, so that a seed names the places.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Damages one file; returns what was done.
fn damage(folder: &Path, random: &mut Random) -> Option<String> {
    let mut files = files(folder);
    files.retain(|file| fs::metadata(file).unwrap().len() > 0);
    // Half of the time one of the two large ones: the journal, and the table of messages.
    if random.below(2) == 0 {
        files.sort_by_key(|file| fs::metadata(file).unwrap().len());
        files.drain(..files.len() - 2);
    }
    let file = &files[usize::try_from(random.below(files.len() as u64)).unwrap()];
    let length = fs::metadata(file).unwrap().len();
    let at = random.below(length);
    let open = OpenOptions::new()
        .read(true)
        .write(true)
        .open(file)
        .unwrap();
    let what = match random.below(4) {
        0 => {
            open.set_len(at).unwrap();
            "cut"
        }
        1 => {
            let lost = vec![0; usize::try_from(512.min(length - at)).unwrap()];
            let mut held = lost.clone();
            open.read_exact_at(&mut held, at).unwrap();
            if held == lost {
                return None;
            }
            open.write_all_at(&lost, at).unwrap();
            "a lost sector"
        }
        _ => {
            let mut byte = [0];
            open.read_exact_at(&mut byte, at).unwrap();
            byte[0] ^= 1 << random.below(8);
            open.write_all_at(&byte, at).unwrap();
            "a flipped bit"
        }
    };
    Some(format!("{what} at {at} of {length} in {}", file.display()))
}

/// What became of a damaged folder.
#[derive(Debug, PartialEq, Eq, Hash, Clone, Copy)]
enum Outcome {
    Refused,
    ReadError,
    Intact,
}

async fn open_and_read(folder: &Path, what: &str) -> Outcome {
    let backend = match Backend::embedded(Some(folder)) {
        Ok(backend) => backend,
        Err(error) => {
            let error = error.to_string();
            let (_, file) = what.split_once(" in ").unwrap();
            assert!(error.contains(file), "{what}: {error}");
            return Outcome::Refused;
        }
    };
    let mut outcome = Outcome::Intact;
    for log in 0..LOGS {
        let mut after = 0;
        while after < 2 * u64::try_from(MESSAGES).unwrap() {
            let range = Range::After(Sequence(after));
            let page = match backend.messages.read(&log_of(log), range, 100).await {
                Ok(page) => page,
                Err(BackendError::Damaged(_)) => {
                    outcome = Outcome::ReadError;
                    break;
                }
                Err(error) => panic!("{what}: {error}"),
            };
            assert!(
                !page.messages.is_empty(),
                "{what}: log {log} ends with {after}"
            );
            for message in page.messages {
                after += 1;
                assert_eq!(message.sequence.0, after, "{what}");
                assert_eq!(message.text, text_of(log, after), "{what}");
            }
        }
    }
    outcome
}

/// One thread for each seed.
fn damage_with_each(whole: &Path, seeds: &[u64]) -> Vec<Outcome> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = seeds
            .iter()
            .map(|seed| {
                scope.spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread();
                    let runtime = { runtime }.enable_all().build().unwrap();
                    runtime.block_on(damage_many(whole, *seed))
                })
            })
            .collect();
        let ended = threads.into_iter().map(|thread| thread.join().unwrap());
        ended.flatten().collect()
    })
}

async fn damage_many(whole: &Path, seed: u64) -> Vec<Outcome> {
    let mut random = Random(seed);
    let mut outcomes = Vec::new();
    for _ in 0..PLACES {
        let folder = copied(whole);
        let Some(what) = damage(folder.path(), &mut random) else {
            continue;
        };
        let read = AssertUnwindSafe(open_and_read(folder.path(), &what)).catch_unwind();
        let outcome = read.await.unwrap_or_else(|_| panic!("panicked: {what}"));
        outcomes.push(outcome);
    }
    outcomes
}

#[tokio::test]
async fn damage_anywhere_is_found_or_harmless() {
    let whole = tempfile::tempdir().unwrap();
    written(whole.path()).await;
    let intact = open_and_read(copied(whole.path()).path(), "nothing").await;
    assert_eq!(intact, Outcome::Intact);
    let outcomes = damage_with_each(whole.path(), &[0x5eed_0001, 0x5eed_0002]);
    let count = |outcome| outcomes.iter().filter(|other| **other == outcome).count();
    let [refused, errors, intact] =
        [Outcome::Refused, Outcome::ReadError, Outcome::Intact].map(count);
    println!("refused {refused}, errors when read {errors}, intact {intact}");
    assert!(outcomes.len() >= 1000, "{}", outcomes.len());
    assert!(refused > 100, "most damage is seen at the start");
}

/// Of a commit that a crash interrupted, any part may be there.
#[tokio::test]
async fn a_torn_end_is_cut_and_nothing_is_missing() {
    let whole = tempfile::tempdir().unwrap();
    written(whole.path()).await;
    let journal = fs::read(whole.path().join("0.jnl")).unwrap();
    let one = journal::first_batch(&journal).unwrap().bytes;
    for length in [1, 5, 13, one / 2, one - 1] {
        for zeros in [0, 100, 5000] {
            let folder = copied(whole.path());
            let torn = [&journal, &journal[..length], &vec![0; zeros]].concat();
            fs::write(folder.path().join("0.jnl"), torn).unwrap();
            let what = format!("{length} bytes torn, {zeros} zeros");
            assert_eq!(
                open_and_read(folder.path(), &what).await,
                Outcome::Intact,
                "{what}"
            );
        }
    }
}

/// After a power loss the watermark may say less than is true.
#[tokio::test]
async fn later_commits_prove_damage_when_the_watermark_is_late() {
    let whole = tempfile::tempdir().unwrap();
    written(whole.path()).await;
    let folder = copied(whole.path());
    fs::remove_file(folder.path().join("synced")).unwrap();
    let intact = open_and_read(folder.path(), "no watermark").await;
    assert_eq!(intact, Outcome::Intact, "that of an older version has none");

    fs::remove_file(folder.path().join("synced")).unwrap();
    let path = folder.path().join("0.jnl");
    let mut journal = fs::read(&path).unwrap();
    let middle = journal.len() / 2;
    journal[middle] ^= 1;
    fs::write(&path, journal).unwrap();
    let what = format!("a bit in {}", path.display());
    assert_eq!(open_and_read(folder.path(), &what).await, Outcome::Refused);
}
