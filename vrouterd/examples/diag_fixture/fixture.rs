//! A node with one of everything: two workers, hostile names, things that are down.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dataplane::counters::{PortTotals, TrafficTotals};
use dataplane::desired::{BackendState, Mapping, OnBackendGone, PortRange};
use dataplane::drop::DropReason;
use dataplane::ids::{Mac, VifName, VifSlot, VrfName};
use dataplane::policy::FlowCourse;
use dataplane::trace::{Origin, Probe, ProbeError, TraceStep};
use vrouterd::config::Awaited;
use vrouterd::timing::Timings;
use vrouterd::view::*;

/// A vif name that would run code if a page did not escape it.
pub(crate) const SCRIPT: &str = "<script>alert(1)</script>";
/// A vif name with every character that means something in a URL, in HTML or in a metric label.
pub(crate) const AWKWARD: &str = "a/b?c#d e&f=\"g\"'h'%41+\\é";

/// The fixture.
pub(crate) struct Fixture {
    /// What the probes and the banner say.
    pub(crate) ready: State,
    /// How long it takes to read the workers.
    pub(crate) pause: Duration,
}

impl Default for Fixture {
    fn default() -> Self {
        Self { ready: State::Up, pause: Duration::ZERO }
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn down(reason: &str) -> State {
    State::Down { reason: reason.to_owned() }
}

fn end(address: &str, port: u16) -> Endpoint {
    Endpoint { address: ip(address), port }
}

fn broadcast() -> BroadcastView {
    let node = |node: &str, label, state| BroadcastNodeView { node: ip(node), label, state };
    BroadcastView {
        label: Some(101),
        addresses: vec![ip("10.0.255.255")],
        vifs: vec!["client".into(), "web-1".into()],
        nodes: vec![
            node("172.30.0.2", 102, State::Up),
            node("172.30.0.3", 103, down("The tunnel endpoint 172.30.0.3 does not answer.")),
        ],
    }
}

fn tunnel(node: &str, label: u32) -> HopView {
    HopView::Tunnel { node: ip(node), label }
}

fn to_vif(name: &str) -> HopView {
    HopView::Vif { vif: name.into() }
}

fn traffic(packets: u64, bytes: u64) -> TrafficTotals {
    TrafficTotals { packets, bytes }
}

fn port(rx: TrafficTotals, tx: TrafficTotals, drops: &[(DropReason, u64)]) -> PortView {
    let mut totals = PortTotals { rx, tx, ..PortTotals::default() };
    for (reason, count) in drops {
        totals.drops[reason.index()] = *count;
    }
    PortView::from(&totals)
}

/// Client 10.0.1.2:40000 to 10.9.9.9:80, TCP SYN, as the pod sends it.
const SYN: [u8; 54] = [
    0x00, 0x00, 0x5e, 0x00, 0x01, 0x00, 0x02, 0x00, 0x00, 0x00, 0x0a, 0x01, 0x08, 0x00, 0x45, 0x00, 0x00,
    0x28, 0x1c, 0x46, 0x40, 0x00, 0x40, 0x06, 0x00, 0x00, 0x0a, 0x00, 0x01, 0x02, 0x0a, 0x09, 0x09, 0x09,
    0x9c, 0x40, 0x00, 0x50, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x50, 0x02, 0xfa, 0xf0, 0x00,
    0x00, 0x00, 0x00,
];

fn vif(slot: u16, name: &str, vrf: &str, address: &str, state: State) -> VifView {
    let six = format!("fd00:{slot}::2");
    VifView {
        name: name.into(),
        ifname: format!("veth{slot}a"),
        slot: if state.is_up() { VifSlot::new(slot) } else { None },
        vrf: vrf.into(),
        addresses: vec![ip(address), ip(&six)],
        floating_ips: vec![],
        mac: Mac([2, 0, 0, 0, 10, slot.to_be_bytes()[1]]),
        label: 16 + u32::from(slot),
        mtu: 1468,
        state,
        traffic: port(TrafficTotals::default(), TrafficTotals::default(), &[]),
        last_drops: vec![],
        services: vec![],
        policies: vec![],
        flows: 0,
    }
}

fn client() -> VifView {
    let seen = |age, reason, length| DroppedPacket::new(Duration::from_millis(age), reason, length, &SYN);
    VifView {
        traffic: port(
            traffic(1_284_311, 98_765_432),
            traffic(2_511_907, 3_456_789_012),
            &[(DropReason::NoRoute, 12), (DropReason::SpoofedSource, 3)],
        ),
        last_drops: vec![
            seen(420, DropReason::NoRoute, 54),
            seen(61_000, DropReason::NoRoute, 54),
            seen(7_300_000, DropReason::SpoofedSource, 1514),
        ],
        flows: 2,
        ..vif(1, "client", "blue", "10.0.1.2", State::Up)
    }
}

fn web() -> VifView {
    VifView {
        traffic: port(traffic(900_100, 2_000_000_000), traffic(450_000, 40_000_000), &[]),
        policies: vec![VifPolicy { name: "web".into(), ingress: Some(2), egress: None }],
        floating_ips: vec![VifFloatingIp { address: ip("192.0.2.10"), vrf: "red".into() }],
        services: vec![VifService { address: ip("10.96.0.10"), ports: service_ports() }],
        flows: 1,
        ..vif(2, "web-1", "blue", "10.0.1.3", State::Up)
    }
}

fn source_nat() -> SourceNatView {
    let (ports, mapping) = (PortRange::UNPRIVILEGED, Mapping::AddressAndPortDependent);
    SourceNatView { addresses: vec![ip("192.0.2.1")], ports, mapping }
}

fn service_ports() -> Vec<ServicePortView> {
    let port = |protocol, port, target| ServicePortView {
        protocol: Protocol(protocol),
        port: PortRange::single(port),
        target_port: PortRange::single(target),
    };
    vec![port(6, 80, 8080), port(17, 53, 53)]
}

fn flows() -> Vec<FlowView> {
    let side = |vif: Option<&str>, source, destination, to, count: u64| FlowSide {
        vif: vif.map(VifName::from),
        source,
        destination,
        to,
        traffic: traffic(count, count * 700),
    };
    let (client, service, pod) = (end("10.0.1.2", 40_000), end("10.96.0.10", 80), end("10.0.1.3", 8080));
    let six = (end("fd00:1::2", 33_000), end("fd00:9::1", 443));
    vec![
        FlowView {
            vrf: "blue".into(),
            protocol: Protocol(6),
            forward: side(Some("client"), client, service, to_vif("web-1"), 1200),
            reverse: side(Some("web-1"), pod, client, to_vif("client"), 2400),
            state: "established",
            age_seconds: 754,
            idle_seconds: 0,
            translations: vec![Translation { field: TranslatedField::Destination, from: service, to: pod }],
            allowed_by: vec![RuleView {
                policy: "web".into(),
                course: FlowCourse::Ingress,
                number: 0,
                name: Some("http".to_owned()),
                allows: "tcp 8080 with 10.0.0.0/8".to_owned(),
            }],
            drop_reason: None,
        },
        FlowView {
            vrf: "blue".into(),
            protocol: Protocol(17),
            forward: side(Some("client"), six.0, six.1, tunnel("172.30.0.2", 33), 7),
            reverse: side(None, six.1, six.0, to_vif("client"), 6),
            state: "replied",
            age_seconds: 31,
            idle_seconds: 12,
            translations: vec![],
            allowed_by: vec![],
            drop_reason: None,
        },
    ]
}

impl ViewSource for Fixture {
    fn node(&self) -> NodeView {
        let drops = [(DropReason::NoRoute, 12), (DropReason::SpoofedSource, 3)];
        let queue = |queue, copy| QueueView { queue, worker: queue, copy };
        NodeView {
            name: "node-a".to_owned(),
            version: "0.1.0".to_owned(),
            uptime_seconds: 268_411,
            tunnel_address: ip("172.30.0.1"),
            generation: 42,
            uplink: UplinkView {
                name: "eth0".to_owned(),
                mac: Some(Mac([2, 0x42, 0xac, 0x1e, 0, 1])),
                mtu: Some(1500),
                vlan: None,
                link: State::Up,
                attach: Attach::Generic { reason: "The driver `tun` has no native XDP.".to_owned() },
                queues: vec![queue(0, CopyMode::ZeroCopy), queue(1, CopyMode::Copy)],
                traffic: port(traffic(2_000_000, 3_000_000_000), traffic(1_222_486, 90_000_000), &[]),
            },
            trunk: port(traffic(2_184_411, 2_098_765_432), traffic(2_961_907, 3_496_789_012), &drops),
            generated: 5,
            consumed: 8,
            held: 0,
            counts: Counts {
                vrfs: 2,
                vifs: 5,
                vifs_down: 1,
                routes: 5,
                next_hops: 7,
                labels: 6,
                services: 2,
                tunnels: 2,
                workers: 2,
                flows: 2,
                flow_capacity: 1_048_576,
            },
        }
    }

    fn vifs(&self) -> Vec<VifView> {
        let waiting = "The interface veth3a does not exist yet; it is taken in as soon as it appears.";
        vec![
            client(),
            web(),
            vif(3, "web-2", "blue", "10.0.1.4", down(waiting)),
            vif(4, SCRIPT, "red", "10.0.1.2", State::Up),
            vif(5, AWKWARD, "red", "10.0.1.5", State::Up),
        ]
    }

    fn vif(&self, name: &VifName) -> Option<VifView> {
        self.vifs().into_iter().find(|vif| vif.name == *name)
    }

    fn rates(&self, name: &VifName) -> RatesView {
        let sample = |step: u32| RateSample {
            rx_packets: f64::from(1000 + 37 * (step % 17)),
            tx_packets: f64::from(1500 + 11 * (step % 29)),
            rx_bits: f64::from(8000 * (step % 17)),
            tx_bits: 12e6,
            drops: f64::from(step / 100),
        };
        match name.as_str() {
            "client" => RatesView { seconds_between: 5, samples: (0..120).map(sample).collect() },
            _ => RatesView::default(),
        }
    }

    fn vrfs(&self) -> Vec<VrfView> {
        let all = self.vifs();
        let vifs = |vrf: &str| {
            all.iter().filter(|vif| vif.vrf.as_str() == vrf).map(|vif| vif.name.clone()).collect()
        };
        vec![
            VrfView {
                name: "blue".into(),
                vifs: vifs("blue"),
                routes: 4,
                services: 2,
                source_nat: None,
                broadcast: Some(broadcast()),
            },
            VrfView {
                name: "red".into(),
                vifs: vifs("red"),
                routes: 1,
                services: 0,
                source_nat: Some(source_nat()),
                broadcast: None,
            },
        ]
    }

    fn routes(&self, vrf: Option<&VrfName>) -> Vec<RouteView> {
        let hop = |next_hop, weight, to| RouteHop { next_hop, weight, to };
        let route = |vrf: &str, prefix: &str, origin, next_hops| RouteView {
            vrf: vrf.into(),
            prefix: prefix.parse().unwrap(),
            origin,
            next_hops,
        };
        let members = vec![hop(1, 1, to_vif("web-1")), hop(6, 3, tunnel("172.30.0.2", 34))];
        let mut routes = vec![
            route("blue", "10.0.1.2/32", RouteOrigin::Vif, vec![hop(0, 1, to_vif("client"))]),
            route("blue", "10.0.2.2/32", RouteOrigin::Declared, vec![hop(2, 1, tunnel("172.30.0.2", 33))]),
            route("blue", "10.96.0.10/32", RouteOrigin::Service, members),
            route(
                "blue",
                "fd00:2::/64",
                RouteOrigin::Declared,
                vec![hop(3, 1, HopView::Vrf { vrf: "red".into() })],
            ),
            route("red", "0.0.0.0/0", RouteOrigin::Declared, vec![hop(4, 1, HopView::Discard)]),
        ];
        routes.retain(|route| vrf.is_none_or(|vrf| route.vrf == *vrf));
        routes
    }

    fn next_hops(&self) -> Vec<NextHopView> {
        let failed = "The tunnel endpoint 172.30.0.3 does not answer.";
        let hop = |id, to, state, routes| NextHopView { id, to, state, routes };
        vec![
            hop(0, to_vif("client"), State::Up, 1),
            hop(1, to_vif("web-1"), State::Up, 1),
            hop(2, tunnel("172.30.0.2", 33), State::Up, 1),
            hop(3, HopView::Vrf { vrf: "red".into() }, State::Up, 1),
            hop(4, HopView::Discard, State::Up, 1),
            hop(5, tunnel("172.30.0.3", 51), down(failed), 0),
            hop(6, tunnel("172.30.0.2", 34), State::Up, 1),
        ]
    }

    fn labels(&self) -> Vec<LabelView> {
        let of_vif = |vif: VifView| LabelView {
            label: vif.label,
            target: LabelTarget::Vif { vif: vif.name, vrf: vif.vrf },
        };
        let red = LabelView { label: 100, target: LabelTarget::Vrf { vrf: "red".into() } };
        let all = LabelView { label: 101, target: LabelTarget::Broadcast { vrf: "blue".into() } };
        self.vifs().into_iter().map(of_vif).chain([red, all]).collect()
    }

    fn services(&self) -> Vec<ServiceView> {
        let backend = |to, readiness, state| BackendView { to, weight: 1, readiness, state };
        let (ready, terminating) = (BackendState::Ready, BackendState::Terminating);
        vec![
            ServiceView {
                vrf: "blue".into(),
                address: ip("10.96.0.10"),
                ports: service_ports(),
                backends: vec![
                    backend(to_vif("web-1"), ready, State::Up),
                    backend(to_vif("web-2"), ready, down("The vif is down.")),
                    backend(tunnel("172.30.0.2", 34), terminating, State::Up),
                ],
                affinity_seconds: Some(10_800),
                on_backend_gone: OnBackendGone::Reset,
            },
            ServiceView {
                vrf: "blue".into(),
                address: ip("fd00:96::10"),
                ports: service_ports(),
                backends: vec![],
                affinity_seconds: None,
                on_backend_gone: OnBackendGone::Rechoose,
            },
        ]
    }

    fn flows(&self, filter: &FlowFilter) -> FlowsView {
        let all = flows();
        let total = all.len() as u64;
        let mut matching: Vec<_> = all.into_iter().filter(|flow| filter.matches(flow)).collect();
        let truncated = matching.len() > filter.limit;
        matching.truncate(filter.limit);
        FlowsView { flows: matching, truncated, total, capacity: 1_048_576 }
    }

    fn policies(&self) -> Vec<PolicyView> {
        let rule = |name: Option<&str>, allows: &str| PolicyRuleView {
            name: name.map(str::to_owned),
            allows: allows.to_owned(),
        };
        let locked =
            PolicyView { name: "locked".into(), ingress: Some(vec![]), egress: Some(vec![]), vifs: vec![] };
        let rules =
            vec![rule(Some("http"), "tcp 8080 from 10.0.0.0/8, fd00::/8"), rule(None, "icmp from anyone")];
        let web =
            PolicyView { name: "web".into(), ingress: Some(rules), egress: None, vifs: vec!["web-1".into()] };
        vec![locked, web]
    }

    fn flow_table(&self) -> FlowTableView {
        FlowTableView {
            now: 2,
            capacity: 1 << 20,
            created: 2400,
            expired: 2300,
            evicted: 90,
            purged: 8,
            refused_full: 5,
            refused_vif: 3,
            refused_bucket: 0,
        }
    }

    fn traffic(&self) -> TrafficView {
        let totals =
            PairTotals { flows: 40, forward: traffic(1200, 120_000), reverse: traffic(2400, 3_400_000_000) };
        let pair = |from: &str, to: &str, service: Option<&str>, origin| PairTrafficView {
            from: from.into(),
            to: to.into(),
            service: service.map(ip),
            origin,
            totals,
        };
        TrafficView {
            pairs: vec![
                pair("blue", "blue", Some("10.96.0.10"), FlowOrigin::Pod),
                pair("blue", "red", None, FlowOrigin::Pod),
                pair("blue", "blue", Some("10.96.0.10"), FlowOrigin::Fabric),
            ],
            other: PairTotals { flows: 2, ..totals },
        }
    }

    fn export(&self) -> Option<ExportView> {
        let empty = ExportView::new(([192, 0, 2, 9], 4739).into());
        Some(ExportView { records: 4800, messages: 260, failed_messages: 1, ..empty })
    }

    fn timings(&self) -> Arc<Timings> {
        let timings = Timings::default();
        timings.compile.note(Duration::from_micros(2300));
        timings.publish.note(Duration::from_micros(7));
        timings.control_lag.note(Duration::from_micros(1400));
        Arc::new(timings)
    }

    fn drops(&self) -> Vec<DropView> {
        let ports = |reason: DropReason| match reason {
            DropReason::NoRoute => {
                vec![PortDrops { port: PortName::Vif { vif: "client".into() }, count: 12 }]
            }
            DropReason::SpoofedSource => {
                vec![PortDrops { port: PortName::Vif { vif: "client".into() }, count: 3 }]
            }
            _ => vec![],
        };
        DropReason::ALL.iter().map(|reason| DropView::new(*reason, ports(*reason))).collect()
    }

    fn workers(&self) -> Vec<WorkerView> {
        std::thread::sleep(self.pause);
        let ring = |interface: &str, queue, rx_ring_full| RingView {
            interface: interface.to_owned(),
            queue,
            frames: RingFrames { fill: 2048, rx: 3, tx: 12, completion: 8 },
            rx_dropped: 0,
            rx_ring_full,
            fill_ring_empty: 4,
            tx_ring_empty: 90_412,
            rx_invalid_descriptors: 0,
            tx_invalid_descriptors: 0,
        };
        let worker = |worker: u32, cpu, busy_share| WorkerView {
            worker,
            cpu,
            batches: 412_007,
            sleeps: 9_120,
            busy_seconds: 1204.5,
            busy_share,
            flow_hits: 4_100_000,
            flow_misses: 1_204,
            flow_revalidations: 31,
            umem: UmemView { total: 8192, free: 3000, fill: 4096, rx: 64, tx: 1000, completion: 32 },
            rings: vec![ring("trunk1", worker, 0), ring("eth0", worker, u64::from(worker) * 17)],
        };
        vec![worker(0, Some(0), 0.374), worker(1, None, 0.952)]
    }

    fn tunnels(&self) -> Vec<TunnelView> {
        let via = ReachView::Via { mac: Mac([2, 0x42, 0xac, 0x1e, 0, 2]) };
        vec![
            TunnelView { peer: ip("172.30.0.2"), reach: via, inner_mtu: 1468, next_hops: 2 },
            TunnelView { peer: ip("172.30.0.3"), reach: ReachView::Failed, inner_mtu: 1368, next_hops: 1 },
        ]
    }

    fn programs(&self) -> Vec<ProgramView> {
        vec![
            ProgramView { program: "fabric", outcome: "redirected", packets: 2_000_000 },
            ProgramView { program: "trunk", outcome: "port_tagged", packets: 3 },
        ]
    }

    fn trace(&self, probe: &Probe) -> Result<TraceView, ProbeError> {
        let step = TraceStep::NoRoute { vrf: "blue".into() };
        match &probe.origin {
            Origin::Vif(name) if name.as_str() == "client" => Ok(TraceView {
                generation: 42,
                outcome: Outcome { verdict: "dropped", to: None, reason: Some(DropReason::NoRoute.name()) },
                steps: vec![TraceStepView::new(step)],
            }),
            Origin::Vif(name) => Err(ProbeError::NoVif(name.clone())),
            Origin::Node { tunnel, .. } => Err(ProbeError::NoTunnel(*tunnel)),
        }
    }

    fn refused_configuration(&self) -> Option<String> {
        None
    }

    fn awaited_vifs(&self) -> Vec<Awaited> {
        vec![Awaited { vif: "web-9".into(), by: "services/web".to_owned(), others: 1 }]
    }

    fn set_aside_state(&self) -> Option<String> {
        None
    }

    fn outer_fragments(&self) -> u64 {
        0
    }

    fn health(&self) -> Health {
        Health { live: State::Up, ready: self.ready.clone() }
    }
}
