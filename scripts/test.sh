#!/usr/bin/env bash
# Builds and runs all tests. Those of a cluster wait for it most of the time and take turns, so the others run beside them.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo test --release --no-run
mkdir -p target/tmp
cargo test --release --test main -- cluster:: >target/tmp/cluster.log 2>&1 &
cluster=$!
others=0
cargo test --release -- --skip cluster:: || others=$?
wait $cluster || { cat target/tmp/cluster.log; exit 1; }
grep "^test result" target/tmp/cluster.log
exit $others
