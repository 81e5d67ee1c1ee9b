// SPDX-License-Identifier: Apache-2.0
/* XDP on the uplink: MPLS over UDP (RFC 7510) for this node's tunnel address goes to the AF_XDP socket of the
 * queue, everything else to the kernel. The program never drops: a wrong guess costs the engine nothing and
 * must not cost the host a packet. */
#include "vrouter.bpf.h"

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_FRAGMENT_OFFSET 0x1fff

/* All in network order. A zero address switches its family off, a zero port matches nothing. */
struct fabric_config {
	__be32 v4;
	__be32 v6[4];
	__be16 ports[2];
	__be16 vlan;
	__u16 reserved;
};

/* RFC 8200 section 4.5. */
struct ipv6_fragment {
	__u8 next_header;
	__u8 reserved;
	__be16 offset_and_flags;
	__be32 id;
};

enum verdict {
	VERDICT_FOREIGN,
	VERDICT_TUNNEL,
	VERDICT_FRAGMENT,
	VERDICT_TOO_SHORT,
};

enum counter {
	COUNTER_REDIRECTED,
	COUNTER_NO_SOCKET,
	COUNTER_PASSED,
	COUNTER_OUTER_FRAGMENT,
	COUNTER_TOO_SHORT,
	COUNTERS,
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fabric_config);
} config SEC(".maps");

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

static __always_inline enum verdict classify_udp(void *l4, void *end, const struct fabric_config *cfg)
{
	struct udphdr *udp = l4;

	if ((void *)(udp + 1) > end)
		return VERDICT_TOO_SHORT;
	if (udp->dest == 0)
		return VERDICT_FOREIGN;
	if (udp->dest == cfg->ports[0] || udp->dest == cfg->ports[1])
		return VERDICT_TUNNEL;
	return VERDICT_FOREIGN;
}

static __always_inline enum verdict classify_ipv4(void *l3, void *end, const struct fabric_config *cfg)
{
	struct iphdr *ip = l3;

	if ((void *)(ip + 1) > end)
		return VERDICT_TOO_SHORT;
	if (ip->version != 4 || ip->ihl < 5)
		return VERDICT_FOREIGN;
	if (ip->protocol != IPPROTO_UDP || cfg->v4 == 0 || ip->daddr != cfg->v4)
		return VERDICT_FOREIGN;
	if (ip->frag_off & bpf_htons(IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET))
		return VERDICT_FRAGMENT;
	return classify_udp(l3 + ip->ihl * 4, end, cfg);
}

static __always_inline int ipv6_is_tunnel_address(const struct in6_addr *address, const struct fabric_config *cfg)
{
	const __be32 *word = address->in6_u.u6_addr32;

	if ((cfg->v6[0] | cfg->v6[1] | cfg->v6[2] | cfg->v6[3]) == 0)
		return 0;
	return word[0] == cfg->v6[0] && word[1] == cfg->v6[1] && word[2] == cfg->v6[2] && word[3] == cfg->v6[3];
}

static __always_inline enum verdict classify_ipv6(void *l3, void *end, const struct fabric_config *cfg)
{
	struct ipv6hdr *ip = l3;
	struct ipv6_fragment *fragment = (void *)(ip + 1);

	if ((void *)(ip + 1) > end)
		return VERDICT_TOO_SHORT;
	if (ip->version != 6 || !ipv6_is_tunnel_address(&ip->daddr, cfg))
		return VERDICT_FOREIGN;
	if (ip->nexthdr == IPPROTO_UDP)
		return classify_udp(ip + 1, end, cfg);
	if (ip->nexthdr != IPPROTO_FRAGMENT)
		return VERDICT_FOREIGN;
	if ((void *)(fragment + 1) > end)
		return VERDICT_TOO_SHORT;
	return fragment->next_header == IPPROTO_UDP ? VERDICT_FRAGMENT : VERDICT_FOREIGN;
}

static __always_inline enum verdict classify(void *data, void *end, const struct fabric_config *cfg)
{
	struct ethhdr *eth = data;
	struct vlan_tag *tag = (void *)(eth + 1);
	void *l3 = eth + 1;
	__be16 ethertype, vid = 0;

	if ((void *)(eth + 1) > end)
		return VERDICT_TOO_SHORT;
	ethertype = eth->h_proto;
	if (is_vlan_ethertype(ethertype)) {
		if ((void *)(tag + 1) > end)
			return VERDICT_TOO_SHORT;
		/* IEEE 802.1Q: VID 0 carries a priority only, the frame counts as untagged. */
		vid = tag->tci & bpf_htons(VLAN_VID_MASK);
		ethertype = tag->ethertype;
		l3 = tag + 1;
	}
	if (vid != cfg->vlan)
		return VERDICT_FOREIGN;
	if (ethertype == bpf_htons(ETH_P_IP))
		return classify_ipv4(l3, end, cfg);
	if (ethertype == bpf_htons(ETH_P_IPV6))
		return classify_ipv6(l3, end, cfg);
	return VERDICT_FOREIGN;
}

static __always_inline int pass(enum counter why)
{
	count(&counters, why);
	return XDP_PASS;
}

SEC("xdp")
int fabric(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	const struct fabric_config *cfg;
	__u32 zero = 0;
	int action;

	cfg = bpf_map_lookup_elem(&config, &zero);
	if (!cfg)
		return pass(COUNTER_PASSED);

	switch (classify(data, end, cfg)) {
	case VERDICT_TUNNEL:
		break;
	/* RFC 7510 section 3.1: MPLS-over-UDP is not to be fragmented, so this is for the kernel to judge. */
	case VERDICT_FRAGMENT:
		return pass(COUNTER_OUTER_FRAGMENT);
	case VERDICT_TOO_SHORT:
		return pass(COUNTER_TOO_SHORT);
	case VERDICT_FOREIGN:
		return pass(COUNTER_PASSED);
	}
	action = bpf_redirect_map(&xsks, ctx->rx_queue_index, XDP_PASS);
	count(&counters, action == XDP_REDIRECT ? COUNTER_REDIRECTED : COUNTER_NO_SOCKET);
	return action;
}

char LICENSE[] SEC("license") = "Apache-2.0";
