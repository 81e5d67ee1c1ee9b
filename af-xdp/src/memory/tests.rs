use super::*;
use crate::config::{ChunkSize, UmemConfig};
use crate::frame::Frame;
use crate::pool::FramePool;

const SIZES: RingSizes = RingSizes { rx: 4, tx: 4, fill: 4, completion: 4 };
const CHUNKS: u32 = 16;

struct Bench {
    umem: Umem,
    pool: FramePool,
    socket: Socket,
    kernel: FakeKernel,
    held: Vec<Frame>,
}

impl Bench {
    fn new() -> Self {
        Self::from_index(SIZES, 0)
    }

    fn from_index(sizes: RingSizes, first: u32) -> Self {
        let config =
            UmemConfig { chunk_size: ChunkSize::Bytes2048, chunk_count: CHUNKS + 2, ..UmemConfig::default() };
        let umem = Umem::new(config).unwrap();
        let pool = umem.take_pool(CHUNKS).unwrap();
        let (socket, kernel) = pair_from_index(&umem, sizes, first).unwrap();
        Self { umem, pool, socket, kernel, held: Vec::with_capacity(CHUNKS as usize) }
    }

    /// pool + fill + rx + tx + completion + held = taken.
    fn assert_conserved(&self) {
        let frames = self.socket.frames();
        let sum = self.pool.len() + frames.total() as usize + self.held.len();
        assert_eq!(sum, CHUNKS as usize, "{frames:?}, pool {}, held {}", self.pool.len(), self.held.len());
        assert_eq!(self.pool.refused(), 0);
    }

    fn receive(&mut self) -> usize {
        self.socket.receive(&mut self.held, usize::MAX)
    }

    /// A frame with this packet, made as a worker makes one.
    fn frame(&mut self, packet: &[u8]) -> Frame {
        let mut frame = self.pool.take().unwrap();
        let offset = frame.offset();
        frame.set_extent(offset, packet.len()).unwrap();
        self.umem.packet_mut(&mut frame).copy_from_slice(packet);
        frame
    }

    fn release_held(&mut self) {
        self.held.drain(..).for_each(|frame| self.pool.put(frame));
    }
}

#[test]
fn a_packet_goes_through_with_a_header_put_in_front() {
    let mut bench = Bench::new();
    assert_eq!(bench.socket.refill(&mut bench.pool), 4);
    bench.kernel.deliver(b"payload").unwrap();
    assert_eq!(bench.receive(), 1);
    let mut frame = bench.held.pop().unwrap();
    assert_eq!(bench.umem.packet(&frame), b"payload");
    assert_eq!(frame.offset(), 256);

    frame.set_extent(256 - 4, 4 + 7).unwrap();
    bench.umem.packet_mut(&mut frame)[..4].copy_from_slice(b"head");
    bench.socket.transmit(frame).unwrap();
    assert_eq!(bench.kernel.collect(), Ok(None), "nothing is visible before flush");
    bench.socket.flush().unwrap();
    assert_eq!(bench.kernel.collect().unwrap().unwrap(), b"headpayload");
    assert_eq!(bench.socket.complete(&mut bench.pool), 1);
    bench.assert_conserved();
}

#[test]
fn receive_never_grows_the_vector() {
    let mut bench = Bench::new();
    bench.socket.refill(&mut bench.pool);
    for n in 0..4 {
        bench.kernel.deliver(&[n; 60]).unwrap();
    }
    let mut few = Vec::with_capacity(3);
    assert_eq!(bench.socket.receive(&mut few, 2), 2);
    assert_eq!(bench.socket.receive(&mut few, 100), 1);
    assert_eq!((few.len(), few.capacity()), (3, 3));
    assert_eq!(bench.receive(), 1);
    bench.held.append(&mut few);
    bench.assert_conserved();
}

#[test]
fn the_fill_ring_is_kept_full_and_no_fuller() {
    let mut bench = Bench::new();
    assert_eq!(bench.socket.refill(&mut bench.pool), 4);
    assert_eq!(bench.socket.refill(&mut bench.pool), 0);
    bench.kernel.deliver(b"one").unwrap();
    assert_eq!(bench.socket.refill(&mut bench.pool), 1);
    let frames = bench.socket.frames();
    assert_eq!((frames.fill_ring, frames.rx_ring, frames.receiving), (4, 1, 0));
    bench.kernel.swallow_fill().unwrap();
    let frames = bench.socket.frames();
    assert_eq!((frames.fill_ring, frames.rx_ring, frames.receiving), (3, 1, 1));
    bench.assert_conserved();
}

