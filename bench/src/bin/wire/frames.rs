//! The frames that the generator sends.

use etherparse::Ipv4Header;

use crate::ground::{BACKENDS, CLIENT, NODE_A, NODE_B, PORT, PodAddress, SERVICE, TARGET};

/// Bytes of a template in the generator's map; `struct template` of `bpf/generator.bpf.c`.
pub(crate) const TEMPLATE: usize = 120;
const HEADER: usize = 112;
/// The vrouter, as pods see it.
const GATEWAY_MAC: [u8; 6] = [0, 0, 0x5e, 0, 1, 0];
/// Ethernet address of node-b's end of the VXLAN.
pub(crate) const VXLAN_B: [u8; 6] = [2, 0, 0, 0, 0x0b, 0x42];
/// Ethernet address of node-a's end of the VXLAN.
pub(crate) const VXLAN_A: [u8; 6] = [2, 0, 0, 0, 0x0a, 0x42];
/// Network identifier of the VXLAN.
pub(crate) const VNI: u32 = 42;
const FCS: usize = 4;
const ETHERNET: usize = 14;
const UDP: usize = 8;

/// Sizes of the pods' frames, bytes, with Ethernet header and frame check sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Fixed(usize),
    /// Seven of 64, four of 594 and one of 1500: the usual mix of twelve, its largest frame cut to fit the wire.
    Imix,
}

impl Size {
    /// As shown.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Fixed(bytes) => bytes.to_string(),
            Self::Imix => "IMIX".to_owned(),
        }
    }

    fn frames(self) -> Vec<usize> {
        match self {
            Self::Fixed(bytes) => vec![bytes],
            Self::Imix => [vec![64; 7], vec![594; 4], vec![1500]].concat(),
        }
    }
}

/// What comes before the payload of zeros, and where in it a flow shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    /// Whole frame, bytes, without frame check sequence.
    pub(crate) length: usize,
    header: Vec<u8>,
    port_at: usize,
    entropy_at: usize,
}

impl Template {
    /// As the generator's map has it.
    pub(crate) fn encode(&self) -> [u8; TEMPLATE] {
        let mut bytes = [0; TEMPLATE];
        let numbers = [self.length, self.header.len(), self.port_at, self.entropy_at];
        for (place, number) in bytes.chunks_exact_mut(2).zip(numbers) {
            place.copy_from_slice(&u16::try_from(number).expect("a small number").to_ne_bytes());
        }
        assert!(self.header.len() <= HEADER, "a header too long for the generator");
        bytes[TEMPLATE - HEADER..][..self.header.len()].copy_from_slice(&self.header);
        bytes
    }
}

/// Who is on the way, as far as the frame must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// MPLS over UDP, and the vrouter's gateway address.
    Vrouter,
    /// VXLAN, and the node's own Ethernet address.
    Kernel,
}

/// Where a pod sends what is not for itself.
pub(crate) fn gateway(dialect: Dialect, pod: &PodAddress<'_>) -> [u8; 6] {
    match dialect {
        Dialect::Vrouter => GATEWAY_MAC,
        Dialect::Kernel => pod.node_mac,
    }
}

/// What the client's pod sends to the service.
pub(crate) fn from_pod(dialect: Dialect, size: Size) -> Vec<Template> {
    let gateway = gateway(dialect, &CLIENT);
    let template = |frame: usize| {
        let mut header = ethernet(gateway, CLIENT.mac);
        header.extend(datagram((CLIENT.ip, 0), (SERVICE, PORT), frame - FCS - ETHERNET));
        let port_at = header.len() - UDP;
        Template { length: frame - FCS, header, port_at, entropy_at: 0 }
    };
    size.frames().into_iter().map(template).collect()
}

