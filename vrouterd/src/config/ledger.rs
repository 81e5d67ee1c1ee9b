//! Who has claimed what: the rules that reach across tables and across sources.

mod known;

use core::fmt;
use core::hash::Hash;
use core::net::IpAddr;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use dataplane::desired::ServicePort;
use dataplane::ids::{PolicyName, VifName, VrfName};
use encap::Label;
use ipnet::IpNet;

use super::place::{At, Place};
use super::problem::{Author, Findings, Reported, did_you_mean, quote};
use super::section::Item;

/// Something that owns names, labels and addresses, as shown in messages: `vif "client" (line 9)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    shown: Arc<str>,
    place: Place,
}

impl Owner {
    /// The owner with this name, or named by its place when its name could not be read.
    pub(super) fn new<T: AsRef<str>>(kind: &str, name: &Result<At<T>, Reported>, place: &Place) -> Self {
        let shown = match name {
            Ok(name) => format!("{kind} {}", quote(name.value.as_ref())),
            Err(_) => place.key.clone(),
        };
        Self { shown: shown.into(), place: place.clone() }
    }

    /// As shown in a message about something at `from`.
    pub(super) fn seen_from(&self, from: &Place) -> String {
        format!("{} ({})", self.shown, self.place.seen_from(from))
    }
}

/// What other tables need to know of a vif.
#[derive(Debug)]
struct KnownVif {
    owner: Owner,
    vrf: Option<VrfName>,
    families: Families,
}

/// Address families of a vif; unknown when its addresses could not be read.
#[derive(Clone, Copy, Debug)]
enum Families {
    Known { v4: bool, v6: bool },
    Unknown,
}

/// The claims of a whole configuration.
#[derive(Debug)]
pub(super) struct Ledger<'r> {
    findings: &'r Findings,
    /// The node's tunnel address, once it has been read.
    pub(super) tunnel_address: Option<IpAddr>,
    vrfs: BTreeMap<String, Place>,
    policies: BTreeMap<String, Place>,
    broadcasts: HashMap<VrfName, Place>,
    vifs: BTreeMap<String, KnownVif>,
    ifnames: HashMap<String, Owner>,
    labels: HashMap<Label, Owner>,
    addresses: HashMap<(VrfName, IpAddr), Owner>,
    prefixes: HashMap<(VrfName, IpNet), Place>,
    service_addresses: HashMap<(VrfName, IpAddr), Owner>,
    service_ports: HashMap<(VrfName, IpAddr), Vec<(ServicePort, Owner)>>,
    endpoints: BTreeMap<IpAddr, Place>,
    public: Vec<At<IpAddr>>,
}

impl<'r> Ledger<'r> {
    pub(super) fn new(findings: &'r Findings) -> Self {
        Self {
            findings,
            tunnel_address: None,
            vrfs: BTreeMap::new(),
            policies: BTreeMap::new(),
            broadcasts: HashMap::new(),
            vifs: BTreeMap::new(),
            ifnames: HashMap::new(),
            labels: HashMap::new(),
            addresses: HashMap::new(),
            prefixes: HashMap::new(),
            service_addresses: HashMap::new(),
            service_ports: HashMap::new(),
            endpoints: BTreeMap::new(),
            public: Vec::new(),
        }
    }

    /// Notes that something which was read before does not fit any more.
    pub(super) fn doubt(&self) -> Reported {
        self.findings.doubt()
    }

    pub(super) fn claim_vrf(&mut self, name: &At<String>) {
        if let Some(first) = self.vrfs.get(&name.value) {
            let what =
                format!("a VRF {} is already there ({})", quote(&name.value), first.seen_from(&name.place));
            self.findings.add(&name.place, what, "give each VRF its own name");
            return;
        }
        self.vrfs.insert(name.value.clone(), name.place.clone());
    }

    /// Reads the name of a VRF that must exist.
    pub(super) fn vrf(&self, item: &Item<'_>) -> Result<VrfName, Reported> {
        let name = item.text()?;
        if self.vrfs.contains_key(name) {
            return Ok(name.into());
        }
        let hint = did_you_mean(name, self.vrfs.keys().map(String::as_str));
        let remedy = format!("use a configured VRF, or add [[vrf]] with name = {}", quote(name));
        Err(item.wrong(format_args!("there is no VRF {}{hint}", quote(name)), remedy))
    }

    pub(super) fn claim_policy(&mut self, name: &At<String>) {
        if let Some(first) = self.policies.get(&name.value) {
            let what = format!(
                "a policy {} is already there ({})",
                quote(&name.value),
                first.seen_from(&name.place)
            );
            self.findings.add(&name.place, what, "give each policy its own name");
            return;
        }
        self.policies.insert(name.value.clone(), name.place.clone());
    }

    /// Reads the name of a policy that must exist.
    pub(super) fn policy(&self, item: &Item<'_>) -> Result<PolicyName, Reported> {
        let name = item.text()?;
        if self.policies.contains_key(name) {
            return Ok(name.into());
        }
        let hint = did_you_mean(name, self.policies.keys().map(String::as_str));
        let remedy = format!("use a configured policy, or add [[policy]] with name = {}", quote(name));
        Err(item.wrong(format_args!("there is no policy {}{hint}", quote(name)), remedy))
    }

