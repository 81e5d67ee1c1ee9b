#!/usr/bin/env bash
# Two nodes, five pods, one service: everything in network namespaces whose names begin with vr-demo-.
#
#   demo/run.sh VROUTERD    shows the vrouter at work and removes everything (KEEP=1 leaves it running)
#   demo/run.sh --remove    removes what KEEP=1 has left
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/sbin:/sbin"

prefix=vr-demo-
work=/run/vr-demo
cluster_ip=10.96.0.10
visits=60
bold='' plain=''
# Where the shown text goes, also while a command's output is thrown away.
exec 3>&1
if [[ -t 1 ]]; then bold=$'\e[1m' plain=$'\e[0m'; fi

heading() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
fail() { echo "demo: $*" >&2; exit 1; }

# Shows a command as an operator would type it, and runs it in a pod or node.
show() {
    printf '%s$ ip netns exec %s %s%s\n' "$bold" "$prefix$1" "${*:2}" "$plain"
    inside "$@"
}
inside() { ip netns exec "$prefix$1" "${@:2}"; }

# Runs a command in the background; it outlives this script if it is to be kept.
background() {
    local where=$1 log=$2
    setsid ip netns exec "$prefix$where" "${@:3}" </dev/null >"$work/$log.log" 2>&1 &
}

