//! From a configuration to a running engine, in the order in which each part needs the other.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::time::Instant;

use ahash::RandomState;
use dataplane::affinity::{self, AffinityTable};
use dataplane::compile::Compiler;
use dataplane::fragment::FragmentTable;
use dataplane::ids::VifName;
use dataplane::publish::Publisher;
use dataplane::snapshot::Snapshot;
use dataplane::tap::Taps;
use dataplane::trace::Tracer;
use dataplane::worker::Idle;
use flow_table::{FlowTable, Millis};
use ipnet::IpNet;
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;
use xdp_prog::{FabricConfig, IfIndex, PortKind, VlanId, XdpPreference};

use super::control::{Control, Parts};
use super::declare::declared_problems;
use super::error::DaemonError;
use super::facts::host_facts;
use super::ports::{self, Plug, Ports};
use super::prepare::{Loaded, Prepared, seeds};
use super::sources::{OperatorFile, Restored, Sources};
use crate::api::{Command, Exchange};
use crate::config::{Attach, Config, HugePages, MOST_VIF_MTU, Problems, Wait, ZeroCopy, check_against};
use crate::declared::Store;
use crate::engine::{Engine, EnginePlan, Shared, UplinkQueues};
use crate::journal::{self, BootId, JournalFile, Keeper, Source, SpreadSeeds};
use crate::kernel::devices::{
    Devices, HostRoute, RxQueues, Signature, TrunkPlan, VethPair, VhostPlan, link_local,
};
use crate::kernel::lock::NamespaceLock;
use crate::kernel::path_mtu::PathMtuWatch;
use crate::kernel::resolver::Resolver;
use crate::kernel::underlay::UnderlayQuery;
use crate::kernel::uplink::{UplinkDevices, find_uplink};
use crate::kernel::watch::{Watch, WatchOptions};
use crate::kernel::{KernelFacts, Netlink};
use crate::state::{ControlState, NodeState, Sights, WorkerState};

/// Fragmented datagrams under way that are remembered at once.
const FRAGMENTED_DATAGRAMS: usize = 4096;
/// Node's side of the host's interface.
const HOST_NODE_END: &str = "vr-vhost1";

/// Brings everything up. On an error what was made is taken back.
pub(super) async fn start(
    file: OperatorFile,
    config: Config,
    prepared: Prepared,
    lock: NamespaceLock,
) -> Result<(Control, Receiver<Command>), DaemonError> {
    let Prepared { netlink, devices, loaded } = prepared;
    let wanted = signatures(&config, &netlink.facts().await?);
    for name in devices.remove_leftovers(&lock, &wanted).await? {
        tracing::warn!(interface = name, "removed: an earlier daemon had left it");
    }
    let watch = Watch::start(netlink.clone(), WatchOptions::default()).await?;
    let facts = Arc::clone(&watch.facts().borrow());
    let host = host_facts(&facts, &netlink.gateways().await?);
    let problems = check_against(&config, &host);
    if !problems.is_empty() {
        return Err(Problems(problems).into());
    }
    let document = Store::in_directory(&config.node.state_dir).path();
    let restored = Sources::restore(file, config, |both| declared_problems(both, &host, &document))?;
    let config = &restored.config;
    let found = find_uplink(&facts, &config.node.uplink.value, config.node.tunnel_address.value);
    let uplink = found.map_err(|fault| DaemonError::KernelFeature(fault.to_string()))?;

    let made = devices.create_trunk(&trunk_plan(config)).await?;
    let started = after_trunk(restored, loaded, &made, uplink, &facts, &devices, netlink, &watch).await;
    match started {
        Ok((parts, commands)) => Ok((Control::new(parts, devices, watch, lock), commands)),
        Err(error) => {
            for name in [made.near.name.as_str(), HOST_NODE_END] {
                drop(devices.remove(name).await);
            }
            Err(error)
        }
    }
}

/// What the devices carry that this start would make, as far as that can be told yet.
fn signatures(config: &Config, facts: &KernelFacts) -> Vec<Signature> {
    let found = find_uplink(facts, &config.node.uplink.value, config.node.tunnel_address.value);
    let vhost = found.ok().and_then(|uplink| vhost_plan(config, &config.desired(uplink_mtu(facts, uplink))));
    let trunk = trunk_plan(config).signature();
    vhost.map(|plan| plan.signature()).into_iter().chain([trunk]).collect()
}

fn trunk_plan(config: &Config) -> TrunkPlan {
    TrunkPlan::new(u32::from(MOST_VIF_MTU), u32::from(config.engine.workers.value))
}

