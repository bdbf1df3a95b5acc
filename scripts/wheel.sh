#!/usr/bin/env bash
# Builds the wheel into target/wheel and tries it as a reader would: installed by pip and by uv into empty environments, then run in an
# empty folder without anything of this one. PROFILE names another of Cargo's profiles (dev compiles faster). Needs Python with pip.
set -euo pipefail
cd "$(dirname "$0")/.."

profile=${PROFILE:-release}
out=target/wheel
tools=target/tmp/wheel
bash scripts/environment.sh $tools auditwheel "maturin==1.16.0" "uv==0.13.9" "auditwheel==6.8.2"
bash scripts/standalone.sh
rm -rf $out
# Apart from what `make build` makes, whose program takes the system's OpenBLAS.
CARGO_TARGET_DIR=${STANDALONE_TARGET:-target/standalone/cargo} \
    $tools/bin/maturin build --profile "$profile" --locked --config target/standalone/cargo.toml --out $out
wheel=$(echo "$PWD"/$out/*.whl)

$tools/bin/auditwheel show "$wheel"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
needed=$(cd "$folder" && unzip -q "$wheel" && readelf -d hebb-*.data/scripts/hebb | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p')
if grep -qE "blas|gfortran|lapack" <<<"$needed"; then
    echo "wheel: the program asks for libraries that other machines lack:" $needed
    exit 1
fi

# Runs what is in folder $2, which is the whole PATH beside the system's, where there is nothing else.
try() {
    local how=$1 bin=$2 environment=$3 place=$folder/$1-empty said
    mkdir "$place"
    cp experiments/quickstart.toml "$place"
    hebb() { (cd "$place" && env -i HOME="$folder/nobody" PATH="$bin:/usr/bin:/bin" hebb "$@"); }
    hebb --version
    said=$(hebb doctor) || { echo "$said"; exit 1; }
    echo "$said"
    grep -q "^ONNX Runtime .*($environment/lib/" <<<"$said" || { echo "wheel: ONNX Runtime is not that of $environment"; exit 1; }
    hebb init study.toml
    hebb check study.toml
    hebb run quickstart.toml 2>&1 | tail -n 2
    test -s "$place/results/quickstart/report.html"
    # Nothing is left to do, and nothing of another environment was used.
    hebb run quickstart.toml 2>&1 | grep " 0 computed,"
    echo "wheel: works, installed by $how"
}

python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "$wheel"
try pip "$folder/venv/bin" "$folder/venv"

# uv puts a link into its folder of programs; its environments are elsewhere.
UV_TOOL_DIR=$folder/tools UV_TOOL_BIN_DIR=$folder/bin UV_PYTHON_DOWNLOADS=never \
    $tools/bin/uv tool install --quiet --python "$(python3 -c 'import sys; print(sys.executable)')" "$wheel"
try uv "$folder/bin" "$folder/tools/hebb"
ls -l $out
