//! temp baseline
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]
mod support;
use dataplane::compile::Compiler;
use dataplane::desired::{Desired, Transport};
use std::time::Instant;
use support::{desired, service, to_tunnel, to_vif, vif, vrf};

fn state() -> Desired {
    let mut state = desired("10.1.1.1", &[]);
    state.vrfs = vec![vrf("eight")];
    for n in 1..=100u32 {
        let (address, mac) = (format!("11.1.1.{n}"), format!("02:00:00:00:08:{n:02x}"));
        state.vifs.push(vif(&format!("pod{n}"), "eight", &[&address], &mac, 100 + n));
    }
    for s in 0..5000u32 {
        let address = format!("14.1.{}.{}", s / 250, s % 250 + 1);
        let mut backends = vec![to_vif(&format!("pod{}", s % 100 + 1))];
        backends.extend((1..10).map(|b| {
            to_tunnel(&format!("10.2.{}.{}", (s + b) % 4, (s * 7 + b) % 250 + 1), 1000 + s * 10 + b)
        }));
        state.services.push(service(
            "eight",
            &address,
            &[(Transport::Tcp, 80, 8080), (Transport::Udp, 53, 53)],
            backends,
        ));
    }
    state
}

#[test]
fn five_thousand_services() {
    let mut state = state();
    let mut compiler = Compiler::default();
    let start = Instant::now();
    let first = compiler.compile(&state).unwrap();
    println!("first {:?}", start.elapsed());
    for n in 0..10 {
        let start = Instant::now();
        let previous = state.clone();
        println!("clone desired {:?}", start.elapsed());
        support::service_mut(&mut state, n).backends.pop();
        let start = Instant::now();
        assert!(previous != state);
        println!("compare {:?}", start.elapsed());
        let start = Instant::now();
        let _next = compiler.compile(&state).unwrap();
        println!("change {:?}", start.elapsed());
    }
    drop(first);
}
