#!/usr/bin/env bash
# Builds the release archive target/dist/hebb-VERSION-TARGET.tar.gz twice and compares: the same program and commit give the same bytes.
# HEBB names a program to pack instead of building one; PROFILE another of Cargo's profiles.
set -euo pipefail
cd "$(dirname "$0")/.."

profile=${PROFILE:-release}
target=$(rustc -vV | sed -n 's/^host: //p')
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
name=hebb-$version-$target
out=target/dist
bash scripts/standalone.sh
if [ -z "${HEBB:-}" ]; then
    built=${STANDALONE_TARGET:-target/standalone/cargo}
    CARGO_TARGET_DIR=$built cargo build --profile "$profile" --locked --bin hebb --config target/standalone/cargo.toml
    HEBB=$built/$([ "$profile" = dev ] && echo debug || echo "$profile")/hebb
fi
# Times are the commit's.
seconds=$(git log -1 --format=%ct)

pack() {
    local to=$1 tree=$1/$name
    mkdir -p "$tree/man" "$tree/completions" "$tree/licences"
    install -m 755 "$HEBB" "$tree/hebb"
    cp README.md CHANGELOG.md "$tree"
    cp LICENSE-MIT LICENSE-APACHE target/standalone/licences/THIRD-PARTY.txt "$tree/licences"
    # What somebody keeps there beside what is committed is no part of it.
    git ls-files -z docs schemas experiments | xargs -0 cp --parents --target-directory "$tree"
    "$tree/hebb" man --out "$tree/man"
    "$tree/hebb" completions bash >"$tree/completions/hebb"
    "$tree/hebb" completions zsh >"$tree/completions/_hebb"
    "$tree/hebb" completions fish >"$tree/completions/hebb.fish"
    (cd "$tree" && find . -type f ! -name SHA256SUMS -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sed 's|  \./|  |' >SHA256SUMS)
    chmod -R u=rwX,go=rX "$tree"
    tar --directory "$to" --sort=name --mtime="@$seconds" --owner=0 --group=0 --numeric-owner --format=ustar --create "$name" |
        gzip --no-name -9 >"$to/$name.tar.gz"
}

rm -rf $out
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pack "$folder/one"
sleep 1
pack "$folder/two"
cmp "$folder/one/$name.tar.gz" "$folder/two/$name.tar.gz"

# What is in it is whole, its pages and scripts are ones, and it is the program.
mkdir "$folder/read"
tar --directory "$folder/read" -xzf "$folder/one/$name.tar.gz"
(cd "$folder/read/$name" && sha256sum --quiet --check SHA256SUMS)
env -i "$folder/read/$name/hebb" --version
bash scripts/pages.sh "$folder/read/$name/man" "$folder/read/$name/completions"

mkdir -p $out
mv "$folder/one/$name.tar.gz" $out
(cd $out && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
ls -l $out
