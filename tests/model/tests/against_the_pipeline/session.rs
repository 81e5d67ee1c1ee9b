//! One case: a configuration and what happens to it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use dataplane::desired::{Desired, Vif};
use dataplane::ids::VrfName;
use model_router::bytes::{octets, put, u16_at};
use model_router::fib::{self, Exit, Scope};
use model_router::lockstep::Lockstep;
use model_router::packet::{self, Kind, Packet, Tuple};
use model_router::router::{Side, VifIds};

use crate::dice::Dice;
use crate::pieces::cut;
use crate::traffic;
use crate::world::{self, ALL, GROUPS, PEER_MAC, REMOTE, SERVICES, UPLINK_MAC, ip, peers};

/// What may happen. The bytes choose the details.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    FromVif([u8; 20]),
    FromFabric([u8; 20]),
    Reply([u8; 12]),
    IcmpError([u8; 12]),
    Neighbour([u8; 16]),
    ToAll([u8; 12]),
    /// Cuts a packet into fragments, to be sent by and by.
    Cut([u8; 32]),
    /// Sends one of these fragments.
    Piece(u8),
    Mutate([u8; 8]),
    Repeat(u8),
    Burst(u8),
    Change([u8; 24]),
    /// Takes backends away, and goes on.
    Lose([u8; 3]),
    Advance(u8),
    Sweep,
}

/// Where a packet comes in.
#[derive(Clone, Debug)]
enum Source {
    Vif { slot: u16, mac: [u8; 6] },
    Node { label: u32, peer: usize },
}

/// An IP packet and where it comes in.
type From = (Source, Vec<u8>);

/// Fragments that wait to be sent.
const PENDING: usize = 16;
/// Frames remembered to be repeated or answered.
const REMEMBERED: usize = 24;

pub(crate) struct Session {
    pub(crate) both: Lockstep,
    injected: Vec<(Side, Vec<u8>)>,
    sent: Vec<(Side, Vec<u8>)>,
    pending: Vec<From>,
}

impl Session {
    pub(crate) fn new(bytes: &[u8]) -> Result<Self, String> {
        let both = Lockstep::with_room(&world::build(bytes), world::room(bytes))?;
        Ok(Self { both, injected: Vec::new(), sent: Vec::new(), pending: Vec::new() })
    }

    pub(crate) fn run(&mut self, op: &Op) -> Result<(), String> {
        let frame = match op {
            Op::FromVif(bytes) => self.packet_of_vif(&mut Dice(bytes)).map(|from| self.frame(&from, bytes)),
            Op::FromFabric(bytes) => {
                self.packet_of_node(&mut Dice(bytes)).map(|from| self.frame(&from, bytes))
            }
            Op::Reply(bytes) => self.reply(&mut Dice(bytes)).map(|from| self.frame(&from, bytes)),
            Op::IcmpError(bytes) => self.icmp_error(&mut Dice(bytes)).map(|from| self.frame(&from, bytes)),
            Op::Cut(bytes) => {
                self.cut(&mut Dice(bytes));
                None
            }
            Op::Piece(which) => self.piece(usize::from(*which)),
            Op::Neighbour(bytes) => self.neighbour(&mut Dice(bytes)),
            Op::ToAll(bytes) => self.to_all(&mut Dice(bytes)),
            Op::Mutate(bytes) => self.mutate(&mut Dice(bytes)),
            Op::Repeat(which) => self.injected.get(usize::from(*which) % self.injected.len().max(1)).cloned(),
            Op::Burst(which) => return self.burst(usize::from(*which)),
            Op::Change(bytes) => return self.change(&mut Dice(bytes)),
            Op::Lose(bytes) => return self.lose(&mut Dice(bytes)),
            Op::Advance(by) => {
                let millis = [1, 10, 400, 5_000, 11_000, 61_000, 241_000, 301_000, 7_500_000];
                self.both.advance(millis[usize::from(*by) % millis.len()]);
                None
            }
            Op::Sweep => return self.both.sweep(),
        };
        let Some((side, frame)) = frame else { return Ok(()) };
        let sent = self.both.step(side, &frame)?;
        remember(&mut self.injected, (side, frame));
        sent.into_iter().for_each(|sent| remember(&mut self.sent, sent));
        Ok(())
    }

