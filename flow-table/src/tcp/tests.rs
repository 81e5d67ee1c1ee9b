use super::*;
use crate::fixtures::segment;

/// Both directions of a connection; A opens it.
#[derive(Clone, Copy, Default)]
struct Connection {
    a: Track,
    b: Track,
}

impl Connection {
    fn a_sends(&mut self, flags: u8, seq: u32, ack: u32, payload: u32) -> FlowState {
        apply(&mut self.a, &mut self.b, &segment(flags, seq, ack, payload));
        self.state()
    }

    fn b_sends(&mut self, flags: u8, seq: u32, ack: u32, payload: u32) -> FlowState {
        apply(&mut self.b, &mut self.a, &segment(flags, seq, ack, payload));
        self.state()
    }

    fn state(&self) -> FlowState {
        state(&self.a, &self.b)
    }

    /// After the handshake the next bytes are `a` and `b`.
    fn established(a: u32, b: u32) -> Connection {
        let mut connection = Connection::default();
        assert_eq!(connection.a_sends(SYN, a.wrapping_sub(1), 0, 0), FlowState::TcpOpening);
        assert_eq!(connection.b_sends(SYN | ACK, b.wrapping_sub(1), a, 0), FlowState::TcpOpening);
        assert_eq!(connection.a_sends(ACK, a, b, 0), FlowState::TcpEstablished);
        connection
    }
}

fn apply(own: &mut Track, other: &mut Track, segment: &Segment) {
    match step(own, other, segment) {
        Step::Unchanged => {}
        Step::Own(next) => *own = next,
        Step::Restart(next) => (*own, *other) = (next, Track::default()),
    }
}

#[test]
fn a_handshake_establishes_also_across_the_wrap() {
    Connection::established(1000, 5000);
    Connection::established(0, u32::MAX);
    Connection::established(u32::MAX, 0);
}

#[test]
fn an_answer_is_not_enough_and_a_guessed_acknowledgement_is_none() {
    let mut connection = Connection::default();
    connection.a_sends(SYN, 999, 0, 0);
    connection.b_sends(SYN | ACK, 4999, 1000, 0);
    assert_eq!(connection.a_sends(ACK, 1000, 900_000, 0), FlowState::TcpOpening);
    assert_eq!(connection.a_sends(ACK, 1000, 5000, 0), FlowState::TcpEstablished);
}

#[test]
fn a_syn_that_is_sent_again_with_another_number_counts() {
    let mut connection = Connection::default();
    connection.a_sends(SYN, 999, 0, 0);
    connection.a_sends(SYN, 80_000_000, 0, 0);
    connection.b_sends(SYN | ACK, 4999, 80_000_001, 0);
    assert_eq!(connection.a_sends(ACK, 80_000_001, 5000, 0), FlowState::TcpEstablished);
}

#[test]
fn a_connection_found_half_way_establishes() {
    let mut connection = Connection::default();
    assert_eq!(connection.a_sends(ACK, 700, 300, 100), FlowState::TcpOpening);
    assert_eq!(connection.b_sends(ACK, 300, 800, 0), FlowState::TcpEstablished);
}

#[test]
fn a_reset_closes_at_the_number_the_receiver_expects_only() {
    // A has sent 1000..1500, B has acknowledged up to 1200.
    let mut connection = Connection::established(1000, 5000);
    connection.a_sends(ACK, 1000, 5000, 500);
    connection.b_sends(ACK, 5000, 1200, 0);
    for (seq, closes) in [(1200, true), (1500, true), (1199, false), (1201, false), (1501, false), (0, false)]
    {
        for flags in [RST, RST | ACK] {
            let closed = Connection { ..connection }.a_sends(flags, seq, 5000, 0) == FlowState::TcpClosed;
            assert_eq!(closed, closes, "flags {flags:#x} seq {seq}");
        }
    }
}

#[test]
fn a_reset_that_answers_a_syn_must_acknowledge_it() {
    let mut connection = Connection::default();
    connection.a_sends(SYN, 999, 0, 0);
    assert_eq!(Connection { ..connection }.b_sends(RST | ACK, 0, 999, 0), FlowState::TcpOpening);
    assert_eq!(Connection { ..connection }.b_sends(RST, 0, 1000, 0), FlowState::TcpOpening);
    assert_eq!(connection.b_sends(RST | ACK, 0, 1000, 0), FlowState::TcpClosed);
}