    pub(super) fn claim_broadcast(&mut self, vrf: &At<VrfName>) {
        if let Some(first) = self.broadcasts.get(&vrf.value) {
            let name = quote(vrf.value.as_str());
            let what = format!("VRF {name} already has a [[broadcast]] ({})", first.seen_from(&vrf.place));
            self.findings.add(&vrf.place, what, "put all of it into one table");
            return;
        }
        self.broadcasts.insert(vrf.value.clone(), vrf.place.clone());
    }

    /// Whose address this is.
    pub(super) fn owner(&self, vrf: &VrfName, address: IpAddr) -> Option<&Owner> {
        let key = (vrf.clone(), address);
        self.addresses.get(&key).or_else(|| self.service_addresses.get(&key))
    }

    pub(super) fn claim_vif(
        &mut self,
        name: &At<String>,
        owner: &Owner,
        vrf: Option<VrfName>,
        addresses: &Result<At<Vec<At<IpAddr>>>, Reported>,
    ) {
        if let Some(first) = self.vifs.get(&name.value) {
            let what = format!("the name is already that of {}", first.owner.seen_from(&name.place));
            self.findings.add(&name.place, what, "give each vif its own name");
            return;
        }
        let families = match addresses {
            Ok(list) => Families::Known {
                v4: list.value.iter().any(|at| at.value.is_ipv4()),
                v6: list.value.iter().any(|at| at.value.is_ipv6()),
            },
            Err(_) => Families::Unknown,
        };
        self.vifs.insert(name.value.clone(), KnownVif { owner: owner.clone(), vrf, families });
    }

    pub(super) fn claim_ifname(&mut self, ifname: &At<String>, owner: &Owner) {
        let claim = Claim { thing: "interface", remedy: "give each its own interface" };
        claim.enter(self.findings, &mut self.ifnames, ifname.value.clone(), (ifname, owner));
    }

    pub(super) fn claim_label(&mut self, label: &At<Label>, owner: &Owner) {
        let claim =
            Claim { thing: "label", remedy: "give each VRF, broadcast and vif its own label, 16 to 1048575" };
        claim.enter(self.findings, &mut self.labels, label.value, (label, owner));
    }

    /// Claims the address of a vif; services take theirs with [`Ledger::claim_service`].
    pub(super) fn claim_address(&mut self, vrf: &VrfName, address: &At<IpAddr>, owner: &Owner) {
        let claim = Claim { thing: "address", remedy: "give each address to one vif of a VRF" };
        claim.enter(self.findings, &mut self.addresses, (vrf.clone(), address.value), (address, owner));
    }

    /// Claims an address that sources are translated to.
    pub(super) fn claim_public(&mut self, vrf: &VrfName, address: &At<IpAddr>, owner: &Owner) {
        self.claim_address(vrf, address, owner);
        self.public.push(address.clone());
    }

    /// Refuses tunnel addresses among those that sources are translated to: pods would speak with
    /// a node's voice.
    pub(super) fn check_public(&self) {
        let is_node =
            |address: &IpAddr| Some(*address) == self.tunnel_address || self.endpoints.contains_key(address);
        for at in self.public.iter().filter(|at| is_node(&at.value)) {
            let what = format!("{} is the tunnel address of a node", at.value);
            self.findings.add(&at.place, what, "give an address that is routed to this node and nobody has");
        }
    }

    /// Reports a mistake in a VRF that is there.
    pub(super) fn wrong_vrf(&self, vrf: &VrfName, what: impl fmt::Display, remedy: &str) {
        if let Some(place) = self.vrfs.get(vrf.as_str()) {
            self.findings.add(place, what, remedy);
        }
    }

    /// Claims an address with its ports for a service: it may share the address with another
    /// service, not a port of it.
    pub(super) fn claim_service(
        &mut self,
        vrf: &VrfName,
        address: &At<IpAddr>,
        ports: &[At<ServicePort>],
        owner: &Owner,
    ) {
        if let Some(vif) = self.addresses.get(&(vrf.clone(), address.value)) {
            let what =
                format!("{} is already the address of {}", address.value, vif.seen_from(&address.place));
            self.findings.add(&address.place, what, "give the service an address of its own");
            return;
        }
        self.service_addresses.entry((vrf.clone(), address.value)).or_insert_with(|| owner.clone());
        let taken = self.service_ports.entry((vrf.clone(), address.value)).or_default();
        let others = taken.len();
        for port in ports {
            // Twice in one service is told by the reader of its ports.
            let shared = taken.iter().take(others).find(|(other, _)| other.shares_a_port(&port.value));
            if let Some((_, first)) = shared {
                let first = first.seen_from(&port.place);
                let what = format!("{} port {} is already taken by {first}", address.value, port.value.ports);
                self.findings.add(&port.place, what, "serve each port of an address once");
                continue;
            }
            taken.push((port.value, owner.clone()));
        }
    }