    /// One frame more often than the vrouter answers at once, or with more source ports than a vif may have flows.
    fn burst(&mut self, which: usize) -> Result<(), String> {
        let Some((side, frame)) = self.injected.get(which / 2 % self.injected.len().max(1)).cloned() else {
            return Ok(());
        };
        // Where the ports are behind headers without options: then the checksum is wrong, and stays wrong.
        let ports = match side {
            Side::Trunk => 18 + 20,
            Side::Uplink => 14 + 20 + 8 + 4 + 20,
        };
        for n in 0..102u16 {
            let mut frame = frame.clone();
            if which % 2 == 1 {
                put(&mut frame, ports, &(40_000 + n).to_be_bytes());
            }
            self.both.step(side, &frame)?;
        }
        Ok(())
    }

    pub(crate) fn finish(&self) -> Result<(), String> {
        if self.both.has_strange_counts() {
            Err("a port that does not exist has counted".to_owned())
        } else {
            Ok(())
        }
    }

    pub(crate) fn reached(&self) -> &BTreeMap<String, u64> {
        self.both.reached()
    }

    pub(crate) fn desired(&self) -> &Desired {
        &self.both.model.desired
    }

    fn change(&mut self, dice: &mut Dice<'_>) -> Result<(), String> {
        let mut desired = self.desired().clone();
        world::change(&mut desired, dice);
        self.both.configure(&desired)
    }

    pub(crate) fn pick_vif(&self, dice: &mut Dice<'_>) -> (VifIds, Vif) {
        let vif = dice.pick(&self.desired().vifs);
        let ids = self.both.model.ids.vif(&vif.name).cloned().unwrap();
        (ids, vif)
    }

    /// Takes a backend away, or all of a service, and sends the last frames once more.
    fn lose(&mut self, dice: &mut Dice<'_>) -> Result<(), String> {
        let mut desired = self.desired().clone();
        let last = self.injected.last().and_then(|(side, frame)| inner(*side, frame));
        let wanted = last.map(|packet| packet.tuple.dst);
        let services = desired.services.iter_mut().filter(|service| !service.backends.is_empty());
        let mut services: Vec<_> = services.collect();
        if services.iter().any(|service| Some(service.address) == wanted) {
            services.retain(|service| Some(service.address) == wanted);
        }
        let count = services.len();
        let Some(service) = services.get_mut(dice.roll(count)) else { return Ok(()) };
        let backends = &mut std::sync::Arc::make_mut(service).backends;
        match dice.roll(2) {
            0 => backends.clear(),
            _ => drop(backends.remove(dice.roll(backends.len()))),
        }
        self.both.configure(&desired)?;
        let last: Vec<_> = self.injected.iter().rev().take(8).cloned().collect();
        for (side, frame) in last {
            self.both.step(side, &frame)?;
        }
        Ok(())
    }

    /// An address that a packet may be sent to from a VRF, mostly one that is there.
    pub(crate) fn destination(&self, vrf: &VrfName, like: IpAddr, dice: &mut Dice<'_>) -> IpAddr {
        let vifs = self.desired().vifs.iter();
        let services = self.desired().services.iter();
        let pool: Vec<IpAddr> = match dice.roll(18) {
            0..=5 => services.filter(|service| service.vrf == *vrf).map(|service| service.address).collect(),
            6..=8 => REMOTE.map(ip).to_vec(),
            9..=11 => vifs.filter(|vif| vif.vrf == *vrf).flat_map(|vif| vif.addresses.clone()).collect(),
            12 => SERVICES.map(ip).to_vec(),
            13 => self.desired().vifs.iter().flat_map(|vif| vif.addresses.clone()).collect(),
            14 => ["169.254.1.1", "fe80::1", "10.0.0.9"].map(ip).to_vec(),
            15 | 16 => GROUPS.map(ip).to_vec(),
            _ => ["127.0.0.1", "255.255.255.255", "224.0.0.1", "ff02::2", "::1", "8.8.8.8", "fd99::1"]
                .map(ip)
                .to_vec(),
        };
        let fits = |address: &IpAddr| address.is_ipv4() == like.is_ipv4() && *address != like;
        let pool: Vec<_> = pool.into_iter().filter(fits).collect();
        let remote: Vec<_> = REMOTE.map(ip).into_iter().filter(fits).collect();
        dice.pick(if pool.is_empty() { &remote } else { &pool })
    }

