//! The way out: whether it is open, and the headers that go in front.

use std::net::IpAddr;

use dataplane::desired::{Link, Reach};
use dataplane::drop::DropReason;
use dataplane::ids::Mac;
use encap::{DontFragment, DscpMode};

use crate::bytes::octets;
use crate::fib;
use crate::pairs::Output;
use crate::router::{Router, Side};

/// What stops a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// A drop.
    Drop(DropReason),
    /// Larger than this many bytes.
    TooBig(usize),
}

impl From<DropReason> for Halt {
    fn from(reason: DropReason) -> Self {
        Halt::Drop(reason)
    }
}

impl Halt {
    /// The counter.
    pub fn reason(self) -> DropReason {
        match self {
            Halt::Drop(reason) => reason,
            Halt::TooBig(_) => DropReason::FrameTooBig,
        }
    }
}

/// A frame on its way out: side, name of the port that counts it, bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emitted {
    /// Side.
    pub side: Side,
    /// Port.
    pub port: String,
    /// Bytes; of a tunnel without what only the hash knows (see [`crate::masked`]).
    pub frame: Vec<u8>,
}

/// Whether a packet of `len` bytes may leave this way.
///
/// # Errors
/// Why not.
pub fn check(router: &Router, output: Output, len: usize) -> Result<(), Halt> {
    let mtu = match output {
        Output::Vif(id) => {
            let name = router.ids.name_of(id).ok_or(DropReason::VifDown)?;
            let vif = fib::vif(&router.desired, name).ok_or(DropReason::VifDown)?;
            if vif.link != Link::Up {
                return Err(DropReason::VifDown.into());
            }
            usize::from(vif.mtu)
        }
        Output::Drop(reason) => return Err(reason.into()),
        Output::Tunnel(node, _) => {
            let underlay = &router.desired.underlay;
            let up = underlay.uplink.as_ref().filter(|uplink| uplink.link == Link::Up);
            if up.is_none() {
                return Err(DropReason::UplinkDown.into());
            }
            if !matches!(underlay.tunnels.get(&node), Some(Reach::Via(_)))
                || !router.state.endpoints.contains(&node)
            {
                return Err(DropReason::NoNeighbour.into());
            }
            inner_mtu(router)
        }
    };
    if len > mtu { Err(Halt::TooBig(mtu)) } else { Ok(()) }
}

/// What fits into a tunnel: 20 or 40 bytes of IP, 8 of UDP, 4 of MPLS are the vrouter's.
pub fn inner_mtu(router: &Router) -> usize {
    let mtu = router.desired.underlay.uplink.as_ref().map_or(0, |uplink| usize::from(uplink.mtu));
    mtu.saturating_sub(if router.desired.node.tunnel_address.is_ipv4() { 32 } else { 52 })
}

/// The frame that leaves with this IP packet in it.
pub fn leave(router: &Router, output: Output, packet: &[u8]) -> Option<Emitted> {
    match output {
        Output::Vif(id) => {
            let name = router.ids.name_of(id)?;
            let vif = fib::vif(&router.desired, name)?;
            let ids = router.ids.vif(name)?;
            let frame = [&header(vif.mac, Mac::GATEWAY, Some(ids.slot), packet)[..], packet].concat();
            Some(Emitted { side: Side::Trunk, port: name.to_string(), frame })
        }
        Output::Drop(_) => None,
        Output::Tunnel(node, label) => {
            let uplink = router.desired.underlay.uplink.as_ref()?;
            let Some(Reach::Via(mac)) = router.desired.underlay.tunnels.get(&node) else { return None };
            let (tos, ttl) = match packet.first()? >> 4 {
                4 => (packet[1], packet[8]),
                _ => (packet[0] << 4 | packet[1] >> 4, packet[7]),
            };
            let outer = outer(router, node, tos, packet.len() + 12);
            let ethernet = header(*mac, uplink.mac, uplink.vlan, &outer);
            let udp = [
                [0, 0],
                router.desired.node.udp_port.to_be_bytes(),
                (packet.len() as u16 + 12).to_be_bytes(),
                [0, 0],
            ];
            let entry = (label << 12 | 1 << 8 | u32::from(ttl)).to_be_bytes();
            let frame = [&ethernet[..], &outer, udp.as_flattened(), &entry, packet].concat();
            Some(Emitted { side: Side::Uplink, port: "uplink".to_owned(), frame })
        }
    }
}

fn header(dst: Mac, src: Mac, vlan: Option<u16>, packet: &[u8]) -> Vec<u8> {
    let mut header = [dst.0, src.0].concat();
    if let Some(vlan) = vlan {
        header.extend([0x81, 0x00]);
        header.extend(vlan.to_be_bytes());
    }
    header.extend(if packet.first().is_some_and(|byte| byte >> 4 == 4) {
        [0x08, 0x00]
    } else {
        [0x86, 0xdd]
    });
    header
}

fn outer(router: &Router, node: IpAddr, inner_tos: u8, payload: usize) -> Vec<u8> {
    let settings = &router.desired.node;
    let tos = match settings.outer.dscp {
        DscpMode::Copy => inner_tos,
        DscpMode::Fixed(dscp) => dscp << 2 | inner_tos & 3,
    };
    let addresses = [octets(settings.tunnel_address), octets(node)].concat();
    if node.is_ipv6() {
        let [high, low] = (payload as u16).to_be_bytes();
        return [&[0x60 | tos >> 4, tos << 4, 0, 0, high, low, 17, 64], &addresses[..]].concat();
    }
    let [high, low] = (payload as u16 + 20).to_be_bytes();
    let flags = match settings.outer.dont_fragment {
        DontFragment::Clear => 0,
        DontFragment::Set => 0x40,
    };
    [&[0x45, tos, high, low, 0, 0, flags, 0, 64, 17, 0, 0], &addresses[..]].concat()
}
