//! Random visits, the same in every run.

/// A small generator of random numbers (xorshift64*, Vigna 2016): about a nanosecond a number.
#[derive(Clone, Debug)]
pub struct Visits(u64);

impl Visits {
    /// Starts at `seed`; different seeds give different orders.
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// Sixty-four random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`, which is below 2^32; each is as likely as any other to within 2^-32.
    pub fn below(&mut self, end: u32) -> u32 {
        (((self.bits() >> 32) * u64::from(end)) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flow_is_visited_about_equally_often() {
        let (mut visits, mut seen) = (Visits::new(7), [0u32; 10]);
        for _ in 0..10_000 {
            seen[visits.below(10) as usize] += 1;
        }
        assert!(seen.iter().all(|count| (900..1100).contains(count)), "{seen:?}");
    }
}
