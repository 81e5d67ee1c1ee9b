//! What the BPF programs have done before a worker sees a packet.

/// How often one thing happened to a frame in a BPF program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ProgramView {
    /// `fabric`: on the uplink. `trunk`: on the trunk and on the ports of the vifs.
    pub program: &'static str,
    /// Stable name of what happened.
    pub outcome: &'static str,
    /// Frames since the program was attached.
    pub packets: u64,
}
