//! The calls a worker makes per batch allocate nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::os::fd::AsFd;
use std::time::Duration;

use af_xdp::memory::pair;
use af_xdp::{PollSet, RingSizes, Umem, UmemConfig};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps alloc's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps dealloc's contract, and the pointer came from System.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations_of(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

#[test]
fn a_workers_round_allocates_nothing() {
    let umem = Umem::new(UmemConfig { chunk_count: 64, ..UmemConfig::default() }).unwrap();
    let mut pool = umem.take_pool(64).unwrap();
    let sizes = RingSizes { rx: 16, tx: 16, fill: 16, completion: 16 };
    let (mut socket, mut kernel) = pair(&umem, sizes).unwrap();
    let (readable, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut set = PollSet::new(1);
    let mut batch = Vec::with_capacity(16);
    for round in 0..50 {
        let before_receive = allocations_of(|| {
            set.wait([readable.as_fd()], Duration::ZERO).unwrap();
            socket.complete(&mut pool);
            socket.refill(&mut pool);
        });
        for _ in 0..16 {
            kernel.deliver(&[round; 100]).unwrap();
        }
        let received = allocations_of(|| {
            assert_eq!(socket.receive(&mut batch, 16), 16);
            for frame in batch.drain(..) {
                socket.transmit(frame).unwrap();
            }
            socket.flush().unwrap();
            socket.wake_rx().unwrap();
        });
        // A packet too long, and one of nobody's chunk: refused ones allocate no more than good ones.
        kernel.forge_rx(u64::MAX, 1, 0).unwrap();
        socket.refill(&mut pool);
        let chunk = kernel.swallow_fill().unwrap();
        kernel.forge_rx(chunk, u32::MAX, 0).unwrap();
        let refused = allocations_of(|| assert_eq!(socket.receive(&mut batch, 16), 0));
        for _ in 0..16 {
            kernel.collect().unwrap().unwrap();
        }
        assert_eq!((before_receive, received, refused), (0, 0, 0), "round {round}");
    }
    assert_eq!(socket.counters().bad_descriptors, 100);
    assert!(allocations_of(|| drop(vec![1u8])) > 0, "the counter counts");
}
