//! The table of all scenarios, by theme.

mod backlogs;
mod bounds;
mod displaced;
mod drains;
mod frames;
mod gates;
mod groups;
mod logins;
mod mischief;
mod readers;
mod reconnects;
mod strangers;
mod switches;
mod texts;

use crate::scenario::Scenario;

/// The slowest first, so that no core idles at the end.
const THEMES: &[&[Scenario]] = &[
    switches::ALL,
    backlogs::ALL,
    bounds::ALL,
    drains::ALL,
    gates::ALL,
    groups::ALL,
    reconnects::ALL,
    readers::ALL,
    displaced::ALL,
    logins::ALL,
    texts::ALL,
    frames::ALL,
    strangers::ALL,
];

/// All of them, in the order of the table.
pub(crate) fn all() -> impl Iterator<Item = &'static Scenario> {
    THEMES.iter().flat_map(|theme| theme.iter())
}
