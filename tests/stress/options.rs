//! The command line: ours, and what cargo and test runners add.

use std::path::PathBuf;
use std::time::Duration;

use im_tests::planted::Plant;

use crate::plants;

/// The same for every run that names none, so that a change of the code is what changes a result.
const SEED: u64 = 1;
/// Most of a scenario is waiting: more than one for each core keeps two cores busy.
const JOBS: usize = 5;

/// Flags of the usual test harness that come with a value.
const TAKES_VALUE: [&str; 6] = [
    "--format",
    "--color",
    "--logfile",
    "--report-time",
    "--shuffle-seed",
    "-Z",
];

/// What to run and how.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) list: bool,
    /// The list is for a machine.
    pub(crate) terse: bool,
    pub(crate) seed: u64,
    /// Part of a name; nothing matching is an error.
    pub(crate) only: Option<String>,
    /// Parts of names, any of which will do; nothing matching is nothing to do.
    filters: Vec<String>,
    skips: Vec<String>,
    pub(crate) repeat: usize,
    pub(crate) jobs: usize,
    /// A bug to wake before anything begins.
    pub(crate) plant: Option<&'static Plant>,
    /// Nothing in particular was asked for.
    pub(crate) everything: bool,
    /// Try every planted bug instead.
    pub(crate) planted: bool,
    /// Where the table of planted bugs goes.
    pub(crate) table: Option<PathBuf>,
    /// Wait for nothing any longer.
    pub(crate) patience: Option<Duration>,
    /// No scenario is marked as ignored, so none is wanted.
    only_ignored: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            list: false,
            terse: false,
            seed: SEED,
            only: None,
            filters: Vec::new(),
            skips: Vec::new(),
            repeat: 1,
            jobs: JOBS,
            plant: None,
            everything: true,
            planted: false,
            table: None,
            patience: None,
            only_ignored: false,
        }
    }
}

impl Options {
    /// Reads arguments; flags of the usual harness that mean nothing here are passed over.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            options.everything = false;
            let (flag, given) = match argument.split_once('=') {
                Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
                None => (argument, None),
            };
            let mut value = || given.clone().or_else(|| arguments.next());
            match flag.as_str() {
                "--list" => options.list = true,
                "--seed" => options.seed = number(&flag, value())?,
                "--only" => options.only = Some(value().ok_or("--only needs a name")?),
                "--repeat" => options.repeat = number(&flag, value())?.max(1) as usize,
                "--jobs" | "--test-threads" => {
                    options.jobs = number(&flag, value())?.max(1) as usize;
                }
                "--plant" => options.plant = Some(planted(value())?),
                "--planted" => options.planted = true,
                "--table" => options.table = Some(value().ok_or("--table needs a file")?.into()),
                "--patience" => {
                    options.patience = Some(Duration::from_secs(number(&flag, value())?));
                }
                "--skip" => options.skips.extend(value()),
                "--ignored" => options.only_ignored = true,
                "--format" => options.terse = value().as_deref() == Some("terse"),
                flag if TAKES_VALUE.contains(&flag) => drop(value()),
                flag if flag.starts_with('-') => {}
                filter => options.filters.push(filter.to_owned()),
            }
        }
        Ok(options)
    }

    /// Whether a scenario is to be run.
    pub(crate) fn wants(&self, name: &str) -> bool {
        let contains = |part: &String| name.contains(part.as_str());
        !self.only_ignored
            && self.only.iter().all(contains)
            && (self.filters.is_empty() || self.filters.iter().any(contains))
            && !self.skips.iter().any(contains)
    }
}

fn planted(name: Option<String>) -> Result<&'static Plant, String> {
    let found = plants::ALL
        .iter()
        .find(|plant| Some(plant.name) == name.as_deref());
    found.ok_or_else(|| {
        let all = plants::ALL.iter();
        let rows =
            all.map(|plant| format!("{:<24} {:<44} {}", plant.name, plant.what, plant.caught_by));
        let rows: Vec<String> = rows.collect();
        format!("--plant needs one of\n{}", rows.join("\n"))
    })
}

fn number(flag: &str, value: Option<String>) -> Result<u64, String> {
    let value = value.ok_or_else(|| format!("{flag} needs a number"))?;
    value
        .parse()
        .map_err(|_| format!("{flag} needs a number, not {value:?}"))
}
