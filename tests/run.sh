#!/usr/bin/env bash
# Installs what the tests need and runs everything; the last lines are the test runner's summary.
set -euo pipefail
cd "$(dirname "$0")/.."

install_services() {
    local packages=()
    command -v redis-server >/dev/null || packages+=(redis-server)
    command -v etcd >/dev/null || packages+=(etcd-server)
    command -v tmux >/dev/null || packages+=(tmux)
    [ ${#packages[@]} -gt 0 ] || return 0
    echo "installing ${packages[*]}"
    local sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -qq
    # Packages start their service when they are installed; the tests start their own.
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 $sudo apt-get install -y -qq --no-install-recommends "${packages[@]}"
}

install_services
# Most of a test is waiting for processes.
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-$((2 * $(nproc)))}"
cargo fmt --all --check
cargo clippy --locked --workspace --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet
# One build of everything: tests of real processes start the binaries and examples of it.
cargo build --locked --workspace --all-targets
cargo test --locked --workspace --no-fail-fast
