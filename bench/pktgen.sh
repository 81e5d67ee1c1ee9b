#!/usr/bin/env bash
# Sends UDP at a given rate with the kernel's pktgen, for machines that have it and for real interfaces: what
# `make bench-wire` does with live frames in its namespaces. Packets go to a service or a pod, one flow per source
# port; the receiver counts (`vrctl`, /metrics, ethtool -S).
#
#   bench/pktgen.sh --uplink eth1 --mac 00:00:5e:00:01:00 --source 10.0.1.2 --destination 10.96.0.10 \
#       [--port 9000] [--size 64] [--flows 1000] [--rate 500000] [--seconds 10]
#
# --uplink  interface to send out of, in this network namespace (in a pod: ip netns exec POD bench/pktgen.sh ...)
# --size    bytes of a frame with its frame check sequence
# --rate    packets per second; 0: as many as possible
set -euo pipefail

fail() { echo "pktgen.sh: $*" >&2; exit 1; }

uplink='' mac='' source='' destination='' port=9000 size=64 flows=1000 rate=0 seconds=10
while [[ $# -gt 0 ]]; do
    [[ $# -ge 2 ]] || fail "$1 needs a value"
    case $1 in
        --uplink) uplink=$2 ;;
        --mac) mac=$2 ;;
        --source) source=$2 ;;
        --destination) destination=$2 ;;
        --port) port=$2 ;;
        --size) size=$2 ;;
        --flows) flows=$2 ;;
        --rate) rate=$2 ;;
        --seconds) seconds=$2 ;;
        *) fail "$1 is no option; they stand at the top of this file" ;;
    esac
    shift 2
done
[[ -n $uplink && -n $mac && -n $source && -n $destination ]] ||
    fail "--uplink, --mac, --source and --destination must be given"
[[ $EUID -eq 0 ]] || fail "pktgen needs root"
((flows >= 1 && flows <= 64000)) || fail "--flows: 1 to 64000, one source port each"
((size >= 64 && size <= 1518)) || fail "--size: 64 to 1518"
[[ -e /proc/net/pktgen/pgctrl ]] || modprobe pktgen 2>/dev/null || true
[[ -e /proc/net/pktgen/pgctrl ]] || fail "this kernel has no pktgen (CONFIG_NET_PKTGEN); use make bench-wire"

control=/proc/net/pktgen/pgctrl
thread=/proc/net/pktgen/kpktgend_0
device=/proc/net/pktgen/$uplink

# What a command has led to stands in the file's last line (Documentation/networking/pktgen.rst).
order() {
    echo "$2" >"$1"
    local result
    result=$(grep -o 'Result: .*' "$1" || true)
    [[ $1 == "$control" || $result == *OK* ]] || fail "$2: ${result:-no answer}"
}
finish() {
    echo stop >"$control" 2>/dev/null || true
    echo rem_device_all >"$thread" 2>/dev/null || true
}
trap finish EXIT

order "$thread" rem_device_all
order "$thread" "add_device $uplink"
order "$device" "pkt_size $((size - 4))"
order "$device" "dst_mac $mac"
order "$device" "src_min $source"
order "$device" "src_max $source"
order "$device" "dst $destination"
order "$device" "udp_dst_min $port"
order "$device" "udp_dst_max $port"
order "$device" "udp_src_min 1024"
order "$device" "udp_src_max $((1024 + flows - 1))"
order "$device" "flag UDPSRC_RND"
order "$device" "count 0"
order "$device" "clone_skb 0"
if ((rate > 0)); then order "$device" "ratep $rate"; fi

echo start >"$control" &
sleep "$seconds"
echo stop >"$control"
wait
grep -A 2 'Result:' "$device"
