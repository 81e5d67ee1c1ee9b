//! The programs themselves, on literal frames (BPF_PROG_TEST_RUN, which runs them on the loopback device). Needs
//! CAP_BPF and CAP_NET_ADMIN and fails without. What the kernel does with the verdicts is in tests/netns.

use std::os::fd::AsFd;

use aya::{TestRun, TestRunOptions};
use rustix::net::{AddressFamily, SocketType, socket};

use super::*;

const TC_ACT_SHOT: u32 = 2;
const TC_ACT_REDIRECT: u32 = 7;
const XDP_DROP: u32 = 1;
const XDP_REDIRECT: u32 = 4;

const LOOPBACK: u32 = 1;
const MACS: [u8; 12] = [0x02, 0, 0, 0, 0, 0x02, 0x02, 0, 0, 0, 0, 0x01];

const NONE: TrunkCounters = TrunkCounters {
    port_redirected: 0,
    port_unknown: 0,
    port_tagged: 0,
    port_failed: 0,
    trunk_redirected: 0,
    trunk_untagged: 0,
    trunk_unknown_slot: 0,
    trunk_failed: 0,
    engine_redirected: 0,
    engine_no_socket: 0,
};

fn load() -> Trunk {
    Trunk::load(TcPreference::PreferTcx).unwrap_or_else(|error| panic!("{}", crate::error::chain(&error)))
}

/// An ARP-sized payload behind the given tags.
fn frame(tags: &[[u8; 4]]) -> Vec<u8> {
    let mut bytes = MACS.to_vec();
    bytes.extend(tags.as_flattened());
    bytes.extend([0x08, 0x06]);
    bytes.extend([0x5a; 46]);
    bytes
}

fn classify(trunk: &mut Trunk, program: &'static str, frame: &[u8]) -> (u32, Vec<u8>) {
    let mut out = vec![0; 256];
    let options = TestRunOptions { data_in: Some(frame), data_out: Some(&mut out), ..TestRunOptions::new() };
    let result = trunk.object.classifier(program).unwrap().test_run(options).unwrap();
    out.truncate(usize::try_from(result.data_size_out).unwrap());
    (result.return_value, out)
}

/// A trunk whose port is the loopback device with slot 7.
fn with_port() -> Trunk {
    let mut trunk = load();
    trunk.config.set(0, [LOOPBACK, 4], 0).unwrap();
    trunk.ports.insert(LOOPBACK, 7, 0).unwrap();
    trunk
}

#[test]
fn a_port_takes_untagged_and_priority_tagged_frames() {
    let cases: [(&str, &[[u8; 4]], u32, TrunkCounters); 5] = [
        ("untagged", &[], TC_ACT_REDIRECT, TrunkCounters { port_redirected: 1, ..NONE }),
        (
            "priority tag",
            &[[0x81, 0, 0xe0, 0]],
            TC_ACT_REDIRECT,
            TrunkCounters { port_redirected: 1, ..NONE },
        ),
        ("tagged", &[[0x81, 0, 0, 9]], TC_ACT_SHOT, TrunkCounters { port_tagged: 1, ..NONE }),
        ("802.1ad", &[[0x88, 0xa8, 0, 9]], TC_ACT_SHOT, TrunkCounters { port_tagged: 1, ..NONE }),
        (
            "a tag under a priority tag",
            &[[0x81, 0, 0, 0], [0x81, 0, 0, 7]],
            TC_ACT_SHOT,
            TrunkCounters { port_tagged: 1, ..NONE },
        ),
    ];
    for (name, tags, action, counters) in cases {
        let mut trunk = with_port();
        let (got, out) = classify(&mut trunk, PORT_IN, &frame(tags));
        assert_eq!((got, trunk.counters().unwrap()), (action, counters), "{name}");
        if action == TC_ACT_REDIRECT {
            // The slot is in the metadata here; that it reaches the wire is shown in tests/netns.
            assert_eq!(out, frame(&[]), "{name}");
        }
    }
}