#[test]
fn full_and_empty_rings_drop_in_the_kernel_and_are_counted() {
    let mut bench = Bench::new();
    assert_eq!(bench.kernel.deliver(b"x"), Err(Refusal::FillEmpty));
    for _ in 0..4 {
        bench.socket.refill(&mut bench.pool);
        bench.kernel.deliver(b"x").unwrap();
    }
    assert_eq!(bench.kernel.deliver(b"x"), Err(Refusal::RxFull));
    assert_eq!(bench.kernel.deliver(&[0; 1793]), Err(Refusal::TooLong));
    let kernel = bench.socket.statistics().unwrap().kernel;
    assert_eq!((kernel.rx_fill_ring_empty, kernel.rx_ring_full, kernel.rx_dropped), (1, 1, 1));
    assert_eq!(bench.receive(), 4);
    bench.assert_conserved();
}

#[test]
fn a_full_tx_ring_gives_the_frame_back() {
    let mut bench = Bench::new();
    for n in 0..4u8 {
        let frame = bench.frame(&[n; 64]);
        bench.socket.transmit(frame).unwrap();
    }
    let frame = bench.frame(b"fifth");
    let frame = bench.socket.transmit(frame).unwrap_err();
    assert_eq!(bench.umem.packet(&frame), b"fifth");
    bench.held.push(frame);
    assert_eq!(bench.socket.counters().tx_ring_full, 1);
    bench.assert_conserved();

    bench.socket.flush().unwrap();
    for n in 0..4u8 {
        assert_eq!(bench.kernel.collect().unwrap().unwrap(), [n; 64]);
    }
    bench.socket.transmit(bench.held.pop().unwrap()).unwrap();
    bench.socket.flush().unwrap();
    assert_eq!(bench.kernel.collect(), Err(Refusal::CompletionFull), "completions were not taken");
    assert_eq!(bench.socket.complete(&mut bench.pool), 4);
    assert_eq!(bench.kernel.collect().unwrap().unwrap(), b"fifth");
    assert_eq!(bench.socket.complete(&mut bench.pool), 1);
    bench.assert_conserved();
}

#[test]
fn empty_and_foreign_frames_are_not_transmitted() {
    let mut bench = Bench::new();
    let empty = bench.pool.take().unwrap();
    bench.held.push(bench.socket.transmit(empty).unwrap_err());
    let other = Umem::new(UmemConfig { chunk_count: 1, ..UmemConfig::default() }).unwrap();
    let mut foreign = other.take_pool(1).unwrap().take().unwrap();
    foreign.set_extent(0, 64).unwrap();
    assert!(bench.socket.transmit(foreign).is_err());
    assert_eq!(bench.socket.counters().tx_rejected, 2);
    bench.socket.flush().unwrap();
    assert_eq!(bench.kernel.collect(), Ok(None));
    bench.assert_conserved();
}

#[test]
fn a_foreign_pool_fills_nothing() {
    let mut bench = Bench::new();
    let other = Umem::new(UmemConfig { chunk_count: 2, ..UmemConfig::default() }).unwrap();
    let mut foreign = other.take_pool(2).unwrap();
    assert_eq!(bench.socket.refill(&mut foreign), 0);
    assert_eq!((foreign.len(), bench.socket.frames().total()), (2, 0));
}

#[test]
fn impossible_rx_descriptors_become_no_frame() {
    let end = u64::from(CHUNKS + 2) * 2048;
    let not_lent = u64::from(CHUNKS) * 2048;
    let table: [(&str, u64, u32, u32); 6] = [
        ("just past the UMEM", end, 60, 0),
        ("far past the UMEM", u64::MAX, 60, 0),
        ("chunk number past u32", u64::from(u32::MAX) * 2048 * 2, 60, 0),
        ("chunk of nobody", not_lent, 60, 0),
        ("chunk in the pool", 10 * 2048, 60, 0),
        ("last byte of the address space", u64::MAX - 2047, u32::MAX, u32::MAX - 1),
    ];
    for (what, address, len, options) in table {
        let mut bench = Bench::new();
        bench.socket.refill(&mut bench.pool);
        bench.kernel.forge_rx(address, len, options).unwrap();
        assert_eq!(bench.receive(), 0, "{what}");
        assert_eq!(bench.socket.counters().bad_descriptors, 1, "{what}");
        bench.assert_conserved();
    }
}

