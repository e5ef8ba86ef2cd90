//! Appending: one script call for each conversation, all conversations at once.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::{StreamExt, stream};
use prost::Message as _;
use sha2::{Digest, Sha256};

use super::RedisMessages;
use crate::backend::messages::{AppendError, Appended};
use crate::backend::redis::{Call, Script, shard_of};
use crate::backend::{BackendError, Result};
use crate::id::{ConversationId, LogEpoch, Sequence};
use crate::message::{Draft, Position, Receipt};
use crate::wire;

static APPEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("append.lua")));

/// Most drafts of one script call: while a script runs, Redis does nothing else.
const CALL_DRAFTS_MAX: usize = 256;
/// Most text of one script call, apart from a first draft that alone is larger.
const CALL_TEXT_BYTES_MAX: usize = 1024 * 1024;
/// Most conversations that are appended to at once; more take turns.
const CONVERSATIONS_AT_ONCE: usize = 256;
/// Most ended epochs that a log remembers, one for each life of Redis in which it was appended to.
/// More than a year of weekly restarts, in at most 2 KiB. To a reader who was away for longer the log
/// looks as if it had begun anew.
const EPOCHS_MAX: usize = 64;
/// Tells two texts under one message id apart. Long enough that nobody finds two alike.
const TEXT_DIGEST_BYTES: usize = 16;

/// What the script says of a draft: one of the constants, its sequence, and for a duplicate the
/// entry that is stored.
type Answer = (u8, u64, Vec<u8>);
const NEW: u8 = 0;
const DUPLICATE: u8 = 1;
const CONFLICT: u8 = 2;

/// Drafts of one conversation with their places among all, in order.
type Group = (ConversationId, Vec<(usize, Draft)>);
/// What became of a draft, with its place among all.
type Outcome = (usize, Result<Appended, AppendError>);

impl RedisMessages {
    pub(super) async fn append_all(
        &self,
        drafts: Vec<Draft>,
    ) -> Vec<Result<Appended, AppendError>> {
        let groups = stream::iter(by_conversation(drafts)).map(|(conversation, drafts)| {
            let store = self.clone();
            async move { store.append_to(&conversation, drafts).await }
        });
        let outcomes: Vec<Vec<Outcome>> = groups
            .buffer_unordered(CONVERSATIONS_AT_ONCE)
            .collect()
            .await;
        let mut outcomes: Vec<Outcome> = outcomes.into_iter().flatten().collect();
        outcomes.sort_unstable_by_key(|(place, _)| *place);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    /// Stops at the first call that fails: what came behind it would overtake it.
    async fn append_to(
        &self,
        conversation: &ConversationId,
        drafts: Vec<(usize, Draft)>,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(drafts.len());
        let mut failed = None;
        for drafts in in_calls(drafts) {
            let answers = match failed.clone() {
                None => self.append_some(conversation, &drafts).await,
                Some(error) => Err(error),
            };
            match answers {
                Ok(answers) => outcomes.extend(answers),
                Err(error) => {
                    let lost = |(place, _)| (place, Err(AppendError::Backend(error.clone())));
                    outcomes.extend(drafts.into_iter().map(lost));
                    failed = Some(error);
                }
            }
        }
        outcomes
    }

    async fn append_some(
        &self,
        conversation: &ConversationId,
        drafts: &[(usize, Draft)],
    ) -> Result<Vec<Outcome>> {
        let accepted_at_ms = now_ms();
        let call = drafts
            .iter()
            .fold(self.append_call(conversation), |call, (_, draft)| {
                let entry = wire::LogEntry::new(draft, accepted_at_ms).encode_to_vec();
                call.arg(id_field(draft))
                    .arg(text_digest(&draft.text))
                    .arg(entry)
            });
        let (epoch, answers): (u64, Vec<Answer>) = self.connection.call(&call).await?;
        if answers.len() != drafts.len() {
            return Err(BackendError::damaged("an answer for each draft was due"));
        }
        let position = |sequence| Position {
            conversation: conversation.clone(),
            epoch: LogEpoch(epoch),
            sequence: Sequence(sequence),
        };
        let outcome = |((place, draft), answer): (&(usize, Draft), Answer)| {
            let (status, sequence, entry) = answer;
            let appended = match status {
                NEW => Ok(Appended::New(Receipt {
                    id: draft.id,
                    position: position(sequence),
                    accepted_at_ms,
                })),
                DUPLICATE => accepted_at(entry).map(|accepted_at_ms| {
                    Appended::Duplicate(Receipt {
                        id: draft.id,
                        position: position(sequence),
                        accepted_at_ms,
                    })
                }),
                CONFLICT => return (*place, Err(AppendError::Conflict)),
                _ => Err(BackendError::damaged("unknown answer to a draft")),
            };
            (*place, appended.map_err(AppendError::Backend))
        };
        Ok(drafts.iter().zip(answers).map(outcome).collect())
    }

    fn append_call(&self, conversation: &ConversationId) -> Call {
        APPEND
            .on(&[
                self.keys.log(conversation),
                self.keys.ids(conversation),
                self.keys.meta(conversation),
                self.keys.epochs(conversation),
                self.keys.unsettled(shard_of(conversation)),
            ])
            .arg(conversation.to_string())
            .arg(EPOCHS_MAX)
    }
}

fn by_conversation(drafts: Vec<Draft>) -> Vec<Group> {
    let mut groups: HashMap<ConversationId, Vec<(usize, Draft)>> = HashMap::new();
    for (place, draft) in drafts.into_iter().enumerate() {
        groups
            .entry(draft.conversation.clone())
            .or_default()
            .push((place, draft));
    }
    groups.into_iter().collect()
}

/// Cuts drafts, in order, into what one call may carry.
fn in_calls(drafts: Vec<(usize, Draft)>) -> Vec<Vec<(usize, Draft)>> {
    let mut calls: Vec<Vec<(usize, Draft)>> = Vec::new();
    let mut text_bytes = 0;
    for (place, draft) in drafts {
        text_bytes += draft.text.len();
        match calls.last_mut() {
            Some(call) if call.len() < CALL_DRAFTS_MAX && text_bytes <= CALL_TEXT_BYTES_MAX => {
                call.push((place, draft));
            }
            _ => {
                text_bytes = draft.text.len();
                calls.push(vec![(place, draft)]);
            }
        }
    }
    calls
}

fn id_field(draft: &Draft) -> Vec<u8> {
    let mut field = format!("{}:", draft.sender.user).into_bytes();
    field.extend_from_slice(draft.id.as_bytes());
    field
}

fn text_digest(text: &str) -> Vec<u8> {
    Sha256::digest(text)[..TEXT_DIGEST_BYTES].to_vec()
}

fn accepted_at(entry: Vec<u8>) -> Result<u64> {
    wire::LogEntry::decode(Bytes::from(entry))
        .map(|entry| entry.accepted_at_ms)
        .map_err(BackendError::damaged)
}

fn now_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    since_1970.map_or(0, |time| {
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    })
}