#[test]
fn a_frame_of_an_unknown_device_is_dropped() {
    let mut unknown = load();
    unknown.config.set(0, [LOOPBACK, 4], 0).unwrap();
    let mut no_trunk = load();
    no_trunk.ports.insert(LOOPBACK, 7, 0).unwrap();
    for mut trunk in [unknown, no_trunk] {
        assert_eq!(classify(&mut trunk, PORT_IN, &frame(&[])).0, TC_ACT_SHOT);
        assert_eq!(trunk.counters().unwrap(), TrunkCounters { port_unknown: 1, ..NONE });
    }
}

#[test]
fn the_trunk_sends_by_slot_and_takes_the_tag_off() {
    for kind in [PortKind::Pod, PortKind::Host] {
        let mut trunk = load();
        trunk.slots.set(7, [LOOPBACK, kind.code()], 0).unwrap();
        let (action, out) = classify(&mut trunk, TRUNK_IN, &frame(&[[0x81, 0, 0xa0, 7]]));
        assert_eq!((action, out), (TC_ACT_REDIRECT, frame(&[])), "{kind}");
        assert_eq!(trunk.counters().unwrap(), TrunkCounters { trunk_redirected: 1, ..NONE });
    }
}

#[test]
fn what_names_no_port_is_dropped_on_the_trunk() {
    let cases: [(&str, &[[u8; 4]], TrunkCounters); 4] = [
        ("untagged", &[], TrunkCounters { trunk_untagged: 1, ..NONE }),
        ("slot 8", &[[0x81, 0, 0, 8]], TrunkCounters { trunk_unknown_slot: 1, ..NONE }),
        ("slot 0", &[[0x81, 0, 0, 0]], TrunkCounters { trunk_unknown_slot: 1, ..NONE }),
        ("slot 4095", &[[0x81, 0, 0x0f, 0xff]], TrunkCounters { trunk_unknown_slot: 1, ..NONE }),
    ];
    for (name, tags, counters) in cases {
        let mut trunk = load();
        trunk.slots.set(7, [LOOPBACK, PortKind::Pod.code()], 0).unwrap();
        let (action, _) = classify(&mut trunk, TRUNK_IN, &frame(tags));
        assert_eq!((action, trunk.counters().unwrap()), (TC_ACT_SHOT, counters), "{name}");
    }
}

#[test]
fn the_engine_side_redirects_or_drops() {
    let mut trunk = load();
    let run = |trunk: &mut Trunk| {
        let tagged = frame(&[[0x81, 0, 0, 7]]);
        let options = TestRunOptions { data_in: Some(&tagged), ..TestRunOptions::new() };
        trunk.object.xdp(TRUNK_XDP).unwrap().test_run(options).unwrap().return_value
    };
    assert_eq!(run(&mut trunk), XDP_DROP);
    let xsk = socket(AddressFamily::XDP, SocketType::RAW, None).unwrap();
    trunk.set_socket(0, xsk.as_fd()).unwrap();
    assert_eq!(run(&mut trunk), XDP_REDIRECT);
    trunk.clear_socket(0).unwrap();
    assert_eq!(run(&mut trunk), XDP_DROP);
    let expected = TrunkCounters { engine_redirected: 1, engine_no_socket: 2, ..NONE };
    assert_eq!(trunk.counters().unwrap(), expected);
}

#[test]
fn a_port_that_cannot_be_attached_leaves_no_entry() {
    let mut trunk = load();
    let gone = IfIndex::new(0x7fff_fff0).unwrap();
    let slot = VlanId::new(7).unwrap();
    assert!(matches!(trunk.attach_port(gone, slot, PortKind::Pod), Err(Error::NoDevice { .. })));
    assert!(matches!(trunk.detach_port(gone), Err(Error::NoSuchPort { .. })));
    assert_eq!(trunk.ports.keys().count(), 0);
    assert_eq!(trunk.slots.get(&7, 0).unwrap(), EMPTY_SLOT);
}
