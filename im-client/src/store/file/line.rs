//! One line of the file: a checksum, how much of the file was synced before, and what it says. Pure.

use im_common::id::{ConversationId, DeviceId, LogEpoch, MessageId, Sequence, UserId};
use im_common::message::{Identity, Position};
use im_common::name::UserName;
use serde::{Deserialize, Serialize};

use crate::store::{Change, PendingSend};

/// What a later version may change.
const FORMAT: u32 = 1;

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// The first one: whose the file is.
    Owner(Identity),
    /// Changes that were saved together.
    Changes(Vec<Change>),
}

/// A line that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Read {
    /// So many bytes of the file were safe on the disk when it was written.
    pub(super) synced: u64,
    pub(super) line: Line,
}

impl Line {
    /// Returns the bytes of the line, with the line feed.
    pub(super) fn encode(&self, synced: u64) -> Result<Vec<u8>, serde_json::Error> {
        let said = serde_json::to_string(&Said::from(self))?;
        let checked = format!("{synced} {said}");
        Ok(format!("{:016x} {checked}\n", checksum(checked.as_bytes())).into_bytes())
    }

    /// Reads a line, with its line feed; `None` if that is not what was written.
    pub(super) fn decode(line: &[u8]) -> Option<Read> {
        let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
        let (sum, checked) = line.split_once(' ')?;
        if u64::from_str_radix(sum, 16).ok()? != checksum(checked.as_bytes()) {
            return None;
        }
        let (synced, said) = checked.split_once(' ')?;
        let said: Said = serde_json::from_str(said).ok()?;
        Some(Read {
            synced: synced.parse().ok()?,
            line: said.into_line()?,
        })
    }
}

/// FNV-1a, 64 bit: finds what a disk does, not what somebody does on purpose.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The JSON of a line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Owner {
        format: u32,
        user: u64,
        name: String,
        device: String,
    },
    Changes(Vec<SaidChange>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SaidChange {
    Handled {
        conversation: String,
        epoch: u64,
        sequence: u64,
    },
    Sending {
        id: String,
        to: String,
        text: String,
        deadline_ms: u64,
    },
    Ended(String),
}

impl From<&Line> for Said {
    fn from(line: &Line) -> Self {
        match line {
            Line::Owner(Identity { user, name, device }) => Self::Owner {
                format: FORMAT,
                user: user.number(),
                name: name.to_string(),
                device: device.to_string(),
            },
            Line::Changes(changes) => Self::Changes(changes.iter().map(Into::into).collect()),
        }
    }
}

impl From<&Change> for SaidChange {
    fn from(change: &Change) -> Self {
        match change {
            Change::Handled(position) => Self::Handled {
                conversation: position.conversation.to_string(),
                epoch: position.epoch.0,
                sequence: position.sequence.0,
            },
            Change::Sending(send) => Self::Sending {
                id: send.id.to_string(),
                to: send.to.to_string(),
                text: send.text.clone(),
                deadline_ms: send.deadline_ms,
            },
            Change::Ended(id) => Self::Ended(id.to_string()),
        }
    }
}

impl Said {
    fn into_line(self) -> Option<Line> {
        Some(match self {
            Self::Owner {
                format,
                user,
                name,
                device,
            } => {
                if format != FORMAT {
                    return None;
                }
                Line::Owner(Identity {
                    user: UserId::new(user).ok()?,
                    name: UserName::new(&name).ok()?,
                    device: DeviceId::new(&device).ok()?,
                })
            }
            Self::Changes(changes) => {
                let changes = changes.into_iter().map(SaidChange::into_change);
                Line::Changes(changes.collect::<Option<_>>()?)
            }
        })
    }
}

impl SaidChange {
    fn into_change(self) -> Option<Change> {
        Some(match self {
            Self::Handled {
                conversation,
                epoch,
                sequence,
            } => Change::Handled(Position {
                conversation: conversation.parse::<ConversationId>().ok()?,
                epoch: LogEpoch(epoch),
                sequence: Sequence(sequence),
            }),
            Self::Sending {
                id,
                to,
                text,
                deadline_ms,
            } => Change::Sending(PendingSend {
                id: id.parse::<MessageId>().ok()?,
                to: to.parse().ok()?,
                text,
                deadline_ms,
            }),
            Self::Ended(id) => Change::Ended(id.parse::<MessageId>().ok()?),
        })
    }
}
