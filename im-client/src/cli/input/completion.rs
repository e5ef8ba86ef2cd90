//! What Tab completes: commands, and names behind `@` and `:history`.

use rustyline::completion::Completer;
use rustyline::{Context, Helper, Highlighter, Hinter, Validator};

use crate::cli::command::COMMANDS;
use crate::cli::names::Names;

/// Completes lines of a chat.
#[derive(Debug, Helper, Highlighter, Hinter, Validator)]
pub(super) struct Completion {
    names: Names,
}

impl Completion {
    pub(super) fn new(names: Names) -> Self {
        Self { names }
    }

    /// Where the part that is completed begins, and what can stand there.
    fn candidates(&self, typed: &str) -> (usize, Vec<String>) {
        let word_start = typed.rfind(char::is_whitespace).map_or(0, |space| {
            space + typed[space..].chars().next().map_or(0, char::len_utf8)
        });
        let word = &typed[word_start..];
        let is_first = typed[..word_start].trim().is_empty();
        if is_first && let Some(command) = word.strip_prefix(':') {
            return (word_start, commands(command));
        }
        let name_start = match word.strip_prefix('@') {
            Some(name) => typed.len() - name.len(),
            None if typed.trim_start().starts_with(":history ") => word_start,
            None => return (typed.len(), Vec::new()),
        };
        let mut names = self.names.beginning_with(&typed[name_start..]);
        if is_first {
            names.iter_mut().for_each(|name| name.push(' '));
        }
        (name_start, names)
    }
}

impl Completer for Completion {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.candidates(&line[..position]))
    }
}

fn commands(prefix: &str) -> Vec<String> {
    COMMANDS
        .iter()
        .filter(|command| command.word.starts_with(prefix))
        .map(|command| match command.arguments {
            "" => format!(":{}", command.word),
            _ => format!(":{} ", command.word),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use im_common::id::UserId;

    use super::*;

    #[test]
    fn commands_and_names_are_completed() {
        let names = Names::default();
        for (id, name) in [(1, "alice"), (2, "Albert"), (3, "张三")] {
            names.learn(UserId::new(id).unwrap(), name);
        }
        let completion = Completion::new(names);
        for (typed, start, expected) in [
            (":h", 0, vec![":history ", ":help"]),
            (":q", 0, vec![":q", ":q!"]),
            ("@al", 1, vec!["Albert ", "alice "]),
            ("@张", 1, vec!["张三 "]),
            ("hello @ali", 7, vec!["alice"]),
            ("　@ali", 4, vec!["alice "]),
            (":history al", 9, vec!["Albert", "alice"]),
            ("hello al", 8, vec![]),
            ("", 0, vec![]),
        ] {
            let expected: Vec<String> = expected.into_iter().map(String::from).collect();
            assert_eq!(completion.candidates(typed), (start, expected), "{typed:?}");
        }
    }
}
