#!/bin/sh
# Runs every fuzz target for a while: scripts/fuzz.sh SECONDS
# Needs a nightly toolchain and cargo-fuzz (cargo install cargo-fuzz). Seeds are in fuzz/corpus; what is found on the
# way is kept in fuzz/found, a crash in fuzz/artifacts.
set -eu

seconds=${1:?"usage: scripts/fuzz.sh SECONDS (for each target)"}
cd "$(dirname "$0")/.."

cargo +nightly fuzz --version >/dev/null 2>&1 || {
    echo "scripts/fuzz.sh: cargo-fuzz or the nightly toolchain is missing:" >&2
    echo "  rustup toolchain install nightly && cargo install cargo-fuzz" >&2
    exit 1
}

cargo +nightly fuzz build
for target in $(cargo +nightly fuzz list); do
    echo "== $target, $seconds s"
    mkdir -p "fuzz/found/$target"
    cargo +nightly fuzz run "$target" "fuzz/found/$target" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
done
