//! The command line.

use std::net::Ipv4Addr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as Arguments, Parser, Subcommand};
use humantime::parse_duration;
use im_tests::deployment::Profile;

/// Breaks real clusters on purpose and checks that no message is lost, doubled or reordered, and
/// nobody locked out.
#[derive(Debug, Parser)]
#[command(
    name = "im-faults",
    after_help = "\
Build everything first: cargo build --release --workspace --bins

Examples:
  im-faults run F-01 --profile cluster --seed 7
  im-faults run --all --seeds 5 --report docs/RELIABILITY.md
  im-faults campaign --messages 10000000 --profile cluster

Exit codes: 0 everything held, 1 a promise or a bound was broken, 2 it could not be tried."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the scenarios.
    List,
    /// Run scenarios.
    Run(RunOptions),
    /// Send many messages while something breaks every few seconds.
    Campaign(CampaignOptions),
    /// Render the report from the results of earlier runs.
    Report(ReportOptions),
}

/// What every run needs to know.
#[derive(Debug, Clone, Arguments)]
pub(crate) struct Place {
    /// Where the binaries are; beside this one when missing.
    #[arg(long, value_name = "DIR")]
    pub(crate) bin_dir: Option<PathBuf>,
    /// Where logs and data of each run go; kept when something is wrong.
    #[arg(long, value_name = "DIR", default_value = "target/faults")]
    pub(crate) folder: PathBuf,
    /// Results are appended here, a line of JSON each; `results.jsonl` in the folder when missing.
    #[arg(long, value_name = "FILE")]
    pub(crate) results: Option<PathBuf>,
}

impl Place {
    /// The file of results.
    pub(crate) fn results(&self) -> PathBuf {
        let inside = || self.folder.join("results.jsonl");
        self.results.clone().unwrap_or_else(inside)
    }

    /// The folder of the binaries.
    pub(crate) fn binaries(&self) -> anyhow::Result<PathBuf> {
        if let Some(folder) = &self.bin_dir {
            return Ok(folder.clone());
        }
        let own = std::env::current_exe()?;
        let beside = own.parent().expect("a program is in a folder");
        Ok(beside.to_owned())
    }
}

/// What to run, and how.
#[derive(Debug, Clone, Arguments)]
pub(crate) struct RunOptions {
    /// Scenarios, such as F-01.
    pub(crate) ids: Vec<String>,
    /// Every scenario.
    #[arg(long, conflicts_with = "ids")]
    pub(crate) all: bool,
    /// The selection that runs on every commit.
    #[arg(long, conflicts_with_all = ["ids", "all"])]
    pub(crate) short: bool,
    /// In this profile only; in every one that the scenario names when missing.
    #[arg(long)]
    pub(crate) profile: Option<Profile>,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many seeds, one after another.
    #[arg(long, default_value_t = 1)]
    pub(crate) seeds: u64,
    /// How many runs at a time. They slow each other down: times may pass their bounds then.
    #[arg(long, default_value = "1")]
    pub(crate) jobs: NonZeroUsize,
    /// Stretches outages to what the catalogue says; minutes each.
    #[arg(long)]
    pub(crate) long: bool,
    /// How many users are online.
    #[arg(long, default_value_t = 200)]
    pub(crate) users: usize,
    /// Messages in a second.
    #[arg(long, default_value_t = 150)]
    pub(crate) rate: u32,
    /// Lets clients of CIM in on CIM's own ports, where a scenario has some: 8083 for one route, 11211
    /// and 8081, 11212 and 8082 for two servers. They must be free at this address of the machine.
    #[arg(
        long,
        value_name = "ADDRESS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "127.0.0.1",
        conflicts_with = "jobs"
    )]
    pub(crate) cim_ports: Option<Ipv4Addr>,
    /// Measures times without holding them against the bounds: for builds without optimisation.
    #[arg(long)]
    pub(crate) no_bounds: bool,
    /// Renders the report afterwards.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// How to send many messages through many faults.
#[derive(Debug, Clone, Arguments)]
pub(crate) struct CampaignOptions {
    /// Accepted messages to reach.
    #[arg(long, default_value_t = 10_000_000)]
    pub(crate) messages: u64,
    /// In which profile.
    #[arg(long, default_value = "cluster")]
    pub(crate) profile: Profile,
    /// Pause between the end of a fault and the next.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    pub(crate) fault_every: Duration,
    /// How many users.
    #[arg(long, default_value_t = 50)]
    pub(crate) users: usize,
    /// Messages of each user that may wait for their answer.
    #[arg(long, default_value_t = 64)]
    pub(crate) window: usize,
    /// Of a thousand messages, so many go to the lobby.
    #[arg(long, default_value_t = 5)]
    pub(crate) lobby: usize,
    /// The seed of everything that is random.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// What to render.
#[derive(Debug, Clone, Arguments)]
pub(crate) struct ReportOptions {
    /// Results of earlier runs.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "target/faults/results.jsonl"
    )]
    pub(crate) results: PathBuf,
    /// The file to write.
    #[arg(long, value_name = "FILE", default_value = "docs/RELIABILITY.md")]
    pub(crate) out: PathBuf,
    /// A table of planted bugs and what found each, in Markdown, to include.
    #[arg(long, value_name = "FILE")]
    pub(crate) planted: Option<PathBuf>,
}
