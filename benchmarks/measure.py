"""What measuring and classifying one study costs on one core, labels at 1 mm.

    OMP_NUM_THREADS=1 python benchmarks/measure.py [--cases 3] [--spacing 1.0] [--seed 4]

Renders the labels of synthetic cases with an H pattern, the most to measure, and prints processor
seconds of ``measure`` and ``classify`` for each, the first and the best of three rounds.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time

from sifdetect.anatomy import Modality, MrWeighting, SacralLevel
from sifdetect.classify import Context, classify
from sifdetect.findings import Morphology
from sifdetect.learn.rule_case import segmentation_of
from sifdetect.measure import measure
from sifdetect.synth.scene import sample_case
from sifdetect.volume import Segmentation

CONTEXT = Context(
    coverage=dict.fromkeys(SacralLevel, 1.0), weightings=(MrWeighting.STIR, MrWeighting.T1)
)
ROUNDS = 3


def main() -> int:
    """Render, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=3)
    parser.add_argument("--spacing", type=float, default=1.0, help="mm")
    parser.add_argument("--seed", type=int, default=4, help="of the first case")
    options = parser.parse_args()
    machine = f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"
    print(f"labels at {options.spacing} mm; {machine}\n")
    print("| seed | voxels | first, s | best of three, s |\n|---|---|---|---|")
    for seed in range(options.seed, options.seed + options.cases):
        case = sample_case(seed, morphology=Morphology.H, mimics=0.0)
        segmentation = segmentation_of(case, options.spacing)
        seconds = [_seconds(segmentation) for _ in range(ROUNDS)]
        size = " × ".join(map(str, segmentation.grid.shape))
        print(f"| {seed} | {size} | {seconds[0]:.2f} | {min(seconds):.2f} |", flush=True)
    return 0


def _seconds(segmentation: Segmentation) -> float:
    start = time.process_time()
    classify(measure(segmentation, fluid_sensitive=True, modality=Modality.MR), CONTEXT)
    return time.process_time() - start


if __name__ == "__main__":
    sys.exit(main())
