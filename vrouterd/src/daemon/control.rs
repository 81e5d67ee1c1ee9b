//! The running node: what is in force, and how something else is put in force.
//!
//! What the loop calls stands beside it, by where the news comes from: `follow` for the kernel's, `reload` for the
//! file's, `declare` for the API's, `upkeep` for the clock's.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use dataplane::compile::{CompileError, Compiler};
use dataplane::desired::{Desired, Underlay};
use dataplane::publish::Publisher;
use dataplane::snapshot::Snapshot;
use tokio::sync::watch;
use xdp_prog::{Fabric, Trunk};

use super::ports::Ports;
use super::quarantine::Quarantine;
use super::sources::Sources;
use super::start::{plugs, underlay_query, uplink_mtu};
use crate::api::{Event, Exchange};
use crate::config::Config;
use crate::engine::Engine;
use crate::journal::Keeper;
use crate::kernel::devices::{Devices, VhostPlan};
use crate::kernel::lock::NamespaceLock;
use crate::kernel::path_mtu::{PathMtuWatch, PathMtus};
use crate::kernel::resolver::Resolver;
use crate::kernel::underlay::UnderlayQuery;
use crate::kernel::uplink::{UplinkDevices, find_uplink};
use crate::kernel::watch::Watch;
use crate::kernel::{IfIndex, KernelFacts, Netlink};
use crate::state::{ControlState, NodeState};

/// What the start hands over.
pub(super) struct Parts {
    pub(super) sources: Sources,
    pub(super) exchange: Arc<Exchange>,
    pub(super) config: Arc<Config>,
    pub(super) desired: Desired,
    pub(super) compiler: Compiler,
    pub(super) publisher: Publisher,
    pub(super) engine: Engine,
    pub(super) journal: Keeper,
    pub(super) ports: Ports,
    pub(super) trunk: Trunk,
    pub(super) fabric: Fabric,
    pub(super) trunk_name: String,
    pub(super) trunk_index: IfIndex,
    /// The host's interface as it was made last.
    pub(super) vhost: Option<VhostPlan>,
    pub(super) netlink: Netlink,
    pub(super) query: watch::Sender<UnderlayQuery>,
    pub(super) resolver: Resolver,
    pub(super) path_mtus: PathMtuWatch,
    pub(super) state: Arc<NodeState>,
    pub(super) uplink: UplinkDevices,
}

/// The running node.
pub(super) struct Control {
    pub(super) parts: Parts,
    pub(super) devices: Devices,
    pub(super) facts: watch::Receiver<Arc<KernelFacts>>,
    pub(super) underlay: watch::Receiver<Underlay>,
    pub(super) path_mtus: watch::Receiver<PathMtus>,
    /// Why the newest configuration file is not in force, if it is not.
    pub(super) reload_error: Option<String>,
    /// Labels that change hands.
    pub(super) quarantine: Quarantine,
    // Kept for as long as the daemon runs.
    _watch: Watch,
    _lock: NamespaceLock,
}

/// A state of the node that can be put in force.
#[derive(Debug)]
pub(super) struct Compiled {
    snapshot: Snapshot,
    quarantine: Quarantine,
}

impl Control {
    pub(super) fn new(parts: Parts, devices: Devices, watch: Watch, lock: NamespaceLock) -> Self {
        let (mut facts, underlay) = (watch.facts(), parts.resolver.underlay());
        let path_mtus = parts.path_mtus.mtus();
        facts.mark_changed();
        let mut quarantine = Quarantine::default();
        quarantine.follow(&parts.desired, Instant::now());
        let reload_error = None;
        Self {
            parts,
            devices,
            facts,
            underlay,
            path_mtus,
            reload_error,
            quarantine,
            _watch: watch,
            _lock: lock,
        }
    }

    pub(super) fn state(&self) -> Arc<NodeState> {
        Arc::clone(&self.parts.state)
    }

    pub(super) fn exchange(&self) -> Arc<Exchange> {
        Arc::clone(&self.parts.exchange)
    }

    /// The generation in force.
    pub(super) fn generation(&self) -> u64 {
        self.parts.publisher.current().generation
    }

    /// Compiles and publishes what `config` and the kernel make of the node; on an error all
    /// stays as it was.
    pub(super) fn publish(&mut self, config: Arc<Config>, desired: Desired) -> Result<(), CompileError> {
        let compiled = self.compile(&desired)?;
        self.install(config, desired, compiled);
        Ok(())
    }

