//! Sockets on real devices: veth pairs in a network namespace of each test's own, in copy mode.
//!
//! Needs root. Nothing is skipped: without root every test fails and names what is missing. Receiving needs an
//! XDP program and is tested where that program lives.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends at its first failure"
)]

mod capabilities;
mod netns;
mod packets;

use std::time::{Duration, Instant};

use af_xdp::{
    BusyPoll, Closing, Error, Frame, FramePool, Mode, PollSet, Readiness, RingSizes, Settled, Socket,
    SocketConfig, Umem, UmemConfig, ZeroCopy, preflight,
};
use capabilities::{Capability, without};
use netns::{in_own_netns, ip, veth_pair};
use packets::{PacketSocket, TYPE, test_packet};

const CHUNKS: u32 = 512;
const RINGS: RingSizes = RingSizes { rx: 128, tx: 128, fill: 128, completion: 128 };

fn umem_and_pool() -> (Umem, FramePool) {
    let umem = Umem::new(UmemConfig { chunk_count: CHUNKS, ..UmemConfig::default() }).unwrap();
    let pool = umem.take_pool(CHUNKS).unwrap();
    (umem, pool)
}

fn config(ifindex: u32) -> SocketConfig {
    SocketConfig { rings: RINGS, zero_copy: ZeroCopy::CopyOnly, ..SocketConfig::new(ifindex, 0) }
}

fn framed(umem: &Umem, pool: &mut FramePool, packet: &[u8]) -> Frame {
    let mut frame = pool.take().unwrap();
    let offset = frame.offset();
    frame.set_extent(offset, packet.len()).unwrap();
    umem.packet_mut(&mut frame).copy_from_slice(packet);
    frame
}

/// Flushes and completes until no frame is on the transmit side.
fn drain(socket: &mut Socket, pool: &mut FramePool) {
    let end = Instant::now() + Duration::from_secs(5);
    while socket.frames().transmit() > 0 {
        socket.flush().unwrap();
        socket.complete(pool);
        assert!(Instant::now() < end, "frames are stuck: {:?}", socket.frames());
    }
}

/// Asks until every frame of a closed socket is back.
fn settle(mut closing: Closing, pool: &mut FramePool) {
    let end = Instant::now() + Duration::from_secs(5);
    while closing.settle(pool).unwrap() == Settled::NotYet {
        assert!(Instant::now() < end, "frames are stuck: {closing:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(closing.outstanding(), 0);
}

/// The kernel frees a queue a moment after the socket's close, behind an RCU grace period and a work item.
fn bind_once_free(umem: &Umem, config: &SocketConfig) -> Socket {
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        match Socket::bind(umem, config) {
            Err(Error::QueueBusy { .. }) if Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(5));
            }
            result => return result.unwrap(),
        }
    }
}

#[test]
fn packets_transmitted_arrive_at_the_peer_unchanged_and_in_order() {
    in_own_netns(|| {
        let (here, there) = veth_pair("vxa-a", "vxa-b");
        let (umem, mut pool) = umem_and_pool();
        let mut socket = Socket::bind(&umem, &config(here)).unwrap();
        assert_eq!((socket.mode(), socket.ring_sizes()), (Mode::Copy, RINGS));
        let peer = PacketSocket::open(there, TYPE);
        // Three rounds of a full ring: more than the kernel sends per sendto unless told otherwise.
        for round in 0..3u32 {
            for n in 0..RINGS.tx {
                let frame = framed(&umem, &mut pool, &test_packet(round * 1000 + n));
                socket.transmit(frame).unwrap();
            }
            let one_more = framed(&umem, &mut pool, &test_packet(0));
            pool.put(socket.transmit(one_more).unwrap_err());
            socket.flush().unwrap();
            for n in 0..RINGS.tx {
                assert_eq!(peer.receive(), test_packet(round * 1000 + n));
            }
            drain(&mut socket, &mut pool);
            assert_eq!(pool.len(), CHUNKS as usize);
        }
        let statistics = socket.statistics().unwrap();
        let counters = statistics.counters;
        assert_eq!((counters.transmitted, counters.completed, counters.tx_ring_full), (384, 384, 3));
        assert_eq!((counters.bad_completions, statistics.kernel.tx_invalid_descriptors), (0, 0));
    });
}

