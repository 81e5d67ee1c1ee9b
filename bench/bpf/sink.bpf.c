// SPDX-License-Identifier: Apache-2.0
/* Counts and drops the packets of the generator at the end of their way; everything else passes. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} arrived SEC(".maps");

static __always_inline int is_counted(void *data, void *end)
{
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);
	__u32 zero = 0;
	__u64 *count;

	if ((void *)(udp + 1) > end)
		return 0;
	if (eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5 || ip->protocol != IPPROTO_UDP)
		return 0;
	switch (bpf_ntohs(udp->dest)) {
	/* MPLS over UDP, VXLAN, the service of the generator, its backends' port */
	case 6635:
	case 4789:
	case 9000:
	case 9001:
		break;
	default:
		return 0;
	}
	count = bpf_map_lookup_elem(&arrived, &zero);
	if (count)
		*count += 1;
	return 1;
}

SEC("xdp")
int wire_end(struct xdp_md *ctx)
{
	return is_counted((void *)(long)ctx->data, (void *)(long)ctx->data_end) ? XDP_DROP : XDP_PASS;
}

/* In a pod: frames that bpf_redirect_peer() delivers never meet a native XDP program. */
SEC("classifier")
int pod_end(struct __sk_buff *skb)
{
	return is_counted((void *)(long)skb->data, (void *)(long)skb->data_end) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Apache-2.0";
