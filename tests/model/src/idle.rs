//! How long a pair may be idle.

use crate::pairs::{Output, Pair};

/// Whether there is room for more pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// There is.
    HasRoom,
    /// There is none: whoever has not been answered gives way sooner.
    IsFull,
}

/// Idle milliseconds before which a pair must stay, and after which it must go. The TCP state machine has a
/// model of its own beside the flow table; here it is enough that only FIN and RST shorten a life.
pub fn bounds(pair: &Pair, table: Table) -> (u64, u64) {
    const SECOND: u64 = 1000;
    const ESTABLISHED: u64 = 126 * 60 * SECOND;
    /// The time of the last packet is stored so coarsely.
    const GRAIN: u64 = 512;
    let refuses = matches!(pair.plan.forward.output, Output::Drop(_));
    let unanswered = pair.packets[1] == 0;
    let closes = pair.flags & 0b101 != 0;
    let (least, most) = match (pair.plan.forward.key.tuple.protocol, table) {
        _ if refuses => (10 * SECOND, 10 * SECOND),
        (6, Table::HasRoom) if closes => (10 * SECOND, ESTABLISHED),
        (6, Table::HasRoom) => (240 * SECOND, ESTABLISHED),
        (6, Table::IsFull) if unanswered && !closes => (5 * SECOND, 5 * SECOND),
        (6, Table::IsFull) => (5 * SECOND, ESTABLISHED),
        (_, Table::IsFull) if unanswered => (10 * SECOND, 10 * SECOND),
        (1 | 58, _) => (60 * SECOND, 60 * SECOND),
        _ => (300 * SECOND, 300 * SECOND),
    };
    (least, most + GRAIN)
}