    /// Claims a prefix for a route.
    pub(super) fn claim_prefix(&mut self, vrf: &VrfName, prefix: &At<IpNet>) {
        let net = prefix.value;
        if let Some(first) = self.prefixes.get(&(vrf.clone(), net)) {
            let what = format!(
                "VRF {} already has a route for {net} ({})",
                quote(vrf.as_str()),
                first.seen_from(&prefix.place)
            );
            self.findings.add(&prefix.place, what, "put all next hops into the `via` of one route");
            return;
        }
        self.prefixes.insert((vrf.clone(), net), prefix.place.clone());
        if net.prefix_len() != net.max_prefix_len() {
            return;
        }
        if let Some(owner) = self.owner(vrf, net.network()) {
            let what = format!("{} is the address of {}", net.network(), owner.seen_from(&prefix.place));
            self.findings.add(&prefix.place, what, "remove the route: vifs and services bring their own");
        }
    }

    /// Reads the name of a vif. In the operator's file it must exist.
    pub(super) fn vif(&self, item: &Item<'_>) -> Result<VifName, Reported> {
        let name = item.text()?;
        if self.vifs.contains_key(name) {
            return Ok(name.into());
        }
        if item.author() == Author::Programs {
            return super::scalar::path_name(item).map(|name| name.as_str().into());
        }
        let hint = did_you_mean(name, self.vifs.keys().map(String::as_str));
        let remedy = "use the name of a configured vif, or a tunnel for one of another node";
        Err(item.wrong(format_args!("there is no vif {}{hint}", quote(name)), remedy))
    }

    /// Checks that a vif can answer for a service of `vrf` with these addresses.
    pub(super) fn check_backend(&self, vif: &At<VifName>, vrf: Option<&VrfName>, service: &[At<IpAddr>]) {
        let Some(known) = self.vifs.get(vif.value.as_str()) else { return };
        if let (Some(own), Some(wanted)) = (&known.vrf, vrf)
            && own != wanted
        {
            let what = format!(
                "{} is in VRF {}, the service in {}",
                known.owner.seen_from(&vif.place),
                quote(own.as_str()),
                quote(wanted.as_str())
            );
            self.findings.add(&vif.place, what, "use backends of the service's VRF");
        }
        let Families::Known { v4, v6 } = known.families else { return };
        for address in service {
            let (fits, family) = if address.value.is_ipv4() { (v4, "IPv4") } else { (v6, "IPv6") };
            if !fits {
                let owner = known.owner.seen_from(&vif.place);
                let what = format!("{owner} has no {family} address, the service is {}", address.value);
                self.findings.add(
                    &vif.place,
                    what,
                    "use backends that have an address of the service's family",
                );
            }
        }
    }

    /// Reads the tunnel address of another node.
    pub(super) fn endpoint(&mut self, item: &Item<'_>) -> Result<IpAddr, Reported> {
        let endpoint = super::scalar::address(item)?;
        self.endpoints.entry(endpoint).or_insert_with(|| item.place.clone());
        let Some(own) = self.tunnel_address else { return Ok(endpoint) };
        if endpoint == own {
            let what = format!("{endpoint} is this node's own tunnel address");
            return Err(item.wrong(what, "name a vif for a pod of this node"));
        }
        if endpoint.is_ipv4() != own.is_ipv4() {
            let what = format!("{endpoint} is of another family than node.tunnel_address {own}");
            return Err(item.wrong(what, "use tunnel addresses of one family on all nodes"));
        }
        Ok(endpoint)
    }

    /// Refuses routes of the host that would lead the tunnels themselves into the vrouter, or all
    /// that the host sends.
    pub(super) fn check_host_route(&self, prefix: &At<IpNet>) {
        if prefix.value.prefix_len() == 0 {
            let what = format!("{} would lead all that the host sends into the vrouter", prefix.value);
            self.findings.add(&prefix.place, what, "list only prefixes of pods and services");
            return;
        }
        let own = self.tunnel_address.into_iter();
        if let Some(cut_off) = own.chain(self.endpoints.keys().copied()).find(|a| prefix.value.contains(a)) {
            let what = format!("{} would lead the tunnel address {cut_off} into the vrouter", prefix.value);
            self.findings.add(&prefix.place, what, "list only prefixes of pods and services");
        }
    }
}

/// How a second claim on the same thing is told.
struct Claim {
    thing: &'static str,
    remedy: &'static str,
}

impl Claim {
    fn enter<K: Hash + Eq, T: fmt::Display>(
        &self,
        findings: &Findings,
        taken: &mut HashMap<K, Owner>,
        key: K,
        (claimed, owner): (&At<T>, &Owner),
    ) {
        match taken.get(&key) {
            Some(first) => {
                let what = format!(
                    "{} is already the {} of {}",
                    claimed.value,
                    self.thing,
                    first.seen_from(&claimed.place)
                );
                findings.add(&claimed.place, what, self.remedy);
            }
            None => drop(taken.insert(key, owner.clone())),
        }
    }
}
