//! From the file to what the data plane shall be.

use core::net::IpAddr;
use std::sync::Arc;

use dataplane::desired::{Desired, Link, Node, Service, Underlay, Vif, VifKind};
use dataplane::ids::VifName;

use super::awaited::Present;
use super::model::{Config, Host};
use super::place::At;
use super::vif::MOST_VIF_MTU;

impl Config {
    /// Bytes that the tunnel puts in front of an inner packet.
    pub fn overhead(&self) -> u16 {
        let bytes = match self.node.tunnel_address.value {
            IpAddr::V4(_) => encap::OVERHEAD_V4,
            IpAddr::V6(_) => encap::OVERHEAD_V6,
        };
        u16::try_from(bytes).unwrap_or(u16::MAX)
    }

    /// MTU of a vif that names none: the largest inner packet that fits tunnel and trunk, in bytes.
    pub fn default_vif_mtu(&self, uplink_mtu: u16) -> u16 {
        uplink_mtu.saturating_sub(self.overhead()).min(MOST_VIF_MTU)
    }

    /// The desired state as far as the file knows it: the way to the other nodes is unknown, and
    /// every vif waits for its interface, until the kernel's facts are folded in.
    /// The host's vif, if there is one, comes first.
    pub fn desired(&self, uplink_mtu: u16) -> Desired {
        let default_mtu = self.default_vif_mtu(uplink_mtu);
        let present = self.present();
        let host = self.host.iter().map(|host| host_vif(host, default_mtu));
        let vifs = self.vifs.iter().map(|vif| Vif {
            name: vif.name.clone(),
            kind: VifKind::Pod,
            vrf: vif.vrf.clone(),
            addresses: values(&vif.addresses),
            mac: vif.mac,
            gateway_v4: vif.gateways.v4,
            gateway_v6: vif.gateways.v6,
            label: vif.label.value,
            mtu: vif.mtu.as_ref().map_or(default_mtu, |mtu| mtu.value),
            link: waiting(&vif.ifname.value),
            policies: vif.policies.clone(),
        });
        Desired {
            node: Node {
                tunnel_address: self.node.tunnel_address.value,
                udp_port: self.node.udp_port,
                legacy_udp_port: self.node.legacy_udp_port,
                outer: self.node.outer.clone(),
                mss_clamp: self.node.mss_clamp,
                explicit_null_vrf: self.node.explicit_null_vrf.clone(),
            },
            vrfs: self.vrfs.clone(),
            vifs: host.chain(vifs).collect(),
            routes: self.routes.iter().map(|route| present.route(route)).collect(),
            services: self.services.iter().flat_map(|service| one_per_address(service, &present)).collect(),
            policies: self.policies.clone(),
            nat: self.nat.clone(),
            broadcasts: self.broadcasts.clone(),
            underlay: Underlay::default(),
        }
    }

    /// The MTU of each vif, in the order of [`Config::desired`].
    pub fn vif_mtus(&self, uplink_mtu: u16) -> impl Iterator<Item = u16> {
        let default_mtu = self.default_vif_mtu(uplink_mtu);
        let own = self.vifs.iter().map(move |vif| vif.mtu.as_ref().map_or(default_mtu, |mtu| mtu.value));
        self.host.iter().map(move |_| default_mtu).chain(own)
    }

    /// Each vif with the interface on which it is plugged in, the host's first. For the host that
    /// is the end the host uses; the daemon makes the pair.
    pub fn interfaces(&self) -> impl Iterator<Item = (VifName, &str)> {
        let host = self.host.iter().map(|host| (VifName::from(host.ifname.as_str()), host.ifname.as_str()));
        host.chain(self.vifs.iter().map(|vif| (vif.name.clone(), vif.ifname.value.as_str())))
    }
}

impl Host {
    /// The name of the host's vif: that of its interface.
    pub fn vif_name(&self) -> VifName {
        self.ifname.as_str().into()
    }
}

fn host_vif(host: &Host, mtu: u16) -> Vif {
    Vif {
        name: host.vif_name(),
        kind: VifKind::Host,
        vrf: host.vrf.clone(),
        addresses: values(&host.addresses),
        mac: host.mac,
        gateway_v4: host.gateways.v4,
        gateway_v6: host.gateways.v6,
        label: host.label,
        mtu,
        link: waiting(&host.ifname),
        policies: Vec::new(),
    }
}

fn waiting(ifname: &str) -> Link {
    Link::Down(format!("waiting for interface {ifname}"))
}

fn one_per_address<'s>(
    service: &'s super::model::Service,
    present: &Present,
) -> impl Iterator<Item = Arc<Service>> + use<'s> {
    let backends = present.backends(service);
    let of_address = move |address: &IpAddr| Service {
        vrf: service.vrf.clone(),
        address: *address,
        ports: service.ports.clone(),
        backends: backends.clone(),
        affinity: service.affinity,
        on_backend_gone: service.on_backend_gone,
    };
    service.addresses.iter().map(of_address).map(Arc::new)
}

fn values(list: &[At<IpAddr>]) -> Vec<IpAddr> {
    list.iter().map(|at| at.value).collect()
}