    /// The frame that a packet comes in.
    fn frame(&self, (source, packet): &From, bytes: &[u8]) -> (Side, Vec<u8>) {
        match *source {
            Source::Vif { slot, mac } => {
                (Side::Trunk, traffic::tagged(slot, mac, traffic::ethertype(packet), packet))
            }
            Source::Node { label, peer } => {
                let mut dice: Vec<u8> = bytes.to_vec();
                dice.reverse();
                (Side::Uplink, self.encapsulate(label, packet, peer, &mut Dice(&dice)))
            }
        }
    }

    /// Cuts a packet into fragments that are sent later, in any order, some of them twice or never.
    fn cut(&mut self, dice: &mut Dice<'_>) {
        let from = match dice.roll(3) {
            0 => self.packet_of_vif(dice),
            1 => self.packet_of_node(dice),
            _ => self.reply(dice),
        };
        let Some((source, packet)) = from else { return };
        for piece in cut(&packet, dice) {
            let at = dice.roll(self.pending.len() + 1);
            self.pending.insert(at, (source.clone(), piece));
        }
        self.pending.truncate(PENDING);
    }

    fn piece(&mut self, which: usize) -> Option<(Side, Vec<u8>)> {
        let row = which / 8 % self.pending.len().max(1);
        let from = self.pending.get(row)?.clone();
        if !which.is_multiple_of(8) {
            self.pending.remove(row);
        }
        Some(self.frame(&from, &[]))
    }

    fn packet_of_vif(&self, dice: &mut Dice<'_>) -> Option<From> {
        let (ids, vif) = self.pick_vif(dice);
        let src = match dice.roll(10) {
            9 => dice.pick(&[ip("10.0.0.77"), ip("127.0.0.1"), ip("fd00::77"), ip("10.0.0.2")]),
            _ => dice.pick(&vif.addresses),
        };
        let packet = traffic::packet(src, self.destination(&vif.vrf, src, dice), dice);
        Some((Source::Vif { slot: ids.slot, mac: vif.mac.0 }, packet))
    }

    fn packet_of_node(&self, dice: &mut Dice<'_>) -> Option<From> {
        let vif = dice.pick(&self.desired().vifs);
        let label = match dice.roll(14) {
            0..=7 => vif.label.get(),
            8 => 500,
            9 => 501,
            10 => dice.pick(&[0, 2, 1, 3, 7]),
            11 | 12 => ALL + dice.roll(3) as u32,
            _ => 0xff_fff,
        };
        let src = ip(dice.pick(&REMOTE));
        let own: Vec<_> =
            vif.addresses.iter().copied().filter(|address| address.is_ipv4() == src.is_ipv4()).collect();
        let groups: Vec<_> =
            GROUPS.map(ip).into_iter().filter(|address| address.is_ipv4() == src.is_ipv4()).collect();
        let dst = if (ALL..ALL + 3).contains(&label) && dice.roll(4) < 3 {
            dice.pick(&groups)
        } else if dice.roll(2) == 0 && !own.is_empty() {
            dice.pick(&own)
        } else {
            self.destination(&vif.vrf, src, dice)
        };
        let packet = traffic::packet(src, dst, dice);
        let question = Tuple { src: dst, dst: src, protocol: 17, sport: 80, dport: 80 };
        let behind = fib::resolve(self.desired(), &vif.vrf, &question, Scope::Any).unwrap_or_default();
        let node = behind.iter().find_map(|choice| match choice.exit {
            Exit::Tunnel(node, _) => peers(self.desired()).iter().position(|peer| *peer == node),
            Exit::Vif(_) => None,
        });
        let peer = if dice.roll(6) == 5 { dice.roll(4) } else { node.unwrap_or(0) };
        Some((Source::Node { label, peer }, packet))
    }

