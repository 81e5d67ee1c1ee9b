use super::*;

const LAYOUT: Layout = Layout { producer: 0, consumer: 64, flags: 128, entries: 192 };

fn ring(size: u32, start: u32) -> (Producer<u64>, Consumer<u64>, Memory<u64>) {
    let mapping = Arc::new(Mapping::anonymous(LAYOUT.len::<u64>(size)).unwrap());
    let memory = Memory::new(mapping, LAYOUT, size, "test").unwrap();
    memory.producer().store(start, Ordering::Relaxed);
    memory.consumer().store(start, Ordering::Relaxed);
    (Producer::new(memory.other_end()), Consumer::new(memory.other_end()), memory)
}

#[test]
fn entries_arrive_in_order_across_the_wrap_of_the_indices() {
    for start in [0, 1, u32::MAX, u32::MAX - 5] {
        let (mut producer, mut consumer, _) = ring(4, start);
        for round in 0..10u64 {
            for n in 0..4 {
                producer.push(round * 4 + n).unwrap();
            }
            assert_eq!(producer.push(999), Err(999), "full at start {start}");
            producer.publish();
            assert_eq!((producer.pending(), consumer.available()), (4, 4));
            for n in 0..4 {
                assert_eq!(consumer.pop(), Some(round * 4 + n));
            }
            assert_eq!(consumer.pop(), None);
            assert!(producer.is_full(), "slots stay taken until release");
            consumer.release();
            assert!(!producer.is_full());
        }
    }
}

#[test]
fn nothing_is_visible_before_publish() {
    let (mut producer, mut consumer, _) = ring(8, 0);
    producer.push(1).unwrap();
    assert_eq!(consumer.pop(), None);
    producer.publish();
    assert_eq!(consumer.pop(), Some(1));
}

#[test]
fn a_nonsense_producer_index_yields_nothing() {
    let (_producer, mut consumer, memory) = ring(8, 100);
    for index in [109, 99, 0, u32::MAX, 100 + (1 << 31)] {
        memory.producer().store(index, Ordering::Release);
        assert_eq!(consumer.pop(), None, "producer index {index}");
        assert_eq!(consumer.available(), 0);
    }
    memory.producer().store(108, Ordering::Release);
    assert_eq!(std::iter::from_fn(|| consumer.pop()).count(), 8);
}

#[test]
fn a_nonsense_consumer_index_means_full() {
    let (mut producer, _consumer, memory) = ring(8, 100);
    for n in 0..8 {
        producer.push(n).unwrap();
    }
    for index in [109, 99, 0, u32::MAX] {
        memory.consumer().store(index, Ordering::Release);
        assert_eq!(producer.push(1), Err(1), "consumer index {index}");
        assert!(producer.pending() <= 8);
    }
}

#[test]
fn a_layout_outside_the_mapping_is_refused() {
    let mapping = Arc::new(Mapping::anonymous(4096).unwrap());
    let good = Layout { producer: 0, consumer: 64, flags: 128, entries: 192 };
    let table = [
        (Layout { producer: 4096, ..good }, 8),
        (Layout { consumer: usize::MAX, ..good }, 8),
        (Layout { flags: 4093, ..good }, 8),
        (Layout { producer: 2, ..good }, 8),
        (Layout { entries: 4090, ..good }, 8),
        (Layout { entries: 196, ..good }, 8),
        (Layout { entries: usize::MAX - 7, ..good }, 8),
        (good, 512),
    ];
    for (layout, size) in table {
        let result = Memory::<u64>::new(Arc::clone(&mapping), layout, size, "test");
        assert!(matches!(result, Err(Error::RingLayout { .. })), "{layout:?} {size}");
    }
    for size in [0, 3, 100] {
        let result = Memory::<u64>::new(Arc::clone(&mapping), good, size, "test");
        assert!(matches!(result, Err(Error::RingSize { .. })), "{size}");
    }
    assert!(Memory::<u64>::new(mapping, good, 256, "test").is_ok());
}

#[test]
fn two_threads_see_every_entry_once() {
    const COUNT: u64 = 20_000;
    let (mut producer, mut consumer, _) = ring(64, u32::MAX - 1000);
    let writer = std::thread::spawn(move || {
        let mut next = 0;
        while next < COUNT {
            if producer.push(next).is_ok() {
                next += 1;
                producer.publish();
            } else {
                std::thread::yield_now();
            }
        }
    });
    let mut expected = 0;
    while expected < COUNT {
        match consumer.pop() {
            Some(entry) => {
                assert_eq!(entry, expected);
                expected += 1;
            }
            None => std::thread::yield_now(),
        }
        consumer.release();
    }
    writer.join().unwrap();
}
