//! The help: a walk over the command line that puts in the texts of the reader's language.
//!
//! The key of a text is `help.COMMAND.WHAT`, where the command is `im` itself or one of its
//! subcommands, and what is `about`, `examples`, or the name of an option. Options of `im` that
//! subcommands take as well are explained once.

use std::fmt::Write;

use clap::builder::{Resettable, StyledStr};
use clap::{Arg, Command, CommandFactory};
use rust_i18n::t;

use super::args::CommandLine;
use super::exit::Exit;

/// The command line, explained in the reader's language.
pub(super) fn command() -> Command {
    let mut command = CommandLine::command();
    // Afterwards the options that clap adds by itself are there, and those that are inherited.
    command.build();
    explain(command, "im").after_help(Exit::help())
}

fn explain(command: Command, name: &str) -> Command {
    let template = template(name);
    let command = match text(name, "about") {
        Some(about) => command.about(about),
        None => command,
    };
    command
        .help_template(template)
        .subcommand_help_heading(t!("help.commands").into_owned())
        .mut_args(|arg| explain_arg(arg, name))
        .mut_subcommands(|command| match command.get_name() {
            // Its own subcommands only repeat the names of the others.
            "help" => command.about(t!("help.help").into_owned()),
            name => {
                let name = name.to_owned();
                explain(command, &name)
            }
        })
}

/// Examples come first: most readers need nothing else.
fn template(name: &str) -> StyledStr {
    let mut template = "{about}\n\n".to_owned();
    if let Some(examples) = text(name, "examples") {
        let heading = t!("help.examples");
        let _ = write!(template, "{heading}\n{}\n\n", indented(&examples));
    }
    let usage = t!("help.usage");
    let _ = write!(template, "{usage} {{usage}}\n\n{{all-args}}{{after-help}}");
    template.into()
}

fn indented(lines: &str) -> String {
    let lines: Vec<String> = lines.lines().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}

fn explain_arg(arg: Arg, command: &str) -> Arg {
    let heading = heading(&arg);
    let help = explanation(&arg, command);
    // Those in positions in their order, the others as they stand in the code.
    let arg = match arg.get_index() {
        Some(index) => arg.display_order(index),
        None => arg,
    };
    arg.help(help)
        // Clap has one for its own options, in English.
        .long_help(Resettable::Reset)
        .help_heading(heading)
        .hide_env(true)
        .hide_default_value(true)
        .hide_possible_values(true)
}

fn heading(arg: &Arg) -> String {
    let heading = match arg.get_id().as_str() {
        _ if arg.is_positional() => t!("help.arguments"),
        "profile" | "routes" | "user" | "device" | "timeout" | "password_file" | "password_fd"
        | "password_command" | "no_input" => t!("help.connection"),
        _ => t!("help.options"),
    };
    heading.into_owned()
}

/// What an option does, and what clap would add in English.
fn explanation(arg: &Arg, command: &str) -> String {
    let id = arg.get_id().as_str();
    let said = text(command, id).or_else(|| text("im", id));
    let mut help = said.unwrap_or_default();
    let takes_value = arg.get_action().takes_values();
    let join = |values: Vec<String>| values.join(", ");
    if takes_value && !arg.get_possible_values().is_empty() {
        let values = arg.get_possible_values();
        let names = values.iter().map(|value| value.get_name().to_owned());
        let _ = write!(help, " [{}]", names.collect::<Vec<_>>().join("|"));
    }
    let defaults = arg.get_default_values().iter();
    let defaults = join(
        defaults
            .map(|value| value.to_string_lossy().into())
            .collect(),
    );
    if takes_value && !defaults.is_empty() {
        let _ = write!(help, " [{}]", t!("help.default", value = defaults));
    }
    if let Some(variable) = arg.get_env() {
        let _ = write!(help, " [{}]", variable.to_string_lossy());
    }
    help
}

fn text(command: &str, what: &str) -> Option<String> {
    let key = format!("help.{command}.{what}");
    let text = crate::_rust_i18n_try_translate(&rust_i18n::locale(), &key);
    text.map(|text| text.trim_end().to_owned())
}

#[cfg(test)]
mod tests;
