#!/usr/bin/env bash
# Writes docs/trace.md: traces and captures from a real run on the two nodes of the demo. Needs root and tcpdump.
#
#   docs/make-trace.sh VROUTERD VRCTL > docs/trace.md
set -euo pipefail
[[ $# -eq 2 ]] || { echo "usage: docs/make-trace.sh VROUTERD VRCTL" >&2; exit 1; }
vrouterd=$(realpath "$1") vrctl=$(realpath "$2")
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/sbin:/sbin"
work=/run/vr-demo

ask() { "$vrctl" --socket "$work/node-a/api.sock" "$@"; }
shown() {
    printf '\n```console\n$ vrctl %s\n' "$*"
    ask "$@" 2>&1 || printf '(exit code %s)\n' "$?"
    printf '```\n'
}
pod() { ip netns exec "vr-demo-$1" "${@:2}"; }

root=$PWD
trap '"$root/demo/run.sh" --remove' EXIT
KEEP=1 demo/run.sh "$vrouterd" >&2
cd "$work"

cat <<'EOF'
# Traces and captures

Written by `docs/make-trace.sh` (`make trace-page`) from a run on the two nodes of `make demo`; only `--socket` is left
out of the commands.

## What would happen to a packet

`vrctl trace` runs the stages of the workers over a packet that it makes itself, with the configuration and the flows of
this moment. Nothing is sent, and nothing changes: the stages work on tables of their own, which hold copies of the
flow pairs that they would meet. So the verdict is the workers' own, the chosen backend and the source port of the
tunnel included. The steps are told from what the stages have left behind, and where they say why (matched prefix,
members, rules) the same functions are asked again. `-o json` has every step in parts, and `GET /trace` of the pages too.
EOF
shown trace --vif client tcp 10.0.1.2:4000 10.96.0.10:80
printf '\nA pod that does not exist, a packet that does not fit, one from the other node to a label:\n'
shown trace --vif client icmp 10.0.1.2 192.0.2.1
shown trace --vif client --size 2000 udp 10.0.1.2:4000 10.0.2.2:53
shown trace --from-node 172.30.0.2 --label 17 tcp 10.0.2.2:80 10.0.1.2:4000
cat <<'EOF'

What a trace can not know: how often the vrouter has said something to a vif already (an answer that it names may be held
back by the rate limit), what other fragments of a datagram would do, and what comes a moment later. Where the flow table or
a vif's share of it is full, it looks whether the next insert would find an idle pair that gives way.

## What happens to the next packets

`vrctl trace --live` has the workers record packets that match all filters (`--vif --proto --src --dst --port`; addresses
as the packet comes), and ends after `--count` packets or `--seconds`. Each line: seconds since the boot of the node,
where the packet came in, whether its flow was known (`hit`), had to be derived again (`stale`) or was made (`miss`), the
packet, and its end.
EOF
(sleep 1; pod client ping -q -c 2 -i 0.2 10.0.2.2 >/dev/null; pod client ping -q -c 1 -W 0.2 192.0.2.1 >/dev/null || true) &
shown trace --live --vif client --proto icmp --count 5 --seconds 10
wait %1
cat <<'EOF'

## A capture

`vrctl capture` writes what a pod sends and receives into a pcapng file, as it is on the pod's end of the veth: behind the
translation, without tunnel headers. `--drops` adds packets that are dropped on the way to the pod, as they came in, and
writes the reason of each drop as the packet's comment (in Wireshark: `frame.comment`). Each vif is an interface of the file,
the time is that of the worker's batch in milliseconds. At most `--count` packets (10,000), `--bytes` of file (64 MiB),
`--seconds` (60), `--snap` bytes of each packet (1664).
EOF
(sleep 1; pod client ping -q -c 2 -i 0.2 10.0.2.2 >/dev/null; pod client ping -q -c 1 -W 0.2 192.0.2.1 >/dev/null || true) &
shown capture --vif client --drops --proto icmp --seconds 3 -w client.pcapng
wait %1
printf '\n```console\n$ tcpdump -n -t -r client.pcapng\n'
tcpdump -n -t -r client.pcapng 2>/dev/null
printf '```\n'
cat <<'EOF'

## What it costs

While nothing is armed a worker looks at one number per batch. While something is, each packet is compared with the
filters, and matches are copied into a ring of 512 records per worker, taken when the trace is armed and freed after its
end; a worker allocates nothing and never waits. What finds the ring full is counted: `--live` says so at the end, and a
capture has an interface statistics block with the number. At most four traces and captures run at once.
EOF
