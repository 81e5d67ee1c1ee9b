use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dataplane::desired::{Link, Reach, Underlay};
use dataplane::ids::Mac;
use tokio::sync::watch;
use vrouterd::kernel::Netlink;
use vrouterd::kernel::facts::Nud;
use vrouterd::kernel::resolver::Resolver;
use vrouterd::kernel::underlay::UnderlayQuery;
use vrouterd::kernel::watch::{Watch, WatchOptions};

use crate::namespace::{Bench, in_namespaces, wait_for};

/// Everything that runs, and the ends that tests use.
struct Running {
    watch: Watch,
    resolver: Resolver,
    query: watch::Sender<UnderlayQuery>,
    underlay: watch::Receiver<Underlay>,
}

impl Running {
    async fn start(uplink: &str, tunnel_address: &str, endpoints: &[&str]) -> Self {
        let netlink = Netlink::connect().unwrap();
        let watch = Watch::start(netlink.clone(), WatchOptions::default()).await.unwrap();
        let (query, asked) = watch::channel(UnderlayQuery {
            uplink: uplink.to_owned(),
            tunnel_address: ip(tunnel_address),
            endpoints: endpoints.iter().map(|text| ip(text)).collect(),
        });
        let resolver = Resolver::start(netlink, watch.facts(), asked);
        let underlay = resolver.underlay();
        Self { watch, resolver, query, underlay }
    }

    async fn reach(&mut self, endpoint: &str, expected: Reach) {
        let what = format!("{endpoint} to be {expected:?}");
        let at = ip(endpoint);
        wait_for(&mut self.underlay, &what, |underlay| underlay.tunnels.get(&at) == Some(&expected)).await;
    }

