//! Requests to rtnetlink, with a bounded wait and errors that name what was asked.

use std::net::IpAddr;
use std::time::Duration;

use futures::StreamExt;
use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE};
use rtnetlink::packet_core::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::address::AddressMessage;
use rtnetlink::packet_route::link::LinkMessage;
use rtnetlink::packet_route::neighbour::{
    NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType, RouteVia};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use super::decode::event_of;
use super::error::KernelError;
use super::facts::{IfIndex, KernelFacts};
use super::underlay::RouteAnswer;

/// Longest wait for an answer. The kernel answers at once unless its routing lock is held.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection to rtnetlink; clones share it.
#[derive(Clone, Debug)]
pub struct Netlink {
    handle: rtnetlink::Handle,
}

impl Netlink {
    /// Connects to the network namespace of the calling thread and starts the task that serves
    /// the connection on the current tokio runtime.
    ///
    /// # Errors
    /// [`KernelError::Socket`].
    pub fn connect() -> Result<Self, KernelError> {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(KernelError::Socket)?;
        tokio::spawn(connection);
        Ok(Self { handle })
    }

    /// Everything the kernel has in its tables now.
    ///
    /// # Errors
    /// [`KernelError::Interrupted`] when the tables changed meanwhile, or what a request meets.
    pub async fn facts(&self) -> Result<KernelFacts, KernelError> {
        let lists = [
            (RouteNetlinkMessage::GetLink(LinkMessage::default()), "list links"),
            (RouteNetlinkMessage::GetAddress(AddressMessage::default()), "list addresses"),
            (RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default()), "list neighbours"),
        ];
        let mut facts = KernelFacts::default();
        for (message, operation) in lists {
            for answer in self.request(message, NLM_F_DUMP, operation).await? {
                if let Some(event) = event_of(&answer) {
                    facts.apply(event);
                }
            }
        }
        Ok(facts)
    }

    /// The kernel's own decision about packets from `from` to `to` (`ip route get`), with rules,
    /// gateways and multipath considered.
    ///
    /// # Errors
    /// What a request meets, other than that there is no route, which is an answer.
    pub async fn route(&self, from: IpAddr, to: IpAddr) -> Result<RouteAnswer, KernelError> {
        let mut message = RouteMessage::default();
        message.header.address_family = family(to);
        message.header.destination_prefix_length = bits(to);
        message.header.source_prefix_length = bits(from);
        message.attributes.push(RouteAttribute::Destination(to.into()));
        message.attributes.push(RouteAttribute::Source(from.into()));
        let operation = format!("look up the route from {from} to {to}");
        match self.request(RouteNetlinkMessage::GetRoute(message), 0, &operation).await {
            Ok(answers) => Ok(answers.iter().find_map(|answer| route_answer(answer, to)).unwrap_or_default()),
            // "No route" has many numbers: ENETUNREACH, EHOSTUNREACH, EACCES for "prohibit",
            // EINVAL for "blackhole" and for a source that is not ours.
            Err(KernelError::Refused { .. }) => Ok(RouteAnswer::None),
            Err(error) => Err(error),
        }
    }

    /// Asks the kernel to resolve or confirm a neighbour as if a packet were sent to it
    /// (`ip neigh add ADDRESS dev DEV use`).
    ///
    /// # Errors
    /// What a request meets.
    pub async fn use_neighbour(&self, device: IfIndex, address: IpAddr) -> Result<(), KernelError> {
        let mut message = NeighbourMessage::default();
        message.header.family = family(address);
        message.header.ifindex = device.0;
        // Without a state the entry stays subject to the kernel's garbage collection.
        message.header.state = NeighbourState::None;
        message.header.flags = NeighbourFlags::Use;
        message.attributes.push(NeighbourAttribute::Destination(address.into()));
        let operation = format!("resolve neighbour {address} on device {device}");
        let flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
        self.request(RouteNetlinkMessage::NewNeighbour(message), flags, &operation).await.map(drop)
    }

    /// Sends one request and collects the answers. `operation` completes "cannot ...".
    ///
    /// # Errors
    /// [`KernelError::Refused`], [`KernelError::NoAnswer`], [`KernelError::Interrupted`] or
    /// [`KernelError::Closed`].
    pub(super) async fn request(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
        operation: &str,
    ) -> Result<Vec<RouteNetlinkMessage>, KernelError> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | flags;
        let stream = self.handle.clone().request(request).map_err(|_| KernelError::Closed)?;
        match tokio::time::timeout(PATIENCE, collect(stream, operation)).await {
            Ok(answers) => answers,
            Err(_) => {
                Err(KernelError::NoAnswer { operation: operation.to_owned(), seconds: PATIENCE.as_secs() })
            }
        }
    }
}

