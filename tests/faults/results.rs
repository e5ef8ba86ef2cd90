//! Results: a line of JSON for each run, from which the report is rendered.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use im_tests::circumstances::Circumstances;
use serde::{Deserialize, Serialize};

/// What a line tells of.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Entry {
    /// One run of one scenario.
    Run(RunResult),
    /// One campaign.
    Campaign(CampaignResult),
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Every promise and bound.
    Held,
    /// It could not be tried here.
    Skipped,
    /// It broke.
    Broken,
}

/// Sums of a history.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Sums {
    pub(crate) accepted: u64,
    pub(crate) handled: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) reordered: u64,
    pub(crate) forged: u64,
    pub(crate) late: u64,
}

impl From<&im_tests::history::Verdict> for Sums {
    fn from(verdict: &im_tests::history::Verdict) -> Self {
        Self {
            accepted: verdict.accepted,
            handled: verdict.handled,
            lost: verdict.lost,
            doubled: verdict.doubled,
            reordered: verdict.reordered,
            forged: verdict.forged,
            late: verdict.late,
        }
    }
}

/// One run of one scenario.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RunResult {
    pub(crate) id: String,
    pub(crate) profile: String,
    pub(crate) seed: u64,
    pub(crate) users: usize,
    pub(crate) rate: u32,
    pub(crate) long: bool,
    pub(crate) seconds: u64,
    pub(crate) outcome: Outcome,
    pub(crate) sums: Sums,
    pub(crate) locked_out: u64,
    pub(crate) recovery_p50_ms: Option<u64>,
    pub(crate) recovery_p99_ms: Option<u64>,
    pub(crate) notes: Vec<String>,
    pub(crate) broken: Vec<String>,
    pub(crate) at: Circumstances,
}

/// One campaign.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CampaignResult {
    pub(crate) profile: String,
    pub(crate) seed: u64,
    pub(crate) users: usize,
    pub(crate) seconds: u64,
    pub(crate) per_second: u64,
    pub(crate) faults: Vec<(String, u64)>,
    pub(crate) outcome: Outcome,
    pub(crate) sums: Sums,
    pub(crate) broken: Vec<String>,
    pub(crate) at: Circumstances,
}

/// Appends a line to the file.
pub(crate) fn append(file: &Path, entry: &Entry) -> anyhow::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let open = File::options().create(true).append(true).open(file);
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    open?.write_all(&line)?;
    Ok(())
}

/// Reads all lines of the file.
pub(crate) fn read(file: &Path) -> anyhow::Result<Vec<Entry>> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let lines = text.lines().map(serde_json::from_str);
    lines
        .collect::<Result<_, _>>()
        .context("a line of the results")
}
