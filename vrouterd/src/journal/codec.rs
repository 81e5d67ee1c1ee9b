//! The bytes of the journal: numbers in little endian, one after the other.
//!
//! ```text
//!   magic (8) | version (4) | boot id (16) | spread (4 x 8)
//!   pairs, each: family (1: 4 or 6) | protocol (1) | owner (2) | created (8)
//!                | forward, reverse: context (4) | src, dst (4 or 16 each) | ports (2, 2) | output kind (1), id (2),
//!                  label (4) | source kind (1), id (2) | last (8) | progress (1)
//!   end (1: 0) | vifs, VRFs, tunnel endpoints: count (4), each with ids and name | time (8) | pairs (8) | crc32 (4)
//! ```

use std::net::IpAddr;

use dataplane::carry::Roster;
use dataplane::ids::{TunnelId, VifId, VifSlot, VrfId};
use flow_table::{
    Action, Addr, Carried, Context, Dependency, Family, FlowKey, Half, Millis, NewPair, Output, Progress,
    Source, Trace, Ttl, Tuple,
};

/// Most bytes that a pair takes.
pub(super) const MOST_PAIR: usize = 12 + 2 * (4 + 32 + 4 + 7 + 3 + 9);
/// In the place of a family: no more pairs.
const END: u8 = 0;

/// The bytes do not mean anything: cut, or not written by this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Garbled;

/// Appends to a buffer.
pub(super) struct Writer<'a>(pub(super) &'a mut Vec<u8>);

impl Writer<'_> {
    pub(super) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn addr(&mut self, family: Family, addr: Addr) {
        match family {
            Family::V4 => self.u32(addr.0 as u32),
            Family::V6 => self.0.extend_from_slice(&addr.0.to_le_bytes()),
        }
    }

    fn name(&mut self, name: &str) {
        self.u32(name.len() as u32);
        self.0.extend_from_slice(name.as_bytes());
    }

    pub(super) fn pair(&mut self, carried: &Carried) {
        let Carried { pair: NewPair { forward, reverse, owner }, created, traces } = carried;
        let Tuple { family, protocol, .. } = forward.key.tuple;
        self.u8(match family {
            Family::V4 => 4,
            Family::V6 => 6,
        });
        self.u8(protocol);
        self.u16(*owner);
        self.u64(created.0);
        for (half, trace) in [forward, reverse].into_iter().zip(traces) {
            self.half(family, half);
            self.u64(trace.last.0);
            self.u8(trace.progress.bits());
        }
    }

    fn half(&mut self, family: Family, Half { key, action }: &Half) {
        let Tuple { src, dst, sport, dport, .. } = key.tuple;
        self.u32(key.context.0);
        self.addr(family, src);
        self.addr(family, dst);
        self.u16(sport);
        self.u16(dport);
        let (kind, id, label) = match action.output {
            Output::Vif { slot } => (0, slot, 0),
            Output::Tunnel { tunnel, label } => (1, tunnel, label),
            Output::Drop { reason } => (2, u16::from(reason), 0),
        };
        self.u8(kind);
        self.u16(id);
        self.u32(label);
        let (kind, id) = match action.source {
            Source::Any => (0, 0),
            Source::Vif => (1, 0),
            Source::Tunnel(tunnel) => (2, tunnel),
        };
        self.u8(kind);
        self.u16(id);
    }

    pub(super) fn roster(&mut self, roster: &Roster) {
        self.u8(END);
        self.u32(roster.vifs.len() as u32);
        for (id, slot, name) in &roster.vifs {
            self.u32(id.0);
            self.u16(slot.get());
            self.name(name.as_str());
        }
        self.u32(roster.vrfs.len() as u32);
        for (id, name) in &roster.vrfs {
            self.u16(id.0);
            self.name(name.as_str());
        }
        self.u32(roster.tunnels.len() as u32);
        for (id, address) in &roster.tunnels {
            self.u16(id.0);
            self.name(&address.to_string());
        }
    }
}

/// Takes from the front of a slice. Every byte may be anything.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Garbled> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Garbled)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Garbled> {
        self.bytes().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Garbled> {
        self.bytes().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Garbled> {
        self.bytes().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Garbled> {
        self.bytes().map(u64::from_le_bytes)
    }

    fn addr(&mut self, family: Family) -> Result<Addr, Garbled> {
        match family {
            Family::V4 => self.u32().map(|addr| Addr(addr.into())),
            Family::V6 => self.bytes().map(|bytes| Addr(u128::from_le_bytes(bytes))),
        }
    }

    fn name(&mut self) -> Result<&'a str, Garbled> {
        let len = self.u32()? as usize;
        let (name, rest) = self.0.split_at_checked(len).ok_or(Garbled)?;
        self.0 = rest;
        std::str::from_utf8(name).map_err(|_| Garbled)
    }

    /// The next pair; none after the last.
    pub(super) fn pair(&mut self) -> Result<Option<Carried>, Garbled> {
        let family = match self.u8()? {
            END => return Ok(None),
            4 => Family::V4,
            6 => Family::V6,
            _ => return Err(Garbled),
        };
        let (protocol, owner, created) = (self.u8()?, self.u16()?, Millis(self.u64()?));
        let mut side = || {
            let half = self.half(family, protocol)?;
            let (last, progress) = (Millis(self.u64()?), Progress::from_bits(self.u8()?));
            Ok((half, Trace { last, progress }))
        };
        let ((forward, first), (reverse, second)) = (side()?, side()?);
        let pair = NewPair { forward, reverse, owner };
        Ok(Some(Carried { pair, created, traces: [first, second] }))
    }

    fn half(&mut self, family: Family, protocol: u8) -> Result<Half, Garbled> {
        let context = Context(self.u32()?);
        let (src, dst) = (self.addr(family)?, self.addr(family)?);
        let (sport, dport) = (self.u16()?, self.u16()?);
        let output = match (self.u8()?, self.u16()?, self.u32()?) {
            (0, slot, _) => Output::Vif { slot },
            (1, tunnel, label) => Output::Tunnel { tunnel, label },
            (2, reason, _) => Output::Drop { reason: reason as u8 },
            _ => return Err(Garbled),
        };
        let source = match (self.u8()?, self.u16()?) {
            (0, _) => Source::Any,
            (1, _) => Source::Vif,
            (2, tunnel) => Source::Tunnel(tunnel),
            _ => return Err(Garbled),
        };
        let tuple = Tuple { family, protocol, src, dst, sport, dport };
        let action = Action { output, source, ttl: Ttl::Keep, depends: Dependency::STALE };
        Ok(Half { key: FlowKey { context, tuple }, action })
    }

    /// What follows the last pair.
    pub(super) fn roster(&mut self) -> Result<Roster, Garbled> {
        let mut roster = Roster::default();
        for _ in 0..self.u32()? {
            let (id, slot) = (VifId(self.u32()?), VifSlot::new(self.u16()?).ok_or(Garbled)?);
            roster.vifs.push((id, slot, self.name()?.into()));
        }
        for _ in 0..self.u32()? {
            roster.vrfs.push((VrfId(self.u16()?), self.name()?.into()));
        }
        for _ in 0..self.u32()? {
            let (id, address) = (TunnelId(self.u16()?), self.name()?);
            roster.tunnels.push((id, address.parse::<IpAddr>().map_err(|_| Garbled)?));
        }
        Ok(roster)
    }
}
