//! Settings: what is said on the command line outweighs the environment, that outweighs the
//! profile of the configuration file, that outweighs the rest of the file, that outweighs what `im`
//! does by itself.
//!
//! A key of the file is the name of an option. Its value is given to the command line as that
//! option's default, so an option is parsed, checked and explained in one way, wherever it is said.

mod file;
mod text;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command, FromArgMatches};

use self::file::Given;
pub(super) use self::file::{File, path};
use super::args::CommandLine;
use super::failure::Failure;

/// The options that a configuration file may set, in the order of `im config`.
const KEYS: [&str; 9] = [
    "route",
    "user",
    "device",
    "password-file",
    "password-command",
    "timeout",
    "language",
    "colour",
    "bell",
];

/// What counts against what, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// Nobody said anything.
    Default,
    /// The file, for every profile.
    File,
    /// The profile of the file.
    Profile,
    /// A variable of the environment.
    Environment,
    /// An option of the command line.
    Flag,
}

/// A setting as it is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// Its name in the configuration file.
    pub(super) key: &'static str,
    /// Its value, if it has one; several for a list.
    pub(super) values: Vec<String>,
    /// What said so.
    pub(super) weight: Weight,
    /// Where exactly: a variable, or a line of the file.
    pub(super) place: Option<String>,
}

/// A command line whose gaps the configuration file has filled.
#[derive(Debug)]
pub(super) struct Settled {
    /// The command line.
    pub(super) line: CommandLine,
    /// Every setting, for those who ask where it comes from.
    pub(super) settings: Vec<Setting>,
    /// Why the file counts for nothing; only the doctor goes on then.
    pub(super) broken: Option<Failure>,
}

/// Fills what the command line leaves open from the file and one of its profiles.
pub(super) fn settle(
    words: &[std::ffi::OsString],
    command: Command,
    file: &File,
    profile: Option<&str>,
) -> Result<Settled, Failure> {
    let layers = file.layers(profile)?;
    let given = |key: &str| {
        let layers = layers.iter();
        let mut found = layers.filter_map(|(weight, layer)| Some((*weight, layer.get(key)?)));
        found.next()
    };
    let command = fill(command, &given);
    // What the first parse let pass, and the file's check, cannot fail here.
    let unlikely = |error: clap::Error| Failure::usage(error.to_string());
    let matches = command
        .clone()
        .try_get_matches_from(words)
        .map_err(unlikely)?;
    let mut line = CommandLine::from_arg_matches(&matches).map_err(unlikely)?;
    let settings = KEYS.map(|key| setting(&command, &matches, key, given(key)));
    let by_name = |name: &str| weight_of(&matches, name, given(&name.replace('_', "-")));
    line.account.choose_password(by_name)?;
    Ok(Settled {
        line,
        settings: settings.into(),
        broken: None,
    })
}

/// Gives options their defaults, in subcommands too: those have copies of what they inherit.
fn fill<'a>(command: Command, given: &impl Fn(&str) -> Option<(Weight, &'a Given)>) -> Command {
    command
        .mut_args(|arg| match arg.get_long().and_then(given) {
            Some((_, given)) => arg.default_values(given.texts.clone()),
            None => arg,
        })
        .mut_subcommands(|subcommand| fill(subcommand, given))
}

fn weight_of(matches: &ArgMatches, id: &str, given: Option<(Weight, &Given)>) -> Weight {
    match matches.value_source(id) {
        Some(ValueSource::CommandLine) => Weight::Flag,
        Some(ValueSource::EnvVariable) => Weight::Environment,
        _ => given.map_or(Weight::Default, |(weight, _)| weight),
    }
}

fn setting(
    command: &Command,
    matches: &ArgMatches,
    key: &'static str,
    given: Option<(Weight, &Given)>,
) -> Setting {
    let arg = command
        .get_arguments()
        .find(|arg| arg.get_long() == Some(key))
        .expect("a test finds every key among the options");
    let id = arg.get_id().as_str();
    let weight = weight_of(matches, id, given);
    let values = matches.get_raw(id).into_iter().flatten();
    let variable = arg
        .get_env()
        .map(|name| name.to_string_lossy().into_owned());
    Setting {
        key,
        values: values
            .map(|value| value.to_string_lossy().into_owned())
            .collect(),
        weight,
        place: match weight {
            Weight::Flag => Some(format!("--{key}")),
            Weight::Environment => variable,
            Weight::Profile | Weight::File => given.map(|(_, given)| given.line.to_string()),
            Weight::Default => None,
        },
    }
}

#[cfg(test)]
mod tests;
