//! `im-bench`: measures what the users of the client feel, and prints one table.
//!
//! Nothing here is a test: a busy machine makes figures worse, so they are printed beside their
//! bounds and judged by whoever reads them.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is a program that reports to a person"
)]

mod figures;
mod measures;
mod options;
mod stage;
mod table;

use std::process::ExitCode;

use clap::Parser as _;

use figures::median;
use options::Options;
use stage::Stage;
use table::Table;

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("im-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> anyhow::Result<()> {
    let binaries = options.binaries()?;
    let mut table = Table::default();
    for measure in options.measures() {
        let rows = measure.rows();
        let mut runs = vec![Vec::new(); rows.len()];
        let shared = tempfile::tempdir()?;
        for number in 1..=options.runs.get() {
            eprintln!("{measure}: run {number} of {}", options.runs);
            // Each run has a cluster and a home of its own: none is helped by the one before.
            let stage = Stage::set(&binaries, shared.path()).await?;
            let figures = measure.run(&stage).await?;
            for (run, figure) in runs.iter_mut().zip(figures) {
                run.push(figure);
            }
        }
        for (row, run) in rows.iter().zip(runs) {
            table.add(measure, row, median(run));
        }
    }
    print!("{table}");
    Ok(())
}
