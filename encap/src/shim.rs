//! The twelve bytes between the outer IP header and the inner packet: UDP and one label stack entry.

use crate::label::{LabelStackEntry, Stack};
use crate::template::Fields;

/// Size of UDP header and label stack entry, bytes.
pub(crate) const LEN: usize = 12;

/// UDP with checksum 0 and the bottom entry of the stack. `udp_length` counts the UDP header too, bytes.
#[inline]
pub(crate) fn bytes(udp_port: u16, udp_length: u16, fields: &Fields) -> [u8; LEN] {
    let [s0, s1] = fields.source_port.to_be_bytes();
    let [d0, d1] = udp_port.to_be_bytes();
    let [l0, l1] = udp_length.to_be_bytes();
    let entry =
        LabelStackEntry { label: fields.label, traffic_class: 0, stack: Stack::Bottom, ttl: fields.ttl };
    let [m0, m1, m2, m3] = entry.encode();
    [s0, s1, d0, d1, l0, l1, 0, 0, m0, m1, m2, m3]
}
