//! Broadcasts that are bad, and the exact words that refuse them; lines start at 16.

use super::bad::assert_refused;
use super::{NODE, VIFS, sound};

#[track_caller]
fn refused(lines: &[&str], expected: &[&str]) {
    assert_refused(&format!("{NODE}{VIFS}{}\n", lines.join("\n")), expected);
}

#[test]
fn whose_and_by_what_label() {
    refused(
        &[
            "[[broadcast]]",
            "[[broadcast]]",
            "vrf = \"blue\"",
            "label = 17",
            "[[broadcast]]",
            "vrf = \"blue\"",
        ],
        &[
            "f:16:1: broadcast[0]: the key `vrf` is missing: add vrf = \"blue\"",
            "f:19:9: broadcast[1].label: 17 is already the label of vif \"client\" (line 9): give each VRF, broadcast \
             and vif its own label, 16 to 1048575",
            "f:21:7: broadcast[2].vrf: VRF \"blue\" already has a [[broadcast]] (line 18): put all of it into one table",
        ],
    );
}

#[test]
fn subnets() {
    refused(
        &[
            "[[broadcast]]",
            "vrf = \"blue\"",
            "subnets = [\"fd00::/64\", \"10.0.1.2/31\", \"10.0.1.0/31\", \"10.0.0.0/16\", \"10.0.0.0/16\", \
             \"10.0.0.240/28\"]",
            "[[service]]",
            "vrf = \"blue\"",
            "address = \"10.0.0.255\"",
            "ports = [{ protocol = \"udp\", port = 53 }]",
            "backends = []",
        ],
        &[
            "f:18:12: broadcast[0].subnets[0]: fd00::/64: IPv6 has no broadcast: leave it out: link-local multicast \
             needs no subnet",
            "f:18:25: broadcast[0].subnets[1]: 10.0.1.2/31 has no broadcast address: write the subnet that the pods \
             are in, or leave it out",
            "f:18:40: broadcast[0].subnets[2]: 10.0.1.0/31 has no broadcast address: write the subnet that the pods \
             are in, or leave it out",
            "f:18:70: broadcast[0].subnets[4]: 10.0.0.0/16 is listed twice: list each subnet once",
            "f:18:85: broadcast[0].subnets[5]: 10.0.0.255, which means all of 10.0.0.240/28, is the address of service \
             \"10.0.0.255\" (line 19): write the right length, or change that address",
        ],
    );
    let many: Vec<String> = (0..17).map(|n| format!("\"10.{n}.0.0/16\"")).collect();
    refused(
        &["[[broadcast]]", "vrf = \"blue\"", &format!("subnets = [{}]", many.join(", "))],
        &["f:18:11: broadcast[0].subnets: 17 subnets are given: give at most 16"],
    );
}

#[test]
fn nodes() {
    refused(
        &[
            "[[broadcast]]",
            "vrf = \"blue\"",
            "nodes = [{ tunnel = \"172.30.0.1\", label = 20 }, { tunnel = \"fd00::9\", label = 20 }, { label = 20 }, \
             { tunnel = \"172.30.0.2\" }, { tunnel = \"172.30.0.3\", label = 2, wheight = 1 }, \
             { tunnel = \"172.30.0.4\", label = 20 }, { tunnel = \"172.30.0.4\", label = 21 }]",
        ],
        &[
            "f:18:21: broadcast[0].nodes[0].tunnel: 172.30.0.1 is this node's own tunnel address: name a vif for a pod \
             of this node",
            "f:18:60: broadcast[0].nodes[1].tunnel: fd00::9 is of another family than node.tunnel_address 172.30.0.1: \
             use tunnel addresses of one family on all nodes",
            "f:18:85: broadcast[0].nodes[2]: the key `tunnel` is missing: add tunnel = \"172.30.0.2\"",
            "f:18:101: broadcast[0].nodes[3]: the key `label` is missing: add label = 101",
            "f:18:161: broadcast[0].nodes[4].label: 2 is out of range: write a number from 16 to 1048575",
            "f:18:164: broadcast[0].nodes[4]: unknown key \"wheight\": remove it, or use one of tunnel, label",
            "f:18:218: broadcast[0].nodes[6]: node 172.30.0.4 is listed twice: list each node once: its pods would \
             hear everything twice",
        ],
    );
}

#[test]
fn more_vifs_than_there_may_be_copies() {
    let vif = |n: usize| {
        format!(
            "[[vif]]\nname = \"x{n}\"\nifname = \"x{n}\"\nvrf = \"blue\"\naddresses = [\"10.7.{}.{}\"]\n\
             mac = \"02:00:00:00:0b:01\"\nlabel = {}\n",
            n / 250,
            n % 250 + 1,
            1000 + n
        )
    };
    let with = |count: usize| {
        let vifs: String = (0..count).map(vif).collect();
        format!("{NODE}{VIFS}[[broadcast]]\nvrf = \"blue\"\n{vifs}")
    };
    sound(&with(255));
    assert_refused(
        &with(256),
        &[
            "f:16:1: broadcast[0]: VRF \"blue\" has 257 vifs, and each costs a copy of every broadcast: at most 256 \
           vifs of a VRF can hear broadcasts: remove this table",
        ],
    );
}

#[test]
fn rules_may_name_groups() {
    let policy =
        |list: &str| format!("{NODE}{VIFS}[[policy]]\nname = \"p\"\n{list} = [\"224.0.0.251/32\"] }}]\n");
    sound(&policy("egress = [{ to"));
    assert_refused(
        &policy("ingress = [{ from"),
        &["f:18:22: policy[0].ingress[0].from[0]: 224.0.0.251/32 is multicast: route unicast prefixes only"],
    );
}
