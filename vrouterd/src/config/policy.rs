//! `[[policy]]`: which flows vifs may have.

use dataplane::desired::{IcmpVersion, Peers, Policy, Rule, RuleTraffic, Transport};
use dataplane::ids::PolicyName;
use ipnet::IpNet;

use super::ledger::Ledger;
use super::place::At;
use super::problem::{Reported, quote};
use super::scalar;
use super::section::{Item, Section};

/// Each policy of a vif is asked when a flow is set up.
const MOST_OF_A_VIF: usize = 64;

/// Where a rule stands: it says how its peers are called.
#[derive(Clone, Copy)]
enum List {
    Ingress,
    Egress,
}

impl List {
    fn peers_key(self) -> &'static str {
        match self {
            List::Ingress => "from",
            List::Egress => "to",
        }
    }
}

pub(super) fn policy(mut section: Section<'_>, ledger: &mut Ledger<'_>) -> Result<Policy, Reported> {
    let name = section.required("name", "name = \"web\"", scalar::path_name);
    let ingress = section.optional("ingress", |item| item.list(|item| rule(item.section()?, List::Ingress)));
    let egress = section.optional("egress", |item| item.list(|item| rule(item.section()?, List::Egress)));
    section.finish();
    if let Ok(name) = &name {
        ledger.claim_policy(name);
    }
    if let (Ok(None), Ok(None)) = (&ingress, &egress) {
        let remedy = "add `ingress` or `egress` with the rules that allow something; [] allows nothing";
        return Err(section.wrong("the policy restricts nothing", remedy));
    }
    let rules = |list: Option<At<Vec<At<Rule>>>>| {
        list.map(|list| list.value.into_iter().map(|rule| rule.value).collect())
    };
    Ok(Policy { name: name?.value.as_str().into(), ingress: rules(ingress?), egress: rules(egress?) })
}

/// The policies that a vif names.
pub(super) fn attached(item: &Item<'_>, ledger: &Ledger<'_>) -> Result<Vec<PolicyName>, Reported> {
    let mut seen: Vec<PolicyName> = Vec::new();
    let list = item.list(|element| {
        let name = ledger.policy(element)?;
        if seen.contains(&name) {
            let what = format!("policy {} is listed twice", quote(name.as_str()));
            return Err(element.wrong(what, "list each policy once"));
        }
        seen.push(name.clone());
        Ok(name)
    })?;
    if list.len() > MOST_OF_A_VIF {
        let what = format!("{} policies are given", list.len());
        let remedy = format!("give at most {MOST_OF_A_VIF}; a policy may have many rules");
        return Err(item.wrong(what, remedy));
    }
    Ok(list.into_iter().map(|at| at.value).collect())
}

/// What `protocol` may name.
#[derive(Clone, Copy)]
enum Protocol {
    Transport(Transport),
    Icmp(IcmpVersion),
    Number(u8),
}

fn rule(mut section: Section<'_>, list: List) -> Result<Rule, Reported> {
    let name = section.optional("name", scalar::name);
    let peers = section.or_default(list.peers_key(), Peers::Any, |item| peers(item, list));
    let protocol = section.optional("protocol", protocol);
    let ports = section.optional("port", scalar::port_range);
    let icmp_type = section.item("icmp_type");
    section.finish();

    let protocol = protocol?.map(|at| at.value);
    let traffic = match (protocol, ports?, icmp_type) {
        (None, None, None) => RuleTraffic::Any,
        (Some(Protocol::Transport(transport)), Some(ports), None) => {
            RuleTraffic::Ports { transport, ports: ports.value }
        }
        (Some(Protocol::Icmp(version)), None, Some(item)) => {
            RuleTraffic::Icmp { version, kind: question(&item, version)? }
        }
        (Some(protocol), None, None) => RuleTraffic::Protocol(number(protocol)),
        (_, _, Some(item)) => {
            let remedy = "write protocol = \"icmp\" or \"icmpv6\" and no `port`, or remove `icmp_type`";
            return Err(item.wrong("an ICMP type is given for something else than ICMP", remedy));
        }
        (_, Some(ports), None) => {
            let remedy = "write protocol = \"tcp\", \"udp\" or \"sctp\", or remove `port`";
            return Err(section.wrong_at(
                &ports.place,
                "a port is given without a protocol that has ports",
                remedy,
            ));
        }
    };
    let peers = peers?;
    check_family(&section, &traffic, &peers, list)?;
    Ok(Rule { name: name?.map(|at| at.value), peers, traffic })
}

