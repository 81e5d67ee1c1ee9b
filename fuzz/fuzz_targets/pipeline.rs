#![no_main]
//! Arbitrary frames on both sides, through the pipeline and the model at once.
//!
//! The input is a list of frames: side (1 byte, even is the trunk), length (2 bytes), bytes.

use libfuzzer_sys::fuzz_target;
use model_router::lockstep::Lockstep;
use model_router::router::Side;

/// Frames of one input; more find nothing that few do not.
const FRAMES: usize = 16;

fuzz_target!(|input: &[u8]| {
    let desired = vrouter_fuzz::desired(&[2, 3]);
    let mut both = Lockstep::new(&desired).unwrap_or_else(|error| panic!("{error}"));
    let mut rest = input;
    for _ in 0..FRAMES {
        let Some((&[side, high, low], bytes)) = rest.split_first_chunk() else { break };
        let len = usize::from(u16::from_be_bytes([high, low])).min(bytes.len()).min(2000);
        let (frame, behind) = bytes.split_at(len);
        rest = behind;
        let side = if side % 2 == 0 { Side::Trunk } else { Side::Uplink };
        if let Err(error) = both.step(side, frame) {
            panic!("{error}");
        }
        both.advance(1);
    }
    assert!(!both.has_strange_counts());
});
