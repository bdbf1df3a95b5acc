#!/usr/bin/env bash
# Makes a Python environment with some packages, unless it is there: environment.sh FOLDER PROGRAM PACKAGE..., where PROGRAM is one
# that the packages bring. Needs Python with pip.
set -euo pipefail
folder=$1
program=$2
shift 2
if ! [ -x "$folder/bin/$program" ]; then
    python3 -m venv "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
fi
