#!/usr/bin/env bash
# Writes docs/vrctl.md: what every noun says, from a real run on the two nodes of the demo. Needs root.
#
#   docs/make-vrctl.sh VROUTERD VRCTL > docs/vrctl.md
set -euo pipefail
[[ $# -eq 2 ]] || { echo "usage: docs/make-vrctl.sh VROUTERD VRCTL" >&2; exit 1; }
vrouterd=$(realpath "$1") vrctl=$(realpath "$2")
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/sbin:/sbin"
work=/run/vr-demo
node=node-a

say() { printf '%s\n' "$@"; }
section() { printf '\n## %s\n\n%s\n' "$1" "$2"; }
ask() { "$vrctl" --socket "$work/$node/api.sock" "$@"; }
# A command as an operator types it on the node, and what it prints.
shown() {
    printf '\n```console\n$ vrctl %s\n' "$*"
    ask "$@" 2>&1 || printf '(exit code %s)\n' "$?"
    printf '```\n'
}
pod() { ip netns exec "vr-demo-$1" "${@:2}"; }

root=$PWD
trap '"$root/demo/run.sh" --remove' EXIT
KEEP=1 demo/run.sh "$vrouterd" >&2
ip -n vr-demo-node-a link add veth-late type veth peer name veth-pod
ip -n vr-demo-node-a link set veth-late up
ip -n vr-demo-node-a link set veth-pod up
pod client ping -q -c 2 -i 0.2 -W 0.2 203.0.113.1 >&2 || true
cat >"$work/green.toml" <<'EOF'
[[vrf]]
name = "red"

[[route]]
vrf = "red"
prefix = "0.0.0.0/0"
action = "discard"
EOF
printf '[[vrf]]\nname = "red"\nlabel = 7\n' >"$work/bad.toml"
cd "$work"

cat <<'EOF'
# vrctl

The operator's command line. It speaks to the daemon's socket (`--socket`, by default `/run/vrouter/api.sock`), or reads
the daemon's pages over TCP (`--url http://127.0.0.1:8085`); changes go through the socket only. This page is written by
`docs/make-vrctl.sh` from a run on the two nodes of `make demo`; only `--socket` is left out of the commands.

* `-o json` and `-o yaml` give the daemon's own document; a table is for people and may change.
* Exit codes: 0 there is an answer; 1 the daemon gives none; 2 the command line is wrong, names something that is not
  there, or asks for what the daemon refuses.
* Colours on a terminal only, and not with `NO_COLOR`.
* `vrctl completion bash|zsh|fish` writes the completion of a shell, `make man` the manual pages (`target/man`).
EOF
section "vif" "Interfaces of pods and of the host."
shown vif list
shown vif show client
say "" "\`attach\` declares a vif and answers when packets flow; \`--file\` takes all keys of [configuration.md](configuration.md)."
shown vif attach late --ifname veth-late --vrf blue --address 10.0.1.9 --mac 02:00:00:00:0a:09 --label 29
shown vif attach web-9 --ifname veth-late --vrf bleu --address 10.0.1.9 --mac 02:00:00:00:0a:09 --label 17
shown vif detach late
section "vrf" "Private routing tables."
shown vrf list
shown vrf show green
section "route" "\`get\` says which route packets to an address take, by longest prefix match."
shown route list --vrf green
shown route get 10.96.0.10 --vrf blue
shown route get 203.0.113.1 --vrf blue
section "nh" "Next hops."
shown nh
section "label" "Labels that this node has given out."
shown label
section "tunnel" "The ways to other nodes."
shown tunnel
section "service" "Services and their backends."
shown service list
shown service show 10.96.0.10
section "policy" "Security policies, a line for every rule."
ask config apply - >/dev/null <<'EOF'
[[policy]]
name = "web"
ingress = [{ name = "http", protocol = "tcp", port = 8080, from = ["10.0.0.0/8"] }, { protocol = "icmp" }]
egress = []

[[vif]]
name = "late"
ifname = "veth-late"
vrf = "blue"
addresses = ["10.0.1.9"]
mac = "02:00:00:00:0a:09"
label = 30
policies = ["web"]
EOF
shown policy
ask config apply - </dev/null >/dev/null
section "flow" "Flow pairs, by \`--vif --vrf --proto --src --dst --addr --port --state\`, \`--top packets|bytes\` and \`--limit\`."
shown flow list --top bytes --limit 2
shown flow show --top bytes --limit 1
shown flow flush --vif client --dst 10.96.0.10
section "drops" "Dropped packets by reason; \`--watch\` tells of them as they come."
shown drops
shown drops --vif client
(pod client ping -q -c 40 -i 0.1 -W 0.1 203.0.113.1 >/dev/null 2>&1 || true) &
shown drops --watch --count 2
section "top" "Rates, full screen: \`q\` ends it, \`p\`, \`b\`, \`d\` and \`n\` choose the order. \`--once\` prints one view."
(pod client ping -q -c 30 -i 0.05 10.0.2.2 >/dev/null 2>&1 || true) &
shown top --once
section "follow" "Walks a destination from node to node; every next hop of a route is followed."
shown follow 10.96.0.10 --vrf blue --node "node-a=$work/node-a/api.sock" --node "node-b=$work/node-b/api.sock"
shown follow 10.0.2.2 --vrf blue
section "trace" "What would happen to a packet, and why: nothing is sent. With \`--live\`, what happens to the next real ones."
shown trace --vif client tcp 10.0.1.2:4000 10.96.0.10:80
shown trace --vif client icmp 10.0.1.2 203.0.113.1
(sleep 0.5; pod client ping -q -c 2 -i 0.2 10.0.2.2 >/dev/null 2>&1) &
shown trace --live --vif client --count 1
section "capture" "Packets as a vif sees them into a pcapng file, dropped ones with their reason."
(sleep 0.5; pod client ping -q -c 3 -i 0.2 10.0.2.2 >/dev/null 2>&1) &
shown capture --vif client --count 4 --seconds 5 -w client.pcapng
section "config" "All that programs have asked for, as one document, TOML or JSON."
shown config diff green.toml
shown config check bad.toml
shown config apply green.toml
shown config get
section "watch" "What changes, a line each."
(sleep 0.5; ask config apply - </dev/null >/dev/null) &
shown watch --count 1
section "worker" "Worker threads, their frames and rings."
shown worker
section "stats" "The node as a whole, and what is wrong with it."
shown stats
wait
