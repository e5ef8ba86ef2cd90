//! Exponential backoff with full jitter: pure arithmetic, the caller sleeps.

use std::time::Duration;

/// Grows the upper bound of a random delay from `first` to `longest`, doubling.
///
/// Full jitter (a uniform draw from zero to the bound) spreads a crowd that fails together best;
/// see "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Starts with no failures.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            failures: 0,
        }
    }

    /// Returns how long to wait after one more failure; `random` is from 0 to 1.
    pub fn next(&mut self, random: f64) -> Duration {
        let bound = self
            .first
            .saturating_mul(1u32.checked_shl(self.failures).unwrap_or(u32::MAX))
            .min(self.longest);
        self.failures = self.failures.saturating_add(1);
        bound.mul_f64(random.clamp(0.0, 1.0))
    }

    /// Forgets the failures.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// How many failures in a row.
    pub const fn failures(&self) -> u32 {
        self.failures
    }
}

/// Draws from 0 to 1 for [`Backoff::next`].
pub fn random_fraction() -> f64 {
    let draw = getrandom::u32().expect("the operating system provides randomness");
    f64::from(draw) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_longest() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let bounds: Vec<_> = (0..6).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(bounds, [100, 200, 400, 800, 1000, 1000]);
        backoff.reset();
        assert_eq!(backoff.next(0.5), Duration::from_millis(50));
    }

    #[test]
    fn a_thousand_failures_do_not_overflow() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(9));
        for _ in 0..1000 {
            assert!(backoff.next(1.0) <= Duration::from_secs(9));
        }
    }
}
