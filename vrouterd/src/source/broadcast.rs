//! Broadcast domains.

use dataplane::broadcast::Broadcast;
use dataplane::ecmp::Target;
use dataplane::fib::ip_addr;
use flow_table::Family;

use super::Reading;
use crate::view::{BroadcastNodeView, BroadcastView};

impl Reading<'_> {
    pub(super) fn broadcast(&self, broadcast: &Broadcast) -> BroadcastView {
        let mut view = BroadcastView {
            label: broadcast.label().map(encap::Label::get),
            addresses: broadcast.directed().iter().map(|addr| ip_addr(Family::V4, *addr)).collect(),
            vifs: Vec::new(),
            nodes: Vec::new(),
        };
        for target in broadcast.targets() {
            match *target {
                Target::Vif(slot) => {
                    view.vifs.extend(self.snapshot.vif(slot).map(|vif| vif.name.clone()));
                }
                Target::Tunnel { tunnel, label } => {
                    let tunnel = self.snapshot.tunnel(tunnel);
                    view.nodes.extend(tunnel.map(|endpoint| BroadcastNodeView {
                        node: endpoint.address,
                        label: label.get(),
                        state: self.tunnel_state(tunnel),
                    }));
                }
            }
        }
        view.vifs.sort();
        view
    }
}
