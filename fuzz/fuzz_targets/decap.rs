#![no_main]
//! Outer headers of every kind: no panic, and what is found lies inside the packet.

use encap::{Ports, ZeroChecksum6, decapsulate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|packet: &[u8]| {
    for zero in [ZeroChecksum6::Accept, ZeroChecksum6::Refuse] {
        let Ok(outer) = decapsulate(packet, &Ports::default(), zero) else { continue };
        let inner = &packet[outer.payload.clone()];
        assert!(matches!(inner.first().map(|byte| byte >> 4), Some(4 | 6)));
        assert!(outer.label.is_explicit_null() || !outer.label.is_reserved());
        assert!((1..=16).contains(&outer.labels));
        let headers = if outer.src.is_ipv4() { 28 } else { 48 } + 4 * usize::from(outer.labels);
        assert!(outer.payload.start >= headers);
        // What lies behind the datagram changes nothing.
        let padded = [packet, &[0xee; 3]].concat();
        assert_eq!(decapsulate(&padded, &Ports::default(), zero).as_ref(), Ok(&outer));
    }
});
