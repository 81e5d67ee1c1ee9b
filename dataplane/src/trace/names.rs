//! What things of a snapshot are called in the text of a step.

use flow_table::Tuple;

use crate::desired::Reach;
use crate::ecmp::Target;
use crate::fib::{NextHop, ip_addr};
use crate::ids::{TunnelId, VifSlot};
use crate::packet::l4::protocol;
use crate::snapshot::Snapshot;
use crate::verdict::Way;

/// The names in a snapshot.
#[derive(Clone, Copy)]
pub(super) struct Names<'a>(pub(super) &'a Snapshot);

impl Names<'_> {
    pub(super) fn next_hop(self, next_hop: &NextHop) -> String {
        match next_hop {
            NextHop::Group(group) => match group.members() {
                [] => "a group without members".to_owned(),
                [one] => self.target(one.target),
                many => format!("{} members that share the flows", many.len()),
            },
            NextHop::Service => "a service".to_owned(),
            NextHop::Floating(pod, _) => format!("floating IP of {}", self.target(pod.target)),
            NextHop::Pool => "an address that sources are translated to".to_owned(),
            NextHop::Vrf(vrf) => {
                let name = self.0.vrf(*vrf).map_or("that is gone", |vrf| vrf.name.as_str());
                format!("look-up in VRF {name}")
            }
            NextHop::Discard => "discard".to_owned(),
        }
    }

    pub(super) fn target(self, target: Target) -> String {
        match target {
            Target::Vif(slot) => self.vif(slot),
            Target::Tunnel { tunnel, label } => {
                format!("{} label {}", self.node(tunnel), label.get())
            }
        }
    }

    pub(super) fn way(self, way: Way) -> String {
        match way {
            Way::Vif(slot) => self.vif(slot),
            Way::Tunnel(tunnel) => self.node(tunnel),
        }
    }

    pub(super) fn vif(self, slot: VifSlot) -> String {
        let vif = self.0.vif(slot);
        vif.map_or_else(|| format!("slot {}", slot.get()), |vif| format!("vif {}", vif.name))
    }

    pub(super) fn node(self, tunnel: TunnelId) -> String {
        let tunnel = self.0.tunnel(tunnel);
        tunnel.map_or_else(|| "a node that is gone".to_owned(), |tunnel| format!("node {}", tunnel.address))
    }
}

pub(super) fn reach_text(reach: Reach) -> String {
    match reach {
        Reach::Via(mac) => format!("its neighbour is {mac}"),
        Reach::Unresolved => "its neighbour is being resolved".to_owned(),
        Reach::Failed => "its neighbour does not answer".to_owned(),
        Reach::NoRoute => "no route leads there over the uplink".to_owned(),
    }
}

/// A tuple as an operator writes it.
pub(super) fn tuple_text(tuple: &Tuple) -> String {
    let (src, dst) = (ip_addr(tuple.family, tuple.src), ip_addr(tuple.family, tuple.dst));
    let end = |address, port| std::net::SocketAddr::new(address, port).to_string();
    match tuple.protocol {
        protocol::TCP => format!("tcp {} > {}", end(src, tuple.sport), end(dst, tuple.dport)),
        protocol::UDP => format!("udp {} > {}", end(src, tuple.sport), end(dst, tuple.dport)),
        protocol::SCTP => format!("sctp {} > {}", end(src, tuple.sport), end(dst, tuple.dport)),
        protocol::ICMP | protocol::ICMPV6 if tuple.sport == tuple.dport => {
            format!("icmp echo {src} > {dst}, identifier {}", tuple.sport)
        }
        protocol::ICMP | protocol::ICMPV6 => format!("icmp {src} > {dst}"),
        number => format!("protocol {number} {src} > {dst}"),
    }
}
