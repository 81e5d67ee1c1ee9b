//! A time that a daemon and its successor share, and that no step of the clock moves.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Which boot of the machine this is (`/proc/sys/kernel/random/boot_id`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootId(pub [u8; 16]);

impl BootId {
    /// That of this machine; all zero where the kernel does not tell, which no boot has (RFC 9562 section 4.1).
    pub fn current() -> Self {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self::parse(&text).unwrap_or(Self([0; 16]))
    }

    fn parse(text: &str) -> Option<Self> {
        let digits: String = text.trim_end().split('-').collect();
        Some(Self(u128::from_str_radix(&digits, 16).ok()?.to_be_bytes()))
    }
}

/// The moment that the monotonic clock counts from: zero of the flow table's time in every daemon of a boot.
/// It stands still while the machine is suspended, as the clock of the workers does.
pub fn zero() -> Instant {
    let since = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(since.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(since.tv_nsec).unwrap_or(0);
    let now = Instant::now();
    now.checked_sub(Duration::new(seconds, nanos)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_id_is_a_uuid_that_stays() {
        let [first, second] = [BootId::current(), BootId::current()];
        assert_eq!(first, second);
        assert_ne!(first, BootId([0; 16]));
        let text = "0102030a-0b0c-4d0e-8f10-111213141516\n";
        assert_eq!(
            BootId::parse(text),
            Some(BootId([1, 2, 3, 10, 11, 12, 0x4d, 14, 0x8f, 16, 17, 18, 19, 20, 21, 22]))
        );
        assert_eq!(BootId::parse("no boot id"), None);
    }

    #[test]
    fn zero_is_the_same_moment_for_all() {
        let (one, two) = (zero(), zero());
        let apart = one.max(two).duration_since(one.min(two));
        assert!(apart < Duration::from_millis(100), "{apart:?}");
        assert!(one.elapsed() > Duration::from_secs(1));
    }
}
