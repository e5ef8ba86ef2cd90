//! Random choices that a seed repeats.

/// A stream of random numbers (SplitMix64): small, and the same everywhere.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    /// The stream of a seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `count`, which is not 0.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        let choice = self.next() % u64::try_from(count).expect("a count fits");
        usize::try_from(choice).expect("below a count")
    }

    /// Whether something comes about that does so in `part` of `whole` cases.
    pub(crate) const fn chance(&mut self, part: u64, whole: u64) -> bool {
        self.next() % whole < part
    }
}