    async fn link(&mut self, expected: Link) {
        let what = format!("the uplink to be {expected:?}");
        let is = |underlay: &Underlay| underlay.uplink.as_ref().is_some_and(|uplink| uplink.link == expected);
        wait_for(&mut self.underlay, &what, is).await;
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

const PEER: Mac = Mac([2, 0, 0, 0, 0, 9]);
const OTHER: Mac = Mac([2, 0, 0, 0, 0, 0x0a]);

#[test]
fn a_neighbour_is_resolved_and_its_new_mac_followed() {
    in_namespaces(async |bench: Bench| {
        bench.ip("link set vxk-up address 02:00:00:00:00:01 mtu 1400");
        bench.peer_ip("link set vxk-peer address 02:00:00:00:00:09");
        bench.connect("172.30.0.1/24", "172.30.0.2/24");
        let mut running = Running::start("vxk-up", "172.30.0.1", &["172.30.0.2"]).await;
        running.reach("172.30.0.2", Reach::Via(PEER)).await;
        running.link(Link::Up).await;
        let uplink = running.underlay.borrow().uplink.clone().unwrap();
        assert_eq!((uplink.mac, uplink.mtu, uplink.vlan), (Mac([2, 0, 0, 0, 0, 1]), 1400, None));

        bench.peer_ip("link set vxk-peer address 02:00:00:00:00:0a");
        bench.peer("ping -c 1 -W 2 172.30.0.1");
        running.reach("172.30.0.2", Reach::Via(OTHER)).await;

        bench.ip("link set vxk-up address 02:00:00:00:00:02");
        let own = Mac([2, 0, 0, 0, 0, 2]);
        let is = |underlay: &Underlay| underlay.uplink.as_ref().is_some_and(|uplink| uplink.mac == own);
        wait_for(&mut running.underlay, "our new MAC", is).await;
    });
}

#[test]
fn the_uplink_goes_down_and_comes_back() {
    in_namespaces(async |bench: Bench| {
        bench.peer_ip("link set vxk-peer address 02:00:00:00:00:09");
        bench.connect("172.30.0.1/24", "172.30.0.2/24");
        let mut running = Running::start("vxk-up", "172.30.0.1", &["172.30.0.2"]).await;
        running.reach("172.30.0.2", Reach::Via(PEER)).await;

        bench.peer_ip("link set vxk-peer down");
        running.link(Link::Down("vxk-up is without carrier".to_owned())).await;
        bench.peer_ip("link set vxk-peer up");
        running.link(Link::Up).await;
        running.reach("172.30.0.2", Reach::Via(PEER)).await;

        bench.ip("link set vxk-up down");
        running.link(Link::Down("vxk-up is set down".to_owned())).await;
        running.reach("172.30.0.2", Reach::NoRoute).await;
        bench.ip("link set vxk-up up");
        running.link(Link::Up).await;
        running.reach("172.30.0.2", Reach::Via(PEER)).await;

        bench.ip("addr del 172.30.0.1/24 dev vxk-up");
        running
            .link(Link::Down("tunnel address 172.30.0.1 is not on vxk-up or on a VLAN of it".to_owned()))
            .await;
        running.reach("172.30.0.2", Reach::NoRoute).await;
        bench.ip("addr add 172.30.0.1/24 dev vxk-up");
        running.reach("172.30.0.2", Reach::Via(PEER)).await;
        running.link(Link::Up).await;

        bench.ip("link del vxk-up");
        wait_for(&mut running.underlay, "no uplink", |underlay| underlay.uplink.is_none()).await;
    });
}

#[test]
fn a_silent_neighbour_fails_and_recovers() {
    in_namespaces(async |bench: Bench| {
        bench.setting("ipv4/neigh", "retrans_time_ms", 100);
        bench.peer_ip("link set vxk-peer address 02:00:00:00:00:09");
        bench.connect("172.30.0.1/24", "172.30.0.2/24");
        let mut running = Running::start("vxk-up", "172.30.0.1", &["172.30.0.3"]).await;
        running.reach("172.30.0.3", Reach::Unresolved).await;
        running.reach("172.30.0.3", Reach::Failed).await;

        running.link(Link::Up).await;

        // It stays failed between the tries, and the tries are few.
        let before = running.resolver.counters().solicitations.load(Ordering::Relaxed);
        let mut flapped = running.underlay.clone();
        flapped.borrow_and_update();
        let changed = tokio::time::timeout(Duration::from_secs(3), flapped.changed()).await;
        assert!(changed.is_err(), "{:?}", flapped.borrow());
        let tries = running.resolver.counters().solicitations.load(Ordering::Relaxed) - before;
        assert!((1..=4).contains(&tries), "{tries} tries in three seconds");

        bench.peer_ip("addr add 172.30.0.3/24 dev vxk-peer");
        running.reach("172.30.0.3", Reach::Via(PEER)).await;
        assert_eq!(running.resolver.counters().errors.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn a_stale_neighbour_is_confirmed_without_traffic() {
    in_namespaces(async |bench: Bench| {
        bench.setting("ipv4/neigh", "base_reachable_time_ms", 3000);
        bench.setting("ipv4/neigh", "delay_first_probe_time", 1);
        bench.peer_ip("link set vxk-peer address 02:00:00:00:00:09");
        bench.connect("172.30.0.1/24", "172.30.0.2/24");
        let mut running = Running::start("vxk-up", "172.30.0.1", &["172.30.0.2"]).await;
        running.reach("172.30.0.2", Reach::Via(PEER)).await;
        let mut facts = running.watch.facts();
        let index = facts.borrow().link_named("vxk-up").unwrap().index;
        let key = (index, ip("172.30.0.2"));
        for state in [Nud::Stale, Nud::Reachable] {
            let what = format!("state {state:?}");
            wait_for(&mut facts, &what, |facts| {
                facts.neighbours.get(&key).is_some_and(|at| at.state == state)
            })
            .await;
            assert_eq!(running.underlay.borrow().tunnels[&key.1], Reach::Via(PEER));
        }
    });
}

#[test]
fn routes_by_a_gateway_are_followed() {
    in_namespaces(async |bench: Bench| {
        bench.peer_ip("link set vxk-peer address 02:00:00:00:00:09");
        bench.connect("172.30.0.1/24", "172.30.0.254/24");
        let mut running = Running::start("vxk-up", "172.30.0.1", &["172.31.0.1", "172.30.0.1"]).await;
        running.reach("172.31.0.1", Reach::NoRoute).await;
        running.reach("172.30.0.1", Reach::NoRoute).await;
        bench.ip("route add 172.31.0.0/16 via 172.30.0.254");
        running.reach("172.31.0.1", Reach::Via(PEER)).await;
        bench.ip("route add unreachable 172.31.0.1/32");
        running.reach("172.31.0.1", Reach::NoRoute).await;
        bench.ip("route del unreachable 172.31.0.1/32");
        running.reach("172.31.0.1", Reach::Via(PEER)).await;
        bench.ip("rule add to 172.31.0.1 prohibit");
        running.reach("172.31.0.1", Reach::NoRoute).await;
        bench.ip("rule del to 172.31.0.1 prohibit");
        running.reach("172.31.0.1", Reach::Via(PEER)).await;

        // A new endpoint is asked for without any event from the kernel.
        running.query.send_modify(|query| {
            query.endpoints = [ip("172.31.0.2"), ip("172.30.0.254")].into();
        });
        running.reach("172.31.0.2", Reach::Via(PEER)).await;
        running.reach("172.30.0.254", Reach::Via(PEER)).await;
        assert_eq!(running.underlay.borrow().tunnels.len(), 2);

        // Packets that would leave by another device have no way over the uplink.
        bench.ip("link add vxk-x type veth peer name vxk-y");
        bench.ip("link set vxk-x up");
        bench.ip("link set vxk-y up");
        bench.ip("route add 172.31.0.2/32 dev vxk-x");
        running.reach("172.31.0.2", Reach::NoRoute).await;
    });
}

#[test]
fn a_next_hop_object_that_changes_is_followed() {
    in_namespaces(async |bench: Bench| {
        bench.peer_ip("link set vxk-peer address 02:00:00:00:00:09");
        bench.connect("172.30.0.1/24", "172.30.0.254/24");
        // Else the kernel tells of the object's routes too, for listeners that do not know objects.
        std::fs::write("/proc/sys/net/ipv4/nexthop_compat_mode", "0").unwrap();
        bench.ip("nexthop add id 1 blackhole");
        bench.ip("route add 172.31.0.0/16 nhid 1");
        let mut running = Running::start("vxk-up", "172.30.0.1", &["172.31.0.1"]).await;
        running.reach("172.31.0.1", Reach::NoRoute).await;
        // Other events (carrier, IPv6 addresses) would have the route asked for again as well.
        let mut facts = running.watch.facts();
        let quiet = Duration::from_secs(3);
        while tokio::time::timeout(quiet, facts.changed()).await.is_ok() {}
        bench.ip("nexthop replace id 1 via 172.30.0.254 dev vxk-up");
        running.reach("172.31.0.1", Reach::Via(PEER)).await;
    });
}

#[test]
fn ipv6_on_the_link_and_by_a_link_local_gateway() {
    in_namespaces(async |bench: Bench| {
        bench.peer_ip("link set vxk-peer address 02:00:00:00:00:09");
        bench.connect("fd00:30::1/64", "fd00:30::2/64");
        let mut running = Running::start("vxk-up", "fd00:30::1", &["fd00:30::2", "fd00:31::1"]).await;
        running.reach("fd00:30::2", Reach::Via(PEER)).await;
        running.reach("fd00:31::1", Reach::NoRoute).await;
        // The peer's link-local address is made from its MAC (RFC 4291 appendix A).
        bench.ip("route add fd00:31::/64 via fe80::ff:fe00:9 dev vxk-up");
        running.reach("fd00:31::1", Reach::Via(PEER)).await;
        running.link(Link::Up).await;
    });
}

#[test]
fn an_ipv4_route_by_an_ipv6_gateway() {
    in_namespaces(async |bench: Bench| {
        bench.peer_ip("link set vxk-peer address 02:00:00:00:00:09");
        bench.connect("172.30.0.1/32", "172.30.0.2/32");
        bench.ip("route add 172.30.0.2/32 via inet6 fe80::ff:fe00:9 dev vxk-up");
        let mut running = Running::start("vxk-up", "172.30.0.1", &["172.30.0.2"]).await;
        running.reach("172.30.0.2", Reach::Via(PEER)).await;
    });
}
