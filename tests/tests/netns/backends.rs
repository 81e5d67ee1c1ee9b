//! Backends that terminate or go, and clients that stay with theirs.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use tests::{Lab, Plan, Server, echo, tcp_greeting, udp_greeting};

use crate::{TARGET, three_backends};

const BACKENDS: [&str; 3] = ["web-1", "web-2", "web-3"];
const SERVICES: [&str; 2] = ["10.96.0.10:80", "[fd00:96::10]:80"];

fn serve(lab: &Lab) -> Vec<Server> {
    BACKENDS.map(|name| lab.pod(name).serve_tcp(TARGET)).into()
}

/// A new connection and the backend that took it.
fn visit(lab: &Lab, service: &str) -> (TcpStream, String) {
    let stream = lab.pod("client").namespace.connect(service).unwrap();
    let backend = tcp_greeting(&stream).unwrap().backend;
    (stream, backend)
}

/// The backends that `count` new connections get to.
fn seen(lab: &Lab, service: &str, count: usize) -> BTreeSet<String> {
    (0..count).map(|_| visit(lab, service).1).collect()
}

/// An open connection to each backend.
fn one_to_each(lab: &Lab, service: &str) -> Vec<TcpStream> {
    let to = |wanted: &str| (0..100).map(|_| visit(lab, service)).find(|(_, backend)| backend == wanted);
    BACKENDS.iter().map(|wanted| to(wanted).expect("each backend gets its share").0).collect()
}

#[test]
fn a_terminating_backend_keeps_its_connections_and_gets_no_new_ones() {
    let mut lab = Lab::start("terminating", three_backends());
    let _servers = serve(&lab);
    for service in SERVICES {
        let mut open = one_to_each(&lab, service);
        for (local_and_remote, left) in [(["web-1", "web-2"], "web-3"), (["web-2", "web-3"], "web-1")] {
            *lab.plan.terminating("web") = local_and_remote.map(str::to_owned).to_vec();
            lab.reload();
            open.iter_mut().for_each(|stream| echo(stream, &[8; 100_000]).unwrap());
            assert_eq!(seen(&lab, service, 30).iter().collect::<Vec<_>>(), [left]);
        }
        lab.plan.terminating("web").clear();
        lab.reload();
        open.iter_mut().for_each(|stream| echo(stream, &[9; 100_000]).unwrap());
        assert_eq!(seen(&lab, service, 60).iter().collect::<Vec<_>>(), BACKENDS);
    }
}

#[test]
fn a_client_stays_with_its_backend_until_that_terminates() {
    let plan = three_backends().service_line("web", "affinity = { timeout = 600 }");
    let mut lab = Lab::start("affinity", plan);
    let _servers = serve(&lab);
    for service in SERVICES {
        let first = seen(&lab, service, 20);
        assert_eq!(first.len(), 1, "{first:?}");
        *lab.plan.terminating("web") = first.iter().cloned().collect();
        lab.reload();
        let second = seen(&lab, service, 20);
        assert_eq!(second.len(), 1, "{second:?}");
        assert_ne!(first, second);
        // Back again, it has no claim to its former client.
        lab.plan.terminating("web").clear();
        lab.reload();
        assert_eq!(seen(&lab, service, 20), second);
    }
}

#[test]
fn a_client_is_free_again_when_its_affinity_has_expired() {
    let lab = Lab::start("affinity-end", three_backends().service_line("web", "affinity = { timeout = 1 }"));
    let _servers = serve(&lab);
    for service in SERVICES {
        let first = visit(&lab, service).1;
        // By chance it comes back to the same backend every third time.
        let moved = (0..20).any(|_| {
            thread::sleep(Duration::from_millis(1500));
            visit(&lab, service).1 != first
        });
        assert!(moved, "{service}: {first} for 20 times");
    }
}

#[test]
fn datagrams_of_a_backend_that_is_gone_go_to_another() {
    let mut lab = Lab::start("gone-udp", three_backends());
    let _servers = BACKENDS.map(|name| lab.pod(name).serve_udp(TARGET));
    for (service, own) in [("10.96.0.10:80", "10.0.1.2:0"), ("[fd00:96::10]:80", "[fd00:1::2]:0")] {
        let socket = lab.pod("client").namespace.udp(own);
        for backend in BACKENDS {
            *lab.plan.backends("web") = vec![backend.to_owned()];
            lab.reload();
            assert_eq!(udp_greeting(&socket, service, b"who is there?").unwrap().backend, backend);
        }
    }
}

/// Fails unless the other end resets the connection once something is said.
fn assert_reset(end: &str, speaking: &mut TcpStream) {
    let peer = speaking.peer_addr().unwrap();
    speaking.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    speaking.write_all(b"anybody?").unwrap();
    let error = speaking.read(&mut [0; 1]).expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{end} to {peer}: {error}");
}

/// A backend that goes, the one that takes its place, and a pod that is kept from answering to some addresses, so
/// that a reset can only be the vrouter's own.
struct Gone {
    backend: &'static str,
    successor: &'static str,
    mute: &'static str,
    to: [&'static str; 2],
}

/// Opens a connection through each service, takes the backend away, and gives the client's and the backend's
/// ends.
fn backend_goes(lab: &mut Lab, gone: &Gone) -> Vec<(TcpStream, TcpStream)> {
    *lab.plan.backends("web") = vec![gone.backend.to_owned()];
    lab.reload();
    let listener = lab.pod(gone.backend).namespace.listen(&format!("[::]:{TARGET}"));
    let connect = |service| lab.pod("client").namespace.connect(service).unwrap();
    let open = SERVICES.map(|service| (connect(service), listener.accept().unwrap().0)).into();
    *lab.plan.backends("web") = vec![gone.successor.to_owned()];
    lab.reload();
    let muted = &lab.pod(gone.mute).namespace;
    gone.to.iter().for_each(|to| muted.ip(&format!("route add blackhole {to}\n")));
    open
}

fn resets() -> Plan {
    three_backends().service_line("web", "on_backend_gone = \"reset\"")
}

#[test]
fn a_client_of_a_backend_that_is_gone_is_reset() {
    for (test, backend, successor) in [("gone-far", "web-2", "web-1"), ("gone-near", "web-1", "web-2")] {
        let to = ["10.0.1.2/32", "fd00:1::2/128"];
        let gone = Gone { backend, successor, mute: successor, to };
        let mut lab = Lab::start(test, resets());
        for (mut client, _backend) in backend_goes(&mut lab, &gone) {
            assert_reset("client", &mut client);
        }
        assert!(lab.node("node-a").metrics().drops("service_backend_gone") >= 2.0);
    }
}

#[test]
fn a_backend_that_is_gone_is_reset() {
    let near = ("gone-near-end", "web-1", "web-2", ["10.0.1.3/32", "fd00:1::3/128"]);
    let far = ("gone-far-end", "web-2", "web-1", ["10.0.2.2/32", "fd00:2::2/128"]);
    for (test, backend, successor, to) in [near, far] {
        let gone = Gone { backend, successor, mute: "client", to };
        let mut lab = Lab::start(test, resets());
        for (_client, mut backend) in backend_goes(&mut lab, &gone) {
            assert_reset("backend", &mut backend);
        }
    }
}
