//! How a message that was looked for is shown: what it was found by stands out.

use im_common::message::Identity;

use super::{View, safe};
use crate::Message;
use crate::cli::archive::Query;
use crate::cli::names::Names;

impl View {
    /// Renders a message as [`View::message`] does, and emphasises what the query asks for.
    pub(in crate::cli) fn found(
        &self,
        message: &Message,
        reader: &Identity,
        (names, query): (&Names, &Query),
    ) -> String {
        let peer = message.conversation.peer_of(reader.user);
        let peer = peer.map_or_else(String::new, |peer| names.of(peer));
        // Only what is harmless already: the marks are the only sequences in it.
        let text = safe::paragraph(&message.text);
        let text = self.emphasised(&text, query);
        self.line(message, reader, (&peer, ""), &text)
    }

    fn emphasised(&self, text: &str, query: &Query) -> String {
        let mut marked = String::with_capacity(text.len());
        let mut shown = 0;
        for place in query.matches(text) {
            marked.push_str(&text[shown..place.start]);
            // A mark does not reach over a line's end, where the further line begins with its own.
            for (at, line) in text[place.clone()].split('\n').enumerate() {
                if at > 0 {
                    marked.push('\n');
                }
                marked.push_str(&(self.emphasise)(line));
            }
            shown = place.end;
        }
        marked.push_str(&text[shown..]);
        marked
    }
}
