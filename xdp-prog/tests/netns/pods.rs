//! Frames between a pod and the trunk.

use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::num::NonZeroU32;
use std::time::Duration;

use xdp_prog::{Error, PortKind, TcHook, TcPreference, Trunk, TrunkCounters, VlanId, XdpMode, XdpPreference};

use crate::topology::{GATEWAY_MAC, HOST_MAC, Node, POD_MAC, eventually, index, run};
use crate::wire::{Capture, send, tcp_checksum_is_right, udp_frame};

const PREFERENCES: [(TcPreference, TcHook); 2] =
    [(TcPreference::PreferTcx, TcHook::Tcx), (TcPreference::ClsactOnly, TcHook::Clsact)];

fn slot(id: u16) -> VlanId {
    VlanId::new(id).unwrap()
}

/// Slot 7 is the pod, slot 9 the host vif.
fn joined((preference, hook): (TcPreference, TcHook)) -> Trunk {
    let mut trunk = Trunk::load(preference).unwrap();
    assert_eq!(trunk.attach_trunk0(index("trunk0"), NonZeroU32::new(2).unwrap()).unwrap(), hook);
    assert_eq!(trunk.attach_port(index("vifp"), slot(7), PortKind::Pod).unwrap(), hook);
    assert_eq!(trunk.attach_port(index("vhostp"), slot(9), PortKind::Host).unwrap(), hook);
    trunk
}

fn listener(address: [u8; 4]) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::from(address), 5000)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

fn received(socket: &UdpSocket) -> Vec<u8> {
    let mut bytes = [0; 64];
    let length = socket.recv(&mut bytes).expect("the frame did not arrive");
    bytes[..length].to_vec()
}

#[test]
fn a_pods_frame_reaches_trunk1_with_its_slot_and_a_finished_checksum() {
    let topology = Node::new("out");
    for preference in PREFERENCES {
        let trunk = joined(preference);
        let mut capture = Capture::start("trunk1", 1, "tcp or (vlan and tcp)");
        topology.pod.within(|| {
            let nobody_answers =
                TcpStream::connect_timeout(&"10.9.0.1:80".parse().unwrap(), Duration::from_millis(50));
            assert!(nobody_answers.is_err());
        });
        let frame = capture.next();
        assert_eq!(frame[..6], GATEWAY_MAC);
        assert_eq!(frame[6..12], POD_MAC);
        assert_eq!(frame[12..18], [0x81, 0, 0, 7, 0x08, 0]);
        assert!(tcp_checksum_is_right(&frame[18..]), "{frame:02x?}");
        let counters = trunk.counters().unwrap();
        assert_eq!(
            counters,
            TrunkCounters { port_redirected: counters.port_redirected, ..Default::default() }
        );
        assert!(counters.port_redirected >= 1);
    }
}

#[test]
fn a_pods_own_tags_do_not_choose_a_slot() {
    let topology = Node::new("tags");
    let trunk = joined(PREFERENCES[0]);
    let mut capture = Capture::start("trunk1", 1, "vlan 7");
    topology.pod.within(|| {
        for tags in [[9].as_slice(), &[0, 9], &[0]] {
            send("eth0", &udp_frame(GATEWAY_MAC, tags, [10, 9, 0, 1], b"tagged"));
        }
    });
    assert_eq!(capture.next(), udp_frame(GATEWAY_MAC, &[7], [10, 9, 0, 1], b"tagged"));
    let expected = TrunkCounters { port_redirected: 1, port_tagged: 2, ..Default::default() };
    assert_eq!(trunk.counters().unwrap(), expected);
}

#[test]
fn the_engines_frames_reach_the_pod_and_the_host_untagged() {
    let topology = Node::new("in");
    let pod = topology.pod.within(|| listener([10, 9, 0, 2]));
    let host = listener([10, 9, 1, 2]);
    for preference in PREFERENCES {
        let trunk = joined(preference);
        send("trunk1", &udp_frame(POD_MAC, &[7], [10, 9, 0, 2], b"to the pod"));
        assert_eq!(received(&pod), b"to the pod");
        send("trunk1", &udp_frame(HOST_MAC, &[9], [10, 9, 1, 2], b"to the host"));
        assert_eq!(received(&host), b"to the host");
        let expected = TrunkCounters { trunk_redirected: 2, ..Default::default() };
        assert_eq!(trunk.counters().unwrap(), expected, "{}", preference.1);
    }
}

