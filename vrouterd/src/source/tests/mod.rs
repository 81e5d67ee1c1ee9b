//! Every view against literals: a node in memory, with a worker that is driven by hand.

mod counters;
mod tables;
mod traffic;

use std::sync::Arc;
use std::time::Instant;

use dataplane::affinity::AffinityTable;
use dataplane::compile::Compiler;
use dataplane::counters::WorkerCounters;
use dataplane::desired::{Desired, Link, Reach, Uplink};
use dataplane::droplog::DropLog;
use dataplane::fragment::FragmentTable;
use dataplane::ids::{Mac, VifName, VifSlot};
use dataplane::io::Side;
use dataplane::memory::MemoryIo;
use dataplane::publish::Publisher;
use dataplane::tap::Taps;
use dataplane::trace::Tracer;
use dataplane::worker::{Idle, Worker, WorkerParts};
use etherparse::PacketBuilder;
use flow_table::{FlowTable, Millis, TableConfig, Timeouts};
use xdp_prog::{XdpAttached, XdpMode};

use crate::config::{self, Config};
use crate::engine::GaugeBoard;
use crate::state::{ControlState, NodeState, Sights, WorkerState};

const FILE: &str = r#"
[node]
name = "node-a"
uplink = "eth0"
tunnel_address = "172.30.0.1"
[[vrf]]
name = "red"
[[vrf]]
name = "blue"
[[vif]]
name = "client"
ifname = "veth1a"
vrf = "blue"
addresses = ["10.0.1.2"]
mac = "02:00:00:00:0a:01"
label = 17
[[vif]]
name = "web-1"
ifname = "veth2a"
vrf = "blue"
addresses = ["10.0.1.3"]
mac = "02:00:00:00:0a:02"
label = 18
mtu = 1400
[[vif]]
name = "web-2"
ifname = "veth3a"
vrf = "blue"
addresses = ["10.0.1.4"]
mac = "02:00:00:00:0a:03"
label = 19
[[vif]]
name = "other"
ifname = "veth4a"
vrf = "red"
addresses = ["10.0.1.2"]
mac = "02:00:00:00:0a:04"
label = 20
[[route]]
vrf = "blue"
prefix = "10.0.2.0/24"
via = [{ tunnel = "172.30.0.2", label = 33 }]
[[route]]
vrf = "blue"
prefix = "10.0.3.0/24"
via = [{ tunnel = "172.30.0.2", label = 33, weight = 3 }, { vif = "web-1" }]
[[route]]
vrf = "blue"
prefix = "fd00::/8"
via_vrf = "red"
[[route]]
vrf = "red"
prefix = "0.0.0.0/0"
action = "discard"
[[broadcast]]
vrf = "blue"
label = 101
subnets = ["10.0.0.0/16"]
nodes = [{ tunnel = "172.30.0.3", label = 102 }]
[[service]]
vrf = "blue"
address = "10.96.0.12"
ports = [{ protocol = "udp", port = 53, target_port = 5353 }]
backends = [{ vif = "web-1" }]
[[service]]
vrf = "blue"
address = "10.96.0.10"
ports = [{ protocol = "tcp", port = 80, target_port = 8080 }]
backends = [{ vif = "web-1" }, { vif = "web-2", weight = 2 }, { tunnel = "172.30.0.3", label = 51 }]
"#;

const UPLINK_MAC: Mac = Mac([2, 0, 0, 0, 0xff, 1]);
const PEER_MAC: Mac = Mac([2, 0, 0, 0, 0xff, 2]);

/// A node in memory.
struct Node {
    compiler: Compiler,
    publisher: Publisher,
    worker: Worker<MemoryIo>,
    counters: Arc<WorkerCounters>,
    desired: Desired,
    state: NodeState,
}

impl Node {
    /// Everything up but vif `web-2` and the way to 172.30.0.3.
    fn new() -> Self {
        let config = config::parse("test.toml", FILE).unwrap();
        let mut desired = config.desired(1600);
        for vif in &mut desired.vifs {
            vif.link = Link::Up;
        }
        vif_mut(&mut desired, "web-2").link = Link::Down("waiting for interface veth3a".to_owned());
        desired.underlay.uplink = Some(Uplink { mac: UPLINK_MAC, mtu: 1600, vlan: Some(7), link: Link::Up });
        let reach = [("172.30.0.2", Reach::Via(PEER_MAC)), ("172.30.0.3", Reach::Failed)];
        desired.underlay.tunnels = reach.map(|(peer, reach)| (peer.parse().unwrap(), reach)).into();
        Self::with(config, desired)
    }

