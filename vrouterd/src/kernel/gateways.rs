//! The gateways that the host's routes name.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rtnetlink::packet_core::NLM_F_DUMP;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteVia};

use super::client::{Netlink, family};
use super::error::KernelError;
use super::facts::IfIndex;

/// A gateway, and the device it is reached by.
pub type Gateway = (IfIndex, IpAddr);

impl Netlink {
    /// The gateways of all routes of all tables.
    ///
    /// # Errors
    /// [`KernelError::Interrupted`] when routes changed meanwhile, or what a request meets.
    pub async fn gateways(&self) -> Result<BTreeSet<Gateway>, KernelError> {
        let mut gateways = BTreeSet::new();
        for any in [IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::UNSPECIFIED)] {
            let mut message = RouteMessage::default();
            message.header.address_family = family(any);
            let request = RouteNetlinkMessage::GetRoute(message);
            for answer in self.request(request, NLM_F_DUMP, "list routes").await? {
                let RouteNetlinkMessage::NewRoute(route) = answer else { continue };
                collect(&route.attributes, None, &mut gateways);
            }
        }
        Ok(gateways)
    }
}

/// Gateways among the attributes of a route, or of one next hop of it, which names its device outside of them.
fn collect(attributes: &[RouteAttribute], device: Option<IfIndex>, gateways: &mut BTreeSet<Gateway>) {
    let output = attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(IfIndex(*index)),
        _ => None,
    });
    let device = device.or(output);
    for attribute in attributes {
        let gateway: IpAddr = match attribute {
            RouteAttribute::Gateway(RouteAddress::Inet(address)) => (*address).into(),
            RouteAttribute::Gateway(RouteAddress::Inet6(address)) => (*address).into(),
            // An IPv4 route by way of an IPv6 gateway (RFC 5549).
            RouteAttribute::Via(RouteVia::Inet(address)) => (*address).into(),
            RouteAttribute::Via(RouteVia::Inet6(address)) => (*address).into(),
            RouteAttribute::MultiPath(hops) => {
                for hop in hops {
                    collect(&hop.attributes, Some(IfIndex(hop.interface_index)), gateways);
                }
                continue;
            }
            _ => continue,
        };
        gateways.extend(device.map(|device| (device, gateway)));
    }
}
