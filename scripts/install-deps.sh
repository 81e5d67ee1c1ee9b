#!/usr/bin/env bash
# Installs what building, testing and the demo need beside Rust. When all is there it does nothing.
# Words ask for more: `nightly` (sanitizers, fuzzing), `cargo-fuzz`, and `valgrind` (instructions are counted by it).
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/sbin:/sbin"

# What proves that a package is there (a command, or a file), and the package on Debian and Ubuntu.
needs=(
    "cc gcc"
    "/usr/include/stdlib.h libc6-dev"
    "clang clang"
    "/usr/include/bpf/bpf_helpers.h libbpf-dev"
    "ip iproute2"
    "ping iputils-ping"
    "ethtool ethtool"
    "bpftool bpftool"
    "tcpdump tcpdump"
    "curl curl"
    "iperf3 iperf3"
    "traceroute traceroute"
    "tracepath iputils-tracepath"
    "python3 python3"
    "sysctl procps"
    "nft nftables"
    "setpriv util-linux"
    "chromium chromium"
)

have() {
    case $1 in
        /*) [[ -e $1 ]] ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

for word in "$@"; do
    if [[ $word == valgrind ]]; then needs+=("valgrind valgrind"); fi
done

missing=()
for need in "${needs[@]}"; do
    read -r proof package <<<"$need"
    have "$proof" || missing+=("$package")
done

check_rust() {
    local wanted found
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    if ! found=$(rustc --version 2>/dev/null); then
        echo "Rust is missing: install $wanted or newer as https://rustup.rs says, then run this again." >&2
        exit 1
    fi
    found=$(cut -d ' ' -f 2 <<<"$found")
    if [[ $(printf '%s\n' "$wanted" "${found%%-*}" | sort -V | head -n 1) != "$wanted" ]]; then
        echo "Rust $found is too old: $wanted is needed; run 'rustup update stable'." >&2
        exit 1
    fi
}

# Beside the Rust that builds the vrouter; that stays the default.
check_nightly() {
    rustc +nightly --version >/dev/null 2>&1 && return
    if ! command -v rustup >/dev/null; then
        echo "A nightly Rust is needed for sanitizers and fuzzing, and rustup to have it beside $(rustc --version):" \
            "install rustup as https://rustup.rs says, then run this again." >&2
        exit 1
    fi
    echo "A nightly Rust will be installed now by: rustup toolchain install nightly --profile minimal"
    rustup toolchain install nightly --profile minimal --no-self-update
}

check_cargo_fuzz() {
    cargo +nightly fuzz --version >/dev/null 2>&1 && return
    echo "cargo-fuzz will be installed now by: cargo install --locked cargo-fuzz"
    cargo install --locked cargo-fuzz
}

# On Ubuntu bpftool comes with the tools of the running kernel.
for_ubuntu() {
    local package
    for package in "${missing[@]}"; do
        if [[ $package == bpftool ]]; then echo "linux-tools-$(uname -r)"; else echo "$package"; fi
    done
}

if [[ ${#missing[@]} -gt 0 ]]; then
    echo "Missing packages: ${missing[*]}"
    distribution=$(. /etc/os-release 2>/dev/null && echo "${ID:-} ${ID_LIKE:-}")
    if [[ " $distribution " == *" ubuntu "* ]]; then
        mapfile -t missing < <(for_ubuntu)
    elif [[ " $distribution " != *" debian "* ]]; then
        echo "This is neither Debian nor Ubuntu: install these (or what they are called here) and run this again." >&2
        exit 1
    fi
    echo "They will be installed now by: apt-get update && apt-get install --no-install-recommends ${missing[*]}"
    scripts/as-root.sh apt-get update -q
    scripts/as-root.sh env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
fi
check_rust
for word in "$@"; do
    case $word in
        nightly) check_nightly ;;
        cargo-fuzz) check_cargo_fuzz ;;
        valgrind) ;;
        *)
            echo "scripts/install-deps.sh: $word is none of nightly, cargo-fuzz, valgrind" >&2
            exit 1
            ;;
    esac
done