    fn with(config: Config, desired: Desired) -> Self {
        let mut compiler = Compiler::default();
        let publisher = Publisher::new(compiler.compile(&desired).unwrap());
        let (counters, drops) = (Arc::new(WorkerCounters::new()), Arc::new(DropLog::new(16)));
        let table = TableConfig {
            max_pairs: 100,
            max_per_owner: 100,
            max_owners: VifSlot::FLOW_OWNERS,
            timeouts: Timeouts::default(),
        };
        let flows = Arc::new(FlowTable::new(table, [1, 2, 3, 4]));
        let parts = WorkerParts {
            snapshots: publisher.subscribe(),
            flows: Arc::clone(&flows),
            fragments: Arc::new(FragmentTable::new(64, ahash::RandomState::with_seeds(1, 2, 3, 4))),
            spread: ahash::RandomState::with_seeds(5, 6, 7, 8),
            counters: Arc::clone(&counters),
            drops: Arc::clone(&drops),
            affinity: Arc::new(AffinityTable::new(64, ahash::RandomState::with_seeds(5, 6, 7, 8))),
            limiter: std::sync::Arc::default(),
            batch: 64,
            idle: Idle::Sleep,
        };
        let worker = Worker::new(MemoryIo::new(64, 64), parts);
        let gauges = Arc::new(GaugeBoard::default());
        let workers = vec![WorkerState { cpu: Some(1), counters: Arc::clone(&counters), gauges, drops }];
        let control = control(config, &desired);
        let tracer = Tracer {
            flows,
            spread: ahash::RandomState::with_seeds(5, 6, 7, 8),
            affinity: Arc::new(AffinityTable::new(64, ahash::RandomState::with_seeds(5, 6, 7, 8))),
        };
        let sights = Sights { tracer, taps: Arc::new(Taps::new(1)) };
        let state = NodeState::new(Instant::now(), publisher.shared(), sights, workers, control);
        Self { compiler, publisher, worker, counters, desired, state }
    }

    /// Changes the desired state as the control loop does.
    fn change(&mut self, change: impl FnOnce(&mut Desired)) {
        change(&mut self.desired);
        self.publisher.publish(self.compiler.compile(&self.desired).unwrap());
        self.state.note_slots(&self.publisher.current());
        let old = self.state.control.load_full();
        let new = ControlState { desired: Arc::new(self.desired.clone()), ..(*old).clone() };
        self.state.control.store(Arc::new(new));
    }

    fn slot(&self, name: &str) -> VifSlot {
        let name = VifName::from(name);
        self.publisher.current().vifs().find(|vif| vif.name == name).unwrap().slot
    }

    /// Lets a vif send a UDP packet from port 4000 and the worker forward it.
    fn send(&mut self, vif: &str, source: [u8; 4], to: ([u8; 4], u16)) {
        let slot = self.slot(vif);
        let mac = self.desired.vifs.iter().find(|known| known.name.as_str() == vif).unwrap().mac;
        let builder = PacketBuilder::ethernet2(mac.0, Mac::GATEWAY.0)
            .single_vlan(etherparse::VlanId::try_new(slot.get()).unwrap())
            .ipv4(source, to.0, 64)
            .udp(4000, to.1);
        let mut frame = Vec::new();
        builder.write(&mut frame, b"hello").unwrap();
        assert!(self.worker.io().inject(Side::Trunk, &frame));
        assert_eq!(self.worker.round(Millis(0)), 1);
        self.worker.io().discard_sent();
        self.state.drain_drops();
    }
}

fn control(config: Config, desired: &Desired) -> ControlState {
    ControlState {
        config: Arc::new(config),
        desired: Arc::new(desired.clone()),
        attached: XdpAttached { mode: XdpMode::Native, fallback_reason: None },
        reload_error: None,
        set_aside: None,
    }
}

fn vif_mut<'a>(desired: &'a mut Desired, name: &str) -> &'a mut dataplane::desired::Vif {
    desired.vifs.iter_mut().find(|vif| vif.name.as_str() == name).unwrap()
}
