//! The node as a whole.

use dataplane::counters::{Counter, WorkerCounters};
use dataplane::io::Side;
use dataplane::snapshot::Tunnel;
use xdp_prog::XdpMode;

use super::Reading;
use super::route::Hops;
use crate::view::{Attach, CopyMode, Counts, NodeView, PortView, QueueView, State, TunnelView, UplinkView};

impl Reading<'_> {
    pub(super) fn node(&self) -> NodeView {
        let ports = self.state.ports(&self.snapshot);
        let config = &self.control.config;
        NodeView {
            name: config.node.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: self.state.started.elapsed().as_secs(),
            tunnel_address: self.snapshot.fabric.address,
            generation: self.snapshot.generation,
            uplink: self.uplink(PortView::from(&ports.uplink)),
            trunk: PortView::from(&ports.trunk()),
            generated: self.sum(|worker| &worker.generated),
            consumed: self.sum(|worker| &worker.consumed),
            held: self.state.workers.iter().map(|worker| worker.counters.held.get()).sum(),
            counts: self.counts(),
        }
    }

    fn sum(&self, counter: fn(&WorkerCounters) -> &Counter) -> u64 {
        self.state.workers.iter().map(|worker| counter(&worker.counters).get()).sum()
    }

    fn uplink(&self, traffic: PortView) -> UplinkView {
        let uplink = self.control.desired.underlay.uplink.as_ref();
        UplinkView {
            name: self.control.config.node.uplink.value.clone(),
            mac: uplink.map(|uplink| uplink.mac),
            mtu: uplink.map(|uplink| uplink.mtu),
            vlan: uplink.and_then(|uplink| uplink.vlan),
            link: State::from(&self.snapshot.fabric.link),
            attach: self.attach(),
            queues: self.queues(),
            traffic,
        }
    }

    fn attach(&self) -> Attach {
        let attached = &self.control.attached;
        match attached.mode {
            XdpMode::Native => Attach::Native,
            XdpMode::Generic => {
                let chosen = || "The configuration asks for it (engine.attach).".to_owned();
                Attach::Generic { reason: attached.fallback_reason.clone().unwrap_or_else(chosen) }
            }
        }
    }

    fn queues(&self) -> Vec<QueueView> {
        let mut queues = Vec::new();
        for (worker, state) in (0..).zip(&self.state.workers) {
            let sockets = state.gauges.read().sockets;
            queues.extend(sockets.iter().filter(|socket| socket.side == Side::Uplink).map(|socket| {
                let copy = match socket.mode {
                    af_xdp::Mode::ZeroCopy => CopyMode::ZeroCopy,
                    af_xdp::Mode::Copy => CopyMode::Copy,
                };
                QueueView { queue: socket.queue, worker, copy }
            }));
        }
        queues.sort_by_key(|queue| queue.queue);
        queues
    }

    fn counts(&self) -> Counts {
        let snapshot = &self.snapshot;
        Counts {
            vrfs: snapshot.vrfs().count() as u64,
            vifs: snapshot.vifs().count() as u64,
            vifs_down: snapshot.vifs().filter(|vif| !vif.is_up()).count() as u64,
            routes: snapshot.vrfs().map(|vrf| vrf.routes().count() as u64).sum(),
            next_hops: Hops::of(snapshot).len() as u64,
            labels: snapshot.labels().count() as u64,
            services: self.control.desired.services.len() as u64,
            tunnels: self.snapshot.tunnels().count() as u64,
            workers: self.state.workers.len() as u64,
            flows: self.state.flows.len() as u64,
            flow_capacity: self.state.flows.capacity() as u64,
        }
    }

    pub(super) fn tunnels(&self) -> Vec<TunnelView> {
        let hops = Hops::of(&self.snapshot);
        let view = |tunnel: &Tunnel| TunnelView {
            peer: tunnel.address,
            reach: tunnel.reach.into(),
            inner_mtu: tunnel.inner_mtu as u64,
            next_hops: hops.through(&self.snapshot, tunnel.address),
        };
        let mut tunnels: Vec<_> = self.snapshot.tunnels().map(view).collect();
        tunnels.sort_by_key(|tunnel| tunnel.peer);
        tunnels
    }
}
