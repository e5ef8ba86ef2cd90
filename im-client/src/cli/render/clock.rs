//! Times as people read them: local, and with a date when it is not today.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Where the reader is.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    zone: TimeZone,
}

impl Clock {
    /// The time zone of this machine, or of `TZ`.
    pub(crate) fn local() -> Self {
        Self {
            zone: TimeZone::system(),
        }
    }

    /// Renders a moment given in milliseconds since 1970.
    pub(crate) fn show(&self, at_ms: u64) -> String {
        self.show_as_of(at_ms, Timestamp::now())
    }

    fn show_as_of(&self, at_ms: u64, now: Timestamp) -> String {
        // The cluster's clock may say anything; what no calendar holds is shown as a number.
        let Some(at) = self.zoned(at_ms) else {
            return format!("@{at_ms}");
        };
        let today = now.to_zoned(self.zone.clone()).date();
        if at.date() == today {
            at.strftime("%H:%M:%S").to_string()
        } else {
            at.strftime("%Y-%m-%d %H:%M:%S").to_string()
        }
    }

    fn zoned(&self, at_ms: u64) -> Option<Zoned> {
        let at = Timestamp::from_millisecond(i64::try_from(at_ms).ok()?).ok()?;
        Some(at.to_zoned(self.zone.clone()))
    }
}

#[cfg(test)]
impl Clock {
    /// A clock that shows the same everywhere.
    pub(crate) fn utc() -> Self {
        Self {
            zone: TimeZone::UTC,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_shown_when_it_is_another_day() {
        let clock = Clock::utc();
        let now = "2026-03-01T00:00:10Z".parse().unwrap();
        let show = |at_ms| clock.show_as_of(at_ms, now);
        assert_eq!(show(1_772_323_205_000), "00:00:05");
        assert_eq!(show(1_772_323_195_000), "2026-02-28 23:59:55");
        assert_eq!(show(0), "1970-01-01 00:00:00");
        assert_eq!(show(u64::MAX), format!("@{}", u64::MAX));
    }
}
