//! The bytes on the wire, read by a decoder that knows RFC 7011 and nothing of the encoder.

use std::collections::BTreeMap;

use flow_table::{Addr, Family, FlowTable, Millis};

use super::*;

/// Element to value, big endian.
type Values = BTreeMap<u16, u128>;

#[derive(Default)]
struct Collector {
    templates: BTreeMap<u16, Vec<(u16, usize)>>,
    /// Sequence numbers of messages and the records in each.
    messages: Vec<(u32, usize)>,
    records: Vec<Values>,
}

fn number(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

impl Collector {
    fn take(&mut self, message: &[u8]) {
        assert_eq!(number(&message[..2]), 10, "version");
        assert_eq!(number(&message[2..4]), message.len() as u128, "length");
        assert!(message.len() <= 1232);
        let (mut rest, before) = (&message[16..], self.records.len());
        while !rest.is_empty() {
            let (id, length) = (number(&rest[..2]) as u16, number(&rest[2..4]) as usize);
            let (set, after) = (&rest[4..length], &rest[length..]);
            if id == 2 {
                self.take_templates(set)
            } else {
                self.take_records(id, set)
            }
            rest = after;
        }
        self.messages.push((number(&message[8..12]) as u32, self.records.len() - before));
    }

    fn take_templates(&mut self, mut set: &[u8]) {
        while !set.is_empty() {
            let (id, count) = (number(&set[..2]) as u16, number(&set[2..4]) as usize);
            let fields = set[4..4 + 4 * count].chunks(4);
            let fields = fields.map(|field| (number(&field[..2]) as u16, number(&field[2..]) as usize));
            self.templates.insert(id, fields.collect());
            set = &set[4 + 4 * count..];
        }
    }

    fn take_records(&mut self, id: u16, mut set: &[u8]) {
        let template = &self.templates[&id];
        while !set.is_empty() {
            let mut values = Values::new();
            for (element, size) in template {
                assert!(values.insert(*element, number(&set[..*size])).is_none(), "{element} twice");
                set = &set[*size..];
            }
            self.records.push(values);
        }
    }
}

fn v4(text: &str) -> Addr {
    Addr::from_v4(text.parse::<Ipv4Addr>().unwrap().octets())
}

fn record_v4(packets: u64) -> Record {
    Record {
        family: Family::V4,
        protocol: 6,
        source: [(v4("10.0.1.2"), 40000); 2],
        destination: [(v4("10.96.0.10"), 80), (v4("10.0.2.2"), 8080)],
        packets,
        bytes: 1_000_000_000_000,
        start: 1_700_000_000_123,
        end: 1_700_000_001_456,
        ingress_vrf: 1,
        egress_vrf: 2,
    }
}

fn exporter(collector: &UdpSocket, sampling: u32, records_per_second: u32) -> Exporter {
    let collector = collector.local_addr().unwrap();
    Exporter::start(Export { collector, sampling, records_per_second, domain: 7 }).unwrap()
}

fn listen() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    socket
}

fn collect(socket: &UdpSocket) -> Collector {
    let (mut collector, mut buffer) = (Collector::default(), [0; 2000]);
    while let Ok(length) = socket.recv(&mut buffer) {
        assert_eq!(number(&buffer[12..16]), 7, "domain");
        collector.take(&buffer[..length]);
    }
    collector
}

#[test]
fn records_arrive_with_every_value() {
    let socket = listen();
    let mut exporter = exporter(&socket, 4, 1000);
    exporter.begin(Instant::now());
    exporter.push(&record_v4(3));
    let six = |number: u128| (Addr(0xfd00 << 112 | number), 9);
    let v6 = Record {
        family: Family::V6,
        source: [six(1), six(2)],
        destination: [six(3), six(4)],
        ..record_v4(1)
    };
    exporter.push(&v6);
    exporter.flush();
    let collector = collect(&socket);
    let [one, other] = &collector.records[..] else { panic!("{:?}", collector.records) };
    let expected = [
        (8, v4("10.0.1.2").0),
        (12, v4("10.96.0.10").0),
        (225, v4("10.0.1.2").0),
        (226, v4("10.0.2.2").0),
        (7, 40000),
        (11, 80),
        (227, 40000),
        (228, 8080),
        (4, 6),
        (2, 3),
        (1, 1_000_000_000_000),
        (152, 1_700_000_000_123),
        (153, 1_700_000_001_456),
        (234, 1),
        (235, 2),
        (34, 4),
    ];
    assert_eq!(one, &Values::from(expected));
    let addresses = [27, 281, 28, 282].map(|element| other[&element] & 0xff);
    assert_eq!((addresses, other[&27] >> 112, other[&2]), ([1, 2, 3, 4], 0xfd00, 1));
    assert_eq!(exporter.view().records, 2);
}

