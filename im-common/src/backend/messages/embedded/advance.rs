//! Moves positions forward.

use crate::backend::Result;
use crate::backend::embedded::{Change, keys, values};
use crate::id::{DeviceId, UserId};
use crate::message::Position;

/// Gives a device that is new the positions of its user: from here on other devices do not move it.
pub(super) fn begin(change: &mut Change<'_>, user: UserId, device: &DeviceId) -> Result<()> {
    let began = keys::began(user, device);
    if change.get(&began)?.is_some() {
        return Ok(());
    }
    let own = keys::positions(user, None);
    for (key, value) in change.prefix(&own)? {
        let conversation = keys::conversation_behind(&own, &key)?;
        change.insert(keys::position(user, Some(device), &conversation), value);
    }
    change.insert(began, []);
    Ok(())
}

/// Moves the positions of a device, or of the user itself. What is behind, or where it is already,
/// changes nothing.
pub(super) fn advance(
    change: &mut Change<'_>,
    user: UserId,
    device: Option<&DeviceId>,
    positions: &[Position],
) -> Result<()> {
    for position in positions {
        let key = keys::position(user, device, &position.conversation);
        let held = change.get(&key)?;
        let held = held
            .map(|value| values::parse_position(position.conversation.clone(), &value))
            .transpose()?;
        let is_news = held
            .is_none_or(|held| (held.epoch, held.sequence) < (position.epoch, position.sequence));
        if is_news {
            change.insert(key, values::position(position));
        }
    }
    Ok(())
}
