"""What procedural sacra measure beside real ones: the table in docs/synth-shape.md.

python -m sifdetect.learn.shape_report ../shared/real --procedural 100 --drawn 60
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np

from sifdetect.learn.anatomy_source import load_meshes
from sifdetect.synth.bones import BoneMeshes
from sifdetect.synth.morphometry import NAMES, measures, of_meshes, of_shape
from sifdetect.synth.shape import ShapeParams
from sifdetect.synth.shape_fit import fit_sacrum
from sifdetect.volume import Floats

MODEL_REACH = 2.6
"""The shape model's sacra end near the lower end of S3."""
SIZE_SD = 0.05
"""Spread of size that is added to the shape model's: its 40 sacra were brought to one size (the
centroid size of its draws varies by 1 %). Own estimate, that of the generator."""


def main(arguments: list[str]) -> int:
    """Print the table in Markdown and the distances of the fits."""
    parser = argparse.ArgumentParser(prog="python -m sifdetect.learn.shape_report")
    parser.add_argument("folder", type=Path, help="folder with the real meshes")
    parser.add_argument("--procedural", type=int, default=100, metavar="N")
    parser.add_argument("--drawn", type=int, default=60, metavar="N")
    chosen = parser.parse_args(arguments)
    pelves = load_meshes(chosen.folder, shapes=chosen.drawn, seed=1)
    whole = [mesh for mesh in pelves if mesh.tail is None]
    lines = [table(pelves, procedural(chosen.procedural)), ""]
    for number, mesh in enumerate(whole, start=1):
        fit = fit_sacrum(mesh)
        lines.append(
            f"fit {number}: {fit.distance_mm:.2f} mm mean, 95 % within {fit.quantile_mm:.1f} mm"
        )
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def procedural(count: int) -> Floats:
    """(count, measures) of sacra that the generator draws."""
    seeds = (np.random.default_rng([77, seed]) for seed in range(count))
    return np.stack([_row(measures(of_shape(ShapeParams.sample(rng)))) for rng in seeds])


def real(pelves: list[BoneMeshes]) -> Floats:
    """(n, measures) of meshes; hips and the tails set below them are left out."""
    rows = []
    for mesh in pelves:
        reach = 5.0 if mesh.tail is None else MODEL_REACH
        rows.append(_row(measures(of_meshes(mesh, reach))))
    return np.stack(rows)


def table(pelves: list[BoneMeshes], drawn: Floats) -> str:
    """Markdown: each measure's values in the whole meshes, the shape model and the generator."""
    values = real(pelves)
    whole = [mesh.tail is None for mesh in pelves]
    lines = [
        "| measure | Visible Human, woman / man | shape model | its sd with size | procedural |",
        "|---|---|---|---|---|",
    ]
    with warnings.catch_warnings():
        # A measure below the shape model's end is a column of NaN.
        warnings.simplefilter("ignore", RuntimeWarning)
        for column, (_, meaning) in enumerate(NAMES):
            known = " / ".join(f"{value:.1f}" for value in values[whole, column])
            model = values[~np.array(whole), column]
            mean, sd = float(np.nanmean(model)), float(np.nanstd(model))
            sized = np.hypot(sd, 0 if "deg" in meaning else SIZE_SD * mean)
            shown = f"{mean:.1f} ± {sd:.1f} | {sized:.1f}" if np.isfinite(mean) else "– | –"
            own = f"{np.nanmean(drawn[:, column]):.1f} ± {np.nanstd(drawn[:, column]):.1f}"
            lines.append(f"| {meaning} | {known} | {shown} | {own} |")
    return "\n".join(lines)


def _row(found: dict[str, float]) -> Floats:
    return np.array([found[name] for name, _ in NAMES])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
