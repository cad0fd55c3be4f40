#!/usr/bin/env bash
# Runs the tests under a sanitizer: tests/sanitize.sh address|thread TARGET
# Needs a nightly toolchain, for `thread` with the component rust-src. The
# sanitized programs get a target folder of their own.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=$1
target=${2:-x86_64-unknown-linux-gnu}
. .ci/lib.sh
cargo +nightly --version >/dev/null 2>&1 \
  || { skip "a nightly toolchain" "run rustup toolchain install nightly --component rust-src"; exit; }
export RUSTFLAGS="-Zsanitizer=$kind"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/$kind
sanitized() { cargo +nightly "$@" --target "$target"; }
case $kind in
  address)
    # What lives until the end of the process is not lost.
    export ASAN_OPTIONS=detect_leaks=0
    sanitized build -p moonswap-cli
    export MOONSWAP_BIN="$CARGO_TARGET_DIR/$target/debug/moonswap"
    case $MOONSWAP_BIN in /*) ;; *) MOONSWAP_BIN=$PWD/$MOONSWAP_BIN ;; esac
    sanitized test -p moonswap-vm --lib
    sanitized test -p moonswap --tests
    sanitized test -p moonswap-tests --test it -- hotpatch
    sanitized test -p moonswap-tests --test cases
    for stress in gc/3,stack/2,cells,verify/5003 step,keep,stack/5; do
      MOONSWAP_STRESS=$stress sanitized test -p moonswap --tests
      MOONSWAP_STRESS=$stress sanitized test -p moonswap-tests --test it -- hotpatch
      MOONSWAP_STRESS=$stress sanitized test -p moonswap-tests --test cases -- hotpatch/
    done
    ;;
  thread)
    # The standard library must be sanitized too, or its locks look like races.
    sanitized test -Zbuild-std -p moonswap-tests --test it -- hotpatch::threads
    sanitized test -Zbuild-std -p moonswap-tests --test cases -- hotpatch/threads/
    sanitized test -Zbuild-std -p moonswap --test it -- hot
    sanitized test -Zbuild-std -p moonswap-vm --lib -- patches timer limits
    ;;
  *)
    echo "address or thread, not $kind" >&2
    exit 2
    ;;
esac
