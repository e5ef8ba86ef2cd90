//! The table of scenarios.

use futures::future::LocalBoxFuture;
use im_tests::deployment::{Plan, Profile};

use crate::run::Run;
use crate::scenarios;

/// What a scenario does to a cluster under load.
pub(crate) type Body = for<'a> fn(&'a mut Run) -> LocalBoxFuture<'a, anyhow::Result<()>>;

/// A fault and what must hold all the same.
pub(crate) struct Scenario {
    /// As in the catalogue of faults.
    pub(crate) id: &'static str,
    /// What is done.
    pub(crate) title: &'static str,
    /// Where it can be done.
    pub(crate) profiles: &'static [Profile],
    /// What is expected beyond the invariants, which always are.
    pub(crate) bound: &'static str,
    /// Changes to the standard deployment.
    pub(crate) shape: fn(&mut Plan),
    /// What is done, under load.
    pub(crate) body: Body,
}

impl Scenario {
    /// A scenario in the standard deployment.
    pub(crate) fn new(
        id: &'static str,
        title: &'static str,
        profiles: &'static [Profile],
        bound: &'static str,
        body: Body,
    ) -> Self {
        Self {
            id,
            title,
            profiles,
            bound,
            shape: |_| (),
            body,
        }
    }

    /// The same, in a deployment with changes.
    pub(crate) fn shaped(self, shape: fn(&mut Plan)) -> Self {
        Self { shape, ..self }
    }
}

/// A row of the catalogue that is not tried here.
pub(crate) struct Excluded {
    /// As in the catalogue of faults.
    pub(crate) id: &'static str,
    /// Why not.
    pub(crate) why: &'static str,
}

/// Faults that every commit is tried with: the quick ones that break most.
pub(crate) const SHORT: [(&str, Profile); 6] = [
    ("F-01", Profile::Cluster),
    ("F-01", Profile::Embedded),
    ("F-02", Profile::Cluster),
    ("F-12", Profile::Cluster),
    ("C-01", Profile::Cluster),
    ("C-01", Profile::Embedded),
];

/// Rows that are not scenarios here.
pub(crate) const EXCLUDED: &[Excluded] = &[
    Excluded {
        id: "F-08",
        why: "by the limit of connections, which is what bounds a server's memory here; a process \
              that the kernel kills for memory is F-01",
    },
    Excluded {
        id: "F-24",
        why: "as a route that loses Redis: a server never talks to it",
    },
    Excluded {
        id: "F-37",
        why: "in `cargo test`: forged, expired and foreign tickets, and positions of another epoch",
    },
    Excluded {
        id: "F-41 and on",
        why: "in the stress suite and in `cargo test`: floods, hostile bytes and limits",
    },
];

/// Every scenario, in the order of the catalogue.
pub(crate) fn all() -> Vec<Scenario> {
    let mut all: Vec<Scenario> = [
        scenarios::servers::table(),
        scenarios::routes::table(),
        scenarios::redis::table(),
        scenarios::etcd::table(),
        scenarios::links::table(),
        scenarios::logins::table(),
        scenarios::disk::table(),
        scenarios::clients::table(),
        scenarios::clocks::table(),
        scenarios::cim::table(),
    ]
    .into_iter()
    .flatten()
    .collect();
    all.sort_by_key(|scenario| scenario.id);
    all
}

/// Prints the table.
pub(crate) fn print() {
    for scenario in all() {
        let profiles: Vec<String> = scenario.profiles.iter().map(Profile::to_string).collect();
        println!(
            "{} {} [{}]",
            scenario.id,
            scenario.title,
            profiles.join(", ")
        );
        println!("     {}", scenario.bound);
    }
}
