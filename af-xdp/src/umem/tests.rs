use super::*;

fn small(chunk_count: u32) -> Umem {
    Umem::new(UmemConfig { chunk_count, ..UmemConfig::default() }).unwrap()
}

#[test]
fn impossible_shapes_are_refused_by_name() {
    let good = UmemConfig { chunk_count: 4, ..UmemConfig::default() };
    let table = [
        (UmemConfig { chunk_count: 0, ..good }, "at least one chunk"),
        (UmemConfig { headroom: 255, ..good }, "at least 256"),
        (UmemConfig { headroom: 4096, ..good }, "smaller than a chunk"),
    ];
    for (config, text) in table {
        let error = Umem::new(config).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn pools_are_disjoint_and_bounded() {
    let umem = small(8);
    let mut first = umem.take_pool(5).unwrap();
    let error = umem.take_pool(4).unwrap_err();
    assert!(matches!(error, Error::UmemExhausted { wanted: 4, left: 3 }), "{error}");
    let mut second = umem.take_pool(3).unwrap();
    let mut chunks: Vec<u32> =
        std::iter::from_fn(|| first.take().or_else(|| second.take())).map(|frame| frame.chunk()).collect();
    chunks.sort_unstable();
    assert_eq!(chunks, (0..8).collect::<Vec<_>>());
}

#[test]
fn each_frame_writes_its_own_chunk() {
    let umem = small(3);
    let mut pool = umem.take_pool(3).unwrap();
    let mut frames: Vec<Frame> = std::iter::from_fn(|| pool.take()).collect();
    for (value, frame) in (1u8..).zip(frames.iter_mut()) {
        umem.chunk_mut(frame).fill(value);
        frame.set_extent(4090, 6).unwrap();
    }
    for (value, frame) in (1u8..).zip(frames.iter_mut()) {
        assert!(umem.chunk(frame).iter().all(|byte| *byte == value));
        assert_eq!(umem.packet(frame), [value; 6]);
        assert_eq!(umem.packet_mut(frame).len(), 6);
    }
}

#[test]
fn a_frame_of_another_umem_gives_no_bytes() {
    let (here, there) = (small(1), small(64));
    let mut frame = there.take_pool(64).unwrap().take().unwrap();
    frame.set_extent(0, 4096).unwrap();
    assert!(!here.owns(&frame));
    assert!(here.chunk(&frame).is_empty());
    assert!(here.chunk_mut(&mut frame).is_empty());
    assert!(here.packet(&frame).is_empty());
    assert!(here.packet_mut(&mut frame).is_empty());
}

#[test]
fn a_chunk_is_regained_once_and_only_under_its_mark() {
    let umem = small(2);
    let mut pool = umem.take_pool(2).unwrap();
    let (ours, theirs) = (umem.new_marks().unwrap(), umem.new_marks().unwrap());
    let address = umem.lend(pool.take().unwrap(), ours.fill);
    for mark in [ours.transmit, theirs.fill, theirs.transmit] {
        assert!(umem.regain(address, mark).is_none());
    }
    assert!(umem.regain(address + 4096, ours.fill).is_none());
    assert!(umem.regain(u64::MAX, ours.fill).is_none());
    assert!(umem.regain(2 * 4096, ours.fill).is_none());
    assert!(umem.regain(address + 300, ours.fill).is_some());
    assert!(umem.regain(address, ours.fill).is_none());
}

#[test]
fn huge_pages_are_a_wish() {
    let config = UmemConfig { chunk_count: 3, pages: Pages::Huge, ..UmemConfig::default() };
    let umem = Umem::new(config).unwrap();
    let mut frame = umem.take_pool(3).unwrap().take().unwrap();
    umem.chunk_mut(&mut frame).fill(7);
    let free = std::fs::read_to_string("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    if free.is_ok_and(|count| count.trim() == "0") {
        assert_eq!(umem.pages(), Pages::Base);
    }
}