async fn collect(
    stream: impl futures::Stream<Item = NetlinkMessage<RouteNetlinkMessage>>,
    operation: &str,
) -> Result<Vec<RouteNetlinkMessage>, KernelError> {
    let mut stream = std::pin::pin!(stream);
    let mut answers = Vec::new();
    let mut interrupted = false;
    while let Some(message) = stream.next().await {
        interrupted |= message.header.flags & NLM_F_DUMP_INTR != 0;
        match message.payload {
            NetlinkPayload::InnerMessage(answer) => answers.push(answer),
            NetlinkPayload::Error(error) if error.code.is_some() => {
                return Err(KernelError::Refused { operation: operation.to_owned(), source: error.to_io() });
            }
            NetlinkPayload::Overrun(_) => interrupted = true,
            _ => {}
        }
    }
    if interrupted {
        return Err(KernelError::Interrupted { operation: operation.to_owned() });
    }
    Ok(answers)
}

/// The family of an address.
pub(super) fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Reads the answer to a route request; none when the message is something else.
fn route_answer(message: &RouteNetlinkMessage, to: IpAddr) -> Option<RouteAnswer> {
    let RouteNetlinkMessage::NewRoute(route) = message else { return None };
    if route.header.kind != RouteType::Unicast {
        return Some(RouteAnswer::None);
    }
    let mut device = None;
    let mut next_hop = to;
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Oif(index) => device = Some(IfIndex(*index)),
            RouteAttribute::Gateway(RouteAddress::Inet(address)) => next_hop = IpAddr::V4(*address),
            RouteAttribute::Gateway(RouteAddress::Inet6(address)) => next_hop = IpAddr::V6(*address),
            // An IPv4 route by way of an IPv6 gateway (RFC 5549).
            RouteAttribute::Via(RouteVia::Inet(address)) => next_hop = IpAddr::V4(*address),
            RouteAttribute::Via(RouteVia::Inet6(address)) => next_hop = IpAddr::V6(*address),
            _ => {}
        }
    }
    Some(device.map_or(RouteAnswer::None, |device| RouteAnswer::Hop { device, next_hop }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(kind: RouteType, attributes: Vec<RouteAttribute>) -> RouteNetlinkMessage {
        let mut route = RouteMessage::default();
        route.header.kind = kind;
        route.attributes = attributes;
        RouteNetlinkMessage::NewRoute(route)
    }

    #[test]
    fn route_answers_are_read() {
        let to: IpAddr = "10.0.0.2".parse().unwrap();
        let hop =
            |next_hop: &str| RouteAnswer::Hop { device: IfIndex(3), next_hop: next_hop.parse().unwrap() };
        let gateway: IpAddr = "10.0.0.254".parse().unwrap();
        let via = RouteVia::Inet6("fe80::1".parse().unwrap());
        let table = [
            (answer(RouteType::Unicast, vec![RouteAttribute::Oif(3)]), hop("10.0.0.2")),
            (
                answer(
                    RouteType::Unicast,
                    vec![RouteAttribute::Oif(3), RouteAttribute::Gateway(gateway.into())],
                ),
                hop("10.0.0.254"),
            ),
            (
                answer(RouteType::Unicast, vec![RouteAttribute::Via(via), RouteAttribute::Oif(3)]),
                hop("fe80::1"),
            ),
            (answer(RouteType::Unicast, vec![]), RouteAnswer::None),
            (answer(RouteType::Local, vec![RouteAttribute::Oif(1)]), RouteAnswer::None),
            (answer(RouteType::Unreachable, vec![RouteAttribute::Oif(1)]), RouteAnswer::None),
        ];
        for (message, expected) in table {
            assert_eq!(route_answer(&message, to), Some(expected), "{message:?}");
        }
        assert_eq!(route_answer(&RouteNetlinkMessage::GetLink(LinkMessage::default()), to), None);
    }
}