fn peers(item: &Item<'_>, list: List) -> Result<Peers, Reported> {
    let prefixes = match list {
        List::Ingress => item.list(scalar::prefix)?,
        List::Egress => item.list(scalar::any_prefix)?,
    };
    if prefixes.is_empty() {
        let key = list.peers_key();
        let remedy = format!("give at least one prefix, or leave `{key}` out to allow any");
        return Err(item.wrong("the list is empty", remedy));
    }
    Ok(Peers::Within(prefixes.into_iter().map(|at| at.value).collect()))
}

fn protocol(item: &Item<'_>) -> Result<Protocol, Reported> {
    const WORDS: [(&str, Protocol); 5] = [
        ("tcp", Protocol::Transport(Transport::Tcp)),
        ("udp", Protocol::Transport(Transport::Udp)),
        ("sctp", Protocol::Transport(Transport::Sctp)),
        ("icmp", Protocol::Icmp(IcmpVersion::V4)),
        ("icmpv6", Protocol::Icmp(IcmpVersion::V6)),
    ];
    let words: Vec<String> = WORDS.iter().map(|(word, _)| quote(word)).collect();
    let remedy = format!("write {}, or a number from 0 to 255", words.join(" or "));
    let Some(word) = item.word() else {
        let given = item.byte(&remedy)?;
        let named = WORDS.iter().find(|(_, protocol)| number(*protocol) == given);
        return Ok(named.map_or(Protocol::Number(given), |(_, protocol)| *protocol));
    };
    match WORDS.iter().find(|(known, _)| *known == word) {
        Some((_, protocol)) => Ok(*protocol),
        None => Err(item.wrong(format_args!("{} is not one of the choices", quote(word)), remedy)),
    }
}

fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Transport(transport) => transport.number(),
        Protocol::Icmp(version) => version.number(),
        Protocol::Number(number) => number,
    }
}

/// A type that begins a flow; others would be rules that never decide anything.
fn question(item: &Item<'_>, version: IcmpVersion) -> Result<u8, Reported> {
    let kind = item.byte("write a number from 0 to 255")?;
    let answer = "is an answer, which passes with its question";
    let error = "is an error, which passes with the flow it speaks of";
    let never = "is never forwarded";
    let (what, remedy) = match (version, kind) {
        (IcmpVersion::V4, 0) => (answer, "write icmp_type = 8"),
        (IcmpVersion::V6, 129) => (answer, "write icmp_type = 128"),
        (IcmpVersion::V4, 14 | 16 | 18) | (IcmpVersion::V6, 140) => {
            (answer, "write the type of the question")
        }
        (IcmpVersion::V4, 3 | 11 | 12) | (IcmpVersion::V6, 0..=127) => (error, "remove the rule"),
        (IcmpVersion::V4, 4 | 5) | (IcmpVersion::V6, 133..=137) => (never, "remove the rule"),
        (IcmpVersion::V4 | IcmpVersion::V6, _) => return Ok(kind),
    };
    Err(item.wrong(format_args!("type {kind} {what}"), remedy))
}

/// Refuses a rule for the ICMP of one IP version with peers of the other alone.
fn check_family(
    section: &Section<'_>,
    traffic: &RuleTraffic,
    peers: &Peers,
    list: List,
) -> Result<(), Reported> {
    let (RuleTraffic::Icmp { .. } | RuleTraffic::Protocol(_), Peers::Within(prefixes)) = (traffic, peers)
    else {
        return Ok(());
    };
    let of = |version: IcmpVersion| match traffic {
        RuleTraffic::Icmp { version: of, .. } => *of == version,
        RuleTraffic::Protocol(number) => *number == version.number(),
        RuleTraffic::Any | RuleTraffic::Ports { .. } => false,
    };
    let is_v4 = |prefix: &IpNet| matches!(prefix, IpNet::V4(_));
    let (word, family) = if of(IcmpVersion::V4) && !prefixes.iter().any(is_v4) {
        ("icmp", "IPv4")
    } else if of(IcmpVersion::V6) && prefixes.iter().all(is_v4) {
        ("icmpv6", "IPv6")
    } else {
        return Ok(());
    };
    let key = list.peers_key();
    let remedy = format!("give {family} prefixes in `{key}`, or the ICMP of the other version");
    Err(section.wrong(format_args!("\"{word}\" is of {family}, and `{key}` has no such prefix"), remedy))
}
