#!/usr/bin/env bash
# Opens report pages in headless Chromium and checks them: those of the quickstart, of a sweep, the unusual ones that the tests
# leave, and the one that `hebb view` serves. Installs what is missing: Chromium (a system package) and the packages of tests/browser;
# with --install it only does that.
set -euo pipefail
cd "$(dirname "$0")/.."

chromium=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}
if [ -z "$chromium" ] && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
    chromium=$(command -v chromium)
fi
if [ -z "$chromium" ] || ! command -v npm >/dev/null; then
    echo "this check needs Chromium and npm; CHROMIUM names a browser" >&2
    exit 1
fi
(cd tests/browser && npm ci --silent)
[ "${1:-}" != --install ] || exit 0

for study in quickstart sweep; do
    target/release/hebb run "experiments/$study.toml"
    target/release/hebb report "experiments/$study.toml"
done
unusual=(target/tmp/report/*.html)
[ -e "${unusual[0]}" ] || cargo test --release --test main -- pages_are_left_for_inspection

target/release/hebb view experiments/quickstart.toml > target/tmp/view &
view=$!
trap 'kill -INT $view' EXIT
until grep -q http target/tmp/view; do kill -0 $view; sleep 0.1; done
CHROMIUM=$chromium node tests/browser/check_pages.mjs target/tmp/browser \
    results/quickstart/report.html results/sweep/index.html target/tmp/report/*.html "$(grep -o 'http://.*' target/tmp/view)"
