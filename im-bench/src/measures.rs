//! What is measured: a file each.

mod complete;
mod echo;
mod handler;
mod idle;
mod prompt;
mod quit;
mod search;

use std::fmt;

use clap::ValueEnum;

use crate::stage::Stage;

/// Something to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measure {
    /// How long until the prompt is there.
    Prompt,
    /// How long until a key appears while messages pour in.
    Echo,
    /// How much memory an idle `im` holds.
    Idle,
    /// How long leaving takes.
    Quit,
    /// How long Tab takes with many names.
    Complete,
    /// How many messages one handler takes.
    Handler,
    /// How long a search among a million messages takes.
    Search,
}

/// A line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// What the figure is.
    pub(crate) what: &'static str,
    /// How it is come by.
    pub(crate) how: &'static str,
    /// What it should be.
    pub(crate) bound: Bound,
    /// Of what.
    pub(crate) unit: &'static str,
}

/// What a figure should be.
#[derive(Debug)]
pub(crate) enum Bound {
    /// Not more.
    AtMost(f64),
    /// Not less.
    AtLeast(f64),
    /// It explains another one.
    None,
}

impl Measure {
    /// The lines that it fills.
    pub(crate) const fn rows(self) -> &'static [Row] {
        match self {
            Self::Prompt => prompt::ROWS,
            Self::Echo => echo::ROWS,
            Self::Idle => idle::ROWS,
            Self::Quit => quit::ROWS,
            Self::Complete => complete::ROWS,
            Self::Handler => handler::ROWS,
            Self::Search => search::ROWS,
        }
    }

    /// Measures once: a figure for each row.
    pub(crate) async fn run(self, stage: &Stage) -> anyhow::Result<Vec<f64>> {
        match self {
            Self::Prompt => prompt::run(stage).await,
            Self::Echo => echo::run(stage).await,
            Self::Idle => idle::run(stage).await,
            Self::Quit => quit::run(stage).await,
            Self::Complete => complete::run(stage).await,
            Self::Handler => handler::run(stage).await,
            Self::Search => search::run(stage).await,
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().expect("every measure has a name");
        f.write_str(value.get_name())
    }
}
