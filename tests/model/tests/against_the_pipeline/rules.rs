//! Security policies that allow some of the traffic there is.

use dataplane::desired::{Desired, IcmpVersion, Peers, Policy, Rule, RuleTraffic, Transport};
use dataplane::ids::PolicyName;

use crate::dice::Dice;

const NAMES: [&str; 3] = ["p0", "p1", "p2"];
const PREFIXES: [&str; 6] =
    ["10.0.0.0/24", "10.1.0.0/16", "10.1.2.3/32", "10.96.0.0/24", "fd00::/16", "10.0.0.2/31"];

fn name(number: usize) -> PolicyName {
    NAMES[number % NAMES.len()].into()
}

fn rule(dice: &mut Dice<'_>) -> Rule {
    let mut prefix = || dice.pick(&PREFIXES).parse().unwrap();
    let within = [prefix(), prefix()];
    let peers = if dice.roll(2) == 0 { Peers::Any } else { Peers::Within(within.to_vec()) };
    let ports = |transport, ports| RuleTraffic::Ports { transport, ports };
    let traffic = dice.pick(&[
        ports(Transport::Tcp, 80..=80),
        ports(Transport::Tcp, 8000..=9000),
        ports(Transport::Udp, 53..=99),
        ports(Transport::Udp, 5353..=5353),
        ports(Transport::Sctp, 0..=u16::MAX),
        RuleTraffic::Protocol(17),
        RuleTraffic::Protocol(6),
        RuleTraffic::Icmp { version: IcmpVersion::V4, kind: 8 },
        RuleTraffic::Icmp { version: IcmpVersion::V6, kind: 128 },
        RuleTraffic::Icmp { version: IcmpVersion::V4, kind: 13 },
        RuleTraffic::Any,
    ]);
    Rule { name: None, peers, traffic }
}

/// Writes one of the policies anew.
pub(crate) fn rewrite(desired: &mut Desired, dice: &mut Dice<'_>) {
    let name = name(dice.roll(NAMES.len()));
    let mut rules = |absent: bool| {
        let count = dice.roll(4);
        (!absent).then(|| (0..count).map(|_| rule(dice)).collect())
    };
    let ingress = rules(false);
    let egress = rules(true);
    let turned = Policy { name: name.clone(), ingress: egress.clone(), egress: ingress.clone() };
    let policy = match dice.roll(3) {
        0 => turned,
        _ => Policy { name: name.clone(), ingress, egress },
    };
    desired.policies.retain(|other| other.name != name);
    desired.policies.push(policy);
}

/// Attaches some of the policies to a vif, often none.
pub(crate) fn attach(desired: &mut Desired, row: usize, dice: &mut Dice<'_>) {
    let known = |name: &PolicyName| desired.policies.iter().any(|policy| policy.name == *name);
    let wanted = [vec![], vec![0], vec![1], vec![0, 2], vec![2, 1]];
    let policies = dice.pick(&wanted).into_iter().map(name).filter(known).collect();
    let count = desired.vifs.len();
    desired.vifs[row % count].policies = policies;
}
