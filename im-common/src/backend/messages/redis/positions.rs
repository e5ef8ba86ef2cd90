//! How far devices are in the logs.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::RedisMessages;
use crate::backend::redis::{Call, Script};
use crate::backend::{BackendError, Result};
use crate::id::{ConversationId, DeviceId, LogEpoch, Sequence, UserId};
use crate::message::Position;

static ADVANCE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("advance.lua")));
static BEGIN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("begin.lua")));

/// Where in the lobby a device began whose user had no positions: a hash without fields would be
/// none.
const NOTHING: &str = "0:0";

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

    pub(super) async fn position_of(
        &self,
        user: UserId,
        conversation: &ConversationId,
    ) -> Result<Option<Position>> {
        let conversation = conversation.to_string();
        let look = Call::new("HGET", &self.keys.positions(user)).arg(&conversation);
        let at: Option<String> = self.connection.call(&look).await?;
        at.map(|at| decode(&conversation, &at)).transpose()
    }

    pub(super) async fn begin_device(
        &self,
        user: UserId,
        device: &DeviceId,
    ) -> Result<Vec<Position>> {
        let call = BEGIN.on(&[
            self.keys.positions(user),
            self.keys.positions_of(user, device),
        ]);
        let positions: HashMap<String, String> = self.connection.call(&call).await?;
        let positions = positions.iter().filter(|(_, at)| *at != NOTHING);
        positions
            .map(|(conversation, at)| decode(conversation, at))
            .collect()
    }
}

/// Reads what `advance.lua` and `begin.lua` write.
fn decode(conversation: &str, at: &str) -> Result<Position> {
    let malformed = || BackendError::damaged(format!("position {at:?} in {conversation:?}"));
    let (epoch, sequence) = at.split_once(':').ok_or_else(malformed)?;
    Ok(Position {
        conversation: conversation.parse().map_err(BackendError::damaged)?,
        epoch: LogEpoch(epoch.parse().map_err(|_| malformed())?),
        sequence: Sequence(sequence.parse().map_err(|_| malformed())?),
    })
}
