//! Moving in from CIM: its accounts under their numbers, and what waits for them.
//!
//! Everything is read page by page and imported in such an order that it can end anywhere and be
//! run again: a message has an id that follows from CIM's own, so it is stored once.

mod accounts;
mod messages;
mod offline;
mod source;
mod summary;

use im_common::backend::Stores;

use self::source::Source;
pub(crate) use self::summary::Summary;
use crate::args::{ImportCim, Target};

/// Imports what there is, and says what became of it.
pub(crate) async fn run(options: &ImportCim, target: &Target) -> anyhow::Result<Summary> {
    let stores = match target {
        Target::Cluster(redis) => Stores::in_redis(redis).await?,
        Target::Standalone(folder) => Stores::in_folder(folder)?,
    };
    let mut source = Source::connect(&options.from).await?;
    let mut summary = Summary::default();
    accounts::import(&mut source, &stores, &mut summary).await?;
    if !options.accounts_only {
        messages::import(&mut source, &stores, &mut summary).await?;
    }
    Ok(summary)
}
