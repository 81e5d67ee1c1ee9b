//! Headers: parse (against etherparse), decapsulate, write the outer headers. One packet each, hot in the cache.

#![allow(missing_docs, reason = "criterion's macro makes a public item without one")]
#![allow(clippy::unwrap_used, reason = "a benchmark stops where it goes wrong")]

use std::hint::black_box;

use bench::cpu::CpuTime;
use bench::frames::{self, Frames, TEMPLATE, Traffic, Transport};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dataplane::packet::ethernet::{HEADER, TAGGED_HEADER};
use dataplane::packet::ip::Ip;
use encap::{Fields, Label, OuterHeader, Ports, Template, Udp6Checksum, ZeroChecksum6, decapsulate};
use etherparse::{PacketBuilder, SlicedPacket};
use flow_table::Family;

fn ipv4(transport: Transport) -> Vec<u8> {
    let mut room = [0; TEMPLATE];
    let len = Frames::new(Traffic::Client, transport).write(0, &mut room);
    room[TAGGED_HEADER..len].to_vec()
}

fn ipv6() -> Vec<u8> {
    let mut packet = Vec::new();
    let start = PacketBuilder::ipv6([0xfd; 16], [0xfe; 16], 64);
    start.tcp(1000, 80, 1, 1000).write(&mut packet, &[0; 18]).unwrap();
    packet
}

fn parse(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Elements(1));
    let packets = [
        ("ipv4_udp", Family::V4, ipv4(Transport::Udp)),
        ("ipv4_tcp", Family::V4, ipv4(Transport::Tcp)),
        ("ipv6_tcp", Family::V6, ipv6()),
    ];
    for (name, family, packet) in packets {
        assert!(Ip::parse(family, &packet).is_ok());
        group.bench_function(format!("own/{name}"), |bencher| {
            bencher.iter(|| Ip::parse(family, black_box(&packet)));
        });
        group.bench_function(format!("etherparse/{name}"), |bencher| {
            bencher.iter(|| SlicedPacket::from_ip(black_box(&packet)).map(black_box).is_ok());
        });
    }
    group.finish();
}

fn outer(src: &str, dst: &str) -> Template {
    let header = OuterHeader {
        src_mac: [2; 6],
        dst_mac: [4; 6],
        vlan: None,
        src: src.parse().unwrap(),
        dst: dst.parse().unwrap(),
        udp_port: encap::MPLS_UDP_PORT,
        ttl: 64,
        df: encap::DontFragment::Clear,
        dscp: encap::DscpMode::Copy,
        udp6_checksum: Udp6Checksum::Compute,
    };
    Template::new(&header).unwrap()
}

fn outer_ipv6() -> Template {
    outer("fd00::2", "fd00::1")
}

const FIELDS: Fields =
    Fields { label: Label::FIRST_FREE, ttl: 63, source_port: 50000, inner_tos: 0, ip_id: 1 };

fn decap(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("decap");
    group.throughput(Throughput::Elements(1));
    for (name, template) in [("ipv4", frames::outer([10, 0, 0, 2])), ("ipv6_checksum", outer_ipv6())] {
        let mut frame = vec![0; template.len()];
        frame.extend(ipv4(Transport::Udp));
        template.write(&mut frame, &FIELDS).unwrap();
        let packet = frame.split_off(HEADER);
        assert!(decapsulate(&packet, &Ports::default(), ZeroChecksum6::Refuse).is_ok());
        group.bench_function(name, |bencher| {
            bencher.iter(|| decapsulate(black_box(&packet), &Ports::default(), ZeroChecksum6::Refuse));
        });
    }
    group.finish();
}

fn encap(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("encap");
    group.throughput(Throughput::Elements(1));
    for (name, template) in [("ipv4", frames::outer([10, 0, 0, 2])), ("ipv6_checksum", outer_ipv6())] {
        let mut frame = vec![0; template.len()];
        frame.extend(ipv4(Transport::Udp));
        group.bench_function(name, |bencher| {
            bencher.iter(|| template.write(black_box(&mut frame), black_box(&FIELDS)));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = bench::cpu::criterion();
    targets = parse, decap, encap
}
criterion_main!(benches);
