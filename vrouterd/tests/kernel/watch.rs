use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dataplane::ids::Mac;
use vrouterd::kernel::facts::{LinkFacts, LinkKind, LinkState};
use vrouterd::kernel::watch::{Watch, WatchOptions};
use vrouterd::kernel::{KernelFacts, Netlink};

use crate::namespace::{Bench, in_namespaces, run, wait_for};

fn up(facts: &KernelFacts) -> Option<&LinkFacts> {
    facts.link_named("vxk-up")
}

fn has(facts: &KernelFacts, address: &str) -> bool {
    up(facts)
        .is_some_and(|link| facts.addresses_of(link.index).any(|facts| facts.address.to_string() == address))
}

#[test]
fn changes_are_followed() {
    in_namespaces(async |bench: Bench| {
        bench.ip("link set vxk-up address 02:00:00:00:00:01 mtu 1400");
        let watch = Watch::start(Netlink::connect().unwrap(), WatchOptions::default()).await.unwrap();
        let mut facts = watch.facts();
        let first = Arc::clone(&facts.borrow());
        let link = up(&first).expect("listed at the start");
        assert_eq!(
            (link.mac, link.mtu, link.state),
            (Some(Mac([2, 0, 0, 0, 0, 1])), 1400, LinkState::AdminDown)
        );
        assert_eq!(link.kind, LinkKind::Veth { peer: None });

        bench.connect("172.30.0.1/24", "172.30.0.2/24");
        wait_for(&mut facts, "the address", |facts| has(facts, "172.30.0.1/24")).await;
        wait_for(&mut facts, "link up", |facts| up(facts).unwrap().state == LinkState::Up).await;
        bench.peer_ip("link set vxk-peer down");
        wait_for(&mut facts, "no carrier", |facts| up(facts).unwrap().state == LinkState::NoCarrier).await;
        bench.peer_ip("link set vxk-peer up");
        wait_for(&mut facts, "link up again", |facts| up(facts).unwrap().state == LinkState::Up).await;
        let epoch = facts.borrow().routing_epoch;
        bench.ip("route add 10.9.0.0/16 via 172.30.0.2");
        wait_for(&mut facts, "the route", |facts| facts.routing_epoch > epoch).await;
        bench.ip("addr del 172.30.0.1/24 dev vxk-up");
        wait_for(&mut facts, "the address gone", |facts| !has(facts, "172.30.0.1/24")).await;
        bench.ip("link del vxk-up");
        wait_for(&mut facts, "the link gone", |facts| up(facts).is_none()).await;

        let counters = watch.counters();
        assert!(counters.datagrams.load(Ordering::Relaxed) > 0);
        assert_eq!(counters.resyncs.load(Ordering::Relaxed), 0, "no gap");
        assert_eq!(counters.unreadable.load(Ordering::Relaxed), 0);
    });
}

/// Half a second without new events, so that the facts can be compared with a fresh listing.
async fn settled(watch: &Watch, netlink: &Netlink) -> (KernelFacts, KernelFacts) {
    let mut facts = watch.facts();
    let quiet = std::time::Duration::from_millis(500);
    while tokio::time::timeout(quiet, facts.changed()).await.is_ok() {}
    let followed = KernelFacts { routing_epoch: 0, ..KernelFacts::clone(&facts.borrow()) };
    (followed, KernelFacts { routing_epoch: 0, ..netlink.facts().await.unwrap() })
}

#[test]
fn an_overrun_of_events_is_made_good() {
    in_namespaces(async |_: Bench| {
        let netlink = Netlink::connect().unwrap();
        let tiny = WatchOptions { receive_buffer: 1 };
        let watch = Watch::start(netlink.clone(), tiny).await.unwrap();
        let mut batch = tempfile::NamedTempFile::new().unwrap();
        for number in 0..200 {
            writeln!(batch, "link add vxk-a{number} type veth peer name vxk-b{number}").unwrap();
            writeln!(batch, "link set vxk-a{number} up").unwrap();
            writeln!(batch, "addr add 10.1.{number}.1/24 dev vxk-a{number}").unwrap();
        }
        for number in 0..150 {
            writeln!(batch, "link del vxk-a{number}").unwrap();
        }
        // This thread runs the runtime, so the socket is not read while the batch runs.
        run("ip", &format!("-batch {}", batch.path().display()));
        let (followed, listed) = settled(&watch, &netlink).await;
        assert_eq!(followed, listed);
        assert_eq!(listed.links.len(), 102, "lo, vxk-up and 50 pairs");
        let counters = watch.counters();
        assert!(counters.overruns.load(Ordering::Relaxed) >= 1);
        assert!(counters.resyncs.load(Ordering::Relaxed) >= 1);

        run("ip", "link del vxk-a199");
        let (followed, listed) = settled(&watch, &netlink).await;
        assert_eq!((&followed, listed.links.len()), (&listed, 100), "it follows after a resync");
    });
}

#[test]
fn a_flood_of_events_is_coalesced() {
    in_namespaces(async |bench: Bench| {
        let netlink = Netlink::connect().unwrap();
        let watch = Watch::start(netlink.clone(), WatchOptions::default()).await.unwrap();
        let mut facts = watch.facts();
        let mut batch = tempfile::NamedTempFile::new().unwrap();
        for number in 0..2500 {
            writeln!(batch, "link set vxk-up mtu {}", 1000 + number % 100).unwrap();
            writeln!(batch, "link set vxk-up alias a{number}").unwrap();
        }
        let path = batch.path().display().to_string();
        let flood = tokio::task::spawn_blocking(move || run("ip", &format!("-batch {path}")));
        let started = std::time::Instant::now();
        let mut notices = 0;
        let mut flooded = std::pin::pin!(flood);
        loop {
            tokio::select! {
                changed = facts.changed() => { changed.unwrap(); facts.borrow_and_update(); notices += 1 }
                done = &mut flooded => { done.unwrap(); break }
            }
        }
        let most = started.elapsed().as_millis() / 20 + 2;
        assert!(notices <= most, "{notices} notices, at most {most}");
        bench.ip("link set vxk-up mtu 1234");
        wait_for(&mut facts, "the last state", |facts| up(facts).unwrap().mtu == 1234).await;
        let (followed, listed) = settled(&watch, &netlink).await;
        assert_eq!(followed, listed);
    });
}
