//! Who made a pair, and when: what is needed when it goes or is shown, but not by its packets.

use crate::timeout::Millis;

/// Owner and time of birth, in a word: milliseconds (48) | owner (16).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Origin {
    pub(crate) owner: u16,
    pub(crate) created: Millis,
}

impl Origin {
    pub(crate) const fn word(self) -> u64 {
        self.created.0 << 16 | self.owner as u64
    }

    pub(crate) const fn from_word(word: u64) -> Origin {
        Origin { owner: word as u16, created: Millis(word >> 16) }
    }
}
