//! How much memory an idle `im` holds.

use std::time::Duration;

use anyhow::Context as _;
use im_tests::deployment::Figures;
use tokio::time::sleep;

use super::{Bound, Row};
use crate::stage::{Stage, ready};

/// Longer than two heartbeats, after which nothing new is touched.
const IDLE_FOR: Duration = Duration::from_secs(15);
const MIB: f64 = 1024.0 * 1024.0;

pub(crate) const ROWS: &[Row] = &[Row {
    what: "resident memory",
    how: "connected, nothing said, after 15 s",
    bound: Bound::AtMost(15.0),
    unit: "MiB",
}];

pub(crate) async fn run(stage: &Stage) -> anyhow::Result<Vec<f64>> {
    let im = stage.im();
    ready(&im).await;
    sleep(IDLE_FOR).await;
    let figures = Figures::of(im.process_id()).context("im has ended")?;
    Ok(vec![figures.rss_bytes as f64 / MIB])
}
