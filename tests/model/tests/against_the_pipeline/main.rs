//! Random configurations, frames and changes, to the model and to the real pipeline at once.
//!
//! A failure prints the shortest case that proptest finds and keeps it in `proptest-regressions`.
//! `MODEL_CASES` sets how many cases are run (default 160); `PROPTEST_RNG_SEED` repeats a run:
//!
//! ```text
//! PROPTEST_RNG_SEED=<seed> MODEL_CASES=<cases> cargo test -p model-router --test against_the_pipeline
//! ```

mod dice;
mod session;
mod traffic;
mod world;

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};

use session::{Op, Session};

const CASES: u32 = 160;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// A seed of its own for each run, so that runs add up; printed, so that each can be repeated.
fn seed() -> u64 {
    let clock = || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(0, |now| now.as_nanos() as u64)
    };
    from_environment("PROPTEST_RNG_SEED").unwrap_or_else(clock)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => any::<[u8; 20]>().prop_map(Op::FromVif),
        6 => any::<[u8; 20]>().prop_map(Op::FromFabric),
        6 => any::<[u8; 12]>().prop_map(Op::Reply),
        3 => any::<[u8; 12]>().prop_map(Op::IcmpError),
        3 => any::<[u8; 8]>().prop_map(Op::Neighbour),
        4 => any::<[u8; 8]>().prop_map(Op::Mutate),
        3 => any::<u8>().prop_map(Op::Repeat),
        4 => any::<[u8; 12]>().prop_map(Op::Change),
        1 => any::<u8>().prop_map(Op::Advance),
        1 => Just(Op::Sweep),
    ]
}

#[test]
fn the_pipeline_does_what_the_model_says() {
    let cases = from_environment("MODEL_CASES").map_or(CASES, |cases| cases as u32);
    let seed = seed();
    println!("PROPTEST_RNG_SEED={seed} MODEL_CASES={cases}");
    let config = ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        max_shrink_iters: 4000,
        source_file: Some(file!()),
        ..ProptestConfig::default()
    };
    let case = (any::<[u8; 64]>(), proptest::collection::vec(op(), 1..60));
    let result = TestRunner::new(config).run(&case, |(world, ops)| {
        let mut session = Session::new(&world).map_err(TestCaseError::fail)?;
        for op in &ops {
            session.run(op).map_err(|error| TestCaseError::fail(format!("{op:?}: {error}")))?;
        }
        session.finish().map_err(TestCaseError::fail)
    });
    if let Err(error) = result {
        panic!("PROPTEST_RNG_SEED={seed} MODEL_CASES={cases}\n{error}");
    }
}