#[test]
fn a_packet_leaving_its_chunk_is_refused_and_the_chunk_reused() {
    for (offset, len) in [(0, 2049), (256, 1793), (2047, 2), (256, u32::MAX)] {
        let mut bench = Bench::new();
        bench.socket.refill(&mut bench.pool);
        let chunk = bench.kernel.swallow_fill().unwrap();
        bench.kernel.forge_rx(chunk + offset, len, 0).unwrap();
        assert_eq!(bench.receive(), 0);
        assert_eq!(bench.socket.counters().bad_descriptors, 1);
        assert_eq!(bench.socket.frames().spare, 1);
        bench.assert_conserved();
        assert_eq!(bench.socket.refill(&mut bench.pool), 1);
        assert_eq!(bench.socket.frames().spare, 0);
        bench.assert_conserved();
    }
}

#[test]
fn a_packet_exactly_filling_its_chunk_is_taken() {
    let mut bench = Bench::new();
    bench.socket.refill(&mut bench.pool);
    let chunk = bench.kernel.swallow_fill().unwrap();
    bench.kernel.forge_rx(chunk, 2048, 0).unwrap();
    assert_eq!(bench.receive(), 1);
    assert_eq!(bench.umem.packet(&bench.held[0]).len(), 2048);
    bench.assert_conserved();
}

#[test]
fn a_chunk_named_twice_becomes_one_frame() {
    let mut bench = Bench::new();
    bench.socket.refill(&mut bench.pool);
    let address = bench.kernel.deliver(b"once").unwrap();
    bench.kernel.forge_rx(address, 4, 0).unwrap();
    assert_eq!(bench.receive(), 1);
    assert_eq!(bench.socket.counters().bad_descriptors, 1);
    bench.kernel.forge_rx(address, 4, 0).unwrap();
    assert_eq!(bench.receive(), 0);
    bench.assert_conserved();
}

#[test]
fn a_multi_buffer_packet_is_refused_whole() {
    let mut bench = Bench::new();
    bench.socket.refill(&mut bench.pool);
    for options in [libc::XDP_PKT_CONTD, libc::XDP_PKT_CONTD, 0, 0] {
        let chunk = bench.kernel.swallow_fill().unwrap();
        bench.kernel.forge_rx(chunk + 256, 100, options).unwrap();
    }
    assert_eq!(bench.receive(), 1, "only the packet after the chain");
    assert_eq!(bench.socket.counters().bad_descriptors, 3);
    assert_eq!(bench.socket.frames().spare, 3);
    bench.assert_conserved();
}

#[test]
fn another_sockets_chunk_is_refused() {
    let mut bench = Bench::new();
    let (mut other, mut other_kernel) = pair(&bench.umem, SIZES).unwrap();
    bench.socket.refill(&mut bench.pool);
    other.refill(&mut bench.pool);
    let theirs = other_kernel.swallow_fill().unwrap();
    bench.kernel.forge_rx(theirs, 60, 0).unwrap();
    bench.kernel.forge_completion(theirs).unwrap();
    assert_eq!(bench.receive(), 0);
    assert_eq!(bench.socket.complete(&mut bench.pool), 0);
    let counters = bench.socket.counters();
    assert_eq!((counters.bad_descriptors, counters.bad_completions), (1, 1));
}

#[test]
fn forged_completions_are_refused() {
    let mut bench = Bench::new();
    bench.socket.refill(&mut bench.pool);
    let frame = bench.frame(b"sent once");
    let address = u64::from(frame.chunk()) * 2048;
    bench.socket.transmit(frame).unwrap();
    bench.socket.flush().unwrap();
    bench.kernel.collect().unwrap().unwrap();
    let filling = bench.kernel.swallow_fill().unwrap();
    for forged in [address, u64::MAX, filling] {
        bench.kernel.forge_completion(forged).unwrap();
    }
    assert_eq!(bench.socket.complete(&mut bench.pool), 1);
    assert_eq!(bench.socket.counters().bad_completions, 3);
    bench.assert_conserved();
}

