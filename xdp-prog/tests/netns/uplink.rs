//! The fabric program on an uplink that the host goes on using.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::{
    set_xdp_rx_ring_size, set_xdp_umem_completion_ring_size, set_xdp_umem_fill_ring_size, set_xdp_umem_reg,
    xdp_statistics,
};
use rustix::net::xdp::{SocketAddrXdp, SocketAddrXdpFlags, XdpUmemReg, XdpUmemRegFlags};
use rustix::net::{AddressFamily, SocketType, bind, socket};
use xdp_prog::{Error, Fabric, FabricConfig, FabricCounters, IfIndex, XdpMode, XdpPreference};

use crate::topology::{Underlay, eventually, index, run};

const MODES: [(XdpPreference, XdpMode); 2] =
    [(XdpPreference::NativeOnly, XdpMode::Native), (XdpPreference::GenericOnly, XdpMode::Generic)];

fn attached(preference: XdpPreference, mode: XdpMode) -> Fabric {
    let mut fabric = Fabric::load().unwrap();
    fabric.set_config(&FabricConfig::new("10.8.0.1".parse().unwrap())).unwrap();
    let attached = fabric.attach(index("uplink"), preference).unwrap();
    assert_eq!((attached.mode, attached.fallback_reason), (mode, None));
    fabric
}

fn tunnel_socket() -> UdpSocket {
    let socket = UdpSocket::bind("10.8.0.1:6635").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

fn send_tunnel(underlay: &Underlay, payload: &[u8]) {
    underlay.peer.within(|| {
        let socket = UdpSocket::bind("10.8.0.2:0").unwrap();
        socket.send_to(payload, "10.8.0.1:6635").unwrap();
    });
}

/// An AF_XDP socket bound to queue 0. Its fill ring stays empty, so the kernel counts every frame that reaches it
/// as dropped and writes to no memory.
fn xsk(device: IfIndex) -> OwnedFd {
    const CHUNK: usize = 4096;
    let memory = Vec::leak(vec![0_u8; 5 * CHUNK]);
    let start = memory.as_ptr().addr().next_multiple_of(CHUNK);
    let umem = XdpUmemReg {
        addr: start as u64,
        len: 4 * CHUNK as u64,
        chunk_size: CHUNK as u32,
        headroom: 0,
        flags: XdpUmemRegFlags::empty(),
        tx_metadata_len: 0,
    };
    let xsk = socket(AddressFamily::XDP, SocketType::RAW, None).unwrap();
    set_xdp_umem_reg(&xsk, umem).unwrap();
    set_xdp_umem_fill_ring_size(&xsk, 4).unwrap();
    set_xdp_umem_completion_ring_size(&xsk, 4).unwrap();
    set_xdp_rx_ring_size(&xsk, 4).unwrap();
    bind(&xsk, &SocketAddrXdp::new(SocketAddrXdpFlags::XDP_COPY, device.get(), 0)).unwrap();
    xsk
}

#[test]
fn the_host_keeps_its_uplink() {
    let underlay = Underlay::new("host");
    for (preference, mode) in MODES {
        let fabric = attached(preference, mode);
        run("ping -c 1 -W 2 10.8.0.2");

        let listener = TcpListener::bind("10.8.0.1:22").unwrap();
        let server = thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut bytes = Vec::new();
            connection.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let sent: Vec<u8> = (0..200_000_u32).map(|i| i as u8).collect();
        underlay.peer.within(|| {
            let mut connection = TcpStream::connect("10.8.0.1:22").unwrap();
            connection.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
            connection.write_all(&sent).unwrap();
        });
        assert!(server.join().unwrap() == sent, "{mode}: TCP data changed on the way");
        let counters = fabric.counters().unwrap();
        assert!(counters.passed > 5, "{mode}: {counters:?}");
        assert_eq!(counters, FabricCounters { passed: counters.passed, ..Default::default() });
    }
}

#[test]
fn tunnel_frames_go_to_the_socket_and_without_one_to_the_host() {
    let underlay = Underlay::new("tunnel");
    for (preference, mode) in MODES {
        let host = tunnel_socket();
        let mut fabric = attached(preference, mode);
        let mut bytes = [0; 8];
        send_tunnel(&underlay, b"no xsk");
        assert_eq!(host.recv(&mut bytes).unwrap(), 6, "{mode}");
        assert_eq!(fabric.counters().unwrap().no_socket, 1, "{mode}");

        let xsk = xsk(index("uplink"));
        fabric.set_socket(0, xsk.as_fd()).unwrap();
        send_tunnel(&underlay, b"to the engine");
        eventually(|| fabric.counters().unwrap().redirected == 1);
        eventually(|| xdp_statistics(&xsk).unwrap().rx_dropped == 1);

        fabric.detach();
        send_tunnel(&underlay, b"after");
        assert_eq!(host.recv(&mut bytes).unwrap(), 5, "{mode}: the frame for the engine reached the host");
    }
}

#[test]
fn fragments_are_left_to_the_host_and_counted() {
    let underlay = Underlay::new("frag");
    for (preference, mode) in MODES {
        let host = tunnel_socket();
        let fabric = attached(preference, mode);
        send_tunnel(&underlay, &[0x5a; 3000]);
        let mut bytes = [0; 4000];
        assert_eq!(host.recv(&mut bytes).unwrap(), 3000, "{mode}");
        let counters = fabric.counters().unwrap();
        assert_eq!((counters.outer_fragment, counters.no_socket), (3, 0), "{mode}");
    }
}

#[test]
fn a_driver_that_refuses_native_xdp_gets_generic_with_the_reason() {
    let underlay = Underlay::new("mode");
    underlay.peer.within(|| run("ip link set peer mtu 9000"));
    let cases = [
        ("lo", "the driver has no native XDP"),
        ("uplink", "the MTU is too large for native XDP on this driver"),
    ];
    for (device, reason) in cases {
        let mut fabric = Fabric::load().unwrap();
        let refused = fabric.attach(index(device), XdpPreference::NativeOnly).unwrap_err();
        assert!(matches!(refused, Error::Attach { .. }), "{refused:?}");
        let text = refused.to_string();
        assert!(text.contains(device) && text.contains(reason), "{text}");

        let attached = fabric.attach(index(device), XdpPreference::PreferNative).unwrap();
        assert_eq!(attached.mode, XdpMode::Generic);
        assert_eq!(attached.fallback_reason.as_deref(), Some(reason));
        let again = fabric.attach(index(device), XdpPreference::PreferNative);
        assert!(matches!(again, Err(Error::AlreadyAttached { .. })), "{again:?}");
    }
}

#[test]
fn a_foreign_program_is_named_and_stays() {
    let _underlay = Underlay::new("foreign");
    for (preference, mode) in MODES {
        let holder = attached(preference, mode);
        let shown = run("ip -d link show uplink");
        let mut fabric = Fabric::load().unwrap();
        for wanted in [XdpPreference::PreferNative, XdpPreference::GenericOnly] {
            let refused = fabric.attach(index("uplink"), wanted).unwrap_err();
            let Error::ForeignProgram { device, foreign } = &refused else { panic!("{refused:?}") };
            assert_eq!(device, "uplink");
            assert!(shown.contains(&format!("prog/xdp id {} ", foreign.id)), "{foreign}: {shown}");
            assert_eq!(foreign.name_and_tag.as_ref().unwrap().0, "fabric");
        }
        assert_eq!(run("ip -d link show uplink"), shown);
        drop(holder);
        fabric.attach(index("uplink"), preference).unwrap();
    }
}
