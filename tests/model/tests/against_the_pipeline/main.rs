//! Random configurations, frames and changes, to the model and to the real pipeline at once.
//!
//! A failure prints the shortest case that proptest finds and keeps it in `proptest-regressions`.
//! `MODEL_CASES` sets how many cases are run (default 600); `PROPTEST_RNG_SEED` repeats a run:
//!
//! ```text
//! PROPTEST_RNG_SEED=<seed> MODEL_CASES=<cases> cargo test -p model-router --test against_the_pipeline
//! ```

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it goes wrong")]

mod dice;
mod link;
mod pieces;
mod rules;
mod session;
mod traffic;
mod world;

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestError, TestRunner};

use session::{Op, Session};

const CASES: u32 = 600;

/// What a run of [`CASES`] cases or more must have come to; each comes in ten of them or more.
/// A driver that gives only frames that go nowhere proves nothing.
const MUST_REACH: [&str; 38] = [
    "a choice",
    "a pod at its own service",
    "a translation",
    "an ICMP error relayed",
    "an answer",
    "consumed",
    "ecn_violation",
    "flow_table_full",
    "fragment_duplicate",
    "fragment_overlap",
    "fragment_timeout",
    "fragment_tiny",
    "fragments that waited",
    "frame_too_big",
    "generated",
    "hits",
    "icmp_error_unmatched",
    "icmp_redirect",
    "label_destination_mismatch",
    "martian_address",
    "multicast_unsupported",
    "no_neighbour",
    "no_route",
    "off_link",
    "pieces of a packet",
    "policy_denied",
    "ra_guard",
    "service_no_backend",
    "service_port_unmapped",
    "several copies",
    "spoofed_neighbour",
    "spoofed_source",
    "suppressed",
    "tcp_bad_flags",
    "ttl_exceeded",
    "tunnel_source_mismatch",
    "vif_down",
    "vif_flow_limit",
];

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
        3 => any::<[u8; 16]>().prop_map(Op::Neighbour),
        3 => any::<[u8; 12]>().prop_map(Op::ToAll),
        4 => any::<[u8; 32]>().prop_map(Op::Cut),
        12 => any::<u8>().prop_map(Op::Piece),
        4 => any::<[u8; 8]>().prop_map(Op::Mutate),
        3 => any::<u8>().prop_map(Op::Repeat),
        4 => any::<[u8; 24]>().prop_map(Op::Change),
        3 => any::<[u8; 3]>().prop_map(Op::Lose),
        4 => (0u8..60).prop_map(Op::Burst),
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
    let case = (proptest::collection::vec(any::<u8>(), 160), proptest::collection::vec(op(), 1..60));
    let reached = RefCell::new(BTreeMap::<String, u64>::new());
    let result = TestRunner::new(config).run(&case, |(world, ops)| {
        let mut session = Session::new(&world).map_err(TestCaseError::fail)?;
        for op in &ops {
            session.run(op).map_err(|error| TestCaseError::fail(format!("{op:?}: {error}")))?;
        }
        session.reached().keys().for_each(|what| *reached.borrow_mut().entry(what.clone()).or_default() += 1);
        session.finish().map_err(TestCaseError::fail)
    });
    println!("cases that came to it: {:#?}", reached.borrow());
    match result {
        Ok(()) if cases >= CASES => {
            let reached = reached.borrow();
            let missed: Vec<_> = MUST_REACH.iter().filter(|what| !reached.contains_key(**what)).collect();
            assert!(missed.is_empty(), "no case came to {missed:?} with PROPTEST_RNG_SEED={seed}");
        }
        Ok(()) => {}
        Err(TestError::Fail(reason, (world, ops))) => {
            panic!("PROPTEST_RNG_SEED={seed} MODEL_CASES={cases}\n{reason}\nworld: {world:?}\nops: {ops:?}");
        }
        Err(error) => panic!("PROPTEST_RNG_SEED={seed} MODEL_CASES={cases}\n{error}"),
    }
}
