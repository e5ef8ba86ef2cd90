//! How values are encoded. What was written by nobody sane ends as [`BackendError::Damaged`].

use super::super::{BackendError, Result};
use crate::id::{ConversationId, LogEpoch, Sequence, UserId};
use crate::message::{Position, StoredMessage};
use crate::wire;

/// Encodes a sequence or a user id.
pub(crate) fn number(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// Decodes a sequence.
pub(crate) fn sequence(bytes: &[u8]) -> Result<Sequence> {
    exact(bytes).map(|bytes| Sequence(u64::from_be_bytes(bytes)))
}

/// Decodes a user id.
pub(crate) fn user(bytes: &[u8]) -> Result<UserId> {
    UserId::new(u64::from_be_bytes(exact(bytes)?)).map_err(BackendError::damaged)
}

/// Encodes the part of a position that is not in its key.
pub(crate) fn position(position: &Position) -> Vec<u8> {
    let mut bytes = number(position.epoch.0);
    bytes.extend_from_slice(&position.sequence.0.to_be_bytes());
    bytes
}

/// Decodes a position.
pub(crate) fn parse_position(conversation: ConversationId, bytes: &[u8]) -> Result<Position> {
    let bytes: [u8; 16] = exact(bytes)?;
    let both = u128::from_be_bytes(bytes);
    let [epoch, sequence] = [both >> 64, both & u128::from(u64::MAX)]
        .map(|half| u64::try_from(half).expect("half of 128 bits fits 64"));
    Ok(Position {
        conversation,
        epoch: LogEpoch(epoch),
        sequence: Sequence(sequence),
    })
}

/// Decodes the log entry that lies at a position.
pub(crate) fn message(position: Position, bytes: &[u8]) -> Result<StoredMessage> {
    record::<wire::LogEntry>(bytes)?
        .into_message(position)
        .map_err(BackendError::damaged)
}

/// Decodes a record of `store.proto`.
pub(crate) fn record<R: prost::Message + Default>(bytes: &[u8]) -> Result<R> {
    R::decode(bytes).map_err(BackendError::damaged)
}

fn exact<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| {
        BackendError::Damaged(format!("{} bytes where {N} were expected", bytes.len()))
    })
}
