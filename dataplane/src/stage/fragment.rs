//! Fragments: the first one names the ports for all, whatever order they come in. Behind this
//! stage a later fragment has the flow key of its first, so it takes the same flow: the same
//! member, translation and outer source port.

use flow_table::{Family, Millis, Rewrite, RewriteKind};

use crate::drop::DropReason;
use crate::fragment::{DatagramKey, FragmentTable, Later, Ports, Waiting};
use crate::packet::ip::{Fragment, Piece};
use crate::packet::l4::{L4, protocol};
use crate::snapshot::Snapshot;
use crate::verdict::{ContextOwner, Flow, Ingress, Prepared, context_owner};

/// IPv6 numbers datagrams without regard to what is in them (RFC 8200 section 4.5).
const ANY_PROTOCOL: u8 = 44;

/// What the stage works with.
pub(crate) struct Fragments<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) table: &'a FragmentTable,
    pub(crate) now: Millis,
}

impl Fragments<'_> {
    /// Looks at a packet that has just come; only fragments change.
    #[inline(always)]
    pub(crate) fn gate(&self, prepared: &mut Prepared) {
        let (vif, outcome) = match prepared {
            Prepared::Flow(flow) => match flow.ip.fragment {
                Fragment::Whole => return,
                Fragment::First(piece) => (flow.ingress.vif(), self.first(*flow, &piece)),
                Fragment::Later(piece) => (flow.ingress.vif(), self.later(*flow, piece)),
            },
            // RFC 6980 section 5: neighbour discovery in fragments is ignored.
            Prepared::Link { vif, ip, .. } if ip.fragment != Fragment::Whole => {
                (Some(*vif), Err(DropReason::FragmentUnsupported))
            }
            // All pieces go to all; nothing depends on the ports.
            Prepared::Broadcast(_)
            | Prepared::Link { .. }
            | Prepared::Wait(_)
            | Prepared::Arp { .. }
            | Prepared::Drop { .. } => {
                return;
            }
        };
        *prepared = outcome.unwrap_or_else(|reason| Prepared::Drop { vif, reason });
    }

    /// Looks again at a fragment that has waited.
    pub(crate) fn again(&self, waiting: Waiting) -> Prepared {
        let Waiting { flow, piece, until } = waiting;
        let late = || if until.0 <= self.now.0 { Err(DropReason::FragmentTimeout) } else { Ok(()) };
        let answer =
            late().and_then(|()| self.table.again(&key(&flow, &piece), self.now)).and_then(|ports| {
                let Some(ports) = ports else { return Ok(Prepared::Wait(waiting)) };
                self.check_context(&flow).map(|()| Prepared::Flow(follow(flow, ports)))
            });
        answer.unwrap_or_else(|reason| Prepared::Drop { vif: flow.ingress.vif(), reason })
    }

    /// A fragment that was to wait finds no room to.
    pub(crate) fn give_up(&self, waiting: &Waiting) -> DropReason {
        self.table.give_up(&key(&waiting.flow, &waiting.piece), self.now);
        DropReason::FragmentTableFull
    }

    fn first(&self, flow: Flow, piece: &Piece) -> Result<Prepared, DropReason> {
        self.check_source(&flow)?;
        // An ICMP error follows the packet that it quotes, which its later fragments do not.
        if matches!(flow.ip.l4, L4::IcmpError | L4::IcmpRefused) {
            return Err(DropReason::FragmentUnsupported);
        }
        let tuple = flow.ip.tuple;
        let ports = Ports { protocol: tuple.protocol, sport: tuple.sport, dport: tuple.dport };
        self.table.first(&key(&flow, piece), piece, ports, self.now)?;
        Ok(Prepared::Flow(flow))
    }

    fn later(&self, flow: Flow, piece: Piece) -> Result<Prepared, DropReason> {
        self.check_source(&flow)?;
        match self.table.later(&key(&flow, &piece), &piece, self.now)? {
            Later::Follow(ports) => Ok(Prepared::Flow(follow(flow, ports))),
            Later::Wait(until) => Ok(Prepared::Wait(Waiting { flow, piece, until })),
        }
    }

    /// A forged fragment makes no state, and is not kept until its first one fails to come.
    fn check_source(&self, flow: &Flow) -> Result<(), DropReason> {
        let Ingress::Vif(slot) = flow.ingress else { return Ok(()) };
        let vif = self.snapshot.vif(slot).ok_or(DropReason::UnknownVif)?;
        let (family, src) = (flow.ip.tuple.family, flow.ip.tuple.src);
        if self.snapshot.may_send(vif, family, src) { Ok(()) } else { Err(DropReason::SpoofedSource) }
    }

    /// While the fragment waited, its vif may have gone and its slot may be another's.
    fn check_context(&self, flow: &Flow) -> Result<(), DropReason> {
        let is_same = match context_owner(flow.context) {
            ContextOwner::Vif(id) => self.snapshot.vif_by_id(id).map(|vif| vif.slot) == flow.ingress.vif(),
            ContextOwner::Vrf(vrf) => self.snapshot.vrf(vrf).is_some(),
        };
        if is_same { Ok(()) } else { Err(DropReason::UnknownVif) }
    }
}

/// The checksum of SCTP covers the whole datagram, and how a change of the ports changes it
/// depends on its length, which a fragment does not know.
pub(crate) fn check_translation(flow: &Flow, rewrite: &Rewrite) -> Result<(), DropReason> {
    let tuple = flow.ip.tuple;
    let same_ports =
        rewrite.kind == RewriteKind::None || (rewrite.sport, rewrite.dport) == (tuple.sport, tuple.dport);
    if flow.ip.fragment == Fragment::Whole || tuple.protocol != protocol::SCTP || same_ports {
        Ok(())
    } else {
        Err(DropReason::FragmentUnsupported)
    }
}

fn follow(mut flow: Flow, ports: Ports) -> Flow {
    let tuple = &mut flow.ip.tuple;
    (tuple.protocol, tuple.sport, tuple.dport) = (ports.protocol, ports.sport, ports.dport);
    flow
}

fn key(flow: &Flow, piece: &Piece) -> DatagramKey {
    let tuple = flow.ip.tuple;
    DatagramKey {
        context: flow.context,
        family: tuple.family,
        src: tuple.src,
        dst: tuple.dst,
        protocol: match tuple.family {
            Family::V4 => tuple.protocol,
            Family::V6 => ANY_PROTOCOL,
        },
        id: piece.id,
    }
}
