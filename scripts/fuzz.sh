#!/bin/sh
# Runs every fuzz target for a while: scripts/fuzz.sh SECONDS
# `make fuzz` installs what it needs. Seeds are in fuzz/corpus; what is found on the way is kept in fuzz/found, a
# crash in fuzz/artifacts.
set -eu

seconds=${1:?"usage: scripts/fuzz.sh SECONDS (for each target)"}
cd "$(dirname "$0")/.."

cargo +nightly fuzz build
for target in $(cargo +nightly fuzz list); do
    echo "== $target, $seconds s"
    mkdir -p "fuzz/found/$target"
    cargo +nightly fuzz run "$target" "fuzz/found/$target" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
done