#[test]
fn a_reset_that_comes_first_closes_its_own_pair() {
    assert_eq!(Connection::default().a_sends(RST, 5, 0, 0), FlowState::TcpClosed);
}

#[test]
fn the_reset_of_the_side_that_never_spoke_must_fit_what_was_acknowledged() {
    let mut connection = Connection::default();
    connection.a_sends(ACK, 700, 300, 100);
    assert_eq!(Connection { ..connection }.b_sends(RST, 301, 0, 0), FlowState::TcpOpening);
    assert_eq!(connection.b_sends(RST, 300, 0, 0), FlowState::TcpClosed);
}

#[test]
fn a_stranger_cannot_move_the_numbers_and_then_reset() {
    let mut connection = Connection::established(1000, 5000);
    // Wrong sequence with a right acknowledgement, then the other way round.
    connection.a_sends(ACK, 1000 + NEAR + 1, 5000, 10);
    assert_eq!(connection.a_sends(RST, 1000 + NEAR + 11, 0, 0), FlowState::TcpEstablished);
    connection.a_sends(ACK, 1000, 5000 + NEAR + 1, 10);
    assert_eq!(connection.a_sends(RST, 1010, 0, 0), FlowState::TcpEstablished);
    connection.a_sends(FIN | ACK, 1000, 5000 + NEAR + 1, 0);
    connection.b_sends(FIN | ACK, 5000 + NEAR + 1, 1000, 0);
    assert_eq!(connection.state(), FlowState::TcpEstablished);
}

#[test]
fn a_syn_does_nothing_to_a_connection_that_stands() {
    let mut connection = Connection::established(1000, 5000);
    assert_eq!(connection.a_sends(SYN, 77, 0, 0), FlowState::TcpEstablished);
    assert_eq!(connection.b_sends(SYN | ACK, 77, 1000, 0), FlowState::TcpEstablished);
    assert_eq!(connection.a_sends(RST, 78, 0, 0), FlowState::TcpEstablished);
    assert_eq!(connection.a_sends(RST, 1000, 0, 0), FlowState::TcpClosed);
}

#[test]
fn fins_close_when_both_are_acknowledged() {
    let mut connection = Connection::established(1000, 5000);
    assert_eq!(connection.a_sends(FIN | ACK, 1000, 5000, 10), FlowState::TcpEstablished);
    assert_eq!(connection.b_sends(ACK, 5000, 1011, 100), FlowState::TcpEstablished);
    assert_eq!(connection.b_sends(FIN | ACK, 5100, 1011, 0), FlowState::TcpClosing);
    assert_eq!(connection.a_sends(ACK, 1011, 5100, 0), FlowState::TcpClosing);
    assert_eq!(connection.a_sends(ACK, 1011, 5101, 0), FlowState::TcpClosed);
}

#[test]
fn ports_of_a_closed_connection_can_be_used_again() {
    let mut connection = Connection::established(1000, 5000);
    connection.a_sends(RST, 1000, 0, 0);
    assert_eq!(connection.b_sends(SYN | ACK, 1, 1, 0), FlowState::TcpClosed);
    assert_eq!(connection.a_sends(SYN, 900_000_000, 0, 0), FlowState::TcpOpening);
    connection.b_sends(SYN | ACK, 100_000_000, 900_000_001, 0);
    assert_eq!(connection.a_sends(ACK, 900_000_001, 100_000_001, 0), FlowState::TcpEstablished);
}

#[test]
fn old_segments_do_not_turn_back_the_numbers() {
    let mut connection = Connection::established(1000, 5000);
    connection.a_sends(ACK, 1000, 5000, 500);
    connection.b_sends(ACK, 5000, 1500, 0);
    connection.a_sends(ACK, 1000, 5000, 100);
    connection.b_sends(ACK, 5000, 1100, 0);
    assert_eq!((connection.a.end, connection.b.ack), (1500, 1500));
}

#[test]
fn a_pure_acknowledgement_that_repeats_changes_nothing() {
    let connection = Connection::established(1000, 5000);
    assert_eq!(step(&connection.a, &connection.b, &segment(ACK, 1000, 5000, 0)), Step::Unchanged);
}
