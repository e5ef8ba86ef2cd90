//! Which conversation is in focus, and what came in the others meanwhile.
//!
//! Nothing private is hidden: with the lobby in focus every message is shown. With one user in
//! focus, the lobby is only counted, except where it mentions the reader, and private messages of
//! others are announced in a line. What was not shown in full is unread until its conversation
//! comes into focus; then it is.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use im_common::id::ConversationId;
use im_common::message::Recipient;

/// Unread messages that are kept to be shown: about a screen. Earlier ones are in the history.
const KEPT_MAX: usize = 20;
/// Longer ones are cut when they are kept.
const KEPT_BYTES_MAX: usize = 4096;
/// Unread conversations; of more, those counted first are forgotten, which is no loss: they are
/// in the history.
const UNREAD_MAX: usize = 100;

/// How a message is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Showing {
    /// As it is.
    Full,
    /// In a line that says who wrote.
    Announced,
    /// Only counted; the first one of a conversation is told.
    Counted {
        /// Whether nothing else is unread there.
        is_first: bool,
    },
}

/// What is to be decided about an arriving message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrived<'a> {
    /// Where it belongs.
    pub(super) conversation: &'a ConversationId,
    /// As it would be shown in full.
    pub(super) shown: &'a str,
    /// Whether its reader wrote it, on another device.
    pub(super) is_own: bool,
    /// Whether it names its reader.
    pub(super) is_mention: bool,
}

/// Messages of a conversation that were not shown in full.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Unread {
    /// How many.
    pub(super) count: usize,
    /// The last ones.
    pub(super) kept: VecDeque<String>,
}

/// The conversation that plain lines go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Focus {
    /// Its log.
    pub(super) conversation: ConversationId,
    /// Whom lines are sent to.
    pub(super) to: Recipient,
    /// What the prompt calls it; nothing for the lobby.
    pub(super) name: Option<String>,
}

impl Focus {
    fn lobby() -> Self {
        Self {
            conversation: ConversationId::Lobby,
            to: Recipient::Lobby,
            name: None,
        }
    }
}

/// The conversations of a chat; clones share them.
#[derive(Debug, Clone)]
pub(super) struct Conversations {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    focus: Focus,
    unread: BTreeMap<ConversationId, Unread>,
}

impl Default for Conversations {
    fn default() -> Self {
        let state = State {
            focus: Focus::lobby(),
            unread: BTreeMap::new(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }
}

impl Conversations {
    /// The conversation in focus.
    pub(super) fn focus(&self) -> Focus {
        self.lock().focus.clone()
    }

    /// Turns to a conversation, and returns what is new there.
    pub(super) fn turn_to(&self, focus: Focus) -> Unread {
        let mut state = self.lock();
        let unread = state.unread.remove(&focus.conversation);
        state.focus = focus;
        unread.unwrap_or_default()
    }

    /// What is unread, by conversation.
    pub(super) fn unread(&self) -> Vec<(ConversationId, usize)> {
        let state = self.lock();
        let unread = state.unread.iter();
        unread
            .map(|(conversation, unread)| (conversation.clone(), unread.count))
            .collect()
    }

    /// Decides how a message is shown, and counts it if it is not shown in full.
    pub(super) fn showing(&self, arrived: Arrived<'_>) -> Showing {
        let mut state = self.lock();
        let conversation = arrived.conversation;
        let is_lobby = *conversation == ConversationId::Lobby;
        let is_in_view = state.focus.conversation == *conversation
            || (state.focus.conversation == ConversationId::Lobby && !is_lobby);
        if is_in_view || arrived.is_mention || arrived.is_own && !is_lobby {
            return Showing::Full;
        }
        if state.unread.len() >= UNREAD_MAX && !state.unread.contains_key(conversation) {
            state.unread.pop_first();
        }
        let unread = state.unread.entry(conversation.clone()).or_default();
        unread.count += 1;
        unread.kept.push_back(cut(arrived.shown));
        if unread.kept.len() > KEPT_MAX {
            unread.kept.pop_front();
        }
        match is_lobby {
            true => Showing::Counted {
                is_first: unread.count == 1,
            },
            false => Showing::Announced,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cut(shown: &str) -> String {
    if shown.len() <= KEPT_BYTES_MAX {
        return shown.to_owned();
    }
    format!("{}…\n", &shown[..shown.floor_char_boundary(KEPT_BYTES_MAX)])
}

#[cfg(test)]
mod tests {
    use im_common::id::UserId;

    use super::*;

    fn with(peer: u64) -> ConversationId {
        ConversationId::private(UserId::new(1).unwrap(), UserId::new(peer).unwrap())
    }

    fn focus(peer: u64) -> Focus {
        Focus {
            conversation: with(peer),
            to: Recipient::User(UserId::new(peer).unwrap()),
            name: Some(format!("user-{peer}")),
        }
    }

    fn arrived<'a>(conversation: &'a ConversationId, shown: &'a str) -> Arrived<'a> {
        Arrived {
            conversation,
            shown,
            is_own: false,
            is_mention: false,
        }
    }

    #[test]
    fn everything_is_shown_while_the_lobby_is_in_focus() {
        let conversations = Conversations::default();
        for conversation in [ConversationId::Lobby, with(2)] {
            let showing = conversations.showing(arrived(&conversation, "hi\n"));
            assert_eq!(showing, Showing::Full);
        }
        assert_eq!(conversations.unread(), []);
    }

    #[test]
    fn what_is_out_of_focus_is_counted_and_shown_on_return() {
        let conversations = Conversations::default();
        conversations.turn_to(focus(2));
        let (lobby, bob, carol) = (ConversationId::Lobby, with(2), with(3));
        let counted = |is_first| Showing::Counted { is_first };
        for (conversation, text, showing) in [
            (&bob, "from bob\n", Showing::Full),
            (&lobby, "first\n", counted(true)),
            (&lobby, "second\n", counted(false)),
            (&carol, "from carol\n", Showing::Announced),
        ] {
            assert_eq!(conversations.showing(arrived(conversation, text)), showing);
        }
        let mention = Arrived {
            is_mention: true,
            ..arrived(&lobby, "@me\n")
        };
        assert_eq!(conversations.showing(mention), Showing::Full);
        let mut unread = conversations.unread();
        unread.sort();
        let mut expected = vec![(lobby, 2), (carol, 1)];
        expected.sort();
        assert_eq!(unread, expected);
        let new = conversations.turn_to(Focus::lobby());
        assert_eq!(new.count, 2);
        assert_eq!(new.kept, ["first\n", "second\n"]);
        assert_eq!(conversations.turn_to(focus(2)), Unread::default());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let conversations = Conversations::default();
        conversations.turn_to(focus(2));
        for number in 0..KEPT_MAX + 5 {
            conversations.showing(arrived(&ConversationId::Lobby, &number.to_string()));
        }
        let new = conversations.turn_to(Focus::lobby());
        assert_eq!(new.count, KEPT_MAX + 5);
        assert_eq!(new.kept.front().map(String::as_str), Some("5"));
        conversations.turn_to(focus(2));
        let long = "张".repeat(KEPT_BYTES_MAX);
        conversations.showing(arrived(&ConversationId::Lobby, &long));
        assert!(conversations.turn_to(Focus::lobby()).kept[0].len() <= KEPT_BYTES_MAX + 4);
        conversations.turn_to(focus(2));
        for peer in 3..UNREAD_MAX as u64 + 9 {
            conversations.showing(arrived(&with(peer), "hi\n"));
        }
        assert_eq!(conversations.unread().len(), UNREAD_MAX);
    }
}
