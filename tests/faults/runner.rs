//! Runs scenarios, seed after seed, tells what became of each, and keeps the results.

use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::stream::{self, StreamExt as _};
use im_tests::circumstances::Circumstances;
use im_tests::deployment::{CannotMount, Plan, Profile};
use im_tests::history::Verdict;
use tokio::time::Instant;

use crate::catalogue::{self, SHORT, Scenario};
use crate::options::RunOptions;
use crate::outages::percentile;
use crate::report;
use crate::results::{self, Entry, Outcome, RunResult, Sums};
use crate::run::{Findings, Run};

/// Says that a scenario cannot be tried on this machine, and why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct CannotTry(pub(crate) String);

/// Runs what is asked for; returns whether everything held.
pub(crate) async fn run(options: &RunOptions) -> anyhow::Result<bool> {
    let scenarios = catalogue::all();
    let mut has_held = true;
    let at = Circumstances::now();
    let seeds = options.seed..options.seed + options.seeds;
    let chosen = chosen(&scenarios, options)?;
    let runs = seeds.flat_map(|seed| {
        let runs = chosen.iter();
        runs.map(move |(scenario, profile)| (*scenario, (*profile, seed)))
    });
    let runs = runs.map(|(scenario, how)| run_one(options, scenario, how, &at));
    let mut results = pin!(stream::iter(runs).buffer_unordered(options.jobs.get()));
    while let Some(result) = results.next().await {
        let result = result?;
        has_held &= result.outcome != Outcome::Broken;
        results::append(&options.place.results(), &Entry::Run(result))?;
    }
    if let Some(out) = &options.report {
        report::render_to(&options.place.results(), out, None)?;
    }
    Ok(has_held)
}

fn chosen<'a>(
    scenarios: &'a [Scenario],
    options: &RunOptions,
) -> anyhow::Result<Vec<(&'a Scenario, Profile)>> {
    for id in &options.ids {
        if !scenarios.iter().any(|scenario| scenario.id == id) {
            bail!("no scenario {id}; see im-faults list");
        }
    }
    let is_asked = |scenario: &Scenario, profile: Profile| {
        let by_id = options.all || options.ids.iter().any(|id| id == scenario.id);
        let is_short = options.short && SHORT.contains(&(scenario.id, profile));
        (by_id || is_short) && options.profile.is_none_or(|only| only == profile)
    };
    let all = scenarios.iter().flat_map(|scenario| {
        let profiles = scenario.profiles.iter();
        profiles.map(move |&profile| (scenario, profile))
    });
    let chosen: Vec<_> = all
        .filter(|(scenario, profile)| is_asked(scenario, *profile))
        .collect();
    if chosen.is_empty() {
        bail!("nothing to run: name scenarios, or --all, or --short");
    }
    Ok(chosen)
}

/// What a run of a scenario came to.
struct Ended {
    verdict: Verdict,
    findings: Findings,
    /// Why it could not be tried.
    skipped: Option<String>,
    dump: String,
}

async fn run_one(
    options: &RunOptions,
    scenario: &Scenario,
    (profile, seed): (Profile, u64),
    at: &Circumstances,
) -> anyhow::Result<RunResult> {
    let began = Instant::now();
    let folder = fresh_folder(options, &format!("{}-{profile}-{seed}", scenario.id))?;
    let mut plan = Plan::new(profile, options.place.binaries()?, folder.clone());
    (scenario.shape)(&mut plan);
    if let Some(address) = options.cim_ports {
        plan.take_cims_ports(address)?;
    }
    let ended = attempt(options, scenario, plan, seed).await?;
    let is_held = ended.verdict.is_sound() && ended.findings.broken.is_empty();
    let outcome = match (&ended.skipped, is_held) {
        (Some(_), _) => Outcome::Skipped,
        (None, true) => Outcome::Held,
        (None, false) => Outcome::Broken,
    };
    tell(
        scenario,
        (profile, seed),
        outcome,
        (&ended, began.elapsed()),
    );
    if outcome == Outcome::Broken {
        std::fs::write(folder.join("history.txt"), &ended.dump)?;
        println!("  logs and history: {}", folder.display());
        println!("  again: {}", replay(options, scenario, profile, seed));
    } else {
        std::fs::remove_dir_all(&folder)?;
    }
    let Ended {
        verdict,
        mut findings,
        skipped,
        ..
    } = ended;
    findings.notes.extend(skipped);
    let milliseconds = |at| {
        let value = percentile(&findings.recovery, at)?;
        u64::try_from(value.as_millis()).ok()
    };
    Ok(RunResult {
        id: scenario.id.to_owned(),
        profile: profile.to_string(),
        seed,
        users: options.users,
        rate: options.rate,
        long: options.long,
        seconds: began.elapsed().as_secs(),
        outcome,
        sums: Sums::from(&verdict),
        locked_out: findings.locked_out,
        recovery_p50_ms: milliseconds(50),
        recovery_p99_ms: milliseconds(99),
        notes: findings.notes,
        broken: findings.broken,
        at: at.clone(),
    })
}

