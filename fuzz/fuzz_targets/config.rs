#![no_main]
//! Any text as a configuration: no panic, and a refusal names at least one mistake.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(problems) = vrouterd::config::parse("node.toml", text) {
        assert!(!problems.to_string().is_empty());
    }
});
