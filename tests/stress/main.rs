//! Scenarios in which something goes wrong, each in a cluster of its own in this process, and what
//! must hold after every one of them. tests/README.md tells how to run, repeat and add one.

mod aftermath;
mod options;
mod panics;
mod patience;
mod planted;
mod plants;
mod resources;
mod runner;
mod scenario;
mod scenarios;
mod world;

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use options::Options;
use scenario::Scenario;

/// An allocator that keeps what it is given back hides leaks, or looks like one: glibc keeps some
/// 20 MiB of each password for each of its arenas. Others do not know these variables.
const ALLOCATOR: [(&str, &str); 2] = [
    ("MALLOC_MMAP_THRESHOLD_", "1048576"),
    ("MALLOC_ARENA_MAX", "2"),
];

fn main() -> ExitCode {
    begin_anew_with_allocator();
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(reason) => {
            writeln!(std::io::stderr(), "{reason}").ok();
            return ExitCode::from(2);
        }
    };
    if options.planted {
        return try_planted(&options);
    }
    let chosen: Vec<&'static Scenario> = scenarios::all()
        .filter(|scenario| options.wants(scenario.name))
        .collect();
    if options.list {
        list(&chosen, options.terse);
        return ExitCode::SUCCESS;
    }
    if chosen.is_empty() && options.only.is_some() {
        writeln!(
            std::io::stderr(),
            "no scenario is named so; --list names them"
        )
        .ok();
        return ExitCode::from(2);
    }
    if let Some(at_most) = options.patience {
        patience::limit(at_most);
    }
    if let Some(bug) = options.plant {
        im_tests::planted::plant(bug);
    }
    let held = runner::run(&chosen, &options);
    // What does not catch the bugs that are put in on purpose proves nothing.
    let proven = match options.everything {
        true => try_planted(&options),
        false => ExitCode::SUCCESS,
    };
    if held { proven } else { ExitCode::FAILURE }
}

fn try_planted(options: &Options) -> ExitCode {
    match planted::run(options.table.as_deref()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            writeln!(std::io::stderr(), "cannot try the planted bugs: {error}").ok();
            ExitCode::from(2)
        }
    }
}

/// The allocator reads its variables when a process begins, so this one begins once more.
fn begin_anew_with_allocator() {
    if ALLOCATOR
        .iter()
        .all(|(name, _)| std::env::var_os(name).is_some())
    {
        return;
    }
    let Ok(myself) = std::env::current_exe() else {
        return;
    };
    // Returns only when it fails, and then the bounds of memory may be too narrow.
    let failed = std::process::Command::new(myself)
        .args(std::env::args_os().skip(1))
        .envs(ALLOCATOR)
        .exec();
    writeln!(std::io::stderr(), "cannot set up the allocator: {failed}").ok();
}

fn list(chosen: &[&Scenario], terse: bool) {
    let mut out = std::io::stdout().lock();
    for scenario in chosen {
        if terse {
            writeln!(out, "{}: test", scenario.name).ok();
        } else {
            writeln!(out, "{:<44} {}", scenario.name, scenario.about).ok();
        }
    }
    if !terse {
        writeln!(out, "{} scenarios", chosen.len()).ok();
    }
}
