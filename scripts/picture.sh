#!/usr/bin/env bash
# Takes the picture of a report that the README shows, docs/report.png: the quickstart's page, opened in headless Chromium. What it
# needs is what scripts/browser.sh installs, and ffmpeg to keep the file small; HEBB names another program than the release build.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v ffmpeg >/dev/null || { echo "this needs ffmpeg" >&2; exit 1; }
bash scripts/browser.sh --install
hebb=${HEBB:-target/release/hebb}
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

"$hebb" run experiments/quickstart.toml --results "$work/results" >/dev/null
CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome)} \
    node tests/browser/picture.mjs "$work/results/quickstart/report.html" "$work/report.png"
# 256 colours chosen for this picture: a third of the size, and no difference to the eye.
ffmpeg -v error -y -i "$work/report.png" -vf 'split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=dither=none' \
    -frames:v 1 -update 1 docs/report.png
ls -l docs/report.png
