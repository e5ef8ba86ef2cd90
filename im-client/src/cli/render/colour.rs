//! Whether there are colours.

use std::io::{self, IsTerminal};

use clap::ValueEnum;

use crate::cli::terminal;

/// When names are in colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set or it is dumb.
    #[default]
    Auto,
    /// Also into pipes.
    Always,
    /// Nowhere.
    Never,
}

impl Colour {
    /// Whether standard output is in colour.
    pub(in crate::cli) fn is_on(self) -> bool {
        let is_declined = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match self {
            Self::Auto => io::stdout().is_terminal() && !is_declined && !terminal::is_dumb(),
            Self::Always => true,
            Self::Never => false,
        }
    }
}
