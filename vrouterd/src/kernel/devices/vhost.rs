//! The host's own interface: a veth pair that is attached like a pod's.

use std::net::{IpAddr, Ipv6Addr};

use dataplane::ids::Mac;
use ipnet::IpNet;
use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use rtnetlink::packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};

use super::link::VethSpec;
use super::{Devices, Signature, VethPair};
use crate::kernel::client::family;
use crate::kernel::error::KernelError;
use crate::kernel::facts::IfIndex;

/// How the host's interface shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VhostPlan {
    /// Name of the host's side, as `vhost0`.
    pub host_end: String,
    /// Name of the side that is attached like a pod's port, as `vr-vhost1`.
    pub node_end: String,
    /// Ethernet address of the host's side.
    pub mac: Mac,
    /// Largest IP packet in bytes.
    pub mtu: u32,
    /// Addresses of the host's side.
    pub addresses: Vec<IpNet>,
    /// What the host reaches by it.
    pub routes: Vec<HostRoute>,
}

impl VhostPlan {
    /// What an interface that was made by this plan carries.
    pub fn signature(&self) -> Signature {
        Signature::of(self)
    }
}

/// A route of the host into the pods' network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostRoute {
    /// Destinations.
    pub prefix: IpNet,
    /// Gateway; without one the destinations are resolved on the link, and the engine answers.
    pub gateway: Option<IpAddr>,
}

/// The link-local address that an Ethernet address stands for (RFC 4291 appendix A).
pub fn link_local(Mac([a, b, c, d, e, f]): Mac) -> Ipv6Addr {
    let pair = |high, low| u16::from_be_bytes([high, low]);
    Ipv6Addr::new(0xfe80, 0, 0, 0, pair(a ^ 0x02, b), pair(c, 0xff), pair(0xfe, d), pair(e, f))
}

impl Devices {
    /// Makes the host's interface with its addresses and routes, and sets it up. One that an earlier
    /// daemon has made by the same plan is kept, with the addresses and routes of the plan in place.
    ///
    /// # Errors
    /// [`KernelError::ForeignDevice`] when a name is taken, or what a request meets. Nothing is
    /// left behind then.
    pub async fn create_vhost(&self, plan: &VhostPlan) -> Result<VethPair, KernelError> {
        let spec = VethSpec {
            near: &plan.host_end,
            far: &plan.node_end,
            mtu: plan.mtu,
            queues: 1,
            near_mac: Some(plan.mac),
        };
        let signature = plan.signature();
        if let Some(pair) = self.kept(&spec, &signature).await? {
            self.finish_vhost(plan, &pair, NLM_F_REPLACE).await?;
            return Ok(pair);
        }
        let pair = self.create_veth(&spec).await?;
        let finished = async {
            self.finish_vhost(plan, &pair, NLM_F_EXCL).await?;
            self.sign(&pair, &signature).await
        };
        match finished.await {
            Ok(()) => Ok(pair),
            Err(error) => Err(self.undo(&pair, error).await),
        }
    }

    async fn finish_vhost(&self, plan: &VhostPlan, pair: &VethPair, how: u16) -> Result<(), KernelError> {
        for device in [&pair.near, &pair.far] {
            self.set_up(&device.name, device.index).await?;
        }
        let flags = NLM_F_ACK | NLM_F_CREATE | how;
        for address in &plan.addresses {
            let operation = format!("add address {address} to {}", plan.host_end);
            let message = RouteNetlinkMessage::NewAddress(address_message(pair.near.index, *address));
            self.netlink.request(message, flags, &operation).await?;
        }
        for route in &plan.routes {
            let operation = format!("add route {} to {}", route.prefix, plan.host_end);
            let message = RouteNetlinkMessage::NewRoute(route_message(pair.near.index, route));
            self.netlink.request(message, flags, &operation).await?;
        }
        Ok(())
    }
}

fn address_message(index: IfIndex, address: IpNet) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(address.addr());
    message.header.prefix_len = address.prefix_len();
    message.header.index = index.0;
    message.attributes = vec![
        AddressAttribute::Local(address.addr()),
        AddressAttribute::Address(address.addr()),
        // The engine vouches for addresses on this wire: nobody else is there to ask.
        AddressAttribute::Flags(AddressFlags::Nodad),
    ];
    message
}

fn route_message(index: IfIndex, route: &HostRoute) -> RouteMessage {
    let network = route.prefix.network();
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: family(network),
        destination_prefix_length: route.prefix.prefix_len(),
        table: RouteHeader::RT_TABLE_MAIN,
        protocol: RouteProtocol::Static,
        scope: if route.gateway.is_some() { RouteScope::Universe } else { RouteScope::Link },
        kind: RouteType::Unicast,
        ..RouteHeader::default()
    };
    message.attributes = vec![RouteAttribute::Destination(network.into()), RouteAttribute::Oif(index.0)];
    message.attributes.extend(route.gateway.map(|gateway| RouteAttribute::Gateway(gateway.into())));
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_local_address_is_made_of_the_ethernet_address() {
        assert_eq!(
            link_local(Mac([0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde])).to_string(),
            "fe80::3656:78ff:fe9a:bcde"
        );
    }
}
