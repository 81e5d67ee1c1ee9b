//! What a restart and a handover cost the connections of the pods.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tests::{Lab, Server, echo, eventually, pattern, tcp_greeting, udp_greeting};

use crate::{TARGET, three_backends};

const BACKENDS: [&str; 3] = ["web-1", "web-2", "web-3"];
const SERVICE: &str = "10.96.0.10:80";
/// Time between two datagrams.
const PACE: Duration = Duration::from_millis(1);

fn serve(lab: &Lab) -> Vec<Server> {
    BACKENDS
        .iter()
        .flat_map(|name| [lab.pod(name).serve_tcp(TARGET), lab.pod(name).serve_udp(TARGET)])
        .collect()
}

fn connect(lab: &Lab) -> (TcpStream, String) {
    let stream = lab.pod("client").namespace.connect(SERVICE).unwrap();
    let backend = tcp_greeting(&stream).unwrap().backend;
    (stream, backend)
}

/// Connections that send and compare without end, and datagrams at a steady pace.
struct Load {
    stop: Arc<AtomicBool>,
    /// Messages that came back, of each connection.
    echoed: Vec<Arc<AtomicUsize>>,
    connections: Vec<JoinHandle<()>>,
    sender: JoinHandle<u32>,
    receiver: JoinHandle<Datagrams>,
}

/// A UDP socket whose flow crosses both nodes.
fn socket_to_node_b(lab: &Lab) -> UdpSocket {
    let sockets = (0..50).map(|_| lab.pod("client").namespace.udp("10.0.1.2:0"));
    let crosses = |socket: &UdpSocket| udp_greeting(socket, SERVICE, b"who?").unwrap().backend != "web-1";
    let socket = sockets.into_iter().find(crosses).expect("two of three backends are on node B");
    socket.connect(SERVICE).unwrap();
    socket
}

/// The datagrams that came back.
#[derive(Debug, Default)]
struct Datagrams {
    numbers: BTreeSet<u32>,
    longest_silence: Duration,
}

impl Load {
    fn start(lab: &Lab) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let echoed: Vec<_> = (0..5).map(|_| Arc::new(AtomicUsize::new(0))).collect();
        let streams = echoed.iter().map(|count| {
            let (stream, stop, count) = (connect(lab).0, Arc::clone(&stop), Arc::clone(count));
            thread::spawn(move || stream_on(stream, &stop, &count))
        });
        let connections = streams.collect();
        let socket = socket_to_node_b(lab);
        socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        let (listening, stopped) = (socket.try_clone().unwrap(), Arc::clone(&stop));
        let sender = thread::spawn(move || send_on(&socket, &stopped));
        let receiver = thread::spawn(move || receive_on(&listening));
        let load = Self { stop, echoed, connections, sender, receiver };
        load.goes_on();
        load
    }

    /// Waits until every connection has sent and got back more.
    fn goes_on(&self) {
        let counts = || self.echoed.iter().map(|count| count.load(Ordering::Relaxed)).collect::<Vec<_>>();
        let before = counts();
        eventually(20, "every connection goes on", || {
            counts().iter().zip(&before).all(|(now, before)| *now > before + 3)
        });
    }

    /// Stops it; gives the number of datagrams sent and lost, and the longest silence.
    fn end(self) -> (u32, u32, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        self.connections.into_iter().for_each(|connection| connection.join().expect("a connection broke"));
        let (sent, received) = (self.sender.join().unwrap(), self.receiver.join().unwrap());
        (sent, sent - received.numbers.len() as u32, received.longest_silence)
    }
}

fn stream_on(mut stream: TcpStream, stop: &AtomicBool, echoed: &AtomicUsize) {
    let blocks: Vec<Vec<u8>> = pattern(200_000)
        .flat_map(|block| block.chunks(20_000).map(<[u8]>::to_vec).collect::<Vec<_>>())
        .collect();
    for block in blocks.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        echo(&mut stream, block).unwrap();
        echoed.fetch_add(1, Ordering::Relaxed);
        thread::sleep(PACE);
    }
}

fn send_on(socket: &UdpSocket, stop: &AtomicBool) -> u32 {
    let mut sent: u32 = 0;
    while !stop.load(Ordering::Relaxed) {
        // An ICMP error about an earlier datagram may be reported here.
        if socket.send(&sent.to_be_bytes()).is_ok() {
            sent += 1;
        }
        thread::sleep(PACE);
    }
    sent
}