impl Ended {
    fn skipped(why: String) -> Self {
        Self {
            verdict: Verdict::default(),
            findings: Findings::default(),
            skipped: Some(why),
            dump: String::new(),
        }
    }
}

/// What this machine lacks for a scenario, if that is what went wrong.
fn why_skipped(error: &anyhow::Error) -> Option<String> {
    let lacks_mount = error.downcast_ref::<CannotMount>().map(ToString::to_string);
    let lacks_other = || error.downcast_ref::<CannotTry>().map(ToString::to_string);
    lacks_mount.or_else(lacks_other)
}

/// The scenario from beginning to end. What goes wrong on the way is a finding as well: the cluster
/// may be in any state then, but everything started has ended when this returns.
async fn attempt(
    options: &RunOptions,
    scenario: &Scenario,
    plan: Plan,
    seed: u64,
) -> anyhow::Result<Ended> {
    let mut run = match Run::prepare(options, plan, seed).await {
        Ok(run) => run,
        Err(error) => match why_skipped(&error) {
            Some(why) => return Ok(Ended::skipped(why)),
            None => return Err(error),
        },
    };
    let mut skipped = None;
    if let Err(error) = (scenario.body)(&mut run).await {
        skipped = why_skipped(&error);
        run.check(skipped.is_some(), format!("{error:#}"));
    }
    let verdict = match run.finish().await {
        Ok(verdict) => verdict,
        Err(error) => {
            run.check(false, format!("{error:#}"));
            run.history.verdict()
        }
    };
    Ok(Ended {
        verdict,
        skipped,
        dump: run.history.dump(),
        findings: run.findings,
    })
}

fn tell(
    scenario: &Scenario,
    (profile, seed): (Profile, u64),
    outcome: Outcome,
    (ended, took): (&Ended, Duration),
) {
    println!(
        "{} {profile} seed {seed}: {outcome:?} after {took:.0?}: {}",
        scenario.id, ended.verdict
    );
    for note in ended.findings.notes.iter().chain(&ended.skipped) {
        println!("  {note}");
    }
    for broken in &ended.findings.broken {
        println!("  BROKEN: {broken}");
    }
}

fn replay(options: &RunOptions, scenario: &Scenario, profile: Profile, seed: u64) -> String {
    let long = if options.long { " --long" } else { "" };
    let cim_ports = options.cim_ports;
    let cim_ports = cim_ports.map_or(String::new(), |address| format!(" --cim-ports={address}"));
    let (id, users, rate) = (scenario.id, options.users, options.rate);
    format!(
        "im-faults run {id} --profile {profile} --seed {seed} --users {users} --rate {rate}{long}\
         {cim_ports}"
    )
}

/// An empty folder for one run.
pub(crate) fn fresh_folder(options: &RunOptions, name: &str) -> anyhow::Result<PathBuf> {
    empty(options.place.folder.join(name))
}

/// Makes a folder, empty, and returns its full path.
pub(crate) fn empty(folder: PathBuf) -> anyhow::Result<PathBuf> {
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    folder.canonicalize().context("a folder for the run")
}
