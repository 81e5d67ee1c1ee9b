//! Reading the output of `ping`.

use crate::Namespace;

/// What came back of a handful of echo requests.
#[derive(Debug, PartialEq, Eq)]
pub struct Pings {
    output: String,
    ttls: Vec<u8>,
}

const COUNT: usize = 3;

impl Pings {
    /// Sends three echo requests, each awaited for at most a second.
    pub(crate) fn send(from: &Namespace, to: &str) -> Self {
        let output = from.attempt(&format!("ping -n -c {COUNT} -i 0.1 -W 1 {to}"));
        Self::read(&String::from_utf8_lossy(&output.stdout))
    }

    fn read(output: &str) -> Self {
        let ttls = output.lines().filter(|line| line.contains("bytes from")).filter_map(|line| {
            let word = line.split_whitespace().find_map(|word| word.strip_prefix("ttl="))?;
            word.parse().ok()
        });
        Self { ttls: ttls.collect(), output: output.to_owned() }
    }

    /// The TTL or hop limit with which every one of the answers came.
    ///
    /// # Panics
    /// When an answer is missing or they differ.
    pub fn ttl(&self) -> u8 {
        let first = *self.ttls.first().unwrap_or_else(|| panic!("no answer: {}", self.output));
        assert!(self.ttls.len() == COUNT && self.ttls.iter().all(|ttl| *ttl == first), "{}", self.output);
        first
    }

    /// How many answers came.
    pub fn answers(&self) -> usize {
        self.ttls.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_their_ttl_are_read() {
        let line = "64 bytes from 10.0.2.2: icmp_seq=1 ttl=63 time=0.09 ms\n";
        assert_eq!(Pings::read(&line.repeat(3)).ttl(), 63);
        let unreachable = "From 10.0.1.1 icmp_seq=1 Destination Host Unreachable\n";
        assert_eq!(Pings::read(unreachable).answers(), 0);
    }
}
