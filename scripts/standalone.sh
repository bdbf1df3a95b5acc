#!/usr/bin/env bash
# What a program needs that other machines than this can run: OpenBLAS, and of Fortran's library what it uses, linked into it. Lays
# out target/standalone: `lib` with both as archives, `cargo.toml` for `cargo --config`, `licences` with the texts of all that is inside.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$PWD/target/standalone

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; elif sudo -n true 2>/dev/null; then sudo -n "$@"; else return 1; fi; }
# The compiler's own answer to a name that it does not find is that name.
archive() { local found; found=$(cc -print-file-name="$1"); [ -f "$found" ] && echo "$found"; }

if ! { archive libopenblas.a && archive libgfortran.a; } >/dev/null && command -v apt-get >/dev/null; then
    echo "standalone: installing OpenBLAS and Fortran's library as archives"
    fortran=libgfortran-$(cc -dumpversion | cut -d. -f1)-dev
    (as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libopenblas-dev "$fortran") >/dev/null || true
fi
if ! { archive libopenblas.a && archive libgfortran.a; } >/dev/null; then
    echo "standalone: this machine lacks libopenblas.a or libgfortran.a; on Debian and Ubuntu they are in libopenblas-dev and libgfortran-12-dev (or the number of your gcc)" >&2
    exit 2
fi
rm -rf "$out/lib" "$out/licences"
mkdir -p "$out/lib" "$out/licences"
for name in libopenblas.a libgfortran.a; do ln -s "$(realpath "$(archive $name)")" "$out/lib/$name"; done
cat >"$out/cargo.tmp" <<CONFIG
[target.$(rustc -vV | sed -n 's/^host: //p').openblas]
rustc-link-search = ["native=$out/lib"]
rustc-link-lib = ["static:-bundle=openblas", "static:-bundle=gfortran"]
CONFIG
# Written only if it says something new, so that nothing is compiled again without need.
if cmp --quiet "$out/cargo.tmp" "$out/cargo.toml"; then rm "$out/cargo.tmp"; else mv "$out/cargo.tmp" "$out/cargo.toml"; fi

# What the package of a file says of its licence. OpenBLAS's archive has the reference LAPACK's code too, which Debian packs apart.
copyright_of() {
    local package
    package=$(dpkg -S "$1" | cut -d: -f1)
    cat "/usr/share/doc/$package/copyright"
}
copyright_of "$(realpath "$(archive libopenblas.a)")" >"$out/licences/openblas.tmp"
{ copyright_of "$(realpath "$(archive libgfortran.a)")"; cat /usr/share/common-licenses/GPL-3; } >"$out/licences/gfortran.tmp"
(
    cd "$out/licences"
    apt-get download -qq liblapack3
    dpkg-deb --fsys-tarfile liblapack3_*.deb | tar xO ./usr/share/doc/liblapack3/copyright >lapack.tmp
    rm liblapack3_*.deb
) 2>/dev/null || { echo "standalone: the licence of LAPACK cannot be fetched; it is in Debian's package liblapack3" >&2; exit 2; }
python3 scripts/licences.py "$out/licences/THIRD-PARTY.txt" OpenBLAS="$out/licences/openblas.tmp" LAPACK="$out/licences/lapack.tmp" \
    "libgfortran, under the GPL with the GCC Runtime Library Exception=$out/licences/gfortran.tmp"
rm "$out"/licences/*.tmp
