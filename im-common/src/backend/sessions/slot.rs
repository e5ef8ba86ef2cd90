//! Which sessions of a user exclude each other, and which of them stays. Pure.

use crate::message::Session;

/// What there is one session of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, clap::ValueEnum)]
pub enum SessionsPer {
    /// Each device of a user: a user may be attached with many.
    #[default]
    Device,
    /// Each user: one device at a time.
    User,
}

/// What a second login does while the slot is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, clap::ValueEnum)]
pub enum SecondLogin {
    /// It ends the session that holds the slot.
    #[default]
    Displace,
    /// It is refused for as long as that session is alive.
    Refuse,
}

/// How the users of a cluster may be attached. The same on all its routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, clap::Args)]
pub struct SlotPolicy {
    /// What a second login in the same slot does: end the first one's connection, or be refused
    /// while that connection lives. The same on all routes.
    #[arg(long, env = "IM_SECOND_LOGIN", value_enum, default_value_t)]
    pub second_login: SecondLogin,
    /// What may have one session at a time: each device of a user, or each user. The same on all
    /// routes.
    #[arg(long, env = "IM_SESSIONS_PER", value_enum, default_value_t)]
    pub sessions_per: SessionsPer,
}

/// What becomes of two sessions of one user that meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meeting {
    /// They have slots of their own.
    Apart,
    /// They are the same.
    Same,
    /// The one that holds the slot is displaced.
    Displaces,
    /// The one that holds the slot stays: it is the newer one.
    Superseded,
    /// The one that holds the slot stays for as long as it is alive.
    Occupied,
}

impl SlotPolicy {
    /// Whether two devices of one user share a slot.
    pub fn is_shared(&self, same_device: bool) -> bool {
        same_device || self.sessions_per == SessionsPer::User
    }

    /// As this, but a session that holds a slot without knowing it is no reason to refuse: for
    /// renewals, where both sessions are alive and the greater epoch decides.
    #[must_use]
    pub fn for_renewals(self) -> Self {
        Self {
            second_login: SecondLogin::Displace,
            ..self
        }
    }

    /// Decides what `new` does to `held`, which is of the same user. `hold.lua` says the same.
    ///
    /// On one device the newer login always wins, for it has ended the earlier one already: refusing
    /// it is up to whoever lets the device log in.
    pub(super) fn meet(&self, held: &Session, new: &Session) -> Meeting {
        let same_device = held.device == new.device;
        if !self.is_shared(same_device) {
            Meeting::Apart
        } else if held == new {
            Meeting::Same
        } else if !same_device && self.second_login == SecondLogin::Refuse {
            Meeting::Occupied
        } else if held.epoch < new.epoch {
            Meeting::Displaces
        } else {
            Meeting::Superseded
        }
    }
}
