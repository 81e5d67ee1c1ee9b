//! The rules of one direction of a policy: by peer first, then by kind of packet.
//!
//! ```text
//! 10.0.0.0/8 ----> [tcp 80 | tcp 8000-8100 | ...]   each a binary search; of all prefixes that
//!   10.1.0.0/16 -> [udp 53 | ...]                    hold the peer the lowest rule index wins
//! ```

use core::net::{Ipv4Addr, Ipv6Addr};
use core::ops::RangeInclusive;
use std::collections::{BTreeMap, BTreeSet};

use flow_table::{Addr, Family};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;

use super::spans::{Kind, RuleIndex, Spans, interval};
use crate::desired::{Peers, Rule};

/// Rules compiled for look-up. Its size grows with the number of peers of all rules together.
#[derive(Clone, Debug)]
pub(super) struct RuleTable {
    v4: PrefixMap<Ipv4Net, Spans>,
    v6: PrefixMap<Ipv6Net, Spans>,
}

impl RuleTable {
    pub(super) fn new(rules: &[Rule]) -> Self {
        let mut by_peer: BTreeMap<IpNet, Vec<(RangeInclusive<u32>, RuleIndex)>> = BTreeMap::new();
        for (index, rule) in (0..).zip(rules) {
            for prefix in prefixes(&rule.peers) {
                by_peer.entry(prefix).or_default().push((interval(&rule.traffic), index));
            }
        }
        let mut table = Self { v4: PrefixMap::new(), v6: PrefixMap::new() };
        for (prefix, rules) in by_peer {
            let spans = Spans::new(&rules);
            match prefix {
                IpNet::V4(prefix) => drop(table.v4.insert(prefix, spans)),
                IpNet::V6(prefix) => drop(table.v6.insert(prefix, spans)),
            }
        }
        table
    }

    /// The first rule that allows this kind of packet with this peer.
    pub(super) fn first(&self, family: Family, peer: Addr, kind: Kind) -> Option<RuleIndex> {
        match family {
            Family::V4 => {
                let host = Ipv4Net::from(Ipv4Addr::from_bits(peer.0 as u32));
                self.v4.cover_values(&host).filter_map(|spans| spans.first(kind)).min()
            }
            Family::V6 => {
                let host = Ipv6Net::from(Ipv6Addr::from_bits(peer.0));
                self.v6.cover_values(&host).filter_map(|spans| spans.first(kind)).min()
            }
        }
    }
}

fn prefixes(peers: &Peers) -> BTreeSet<IpNet> {
    match peers {
        Peers::Any => [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())].into(),
        Peers::Within(prefixes) => prefixes.iter().map(IpNet::trunc).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::desired::{RuleTraffic, Transport};
    use crate::fib::family_and_addr;

    fn traffic() -> impl Strategy<Value = RuleTraffic> {
        let ports = (0u16..40, 0u16..10).prop_map(|(first, more)| RuleTraffic::Ports {
            transport: Transport::Udp,
            ports: first..=first + more,
        });
        prop_oneof![Just(RuleTraffic::Any), Just(RuleTraffic::Protocol(17)), ports]
    }

    fn rule() -> impl Strategy<Value = Rule> {
        let v4 = (0u8..8, 24u8..=32).prop_map(|(low, len)| format!("10.0.0.{low}/{len}"));
        let v6 = (0u8..8, 120u8..=128).prop_map(|(low, len)| format!("fd00::{low:x}/{len}"));
        let prefix = prop_oneof![v4, v6].prop_map(|text| text.parse::<IpNet>().unwrap());
        let within = proptest::collection::vec(prefix, 0..4).prop_map(Peers::Within);
        (prop_oneof![1 => Just(Peers::Any), 9 => within], traffic()).prop_map(|(peers, traffic)| Rule {
            name: None,
            peers,
            traffic,
        })
    }

    fn allows(rule: &Rule, peer: core::net::IpAddr, protocol: u8, port: u16) -> bool {
        let from = match &rule.peers {
            Peers::Any => true,
            Peers::Within(prefixes) => prefixes.iter().any(|prefix| prefix.contains(&peer)),
        };
        from && match &rule.traffic {
            RuleTraffic::Any => true,
            RuleTraffic::Protocol(number) => *number == protocol,
            RuleTraffic::Ports { transport, ports } => {
                transport.number() == protocol && ports.contains(&port)
            }
            RuleTraffic::Icmp { .. } => false,
        }
    }

    proptest! {
        #[test]
        fn the_first_rule_is_that_of_a_linear_search(
            rules in proptest::collection::vec(rule(), 0..30), low in 0u8..10, v6: bool,
            protocol in prop_oneof![Just(17u8), Just(6)], port in 0u16..60,
        ) {
            let text = if v6 { format!("fd00::{low:x}") } else { format!("10.0.0.{low}") };
            let peer = text.parse().unwrap();
            let (family, addr) = family_and_addr(peer);
            let found = RuleTable::new(&rules).first(family, addr, Kind::new(protocol, port));
            let linear = rules.iter().position(|rule| allows(rule, peer, protocol, port));
            prop_assert_eq!(found.map(|index| index as usize), linear);
        }
    }
}