#[test]
fn one_umem_serves_sockets_on_two_devices() {
    in_own_netns(|| {
        let (trunk, trunk_peer) = veth_pair("vxa-a", "vxa-b");
        let (uplink, uplink_peer) = veth_pair("vxa-c", "vxa-d");
        let (umem, mut pool) = umem_and_pool();
        let mut sockets = [trunk, uplink].map(|ifindex| Socket::bind(&umem, &config(ifindex)).unwrap());
        let peers = [trunk_peer, uplink_peer].map(|ifindex| PacketSocket::open(ifindex, TYPE));
        // Frames that one socket has completed are sent by the other: the chunks are common to both.
        for round in 0..8u32 {
            for (socket, peer) in sockets.iter_mut().zip(&peers) {
                let frame = framed(&umem, &mut pool, &test_packet(round));
                socket.transmit(frame).unwrap();
                drain(socket, &mut pool);
                assert_eq!(peer.receive(), test_packet(round));
            }
        }
        for socket in &mut sockets {
            assert_eq!(socket.refill(&mut pool), RINGS.fill as usize);
            assert_eq!(socket.frames().receive(), RINGS.fill);
        }
        assert_eq!(pool.len(), CHUNKS as usize - 2 * RINGS.fill as usize);
        for socket in sockets {
            settle(socket.close(&mut pool), &mut pool);
        }
        assert_eq!(pool.len(), CHUNKS as usize);
    });
}

#[test]
fn zero_copy_is_refused_by_a_veth_and_copy_mode_taken() {
    in_own_netns(|| {
        let (first, _) = veth_pair("vxa-a", "vxa-b");
        let (second, _) = veth_pair("vxa-c", "vxa-d");
        let (umem, _) = umem_and_pool();
        for ifindex in [first, second] {
            let wish = SocketConfig { zero_copy: ZeroCopy::Prefer, ..config(ifindex) };
            let socket = Socket::bind(&umem, &wish).unwrap();
            assert_eq!(socket.mode(), Mode::Copy);
            let refusal = socket.zero_copy_refusal().unwrap();
            assert_eq!(refusal.raw_os_error(), Some(libc::EOPNOTSUPP), "{refusal}");
            drop(socket);
        }
    });
}

#[test]
fn with_busy_polling_every_wakeup_is_a_call() {
    in_own_netns(|| {
        let (ifindex, _) = veth_pair("vxa-a", "vxa-b");
        let (umem, _) = umem_and_pool();
        let busy_poll = Some(BusyPoll { microseconds: 20, budget: 64 });
        let mut socket = Socket::bind(&umem, &SocketConfig { busy_poll, ..config(ifindex) }).unwrap();
        socket.wake_rx().unwrap();
        socket.wake_rx().unwrap();
        assert_eq!(socket.counters().rx_wakeups, 2);
        let wish = SocketConfig { busy_poll, queue: 1, ..config(ifindex) };
        let error = without(Capability::NetAdmin, || Socket::bind(&umem, &wish).unwrap_err());
        assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}");
    });
}

