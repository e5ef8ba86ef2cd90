//! What became of everything that was found.

use std::fmt;

/// Counts, and what could not be imported.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(super) accounts: Counts,
    pub(super) messages: Counts,
    /// Ids of messages that CIM had dropped by itself, because nobody fetched them in time.
    pub(super) expired: u64,
    left_out: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) imported: u64,
    /// They were imported before.
    pub(super) known: u64,
    pub(super) left_out: u64,
}

impl Summary {
    /// Whether nothing was left out.
    pub(crate) const fn is_whole(&self) -> bool {
        self.accounts.left_out == 0 && self.messages.left_out == 0
    }

    /// An account cannot be imported. What CIM holds may be hostile: it is quoted.
    pub(super) fn leave_account(&mut self, id: &str, name: &str, why: impl fmt::Display) {
        self.accounts.left_out += 1;
        self.left_out
            .push(format!("account {id:?} {name:?}: {why}"));
    }

    /// A message cannot be imported.
    pub(super) fn leave_message(&mut self, id: &str, receiver: &str, why: impl fmt::Display) {
        self.messages.left_out += 1;
        self.left_out
            .push(format!("message {id:?} for {receiver:?}: {why}"));
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.left_out {
            writeln!(f, "left out: {line}")?;
        }
        writeln!(f, "accounts: {}", self.accounts)?;
        write!(f, "messages: {}", self.messages)?;
        if self.expired > 0 {
            write!(f, ", {} expired in CIM", self.expired)?;
        }
        Ok(())
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            imported,
            known,
            left_out,
        } = self;
        write!(
            f,
            "{imported} imported, {known} there already, {left_out} left out"
        )
    }
}