#[expect(clippy::too_many_arguments, reason = "one step of a sequence, split off to undo the one before it")]
async fn after_trunk(
    restored: Restored,
    loaded: Loaded,
    trunk_pair: &VethPair,
    uplink: UplinkDevices,
    facts: &KernelFacts,
    devices: &Devices,
    netlink: Netlink,
    watch: &Watch,
) -> Result<(Parts, Receiver<Command>), DaemonError> {
    let Restored { sources, config, set_aside } = restored;
    let mut desired = config.desired(uplink_mtu(facts, uplink));
    ports::foresee(&mut desired, &plugs(&config), facts);
    let vhost = vhost_plan(&config, &desired);
    if let Some(plan) = &vhost {
        devices.create_vhost(plan).await?;
    }
    let mut compiler = Compiler::default();
    let publisher = Publisher::new(compiler.compile(&desired)?);
    let Loaded { mut trunk, mut fabric, flows } = loaded;
    let epoch = journal::zero();
    let journal_file = JournalFile::in_directory(&config.node.state_dir);
    let workers = usize::from(config.engine.workers.value);
    let (shared, spread) = inherit(&journal_file, flows, &publisher.current(), epoch, workers);

    let (near, far) = (index_of(trunk_pair.near.index.0)?, index_of(trunk_pair.far.index.0)?);
    let queues = NonZeroU32::new(u32::from(config.engine.workers.value)).unwrap_or(NonZeroU32::MIN);
    let physical = facts.links.get(&uplink.physical).map(|link| link.name.clone()).unwrap_or_default();
    if uplink.vlan.is_some() && devices.keep_vlan_tags(&physical)? {
        tracing::info!(
            interface = physical,
            "rxvlan switched off: the tunnel's VLAN tag must stay in the frames"
        );
    }
    let plan = engine_plan(&config, far.get(), uplink, devices.rx_queues(&physical).await?);
    let attached = fabric.attach(index_of(uplink.physical.0)?, xdp_preference(config.engine.attach))?;
    if let Some(reason) = &attached.fallback_reason {
        tracing::warn!(
            interface = physical,
            reason,
            "the driver has no native XDP for us; generic mode is slower"
        );
    }
    trunk.attach_trunk1(far, XdpPreference::PreferNative)?;
    let engine = Engine::start(&plan, &publisher, &shared, &mut fabric, &mut trunk)?;
    let in_use = NonZeroU32::new(engine.workers().len() as u32).unwrap_or(queues);
    trunk.attach_trunk0(near, in_use)?;
    let source = Source { flows: Arc::clone(&shared.flows), snapshots: publisher.shared(), spread, epoch };
    let journal = Keeper::start(journal_file, source).map_err(DaemonError::Runtime)?;

    let config = Arc::new(config);
    let (query, asked) = watch::channel(underlay_query(&config, &publisher.current()));
    let path_mtus = PathMtuWatch::start(asked.clone(), config.node.udp_port)
        .map_err(|error| DaemonError::KernelFeature(format!("a raw ICMP socket: {error}")))?;
    let resolver = Resolver::start(netlink.clone(), watch.facts(), asked);
    let workers = engine.workers().iter().map(|worker| WorkerState {
        cpu: worker.cpu,
        counters: Arc::clone(&worker.counters),
        gauges: Arc::clone(&worker.gauges),
        drops: Arc::clone(&worker.drops),
    });
    let control = ControlState {
        config: Arc::clone(&config),
        desired: Arc::new(desired.clone()),
        attached,
        reload_error: None,
        set_aside,
    };
    let (exchange, commands) = Exchange::new(sources.documents.clone());
    let flows = Arc::clone(&shared.flows);
    let tracer = Tracer { flows, spread: shared.spread.clone(), affinity: Arc::clone(&shared.affinity) };
    let sights = Sights { tracer, taps: Arc::clone(&shared.taps) };
    let state = Arc::new(NodeState::new(epoch, publisher.shared(), sights, workers.collect(), control));
    let mut ports = Ports::default();
    ports.set_plugs(plugs(&config), &mut trunk);
    let parts = Parts {
        sources,
        exchange,
        config,
        desired,
        compiler,
        publisher,
        engine,
        journal,
        ports,
        trunk,
        fabric,
        trunk_name: trunk_pair.near.name.clone(),
        trunk_index: trunk_pair.near.index,
        vhost,
        netlink,
        query,
        resolver,
        path_mtus,
        state,
        uplink,
    };
    Ok((parts, commands))
}

/// What the workers share, with the flows of an earlier daemon if it has left any.
fn inherit(
    file: &JournalFile,
    flows: Arc<FlowTable>,
    snapshot: &Snapshot,
    epoch: Instant,
    workers: usize,
) -> (Shared, SpreadSeeds) {
    let now = Millis(epoch.elapsed().as_millis() as u64);
    let capacity = u32::try_from(flows.capacity()).unwrap_or(u32::MAX);
    let earlier = journal::take_up(file, BootId::current(), now, capacity);
    // With the same seeds most flows that the journal does not know find their member again as well.
    let spread = earlier.as_ref().map_or_else(seeds, |journal| journal.spread);
    let [a, b, c, d] = spread;
    let affinity = Arc::new(AffinityTable::new(affinity::CLIENTS, RandomState::new()));
    if let Some(earlier) = earlier {
        journal::adopt(&earlier, snapshot, &flows, &affinity, now);
    }
    let shared = Shared {
        flows,
        fragments: Arc::new(FragmentTable::new(FRAGMENTED_DATAGRAMS, RandomState::new())),
        spread: RandomState::with_seeds(a, b, c, d),
        affinity,
        limiter: Arc::default(),
        taps: Arc::new(Taps::new(workers)),
        epoch,
    };
    (shared, spread)
}

