//! The disk of the standalone: full, cut off in the middle of a write, damaged.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use futures::FutureExt as _;
use im_common::message::Recipient;
use im_tests::deployment::Profile::Embedded;
use im_tests::deployment::{Daemon, Standalone};
use im_tests::dice::Dice;
use im_tests::disk::copy_folder;
use im_tests::http::Http;
use im_tests::ports;
use serde_json::Value;

use super::seconds;
use crate::catalogue::Scenario;
use crate::run::Run;

/// Enough for a store to begin with, soon full.
const SMALL_DISK_BYTES: u64 = 32 * 1024 * 1024;
/// Written in the place of what was not synced.
const TORN_BYTES_MAX: usize = 200;
/// The newest of the lobby, read after damage.
const READ: &str = "/v1/conversations/lobby/messages?limit=200";

pub(crate) fn table() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "F-09",
            "the disk is full, then not",
            &[Embedded],
            "sends wait, reads work; accepted again at the latest after a restart",
            |run| full(run).boxed_local(),
        )
        .shaped(|plan| plan.data_bytes_max = Some(SMALL_DISK_BYTES)),
        Scenario::new(
            "F-10",
            "power is cut: the store ends in a torn write",
            &[Embedded],
            "it starts, and nothing accepted is missing",
            |run| power_cut(run).boxed_local(),
        ),
        Scenario::new(
            "F-11",
            "a bit of the store flips",
            &[Embedded],
            "what is served is what was stored; else it does not start and says why",
            |run| bit_flips(run).boxed_local(),
        ),
    ]
}

async fn full(run: &mut Run) -> anyhow::Result<()> {
    run.expect_error("cannot commit");
    run.expect_error("StorageFull");
    run.fault("the disk is full");
    let filler = standalone(run).data.join("filler");
    fill(&filler)?;
    run.load_for(seconds(4)).await;
    let last = run.history.accepted();
    run.load_for(seconds(1)).await;
    let is_refusing = run.history.accepted() == last;
    run.note(format!("refusing while full: {is_refusing}"));
    let lobby = Recipient::Lobby;
    let read = run.load.actors()[0].client().history(&lobby, None, 1).await;
    run.check(read.is_ok(), format!("cannot read: {read:?}"));
    fs::remove_file(&filler)?;
    run.fault("there is room again");
    let last = run.history.accepted();
    run.load_for(seconds(3)).await;
    let goes_on = run.history.accepted() > last;
    run.note(format!("goes on without a restart: {goes_on}"));
    if !goes_on {
        standalone(run).daemon.restart().await?;
    }
    run.load_for(seconds(3)).await;
    Ok(())
}

fn fill(file: &Path) -> anyhow::Result<()> {
    let mut filler = File::create(file)?;
    let block = vec![1; 64 * 1024];
    // Until there is no room, down to the last byte.
    while filler.write_all(&block).is_ok() {}
    while filler.write_all(&[1]).is_ok() {}
    Ok(())
}

async fn power_cut(run: &mut Run) -> anyhow::Result<()> {
    for round in 0..3 {
        run.fault("power is cut");
        let data = standalone(run).data.clone();
        let copy = data.with_file_name("copy");
        standalone(run).daemon.signal("STOP").await?;
        copy_folder(&data, &copy)?;
        standalone(run).daemon.kill().await;
        tear(&copy, round, &mut run.dice)?;
        fs::remove_dir_all(&data)?;
        fs::rename(&copy, &data)?;
        standalone(run).daemon.start().await?;
        run.load_for(seconds(3)).await;
    }
    Ok(())
}

/// The journal as a power cut may leave it behind what was synced: as it is, with a part of a write
/// that never was whole, or ended there.
fn tear(folder: &Path, round: usize, dice: &mut Dice) -> anyhow::Result<()> {
    let journal = newest_journal(folder)?;
    let end = end_of(&journal)?;
    let mut file = File::options().write(true).open(&journal)?;
    match round {
        0 => {}
        1 => {
            let count = 1 + dice.below(TORN_BYTES_MAX);
            let torn: Vec<u8> = (0..count).map(|_| dice.roll().to_le_bytes()[0]).collect();
            file.seek(SeekFrom::Start(end))?;
            file.write_all(&torn)?;
        }
        _ => file.set_len(end)?,
    }
    Ok(())
}

fn newest_journal(folder: &Path) -> anyhow::Result<PathBuf> {
    let entries = fs::read_dir(folder.join("store"))?.flatten();
    let journals =
        entries.filter(|entry| entry.path().extension().is_some_and(|kind| kind == "jnl"));
    let newest =
        journals.max_by_key(|entry| entry.metadata().and_then(|data| data.modified()).ok());
    Ok(newest.context("the store has a journal")?.path())
}

/// Behind the last byte that was written: journals are made longer than what is in them.
fn end_of(file: &Path) -> anyhow::Result<u64> {
    let mut bytes = Vec::new();
    File::open(file)?.read_to_end(&mut bytes)?;
    let last = bytes.iter().rposition(|&byte| byte != 0);
    Ok(last.map_or(0, |at| at as u64 + 1))
}

