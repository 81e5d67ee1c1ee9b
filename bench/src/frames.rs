//! The frames of each kind of traffic: a template per pod, and a port that names the flow.

use dataplane::io::Side;
use dataplane::packet::ethernet::TAGGED_HEADER;
use encap::{Fields, OuterHeader, Template};
use etherparse::{IpHeaders, PacketBuilder, PacketBuilderStep};

use crate::topology::{self, PODS, PORT, TARGET_PORT};

/// Bytes of a template; every frame fits, and copies of a fixed size are cheap.
pub const TEMPLATE: usize = 128;
/// Length of the Ethernet frame a pod sends or gets, without VLAN tag, with the checksum the wire adds: 64.
/// Inner IP packets are 46 bytes long for UDP; TCP with its larger header carries less data.
const INNER: usize = 46;

/// What a benchmark sends through the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// Pod to ClusterIP with backends elsewhere: vif, VRF, ECMP, encapsulation.
    Client,
    /// Another node to a pod behind a ClusterIP: decapsulation, NAT, vif.
    Backend,
    /// The pod's answer to that: NAT back, encapsulation.
    Reply,
}

impl Traffic {
    /// Word for names of benchmarks.
    pub fn name(self) -> &'static str {
        match self {
            Traffic::Client => "client",
            Traffic::Backend => "backend",
            Traffic::Reply => "reply",
        }
    }

    /// Where the frames come in.
    pub fn side(self) -> Side {
        match self {
            Traffic::Client | Traffic::Reply => Side::Trunk,
            Traffic::Backend => Side::Uplink,
        }
    }
}

/// Transport of the flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// UDP with a checksum.
    Udp,
    /// TCP in the established state.
    Tcp,
}

/// One frame, but for the port.
#[derive(Clone, Debug)]
struct Pattern {
    bytes: [u8; TEMPLATE],
    len: usize,
    port_at: usize,
}

/// The frames of one kind of traffic. Flow `n` is a flow of pod `n mod 64`.
#[derive(Clone, Debug)]
pub struct Frames {
    traffic: Traffic,
    patterns: Vec<Pattern>,
}

impl Frames {
    /// Frames of `traffic`.
    pub fn new(traffic: Traffic, transport: Transport) -> Self {
        let pattern = |pod| {
            let bytes = match traffic {
                Traffic::Client => request(pod, transport),
                Traffic::Backend => from_fabric(pod, transport),
                Traffic::Reply => reply(pod, transport),
            };
            pattern(traffic, &bytes)
        };
        Self { traffic, patterns: (0..PODS).map(pattern).collect() }
    }

    /// What kind of traffic this is.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Writes a frame of flow `n`, below 2^20, at the start of `room` and says how long it is. The transport
    /// checksum does not follow the port: the vrouter updates checksums and verifies none.
    pub fn write(&self, n: u32, room: &mut [u8; TEMPLATE]) -> usize {
        let pattern = &self.patterns[(n % PODS) as usize];
        *room = pattern.bytes;
        let [high, low] = (1024 + n / PODS).to_be_bytes()[2..] else { unreachable!("two of four bytes") };
        room[pattern.port_at] = high;
        room[pattern.port_at + 1] = low;
        pattern.len
    }
}

fn pattern(traffic: Traffic, frame: &[u8]) -> Pattern {
    let mut bytes = [0; TEMPLATE];
    bytes[..frame.len()].copy_from_slice(frame);
    const IPV4: usize = 20;
    let port_at = match traffic {
        Traffic::Client => TAGGED_HEADER + IPV4,
        Traffic::Reply => TAGGED_HEADER + IPV4 + 2,
        Traffic::Backend => frame.len() - INNER + IPV4,
    };
    Pattern { bytes, len: frame.len(), port_at }
}

fn request(pod: u32, transport: Transport) -> Vec<u8> {
    let start = from_pod(pod, topology::pod_address(pod), topology::remote_service(pod));
    with_transport(Vec::new(), start, transport, (0, PORT))
}

fn reply(pod: u32, transport: Transport) -> Vec<u8> {
    let start = from_pod(pod, topology::pod_address(pod), topology::client_address(pod));
    with_transport(Vec::new(), start, transport, (TARGET_PORT, 0))
}

fn from_pod(pod: u32, src: [u8; 4], dst: [u8; 4]) -> PacketBuilderStep<IpHeaders> {
    PacketBuilder::ethernet2(topology::pod_mac(pod).0, dataplane::ids::Mac::GATEWAY.0)
        .single_vlan((pod as u16 + 1).try_into().unwrap())
        .ipv4(src, dst, 64)
}

fn from_fabric(pod: u32, transport: Transport) -> Vec<u8> {
    let template = outer(topology::peer_address(pod % topology::PEERS));
    let start = PacketBuilder::ipv4(topology::client_address(pod), topology::local_service(pod), 63);
    let mut frame = with_transport(vec![0; template.len()], start, transport, (0, PORT));
    let fields =
        Fields { label: topology::pod_label(pod), ttl: 63, source_port: 50000, inner_tos: 0, ip_id: 0 };
    template.write(&mut frame, &fields).unwrap();
    frame
}

/// The outer headers another node sends to us.
pub fn outer(peer: [u8; 4]) -> Template {
    let header = OuterHeader {
        src_mac: topology::PEER_MAC.0,
        dst_mac: topology::UPLINK_MAC.0,
        vlan: None,
        src: peer.into(),
        dst: topology::TUNNEL_ADDRESS.into(),
        udp_port: encap::MPLS_UDP_PORT,
        ttl: 64,
        df: encap::DontFragment::Clear,
        dscp: encap::DscpMode::Copy,
        udp6_checksum: encap::Udp6Checksum::Compute,
    };
    Template::new(&header).unwrap()
}

fn with_transport(
    mut frame: Vec<u8>,
    start: PacketBuilderStep<IpHeaders>,
    transport: Transport,
    (sport, dport): (u16, u16),
) -> Vec<u8> {
    match transport {
        Transport::Udp => start.udp(sport, dport).write(&mut frame, &[0x55; INNER - 28]).unwrap(),
        Transport::Tcp => {
            start.tcp(sport, dport, 1000, 1000).ack(2000).write(&mut frame, &[0x55; INNER - 40]).unwrap();
        }
    }
    frame
}
