//! Two workers, with two queues of the uplink and two of the trunk between them.

use std::io;
use std::net::UdpSocket;
use std::thread;

use tests::{Lab, transfer};

use crate::{TARGET, remote_backend};

const STREAMS: usize = 6;
const STREAM_BYTES: usize = 5_000_000;
const SOCKETS: usize = 16;
/// Datagrams of a socket in one go, and how often.
const WINDOW: u32 = 24;
const ROUNDS: u32 = 50;

/// Sends numbered datagrams and has them all come back, in the order in which they were sent.
fn in_order(socket: &UdpSocket, service: &str) -> io::Result<()> {
    let mut answer = [0; 256];
    for round in 0..ROUNDS {
        let numbers = round * WINDOW..(round + 1) * WINDOW;
        for number in numbers.clone() {
            socket.send_to(&number.to_be_bytes(), service)?;
        }
        for number in numbers {
            let (length, _) = socket.recv_from(&mut answer)?;
            let came = u32::from_be_bytes(answer[length - 4..length].try_into().unwrap());
            assert_eq!(came, number, "datagrams of one flow have changed places");
        }
    }
    Ok(())
}

/// Names of the interfaces whose queues `node` serves, with the queue.
fn queues(lab: &Lab, node: &str) -> Vec<(String, u64)> {
    let workers = lab.node(node).json("/workers");
    let rings = workers.as_array().unwrap().iter().flat_map(|worker| worker["rings"].as_array().unwrap());
    let mut queues: Vec<_> = rings
        .map(|ring| (ring["interface"].as_str().unwrap().to_owned(), ring["queue"].as_u64().unwrap()))
        .collect();
    queues.sort();
    queues
}

#[test]
fn streams_are_exact_and_datagrams_in_order_over_two_queues_of_both_sides() {
    let lab = Lab::start("two-by-two", remote_backend().workers(2));
    let web = lab.pod("web");
    let (_tcp, _udp) = (web.serve_tcp(TARGET), web.serve_udp(TARGET));
    let client = &lab.pod("client").namespace;
    for node in ["node-a", "node-b"] {
        let expected: Vec<_> =
            ["eth0", "vr-trunk1"].iter().flat_map(|name| [0, 1].map(|n| ((*name).to_owned(), n))).collect();
        assert_eq!(queues(&lab, node), expected, "{node}");
    }
    thread::scope(|scope| {
        for _ in 0..STREAMS {
            let stream = client.connect("10.96.0.10:80").unwrap();
            scope.spawn(move || transfer(stream, STREAM_BYTES).unwrap());
        }
        scope.spawn(|| {
            for _ in 0..SOCKETS {
                in_order(&client.udp("10.0.1.2:0"), "10.96.0.10:80").unwrap();
            }
        });
    });
    for node in ["node-a", "node-b"] {
        let workers = lab.node(node).json("/workers");
        let hits = |worker: &serde_json::Value| worker["flow_hits"].as_u64().unwrap();
        let hits: Vec<u64> = workers.as_array().unwrap().iter().map(hits).collect();
        assert!(hits.len() == 2 && hits.iter().all(|hits| *hits > 1000), "{node}: {hits:?}");
        let (came, went) = lab.node(node).metrics().sides();
        assert_eq!(came, went, "{node}: packets do not add up");
    }
}