async fn bit_flips(run: &mut Run) -> anyhow::Result<()> {
    let flips = if run.options.long { 1000 } else { 20 };
    run.load.stop();
    // Whatever the load chose, there is something to damage.
    run.load.actors()[0].send(Recipient::Lobby);
    anyhow::ensure!(run.history.settle(seconds(30)).await, "not settled");
    run.fault("bits of the store flip");
    standalone(run).daemon.kill().await;
    let pristine = standalone(run).data.clone();
    // Users must not see what is tried here, they would believe it: it runs elsewhere.
    let data = pristine.with_file_name("damaged");
    let mut damaged = Damaged::new(run, &data);
    copy_folder(&pristine, &data)?;
    damaged.daemon.start().await?;
    let http = Http::log_in(&damaged.url, "user-0", "auditor").await;
    let stored = http.get(READ).await.1["messages"].clone();
    anyhow::ensure!(stored[0].is_object(), "nothing was stored");
    damaged.daemon.kill().await;
    // With the auditor's login.
    fs::remove_dir_all(&pristine)?;
    fs::rename(&data, &pristine)?;
    let mut seen = Seen::default();
    for _ in 0..flips {
        copy_folder(&pristine, &data)?;
        let what = flip(&data, &mut run.dice)?;
        let outcome = damaged.look(&http, &stored).await?;
        if let Outcome::Wrong(how) = &outcome {
            run.check(false, format!("{what}: {how}"));
        }
        seen.count(&outcome);
        damaged.daemon.kill().await;
        fs::remove_dir_all(&data)?;
    }
    run.note(format!("{flips} flips: {seen:?}"));
    run.deployment.heal().await?;
    run.load_for(seconds(2)).await;
    Ok(())
}

/// A standalone over damaged data.
struct Damaged {
    daemon: Daemon,
    url: String,
}

/// What came of damaged data.
enum Outcome {
    /// Nobody noticed, and nothing was wrong.
    Harmless,
    /// It did not start, or did not answer, and said so.
    Refused,
    /// It served something else than what was stored.
    Wrong(String),
}

#[derive(Debug, Default)]
struct Seen {
    harmless: usize,
    refused: usize,
    wrong: usize,
}

impl Seen {
    const fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Harmless => self.harmless += 1,
            Outcome::Refused => self.refused += 1,
            Outcome::Wrong(_) => self.wrong += 1,
        }
    }
}

impl Damaged {
    fn new(run: &Run, data: &Path) -> Self {
        let plan = &run.deployment.plan;
        let route = format!("127.0.0.1:{}", ports::free());
        let arguments = vec![
            "--headless".to_owned(),
            format!("--data-dir={}", data.display()),
            format!("--route-listen={route}"),
            format!("--server-listen=127.0.0.1:{}", ports::free()),
        ];
        let binary = plan.binaries.join("im-standalone");
        Self {
            daemon: Daemon::new(binary, "damaged".to_owned(), &plan.folder, arguments),
            url: format!("http://{route}"),
        }
    }

    async fn look(&mut self, http: &Http, stored: &Value) -> anyhow::Result<Outcome> {
        let said = fs::metadata(&self.daemon.log)?.len();
        self.daemon.launch()?;
        if self.daemon.ready(seconds(10)).await.is_err() {
            let says_why = fs::metadata(&self.daemon.log)?.len() > said;
            let has_ended = self.daemon.pid().is_none();
            let silent = format!("not started: ended {has_ended}, said why {says_why}");
            return Ok(if says_why && has_ended {
                Outcome::Refused
            } else {
                Outcome::Wrong(silent)
            });
        }
        let (status, answer) = http.get(READ).await;
        let served = &answer["messages"];
        Ok(match status {
            200 if served == stored => Outcome::Harmless,
            200 => Outcome::Wrong(difference(stored, served)),
            _ => Outcome::Refused,
        })
    }
}

fn difference(stored: &Value, served: &Value) -> String {
    let count = |list: &Value| list.as_array().map_or(0, Vec::len);
    let pairs = stored
        .as_array()
        .into_iter()
        .flatten()
        .zip(served.as_array().into_iter().flatten());
    let first = pairs.into_iter().find(|(stored, served)| stored != served);
    format!(
        "{} of {} messages served, first other: {first:?}",
        count(served),
        count(stored)
    )
}

/// Flips a bit of a byte that is not 0, in any file of the store that has one.
fn flip(folder: &Path, dice: &mut Dice) -> anyhow::Result<String> {
    let files = files_in(&folder.join("store"))?;
    for _ in 0..1000 {
        let file = &files[dice.below(files.len())];
        let end = usize::try_from(end_of(file)?)?;
        if end == 0 {
            continue;
        }
        let (at, bit) = (dice.below(end), dice.below(8));
        let mut open = File::options().read(true).write(true).open(file)?;
        let mut byte = [0];
        open.seek(SeekFrom::Start(at as u64))?;
        open.read_exact(&mut byte)?;
        byte[0] ^= 1 << bit;
        open.seek(SeekFrom::Start(at as u64))?;
        open.write_all(&byte)?;
        let name = file.strip_prefix(folder).unwrap_or(file).display();
        return Ok(format!("bit {bit} of byte {at} of {end} in {name}"));
    }
    anyhow::bail!("no file of the store has anything in it")
}

fn files_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_in(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn standalone(run: &mut Run) -> &mut Standalone {
    run.deployment.standalone.as_mut().expect("this profile")
}
