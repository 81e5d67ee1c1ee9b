//! TCP connections per second through the ClusterIP: opened, closed by the server, seen closed by the client.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::course::{Course, System};
use crate::ground::{BACKENDS, SERVICE, dotted};

/// Clients at once.
const CLIENTS: usize = 4;

/// Connections of one system.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Connections {
    pub(crate) system: System,
    pub(crate) per_second: f64,
    /// That were refused, reset or not answered.
    pub(crate) failed: usize,
}

/// Measures on a course of both nodes.
pub(crate) fn measure(course: &Course, duration: Duration) -> Connections {
    for pod in course.places.iter().rev().take(BACKENDS.len()) {
        let listener = pod.listen("0.0.0.0:8081");
        thread::spawn(move || close_all(&listener));
    }
    let client = &course.places[0];
    widen_ports(client);
    let address = format!("{}:81", dotted(SERVICE)).parse().expect("an address");
    let begin = Instant::now();
    let outcomes: Vec<(usize, usize)> = thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| scope.spawn(|| client.within(|| visit(&address, duration)))).collect();
        clients.into_iter().map(|client| client.join().expect("a client does not panic")).collect()
    });
    let (done, failed) = outcomes.into_iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    Connections { system: course.system, per_second: done as f64 / begin.elapsed().as_secs_f64(), failed }
}

fn close_all(listener: &TcpListener) {
    listener.incoming().for_each(drop);
}

/// Gives how many connections went well, and how many did not.
fn visit(service: &std::net::SocketAddr, duration: Duration) -> (usize, usize) {
    let (mut done, mut failed) = (0, 0);
    let end = Instant::now() + duration;
    while Instant::now() < end {
        let stream = TcpStream::connect_timeout(service, Duration::from_secs(2));
        match stream.and_then(|mut stream| stream.read(&mut [0])) {
            Ok(_) => done += 1,
            Err(_) => failed += 1,
        }
    }
    (done, failed)
}

fn widen_ports(client: &tests::Namespace) {
    client.within(|| {
        let path = "/proc/sys/net/ipv4/ip_local_port_range";
        std::fs::write(path, "2000 65000").expect("root may choose the ports");
    });
}
