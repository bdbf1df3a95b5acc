"""Makes tests/fixtures/brain/cifti_workbench: our committed CIFTI files as Connectome Workbench reads and writes them.

Run from the repository root, with `wb_command` on the path (Debian's `connectome-workbench`):

    python tests/scripts/make_workbench_fixtures.py

Made with Python 3.11 and Workbench 1.5.0. Each file holds the places and values of its namesake in
`tests/fixtures/brain/cifti_written`, but for `scaled.dtseries.nii`, whose values are stored as scaled 16-bit integers.
"""

import os
import shutil
import subprocess
from pathlib import Path

IN = Path("tests/fixtures/brain/cifti_written")
OUT = Path("tests/fixtures/brain/cifti_workbench")


def workbench(*arguments):
    """Runs a command of Workbench without noting when and where it ran."""
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    subprocess.run(["wb_command", "-disable-provenance", *map(str, arguments)], check=True, env=environment)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    for name in ["x.dtseries.nii", "x.dscalar.nii", "x.ptseries.nii"]:
        workbench("-cifti-math", "x", OUT / name, "-var", "x", IN / name)
    workbench("-cifti-merge", OUT / "x.dlabel.nii", "-cifti", IN / "x.dlabel.nii")
    scaled = ["-cifti-output-datatype", "INT16", "-cifti-output-range", "-500", "100"]
    workbench("-cifti-math", "x", OUT / "scaled.dtseries.nii", "-var", "x", IN / "x.dtseries.nii", *scaled)


if __name__ == "__main__":
    main()
