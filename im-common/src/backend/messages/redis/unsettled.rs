//! Messages that wait for their fan-out: settling them, and claiming those that wait too long.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use super::{RedisMessages, decode};
use crate::backend::Result;
use crate::backend::redis::{Call, SHARDS, Script, shard_of};
use crate::id::{ConversationId, LogEpoch, Sequence};
use crate::message::{Position, StoredMessage};

static DUE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("due.lua")));
static CLAIM: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("claim.lua")));
static SETTLE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("settle.lua")));
static ENTRY: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("entry.lua")));

/// A message that fails again and again is tried at least this often.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl RedisMessages {
    pub(super) async fn settle_all(&self, messages: &[Position]) -> Result<()> {
        let mut shards: HashMap<u64, Vec<&Position>> = HashMap::new();
        for message in messages {
            let shard = shard_of(&message.conversation);
            shards.entry(shard).or_default().push(message);
        }
        let settle = |(shard, messages): (u64, Vec<&Position>)| self.settle_call(shard, &messages);
        let calls = shards.into_iter().map(settle).collect();
        self.connection.all::<()>(calls).await.map(drop)
    }

    fn settle_call(&self, shard: u64, messages: &[&Position]) -> Call {
        let mut keys = self.unsettled_keys(shard).to_vec();
        for message in messages {
            keys.push(self.keys.meta(&message.conversation));
            keys.push(self.keys.epochs(&message.conversation));
        }
        messages.iter().fold(SETTLE.on(&keys), |call, message| {
            call.arg(member(&message.conversation, message.sequence))
                .arg(message.epoch.0)
                .arg(message.sequence.0)
        })
    }

    pub(super) async fn claim(
        &self,
        waiting: Duration,
        limit: usize,
    ) -> Result<Vec<StoredMessage>> {
        let waiting_ms = millis(waiting);
        let shares = self.due(waiting_ms, limit).await?;
        let claim = |(shard, share): (u64, usize)| {
            CLAIM
                .on(&self.unsettled_keys(shard))
                .arg(waiting_ms)
                .arg(share)
                .arg(millis(LONGEST_WAIT))
        };
        let calls = shares.into_iter().map(claim).collect();
        let claimed: Vec<Result<Vec<String>>> = self.connection.each(calls).await;
        self.load(claimed.into_iter().flatten().flatten().collect())
            .await
    }

    /// How many messages of which shard to claim, `limit` in all.
    ///
    /// Nearly always nothing is due, and then this look is all that happens. Shards that do not
    /// answer are left out, so that a lost master holds up its own messages only.
    async fn due(&self, waiting_ms: u64, limit: usize) -> Result<Vec<(u64, usize)>> {
        let look = |shard| DUE.on(&[self.keys.unsettled(shard)]).arg(waiting_ms);
        let due: Vec<Result<usize>> = self.connection.each((0..SHARDS).map(look).collect()).await;
        if let (true, Some(Err(error))) = (due.iter().all(Result::is_err), due.first()) {
            return Err(error.clone());
        }
        let mut left = limit;
        let mut shares = Vec::new();
        for (shard, due) in (0..SHARDS).zip(due) {
            let share = due.unwrap_or(0).min(left);
            left -= share;
            if share > 0 {
                shares.push((shard, share));
            }
        }
        Ok(shares)
    }

    async fn load(&self, members: Vec<String>) -> Result<Vec<StoredMessage>> {
        let (known, strange): (Vec<_>, Vec<_>) = members
            .into_iter()
            .map(|member| parse(&member).ok_or(member))
            .partition(std::result::Result::is_ok);
        for member in strange.into_iter().filter_map(std::result::Result::err) {
            tracing::error!(member, "not a message that could be unsettled");
        }
        let known: Vec<(ConversationId, Sequence)> = known.into_iter().flatten().collect();
        let look = |(conversation, sequence): &(ConversationId, Sequence)| {
            let [unsettled, claims] = self.unsettled_keys(shard_of(conversation));
            let (log, meta) = (self.keys.log(conversation), self.keys.meta(conversation));
            ENTRY
                .on(&[log, meta, unsettled, claims])
                .arg(sequence.0)
                .arg(member(conversation, *sequence))
        };
        let calls: Vec<Call> = known.iter().map(look).collect();
        let entries: Vec<Option<(u64, Vec<u8>)>> = self.connection.all(calls).await?;
        let mut messages = Vec::with_capacity(known.len());
        for ((conversation, sequence), entry) in known.into_iter().zip(entries) {
            // Its log began anew: nothing is left that could be fanned out.
            let Some((epoch, entry)) = entry else {
                continue;
            };
            let position = Position {
                conversation,
                epoch: LogEpoch(epoch),
                sequence,
            };
            // One damaged entry must not keep all others from being delivered.
            match decode(entry, position) {
                Ok(message) => messages.push(message),
                Err(error) => tracing::error!(%error, "unsettled message cannot be read"),
            }
        }
        Ok(messages)
    }

    fn unsettled_keys(&self, shard: u64) -> [String; 2] {
        [self.keys.unsettled(shard), self.keys.claims(shard)]
    }
}

fn member(conversation: &ConversationId, sequence: Sequence) -> String {
    format!("{conversation}/{sequence}")
}

fn parse(member: &str) -> Option<(ConversationId, Sequence)> {
    let (conversation, sequence) = member.rsplit_once('/')?;
    Some((conversation.parse().ok()?, Sequence(sequence.parse().ok()?)))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
