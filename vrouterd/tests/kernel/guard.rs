//! What a pod, a failed reload and a NIC's offload can not do to the host.

use std::net::{TcpListener, UdpSocket};
use std::process::Command;
use std::time::Duration;

use dataplane::ids::Mac;
use vrouterd::kernel::Netlink;
use vrouterd::kernel::devices::{Devices, HostRoute, SwapError, VhostPlan};

use crate::namespace::{Bench, in_namespaces, run};

fn devices() -> Devices {
    Devices::open(Netlink::connect().unwrap()).unwrap()
}

/// Whether the pod's shell can run this within a second and a half; no spaces.
fn pod_can(bench: &Bench, script: &str) -> bool {
    let status = Command::new("ip")
        .args(["netns", "exec", bench.peer_name(), "timeout", "1.5", "bash", "-c", script])
        .stderr(std::process::Stdio::null())
        .status();
    status.unwrap().success()
}

/// The Ethernet address in what `ip -o link show` prints.
fn mac_in(shown: &str) -> &str {
    shown.split("link/ether ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap()
}

/// The pod at `vxk-peer` sends to an address of the host that is not on its wire.
fn wire(bench: &Bench) {
    bench.ip("addr add 192.0.2.1/32 dev lo");
    bench.ip("addr add fd00:9::1/128 dev lo");
    bench.connect("169.254.9.9/32", "10.0.1.2/32");
    bench.peer_ip("addr add fd00:1::2/128 dev vxk-peer nodad");
    bench.ip("route add 10.0.1.2 dev vxk-up");
    bench.ip("route add fd00:1::2 dev vxk-up");
    bench.peer_ip("route add 192.0.2.1 dev vxk-peer");
    bench.peer_ip("route add fd00:9::1 dev vxk-peer");
    for key in ["rp_filter", "arp_ignore"] {
        std::fs::write(format!("/proc/sys/net/ipv4/conf/all/{key}"), "0").unwrap();
        std::fs::write(format!("/proc/sys/net/ipv4/conf/vxk-up/{key}"), "0").unwrap();
    }
    let shown = bench.ip("-o link show vxk-up");
    let mac = mac_in(&shown);
    bench.peer_ip(&format!("neigh replace fd00:9::1 lladdr {mac} dev vxk-peer nud permanent"));
    let shown = bench.peer_ip("-o link show vxk-peer");
    bench.ip(&format!("neigh replace fd00:1::2 lladdr {} dev vxk-up nud permanent", mac_in(&shown)));
}

#[test]
fn a_pod_without_a_program_on_its_port_does_not_reach_the_host() {
    in_namespaces(async |bench: Bench| {
        wire(&bench);
        let _v4 = TcpListener::bind("192.0.2.1:80").unwrap();
        let _v6 = TcpListener::bind("[fd00:9::1]:80").unwrap();
        let udp = UdpSocket::bind("192.0.2.1:9").unwrap();
        udp.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        // Without us all of it works.
        assert!(pod_can(&bench, "</dev/tcp/192.0.2.1/80"));
        assert!(pod_can(&bench, "</dev/tcp/fd00:9::1/80"));

        devices().prepare_port("vxk-up").await.unwrap();
        bench.peer_ip("neigh flush dev vxk-peer");
        assert!(!pod_can(&bench, "</dev/tcp/192.0.2.1/80"), "ARP is answered");
        assert!(!pod_can(&bench, "</dev/tcp/fd00:9::1/80"), "IPv6 is taken");

        // A pod that knows the port's Ethernet address needs no ARP; no route of the host leads to it here.
        bench.ip("route del 10.0.1.2 dev vxk-up");
        let shown = bench.ip("-o link show vxk-up");
        let mac = mac_in(&shown);
        bench.peer_ip(&format!("neigh replace 192.0.2.1 lladdr {mac} dev vxk-peer nud permanent"));
        let mut buffer = [0; 64];
        std::fs::write("/proc/sys/net/ipv4/conf/vxk-up/rp_filter", "0").unwrap();
        assert!(pod_can(&bench, "pwd>/dev/udp/192.0.2.1/9"));
        udp.recv(&mut buffer).expect("without the check of sources it arrives");
        devices().prepare_port("vxk-up").await.unwrap();
        assert!(pod_can(&bench, "pwd>/dev/udp/192.0.2.1/9"));
        assert!(udp.recv(&mut buffer).is_err(), "the source is not checked");
    });
}

#[test]
fn a_port_with_a_dot_in_its_name_is_sealed_too() {
    in_namespaces(async |bench: Bench| {
        bench.ip("link add vxk.1.a type veth peer name vxk-b");
        devices().prepare_port("vxk.1.a").await.unwrap();
        let settings = [
            ("ipv4", "rp_filter", "1"),
            ("ipv4", "arp_ignore", "8"),
            ("ipv4", "forwarding", "0"),
            ("ipv6", "disable_ipv6", "1"),
        ];
        for (family, key, value) in settings {
            let path = format!("/proc/sys/net/{family}/conf/vxk.1.a/{key}");
            assert_eq!(std::fs::read_to_string(&path).unwrap().trim_end(), value, "{path}");
        }
    });
}

fn vhost(name: &str, prefix: &str) -> VhostPlan {
    VhostPlan {
        host_end: name.to_owned(),
        node_end: "vr-vhost1".to_owned(),
        mac: Mac([2, 0, 0, 0, 0, 0x11]),
        mtu: 1400,
        addresses: vec!["10.0.1.254/32".parse().unwrap()],
        routes: vec![HostRoute { prefix: prefix.parse().unwrap(), gateway: None }],
    }
}

#[test]
fn the_hosts_interface_is_put_back_when_the_new_one_can_not_be_made() {
    in_namespaces(async |bench: Bench| {
        let devices = devices();
        let mut made = None;
        let good = vhost("vhost0", "10.0.0.0/16");
        devices.swap_vhost(&mut made, Some(good.clone())).await.unwrap();
        let route = || bench.ip("route get 10.0.7.7");
        assert!(route().contains("dev vhost0"));
        let index = bench.ip("-o link show vhost0");

        devices.swap_vhost(&mut made, Some(good.clone())).await.unwrap();
        assert_eq!(bench.ip("-o link show vhost0"), index, "the same plan is left alone");

        bench.ip("link add vxk-b type bridge");
        let error = devices.swap_vhost(&mut made, Some(vhost("vxk-b", "10.0.0.0/8"))).await.unwrap_err();
        assert!(matches!(error, SwapError::Restored(_)), "{error}");
        assert_eq!(made.as_ref(), Some(&good));
        assert!(route().contains("dev vhost0"));

        bench.ip("link del vhost0");
        devices.swap_vhost(&mut made, Some(good.clone())).await.unwrap();
        assert!(route().contains("dev vhost0"), "it had been removed by somebody");

        let better = vhost("vhost0", "10.0.0.0/12");
        devices.swap_vhost(&mut made, Some(better.clone())).await.unwrap();
        assert_eq!(made.as_ref(), Some(&better));
        assert!(bench.ip("route get 10.15.7.7").contains("dev vhost0"));
        devices.swap_vhost(&mut made, None).await.unwrap();
        assert_eq!((made, bench.ip("-o link show").contains("vhost0")), (None, false));
    });
}

#[test]
fn a_device_that_strips_vlan_tags_is_told_not_to() {
    in_namespaces(async |_: Bench| {
        let is_on = || run("ethtool", "-k vxk-up").contains("\nrx-vlan-offload: on\n");
        assert!(is_on());
        assert!(devices().keep_vlan_tags("vxk-up").unwrap());
        assert!(!is_on());
        assert!(!devices().keep_vlan_tags("vxk-up").unwrap(), "off already");
    });
}

#[test]
fn gateways_of_all_kinds_of_routes_are_listed_with_their_device() {
    in_namespaces(async |bench: Bench| {
        bench.connect("10.20.0.5/24", "10.20.0.1/24");
        bench.ip("addr add fd00:20::5/64 dev vxk-up nodad");
        bench.ip("route add default via 10.20.0.1");
        bench.ip("route add 10.30.0.0/24 nexthop via 10.20.0.2 nexthop via 10.20.0.3");
        bench.ip("route add 10.31.0.0/24 via inet6 fd00:20::2 dev vxk-up");
        bench.ip("route add fd00:30::/64 via fd00:20::3 table 77");
        bench.ip("route add 10.40.0.1/32 dev vxk-up");
        let found = Netlink::connect().unwrap().gateways().await.unwrap();
        let index: u32 = bench.ip("-o link show vxk-up").split(':').next().unwrap().parse().unwrap();
        assert!(found.iter().all(|(device, _)| device.0 == index), "{found:?}");
        let addresses: Vec<String> = found.iter().map(|(_, gateway)| gateway.to_string()).collect();
        assert_eq!(addresses, ["10.20.0.1", "10.20.0.2", "10.20.0.3", "fd00:20::2", "fd00:20::3"]);
    });
}
