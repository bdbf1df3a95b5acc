#!/usr/bin/env bash
# Finds or installs what Cargo cannot: a C linker and OpenBLAS (system packages), and the ONNX Runtime library (from its
# Python wheel, by version and digest, unpacked into .engines/; Python is needed to fetch it, not to use it).
set -euo pipefail
cd "$(dirname "$0")/.."

ONNXRUNTIME_VERSION=1.31.1
missing=()

have() { command -v "$1" >/dev/null 2>&1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; elif have sudo && sudo -n true 2>/dev/null; then sudo -n "$@"; else return 1; fi; }

can_link_openblas() {
    local probe status
    probe=$(mktemp -d)
    echo 'int openblas_get_num_threads(void); int main(void) { return openblas_get_num_threads() < 1; }' > "$probe/probe.c"
    cc "$probe/probe.c" -lopenblas -o "$probe/probe" 2>/dev/null && "$probe/probe"
    status=$?
    rm -rf "$probe"
    return $status
}

if ! have cargo; then
    missing+=("Rust 1.92 or newer (cargo): install it with rustup, your package manager or conda (package rust)")
fi

# Installs packages by the name that this system gives them; quietly does nothing where it may not.
install_packages() {
    local apt=$1 dnf=$2 pacman=$3 brew=$4
    if have apt-get; then
        # shellcheck disable=SC2086
        (as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $apt) >/dev/null 2>&1 || true
    elif have dnf; then
        # shellcheck disable=SC2086
        as_root dnf install -y -q $dnf >/dev/null 2>&1 || true
    elif have pacman; then
        # shellcheck disable=SC2086
        as_root pacman -S --noconfirm --needed $pacman >/dev/null 2>&1 || true
    elif have brew; then
        # shellcheck disable=SC2086
        brew install $brew >/dev/null 2>&1 || true
    fi
}

if ! have cc || ! can_link_openblas; then
    echo "setup: installing a C linker and OpenBLAS"
    install_packages "gcc libc6-dev libopenblas-dev" "gcc openblas-devel" "gcc openblas" "openblas"
    if ! have cc; then
        missing+=("a C linker (cc): apt-get install gcc libc6-dev, or your system's like")
    elif ! can_link_openblas; then
        missing+=("OpenBLAS with its development files: apt-get install libopenblas-dev (Debian, Ubuntu), dnf install openblas-devel, brew install openblas, or conda install openblas with LIBRARY_PATH and LD_LIBRARY_PATH set to its lib folder")
    fi
fi

# The wheel's library for this system: platform tag, file in the wheel, digest of the wheel.
wheel_for_this_system() {
    case "$(uname -s)-$(uname -m)" in
        Linux-x86_64) echo "manylinux_2_28_x86_64 1f3dea47f2f0e5117c2404cea7d21fd253ae7836a3bf167a501cdfbb2600d536" ;;
        Linux-aarch64) echo "manylinux_2_28_aarch64 0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc" ;;
        Darwin-arm64) echo "macosx_14_0_arm64 96dd2564b10ea7153ad9c207e7cd8e5917cb3ba521e0e0a62ac03486fdc8d56c" ;;
        *) return 1 ;;
    esac
}

fetch_onnxruntime() {
    local tag sha folder
    read -r tag sha <<<"$(wheel_for_this_system)" || return 1
    [ -n "$tag" ] || return 1
    python3 -m pip --version >/dev/null 2>&1 || install_packages "python3-pip" "python3-pip" "python-pip" "python"
    python3 -m pip --version >/dev/null 2>&1 || return 1
    folder=$(mktemp -d)
    echo "onnxruntime==$ONNXRUNTIME_VERSION --hash=sha256:$sha" > "$folder/requirements.txt"
    # Errors only, a wrong digest among them: retries without a network say nothing that the list at the end does not.
    python3 -m pip download -qq --retries 1 --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
        --implementation cp --python-version 3.12 --abi cp312 --platform "$tag" \
        --dest "$folder" -r "$folder/requirements.txt" || { rm -rf "$folder"; return 1; }
    python3 - "$folder" <<'PYTHON'
import pathlib, sys, zipfile
folder, out = pathlib.Path(sys.argv[1]), pathlib.Path(".engines/onnxruntime")
out.mkdir(parents=True, exist_ok=True)
with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
    for name in wheel.namelist():
        base = name.rsplit("/", 1)[-1]
        wanted = base.startswith("libonnxruntime.") or base in ("LICENSE", "ThirdPartyNotices.txt")
        if wanted and not base.startswith("libonnxruntime_providers"):
            (out / base).write_bytes(wheel.read(name))
PYTHON
    rm -rf "$folder"
}

has_onnxruntime() {
    [ -n "${HEBB_ONNXRUNTIME:-}" ] && [ -f "$HEBB_ONNXRUNTIME" ] && return 0
    compgen -G ".engines/onnxruntime/libonnxruntime.*" >/dev/null
}

if ! has_onnxruntime; then
    echo "setup: fetching ONNX Runtime $ONNXRUNTIME_VERSION"
    if ! fetch_onnxruntime || ! has_onnxruntime; then
        missing+=("ONNX Runtime $ONNXRUNTIME_VERSION: on a machine of the same kind with network run 'pip download --no-deps onnxruntime==$ONNXRUNTIME_VERSION', unzip the wheel and copy onnxruntime/capi/libonnxruntime.* to .engines/onnxruntime/ here, or set HEBB_ONNXRUNTIME to that file")
    fi
fi

if [ ${#missing[@]} -gt 0 ]; then
    echo "setup: this machine lacks" >&2
    printf '  - %s\n' "${missing[@]}" >&2
    exit 2
fi
