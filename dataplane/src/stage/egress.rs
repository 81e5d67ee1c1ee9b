//! The way out: a vif over the trunk, or a tunnel over the uplink.

use encap::{Fields, Label, Template, entropy};
use flow_table::{Action, Addr, Family, FlowHash, Output};

use super::rewrite;
use crate::drop::DropReason;
use crate::fragment::split;
use crate::ids::{Mac, TunnelId, VifSlot};
use crate::packet::Packet;
use crate::packet::ethernet::{TAGGED_HEADER, TYPE_IPV4, TYPE_IPV6, group_mac, write_to_vif};
use crate::packet::ip::Ip;
use crate::snapshot::{Snapshot, Vif};
use crate::verdict::{Halt, Way};

/// A way out that was found open for a packet of its size.
pub(crate) enum Exit<'s> {
    Vif { vif: &'s Vif, mac: Mac },
    Tunnel { id: TunnelId, template: &'s Template, label: Label },
}

/// What the headers of the way out take from the IP header behind them.
pub(crate) struct Inner {
    pub(crate) family: Family,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
}

impl Inner {
    #[inline(always)]
    pub(crate) fn of(ip: &Ip) -> Self {
        Self { family: ip.tuple.family, ttl: ip.ttl, tos: ip.tos }
    }
}

/// Finds the way out, before anything is changed in the packet.
#[inline(always)]
pub(crate) fn open(snapshot: &Snapshot, output: Output, len: usize) -> Result<Exit<'_>, Halt> {
    match output {
        Output::Vif { slot } => open_vif(snapshot, slot, len),
        Output::Tunnel { tunnel, label } => open_tunnel(snapshot, TunnelId(tunnel), label, len),
        Output::Drop { reason } => {
            Err(DropReason::from_index(usize::from(reason)).unwrap_or(DropReason::DiscardRoute).into())
        }
    }
}

/// Whether the first packet of a flow gets out at all, before a flow is made for it.
pub(crate) fn check_first(snapshot: &Snapshot, ip: &Ip, action: &Action) -> Result<(), Halt> {
    rewrite::check_ttl(ip, action.ttl)?;
    match open(snapshot, action.output, ip.len) {
        Err(Halt::TooBig { mtu }) if split::is_allowed(ip, mtu) => Ok(()),
        opened => opened.map(drop),
    }
}

#[inline(always)]
fn open_vif(snapshot: &Snapshot, slot: u16, len: usize) -> Result<Exit<'_>, Halt> {
    let vif = VifSlot::new(slot).and_then(|slot| snapshot.vif(slot)).ok_or(DropReason::VifDown)?;
    if !vif.is_up() {
        return Err(DropReason::VifDown.into());
    }
    if len > vif.mtu { Err(Halt::TooBig { mtu: vif.mtu }) } else { Ok(Exit::Vif { vif, mac: vif.mac }) }
}

#[inline(always)]
fn open_tunnel(snapshot: &Snapshot, id: TunnelId, label: u32, len: usize) -> Result<Exit<'_>, Halt> {
    if !snapshot.fabric.is_up() {
        return Err(DropReason::UplinkDown.into());
    }
    let tunnel = snapshot.tunnel(id).ok_or(DropReason::NoNeighbour)?;
    let template = tunnel.template.as_ref().ok_or(DropReason::NoNeighbour)?;
    let label = Label::new(label).ok_or(DropReason::InvalidLabel)?;
    let mtu = tunnel.inner_mtu;
    if len > mtu {
        return Err(Halt::TooBig { mtu });
    }
    Ok(Exit::Tunnel { id, template, label })
}

impl Exit<'_> {
    /// The same way out for a packet to all, which on Ethernet has an address of its own.
    pub(crate) fn for_group(self, family: Family, dst: Addr) -> Self {
        match self {
            Exit::Vif { vif, .. } => Exit::Vif { vif, mac: group_mac(family, dst) },
            Exit::Tunnel { .. } => self,
        }
    }

    /// Puts the headers of the way out in front of the IP packet.
    #[inline(always)]
    pub(crate) fn leave(
        self,
        packet: &mut Packet<'_>,
        inner: Inner,
        hash: FlowHash,
        outer_id: u16,
    ) -> Result<Way, DropReason> {
        match self {
            Exit::Vif { vif, mac } => {
                if !packet.push(TAGGED_HEADER) {
                    return Err(DropReason::FrameTooBig);
                }
                let ethertype = match inner.family {
                    Family::V4 => TYPE_IPV4,
                    Family::V6 => TYPE_IPV6,
                };
                write_to_vif(packet.bytes_mut(), mac, vif.slot, ethertype);
                Ok(Way::Vif(vif.slot))
            }
            Exit::Tunnel { id, template, label } => {
                let fields = Fields {
                    label,
                    ttl: inner.ttl,
                    source_port: entropy::source_port((hash.0 >> 32) as u32),
                    inner_tos: inner.tos,
                    ip_id: outer_id,
                };
                let room = packet.push(template.len());
                let written = room && template.write(packet.bytes_mut(), &fields).is_ok();
                if written { Ok(Way::Tunnel(id)) } else { Err(DropReason::FrameTooBig) }
            }
        }
    }
}
