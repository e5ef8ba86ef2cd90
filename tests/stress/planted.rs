//! `--planted`: puts in every bug of the table, each in a process of its own, and sees to it that
//! its scenario finds it.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};
use tokio::time::Instant;

use im_tests::planted::{Place, Plant};

use crate::plants;

/// Most of a run is waiting for what never comes.
const AT_ONCE: usize = 5;
/// In seconds. Without a bug the same scenarios hold within it, which is tried first; a repair that
/// takes longer would be taken for none.
const PATIENCE_S: &str = "6";
/// What a line of a failed run begins with when a promise was broken. Everything else, such as
/// waiting in vain, may have another cause than the bug.
const PROMISES: [&str; 7] = [
    "  Lost: ",
    "  Doubled: ",
    "  Reordered: ",
    "  Forged: ",
    "  Late: ",
    "  not so: ",
    // What a scenario asserts of the answers that it was given.
    "  panic at tests/stress/scenarios/",
];
/// Of what was found: a line of a table.
const FOUND_CHARS_MAX: usize = 120;

/// What became of one bug.
enum Outcome {
    /// A promise that was broken.
    Caught(String),
    /// Every promise was kept.
    Missed,
    /// The run failed, and nothing shows that it was the bug.
    Unclear(String),
}

/// Tries them all; the table goes to a file as well if one is named, in Markdown. Returns whether
/// each bug was caught.
///
/// # Errors
/// When a process cannot be started or the file not be written.
pub(crate) fn run(table: Option<&Path>) -> io::Result<bool> {
    let began = Instant::now();
    if !hold_without(plants::ALL)? {
        return Ok(false);
    }
    let queue: Mutex<VecDeque<&'static Plant>> = Mutex::new(plants::ALL.iter().collect());
    let tried = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                // Taken in a function of its own: a lock in the head of a loop is held within it.
                while let Some(plant) = next(&queue) {
                    let outcome = try_out(plant);
                    say(plant, &outcome);
                    locked(&tried).push((plant, outcome));
                }
            });
        }
    });
    let mut tried = tried.into_inner().unwrap_or_else(PoisonError::into_inner);
    tried.sort_by_key(|(plant, _)| plant.name);
    if let Some(file) = table {
        std::fs::write(file, rendered(&tried))?;
    }
    let is_caught = |outcome: &Outcome| matches!(outcome, Outcome::Caught(_));
    let escaped: Vec<&str> = tried
        .iter()
        .filter(|(_, outcome)| !is_caught(outcome))
        .map(|(plant, _)| plant.name)
        .collect();
    writeln!(
        io::stdout(),
        "\nplanted bugs: {}. {} caught; {} not{}; finished in {:.1?}",
        if escaped.is_empty() { "ok" } else { "FAILED" },
        tried.len() - escaped.len(),
        escaped.len(),
        if escaped.is_empty() {
            String::new()
        } else {
            format!(" ({})", escaped.join(", "))
        },
        began.elapsed()
    )?;
    Ok(escaped.is_empty())
}

/// Whether all these scenarios hold while no bug is awake: else it would not be the bugs.
fn hold_without(all: &[Plant]) -> io::Result<bool> {
    let scenarios: BTreeSet<&str> = all.iter().map(|plant| plant.caught_by).collect();
    let output = myself(scenarios)?;
    if !output.status.success() {
        io::stdout().write_all(&output.stdout)?;
        writeln!(io::stdout(), "this fails without any bug")?;
    }
    Ok(output.status.success())
}

fn next(queue: &Mutex<VecDeque<&'static Plant>>) -> Option<&'static Plant> {
    locked(queue).pop_front()
}

fn try_out(plant: &Plant) -> Outcome {
    match myself(["--plant", plant.name, "--only", plant.caught_by]) {
        Ok(output) => outcome(&output),
        Err(error) => Outcome::Unclear(error.to_string()),
    }
}

fn myself<'a>(arguments: impl IntoIterator<Item = &'a str>) -> io::Result<Output> {
    Command::new(std::env::current_exe()?)
        .args(arguments)
        .args(["--patience", PATIENCE_S])
        .output()
}

fn outcome(output: &Output) -> Outcome {
    if output.status.success() {
        return Outcome::Missed;
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let broken = PROMISES.iter().find_map(|promise| {
        let mut lines = text.lines();
        lines.find(|line| line.starts_with(promise))
    });
    let brief = |line: &str| line.trim().chars().take(FOUND_CHARS_MAX).collect();
    match broken {
        Some(line) if output.status.code() == Some(1) => Outcome::Caught(brief(line)),
        _ => {
            let told = text.lines().find(|line| line.starts_with("  "));
            let error = String::from_utf8_lossy(&output.stderr);
            let told = told.or_else(|| error.lines().next()).unwrap_or("nothing");
            Outcome::Unclear(format!("{}: {}", output.status, told.trim()))
        }
    }
}

fn say(plant: &Plant, outcome: &Outcome) {
    let Plant {
        name,
        what,
        caught_by,
        ..
    } = plant;
    let (mark, found) = match outcome {
        Outcome::Caught(found) => ("caught", found.as_str()),
        Outcome::Missed => ("MISSED", "no promise was broken"),
        Outcome::Unclear(told) => ("FAILED", told.as_str()),
    };
    let line = format!("{mark} {name:<22} {what:<46} {caught_by:<36} {found}");
    writeln!(io::stdout(), "{line}").ok();
}

fn rendered(tried: &[(&Plant, Outcome)]) -> String {
    let mut text = String::from(
        "| bug | what it does | where | scenario | what was found |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for (plant, outcome) in tried {
        let place = match plant.place {
            Place::Inside(_) => "in a node or the SDK",
            Place::Seam(_) => "at a seam",
        };
        let found = match outcome {
            Outcome::Caught(found) => found.replace('|', "/"),
            Outcome::Missed => "**nothing**".to_owned(),
            Outcome::Unclear(_) => "**unclear**".to_owned(),
        };
        let _written = writeln!(
            text,
            "| {} | {} | {place} | {} | {found} |",
            plant.name, plant.what, plant.caught_by
        );
    }
    text
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