#[test]
fn an_early_completion_keeps_the_kernel_off_the_chunk() {
    let mut bench = Bench::new();
    let frame = bench.frame(b"early");
    let address = u64::from(frame.chunk()) * 2048;
    bench.socket.transmit(frame).unwrap();
    bench.socket.flush().unwrap();
    bench.kernel.forge_completion(address).unwrap();
    assert_eq!(bench.socket.complete(&mut bench.pool), 1);
    assert_eq!(bench.kernel.collect(), Err(Refusal::NotLent));
    bench.assert_conserved();
}

#[test]
fn withheld_completions_only_hold_their_own_frames() {
    let mut bench = Bench::new();
    let mut sent = 0;
    while !bench.pool.is_empty() {
        let frame = bench.frame(b"kept");
        bench.socket.transmit(frame).unwrap();
        bench.socket.flush().unwrap();
        assert!(bench.kernel.collect_uncompleted().unwrap().is_some());
        sent += 1;
    }
    assert_eq!(bench.socket.frames().sending, sent);
    bench.assert_conserved();
    let mut back = 0;
    while back < sent as usize {
        assert!(bench.kernel.complete_withheld() > 0);
        back += bench.socket.complete(&mut bench.pool);
    }
    assert_eq!(bench.pool.len(), CHUNKS as usize);
}

#[test]
fn nonsense_indices_stop_the_ring_and_nothing_else() {
    let mut bench = Bench::new();
    bench.socket.refill(&mut bench.pool);
    bench.kernel.deliver(b"x").unwrap();
    for value in [100, u32::MAX, 1 << 31] {
        bench.kernel.set_index(KernelIndex::RxProducer, value);
        bench.kernel.set_index(KernelIndex::CompletionProducer, value);
        bench.kernel.set_index(KernelIndex::FillConsumer, value);
        bench.kernel.set_index(KernelIndex::TxConsumer, value);
        assert_eq!(bench.receive(), 0);
        assert_eq!(bench.socket.complete(&mut bench.pool), 0);
        assert_eq!(bench.socket.refill(&mut bench.pool), 0);
        bench.assert_conserved();
    }
    bench.kernel.set_index(KernelIndex::RxProducer, 1);
    assert_eq!(bench.receive(), 1);
}

#[test]
fn sendto_is_called_only_when_asked_for_and_something_waits() {
    let mut bench = Bench::new();
    bench.socket.flush().unwrap();
    assert_eq!(bench.kernel.kicks(), 0, "nothing to send");
    let frame = bench.frame(b"a");
    bench.socket.transmit(frame).unwrap();
    bench.kernel.ask_for_tx_wakeup(Wakeup::NotNeeded);
    bench.socket.flush().unwrap();
    assert_eq!(bench.kernel.kicks(), 0, "not asked for");
    bench.kernel.ask_for_tx_wakeup(Wakeup::Needed);
    bench.socket.flush().unwrap();
    assert_eq!(bench.kernel.kicks(), 1, "left over from before");
    bench.kernel.collect().unwrap().unwrap();
    bench.socket.flush().unwrap();
    assert_eq!(bench.kernel.kicks(), 1, "all sent");
}

#[test]
fn a_kernel_that_takes_no_more_ends_the_flush() {
    for number in [libc::EAGAIN, libc::EBUSY, libc::ENOBUFS] {
        let mut bench = Bench::new();
        let frame = bench.frame(b"a");
        bench.socket.transmit(frame).unwrap();
        bench.kernel.set_kick_error(Some(number));
        bench.socket.flush().unwrap();
        let counters = bench.socket.counters();
        assert_eq!((counters.kicks, counters.kicks_again), (1, 1));
        assert_eq!(bench.socket.frames().tx_ring, 1);
    }
}

