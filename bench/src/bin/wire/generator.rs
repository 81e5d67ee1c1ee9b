//! Sends frames out of an interface at a given rate: a BPF program run as live frames, so that neither a socket nor
//! a system call per packet stands before the path that is measured.

use std::time::Duration;

use aya::maps::Array;
use aya::programs::{ProgramError, TestRun as _, TestRunAttrs, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use rustix::time::{ClockId, clock_gettime};

use crate::frames::{TEMPLATE, Template};

/// Most frames that the kernel sends in one go; softirqs run in between.
const MOST: u64 = 64;
/// Batches in a second, unless they would be larger than [`MOST`].
const BATCHES: u64 = 50_000;
/// Runs that a second has at least: a run waits for its turn no longer than the program's loop takes.
const RUNS: u64 = 50_000;
/// `struct xdp_md`.
const CONTEXT: usize = 24;

/// What to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Packets per second, evenly spaced.
    pub(crate) rate: u64,
    /// Five-tuples, visited at random.
    pub(crate) flows: u64,
    pub(crate) duration: Duration,
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) packets: u64,
    pub(crate) seconds: f64,
}

/// A generator on one interface.
pub(crate) struct Generator {
    object: Ebpf,
    ifindex: u64,
    cpu: usize,
    frames: Vec<Template>,
}

impl Generator {
    /// On the interface with that index; runs on `cpu`.
    pub(crate) fn new(ifindex: u32, cpu: usize) -> Self {
        let bytes = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/generator.bpf.o"));
        let mut object = EbpfLoader::new().btf(None).load(bytes).expect("the generator can be loaded");
        let program: &mut Xdp = object.program_mut("generate").unwrap().try_into().unwrap();
        program.load().expect("the verifier takes the generator");
        Self { object, ifindex: ifindex.into(), cpu, frames: Vec::new() }
    }

    /// Chooses what is sent from now on; flow n takes template n modulo their number.
    pub(crate) fn choose(&mut self, frames: Vec<Template>) {
        let mut templates: Array<_, [u8; TEMPLATE]> =
            Array::try_from(self.object.map_mut("templates").unwrap()).unwrap();
        for (index, frame) in (0..).zip(&frames) {
            templates.set(index, frame.encode(), 0).expect("the map has room for the templates");
        }
        self.frames = frames;
    }

    /// Sends until the time is over. The calling thread must be in the interface's network namespace, and stays on
    /// the generator's CPU.
    pub(crate) fn run(&mut self, load: Load) -> Sent {
        let full = self.frames.iter().map(|frame| frame.length).max().expect("frames were chosen");
        let end = now() + u64::try_from(load.duration.as_nanos()).expect("a short time");
        let order = [end, load.rate, load.flows, self.frames.len() as u64, self.ifindex, full as u64];
        self.map::<[u64; 6]>("orders").set(0, order, 0).expect("the order is taken");
        self.map::<[u64; 4]>("progresses").set(0, [0; 4], 0).expect("the progress is taken");
        let program: &Xdp = self.object.program("generate").unwrap().try_into().unwrap();
        af_xdp::pin_current_thread(self.cpu).expect("the generator's CPU may be used");
        send(program, full, load);
        let [start, packets, _, last] = self.map::<[u64; 4]>("progresses").get(&0, 0).expect("the progress");
        Sent { packets, seconds: last.saturating_sub(start) as f64 / 1e9 }
    }

    fn map<T: aya::Pod>(&mut self, name: &str) -> Array<&mut aya::maps::MapData, T> {
        Array::try_from(self.object.map_mut(name).unwrap()).expect("the map has the shape of its type")
    }
}

/// One system call for all: the kernel waits for an RCU grace period before and after (`bpf_prog_change_xdp`).
/// When the time is over, the runs that are left do nothing.
fn send(program: &Xdp, length: usize, load: Load) {
    let runs = (load.rate + RUNS) as f64 * load.duration.as_secs_f64() * 2.0;
    let frame = vec![0; length];
    let mut context = [0; CONTEXT];
    context[4..8].copy_from_slice(&u32::try_from(length).expect("a short frame").to_ne_bytes());
    let options = TestRunOptions {
        data_in: Some(&frame),
        ctx_in: Some(&context),
        repeat: runs as u32,
        attrs: TestRunAttrs::new().xdp_live_frames((load.rate / BATCHES).clamp(1, MOST) as u32),
        ..TestRunOptions::new()
    };
    match program.test_run(options) {
        Ok(_) => {}
        Err(ProgramError::SyscallError(error))
            if error.io_error.kind() == std::io::ErrorKind::Interrupted => {}
        Err(error) => panic!("live frames (Linux 5.18 or later): {error:?}"),
    }
}

/// What `bpf_ktime_get_ns` gives.
fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).expect("time is positive")
}
