"""Write tests/fixtures/report/orientation.json: where nibabel says the axes of voxel grids point.

    python tests/scripts/make_report_fixtures.py

Each case is an affine (three rows) with, for each voxel axis, the anatomical axis it is nearest to (0 right, 1 front,
2 up) and its direction (1 or -1), as `nibabel.io_orientation` gives them: all 48 upright grids, and tilted ones with
unequal voxels. Made with Python 3.11, numpy 2.4.6 and nibabel 5.4.2; the versions at hand are written into the file.
"""

import itertools
import json
from pathlib import Path

import nibabel
import numpy as np

FIXTURE = Path(__file__).parents[1] / "fixtures" / "report" / "orientation.json"
N_TILTED = 100


def rotation(generator: np.random.Generator) -> np.ndarray:
    """A rotation about a random axis by up to 40 degrees."""
    axis = generator.normal(size=3)
    axis /= np.linalg.norm(axis)
    angle = np.deg2rad(generator.uniform(0, 40))
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def upright() -> list[np.ndarray]:
    """Signed permutation matrices."""
    signs = itertools.product([1, -1], repeat=3)
    orders = itertools.permutations(range(3))
    return [np.eye(3)[list(order)] * np.array(sign) for order, sign in itertools.product(orders, signs)]


def main() -> None:
    generator = np.random.default_rng(7)
    grids = upright()
    tilted = [rotation(generator) @ grids[generator.integers(len(grids))] for _ in range(N_TILTED)]
    cases = []
    for axes in grids + tilted:
        affine = np.eye(4)
        affine[:3, :3] = np.round(axes * generator.uniform(0.7, 4, size=3), 4)
        affine[:3, 3] = np.round(generator.uniform(-90, 90, size=3), 2)
        orientation = nibabel.io_orientation(affine)
        cases.append(
            {
                "affine": affine[:3].tolist(),
                "axes": [[int(world), int(direction)] for world, direction in orientation],
            }
        )
    document = {"made_with": {"nibabel": nibabel.__version__, "numpy": np.__version__}, "cases": cases}
    FIXTURE.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document)
    FIXTURE.write_text(text.replace('{"affine"', '\n{"affine"') + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