/// What node-a sends to node-b, to all backends in turn. The vrouter translates at the backend's node, the
/// kernel's nftables have done it at the client's.
pub(crate) fn from_wire(dialect: Dialect, size: Size) -> Vec<Template> {
    let frames = size.frames().into_iter();
    let template = |frame: usize, backend: usize| {
        let pod = &BACKENDS[backend];
        let length = frame - FCS - ETHERNET;
        let (port, shim, to) = match dialect {
            Dialect::Vrouter => (6635, label(pod.label).to_vec(), (SERVICE, PORT)),
            Dialect::Kernel => (4789, vxlan(), (pod.ip, TARGET)),
        };
        let outer_length = 20 + UDP + shim.len() + length;
        let mut header = ethernet(NODE_B.mac, NODE_A.mac);
        header.extend(datagram((NODE_A.ip, 0), (NODE_B.ip, port), outer_length));
        let entropy_at = header.len() - UDP;
        header.extend(shim);
        header.extend(datagram((CLIENT.ip, 0), to, length));
        let port_at = header.len() - UDP;
        Template { length: ETHERNET + outer_length, header, port_at, entropy_at }
    };
    frames.flat_map(|frame| (0..BACKENDS.len()).map(move |backend| template(frame, backend))).collect()
}

/// The same for another pair of machines.
pub(crate) fn readdressed(mut frames: Vec<Template>, to: [u8; 6], from: [u8; 6]) -> Vec<Template> {
    for frame in &mut frames {
        frame.header[..12].copy_from_slice(&[to, from].concat());
    }
    frames
}

fn ethernet(to: [u8; 6], from: [u8; 6]) -> Vec<u8> {
    [&to[..], &from, &[8, 0]].concat()
}

/// Header of an IPv4 packet of `length` bytes that holds UDP without a checksum.
fn datagram(from: ([u8; 4], u16), to: ([u8; 4], u16), length: usize) -> Vec<u8> {
    let payload = u16::try_from(length - 20).expect("a frame is short");
    let mut ip = Ipv4Header::new(payload, 64, etherparse::ip_number::UDP, from.0, to.0).expect("it is short");
    ip.header_checksum = ip.calc_header_checksum();
    let mut header = ip.to_bytes().to_vec();
    for number in [from.1, to.1, payload, 0] {
        header.extend(number.to_be_bytes());
    }
    header
}

/// A label stack of one entry (RFC 3032).
fn label(label: u32) -> [u8; 4] {
    (label << 12 | 1 << 8 | 63).to_be_bytes()
}

/// The VXLAN header (RFC 7348) and the Ethernet header inside.
fn vxlan() -> Vec<u8> {
    let mut header = vec![8, 0, 0, 0];
    header.extend((VNI << 8).to_be_bytes());
    header.extend(ethernet(VXLAN_B, VXLAN_A));
    header
}

#[cfg(test)]
mod tests {
    use etherparse::SlicedPacket;

    use super::*;

    #[test]
    fn every_header_is_whole_and_as_long_as_it_says() {
        for dialect in [Dialect::Vrouter, Dialect::Kernel] {
            for size in [Size::Fixed(64), Size::Fixed(1500), Size::Imix] {
                for template in from_pod(dialect, size).into_iter().chain(from_wire(dialect, size)) {
                    let mut frame = template.header.clone();
                    frame.resize(template.length, 0);
                    let sliced = SlicedPacket::from_ethernet(&frame).unwrap();
                    assert!(matches!(sliced.transport, Some(etherparse::TransportSlice::Udp(_))));
                    assert_eq!(template.header[template.port_at..][..2], [0, 0], "the place of the port");
                }
            }
        }
    }

    #[test]
    fn a_pods_smallest_frame_has_64_bytes_with_its_check_sequence() {
        assert_eq!(from_pod(Dialect::Vrouter, Size::Fixed(64))[0].length, 60);
        // Inside the tunnel: without Ethernet header, behind 14 + 20 + 8 + 4 bytes.
        assert_eq!(from_wire(Dialect::Vrouter, Size::Fixed(64))[0].length, 92);
        assert_eq!(from_wire(Dialect::Kernel, Size::Fixed(64))[0].length, 110);
    }

    #[test]
    fn templates_of_a_mix_fit_the_generators_map() {
        assert_eq!(from_wire(Dialect::Kernel, Size::Imix).len(), 36);
        assert_eq!(from_wire(Dialect::Kernel, Size::Imix)[0].encode().len(), TEMPLATE);
    }
}
