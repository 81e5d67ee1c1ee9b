//! The yardstick of the wire benchmark: the least that a program can do with AF_XDP. Every frame of one port goes
//! out of the other, in copy mode, over the same rings and in the same batches as the vrouter's; nothing is read.
//!
//! `forwarder PORT PORT [CPU]`, in the network namespace of the two; runs until it is killed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark stops where it goes wrong"
)]

use std::time::{Duration, Instant};

use af_xdp::{Frame, FramePool, PollSet, Socket, SocketConfig, Umem, UmemConfig, ZeroCopy};
use aya::maps::XskMap;
use aya::programs::{Xdp, XdpMode};
use aya::{Ebpf, EbpfLoader};

/// As many as the vrouter has with its default configuration.
const FRAMES: u32 = 8192;
const BATCH: usize = 64;
/// How long the forwarder looks for frames before it sleeps.
const SPIN: Duration = Duration::from_micros(50);
const SLEEP: Duration = Duration::from_millis(100);

struct Port {
    socket: Socket,
    // The program is attached as long as this lives.
    _program: Ebpf,
}

impl Port {
    fn open(umem: &Umem, name: &str) -> Self {
        let index = std::fs::read_to_string(format!("/sys/class/net/{name}/ifindex"));
        let index = index.unwrap_or_else(|error| panic!("{name}: {error}")).trim().parse().expect("an index");
        let bytes = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/forward.bpf.o"));
        let mut object = EbpfLoader::new().btf(None).load(bytes).expect("the program can be loaded");
        let program: &mut Xdp = object.program_mut("forward").unwrap().try_into().unwrap();
        program.load().expect("the verifier takes the program");
        program.attach(name, XdpMode::Driver).unwrap_or_else(|error| panic!("{name}: {error}"));
        let config = SocketConfig { zero_copy: ZeroCopy::CopyOnly, ..SocketConfig::new(index, 0) };
        let socket = Socket::bind(umem, &config).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut sockets = XskMap::try_from(object.map_mut("xsks").unwrap()).unwrap();
        sockets.set(0, socket.fd().expect("a socket of a device"), 0).expect("the map takes the socket");
        Self { socket, _program: object }
    }
}

/// One batch from one port to the other; gives its size.
fn pass(from: &mut Port, to: &mut Port, pool: &mut FramePool, batch: &mut Vec<Frame>) -> usize {
    let count = from.socket.receive(batch, BATCH);
    for frame in batch.drain(..) {
        if let Err(frame) = to.socket.transmit(frame) {
            pool.put(frame);
        }
    }
    if count > 0 {
        to.socket.flush().expect("the port can send");
    }
    to.socket.complete(pool);
    from.socket.refill(pool);
    count
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [first, second, cpu @ ..] = words.as_slice() else { panic!("usage: forwarder PORT PORT [CPU]") };
    if let [cpu] = cpu {
        af_xdp::pin_current_thread(cpu.parse().expect("a CPU is a number")).expect("the CPU may be used");
    }
    let umem = Umem::new(UmemConfig { chunk_count: FRAMES, ..UmemConfig::default() }).expect("a UMEM");
    let mut pool = umem.take_pool(FRAMES).expect("the chunks are ours");
    let mut ports = [Port::open(&umem, first), Port::open(&umem, second)];
    let mut batch = Vec::with_capacity(BATCH);
    let mut poll = PollSet::new(2);
    let mut busy = Instant::now();
    println!("ready");
    loop {
        let [one, other] = &mut ports;
        let moved = pass(one, other, &mut pool, &mut batch) + pass(other, one, &mut pool, &mut batch);
        let now = Instant::now();
        if moved > 0 {
            busy = now;
        } else if now - busy > SPIN {
            let sockets = ports.iter().filter_map(|port| port.socket.fd());
            poll.wait(sockets, SLEEP).expect("sockets can be waited for");
        }
    }
}
