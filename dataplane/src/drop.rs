//! Every way a packet can end without being sent: the name is the counter.

/// Declares the reasons once: variant, stable name, meaning with remedy.
macro_rules! reasons {
    ($($variant:ident = $name:literal : $meaning:literal,)+) => {
        /// Why a packet was dropped. The name is the metric label, the JSON key and the CLI word.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum DropReason {
            $(#[doc = $meaning] $variant,)+
        }

        impl DropReason {
            /// All reasons in the order of their numbers.
            pub const ALL: &[DropReason] = &[$(DropReason::$variant,)+];

            /// Stable name in lower_snake_case.
            pub const fn name(self) -> &'static str {
                match self { $(DropReason::$variant => $name,)+ }
            }

            /// One line: what it means and what to look at.
            pub const fn meaning(self) -> &'static str {
                match self { $(DropReason::$variant => $meaning,)+ }
            }
        }
    };
}

reasons! {
    MalformedEthernet = "malformed_ethernet": "The frame is shorter than an Ethernet header, or tagged where no tag belongs.",
    NotForUs = "not_for_us": "The destination MAC is neither the gateway's nor a group address; look at the pod's neighbour table.",
    SpoofedMac = "spoofed_mac": "The source MAC is not the pod's; look at `mac` of the vif.",
    UnsupportedEthertype = "unsupported_ethertype": "Neither IPv4, IPv6 nor ARP (LLDP, PPPoE and the like end here).",
    MalformedArp = "malformed_arp": "ARP that is not Ethernet/IPv4 request or reply, or cut short.",
    MalformedIpv4 = "malformed_ipv4": "IPv4 version, header length, total length or options contradict the frame.",
    MalformedIpv6 = "malformed_ipv6": "IPv6 version, payload length or extension headers contradict the frame.",
    MalformedL4 = "malformed_l4": "The transport header is cut short or its lengths lie.",
    TcpBadFlags = "tcp_bad_flags": "A TCP segment that no connection begins with: SYN with FIN or RST, or no flag that means anything.",
    Ipv4Checksum = "ipv4_checksum": "The IPv4 header checksum is wrong.",
    SourceRoute = "source_route": "IPv4 source route option or IPv6 type 0 routing header; both are refused (RFC 7126, RFC 5095).",
    MartianAddress = "martian_address": "Source or destination can not appear on a wire (loopback, 0/8, multicast source, source = destination).",
    UnknownVif = "unknown_vif": "A frame with a trunk VLAN that names no vif; a vif was just removed.",
    VifDown = "vif_down": "The destination vif is down; its page says why.",
    SpoofedNeighbour = "spoofed_neighbour": "A neighbour advertisement for an address that is not the vif's; look at `addresses` of the vif.",
    RaGuard = "ra_guard": "A router advertisement from a pod or another node; the vrouter is the only router of a pod (RFC 6105).",
    OffLink = "off_link": "Neighbour discovery or group membership from another node: such messages do not leave their link (RFC 4861 section 7.1.1).",
    NeighbourRatelimited = "neighbour_ratelimited": "The vif asks for more ARP and neighbour discovery than is answered in a second.",
    SpoofedSource = "spoofed_source": "The source address is not one of the vif's; look at `addresses` of the vif.",
    NoRoute = "no_route": "The VRF has no route to the destination.",
    DiscardRoute = "discard_route": "The route says discard.",
    RouteLoop = "route_loop": "Routes from VRF to VRF form a loop, or lead a packet back to the host that has forwarded it.",
    TtlExceeded = "ttl_exceeded": "TTL or hop limit used up (traceroute does this on purpose).",
    InvalidLabel = "invalid_label": "The MPLS label is assigned to nothing here; the sender's routes are old.",
    LabelQuarantined = "label_quarantined": "The MPLS label changed hands a moment ago; the packet may be meant for its former owner.",
    ReservedLabel = "reserved_label": "An MPLS label of 0..15 that is not an explicit null.",
    MalformedMpls = "malformed_mpls": "The label stack is cut short, has no bottom, or carries neither IPv4 nor IPv6.",
    MalformedTunnel = "malformed_tunnel": "Outer IP or UDP header cut short or with lengths that lie.",
    TunnelFragment = "tunnel_fragment": "The outer packet is a fragment: the underlay's MTU is too small for the peer.",
    TunnelSourceMismatch = "tunnel_source_mismatch": "The outer source is not the node that the route to the inner source names, or not one of the broadcast's.",
    TunnelChecksum = "tunnel_checksum": "The outer IPv4 or UDP checksum is wrong, or zero over IPv6 where that is not enabled.",
    TunnelLoop = "tunnel_loop": "A packet from the fabric would go back into the fabric.",
    LabelDestinationMismatch = "label_destination_mismatch": "The inner destination is neither an address nor a service of the pod that the label names, or no broadcast behind the label of one.",
    TunnelRecursion = "tunnel_recursion": "A pod sends tunnel packets to a node; it would speak with this node's own voice.",
    EcnViolation = "ecn_violation": "Congestion experienced outside, not ECN-capable inside (RFC 6040).",
    NoNeighbour = "no_neighbour": "The way to the tunnel endpoint is not resolved; look at the kernel's route and neighbour tables.",
    UplinkDown = "uplink_down": "The uplink is down.",
    FlowTableFull = "flow_table_full": "No room for a new flow pair; established flows go on.",
    VifFlowLimit = "vif_flow_limit": "The vif has as many flow pairs as it may have.",
    ServiceNoBackend = "service_no_backend": "The service has no backend that is up.",
    ServiceBackendGone = "service_backend_gone": "The backend of the TCP connection is gone and the service resets such connections.",
    ServicePortUnmapped = "service_port_unmapped": "The service address has no such port or protocol.",
    PolicyDenied = "policy_denied": "No rule of the policies of the sending or the receiving vif allows the flow; the pages of both vifs list them.",
    NatPortExhausted = "nat_port_exhausted": "No free source port for the translation: add addresses to the pool or widen its ports.",
    NatNoMapping = "nat_no_mapping": "To an address of a source NAT pool, and no answer to anything that was sent from it.",
    NatNoAddress = "nat_no_address": "The VRF translates sources of this family, but has no address for this sender: no pool, and no floating IP of the vif.",
    NatUnsupported = "nat_unsupported": "A protocol without ports can not share the addresses of a pool; give the pod a floating IP.",
    NatMappingGone = "nat_mapping_gone": "The address that the flow was translated to is no longer its own; a new flow gets another.",
    IcmpRedirect = "icmp_redirect": "An ICMP redirect or source quench; the vrouter is the only router a pod needs.",
    IcmpErrorMalformed = "icmp_error_malformed": "An ICMP error whose quote is cut short, or whose checksum or that of the header it quotes is wrong (RFC 5508).",
    IcmpErrorUnmatched = "icmp_error_unmatched": "An ICMP error that quotes no live flow.",
    FragmentTiny = "fragment_tiny": "The first fragment does not hold the whole transport header, or one begins inside it (RFC 1858, RFC 3128).",
    FragmentOverflow = "fragment_overflow": "The datagram would be longer than 65535 bytes.",
    FragmentOverlap = "fragment_overlap": "A fragment overlaps another one or reaches past the end; the datagram is given up (RFC 5722).",
    FragmentDuplicate = "fragment_duplicate": "The same part of a datagram came twice; the first copy went on.",
    FragmentTimeout = "fragment_timeout": "The first fragment of the datagram did not come in time.",
    FragmentTableFull = "fragment_table_full": "No room to remember the datagram or to hold a fragment that came before the first one.",
    FragmentUnsupported = "fragment_unsupported": "A fragment of a packet that must be seen whole: SCTP through a translation, an ICMP error, a neighbour solicitation.",
    FrameTooBig = "frame_too_big": "Larger than the way out takes; lower the pods' MTU or raise the uplink's.",
    TxRingFull = "tx_ring_full": "The transmit ring was full.",
    NoFreeFrame = "no_free_frame": "No UMEM frame was free.",
    BadDescriptor = "bad_descriptor": "The kernel named a descriptor outside the UMEM.",
    MulticastUnsupported = "multicast_unsupported": "Broadcast or multicast that the VRF does not carry: it has no `[[broadcast]]`, the scope is wider than the link, or the host's vif sends it.",
    NoMember = "no_member": "Broadcast or multicast that nobody else hears: no other pod of the VRF is up here, and no other node is listed in its `[[broadcast]]`.",
    BroadcastRatelimited = "broadcast_ratelimited": "The vif sends more broadcast and multicast than is carried for one vif in a second.",
}

/// How many reasons there are; the length of a row of drop counters.
pub const REASONS: usize = DropReason::ALL.len();

impl DropReason {
    /// Index into a row of counters.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The reason with this index.
    pub fn from_index(index: usize) -> Option<Self> {
        Self::ALL.get(index).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_stable_in_form() {
        let mut names: Vec<_> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
        assert!(
            names
                .iter()
                .all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'))
        );
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), REASONS);
    }

    #[test]
    fn index_and_reason_agree() {
        for (index, reason) in DropReason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), index);
            assert_eq!(DropReason::from_index(index), Some(*reason));
        }
        assert_eq!(DropReason::from_index(REASONS), None);
    }
}
