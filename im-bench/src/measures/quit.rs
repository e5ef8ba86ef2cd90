//! How long leaving takes.

use tokio::time::Instant;

use super::{Bound, Row};
use crate::figures::percentile_ms;
use crate::stage::{Stage, ready};

const TIMES: usize = 20;

pub(crate) const ROWS: &[Row] = &[Row {
    what: "`:q` until the process has ended, p95",
    how: "20 times, connected and idle; looked for each millisecond",
    bound: Bound::AtMost(100.0),
    unit: "ms",
}];

pub(crate) async fn run(stage: &Stage) -> anyhow::Result<Vec<f64>> {
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let mut im = stage.im();
        ready(&im).await;
        let begun = Instant::now();
        im.type_text(":q\r");
        let code = im.ended().await;
        times.push(begun.elapsed());
        anyhow::ensure!(code == Some(0), "im left with {code:?}");
    }
    Ok(vec![percentile_ms(&times, 0.95)])
}
