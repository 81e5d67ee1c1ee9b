// SPDX-License-Identifier: Apache-2.0
/* Makes packets out of nothing: run as live frames (BPF_F_TEST_XDP_LIVE_FRAMES), it sends frames out of an
 * interface at a given rate until a given time. Frames come back from the receiver with whatever was done to them
 * (Documentation/bpf/bpf_prog_run.rst), so every header is written anew. */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define TEMPLATES 48
#define HEADER 112
#define FIRST_PORT 1024
#define FIRST_ENTROPY_PORT 49152
#define ENTROPY_MASK 0x3fff
/* Packets that may be sent at once to make up for a pause; what is further behind is never sent. */
#define BURST 512
/* Looks at the clock before a run gives up, some tens of microseconds. */
#define SPINS 1000
#define SECOND 1000000000ULL

struct order {
	__u64 end;
	__u64 rate;
	__u64 flows;
	__u64 templates;
	__u64 ifindex;
	/* Length of the frames that the kernel hands to the program. */
	__u64 full;
};

struct progress {
	__u64 start;
	__u64 sent;
	/* Packets that the schedule has lost to pauses. */
	__u64 skipped;
	__u64 last;
};

struct template {
	__u16 length;
	__u16 header;
	__u16 port_at;
	/* Place of the outer source port, 0 if there is none. */
	__u16 entropy_at;
	__u8 bytes[HEADER];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct order);
} orders SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct progress);
} progresses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TEMPLATES);
	__type(key, __u32);
	__type(value, struct template);
} templates SEC(".maps");

static __always_inline int is_due(const struct order *order, struct progress *done, __u64 now)
{
	__u64 scheduled = (now - done->start) * order->rate / SECOND;

	done->last = now;
	if (done->sent + done->skipped >= scheduled)
		return 0;
	if (scheduled - done->sent - done->skipped > BURST)
		done->skipped = scheduled - done->sent - BURST;
	return 1;
}

/* Waits for the turn of the next packet, but not for long. */
static __always_inline int wait(const struct order *order, struct progress *done)
{
	__u64 now;
	int i;

	for (i = 0; i < SPINS; i++) {
		now = bpf_ktime_get_ns();
		if (now >= order->end)
			return 0;
		if (done->start == 0)
			done->start = now;
		if (is_due(order, done, now))
			return 1;
	}
	return 0;
}

static __always_inline int write(struct xdp_md *ctx, const struct template *template, __u32 flow)
{
	__be16 port = bpf_htons(FIRST_PORT + flow), entropy = bpf_htons(FIRST_ENTROPY_PORT + (flow & ENTROPY_MASK));
	__u32 header = template->header;

	if (header < 1 || header > HEADER || bpf_xdp_store_bytes(ctx, 0, (void *)template->bytes, header))
		return -1;
	if (bpf_xdp_store_bytes(ctx, template->port_at, &port, sizeof(port)))
		return -1;
	return template->entropy_at ? bpf_xdp_store_bytes(ctx, template->entropy_at, &entropy, sizeof(entropy)) : 0;
}

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	__u32 zero = 0, flow, which;
	const struct order *order = bpf_map_lookup_elem(&orders, &zero);
	struct progress *done = bpf_map_lookup_elem(&progresses, &zero);
	const struct template *template;

	if (!order || !done || order->flows == 0 || order->templates == 0 || !wait(order, done))
		return XDP_DROP;
	flow = bpf_get_prandom_u32() % (__u32)order->flows;
	which = flow % (__u32)order->templates;
	template = bpf_map_lookup_elem(&templates, &which);
	if (!template)
		return XDP_DROP;
	if (template->length != order->full && bpf_xdp_adjust_tail(ctx, (int)template->length - (int)order->full))
		return XDP_DROP;
	if (write(ctx, template, flow))
		return XDP_DROP;
	done->sent += 1;
	return bpf_redirect(order->ifindex, 0);
}

char LICENSE[] SEC("license") = "Apache-2.0";
