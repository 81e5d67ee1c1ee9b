//! Datagrams whose fragments are under way (RFC 791 section 3.2, RFC 8200 section 4.5).

use std::net::IpAddr;

use dataplane::drop::DropReason;
use dataplane::fragment::LIFETIME;

use crate::packet::{Packet, Piece};
use crate::pairs::Context;

/// What makes fragments belong together; the protocol counts for IPv4 alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id {
    context: Context,
    src: IpAddr,
    dst: IpAddr,
    protocol: Option<u8>,
    id: u32,
}

impl Id {
    /// The datagram of a fragment that came in a context.
    pub fn new(context: Context, packet: &Packet, piece: &Piece) -> Self {
        let tuple = packet.tuple;
        let protocol = tuple.src.is_ipv4().then_some(tuple.protocol);
        Self { context, src: tuple.src, dst: tuple.dst, protocol, id: piece.id }
    }
}

/// Protocol and ports, which the first fragment alone tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Protocol.
    pub protocol: u8,
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
}

/// What is known of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Not its first fragment.
    Nothing,
    /// Its first fragment.
    Ports(Ports),
    /// That its fragments contradict each other (RFC 5722).
    Contradiction,
}

/// A datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Which.
    pub id: Id,
    /// When it is forgotten.
    pub until: u64,
    /// What is known of it.
    pub known: Known,
    parts: Vec<Piece>,
}

impl Datagram {
    /// One of which nothing has come.
    pub fn new(id: Id, now: u64) -> Self {
        Self { id, until: now + LIFETIME, known: Known::Nothing, parts: Vec::new() }
    }

    /// Takes a fragment.
    ///
    /// # Errors
    /// Why it goes no further.
    pub fn take(&mut self, packet: &Packet, piece: Piece) -> Result<(), DropReason> {
        if self.known == Known::Contradiction {
            return Err(DropReason::FragmentOverlap);
        }
        // RFC 8200 section 4.5: an exact duplicate may be dropped and the others kept.
        if self.parts.contains(&piece) {
            return Err(DropReason::FragmentDuplicate);
        }
        if self.parts.iter().any(|part| contradict(part, &piece)) {
            self.known = Known::Contradiction;
            return Err(DropReason::FragmentOverlap);
        }
        self.parts.push(piece);
        if piece.start == 0 {
            let tuple = packet.tuple;
            let (protocol, sport, dport) = (tuple.protocol, tuple.sport, tuple.dport);
            self.known = Known::Ports(Ports { protocol, sport, dport });
        }
        Ok(())
    }

    /// Whether every part has come.
    pub fn is_complete(&self) -> bool {
        let bytes: usize = self.parts.iter().map(|part| part.end - part.start).sum();
        self.parts.iter().any(|part| !part.more && part.end == bytes)
    }

    /// In which context its fragments come.
    pub fn context(&self) -> Context {
        self.id.context
    }
}

/// Whether two fragments can not be of one datagram: they overlap, or one lies behind the last.
fn contradict(one: &Piece, other: &Piece) -> bool {
    let overlap = one.start < other.end && other.start < one.end;
    let behind = |last: &Piece, piece: &Piece| !last.more && (!piece.more || piece.end > last.end);
    overlap || behind(one, other) || behind(other, one)
}
