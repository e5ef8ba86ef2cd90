//! What Tab completes: commands and their arguments, names in any script, and emoji.

use rustyline::Context;
use rustyline::completion::Completer;

use crate::cli::command::{self, COMMANDS};
use crate::cli::emoji;
use crate::cli::names::Names;

/// Shown at once; what they have in common is completed in any case. More would not fit into a
/// window, and the editor would stop there and draw nothing else.
const CANDIDATES_MAX: usize = 40;

/// Completes lines of a chat.
#[derive(Debug)]
pub(super) struct Completion {
    names: Names,
}

impl Completion {
    pub(super) const fn new(names: Names) -> Self {
        Self { names }
    }

    /// Where the part that is completed begins, and what can stand there.
    fn candidates(&self, typed: &str) -> (usize, Vec<String>) {
        let word_start = typed.rfind(char::is_whitespace).map_or(0, |space| {
            space + typed[space..].chars().next().map_or(0, char::len_utf8)
        });
        let (before, word) = typed.split_at(word_start);
        let is_first = before.trim().is_empty();
        if is_first && let Some(command) = word.strip_prefix(':') {
            return (word_start, commands(command));
        }
        if let Some(name) = word.strip_prefix('@') {
            let mut names = self.names.beginning_with(name, CANDIDATES_MAX);
            if is_first {
                names.iter_mut().for_each(|name| name.push(' '));
            }
            return (typed.len() - name.len(), names);
        }
        if let Some(alias) = word.strip_prefix(':').filter(|alias| !alias.is_empty()) {
            return (word_start, emoji::beginning_with(alias, CANDIDATES_MAX));
        }
        (word_start, self.arguments(before.trim(), word))
    }

    /// What may follow a command.
    fn arguments(&self, before: &str, word: &str) -> Vec<String> {
        if before == ":help" {
            let words = COMMANDS.iter().map(|command| command.word);
            return words
                .filter(|command| command.starts_with(word))
                .map(str::to_owned)
                .collect();
        }
        if before == ":delay" && !word.is_empty() && "cancel".starts_with(word) {
            return vec!["cancel ".to_owned()];
        }
        match command::takes_a_name(before) {
            true => self.names.beginning_with(word, CANDIDATES_MAX),
            false => Vec::new(),
        }
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
    fn commands_names_and_emoji_are_completed() {
        let names = Names::default();
        for (id, name) in [(1, "alice"), (2, "Albert"), (3, "张三")] {
            names.learn(UserId::new(id).unwrap(), name);
        }
        let completion = Completion::new(names);
        for (typed, start, expected) in [
            (":he", 0, vec![":help "]),
            (":q", 0, vec![":qai", ":q", ":q!"]),
            ("@al", 1, vec!["Albert ", "alice "]),
            ("@张", 1, vec!["张三 "]),
            ("hello @ali", 7, vec!["alice"]),
            ("　@ali", 4, vec!["alice "]),
            (":to al", 4, vec!["Albert", "alice"]),
            (":pu 张", 4, vec!["张三"]),
            (":history al", 9, vec!["Albert", "alice"]),
            (":help un", 6, vec!["unread"]),
            (":delay c", 7, vec!["cancel "]),
            ("hello :rocke", 6, vec![":rocket:"]),
            ("hello al", 6, vec![]),
            ("", 0, vec![]),
        ] {
            let expected: Vec<String> = expected.into_iter().map(String::from).collect();
            assert_eq!(completion.candidates(typed), (start, expected), "{typed:?}");
        }
    }
}
