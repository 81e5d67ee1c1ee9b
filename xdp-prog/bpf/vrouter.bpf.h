/* SPDX-License-Identifier: Apache-2.0 */
/* What fabric.bpf.c and trunk.bpf.c share. Sizes and enum orders are mirrored in src/ and held together by
 * the map sizes aya checks at load and by the packet tests. */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define VLAN_VID_MASK 0x0fff
#define XSK_QUEUES 64

struct vlan_tag {
	__be16 tci;
	__be16 ethertype;
};

static __always_inline int is_vlan_ethertype(__be16 ethertype)
{
	return ethertype == bpf_htons(ETH_P_8021Q) || ethertype == bpf_htons(ETH_P_8021AD);
}

/* Per-CPU, so no atomic is needed: one program runs to its end on a CPU. */
static __always_inline void count(void *counters, __u32 which)
{
	__u64 *value = bpf_map_lookup_elem(counters, &which);

	if (value)
		*value += 1;
}
