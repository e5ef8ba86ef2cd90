use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;

/// The keys that the command line asks for: what every command needs, and what it may have.
fn keys(command: &Command, name: &str, inherited: &BTreeSet<String>) -> BTreeSet<String> {
    let mut keys = BTreeSet::from(["about", "examples"].map(|what| format!("help.{name}.{what}")));
    let args = command.get_arguments().map(|arg| arg.get_id().to_string());
    let own = args.filter(|id| name == "im" || !inherited.contains(id));
    keys.extend(own.map(|id| format!("help.{name}.{id}")));
    keys
}

#[test]
fn everything_is_explained_and_nothing_else() {
    let mut command = CommandLine::command();
    command.build();
    let of_all = command.get_arguments().map(|arg| arg.get_id().to_string());
    let of_all: BTreeSet<String> = of_all.collect();
    let mut expected = keys(&command, "im", &of_all);
    for subcommand in command.get_subcommands() {
        if subcommand.get_name() != "help" {
            expected.extend(keys(subcommand, subcommand.get_name(), &of_all));
        }
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("locales/help.yml");
    let catalogue = fs::read_to_string(file).unwrap();
    let there = catalogue.lines().filter_map(|line| line.strip_suffix(':'));
    let there = there.filter(|key| key.matches('.').count() == 2);
    assert_eq!(there.map(str::to_owned).collect::<BTreeSet<_>>(), expected);
}

#[test]
fn clap_adds_nothing_in_english() {
    for subcommand in command().get_subcommands() {
        for arg in subcommand.get_arguments() {
            let is_explained = arg.get_help().is_some() && arg.is_hide_env_set();
            assert!(
                is_explained || subcommand.get_name() == "help",
                "{}",
                arg.get_id()
            );
        }
    }
}
