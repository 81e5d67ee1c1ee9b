#![no_main]
//! Arbitrary frames on both sides and changes of the configuration, through the pipeline and the model at once.
//!
//! The input is a list of steps: kind (1 byte; even is a frame from the trunk, odd one from the uplink, 254 a change of
//! the configuration, 255 a pause), length (2 bytes), bytes. The first byte of a change is the variant, that of a pause
//! its length.

use libfuzzer_sys::fuzz_target;
use model_router::lockstep::Lockstep;
use model_router::router::Side;

/// Steps of one input; more find nothing that few do not.
const STEPS: usize = 24;
/// Unit of a pause, in milliseconds.
const PAUSE: u64 = 400;

fuzz_target!(|input: &[u8]| {
    let desired = vrouter_fuzz::desired(&[2, 3]);
    let mut both = Lockstep::new(&desired).unwrap_or_else(|error| panic!("{error}"));
    let mut rest = input;
    for _ in 0..STEPS {
        let Some((&[kind, high, low], bytes)) = rest.split_first_chunk() else { break };
        let len = usize::from(u16::from_be_bytes([high, low])).min(bytes.len()).min(2000);
        let (frame, behind) = bytes.split_at(len);
        rest = behind;
        let value = frame.first().copied().unwrap_or_default();
        let done = match kind {
            254 => both.configure(&vrouter_fuzz::variant(value)),
            255 => {
                both.advance(PAUSE * u64::from(value));
                both.sweep()
            }
            even if even % 2 == 0 => both.step(Side::Trunk, frame).map(drop),
            _ => both.step(Side::Uplink, frame).map(drop),
        };
        if let Err(error) = done {
            panic!("{error}");
        }
        both.advance(1);
    }
    assert!(!both.has_strange_counts());
});
