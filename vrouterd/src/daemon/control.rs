//! The control loop's hands: each call folds one kind of news into the desired state.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dataplane::compile::{CompileError, Compiler};
use dataplane::desired::{Desired, Underlay};
use dataplane::publish::Publisher;
use dataplane::snapshot::Snapshot;
use flow_table::Millis;
use tokio::sync::watch;
use xdp_prog::{Fabric, Trunk};

use super::error::{DaemonError, ReloadError};
use super::ports::Ports;
use super::quarantine::Quarantine;
use super::sources::{OperatorFile, Sources};
use super::start::{fabric_config, plugs, underlay_query, uplink_mtu, vhost_plan};
use crate::api::{Event, Exchange};
use crate::config::{Config, Problems, check_against};
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
use crate::state::{ControlState, NodeState, ProgramCounters};

/// Flow pairs looked at in one sweep: a million pairs are passed in under half a minute.
const SWEEP_BUDGET: usize = 4096;

/// How long the first packets wait for the kernel to tell the ways to the other nodes.
const UNDERLAY: Duration = Duration::from_millis(200);

/// How long the kernel may take to tell of a device that it has made.
const DEVICES: Duration = Duration::from_secs(5);

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
    devices: Devices,
    pub(super) facts: watch::Receiver<Arc<KernelFacts>>,
    underlay: watch::Receiver<Underlay>,
    path_mtus: watch::Receiver<PathMtus>,
    /// Why the newest configuration file is not in force, if it is not.
    reload_error: Option<String>,
    /// Labels that change hands.
    quarantine: Quarantine,
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

    /// Waits for news from the kernel.
    pub(super) async fn kernel_changed(&mut self) -> Result<(), DaemonError> {
        let changed = tokio::select! {
            changed = self.facts.changed() => changed,
            changed = self.underlay.changed() => changed,
            changed = self.path_mtus.changed() => changed,
        };
        changed.map_err(|_| DaemonError::KernelGone)
    }

    /// Lets packets in, from the pods and last from the other nodes; before, it waits a moment for the ways to
    /// the other nodes, or the first packets would be lost.
    ///
    /// # Errors
    /// [`DaemonError::DeviceGone`].
    pub(super) async fn open(&mut self) -> Result<(), DaemonError> {
        let trunk = self.parts.trunk_index;
        // Devices that were made just now are not among the facts yet.
        let known = self.facts.wait_for(|facts| facts.links.contains_key(&trunk));
        let is_known = tokio::time::timeout(DEVICES, known).await.is_ok();
        if !is_known {
            return Err(DaemonError::DeviceGone(self.parts.trunk_name.clone()));
        }
        // Neither an uplink without a way nor a slow kernel keeps the pods of this node apart.
        drop(tokio::time::timeout(UNDERLAY, self.underlay.wait_for(|known| known.uplink.is_some())).await);
        let desired = Desired { underlay: self.underlay.borrow().clone(), ..self.parts.desired.clone() };
        if let Err(error) = self.publish(Arc::clone(&self.parts.config), desired) {
            tracing::error!(%error, "the running state is kept");
        }
        self.follow().await?;
        self.configure_fabric();
        Ok(())
    }

    /// Folds what the kernel says now into the desired state and publishes it if that changed.
    ///
    /// # Errors
    /// [`DaemonError::DeviceGone`].
    pub(super) async fn follow(&mut self) -> Result<(), DaemonError> {
        let facts = Arc::clone(&self.facts.borrow_and_update());
        let mut desired = self.parts.desired.clone();
        desired.underlay = self.underlay.borrow_and_update().clone();
        desired.underlay.path_mtus = self.path_mtus.borrow_and_update().clone();
        self.follow_mtu(&facts, &mut desired);
        self.follow_uplink(&facts)?;
        let snapshot = self.parts.publisher.current();
        let Parts { ports, trunk, .. } = &mut self.parts;
        ports.follow(&mut desired, &snapshot, &facts, &self.devices, trunk).await;
        if desired != self.parts.desired
            && let Err(error) = self.publish(Arc::clone(&self.parts.config), desired)
        {
            tracing::error!(%error, "the running state is kept");
        }
        Ok(())
    }

    /// Vifs without an MTU of their own get what the uplink leaves them.
    fn follow_mtu(&self, facts: &KernelFacts, desired: &mut Desired) {
        let node = &self.parts.config.node;
        let Ok(uplink) = find_uplink(facts, &node.uplink.value, node.tunnel_address.value) else { return };
        let mtus = self.parts.config.vif_mtus(uplink_mtu(facts, uplink));
        for (vif, mtu) in desired.vifs.iter_mut().zip(mtus) {
            vif.mtu = mtu;
        }
    }

    /// The VLAN of the tunnel address may change; the devices may not: programs and sockets are
    /// bound to them, and a device that is made again under the same name is another.
    fn follow_uplink(&mut self, facts: &KernelFacts) -> Result<(), DaemonError> {
        let bound = self.parts.uplink;
        let name = match (
            facts.links.contains_key(&bound.physical),
            facts.links.contains_key(&self.parts.trunk_index),
        ) {
            (false, _) => Some(self.parts.config.node.uplink.value.clone()),
            (true, false) => Some(self.parts.trunk_name.clone()),
            (true, true) => None,
        };
        if let Some(name) = name {
            return Err(DaemonError::DeviceGone(name));
        }
        let node = &self.parts.config.node;
        match find_uplink(facts, &node.uplink.value, node.tunnel_address.value) {
            Ok(uplink) if uplink.vlan != bound.vlan => {
                self.parts.uplink.vlan = uplink.vlan;
                self.configure_fabric();
                Ok(())
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn configure_fabric(&mut self) {
        let config = fabric_config(&self.parts.config, self.parts.uplink.vlan);
        if let Err(error) = self.parts.fabric.set_config(&config) {
            tracing::error!(%error, "the uplink's program keeps its old settings");
        }
    }

    /// Compiles and publishes what `config` and the kernel make of the node; on an error all
    /// stays as it was.
    fn publish(&mut self, config: Arc<Config>, desired: Desired) -> Result<(), CompileError> {
        let compiled = self.compile(&desired)?;
        self.install(config, desired, compiled);
        Ok(())
    }

    /// Compiles a desired state, which may still be thrown away.
    pub(super) fn compile(&mut self, desired: &Desired) -> Result<Compiled, CompileError> {
        let mut quarantine = self.quarantine.clone();
        let compiler = &mut self.parts.compiler;
        compiler.quarantine(quarantine.follow(desired, Instant::now()));
        Ok(Compiled { snapshot: compiler.compile(desired)?, quarantine })
    }

    /// Puts what was compiled last in force.
    pub(super) fn install(&mut self, config: Arc<Config>, desired: Desired, compiled: Compiled) {
        let parts = &mut self.parts;
        let Compiled { snapshot, quarantine } = compiled;
        let generation = snapshot.generation;
        self.quarantine = quarantine;
        parts.publisher.publish(snapshot);
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
    fn tell(&self) {
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

    /// Reads the configuration file again. A file with mistakes changes nothing.
    pub(super) async fn reload(&mut self) {
        let outcome = self.try_reload().await;
        match &outcome {
            Ok(()) => {
                tracing::info!(file = %self.parts.sources.file.path().display(), "configuration reloaded")
            }
            Err(ReloadError::Refused(error)) => {
                tracing::error!("configuration not reloaded, the running state is kept:\n{error}");
            }
            Err(error @ ReloadError::Host(_)) => tracing::error!("{error}"),
        }
        self.reload_error = outcome.err().map(|error| error.to_string());
        self.tell();
    }

    async fn try_reload(&mut self) -> Result<(), ReloadError> {
        let (file, config, desired) = self.read().await.map_err(ReloadError::Refused)?;
        let vhost = vhost_plan(&config, &desired);
        let compiled = self.compile(&desired).map_err(|error| ReloadError::Refused(error.to_string()))?;
        self.parts.sources.take_file(file);
        self.install(Arc::new(config), desired, compiled);
        self.plug();
        self.configure_fabric();
        // Last, as it alone can fail halfway.
        let swapped = self.devices.swap_vhost(&mut self.parts.vhost, vhost).await;
        self.follow().await.map_err(|error| ReloadError::Refused(error.to_string()))?;
        Ok(swapped?)
    }

    /// The file, judged alone and with what is declared, and the desired state that both make.
    async fn read(&self) -> Result<(OperatorFile, Config, Desired), String> {
        let sources = &self.parts.sources;
        let (file, _) =
            OperatorFile::read(sources.file.path().to_owned()).map_err(|error| error.to_string())?;
        let both = file.with(&sources.documents.declared, &sources.store).await;
        let config = both.map_err(|problems| problems.to_string())?;
        let facts = Arc::clone(&self.facts.borrow());
        let gateways = self.parts.netlink.gateways().await.map_err(|error| error.to_string())?;
        let problems = check_against(&config, &super::host_facts(&facts, &gateways));
        if !problems.is_empty() {
            return Err(Problems(problems).to_string());
        }
        refuse_fixed(&self.parts.config, &config)?;
        let node = &config.node;
        find_uplink(&facts, &node.uplink.value, node.tunnel_address.value)
            .map_err(|fault| fault.to_string())?;
        let desired = self.desired(&config);
        Ok((file, config, desired))
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

    /// Lets idle flows go, and those of vifs and VRFs that are gone: these would hold their places
    /// for up to hours, and count for whoever has the slot next.
    pub(super) fn sweep(&mut self) {
        let now = Millis(self.parts.state.epoch.elapsed().as_millis() as u64);
        let snapshot = self.parts.publisher.current();
        self.parts.state.flows.sweep(now, SWEEP_BUDGET, |forward, reverse| {
            snapshot.has_context(forward.context) && snapshot.has_context(reverse.context)
        });
    }

    /// Once a second: dropped packets, counters of the programs, old snapshots, health.
    pub(super) async fn housekeeping(&mut self) -> Result<(), DaemonError> {
        let started = Instant::now();
        self.parts.state.drain_drops();
        self.parts.state.sample_load(started);
        self.parts.state.sample_vifs(started);
        self.parts.publisher.reclaim();
        let state = &self.parts.state;
        state.traces.tidy(&state.snapshot.load(), state.now());
        let (fabric, trunk) = (self.parts.fabric.counters(), self.parts.trunk.counters());
        if let (Ok(fabric), Ok(trunk)) = (fabric, trunk) {
            self.parts.state.programs.store(Arc::new(ProgramCounters { fabric, trunk }));
        }
        self.end_quarantine();
        if self.parts.ports.forget_refusals() {
            self.follow().await?;
        }
        tracing::trace!(took = ?started.elapsed(), "housekeeping");
        if self.parts.engine.is_running() { Ok(()) } else { Err(DaemonError::WorkerGone) }
    }

    /// Gives labels that have rested to their new owners.
    fn end_quarantine(&mut self) {
        if self.quarantine.has_ended(Instant::now())
            && let Err(error) = self.publish(Arc::clone(&self.parts.config), self.parts.desired.clone())
        {
            tracing::error!(%error, "labels in quarantine stay there");
        }
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

/// What only a restart can change.
fn refuse_fixed(old: &Config, new: &Config) -> Result<(), String> {
    let changed = [
        ("node.uplink", old.node.uplink.value != new.node.uplink.value),
        ("node.state_dir", old.node.state_dir != new.node.state_dir),
        ("[engine]", old.engine != new.engine),
        ("[timeouts]", old.timeouts != new.timeouts),
        ("[http]", old.http != new.http),
        ("[api]", old.api != new.api),
    ];
    let names: Vec<_> = changed.iter().filter(|(_, changed)| *changed).map(|(name, _)| *name).collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(format!("{} can not change while the daemon runs: restart it, or undo that change", names.join(", ")))
}
