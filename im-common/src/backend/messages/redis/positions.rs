//! How far devices are in the logs.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::RedisMessages;
use crate::backend::redis::Script;
use crate::backend::{BackendError, Result};
use crate::id::{DeviceId, LogEpoch, Sequence, UserId};
use crate::message::Position;

static ADVANCE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("advance.lua")));
static POSITIONS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("positions.lua")));

impl RedisMessages {
    /// `keys`: where the user's positions are, and where the device's if one moves.
    pub(super) async fn move_forward(&self, keys: &[String], positions: &[Position]) -> Result<()> {
        if positions.is_empty() {
            return Ok(());
        }
        let call = positions.iter().fold(ADVANCE.on(keys), |call, position| {
            call.arg(position.conversation.to_string())
                .arg(position.epoch.0)
                .arg(position.sequence.0)
        });
        self.connection.call(&call).await
    }

    pub(super) async fn read_positions(
        &self,
        user: UserId,
        device: &DeviceId,
    ) -> Result<Vec<Position>> {
        let call = POSITIONS.on(&[
            self.keys.positions(user),
            self.keys.positions_of(user, device),
        ]);
        let positions: HashMap<String, String> = self.connection.call(&call).await?;
        let decode = |(conversation, at): (&String, &String)| decode(conversation, at);
        positions.iter().map(decode).collect()
    }
}

/// Reads what `advance.lua` writes.
fn decode(conversation: &str, at: &str) -> Result<Position> {
    let malformed = || BackendError::damaged(format!("position {at:?} in {conversation:?}"));
    let (epoch, sequence) = at.split_once(':').ok_or_else(malformed)?;
    Ok(Position {
        conversation: conversation.parse().map_err(BackendError::damaged)?,
        epoch: LogEpoch(epoch.parse().map_err(|_| malformed())?),
        sequence: Sequence(sequence.parse().map_err(|_| malformed())?),
    })
}
