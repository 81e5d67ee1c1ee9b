// SPDX-License-Identifier: Apache-2.0
/* The trunk between the pods and the engine. On it the VLAN id names the vif ("slot").
 *
 *   pod -> node end of its veth --port_in: push slot--> trunk0 => trunk1 --trunk_xdp--> AF_XDP
 *   AF_XDP -> trunk1 => trunk0 --trunk_in: pop slot--> pod
 *
 * A pod's frame never reaches the host's stack: each of the three programs ends in a redirect or in a counted
 * drop, none in a pass. */
#include "vrouter.bpf.h"

#include <linux/if_packet.h>
#include <linux/pkt_cls.h>

#define SLOTS 4096

struct trunk_config {
	__u32 trunk0;
	__u32 queues;
};

enum slot_kind {
	SLOT_EMPTY,
	/* The vif's other end lives in another network namespace. */
	SLOT_PEER,
	/* The other end lives in the node's namespace, where bpf_redirect_peer() drops. */
	SLOT_PLAIN,
};

struct slot {
	__u32 ifindex;
	__u32 kind;
};

enum counter {
	COUNTER_PORT_REDIRECTED,
	COUNTER_PORT_UNKNOWN,
	COUNTER_PORT_TAGGED,
	COUNTER_PORT_FAILED,
	COUNTER_TRUNK_REDIRECTED,
	COUNTER_TRUNK_UNTAGGED,
	COUNTER_TRUNK_UNKNOWN_SLOT,
	COUNTER_TRUNK_FAILED,
	COUNTER_ENGINE_REDIRECTED,
	COUNTER_ENGINE_NO_SOCKET,
	COUNTERS,
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct trunk_config);
} config SEC(".maps");

/* ifindex of the node's end -> slot */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct slot);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, XSK_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} xsks SEC(".maps");

static __always_inline int drop(enum counter why)
{
	count(&counters, why);
	return TC_ACT_SHOT;
}

/* Returns 1 and the tag's VID if the frame is tagged, 0 if not, negative on a truncated tag. The kernel moves
 * the outer tag from the data into the metadata before TC sees the frame (net/core/dev.c, skb_vlan_untag);
 * a tag still in the data is looked for all the same. */
static __always_inline int outer_vid(struct __sk_buff *skb, __u32 *vid)
{
	__be16 tci;

	if (skb->vlan_present) {
		*vid = skb->vlan_tci & VLAN_VID_MASK;
		return 1;
	}
	if (!is_vlan_ethertype((__be16)skb->protocol))
		return 0;
	if (bpf_skb_load_bytes(skb, ETH_HLEN, &tci, sizeof(tci)))
		return -1;
	*vid = bpf_ntohs(tci) & VLAN_VID_MASK;
	return 1;
}

/* A priority tag (VID 0) is taken off; what is tagged after that is refused: the slot must be the only tag. */
static __always_inline int strip_priority_tag(struct __sk_buff *skb)
{
	__u32 vid = 0;
	int tagged = outer_vid(skb, &vid);

	if (tagged == 0)
		return 0;
	if (tagged < 0 || vid != 0 || bpf_skb_vlan_pop(skb))
		return -1;
	return outer_vid(skb, &vid) == 0 ? 0 : -1;
}

SEC("classifier")
int port_in(struct __sk_buff *skb)
{
	__u32 zero = 0, ifindex = skb->ifindex;
	const struct trunk_config *cfg = bpf_map_lookup_elem(&config, &zero);
	const __u32 *slot = bpf_map_lookup_elem(&ports, &ifindex);

	if (!cfg || cfg->trunk0 == 0 || cfg->queues == 0 || !slot)
		return drop(COUNTER_PORT_UNKNOWN);
	if (strip_priority_tag(skb))
		return drop(COUNTER_PORT_TAGGED);

	/* The transmit queue of trunk0 is queue_mapping - 1 (net/core/dev.c, skb_tx_hash), and it becomes the
	 * receive queue of trunk1. */
	skb->queue_mapping = bpf_get_hash_recalc(skb) % cfg->queues + 1;
	if (bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), *slot))
		return drop(COUNTER_PORT_FAILED);
	count(&counters, COUNTER_PORT_REDIRECTED);
	return bpf_redirect(cfg->trunk0, 0);
}

SEC("classifier")
int trunk_in(struct __sk_buff *skb)
{
	const struct slot *slot;
	__u32 vid = 0;

	if (outer_vid(skb, &vid) != 1)
		return drop(COUNTER_TRUNK_UNTAGGED);
	slot = bpf_map_lookup_elem(&slots, &vid);
	if (!slot || slot->kind == SLOT_EMPTY)
		return drop(COUNTER_TRUNK_UNKNOWN_SLOT);
	if (bpf_skb_vlan_pop(skb))
		return drop(COUNTER_TRUNK_FAILED);

	if (slot->kind == SLOT_PLAIN) {
		count(&counters, COUNTER_TRUNK_REDIRECTED);
		return bpf_redirect(slot->ifindex, 0);
	}
	/* The frame bears the pod's MAC, so trunk0 took it for another host's; kernels whose redirect does not scrub
	 * the frame keep that judgement, and the pod's stack would drop it. */
	if (skb->pkt_type == PACKET_OTHERHOST && bpf_skb_change_type(skb, PACKET_HOST))
		return drop(COUNTER_TRUNK_FAILED);
	count(&counters, COUNTER_TRUNK_REDIRECTED);
	return bpf_redirect_peer(slot->ifindex, 0);
}

SEC("xdp")
int trunk_xdp(struct xdp_md *ctx)
{
	int action = bpf_redirect_map(&xsks, ctx->rx_queue_index, XDP_DROP);

	count(&counters, action == XDP_REDIRECT ? COUNTER_ENGINE_REDIRECTED : COUNTER_ENGINE_NO_SOCKET);
	return action;
}

char LICENSE[] SEC("license") = "Apache-2.0";
