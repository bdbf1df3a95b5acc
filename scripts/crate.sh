#!/usr/bin/env bash
# An archive against the profile that it claims: packs the quickstart, unpacks it and lets rocrate-validator look at it, without a
# network. With --install it only installs what it needs. HEBB names the program; ROCRATE an environment that has roc-validator, which is made here otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."

hebb=${HEBB:-target/release/hebb}
rocrate=${ROCRATE:-target/tmp/rocrate}
bash scripts/environment.sh "$rocrate" rocrate-validator "roc-validator==0.13.0"
[ "${1:-}" != --install ] || exit 0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$rocrate/bin/python" tests/scripts/crate_context.py "$folder/context"

"$hebb" run experiments/quickstart.toml --results "$folder/results" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
validate() {
    # What a workflow in the archive itself cannot have is an address on the web: 5.1 recommends one.
    "$rocrate/bin/rocrate-validator" -y validate --offline --cache-path "$folder/context" --profile-identifier workflow-run-crate \
        --requirement-severity "$2" --skip-checks process-run-crate-0.5_5.1 --no-paging --output-format text "$1"
}
for more in "--with results" "--with nothing" "--with all --license CC-BY-4.0"; do
    rm -rf "$folder/archive.hebb.tar.zst" "$folder/out"
    # shellcheck disable=SC2086
    "$hebb" pack experiments/quickstart.toml --output "$folder/archive.hebb.tar.zst" $more
    "$hebb" unpack "$folder/archive.hebb.tar.zst" --output "$folder/out"
    validate "$folder/out" required
done
