//! Ping to the gateway: answered by the vrouter itself (RFC 1122 section 3.2.2.6, RFC 4443 section 4.2).

use encap::Delta;
use flow_table::{Family, Rewrite, RewriteKind, Ttl};

use super::rewrite;
use crate::packet::ip::Ip;
use crate::packet::l4::EchoKind;
use crate::packet::{Packet, u16_at, write_at};

/// TTL of the answer.
const TTL: u8 = 64;

/// Turns an echo request into its reply: addresses swapped, type changed.
pub(crate) fn reply(packet: &mut Packet<'_>, ip: &Ip) -> Ip {
    let mut ip = *ip;
    let bytes = packet.bytes_mut();
    let kind = match ip.tuple.family {
        Family::V4 => EchoKind::REPLY_V4,
        Family::V6 => EchoKind::REPLY_V6,
    };
    let message = bytes.get_mut(ip.l4_offset..).unwrap_or_default();
    let old = u16_at(message, 0).unwrap_or_default();
    let delta = Delta::NONE.replace_u16(old, u16::from_be_bytes([kind, 0]));
    write_at(message, 0, [kind, 0]);
    let checksum = u16_at(message, 2).unwrap_or_default();
    write_at(message, 2, delta.apply(checksum).to_be_bytes());
    // The sum over both addresses is the same either way round, so no checksum changes for them.
    let swap = Rewrite {
        kind: RewriteKind::Translate,
        src: ip.tuple.dst,
        dst: ip.tuple.src,
        sport: ip.tuple.dport,
        dport: ip.tuple.sport,
        l3_delta: 0,
        l4_delta: 0,
    };
    rewrite::write_ttl(bytes, &ip, TTL, Delta::NONE);
    ip.ttl = TTL;
    rewrite::apply(bytes, &ip, Ttl::Keep, &swap);
    ip.tuple = ip.tuple.reversed();
    ip
}
