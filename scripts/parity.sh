#!/usr/bin/env bash
# Makes untrained models of full size with the original implementations and compares every layer's units with theirs.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${HEBB_PYTHON:?names a Python with torch and transformers}
folder=${HEBB_FULL_SIZE:-target/full-size}
models=${MODELS:-clip-vit-base-patch32 vit-base-patch16-224 roberta-base bert-base-uncased ${METER:+meter-clip16-288}}
mkdir -p "$folder"
for model in $models; do
    [ -f "$folder/$model.safetensors" ] || "$python" -W ignore tests/scripts/make_full_size_models.py "$folder" "$model" ${METER:+--meter "$METER"} ${PACKAGES:+--packages "$PACKAGES"}
done
HEBB_FULL_SIZE=$(realpath "$folder") cargo test --release --test main -- --ignored --nocapture model::full
