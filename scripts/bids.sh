#!/usr/bin/env bash
# Exports studies of several shapes as BIDS derivatives and lets the validator of the standard look at them. Installs it at a pinned
# version into target/: the one that reads the schema, which knows derivatives; the older one on npm takes every dataset for a raw one.
# OLDER_TOO=1 lets the one on npm look at them too, told by the dataset's own settings what it does not know (700 MB to install).
# With --install it only installs what it needs. HEBB names another program, HEBB_CACHE its cache.
set -euo pipefail
cd "$(dirname "$0")/.."

hebb=${HEBB:-target/release/hebb}
validator=target/bids-validator
bash scripts/environment.sh "$validator" bids-validator-deno bids-validator-deno==3.0.2 deno==2.9.8
older=target/bids-validator-npm
if [ -n "${OLDER_TOO:-}" ] && [ ! -d "$older/node_modules/bids-validator" ]; then
    npm install --silent --no-audit --no-fund --prefix "$older" bids-validator@1.15.0
fi
[ "${1:-}" != --install ] || exit 0
datasets=target/bids
rm -rf "$datasets"
mkdir -p "$datasets"

validate() {
    echo "validating $1"
    # The validator leaves with 16 where there is an error.
    if ! NO_COLOR=1 "$validator/bin/bids-validator-deno" "$1" >"$datasets/said.tmp" 2>&1; then
        cat "$datasets/said.tmp" >&2
        exit 1
    fi
    if [ -n "${OLDER_TOO:-}" ] && ! node "$older/node_modules/bids-validator/bin/bids-validator" "$1" >"$datasets/said.tmp" 2>&1; then
        cat "$datasets/said.tmp" >&2
        exit 1
    fi
}

# files.toml reads what this writes.
[ -d experiments/inputs ] || $hebb inputs experiments/quickstart.toml --out experiments/inputs
for study in quickstart bands files sweep; do
    $hebb run "experiments/$study.toml" >/dev/null
    $hebb export-bids "experiments/$study.toml" "$datasets/$study"
    if [ -e "$datasets/$study/dataset_description.json" ]; then
        validate "$datasets/$study"
    else
        for cell in "$datasets/$study"/*/; do validate "$cell"; done
    fi
done

# A check that cannot fail says nothing: a file that the standard does not know is found.
cp -r "$datasets/quickstart" "$datasets/spoilt"
touch "$datasets/spoilt/sub-01/func/sub-01_unknown.nii.gz"
if "$validator/bin/bids-validator-deno" "$datasets/spoilt" >/dev/null 2>&1; then
    echo "the validator accepts a file of no kind" >&2
    exit 1
fi
echo "every dataset is valid"
