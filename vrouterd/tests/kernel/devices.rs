use dataplane::ids::Mac;
use serde_json::Value;
use vrouterd::kernel::devices::{Devices, HostRoute, MARK, RxQueues, TrunkPlan, VhostPlan};
use vrouterd::kernel::lock::NamespaceLock;
use vrouterd::kernel::{KernelError, Netlink};

use crate::namespace::{Bench, in_namespaces, run};

fn devices() -> Devices {
    Devices::open(Netlink::connect().unwrap()).unwrap()
}

/// What `ip` tells about a device; null when it is not there.
fn shown(bench: &Bench, name: &str) -> Value {
    let all: Vec<Value> = serde_json::from_str(&bench.ip("-j -d addr show")).unwrap();
    all.into_iter().find(|link| link["ifname"] == name).unwrap_or_default()
}

/// How the kernel makes IPv6 addresses for a device, as `ip` names it.
fn address_generation(bench: &Bench, name: &str) -> Value {
    let link: Vec<Value> = serde_json::from_str(&bench.ip(&format!("-j -d link show {name}"))).unwrap();
    link[0]["inet6_addr_gen_mode"].clone()
}

fn is_up(link: &Value) -> bool {
    link["flags"].as_array().is_some_and(|flags| flags.contains(&"UP".into()))
}

fn vhost() -> VhostPlan {
    VhostPlan {
        host_end: "vhost0".to_owned(),
        node_end: "vr-vhost1".to_owned(),
        mac: Mac([2, 0, 0, 0, 0, 0x11]),
        mtu: 1400,
        addresses: vec!["10.0.1.254/32".parse().unwrap(), "fd00:1::fe/128".parse().unwrap()],
        routes: vec![
            HostRoute { prefix: "10.0.1.0/24".parse().unwrap(), gateway: None },
            HostRoute { prefix: "10.96.0.0/16".parse().unwrap(), gateway: Some([10, 0, 1, 1].into()) },
            HostRoute { prefix: "fd00:1::/64".parse().unwrap(), gateway: None },
        ],
    }
}

#[test]
fn the_trunk_is_made_with_offloads_off_and_taken_away() {
    in_namespaces(async |bench: Bench| {
        let devices = devices();
        let pair = devices.create_trunk(&TrunkPlan::new(3490, 2)).await.unwrap();
        for device in [&pair.near, &pair.far] {
            let link = shown(&bench, &device.name);
            assert!(is_up(&link), "{link}");
            assert_eq!(link["ifindex"], device.index.0);
            assert_eq!(link["address"], device.mac.to_string());
            assert_eq!(link["mtu"], 3490);
            assert_eq!(link["num_tx_queues"], 2);
            assert_eq!(address_generation(&bench, &device.name), "none");
            assert_eq!(link["addr_info"], Value::Array(vec![]), "no address by itself");
            assert_eq!(devices.rx_queues(&device.name).await.unwrap(), RxQueues::Exactly(2));
        }
        // Off, and not only "off [requested on]". The kernel takes a whole GSO packet to a device
        // that has every one of the features the packet needs, so these settle it for TCP.
        let features = [
            "tx-checksumming",
            "\ttx-checksum-ip-generic",
            "\ttx-checksum-sctp",
            "\ttx-tcp-segmentation",
            "\ttx-tcp6-segmentation",
            "generic-segmentation-offload",
            "tx-vlan-offload",
        ];
        let near = run("ethtool", "-k vr-trunk0");
        let far = run("ethtool", "-k vr-trunk1");
        for feature in features {
            assert!(near.contains(&format!("\n{feature}: off\n")), "{near}");
            assert!(far.contains(&format!("\n{feature}: on\n")), "{far}");
        }
        devices.remove("vr-trunk0").await.unwrap();
        assert_eq!((shown(&bench, "vr-trunk0"), shown(&bench, "vr-trunk1")), (Value::Null, Value::Null));
        devices.remove("vr-trunk0").await.unwrap();
    });
}

#[test]
fn the_host_interface_has_its_addresses_and_routes() {
    in_namespaces(async |bench: Bench| {
        let devices = devices();
        let pair = devices.create_vhost(&vhost()).await.unwrap();
        assert_eq!(pair.near.mac, Mac([2, 0, 0, 0, 0, 0x11]));
        let link = shown(&bench, "vhost0");
        assert_eq!((&link["address"], &link["mtu"]), (&"02:00:00:00:00:11".into(), &1400.into()));
        let addresses: Vec<_> = link["addr_info"].as_array().unwrap().iter().map(|at| &at["local"]).collect();
        assert_eq!(addresses, ["10.0.1.254", "fd00:1::fe"]);
        assert!(is_up(&shown(&bench, "vr-vhost1")));
        let routes = bench.ip("route show dev vhost0") + &bench.ip("-6 route show dev vhost0");
        for route in ["10.0.1.0/24", "10.96.0.0/16 via 10.0.1.1", "fd00:1::/64"] {
            assert!(routes.contains(route), "{route} in {routes}");
        }
        assert!(bench.ip("route get 10.0.1.7").contains("dev vhost0 src 10.0.1.254"));
        assert!(bench.ip("route get fd00:1::7").contains("dev vhost0"));
        devices.remove("vhost0").await.unwrap();
        assert_eq!(shown(&bench, "vr-vhost1"), Value::Null);
    });
}