#[test]
fn a_queue_taken_a_device_and_a_queue_missing_are_named() {
    in_own_netns(|| {
        let (ifindex, _) = veth_pair("vxa-a", "vxa-b");
        let (umem, _) = umem_and_pool();
        let (other_umem, _) = umem_and_pool();
        let _socket = Socket::bind(&umem, &config(ifindex)).unwrap();
        for again in [&umem, &other_umem] {
            let error = Socket::bind(again, &config(ifindex)).unwrap_err();
            assert!(matches!(error, Error::QueueBusy { queue: 0, .. }), "{error}");
        }
        let error = Socket::bind(&umem, &config(99_999)).unwrap_err();
        assert!(matches!(error, Error::NoDevice { ifindex: 99_999 }), "{error}");
        let error = Socket::bind(&umem, &SocketConfig { queue: 77, ..config(ifindex) }).unwrap_err();
        assert!(matches!(error, Error::BindRefused { queue: 77, .. }), "{error}");
        let rings = RingSizes { tx: 100, ..RINGS };
        let error = Socket::bind(&umem, &SocketConfig { rings, ..config(ifindex) }).unwrap_err();
        assert!(matches!(error, Error::RingSize { ring: "tx", size: 100 }), "{error}");
    });
}

#[test]
fn a_refused_first_bind_leaves_the_umem_usable() {
    in_own_netns(|| {
        let (ifindex, _) = veth_pair("vxa-a", "vxa-b");
        let (umem, _) = umem_and_pool();
        Socket::bind(&umem, &config(99_999)).unwrap_err();
        Socket::bind(&umem, &config(ifindex)).unwrap();
    });
}

#[test]
fn a_link_down_is_named_and_frames_wait() {
    in_own_netns(|| {
        let (here, there) = veth_pair("vxa-a", "vxa-b");
        let (umem, mut pool) = umem_and_pool();
        let mut socket = Socket::bind(&umem, &config(here)).unwrap();
        socket.check().unwrap();
        ip("link set vxa-a down");
        let frame = framed(&umem, &mut pool, &test_packet(1));
        socket.transmit(frame).unwrap();
        assert!(matches!(socket.flush(), Err(Error::LinkDown { .. })));
        assert!(matches!(socket.check(), Err(Error::LinkDown { .. })));
        assert_eq!(socket.frames().tx_ring, 1);
        ip("link set vxa-a up");
        let peer = PacketSocket::open(there, TYPE);
        socket.check().unwrap();
        drain(&mut socket, &mut pool);
        assert_eq!(peer.receive(), test_packet(1));
    });
}

#[test]
fn a_removed_device_is_named_spins_nothing_and_gives_all_frames_back() {
    in_own_netns(|| {
        let (ifindex, _) = veth_pair("vxa-a", "vxa-b");
        let (umem, mut pool) = umem_and_pool();
        let mut socket = Socket::bind(&umem, &config(ifindex)).unwrap();
        socket.refill(&mut pool);
        ip("link del vxa-a");
        let frame = framed(&umem, &mut pool, &test_packet(1));
        socket.transmit(frame).unwrap();
        assert!(matches!(socket.flush(), Err(Error::Gone { .. })));
        assert!(matches!(socket.check(), Err(Error::Gone { .. })));

        let mut set = PollSet::new(1);
        let start = Instant::now();
        let ready = set.wait(socket.fd(), Duration::from_millis(50)).unwrap();
        let waited = start.elapsed();
        assert!(
            ready == 0 && waited >= Duration::from_millis(50) || set.readiness(0) == Readiness::Failed,
            "a worker would spin: {ready} ready after {waited:?}"
        );

        // Another socket of the same UMEM binds although the only one to share with is of no more use.
        let (next, _) = veth_pair("vxa-c", "vxa-d");
        let successor = Socket::bind(&umem, &config(next)).unwrap();
        let closing = socket.close(&mut pool);
        assert_eq!((closing.outstanding(), pool.len()), (0, CHUNKS as usize));
        drop(successor);
    });
}

/// Fill ring full, one frame being completed, one in the tx ring.
fn busy_socket(umem: &Umem, pool: &mut FramePool, config: &SocketConfig) -> Socket {
    let mut socket = bind_once_free(umem, config);
    socket.refill(pool);
    for number in 0..2 {
        let frame = framed(umem, pool, &test_packet(number));
        socket.transmit(frame).unwrap();
        if number == 0 {
            socket.flush().unwrap();
        }
    }
    socket
}