    /// An MPLS-over-UDP frame from a node; the fourth is a stranger.
    pub(crate) fn encapsulate(&self, label: u32, packet: &[u8], peer: usize, dice: &mut Dice<'_>) -> Vec<u8> {
        let own = self.desired().node.tunnel_address;
        let stranger = ip(if own.is_ipv4() { "172.30.0.9" } else { "fd0f::9" });
        let src = peers(self.desired()).get(peer).copied().unwrap_or(stranger);
        let port = dice.pick(&[6635u16, 6635, 6635, 6635, 6635, 6635, 51234, 6636]);
        let ttl = dice.pick(&[63, 63, 63, 63, 63, 63, 63, 63, 1, 0]);
        let bottom = (label << 12 | 0x100 | ttl).to_be_bytes();
        let padding = (0xf_ffffu32 << 12 | 64).to_be_bytes();
        let entropy = [(7u32 << 12).to_be_bytes(), (0x1234u32 << 12 | 0x100).to_be_bytes()];
        let above = (label << 12 | 64).to_be_bytes();
        let stack = match dice.roll(16) {
            5 => [&padding[..], &bottom].concat(),
            6 => [&above[..], entropy.as_flattened()].concat(),
            7 => [above, bottom].concat(),
            _ => bottom.to_vec(),
        };
        let length = (8 + stack.len() + packet.len()) as u16;
        let ports = [[0xc0, dice.byte()], port.to_be_bytes(), length.to_be_bytes(), [0, 0]];
        let mut datagram = [ports.as_flattened(), &stack, packet].concat();
        traffic::seal(src, own, 17, &mut datagram, dice.roll(2) == 0);
        let header = outer(src, own, &datagram, dice);
        let ethertype = traffic::ethertype(&header).to_be_bytes();
        [&UPLINK_MAC.0[..], &PEER_MAC.0, &ethertype, &header, &datagram].concat()
    }

    /// The last packet that left, and where it went.
    fn received(&self, dice: &mut Dice<'_>) -> Option<(Side, Vec<u8>, Packet)> {
        let back = dice.pick(&[0, 0, 0, 1, 2, 3, 5, 8, 13]);
        let (side, frame) = self.sent.iter().rev().nth(back % self.sent.len().max(1))?.clone();
        let packet = inner(side, &frame)?;
        Some((side, frame, packet))
    }

    /// A packet to `dst` from where another has gone to.
    fn place_of(&self, side: Side, got: &[u8], dst: IpAddr, dice: &mut Dice<'_>) -> Option<Source> {
        if side == Side::Trunk {
            return Some(Source::Vif { slot: u16_at(got, 14)?, mac: got[..6].try_into().ok()? });
        }
        let tag = if u16_at(got, 12) == Some(0x8100) { 18 } else { 14 };
        let at = tag + if got[tag] >> 4 == 4 { 16 } else { 24 };
        let peer = peers(self.desired()).iter().position(|peer| got[at..].starts_with(&octets(*peer)));
        let owners: Vec<_> = self.desired().vifs.iter().filter(|vif| vif.addresses.contains(&dst)).collect();
        let label = match owners.get(dice.roll(owners.len())) {
            Some(vif) => vif.label.get(),
            None => dice.pick(&self.desired().vifs).label.get(),
        };
        let peer = if dice.roll(8) == 7 { dice.roll(4) } else { peer.unwrap_or(3) };
        Some(Source::Node { label, peer })
    }

    fn reply(&self, dice: &mut Dice<'_>) -> Option<From> {
        let (side, got, packet) = self.received(dice)?;
        let kind = match packet.kind {
            Kind::Tcp { .. } => 1 + dice.roll(3),
            Kind::Udp => 4,
            Kind::Sctp => 7,
            Kind::EchoRequest => 9,
            Kind::EchoReply => 8,
            _ => 11,
        };
        let answer = traffic::transport(packet.tuple.reversed(), kind, dice);
        Some((self.place_of(side, &got, packet.tuple.src, dice)?, answer))
    }