#[test]
fn a_making_that_fails_halfway_leaves_nothing() {
    in_namespaces(async |bench: Bench| {
        let mut plan = vhost();
        plan.routes
            .push(HostRoute { prefix: "10.5.0.0/16".parse().unwrap(), gateway: Some([192, 0, 2, 1].into()) });
        let error = devices().create_vhost(&plan).await.unwrap_err().to_string();
        assert!(error.starts_with("cannot add route 10.5.0.0/16 to vhost0: "), "{error}");
        assert_eq!((shown(&bench, "vhost0"), shown(&bench, "vr-vhost1")), (Value::Null, Value::Null));
    });
}

#[test]
fn leftovers_are_removed_and_nothing_else() {
    in_namespaces(async |bench: Bench| {
        let before = devices();
        let plan =
            TrunkPlan { kernel_end: "old0".to_owned(), engine_end: "old1".to_owned(), mtu: 1500, queues: 1 };
        before.create_trunk(&plan).await.unwrap();
        before.create_vhost(&vhost()).await.unwrap();
        drop(before);
        bench.ip("link add vxk-a type veth peer name vxk-b");
        // The group alone is not enough: we make nothing but veth pairs.
        bench.ip("link add vxk-bridge type bridge");
        bench.ip(&format!("link set vxk-bridge group {MARK}"));

        let devices = devices();
        let lock = NamespaceLock::take().unwrap();
        let mut removed = devices.remove_leftovers(&lock, &[]).await.unwrap();
        removed.sort();
        assert_eq!(removed, ["old0", "old1", "vhost0", "vr-vhost1"]);
        for name in ["vxk-a", "vxk-b", "vxk-up", "vxk-bridge"] {
            assert_ne!(shown(&bench, name), Value::Null, "{name}");
        }
        assert_eq!(shown(&bench, "old1"), Value::Null);
        devices.create_vhost(&vhost()).await.unwrap();
        assert_eq!(devices.remove_leftovers(&lock, &[]).await.unwrap().len(), 2);
        assert!(devices.remove_leftovers(&lock, &[]).await.unwrap().is_empty());
    });
}

#[test]
fn a_foreign_device_is_refused_and_left_alone() {
    in_namespaces(async |bench: Bench| {
        let devices = devices();
        for (ours, theirs) in [("vr-trunk0", "vxk-b"), ("vr-trunk1", "vxk-c")] {
            bench.ip(&format!("link add {ours} type veth peer name {theirs}"));
            let refused =
                [devices.create_trunk(&TrunkPlan::new(3490, 1)).await.map(drop), devices.remove(ours).await];
            for error in refused {
                let error = error.unwrap_err();
                assert!(matches!(&error, KernelError::ForeignDevice { device } if device == ours), "{error}");
            }
            assert_ne!(shown(&bench, ours), Value::Null);
            bench.ip(&format!("link del {ours}"));
        }
        assert_eq!(shown(&bench, "vr-trunk0"), Value::Null);
    });
}

#[test]
fn the_namespace_is_locked_until_the_lock_is_dropped() {
    in_namespaces(async |_: Bench| {
        let lock = NamespaceLock::take().unwrap();
        assert!(matches!(NamespaceLock::take(), Err(KernelError::AlreadyRunning)));
        drop(lock);
        NamespaceLock::take().unwrap();
    });
}

#[test]
fn a_port_is_prepared_and_kept_silent() {
    in_namespaces(async |bench: Bench| {
        let devices = devices();
        let port = devices.prepare_port("vxk-up").await.unwrap();
        assert!(port.set_up && port.removed.is_empty(), "{port:?}");
        assert!(is_up(&shown(&bench, "vxk-up")));
        assert_eq!(address_generation(&bench, "vxk-up"), "none");
        bench.peer_ip("link set vxk-peer up");

        bench.ip("link add vxk-a address 02:00:00:00:00:07 type veth peer name vxk-b");
        bench.ip("link set vxk-b up");
        bench.ip("link set vxk-a up");
        bench.ip("addr add 192.0.2.1/32 dev vxk-a");
        let port = devices.prepare_port("vxk-a").await.unwrap();
        assert!(!port.set_up);
        assert_eq!(port.removed, ["fe80::ff:fe00:7/64".parse().unwrap()]);
        let left = shown(&bench, "vxk-a")["addr_info"].clone();
        assert_eq!((left.as_array().map(Vec::len), &left[0]["local"]), (Some(1), &"192.0.2.1".into()));
        assert_eq!(devices.prepare_port("vxk-a").await.unwrap().removed, []);

        let error = devices.prepare_port("vxk-none").await.unwrap_err();
        assert!(matches!(&error, KernelError::NoSuchDevice { device } if device == "vxk-none"), "{error}");
    });
}
