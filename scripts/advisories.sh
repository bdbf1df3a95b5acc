#!/usr/bin/env bash
# Writes scripts/advisories.tsv, what RustSec knows of published crates, from a checkout of its advisory-db: facts alone, and
# those that were not withdrawn. As `scripts/advisories.sh CHECKOUT`; needs git and Python 3.11 or newer.
set -euo pipefail
checkout=$(cd "${1:?name a checkout of the advisory database}" && pwd)
cd "$(dirname "$0")/.."

git -C "$checkout" archive HEAD crates | python3 -c '
import re, sys, tarfile, tomllib
commit, day = sys.argv[1:]
rows = []
with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
    for member in archive:
        if not member.name.endswith(".md"):
            continue
        text = archive.extractfile(member).read().decode()
        said = tomllib.loads(re.match(r"```toml\n(.*?)```", text, re.DOTALL)[1])
        advisory, versions = said["advisory"], said["versions"]
        if "withdrawn" in advisory:
            continue
        ranges = ["; ".join(versions.get(which, [])) for which in ("patched", "unaffected")]
        rows.append([advisory["id"], advisory["package"], advisory["date"], advisory.get("informational", ""), *ranges])
print(f"# facts from the RustSec advisory database, commit {commit} of {day}, CC0-1.0; written by scripts/advisories.sh")
print("id", "package", "date", "informational", "patched", "unaffected", sep="\t")
for row in sorted(rows):
    print(*row, sep="\t")
' "$(git -C "$checkout" rev-parse HEAD)" "$(git -C "$checkout" log -1 --format=%cs)" >advisories.tmp
mv advisories.tmp scripts/advisories.tsv