wait_for() {
    local what=$1 deadline=$((SECONDS + 15))
    until "${@:2}" >/dev/null 2>&1; do
        if ((SECONDS >= deadline)); then
            tail -n 20 "$work"/*.log >&2
            fail "not within 15 seconds: $what"
        fi
        sleep 0.05
    done
}

processes() {
    local name
    for name in $(ip netns list | awk -v p="$prefix" 'index($1, p) == 1 {print $1}'); do ip netns pids "$name"; done
}

remove() {
    local pids name deadline=$((SECONDS + 5))
    mapfile -t pids < <(processes)
    if [[ ${#pids[@]} -gt 0 ]]; then
        kill "${pids[@]}" 2>/dev/null || true
        while [[ -n $(processes) && $SECONDS -lt $deadline ]]; do sleep 0.05; done
        mapfile -t pids < <(processes)
        if [[ ${#pids[@]} -gt 0 ]]; then kill -KILL "${pids[@]}" 2>/dev/null || true; fi
    fi
    for name in $(ip netns list | awk -v p="$prefix" 'index($1, p) == 1 {print $1}'); do ip netns del "$name"; done
    rm -rf "$work"
}

namespace() {
    ip netns add "$prefix$1"
    inside "$1" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
    ip -n "$prefix$1" link set lo up
}

# node NAME ADDRESS: a namespace whose eth0 is plugged into the fabric's bridge.
node() {
    namespace "$1"
    ip -n "$prefix$1" link add eth0 mtu 1600 type veth peer name "$1" mtu 1600 netns "${prefix}fabric"
    ip -n "$prefix$1" address add "$2/24" dev eth0
    ip -n "$prefix$1" link set eth0 up
    ip -n "${prefix}fabric" link set "$1" master bridge up
}

# pod NAME NODE ADDRESS ADDRESS6 MAC: a namespace whose eth0 leads to veth-NAME on the node.
pod() {
    namespace "$1"
    ip -n "$prefix$2" link add "veth-$1" type veth peer name eth0 netns "$prefix$1"
    ip -n "$prefix$2" link set "veth-$1" up
    ip -n "$prefix$1" -batch - <<-EOF
		link set eth0 address $5 mtu 1500 up
		address add $3/32 dev eth0
		route add 169.254.1.1 dev eth0 scope link
		route add default via 169.254.1.1
		address add $4/128 dev eth0 nodad
		route add default via fe80::1 dev eth0
	EOF
}

# vrouter NODE: starts the daemon with a copy of demo/NODE.toml, to be changed while it runs.
vrouter() {
    cp "demo/$1.toml" "$work/$1.toml"
    background "$1" "$1" "$vrouterd" run --config "$work/$1.toml"
}

build_network() {
    namespace fabric
    ip -n "${prefix}fabric" link add bridge mtu 1600 type bridge
    ip -n "${prefix}fabric" link set bridge up
    node node-a 172.30.0.1
    node node-b 172.30.0.2
    pod client   node-a 10.0.1.2 fd00:1::2 02:00:00:00:0a:01
    pod web-1    node-a 10.0.1.3 fd00:1::3 02:00:00:00:0a:02
    pod stranger node-a 10.0.1.2 fd00:1::2 02:00:00:00:0a:03
    pod web-2    node-b 10.0.2.2 fd00:2::2 02:00:00:00:0b:01
    pod web-3    node-b 10.0.2.3 fd00:2::3 02:00:00:00:0b:02
    for name in web-1 web-2 web-3; do background "$name" "$name" python3 demo/web.py "$name" 8080; done
    for name in web-1 web-2 web-3; do
        wait_for "$name serves HTTP" inside "$name" curl -sf -m 1 http://127.0.0.1:8080/
    done
    cat <<'EOF'
    client      web-1     stranger          web-2      web-3
   10.0.1.2    10.0.1.3   10.0.1.2         10.0.2.2   10.0.2.3
   VRF blue    VRF blue   VRF green        VRF blue   VRF blue
      |           |           |                |          |
  +---+-----------+-----------+---+        +---+----------+---+
  | node-a             172.30.0.1 |--------| 172.30.0.2 node-b|
  +-------------------------------+        +------------------+
  Service 10.96.0.10:80 -> port 8080 of web-1, web-2 and web-3
EOF
}

start_vrouters() {
    vrouter node-a
    vrouter node-b
    for name in node-a node-b; do
        wait_for "the vrouter of $name is ready" inside "$name" curl -sf -m 1 http://127.0.0.1:8085/readyz
        echo "$name is ready, its log is $work/$name.log"
    done
    wait_for "node-a reaches node-b" inside client ping -c 1 -W 1 10.0.2.2
}

visit_service() {
    local i
    for ((i = 0; i < visits; i++)); do inside client curl -sS -m 5 "http://$cluster_ip/"; done >"$work/answers"
    head -n 6 "$work/answers"
    echo "..."
    echo "$visits answers, by backend:"
    cut -d ' ' -f 1 "$work/answers" | sort | uniq -c
    [[ $(cut -d ' ' -f 1 "$work/answers" | sort -u | wc -l) -eq 3 ]] || fail "not all three backends have answered"
    [[ $(cut -d ' ' -f 2- "$work/answers" | grep -c '^saw 10.0.1.2 ') -eq $visits ]] ||
        fail "a backend has not seen the client's own address"
}

received() { inside "$1" cat /sys/class/net/eth0/statistics/rx_packets; }

show_isolation() {
    echo "The pod stranger has the client's address, 10.0.1.2, but is in VRF green."
    if show stranger ping -n -c 2 -i 0.2 -W 1 10.0.2.2; then fail "the stranger reaches a pod of VRF blue"; fi
    if show stranger curl -sS -m 1 "http://$cluster_ip/"; then fail "the stranger reaches the service of VRF blue"; fi
    local before after
    before=$(received stranger)
    inside client ping -q -c 20 -i 0.01 10.0.2.2 >/dev/null
    after=$(received stranger)
    echo "The client got 20 answers to 10.0.1.2; packets that the stranger has received meanwhile: $((after - before))"
}

show_throughput() {
    background web-2 iperf3 iperf3 --server --one-off
    wait_for "iperf3 listens" inside web-2 bash -c 'ss -ltn | grep -q :5201'
    show client iperf3 -c 10.0.2.2 -t 4 -f m
}

show_outer_packet() {
    background fabric tcpdump tcpdump -i node-a -U -s 200 -w "$work/outer.pcap" udp dst port 6635
    wait_for "tcpdump listens" grep -q 'listening on' "$work/tcpdump.log"
    # One of these goes to a backend on the other node, unless all ten fall to web-1 (1 in 59,000).
    for _ in {1..10}; do inside client curl -sS -m 5 "http://$cluster_ip/" >/dev/null; done
    wait_for "an outer packet is captured" python3 demo/decode.py "$work/outer.pcap" "$cluster_ip"
    echo "From node-a to node-b, captured on the wire between them:"
    python3 demo/decode.py "$work/outer.pcap" "$cluster_ip"
}

show_page() {
    printf '%s$ ip netns exec %s curl -s http://127.0.0.1:8085/vif/client?format=json%s\n' "$bold" "${prefix}node-a" "$plain"
    inside node-a curl -sS "http://127.0.0.1:8085/vif/client?format=json" | python3 demo/summary.py
}

try_it() {
    cat <<EOF

It keeps running. Things to try:
  ip netns exec ${prefix}client curl http://$cluster_ip/            one backend answers
  ip netns exec ${prefix}client ping fd00:2::2                      a pod on the other node
  ip netns exec ${prefix}node-a curl http://127.0.0.1:8085/metrics  counters of node-a
  ip netns exec ${prefix}fabric tcpdump -ni node-a udp port 6635    the tunnels
  \$EDITOR $work/node-a.toml                             then: kill -HUP \$(ip netns pids ${prefix}node-a)
Remove it by: make demo-clean
EOF
}

finish() {
    local code=$?
    trap - EXIT INT TERM
    if [[ $code -eq 0 && ${KEEP:-} == 1 ]]; then
        try_it
    else
        heading "Removing everything" >&3
        remove
    fi
    exit "$code"
}

[[ $EUID -eq 0 ]] || fail "namespaces need root: run it by 'make demo'"
[[ $# -eq 1 ]] || fail "usage: demo/run.sh VROUTERD | --remove"
if [[ $1 == --remove ]]; then
    remove
    exit
fi
vrouterd=$(realpath "$1")
[[ -x $vrouterd ]] || fail "$vrouterd is not there: run it by 'make demo'"
remove
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir -p "$work"

heading "1. Two nodes, five pods"
build_network
heading "2. A vrouter on each node"
start_vrouters
heading "3. Ping from node to node: routed once, so ttl 63"
show client ping -n -c 3 -i 0.2 10.0.2.2
heading "4. $visits requests to the ClusterIP"
visit_service
heading "5. The other VRF sees nothing"
show_isolation
heading "6. Throughput from pod to pod, across the nodes"
show_throughput
heading "7. What is on the wire"
show_outer_packet
heading "8. The client's interface, as node-a's vrouter shows it"
show_page
heading "Done in $SECONDS seconds."
