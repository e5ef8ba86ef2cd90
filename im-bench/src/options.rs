//! The command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, ValueEnum as _};

use crate::measures::Measure;

/// Measures what the users of the client feel: a table in Markdown, medians of several runs.
#[derive(Debug, Parser)]
#[command(
    name = "im-bench",
    version,
    after_help = "\
Build what is measured first, each by itself as it is installed:
  cargo build --release -p im-client -p im-standalone
  cargo build --release -p im-bench

Examples:
  im-bench                      everything, five runs each
  im-bench echo --runs 1        how fast keys appear while messages pour in
  im-bench prompt quit          starting and leaving
  im-bench --bin-dir ~/old/bin  another build, measured by this program

A run wants the machine for itself."
)]
pub(crate) struct Options {
    /// What to measure; everything if nothing is said.
    measures: Vec<Measure>,
    /// How often; the table has the medians.
    #[arg(long, value_name = "N", default_value = "5")]
    pub(crate) runs: NonZeroUsize,
    /// Where `im` and `im-standalone` are; beside this program when missing.
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
}

impl Options {
    /// What to measure.
    pub(crate) fn measures(&self) -> &[Measure] {
        match self.measures.as_slice() {
            [] => Measure::value_variants(),
            some => some,
        }
    }

    /// The folder of the binaries.
    pub(crate) fn binaries(&self) -> anyhow::Result<PathBuf> {
        if let Some(folder) = &self.bin_dir {
            return Ok(folder.clone());
        }
        let own = std::env::current_exe()?;
        let folder = own.parent().context("a program is in a folder")?;
        Ok(folder.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Options::command().debug_assert();
    }

    #[test]
    fn nothing_said_is_everything() {
        let parse = |words: &[&str]| Options::parse_from([&["im-bench"], words].concat());
        assert_eq!(parse(&[]).measures(), Measure::value_variants());
        assert_eq!(
            parse(&["quit", "idle"]).measures(),
            [Measure::Quit, Measure::Idle]
        );
    }
}