/// What the kernel is asked about the way to the other nodes.
pub(super) fn underlay_query(config: &Config, snapshot: &Snapshot) -> UnderlayQuery {
    UnderlayQuery {
        uplink: config.node.uplink.value.clone(),
        tunnel_address: config.node.tunnel_address.value,
        endpoints: snapshot.tunnels().map(|tunnel| tunnel.address).collect(),
    }
}

/// The vifs and where they are plugged in.
pub(super) fn plugs(config: &Config) -> BTreeMap<VifName, Plug> {
    let host = config
        .host
        .iter()
        .map(|host| (host.vif_name(), Plug { ifname: HOST_NODE_END.to_owned(), kind: PortKind::Host }));
    let pods = config
        .vifs
        .iter()
        .map(|vif| (vif.name.clone(), Plug { ifname: vif.ifname.value.clone(), kind: PortKind::Pod }));
    host.chain(pods).collect()
}

/// How the host's interface shall be, if there shall be one.
pub(super) fn vhost_plan(config: &Config, desired: &dataplane::desired::Desired) -> Option<VhostPlan> {
    let host = config.host.as_ref()?;
    let mtu = desired.vifs.iter().find(|vif| vif.name == host.vif_name()).map_or(1400, |vif| vif.mtu);
    let mut addresses: Vec<IpNet> = host.addresses.iter().map(|address| address.value.into()).collect();
    if addresses.iter().any(|address| address.addr().is_ipv6()) {
        // With none the kernel asks for no neighbour on behalf of what it forwards.
        addresses.push(IpAddr::V6(link_local(host.mac)).into());
    }
    Some(VhostPlan {
        host_end: host.ifname.clone(),
        node_end: HOST_NODE_END.to_owned(),
        mac: host.mac,
        mtu: u32::from(mtu),
        addresses,
        routes: host.routes.iter().map(|route| HostRoute { prefix: route.value, gateway: None }).collect(),
    })
}

/// What the uplink's program takes.
pub(super) fn fabric_config(config: &Config, vlan: Option<u16>) -> FabricConfig {
    let node = &config.node;
    FabricConfig {
        port: NonZeroU16::new(node.udp_port).unwrap_or(NonZeroU16::MAX),
        legacy_port: node.legacy_udp_port.and_then(NonZeroU16::new),
        vlan: vlan.and_then(VlanId::new),
        ..FabricConfig::new(node.tunnel_address.value)
    }
}

/// MTU of the uplink as the tunnel sees it.
pub(super) fn uplink_mtu(facts: &KernelFacts, uplink: UplinkDevices) -> u16 {
    let mtus =
        [uplink.physical, uplink.layer3].map(|index| facts.links.get(&index).map_or(0, |link| link.mtu));
    u16::try_from(mtus.into_iter().min().unwrap_or(0)).unwrap_or(u16::MAX)
}

fn index_of(index: u32) -> Result<IfIndex, DaemonError> {
    IfIndex::new(index).ok_or(DaemonError::KernelGone)
}

fn engine_plan(config: &Config, trunk: u32, uplink: UplinkDevices, queues: RxQueues) -> EnginePlan {
    let engine = &config.engine;
    EnginePlan {
        workers: usize::from(engine.workers.value),
        cpus: engine.cpus.iter().map(|cpu| cpu.value).collect(),
        frames: engine.frames,
        batch: usize::from(engine.batch),
        idle: match engine.wait {
            Wait::Adaptive => Idle::Sleep,
            Wait::Busy => Idle::Spin,
        },
        zero_copy: match engine.zero_copy {
            ZeroCopy::Prefer => af_xdp::ZeroCopy::Prefer,
            ZeroCopy::Off => af_xdp::ZeroCopy::CopyOnly,
        },
        pages: match engine.huge_pages {
            HugePages::Prefer => af_xdp::Pages::Huge,
            HugePages::Off => af_xdp::Pages::Base,
        },
        trunk,
        uplink: uplink.physical.0,
        uplink_queues: match queues {
            RxQueues::Exactly(count) => UplinkQueues::Exactly(count),
            RxQueues::AtMost(count) => UplinkQueues::AtMost(count),
        },
    }
}

fn xdp_preference(attach: Attach) -> XdpPreference {
    match attach {
        Attach::Auto => XdpPreference::PreferNative,
        Attach::Native => XdpPreference::NativeOnly,
        Attach::Generic => XdpPreference::GenericOnly,
    }
}