    fn icmp_error(&self, dice: &mut Dice<'_>) -> Option<From> {
        let (side, got, packet) = self.received(dice)?;
        let Tuple { src, dst, .. } = packet.tuple.reversed();
        let v4 = src.is_ipv4();
        let kind = if v4 {
            dice.pick(&[[3, 3], [3, 3], [3, 4], [3, 4], [11, 0], [11, 0], [5, 0]])
        } else {
            dice.pick(&[[1, 4], [1, 4], [2, 0], [2, 0], [3, 0], [3, 0], [137, 0]])
        };
        let most = dice.pick(&[28, 48, 200, 548]);
        let quote = &packet.bytes[..packet.bytes.len().min(most)];
        let router = ip(if v4 { "10.1.0.1" } else { "fd01::99" });
        let from = if dice.roll(4) == 3 { router } else { src };
        let stray = REMOTE.map(ip).into_iter().find(|address| address.is_ipv4() == v4).unwrap_or(dst);
        let to = if dice.roll(8) == 7 { stray } else { dst };
        let mut message = [&kind[..], &[0, 0, 0, 0, 5, 0], quote].concat();
        let protocol = if v4 { 1 } else { 58 };
        if dice.roll(8) != 7 {
            traffic::seal(from, to, protocol, &mut message, false);
        }
        let error = traffic::ip(from, to, protocol, &message, dice);
        Some((self.place_of(side, &got, to, dice)?, error))
    }

    /// A frame from before, damaged; half of the time with the IPv4 checksums made right again.
    fn mutate(&self, dice: &mut Dice<'_>) -> Option<(Side, Vec<u8>)> {
        let (side, mut frame) = self.injected.get(dice.roll(self.injected.len()))?.clone();
        let (kind, high, low, value) = (dice.roll(4), dice.byte(), dice.byte(), dice.byte());
        let at = usize::from(u16::from_be_bytes([high, low])) % frame.len().clamp(1, 120);
        match kind {
            0 => frame.truncate(at),
            1 => frame.extend(vec![value; usize::from(high) % 40]),
            _ => put(&mut frame, at, &[value]),
        }
        if dice.roll(2) == 0 {
            repair(&mut frame, 18);
            repair(&mut frame, 14);
            repair(&mut frame, 46);
        }
        Some((side, frame))
    }
}

/// The packet in a frame with one label, or none.
fn inner(side: Side, frame: &[u8]) -> Option<Packet> {
    let at = match side {
        Side::Trunk => 18,
        Side::Uplink => {
            let tag = if u16_at(frame, 12) == Some(0x8100) { 18 } else { 14 };
            tag + if frame.get(tag)? >> 4 == 4 { 32 } else { 52 }
        }
    };
    let packet = frame.get(at..)?;
    packet::parse(packet.first()? >> 4, packet).ok()
}

/// Makes the checksum of an IPv4 header right, if there is one here.
fn repair(frame: &mut [u8], at: usize) {
    let Some(packet) = frame.get_mut(at..) else { return };
    let header = packet.first().map_or(0, |first| usize::from(first & 15) * 4);
    if packet.first().is_some_and(|first| first >> 4 == 4) && header >= 20 && header <= packet.len() {
        put(packet, 10, &[0, 0]);
        let sum = model_router::bytes::checksum(&[&packet[..header]]);
        put(packet, 10, &sum.to_be_bytes());
    }
}

fn outer(src: IpAddr, dst: IpAddr, datagram: &[u8], dice: &mut Dice<'_>) -> Vec<u8> {
    let tos = dice.pick(&[0, 0, 0, 1, 2, 3]);
    let packet = traffic::ip(src, dst, 17, datagram, &mut Dice(&[]));
    let mut header = packet[..packet.len() - datagram.len()].to_vec();
    if src.is_ipv4() {
        header[1] = tos;
    } else {
        header[1] = tos << 4;
    }
    repair(&mut header, 0);
    header
}

fn remember(list: &mut Vec<(Side, Vec<u8>)>, frame: (Side, Vec<u8>)) {
    list.push(frame);
    if list.len() > REMEMBERED {
        list.remove(0);
    }
}
