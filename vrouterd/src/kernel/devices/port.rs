//! The node's end of a pod's veth pair.

use std::net::IpAddr;

use ipnet::IpNet;
use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_DUMP};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};

use super::Devices;
use super::seal::seal;
use crate::kernel::client::family;
use crate::kernel::decode::event_of;
use crate::kernel::error::{KernelError, errno};
use crate::kernel::facts::{Event, IfIndex, LinkFacts, LinkState};

/// A port that is ready to be attached, and what had to be changed for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedPort {
    /// The device before the changes.
    pub link: LinkFacts,
    /// It was set down and has been set up.
    pub set_up: bool,
    /// Link-local addresses that the kernel had given it and that have been removed.
    pub removed: Vec<IpNet>,
}

impl Devices {
    /// Sets the node's end of a pod's interface up if need be, and keeps the kernel from speaking
    /// on the pod's wire, where no IPv6 address is generated and generated ones are removed, and
    /// from listening there while no program is attached (IPv4 sources are checked strictly, ARP
    /// is not answered, nothing is forwarded, IPv6 is off). The changes are not taken back when
    /// the pod is detached.
    ///
    /// # Errors
    /// [`KernelError::NoSuchDevice`], [`KernelError::Setting`], or what a request meets.
    pub async fn prepare_port(&self, name: &str) -> Result<PreparedPort, KernelError> {
        let link = self.get(name).await?;
        self.keep_ipv6_silent(name, link.index).await?;
        let mut removed = Vec::new();
        for address in self.link_local(name, link.index).await? {
            self.remove_address(name, link.index, address).await?;
            removed.push(address);
        }
        seal(name)?;
        let set_up = link.state == LinkState::AdminDown;
        if set_up {
            self.set_up(name, link.index).await?;
        }
        Ok(PreparedPort { link, set_up, removed })
    }

    async fn link_local(&self, name: &str, index: IfIndex) -> Result<Vec<IpNet>, KernelError> {
        let message = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        let answers = self.netlink.request(message, NLM_F_DUMP, &format!("list addresses of {name}")).await?;
        let addresses = answers.iter().filter_map(|answer| match event_of(answer) {
            Some(Event::Address(of, facts)) if of == index => Some(facts.address),
            _ => None,
        });
        Ok(addresses.filter(|address| is_link_local(address.addr())).collect())
    }

    async fn remove_address(&self, name: &str, index: IfIndex, address: IpNet) -> Result<(), KernelError> {
        let mut message = AddressMessage::default();
        message.header.family = family(address.addr());
        message.header.prefix_len = address.prefix_len();
        message.header.index = index.0;
        message.attributes =
            vec![AddressAttribute::Local(address.addr()), AddressAttribute::Address(address.addr())];
        let operation = format!("remove address {address} from {name}");
        match self.netlink.request(RouteNetlinkMessage::DelAddress(message), NLM_F_ACK, &operation).await {
            Err(error) if error.errno() == Some(errno::EADDRNOTAVAIL) => Ok(()),
            answer => answer.map(drop),
        }
    }
}

/// fe80::/10 (RFC 4291 section 2.4). IPv4 link-local addresses are never the kernel's own doing.
fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}
