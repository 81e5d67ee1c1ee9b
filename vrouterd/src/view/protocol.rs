//! IP protocol, by its name where it has a well-known one.

use std::fmt;
use std::str::FromStr;

/// IP protocol number. Written and read as `tcp`, `udp`, `sctp`, `icmp`, `icmp6`, or the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(pub u8);

const NAMES: [(u8, &str); 5] = [(1, "icmp"), (6, "tcp"), (17, "udp"), (58, "icmp6"), (132, "sctp")];

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(number, _)| *number == self.0) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

impl serde::Serialize for Protocol {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The text names no IP protocol.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an IP protocol: write tcp, udp, sctp, icmp, icmp6 or a number from 0 to 255")]
pub struct BadProtocol;

impl FromStr for Protocol {
    type Err = BadProtocol;

    fn from_str(text: &str) -> Result<Self, BadProtocol> {
        match NAMES.iter().find(|(_, name)| name.eq_ignore_ascii_case(text)) {
            Some((number, _)) => Ok(Self(*number)),
            None => text.parse().map(Self).map_err(|_| BadProtocol),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_read_and_written() {
        for (text, number, shown) in
            [("tcp", 6, "tcp"), ("UDP", 17, "udp"), ("58", 58, "icmp6"), ("47", 47, "47")]
        {
            let protocol: Protocol = text.parse().unwrap();
            assert_eq!((protocol, protocol.to_string().as_str()), (Protocol(number), shown));
        }
        for bad in ["", "256", "-1", "ip", "tcp "] {
            assert_eq!(bad.parse::<Protocol>(), Err(BadProtocol), "{bad}");
        }
    }
}
