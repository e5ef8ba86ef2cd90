//! Renders `docs/RELIABILITY.md` from results, and from nothing else.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use im_tests::circumstances::Circumstances;

use crate::catalogue::{self, Scenario};
use crate::options::ReportOptions;
use crate::results::{self, CampaignResult, Entry, Outcome, RunResult};

/// Notes of one row: the table stays readable.
const NOTES_MAX: usize = 4;

/// Renders what the options name.
pub(crate) fn write(options: &ReportOptions) -> anyhow::Result<()> {
    let planted = options.planted.as_deref().map(std::fs::read_to_string);
    render_to(
        &options.results,
        &options.out,
        planted.transpose()?.as_deref(),
    )
}

/// Renders the results of a file into another.
pub(crate) fn render_to(file: &Path, out: &Path, planted: Option<&str>) -> anyhow::Result<()> {
    let entries = results::read(file)?;
    std::fs::write(out, render(&entries, planted))?;
    println!("wrote {}", out.display());
    Ok(())
}

/// The last run of each scenario in each profile, short and long, with each seed.
type Latest<'a> = BTreeMap<(&'a str, &'a str, bool), BTreeMap<u64, &'a RunResult>>;

fn render(entries: &[Entry], planted: Option<&str>) -> String {
    let mut latest = Latest::new();
    let mut campaigns = Vec::new();
    for entry in entries {
        match entry {
            Entry::Run(run) => {
                let key = (run.id.as_str(), run.profile.as_str(), run.long);
                let rows = latest.entry(key).or_default();
                rows.insert(run.seed, run);
            }
            Entry::Campaign(campaign) => campaigns.push(campaign),
        }
    }
    let mut text = String::from(HEAD);
    circumstances(&mut text, &latest, &campaigns);
    text.push_str(TABLE_HEAD);
    let scenarios = catalogue::all();
    for ((id, profile, long), seeds) in &latest {
        if let Some(scenario) = scenarios.iter().find(|scenario| scenario.id == *id) {
            let profile = if *long {
                format!("{profile}, `--long`")
            } else {
                (*profile).to_owned()
            };
            let seeds: Vec<_> = seeds.values().copied().collect();
            row(&mut text, scenario, &profile, &seeds);
        }
    }
    excluded(&mut text);
    campaign_rows(&mut text, &campaigns);
    if let Some(planted) = planted {
        text.push_str(PLANTED_HEAD);
        text.push_str(planted);
    }
    text
}

const HEAD: &str = "\
# Reliability

Written by `im-faults report`; do not edit. What each fault did to a cluster of real processes under
load, and what became of every message: [tests/README.md](../tests/README.md) says how to run it.

After every fault: nothing accepted is lost, nothing is handled twice or out of order, nothing is
delivered that nobody sent, every send ends, everybody is attached again and can log in anew, the
list of who is online is right, and no process has panicked or logged an error.

";

const TABLE_HEAD: &str = "
## Faults

Times are those of the worst seed. With `--long` outages take as many minutes as the catalogue says.

| fault | what | profile | seeds | accepted | lost | doubled | reordered | locked out | recovery p50 / p99 | bound | outcome |
| --- | --- | --- | --: | --: | --: | --: | --: | --: | --: | --- | --- |
";

const PLANTED_HEAD: &str = "
## Planted bugs

";

fn circumstances(text: &mut String, latest: &Latest<'_>, campaigns: &[&CampaignResult]) {
    let runs = latest
        .values()
        .flat_map(BTreeMap::values)
        .map(|run| &run.at);
    let all = runs.chain(campaigns.iter().map(|campaign| &campaign.at));
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    for Circumstances {
        date,
        commit,
        build,
        machine,
    } in all
    {
        *counted
            .entry(format!("{date}, commit {commit}, {build} build, {machine}"))
            .or_default() += 1;
    }
    for (line, runs) in counted {
        let _written = writeln!(text, "- {line}: {runs} runs");
    }
}

fn row(text: &mut String, scenario: &Scenario, profile: &str, seeds: &[&RunResult]) {
    let sum = |value: fn(&RunResult) -> u64| seeds.iter().map(|run| value(run)).sum::<u64>();
    let worst = |value: fn(&RunResult) -> Option<u64>| {
        let worst = seeds.iter().filter_map(|run| value(run)).max();
        worst.map_or("-".to_owned(), |ms| format!("{ms} ms"))
    };
    let outcome = seeds
        .iter()
        .map(|run| run.outcome)
        .max()
        .unwrap_or(Outcome::Skipped);
    let mut said = match outcome {
        Outcome::Held => "held".to_owned(),
        Outcome::Skipped => "skipped".to_owned(),
        Outcome::Broken => "**broken**".to_owned(),
    };
    let last = seeds.last().expect("a row has a run");
    let remarks = if outcome == Outcome::Broken {
        &last.broken
    } else {
        &last.notes
    };
    for remark in remarks.iter().take(NOTES_MAX) {
        let _written = write!(said, "; {}", remark.replace('|', "/"));
    }
    let _written = writeln!(
        text,
        "| {} | {} | {profile} | {} | {} | {} | {} | {} | {} | {} / {} | {} | {said} |",
        scenario.id,
        scenario.title,
        seeds.len(),
        sum(|run| run.sums.accepted),
        sum(|run| run.sums.lost),
        sum(|run| run.sums.doubled),
        sum(|run| run.sums.reordered),
        sum(|run| run.locked_out),
        worst(|run| run.recovery_p50_ms),
        worst(|run| run.recovery_p99_ms),
        scenario.bound,
    );
}

fn excluded(text: &mut String) {
    text.push_str("\nNot tried here:\n\n");
    for excluded in catalogue::EXCLUDED {
        let _written = writeln!(text, "- {}: {}", excluded.id, excluded.why);
    }
}

fn campaign_rows(text: &mut String, campaigns: &[&CampaignResult]) {
    if campaigns.is_empty() {
        return;
    }
    text.push_str(
        "\n## Campaigns\n\n\
         | profile | seed | users | accepted | handled | in a second | faults | lost | doubled | reordered | forged | outcome |\n\
         | --- | --: | --: | --: | --: | --: | --- | --: | --: | --: | --: | --- |\n",
    );
    for campaign in campaigns {
        let faults: Vec<String> = campaign
            .faults
            .iter()
            .map(|(what, count)| format!("{count} x {what}"))
            .collect();
        let sums = &campaign.sums;
        let outcome = if campaign.outcome == Outcome::Held {
            "held"
        } else {
            "**broken**"
        };
        let _written = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {outcome} |",
            campaign.profile,
            campaign.seed,
            campaign.users,
            sums.accepted,
            sums.handled,
            campaign.per_second,
            faults.join(", "),
            sums.lost,
            sums.doubled,
            sums.reordered,
            sums.forged,
        );
    }
}
