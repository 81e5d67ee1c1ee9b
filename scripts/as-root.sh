#!/usr/bin/env bash
# Runs a command as root: directly, or by sudo with the caller's environment.
set -euo pipefail

if [[ $EUID -eq 0 ]]; then
    exec "$@"
elif command -v sudo >/dev/null; then
    exec sudo -E env "PATH=$PATH:/usr/sbin:/sbin" "$@"
else
    echo "root is needed for: $*" >&2
    echo "run this as root, or install sudo and allow $(id -un) to use it" >&2
    exit 1
fi