    /// Compiles a desired state, which may still be thrown away.
    pub(super) fn compile(&mut self, desired: &Desired) -> Result<Compiled, CompileError> {
        let mut quarantine = self.quarantine.clone();
        let compiler = &mut self.parts.compiler;
        compiler.quarantine(quarantine.follow(desired, Instant::now()));
        let started = Instant::now();
        let snapshot = compiler.compile(desired)?;
        self.parts.state.timings.compile.note(started.elapsed());
        Ok(Compiled { snapshot, quarantine })
    }

    /// Puts what was compiled last in force.
    pub(super) fn install(&mut self, config: Arc<Config>, desired: Desired, compiled: Compiled) {
        let parts = &mut self.parts;
        let Compiled { snapshot, quarantine } = compiled;
        let generation = snapshot.generation;
        self.quarantine = quarantine;
        let compiled = Instant::now();
        parts.publisher.publish(snapshot);
        parts.state.timings.publish.note(compiled.elapsed());
        parts.state.note_slots(&parts.publisher.current());
        let query = underlay_query(&config, &parts.publisher.current());
        parts.query.send_if_modified(|old| {
            let changed = *old != query;
            *old = query;
            changed
        });
        let (old_config, old_desired) =
            (std::mem::replace(&mut parts.config, config), std::mem::replace(&mut parts.desired, desired));
        self.tell();
        let Parts { config, desired, exchange, .. } = &self.parts;
        let event = exchange
            .is_watched()
            .then(|| Event::between(generation, (&old_config, &old_desired), (config, desired)));
        exchange.announce(generation, event);
    }

    /// Has the vifs plugged in where the configuration in force says.
    pub(super) fn plug(&mut self) {
        self.parts.ports.set_plugs(plugs(&self.parts.config), &mut self.parts.trunk);
    }

    /// Tells the pages what is in force.
    pub(super) fn tell(&self) {
        let old = self.parts.state.control.load();
        self.parts.state.control.store(Arc::new(ControlState {
            config: Arc::clone(&self.parts.config),
            desired: Arc::new(self.parts.desired.clone()),
            attached: old.attached.clone(),
            reload_error: self.reload_error.clone(),
            set_aside: old.set_aside.clone(),
        }));
        self.parts.exchange.documents.store(Arc::new(self.parts.sources.documents.clone()));
    }

    /// The desired state that a configuration makes, with what the kernel has told so far.
    pub(super) fn desired(&self, config: &Config) -> Desired {
        let facts = self.facts.borrow();
        let node = &config.node;
        let uplink = find_uplink(&facts, &node.uplink.value, node.tunnel_address.value);
        let mut desired = config.desired(uplink_mtu(&facts, uplink.unwrap_or(self.parts.uplink)));
        desired.underlay = self.parts.desired.underlay.clone();
        let links: HashMap<_, _> = self.parts.desired.vifs.iter().map(|vif| (&vif.name, &vif.link)).collect();
        for vif in &mut desired.vifs {
            if let Some(link) = links.get(&vif.name) {
                vif.link = (*link).clone();
            }
        }
        desired
    }

    /// Takes everything back: programs first, so that no frame comes in any more, then workers
    /// with their sockets, then devices.
    pub(super) async fn stop(mut self) {
        self.stand_still();
        let parts = &self.parts;
        let host = parts.vhost.as_ref().map(|vhost| vhost.host_end.clone());
        for name in host.iter().chain([&parts.trunk_name]) {
            if let Err(error) = self.devices.remove(name).await {
                tracing::warn!(%error, "an interface was left behind; the next start removes it");
            }
        }
    }

    /// Ends for a successor, which takes the devices as they are.
    pub(super) fn hand_over(mut self) {
        self.stand_still();
    }

    /// No packet comes in any more, and the journal holds the flows.
    fn stand_still(&mut self) {
        let parts = &mut self.parts;
        parts.fabric.detach();
        parts.ports.detach_all(&mut parts.trunk);
        if let Err(error) = parts.trunk.detach_trunk() {
            tracing::warn!(%error, "the trunk was not detached cleanly");
        }
        parts.engine.stop();
        parts.journal.finish();
    }
}
