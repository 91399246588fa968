"""What a fixed case looks like, in numbers that every machine agrees on.

``python -m tests.golden`` renders the cases anew and writes ``tests/golden.json``: to be run once,
on purpose, after a change of what a seed makes.

The parameters are compared exactly, at nine significant digits. Voxels are not: the last bits of a
float differ between processors. Each volume is cut into 3×3×3 blocks, of which mean, standard
deviation and roughness are taken: floats that differ in their last bits, or a few voxels that fall
on the other side of a threshold, move these by far less than one step. They are rounded to steps;
so that none of them lies near an edge between two steps, the edges are moved to the middle of the
widest gap between the 81 remainders, and this offset is kept beside the hash. The least distance of
any remainder to an edge (``margin``) is what a machine may differ by. Another version of numpy may
draw other numbers (NEP 19); constraints.txt fixes it.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sifdetect.anatomy import Modality
from sifdetect.findings import Morphology
from sifdetect.learn.record import digest, parameters
from sifdetect.synth.case import Protocol, SyntheticCase, make_case
from sifdetect.volume import FloatImage, Floats

PATH = Path(__file__).with_name("golden.json")
SEEDS = {21: Morphology.BILATERAL, 4: Morphology.NONE}
COARSE = Protocol(ct_spacing_mm=(6.0, 6.0, 8.0), mr_spacing_mm=(5.0, 9.0, 5.0))
BLOCKS = 3
CT_STEP_HU = 40.0
MR_STEP = 0.1
"""Share of the mean of the series, as MR has no unit."""


@dataclass(frozen=True)
class Golden:
    """The rounded statistics of one volume, as a hash, and how they were rounded."""

    step: float
    offset: float
    margin: float
    sha256: str


def rendered(seed: int) -> SyntheticCase:
    """One of the fixed cases."""
    return make_case(seed, morphology=SEEDS[seed], protocol=COARSE)


def statistics(values: FloatImage) -> Floats:
    """(3 · BLOCKS³,) mean, standard deviation and roughness of each block, in the values' unit.

    Roughness is four times the mean step from voxel to voxel, so that a tenth of the noise counts.
    """
    parts: Sequence[FloatImage] = [values]
    for axis in range(3):
        parts = [piece for part in parts for piece in np.array_split(part, BLOCKS, axis=axis)]
    exact = [part.astype(np.float64) for part in parts]
    rough = [4 * np.abs(np.diff(part, axis=0)).mean() for part in exact]
    return np.array([*(part.mean() for part in exact), *(part.std() for part in exact), *rough])


def step_of(values: FloatImage, modality: Modality) -> float:
    """Width of a rounding step; of MR in the unit of its values, to two significant digits."""
    if modality is Modality.CT:
        return CT_STEP_HU
    return float(f"{MR_STEP * float(values.mean(dtype=np.float64)):.1e}")


def golden(values: FloatImage, step: float) -> Golden:
    """Edges in the widest gap of the remainders, and the hash of what is then rounded."""
    numbers = statistics(values)
    remainders = np.sort(numbers % step)
    gaps = np.diff(np.append(remainders, remainders[0] + step))
    widest = int(gaps.argmax())
    offset = float(remainders[widest] + gaps[widest] / 2) % step
    margin = float(gaps[widest]) / 2
    return Golden(step, round(offset, 6), round(margin, 6), hash_of(values, step, round(offset, 6)))


def hash_of(values: FloatImage, step: float, offset: float) -> str:
    """SHA-256 of the statistics in whole steps from the offset."""
    steps = np.floor((statistics(values) - offset) / step).astype(int)
    return hashlib.sha256(json.dumps(steps.tolist()).encode()).hexdigest()


def main() -> int:
    """Render the cases and write what they give."""
    told = {}
    for seed in SEEDS:
        case = rendered(seed)
        volumes = [golden(one.values, step_of(one.values, one.modality)) for one in case.volumes]
        told[str(seed)] = {
            "parameters_sha256": digest(parameters(case.params)),
            "volumes": [asdict(one) for one in volumes],
        }
    text = json.dumps(told, indent=2) + "\n"
    PATH.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