#[test]
fn a_device_down_or_gone_is_an_error_by_name() {
    let mut bench = Bench::new();
    let frame = bench.frame(b"a");
    bench.socket.transmit(frame).unwrap();
    bench.kernel.set_link(Link::Down);
    assert!(matches!(bench.socket.flush(), Err(Error::LinkDown { .. })));
    assert!(matches!(bench.socket.check(), Err(Error::LinkDown { .. })));
    bench.kernel.set_link(Link::Up);
    bench.socket.check().unwrap();
    bench.kernel.set_kick_error(Some(libc::ENXIO));
    let error = bench.socket.flush().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENXIO), "a driver's ENXIO is not a removal");
    bench.kernel.set_link(Link::Gone);
    assert!(matches!(bench.socket.flush(), Err(Error::Gone { .. })));
    assert!(matches!(bench.socket.check(), Err(Error::Gone { .. })));
    bench.assert_conserved();
}

#[test]
fn the_driver_is_woken_for_the_fill_ring_only_when_it_asks() {
    let mut bench = Bench::new();
    bench.socket.wake_rx().unwrap();
    assert_eq!(bench.kernel.pokes(), 0);
    bench.kernel.ask_for_rx_wakeup(Wakeup::Needed);
    bench.socket.wake_rx().unwrap();
    assert_eq!((bench.kernel.pokes(), bench.socket.counters().rx_wakeups), (1, 1));
}

/// One frame in every place a frame can be.
fn spread(bench: &mut Bench) {
    bench.socket.refill(&mut bench.pool);
    bench.kernel.deliver(b"rx").unwrap();
    let chunk = bench.kernel.swallow_fill().unwrap();
    bench.kernel.forge_rx(chunk, u32::MAX, 0).unwrap();
    assert_eq!(bench.receive(), 1);
    bench.kernel.deliver(b"rx").unwrap();
    bench.kernel.swallow_fill().unwrap();
    for _ in 0..2 {
        let frame = bench.frame(b"tx");
        bench.socket.transmit(frame).unwrap();
    }
    bench.socket.flush().unwrap();
    bench.kernel.collect().unwrap().unwrap();
    bench.kernel.collect_uncompleted().unwrap().unwrap();
    let frame = bench.frame(b"tx");
    bench.socket.transmit(frame).unwrap();
    let expected = crate::FrameCounts {
        fill_ring: 0,
        receiving: 1,
        rx_ring: 1,
        tx_ring: 1,
        sending: 1,
        completion_ring: 1,
        spare: 1,
    };
    assert_eq!(bench.socket.frames(), expected);
    bench.assert_conserved();
}

#[test]
fn close_brings_every_frame_back_and_stops_the_kernel() {
    let mut bench = Bench::new();
    spread(&mut bench);
    bench.release_held();
    let Bench { mut pool, socket, mut kernel, .. } = bench;
    let mut closing = socket.close(&mut pool);
    assert_eq!((closing.outstanding(), pool.len()), (0, CHUNKS as usize));
    assert_eq!(closing.settle(&mut pool).unwrap(), crate::Settled::All);
    assert_eq!(kernel.deliver(b"late"), Err(Refusal::Closed));
    assert_eq!(kernel.collect(), Err(Refusal::Closed));
    assert_eq!(pool.refused(), 0);
}

#[test]
fn a_dropped_socket_keeps_its_chunks_from_everybody() {
    let mut bench = Bench::new();
    spread(&mut bench);
    bench.release_held();
    let lost = bench.socket.frames().total() as usize;
    let Bench { umem, mut pool, socket, mut held, .. } = bench;
    drop(socket);
    let (mut next, mut kernel) = pair(&umem, SIZES).unwrap();
    assert_eq!(pool.len(), CHUNKS as usize - lost);
    let own = next.refill(&mut pool);
    for address in umem.addresses() {
        kernel.forge_rx(address, 60, 0).unwrap();
        next.receive(&mut held, usize::MAX);
    }
    assert_eq!(held.len(), own, "only what the socket itself has given");
    assert_eq!(next.counters().bad_descriptors, u64::from(umem.chunk_count()) - own as u64);
}

/// xorshift64*: a fixed sequence, so that a failure repeats.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides
    }
}