#[test]
fn sequence_numbers_count_records_and_templates_come_first() {
    let socket = listen();
    let mut exporter = exporter(&socket, 1, 1000);
    exporter.begin(Instant::now());
    for packets in 1..=50 {
        exporter.push(&record_v4(packets));
    }
    exporter.flush();
    let collector = collect(&socket);
    assert_eq!(collector.messages[0], (0, 0), "the templates alone");
    assert!(collector.messages.len() > 3, "{:?}", collector.messages);
    let mut sent = 0;
    for (sequence, records) in &collector.messages {
        assert_eq!(*sequence as usize, sent);
        sent += records;
    }
    let packets: Vec<_> = collector.records.iter().map(|record| record[&2]).collect();
    assert_eq!(packets, (1..=50).collect::<Vec<u128>>());
}

#[test]
fn a_second_has_room_for_so_many_and_the_rest_is_counted() {
    let socket = listen();
    let mut exporter = exporter(&socket, 1, 10);
    let start = Instant::now();
    exporter.begin(start);
    (1..=15).for_each(|packets| exporter.push(&record_v4(packets)));
    exporter.begin(start + Duration::from_millis(1500));
    exporter.push(&record_v4(16));
    exporter.flush();
    assert_eq!((exporter.view().records, exporter.view().skipped_records), (11, 5));
    assert_eq!(collect(&socket).records.len(), 11);
}

#[test]
fn flows_are_sampled_whole_and_each_direction_is_a_record() {
    let socket = listen();
    let mut exporter = exporter(&socket, 2, 1000);
    let traffic = |packets| TrafficTotals { packets, bytes: 100 * packets };
    let delta = Delta { is_new: true, forward: traffic(2), reverse: traffic(1) };
    exporter.begin(Instant::now());
    let flows = flows();
    assert_eq!(flows.len(), 8);
    for flow in &flows {
        exporter.note(flow, &delta, (1, 2));
    }
    exporter.flush();
    let records = collect(&socket).records;
    assert_eq!(records.len(), 8, "half of the flows, both directions");
    assert_eq!((records[0][&234], records[0][&2], records[1][&234], records[1][&2]), (1, 2, 2, 1));
    assert_eq!((records[0][&8], records[1][&12]), (v4("10.0.1.2").0, v4("10.0.1.2").0));
}

fn flows() -> Vec<FlowView> {
    use flow_table::{
        Action, Context, Dependency, FlowKey, Half, NewPair, Output, Source, TableConfig, Ttl, Tuple,
    };
    let config = TableConfig {
        max_pairs: 64,
        max_per_owner: 64,
        max_owners: 4,
        timeouts: flow_table::Timeouts::default(),
    };
    let table = FlowTable::new(config, [1, 2, 3, 4]);
    for sport in 1..=8 {
        let (src, dst) = (v4("10.0.1.2"), v4("10.0.1.3"));
        let tuple = Tuple { family: Family::V4, protocol: 17, src, dst, sport, dport: 53 };
        let action = Action {
            output: Output::Vif { slot: 1 },
            ttl: Ttl::Decrement,
            source: Source::Vif,
            depends: Dependency { cell: 0, epoch: 0 },
        };
        let half = |tuple| Half { key: FlowKey { context: Context(1), tuple }, action };
        let pair = NewPair { owner: 0, forward: half(tuple), reverse: half(tuple.reversed()) };
        table.insert(&pair, Millis(0)).unwrap();
    }
    table.view(Millis(5), 0, 100, |_| true)
}
