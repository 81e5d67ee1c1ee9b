//! The decisions of a first packet: longest-prefix match and choice of an ECMP member.

#![allow(missing_docs, reason = "criterion's macro makes a public item without one")]
#![allow(clippy::unwrap_used, reason = "a benchmark stops where it goes wrong")]

use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use bench::cpu::CpuTime;
use bench::visits::Visits;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dataplane::ecmp::{FlowSpread, Group, Member, Target};
use dataplane::fib::{NextHop, Routes, Vrf, VrfCells};
use dataplane::ids::{CellId, TunnelId, VrfId};
use encap::Label;
use flow_table::{Addr, Family};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Destinations looked up in turn; read in order, they are prefetched by the processor.
const DESTINATIONS: usize = 1 << 16;

/// Random IPv4 prefixes of /16 to /28, most of them /24 as in real tables.
fn ipv4_prefix(visits: &mut Visits) -> IpNet {
    let len = match visits.below(4) {
        0 => 16 + visits.below(13) as u8,
        _ => 24,
    };
    let address = Ipv4Addr::from_bits(0x1000_0000 | visits.below(0x7000_0000));
    IpNet::V4(Ipv4Net::new(address, len).unwrap().trunc())
}

/// Random IPv6 prefixes of /48 to /64.
fn ipv6_prefix(visits: &mut Visits) -> IpNet {
    let address = Ipv6Addr::from_bits(0xfd << 120 | u128::from(visits.bits()) << 56);
    IpNet::V6(Ipv6Net::new(address, 48 + visits.below(17) as u8).unwrap().trunc())
}

fn destination(prefix: &IpNet, visits: &mut Visits) -> Addr {
    match prefix {
        IpNet::V4(prefix) => Addr(u128::from((prefix.network() | prefix.hostmask()).to_bits())),
        IpNet::V6(prefix) => Addr(prefix.network().to_bits() | u128::from(visits.bits())),
    }
}

fn lpm(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("lpm");
    group.throughput(Throughput::Elements(1));
    let sizes = [10, 10_000, 500_000].map(|size| (Family::V4, size));
    for (family, size) in sizes.into_iter().chain([(Family::V6, 10_000)]) {
        let mut visits = Visits::new(11);
        let prefixes: Vec<IpNet> = (0..size)
            .map(|_| match family {
                Family::V4 => ipv4_prefix(&mut visits),
                Family::V6 => ipv6_prefix(&mut visits),
            })
            .collect();
        let routes = Routes::new(prefixes.iter().map(|prefix| (*prefix, NextHop::Vrf(VrfId(1)))));
        let cells = VrfCells { routes: CellId::NODE, whole: CellId::NODE };
        let vrf = Vrf::new(VrfId(0), "blue".into(), cells, Arc::new(routes), Arc::default());
        let destinations: Vec<Addr> = (0..DESTINATIONS)
            .map(|_| destination(&prefixes[visits.below(size) as usize], &mut visits))
            .collect();
        assert!(destinations.iter().all(|dst| vrf.lookup(family, *dst).is_some()));
        let mut turn = destinations.iter().cycle();
        group.bench_function(format!("{family:?}/{size}"), |bencher| {
            bencher.iter(|| turn.next().map(|dst| black_box(vrf.lookup(family, *dst).is_some())));
        });
    }
    group.finish();
}

fn ecmp(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("ecmp");
    group.throughput(Throughput::Elements(1));
    for size in [2, 10, 64, 250] {
        let mut visits = Visits::new(12);
        let members = Group::new((0..size).map(|n| Member {
            target: Target::Tunnel { tunnel: TunnelId(n), label: Label::FIRST_FREE },
            weight: 1,
            identity: visits.bits(),
        }));
        group.bench_function(format!("pick/{size}"), |bencher| {
            bencher.iter(|| members.pick(FlowSpread(visits.bits()), |_| true));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = bench::cpu::criterion();
    targets = lpm, ecmp
}
criterion_main!(benches);
