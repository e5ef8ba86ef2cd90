//! What is made of many samples.

use std::time::Duration;

/// The value in the middle, by which one run that was disturbed does no harm.
///
/// # Panics
///
/// Without any value.
pub(crate) fn median(values: Vec<f64>) -> f64 {
    rank(values, 0.5)
}

/// The value that so great a part of all does not exceed, in milliseconds.
///
/// # Panics
///
/// Without any value.
pub(crate) fn percentile_ms(times: &[Duration], part: f64) -> f64 {
    let milliseconds = times.iter().map(|time| time.as_secs_f64() * 1000.0);
    rank(milliseconds.collect(), part)
}

/// The nearest rank: always a value that was measured.
fn rank(mut values: Vec<f64>, part: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let rank = (part * values.len() as f64).ceil() as usize;
    values[rank.clamp(1, values.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_is_a_value_that_was_measured() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![7.0]), 7.0);
        let times: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile_ms(&times, 0.5), 50.0);
        assert_eq!(percentile_ms(&times, 0.95), 95.0);
        assert_eq!(percentile_ms(&times, 0.99), 99.0);
        assert_eq!(percentile_ms(&times[..1], 0.99), 1.0);
    }
}
