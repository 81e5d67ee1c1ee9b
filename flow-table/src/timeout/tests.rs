use super::*;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;

fn port(protocol: u8, ports: RangeInclusive<u16>, seconds: u64) -> PortTimeout {
    PortTimeout { protocol, ports, idle: Millis(seconds * SECOND) }
}

#[test]
fn defaults_by_state_and_protocol() {
    let timeouts = Timeouts::default();
    let cases = [
        (FlowState::TcpEstablished, 6, 126 * MINUTE),
        (FlowState::TcpOpening, 6, 4 * MINUTE),
        (FlowState::TcpClosing, 6, 4 * MINUTE),
        (FlowState::TcpClosed, 6, 10 * SECOND),
        (FlowState::Stateless, 17, 5 * MINUTE),
        (FlowState::Stateless, 1, MINUTE),
        (FlowState::Stateless, 58, MINUTE),
        (FlowState::Stateless, 132, 5 * MINUTE),
        (FlowState::Dropped, 6, 10 * SECOND),
        (FlowState::Dropped, 17, 10 * SECOND),
    ];
    for (state, protocol, idle) in cases {
        assert_eq!(timeouts.of(state, protocol, 80), Millis(idle), "{state:?} {protocol}");
    }
}

#[test]
fn ports_override_established_tcp_and_stateless_protocols() {
    let list = vec![port(17, 53..=53, 10), port(6, 22..=23, 20), port(6, 8000..=8999, 30)];
    let timeouts = Timeouts::default().with_overrides(list).unwrap();
    let of = |state, protocol, port| timeouts.of(state, protocol, port).0 / SECOND;
    let tcp = |port| of(FlowState::TcpEstablished, 6, port);
    assert_eq!([21, 22, 23, 24].map(tcp), [7560, 20, 20, 7560]);
    assert_eq!([7999, 8000, 8999, 9000].map(tcp), [7560, 30, 30, 7560]);
    assert_eq!(of(FlowState::TcpOpening, 6, 22), 240);
    assert_eq!(of(FlowState::TcpClosed, 6, 22), 10);
    assert_eq!([52, 53, 54].map(|port| of(FlowState::Stateless, 17, port)), [300, 10, 300]);
    assert_eq!(of(FlowState::Stateless, 1, 53), 60);
    assert_eq!(of(FlowState::Dropped, 6, 22), 10);
}

#[test]
fn bad_lists_are_refused() {
    let with = |list| Timeouts::default().with_overrides(list).map(|_| ());
    let overlap = vec![port(6, 20..=30, 1), port(17, 30..=40, 1), port(6, 30..=40, 1)];
    assert_eq!(with(overlap), Err(TimeoutError::Overlap { protocol: 6, port: 30 }));
    let nested = vec![port(6, 1..=100, 1), port(6, 50..=60, 1)];
    assert_eq!(with(nested), Err(TimeoutError::Overlap { protocol: 6, port: 50 }));
    #[expect(clippy::reversed_empty_ranges, reason = "this is what is refused")]
    let empty = vec![port(6, 30..=20, 1)];
    assert_eq!(with(empty), Err(TimeoutError::Empty { protocol: 6, first: 30, last: 20 }));
    let many: Vec<_> = (0..257).map(|n| port(6, n..=n, 1)).collect();
    assert_eq!(with(many), Err(TimeoutError::TooMany(257)));
    let most: Vec<_> = (0..256).map(|n| port(6, n..=n, 1)).collect();
    assert_eq!(with(most), Ok(()));
}

#[test]
fn time_that_goes_back_is_no_time() {
    assert_eq!(Millis(5).since(Millis(7)), Millis(0));
    assert_eq!(Millis(7).since(Millis(5)), Millis(2));
}

#[test]
fn every_state_has_its_own_name() {
    let states = [
        FlowState::Dropped,
        FlowState::TcpOpening,
        FlowState::TcpEstablished,
        FlowState::TcpClosing,
        FlowState::TcpClosed,
        FlowState::Stateless,
    ];
    let names: std::collections::HashSet<_> = states.iter().map(|state| state.name()).collect();
    assert_eq!(names.len(), states.len());
}