fn step(bench: &mut Bench, dice: &mut Dice) {
    match dice.roll(14) {
        0 | 1 => drop(bench.socket.refill(&mut bench.pool)),
        2 => drop(bench.socket.complete(&mut bench.pool)),
        3 => bench.socket.flush().unwrap(),
        4..6 => {
            let _ = bench.kernel.deliver(&vec![dice.roll(256) as u8; dice.roll(1800) as usize]);
        }
        6 | 7 => {
            let max = dice.roll(4) as usize;
            bench.socket.receive(&mut bench.held, max);
        }
        8 | 9 => {
            if let Some(mut frame) = bench.held.pop() {
                bench.umem.chunk_mut(&mut frame).fill(dice.roll(256) as u8);
                if let Err(frame) = bench.socket.transmit(frame) {
                    bench.pool.put(frame);
                }
            }
        }
        10 => drop(bench.kernel.collect()),
        11 => {
            let _ = bench.kernel.collect_uncompleted();
            bench.kernel.complete_withheld();
        }
        12 => {
            let address = dice.roll(u64::from(CHUNKS + 4) * 2048);
            let _ = bench.kernel.forge_rx(address, dice.roll(2200) as u32, dice.roll(2) as u32);
        }
        _ => {
            let _ = bench.kernel.forge_completion(dice.roll(u64::from(CHUNKS + 4) * 2048));
        }
    }
}

#[test]
fn whatever_happens_frames_are_conserved_and_unique() {
    for seed in 1..9u64 {
        let sizes = RingSizes { rx: 4, tx: 2, fill: 8, completion: 4 };
        let mut bench = Bench::from_index(sizes, u32::MAX - 100 * seed as u32);
        let mut dice = Dice(seed);
        for _ in 0..4000 {
            step(&mut bench, &mut dice);
            bench.assert_conserved();
        }
        assert!(bench.socket.counters().received > 100, "{:?}", bench.socket.counters());
        assert!(bench.socket.counters().completed > 100, "{:?}", bench.socket.counters());
        assert!(bench.socket.counters().bad_descriptors > 100, "{:?}", bench.socket.counters());
        bench.release_held();
        let closing = bench.socket.close(&mut bench.pool);
        assert_eq!((closing.outstanding(), bench.pool.len()), (0, CHUNKS as usize));
        let mut chunks: Vec<u32> = std::iter::from_fn(|| bench.pool.take()).map(|f| f.chunk()).collect();
        let count = chunks.len();
        chunks.sort_unstable();
        chunks.dedup();
        assert_eq!(chunks.len(), count, "a chunk has two frames");
    }
}

#[test]
fn both_sides_may_run_on_threads_of_their_own() {
    const PACKETS: usize = 2000;
    let Bench { umem, mut pool, mut socket, mut kernel, mut held } =
        Bench::from_index(RingSizes { rx: 8, tx: 8, fill: 8, completion: 8 }, u32::MAX - 50);
    let kernel_side = std::thread::spawn(move || {
        let (mut delivered, mut collected) = (0usize, 0usize);
        while collected < PACKETS {
            if delivered < PACKETS && kernel.deliver(&(delivered as u64).to_be_bytes()).is_ok() {
                delivered += 1;
            }
            match kernel.collect() {
                Ok(Some(packet)) => {
                    assert_eq!(packet, (collected as u64).to_be_bytes());
                    collected += 1;
                }
                _ => std::thread::yield_now(),
            }
        }
    });
    let mut sent = 0;
    while sent < PACKETS || socket.frames().transmit() > 0 {
        socket.refill(&mut pool);
        socket.receive(&mut held, 8);
        for frame in held.drain(..) {
            let mut frame = Some(frame);
            while let Some(again) = frame.take() {
                match socket.transmit(again) {
                    Ok(()) => sent += 1,
                    Err(back) => {
                        frame = Some(back);
                        socket.flush().unwrap();
                        socket.complete(&mut pool);
                        std::thread::yield_now();
                    }
                }
            }
        }
        socket.flush().unwrap();
        socket.complete(&mut pool);
        std::thread::yield_now();
    }
    kernel_side.join().unwrap();
    assert_eq!(socket.counters().bad_descriptors + socket.counters().bad_completions, 0);
    assert_eq!(pool.len() + socket.frames().total() as usize, CHUNKS as usize);
    assert_eq!(umem.chunk_count(), CHUNKS + 2);
}
