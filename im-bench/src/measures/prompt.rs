//! How long until the prompt is there.

use tokio::time::Instant;

use super::{Bound, Row};
use crate::figures::percentile_ms;
use crate::stage::{Stage, USER};

const STARTS: usize = 20;

pub(crate) const ROWS: &[Row] = &[Row {
    what: "start until the prompt, p95",
    how: "20 starts at a terminal, password from a file",
    bound: Bound::AtMost(50.0),
    unit: "ms",
}];

pub(crate) async fn run(stage: &Stage) -> anyhow::Result<Vec<f64>> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let begun = Instant::now();
        let mut im = stage.im();
        let shown = im.shows(&format!("{USER}>")).await;
        times.push(shown - begun);
        im.type_text(":q\r");
        im.ended().await;
    }
    Ok(vec![percentile_ms(&times, 0.95)])
}