#[test]
fn a_closed_sockets_frames_come_back_whether_or_not_the_queue_is_bound_again() {
    in_own_netns(|| {
        let (ifindex, _) = veth_pair("vxa-a", "vxa-b");
        let (umem, mut pool) = umem_and_pool();
        for _ in 0..5 {
            let socket = busy_socket(&umem, &mut pool, &config(ifindex));
            settle(socket.close(&mut pool), &mut pool);
            assert_eq!(pool.len(), CHUNKS as usize);

            let mut closing = busy_socket(&umem, &mut pool, &config(ifindex)).close(&mut pool);
            assert!(closing.outstanding() >= RINGS.fill);
            let successor = bind_once_free(&umem, &config(ifindex));
            assert_eq!(closing.settle(&mut pool).unwrap(), Settled::All);
            assert_eq!((closing.outstanding(), pool.len()), (0, CHUNKS as usize));
            settle(successor.close(&mut pool), &mut pool);
        }
        assert_eq!(pool.refused(), 0);
    });
}

#[test]
fn frames_stay_with_a_socket_whose_descriptor_was_duplicated() {
    in_own_netns(|| {
        let (ifindex, _) = veth_pair("vxa-a", "vxa-b");
        let (umem, mut pool) = umem_and_pool();
        let socket = busy_socket(&umem, &mut pool, &config(ifindex));
        let duplicate = socket.fd().unwrap().try_clone_to_owned().unwrap();
        let mut closing = socket.close(&mut pool);
        for _ in 0..20 {
            assert_eq!(closing.settle(&mut pool).unwrap(), Settled::NotYet);
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(duplicate);
        settle(closing, &mut pool);
        assert_eq!(pool.len(), CHUNKS as usize);
    });
}

#[test]
fn frames_come_back_when_the_device_goes_after_the_close() {
    in_own_netns(|| {
        let (ifindex, _) = veth_pair("vxa-a", "vxa-b");
        let (umem, mut pool) = umem_and_pool();
        let closing = busy_socket(&umem, &mut pool, &config(ifindex)).close(&mut pool);
        ip("link del vxa-a");
        settle(closing, &mut pool);
        assert_eq!(pool.len(), CHUNKS as usize);
    });
}

#[test]
fn another_namespace_proves_nothing() {
    in_own_netns(|| {
        let (ifindex, _) = veth_pair("vxa-a", "vxa-b");
        let (umem, mut pool) = umem_and_pool();
        let mut closing = busy_socket(&umem, &mut pool, &config(ifindex)).close(&mut pool);
        in_own_netns(move || {
            let (same_index, _) = veth_pair("vxa-a", "vxa-b");
            assert_eq!(same_index, ifindex, "both namespaces count alike, or this test shows nothing");
            let _elsewhere = Socket::bind(&umem, &config(ifindex)).unwrap();
            assert!(matches!(closing.settle(&mut pool), Err(Error::OtherNamespace { .. })));
            assert!(closing.outstanding() > 0);
        });
    });
}

#[test]
fn a_missing_capability_is_named() {
    in_own_netns(|| {
        preflight().unwrap();
        let error = without(Capability::NetRaw, || preflight().unwrap_err());
        assert!(error.to_string().contains("CAP_NET_RAW"), "{error}");
    });
}

#[test]
fn a_memlock_limit_too_low_is_named() {
    in_own_netns(|| {
        let (ifindex, _) = veth_pair("vxa-a", "vxa-b");
        let (umem, _) = umem_and_pool();
        capabilities::limit_memlock(64 << 10);
        let error = without(Capability::IpcLock, || Socket::bind(&umem, &config(ifindex)).unwrap_err());
        assert!(matches!(error, Error::MemoryLock { limit: 65_536, .. }), "{error}");
        Socket::bind(&umem, &config(ifindex)).unwrap();
    });
}
