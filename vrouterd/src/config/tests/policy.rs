//! Policies that are bad, and the exact words that refuse them; lines start at 16.

use super::bad::assert_refused;
use super::{NODE, VIFS};

#[track_caller]
fn refused(lines: &[&str], expected: &[&str]) {
    assert_refused(&format!("{NODE}{VIFS}{}\n", lines.join("\n")), expected);
}

#[test]
fn names_and_lists() {
    refused(
        &[
            "[[policy]]",
            "name = \"web\"",
            "ingress = []",
            "[[policy]]",
            "name = \"web\"",
            "[[policy]]",
            "name = \"a/b\"",
            "egress = []",
        ],
        &[
            "f:19:1: policy[1]: the policy restricts nothing: add `ingress` or `egress` with the rules that allow \
             something; [] allows nothing",
            "f:20:8: policy[1].name: a policy \"web\" is already there (line 17): give each policy its own name",
            "f:22:8: policy[2].name: the name \"a/b\" cannot be part of a URL: use a name without '/' that is neither \
             \".\" nor \"..\"",
        ],
    );
}

#[test]
fn policies_of_a_vif() {
    refused(
        &["policies = [\"wbe\", \"web\", \"web\", \"none\"]", "[[policy]]", "name = \"web\"", "ingress = []"],
        &[
            "f:16:13: vif[0].policies[0]: there is no policy \"wbe\" (did you mean \"web\"?): use a configured policy, \
             or add [[policy]] with name = \"wbe\"",
            "f:16:27: vif[0].policies[2]: policy \"web\" is listed twice: list each policy once",
            "f:16:34: vif[0].policies[3]: there is no policy \"none\": use a configured policy, or add [[policy]] with \
             name = \"none\"",
        ],
    );
    let names: Vec<String> = (0..65).map(|n| format!("\"p{n}\"")).collect();
    let tables: String =
        names.iter().map(|name| format!("[[policy]]\nname = {name}\ningress = []\n")).collect();
    refused(
        &[&format!("policies = [{}]", names.join(", ")), &tables],
        &["f:16:12: vif[0].policies: 65 policies are given: give at most 64; a policy may have many rules"],
    );
}

#[test]
fn peers_and_ports() {
    refused(
        &[
            "[[policy]]",
            "name = \"web\"",
            "ingress = [",
            "{ to = [\"10.0.0.0/8\"] },",
            "{ from = [] },",
            "{ from = [\"10.0.0.1/8\", \"10.0.0.1\"] },",
            "{ port = 80 },",
            "{ protocol = \"icmp\", port = 80 },",
            "{ protocol = 47, port = \"80-90\" },",
            "{ protocol = \"tcp\", port = \"90-80\" },",
            "{ protocol = \"gre\" },",
            "{ protocol = 256 },",
            "]",
        ],
        &[
            "f:19:3: policy[0].ingress[0]: unknown key \"to\": remove it, or use one of name, from, protocol, port, \
             icmp_type",
            "f:20:10: policy[0].ingress[1].from: the list is empty: give at least one prefix, or leave `from` out to \
             allow any",
            "f:21:11: policy[0].ingress[2].from[0]: 10.0.0.1/8 has bits set behind its length: write \"10.0.0.0/8\", or \
             a longer prefix",
            "f:21:25: policy[0].ingress[2].from[1]: \"10.0.0.1\" is not a prefix: for one host write \"10.0.0.1/32\"",
            "f:22:10: policy[0].ingress[3].port: a port is given without a protocol that has ports: write protocol = \
             \"tcp\", \"udp\" or \"sctp\", or remove `port`",
            "f:23:29: policy[0].ingress[4].port: a port is given without a protocol that has ports: write protocol = \
             \"tcp\", \"udp\" or \"sctp\", or remove `port`",
            "f:24:25: policy[0].ingress[5].port: a port is given without a protocol that has ports: write protocol = \
             \"tcp\", \"udp\" or \"sctp\", or remove `port`",
            "f:25:28: policy[0].ingress[6].port: the range \"90-80\" is empty: give the lower port first",
            "f:26:14: policy[0].ingress[7].protocol: \"gre\" is not one of the choices: write \"tcp\" or \"udp\" or \
             \"sctp\" or \"icmp\" or \"icmpv6\", or a number from 0 to 255",
            "f:27:14: policy[0].ingress[8].protocol: 256 is out of range: write \"tcp\" or \"udp\" or \"sctp\" or \
             \"icmp\" or \"icmpv6\", or a number from 0 to 255",
        ],
    );
}

#[test]
fn types_of_icmp() {
    refused(
        &[
            "[[policy]]",
            "name = \"web\"",
            "egress = [",
            "{ icmp_type = 8 },",
            "{ protocol = \"tcp\", port = 80, icmp_type = 8 },",
            "{ protocol = \"icmp\", icmp_type = 0 },",
            "{ protocol = \"icmp\", icmp_type = 3 },",
            "{ protocol = \"icmp\", icmp_type = 5 },",
            "{ protocol = \"icmpv6\", icmp_type = 140 },",
            "{ protocol = 58, icmp_type = 256 },",
            "{ to = [\"fd00::/8\"], protocol = \"icmp\" },",
            "{ to = [\"10.0.0.0/8\"], protocol = \"icmpv6\", icmp_type = 128 },",
            "]",
        ],
        &[
            "f:19:15: policy[0].egress[0].icmp_type: an ICMP type is given for something else than ICMP: write \
             protocol = \"icmp\" or \"icmpv6\" and no `port`, or remove `icmp_type`",
            "f:20:44: policy[0].egress[1].icmp_type: an ICMP type is given for something else than ICMP: write \
             protocol = \"icmp\" or \"icmpv6\" and no `port`, or remove `icmp_type`",
            "f:21:34: policy[0].egress[2].icmp_type: type 0 is an answer, which passes with its question: write \
             icmp_type = 8",
            "f:22:34: policy[0].egress[3].icmp_type: type 3 is an error, which passes with the flow it speaks of: \
             remove the rule",
            "f:23:34: policy[0].egress[4].icmp_type: type 5 is never forwarded: remove the rule",
            "f:24:36: policy[0].egress[5].icmp_type: type 140 is an answer, which passes with its question: write \
             the type of the question",
            "f:25:30: policy[0].egress[6].icmp_type: 256 is out of range: write a number from 0 to 255",
            "f:26:1: policy[0].egress[7]: \"icmp\" is of IPv4, and `to` has no such prefix: give IPv4 prefixes in `to`, \
             or the ICMP of the other version",
            "f:27:1: policy[0].egress[8]: \"icmpv6\" is of IPv6, and `to` has no such prefix: give IPv6 prefixes in \
             `to`, or the ICMP of the other version",
        ],
    );
}
