//! The requests that all devices share.

use dataplane::ids::Mac;
use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkMessage,
};
use rtnetlink::{LinkMessageBuilder, LinkUnspec, LinkVeth};

use super::{Device, Devices, MARK, VethPair};
use crate::kernel::decode::link_facts;
use crate::kernel::error::{KernelError, errno};
use crate::kernel::facts::{IfIndex, LinkFacts, LinkKind};

/// What both ends of a veth pair have in common, and their names.
pub(super) struct VethSpec<'a> {
    pub(super) near: &'a str,
    pub(super) far: &'a str,
    /// Bytes.
    pub(super) mtu: u32,
    /// Queues of either direction.
    pub(super) queues: u32,
    /// Ethernet address of the near end; one of the kernel's choice when absent.
    pub(super) near_mac: Option<Mac>,
}

impl Devices {
    /// The device of this name as it is now; none when there is none.
    pub(super) async fn find(&self, name: &str) -> Result<Option<LinkFacts>, KernelError> {
        let message = self.find_message(name).await?;
        Ok(message.as_ref().and_then(link_facts))
    }

    /// What the kernel says about the device of this name; none when there is none.
    pub(super) async fn find_message(&self, name: &str) -> Result<Option<LinkMessage>, KernelError> {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.to_owned()));
        let operation = format!("look up device {name}");
        match self.netlink.request(RouteNetlinkMessage::GetLink(message), 0, &operation).await {
            Ok(answers) => Ok(answers.into_iter().find_map(|answer| match answer {
                RouteNetlinkMessage::NewLink(link) => Some(link),
                _ => None,
            })),
            Err(error) if error.errno() == Some(errno::ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The device of this name.
    pub(super) async fn get(&self, name: &str) -> Result<LinkFacts, KernelError> {
        self.find(name).await?.ok_or_else(|| KernelError::NoSuchDevice { device: name.to_owned() })
    }

    /// Makes a pair that is down, marked as ours, and gets no IPv6 address when it comes up.
    pub(super) async fn create_veth(&self, spec: &VethSpec<'_>) -> Result<VethPair, KernelError> {
        for name in [spec.near, spec.far] {
            if self.find(name).await?.is_some_and(|link| !is_ours(&link)) {
                return Err(KernelError::ForeignDevice { device: name.to_owned() });
            }
        }
        let operation = format!("create veth pair {}, {}", spec.near, spec.far);
        let flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
        let message = RouteNetlinkMessage::NewLink(veth_message(spec));
        self.netlink.request(message, flags, &operation).await?;
        let pair = VethPair { near: self.device(spec.near).await?, far: self.device(spec.far).await? };
        for device in [&pair.near, &pair.far] {
            if let Err(error) = self.keep_ipv6_silent(&device.name, device.index).await {
                return Err(self.undo(&pair, error).await);
            }
        }
        Ok(pair)
    }

    /// Removes a pair whose making failed halfway and hands the reason back.
    pub(super) async fn undo(&self, pair: &VethPair, reason: KernelError) -> KernelError {
        if let Err(error) = self.delete(&pair.near.name, pair.near.index).await {
            tracing::warn!(%error, "clearing up");
        }
        reason
    }

    pub(super) async fn device(&self, name: &str) -> Result<Device, KernelError> {
        let link = self.get(name).await?;
        Ok(Device { name: link.name, index: link.index, mac: link.mac.unwrap_or(Mac([0; 6])) })
    }

    pub(super) async fn set_up(&self, name: &str, index: IfIndex) -> Result<(), KernelError> {
        let message = LinkUnspec::new_with_index(index.0).up().build();
        self.set(message, &format!("set {name} up")).await
    }

    /// Keeps the kernel from giving the device a link-local address and from speaking IPv6 there
    /// by itself (`ip link set DEV addrgenmode none`).
    pub(super) async fn keep_ipv6_silent(&self, name: &str, index: IfIndex) -> Result<(), KernelError> {
        let mode = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
        let attribute = LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![mode])]);
        let message = LinkUnspec::new_with_index(index.0).append_extra_attribute(attribute).build();
        match self.set(message, &format!("switch off IPv6 address generation of {name}")).await {
            // A device without IPv6 generates no addresses.
            Err(error) if error.errno() == Some(errno::EAFNOSUPPORT) => Ok(()),
            answer => answer,
        }
    }

    pub(super) async fn delete(&self, name: &str, index: IfIndex) -> Result<(), KernelError> {
        let message = LinkUnspec::new_with_index(index.0).build();
        let operation = format!("remove device {name}");
        match self.netlink.request(RouteNetlinkMessage::DelLink(message), NLM_F_ACK, &operation).await {
            // Gone already, as when the other end of the pair went first.
            Err(error) if error.errno() == Some(errno::ENODEV) => Ok(()),
            answer => answer.map(drop),
        }
    }

    pub(super) async fn set(&self, message: LinkMessage, operation: &str) -> Result<(), KernelError> {
        self.netlink.request(RouteNetlinkMessage::SetLink(message), NLM_F_ACK, operation).await.map(drop)
    }
}

fn veth_message(spec: &VethSpec<'_>) -> LinkMessage {
    let far = common(LinkMessageBuilder::<LinkUnspec>::default(), spec, spec.far).build();
    let near = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth);
    let near = common(near, spec, spec.near).set_info_data(InfoData::Veth(InfoVeth::Peer(far)));
    match spec.near_mac {
        Some(mac) => near.address(mac.0.to_vec()).build(),
        None => near.build(),
    }
}

fn common<T>(builder: LinkMessageBuilder<T>, spec: &VethSpec<'_>, name: &str) -> LinkMessageBuilder<T> {
    builder
        .name(name)
        .mtu(spec.mtu)
        .link_group(MARK)
        .append_extra_attribute(LinkAttribute::NumTxQueues(spec.queues))
        .append_extra_attribute(LinkAttribute::NumRxQueues(spec.queues))
}

/// Whether a daemon like us has made the device.
pub(super) fn is_ours(link: &LinkFacts) -> bool {
    link.group == MARK && matches!(link.kind, LinkKind::Veth { .. })
}
