#!/usr/bin/env bash
# Fetches what src/report/vendored holds from the npm registry, and says whether each file is the same; `--write` takes it over.
set -euo pipefail
cd "$(dirname "$0")/../src/report/vendored"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
differs=0
while IFS=$'\t' read -r package version integrity path file sha256 _; do
    archive=$(cd "$work" && npm pack --silent "$package@$version")
    found="sha512-$(openssl dgst -sha512 -binary "$work/$archive" | base64 -w0)"
    if [ "$found" != "$integrity" ]; then
        echo "$package $version: the archive has digest $found, expected $integrity" >&2
        exit 1
    fi
    tar -xzf "$work/$archive" -C "$work" "package/$path"
    fetched=$(sha256sum "$work/package/$path" | cut -d' ' -f1)
    if [ "$fetched" = "$sha256" ] && [ "$(sha256sum "$file" 2>/dev/null | cut -d' ' -f1)" = "$sha256" ]; then
        echo "$file: as in $package $version"
    elif [ "${1:-}" = --write ]; then
        cp "$work/package/$path" "$file"
        echo "$file: taken from $package $version, sha256 $fetched"
    else
        echo "$file: differs from $package $version ($fetched)" >&2
        differs=1
    fi
    rm -rf "$work/package" "$work/$archive"
done < <(tail -n +2 vendored.tsv)
exit $differs
