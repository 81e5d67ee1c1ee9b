//! What the programs count, summed over the CPUs.

use aya::maps::{MapData, MapError, PerCpuArray};

/// What happened to the frames of the uplink; every frame is in exactly one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FabricCounters {
    /// Taken: handed to the AF_XDP socket of the queue.
    pub redirected: u64,
    /// Tunnel frames left to the kernel because the queue has no socket.
    pub no_socket: u64,
    /// Everything that is not for the vrouter, left to the kernel.
    pub passed: u64,
    /// UDP fragments to the tunnel address, left to the kernel: the underlay's MTU is too small for a peer
    /// (RFC 7510 section 3.1: MPLS over UDP is not fragmented).
    pub outer_fragment: u64,
    /// Frames cut off inside a header the program had to read, left to the kernel.
    pub too_short: u64,
}

/// What happened to the frames of the trunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrunkCounters {
    /// From a port to the engine.
    pub port_redirected: u64,
    /// Dropped: from a device that is no port of this vrouter (or the trunk is not set up).
    pub port_unknown: u64,
    /// Dropped: the pod sent a VLAN tag other than a priority tag.
    pub port_tagged: u64,
    /// Dropped: the kernel could not push the slot (no memory).
    pub port_failed: u64,
    /// From the engine to a port.
    pub trunk_redirected: u64,
    /// Dropped: a frame on `trunk0` without a VLAN tag.
    pub trunk_untagged: u64,
    /// Dropped: the slot names no port.
    pub trunk_unknown_slot: u64,
    /// Dropped: the kernel could not pop the slot (no memory).
    pub trunk_failed: u64,
    /// Handed to the AF_XDP socket of the queue on `trunk1`.
    pub engine_redirected: u64,
    /// Dropped: no AF_XDP socket on the queue of `trunk1`.
    pub engine_no_socket: u64,
}

/// Reads a map in the order of `enum counter` in `bpf/fabric.bpf.c`.
pub(crate) fn fabric(map: &PerCpuArray<MapData, u64>) -> Result<FabricCounters, MapError> {
    let [redirected, no_socket, passed, outer_fragment, too_short] = read(map)?;
    Ok(FabricCounters { redirected, no_socket, passed, outer_fragment, too_short })
}

/// Reads a map in the order of `enum counter` in `bpf/trunk.bpf.c`.
pub(crate) fn trunk(map: &PerCpuArray<MapData, u64>) -> Result<TrunkCounters, MapError> {
    let [
        port_redirected,
        port_unknown,
        port_tagged,
        port_failed,
        trunk_redirected,
        trunk_untagged,
        trunk_unknown_slot,
        trunk_failed,
        engine_redirected,
        engine_no_socket,
    ] = read(map)?;
    Ok(TrunkCounters {
        port_redirected,
        port_unknown,
        port_tagged,
        port_failed,
        trunk_redirected,
        trunk_untagged,
        trunk_unknown_slot,
        trunk_failed,
        engine_redirected,
        engine_no_socket,
    })
}

fn read<const N: usize>(map: &PerCpuArray<MapData, u64>) -> Result<[u64; N], MapError> {
    let mut sums = [0; N];
    for (index, sum) in (0..).zip(&mut sums) {
        *sum = map.get(&index, 0)?.iter().sum();
    }
    Ok(sums)
}