fn receive_on(socket: &UdpSocket) -> Datagrams {
    let (mut datagrams, mut buffer, mut last) = (Datagrams::default(), [0; 100], None::<Instant>);
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => {
                let number = buffer[length - 4..length].try_into().map(u32::from_be_bytes).unwrap();
                datagrams.numbers.insert(number);
                let now = Instant::now();
                let silence = last.map_or(Duration::ZERO, |last| now - last);
                datagrams.longest_silence = datagrams.longest_silence.max(silence);
                last = Some(now);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return datagrams;
            }
            Err(_) => {}
        }
    }
}

/// Puts load on a lab, has `change` happen to both nodes one after the other, and prints what that has cost.
fn under_load(test: &str, change: impl Fn(&mut Lab, &str)) {
    let mut lab = Lab::start(test, three_backends());
    let _servers = serve(&lab);
    for node in ["node-a", "node-b"] {
        // Long enough for a journal to hold the connections.
        let load = Load::start(&lab);
        thread::sleep(Duration::from_secs(5));
        change(&mut lab, node);
        load.goes_on();
        let (sent, lost, silence) = load.end();
        println!(
            "{test} of {node}: 5 TCP connections went on; UDP at {PACE:?}: {lost} of {sent} datagrams lost, longest silence {} ms",
            silence.as_millis()
        );
        assert!(sent > 1000 && lost < sent / 2, "{lost} of {sent}");
    }
}

#[test]
fn connections_survive_sigkill_and_start() {
    under_load("sigkill", |lab, node| {
        let node = lab.node_mut(node);
        node.end(Signal::KILL);
        node.spawn();
        node.wait_ready();
        assert!(
            node.daemon().log().contains("flows of the earlier daemon taken over"),
            "{}",
            node.daemon().log()
        );
    });
}

#[test]
fn connections_survive_sigterm_and_start() {
    under_load("sigterm", |lab, node| {
        let node = lab.node_mut(node);
        assert!(node.end(Signal::TERM).success());
        node.spawn();
        node.wait_ready();
    });
}

#[test]
fn connections_survive_a_handover() {
    under_load("handover", |lab, node| {
        let node = lab.node_mut(node);
        let devices = node.namespace.run("ip -o link show type veth");
        assert!(node.replace().success());
        node.wait_ready();
        let log = node.daemon().log();
        assert!(
            log.contains("handed over") && log.contains("flows of the earlier daemon taken over"),
            "{log}"
        );
        let indices = |shown: &str| {
            shown.lines().map(|line| line.split(':').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            indices(&node.namespace.run("ip -o link show type veth")),
            indices(&devices),
            "devices are kept"
        );
    });
}

/// Of 40 connections, those that still work after node A has been killed and started with one backend more.
fn survivors(test: &str, before_start: impl Fn(&Lab)) -> usize {
    let mut lab = Lab::start(test, three_backends());
    let _servers = serve(&lab);
    *lab.plan.backends("web") = vec!["web-1".to_owned(), "web-2".to_owned()];
    lab.reload();
    let mut open: Vec<_> = (0..40).map(|_| connect(&lab).0).collect();
    thread::sleep(Duration::from_secs(5));
    *lab.plan.backends("web") = BACKENDS.map(str::to_owned).to_vec();
    lab.node_mut("node-a").end(Signal::KILL);
    lab.write_configs();
    before_start(&lab);
    let node = lab.node_mut("node-a");
    node.spawn();
    node.wait_ready();
    open.iter_mut().filter_map(|stream| echo(stream, &[7; 10_000]).ok()).count()
}

#[test]
fn connections_keep_backends_that_a_choice_made_anew_would_not_pick() {
    assert_eq!(survivors("restart-kept", |_| {}), 40);
}

#[test]
fn without_its_journal_a_daemon_starts_and_chooses_anew() {
    let journal = |lab: &Lab| lab.node("node-a").state_dir().join("flows");
    let fewer = survivors("restart-lost", |lab| std::fs::remove_file(journal(lab)).unwrap());
    assert!(fewer < 40, "the new backend gets its share");
    let cut = |lab: &Lab| {
        let bytes = std::fs::read(journal(lab)).unwrap();
        std::fs::write(journal(lab), &bytes[..bytes.len() / 2]).unwrap();
    };
    assert!(survivors("restart-cut", cut) < 40);
}