#[test]
fn frames_for_no_port_are_dropped_and_counted() {
    let topology = Node::new("drop");
    let pod = topology.pod.within(|| listener([10, 9, 0, 2]));
    let mut trunk = joined(PREFERENCES[0]);
    send("trunk1", &udp_frame(POD_MAC, &[8], [10, 9, 0, 2], b"unknown slot"));
    send("trunk1", &udp_frame(POD_MAC, &[], [10, 9, 0, 2], b"no slot"));
    send("trunk1", &udp_frame(POD_MAC, &[7], [10, 9, 0, 2], b"slot 7"));
    assert_eq!(received(&pod), b"slot 7");
    trunk.detach_port(index("vifp")).unwrap();
    send("trunk1", &udp_frame(POD_MAC, &[7], [10, 9, 0, 2], b"slot 7 is gone"));
    let expected =
        TrunkCounters { trunk_redirected: 1, trunk_untagged: 1, trunk_unknown_slot: 2, ..Default::default() };
    assert_eq!(trunk.counters().unwrap(), expected);
}

#[test]
fn what_the_kernel_sends_out_of_a_port_is_not_touched() {
    let topology = Node::new("egress");
    let pod = topology.pod.within(|| listener([10, 9, 0, 2]));
    let trunk = joined(PREFERENCES[0]);
    send("vifp", &udp_frame(POD_MAC, &[], [10, 9, 0, 2], b"from the kernel"));
    assert_eq!(received(&pod), b"from the kernel");
    assert_eq!(trunk.counters().unwrap(), TrunkCounters::default());
}

#[test]
fn flows_spread_over_the_queues_and_nobody_else_sees_them() {
    let topology = Node::new("spread");
    let mut trunk = joined(PREFERENCES[0]);
    let attached = trunk.attach_trunk1(index("trunk1"), XdpPreference::PreferNative).unwrap();
    assert_eq!((attached.mode, attached.fallback_reason), (XdpMode::Native, None));
    topology.pod.within(|| {
        for port in 20_000..20_064 {
            let socket = UdpSocket::bind(("10.9.0.2", port)).unwrap();
            socket.send_to(b"flow", "10.9.0.1:80").unwrap();
        }
    });
    let expected = TrunkCounters { port_redirected: 64, engine_no_socket: 64, ..Default::default() };
    eventually(|| trunk.counters().unwrap() == expected);
    let statistics = run("ethtool -S trunk1");
    for queue in 0..2 {
        let counter = format!("rx_queue_{queue}_xdp_packets: ");
        let line = statistics.lines().find_map(|line| line.trim().strip_prefix(counter.as_str())).unwrap();
        // 64 fair coins fall below 10 once in 10^9 runs.
        assert!(line.parse::<u32>().unwrap() >= 10, "{statistics}");
    }
}

#[test]
fn a_port_and_a_slot_are_given_once() {
    let _topology = Node::new("once");
    let mut trunk = joined(PREFERENCES[0]);
    let (vifp, vhostp) = (index("vifp"), index("vhostp"));
    let again = trunk.attach_port(vifp, slot(8), PortKind::Pod);
    assert!(matches!(again, Err(Error::PortTaken { port, .. }) if port == vifp), "{again:?}");
    trunk.detach_port(vhostp).unwrap();
    let taken = trunk.attach_port(vhostp, slot(7), PortKind::Host);
    assert!(matches!(taken, Err(Error::SlotTaken { holder, .. }) if holder == vifp), "{taken:?}");
    trunk.attach_port(vhostp, slot(9), PortKind::Host).unwrap();
    let gone = trunk.detach_port(index("trunk1"));
    assert!(matches!(gone, Err(Error::NoSuchPort { .. })), "{gone:?}");
}

#[test]
fn a_port_whose_device_is_gone_can_be_detached() {
    let _topology = Node::new("gone");
    for preference in PREFERENCES {
        run("ip link add shortp type veth peer short1");
        let mut trunk = joined(preference);
        let port = index("shortp");
        trunk.attach_port(port, slot(11), PortKind::Pod).unwrap();
        run("ip link del shortp");
        trunk.detach_port(port).unwrap();
        trunk.attach_trunk1(index("trunk1"), XdpPreference::GenericOnly).unwrap();
    }
}

#[test]
fn without_the_trunk_a_ports_frames_are_dropped_and_it_can_come_back() {
    let topology = Node::new("back");
    let mut trunk = joined(PREFERENCES[0]);
    trunk.detach_trunk().unwrap();
    let probe =
        || topology.pod.within(|| send("eth0", &udp_frame(GATEWAY_MAC, &[], [10, 9, 0, 1], b"probe")));
    probe();
    let mut expected = TrunkCounters { port_unknown: 1, ..Default::default() };
    eventually(|| trunk.counters().unwrap() == expected);
    trunk.attach_trunk0(index("trunk0"), NonZeroU32::new(2).unwrap()).unwrap();
    probe();
    expected.port_redirected = 1;
    eventually(|| trunk.counters().unwrap() == expected);
}
