//! What was written and may not have arrived. Pure.
//!
//! CIM's clients ack nothing. What they were sent counts as received when a ping comes a while after
//! it was written, or when the connection ends in good order; otherwise it is sent again.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use im_common::id::ConversationId;
use im_common::message::Position;
use tokio::time::Instant;

/// A ping may have left before what was written arrived: longer than any round trip that people
/// chat over.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(1);

/// How far what was written goes, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Unconfirmed(VecDeque<Span>);

/// What was written within [`ROUND_TRIP_MAX`].
#[derive(Debug)]
struct Span {
    began: Instant,
    ended: Instant,
    positions: HashMap<ConversationId, Position>,
}

impl Unconfirmed {
    /// Everything up to these positions has been written.
    pub(super) fn written(&mut self, positions: Vec<Position>) {
        if positions.is_empty() {
            return;
        }
        let now = Instant::now();
        let is_open = |span: &&mut Span| now - span.began < ROUND_TRIP_MAX;
        let positions = positions
            .into_iter()
            .map(|position| (position.conversation.clone(), position));
        if let Some(span) = self.0.back_mut().filter(is_open) {
            span.ended = now;
            span.positions.extend(positions);
        } else {
            self.0.push_back(Span {
                began: now,
                ended: now,
                positions: positions.collect(),
            });
        }
    }

    /// A ping has come: returns what has arrived.
    pub(super) fn pinged(&mut self) -> Vec<Position> {
        let now = Instant::now();
        let has_arrived = |span: &Span| now - span.ended >= ROUND_TRIP_MAX;
        let mut arrived = Vec::new();
        while let Some(span) = self.0.pop_front_if(|span| has_arrived(span)) {
            arrived.extend(span.positions.into_values());
        }
        arrived
    }

    /// The connection has ended in good order: returns what has arrived, which is everything.
    pub(super) fn ended(&mut self) -> Vec<Position> {
        let spans = std::mem::take(&mut self.0);
        let positions = spans
            .into_iter()
            .flat_map(|span| span.positions.into_values());
        positions.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::position;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn a_ping_confirms_what_was_written_a_while_before() {
        let mut unconfirmed = Unconfirmed::default();
        unconfirmed.written(vec![position(1)]);
        unconfirmed.written(vec![position(2)]);
        assert_eq!(unconfirmed.pinged(), []);
        advance(ROUND_TRIP_MAX).await;
        unconfirmed.written(vec![position(3)]);
        assert_eq!(unconfirmed.pinged(), [position(2)]);
        assert_eq!(unconfirmed.pinged(), []);
        advance(ROUND_TRIP_MAX).await;
        assert_eq!(unconfirmed.pinged(), [position(3)]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_in_good_order_confirms_everything() {
        let mut unconfirmed = Unconfirmed::default();
        unconfirmed.written(vec![position(1)]);
        advance(ROUND_TRIP_MAX).await;
        unconfirmed.written(vec![position(2)]);
        assert_eq!(unconfirmed.ended(), [position(1), position(2)]);
        assert_eq!(unconfirmed.ended(), []);
    }
}
