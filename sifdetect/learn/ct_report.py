"""HU of synthetic CT beside those of real scans: the table and the histograms in docs/synth-ct.md.

python -m sifdetect.learn.ct_report thin=STUDY.zip example=CT.nii.gz --cases 12 -o synth-ct.png

All of it on the lattice of the region network, in the sacral frame. What is bone is the truth of a
synthetic case, and of a real one what the pipeline segmented.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sifdetect.anatomy import SACRUM_LABELS, AnatomyLabel, Modality
from sifdetect.bundle import region_spec
from sifdetect.dicom.nifti import read_nifti
from sifdetect.dicom.read import read_studies
from sifdetect.engine import Models
from sifdetect.errors import NoSacrumInView
from sifdetect.findings import Morphology
from sifdetect.learn.histograms import Panel, draw
from sifdetect.pipeline import analyze_study
from sifdetect.segment import coordinates
from sifdetect.synth import ct
from sifdetect.synth.scene import points_of, sample_case, scene_at

FloatArray = NDArray[np.float32]
Samples = dict[str, FloatArray]
"""HU of the voxels of each region, by its name."""

QUANTILES = (0.1, 0.5, 0.9)
FIRST_SEED = 100
LEAST_VOXELS = 50
SPEC = region_spec(Modality.CT)
WINDOWS = {
    "sacrum 0-2 mm": (-200, 900),
    "sacrum 2-5 mm": (-200, 900),
    "sacrum > 5 mm": (-200, 900),
    "bodies S1-S2, 4 mm deep": (-200, 400),
    "alae S1-S2, 4 mm deep": (-200, 400),
    "muscle": (-150, 150),
    "subcutaneous fat": (-200, 20),
    "pelvic fat": (-200, 20),
}
"""Every region, and the HU between which its histogram is drawn."""
_ALAE = (AnatomyLabel.SACRAL_ALA_RIGHT, AnatomyLabel.SACRAL_ALA_LEFT)
_UPPER_MM = -20.0
"""Frame z above which S1 and S2 lie."""
_DEEP_MM, _BLUR = 4.0, 1.3


def main(arguments: list[str]) -> int:
    """Print the table in Markdown; draw the histograms where a file is named."""
    parser = argparse.ArgumentParser(prog="python -m sifdetect.learn.ct_report")
    parser.add_argument("real", nargs="*", metavar="NAME=STUDY", help="DICOM, or a CT as NIfTI")
    parser.add_argument("--models", type=Path, default=Path("models"), help="find their sacra")
    parser.add_argument("--cases", type=int, default=12, metavar="N")
    parser.add_argument("-o", "--out", type=Path, metavar="PNG")
    options = parser.parse_args(arguments)
    named = (one.partition("=") for one in options.real)
    real = {name: of_scan(Path(path), Models(options.models)) for name, _, path in named}
    synthetic = [of_case(seed) for seed in range(FIRST_SEED, FIRST_SEED + options.cases)]
    sys.stdout.write(table(real, synthetic) + "\n")
    if options.out is not None:
        draw([panel(name, real, synthetic) for name in WINDOWS]).save(options.out, optimize=True)
    return 0


def of_scan(path: Path, models: Models) -> Samples:
    """HU by region of a real CT.

    Raises:
        NoSacrumInView: it shows none. InputError: it cannot be read.
    """
    nifti = path.name.endswith((".nii", ".nii.gz"))
    study = (
        read_nifti([path], modality=Modality.CT) if nifti else read_studies([path])[0].to_study()
    )
    found = analyze_study(study, models).regions
    if not found:
        raise NoSacrumInView(f"{path} shows no sacrum")
    segmentation = found[0].segmentation
    volume = max((one.volume for one in study.series), key=lambda one: one.values.size)
    hu = volume.resampled(segmentation.anatomy.grid).values
    return regions(hu, segmentation.anatomy.values, segmentation.in_view)


def of_case(seed: int) -> Samples:
    """HU by region of a synthetic CT without a fracture or a mimic."""
    case = sample_case(seed, morphology=Morphology.NONE, mimics=0.0)
    assert SPEC.low_mm is not None
    assert SPEC.high_mm is not None
    grid = case.frame.grid(SPEC.low_mm, SPEC.high_mm, SPEC.spacing_mm)
    points = points_of(case, grid)
    scene = scene_at(case, points, SPEC.spacing_mm)
    rng = np.random.default_rng([seed, 1])
    scan = ct.CtParams.sample(rng, tagged=case.body.tagged_stool)
    hu = ct.render(scene, points, scan, spacing_mm=grid.spacing_mm, rng=rng)
    return regions(hu, scene.anatomy(), np.ones(grid.shape, dtype=np.bool_))


def regions(hu: FloatArray, anatomy: NDArray[np.uint8], in_view: NDArray[np.bool_]) -> Samples:
    """HU of each region with LEAST_VOXELS or more, arrays on the grid of the region network.

    Muscle and fat are told by blurred HU, away from bone: behind and beside, below the skin, and
    in front of the sacrum.
    """
    x, y, z = coordinates(SPEC) * 100.0
    sacrum = np.isin(anatomy, [int(one) for one in SACRUM_LABELS])
    depth = ndimage.distance_transform_edt(np.pad(sacrum, 1))[1:-1, 1:-1, 1:-1]
    depth = (depth - 0.5) * SPEC.spacing_mm
    deep = (depth >= _DEEP_MM) & (z > _UPPER_MM)
    smooth = ndimage.gaussian_filter(hu, _BLUR)
    away = ~ndimage.binary_dilation(anatomy > 0, iterations=2) & in_view
    soft = away & (smooth > -30) & (smooth < 110)
    fat = away & (smooth > -150) & (smooth < -60)
    masks = (
        sacrum & (depth < 2),
        sacrum & (depth >= 2) & (depth < 5),
        sacrum & (depth >= 5),
        (anatomy == AnatomyLabel.SACRAL_BODY) & deep,
        np.isin(anatomy, [int(one) for one in _ALAE]) & deep,
        ndimage.binary_erosion(soft & (y < -5) & (np.abs(x) > 35)),
        ndimage.binary_erosion(fat & (y < -30)),
        ndimage.binary_erosion(fat & (y > 22) & (np.abs(x) < 60)),
    )
    found = {name: hu[mask & in_view] for name, mask in zip(WINDOWS, masks, strict=True)}
    return {name: values for name, values in found.items() if values.size >= LEAST_VOXELS}


def table(real: dict[str, Samples], synthetic: list[Samples]) -> str:
    """Markdown: quantiles of the real scans, and the range of each quantile over the cases."""
    shown = [f"{round(100 * q)} %" for q in QUANTILES]
    lines = [
        "| " + " | ".join(["region", *real, *shown]) + " |",
        "|---" * (1 + len(real) + len(shown)) + "|",
    ]
    for name in WINDOWS:
        cells = ["/".join(_rounded(one[name])) if name in one else "–" for one in real.values()]
        having = [np.quantile(one[name], QUANTILES) for one in synthetic if name in one]
        low, high = np.min(having, axis=0), np.max(having, axis=0)
        cells += [f"{a:.0f} to {b:.0f}" for a, b in zip(low, high, strict=True)]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(lines)


def panel(name: str, real: dict[str, Samples], synthetic: list[Samples]) -> Panel:
    """The histograms of one region."""
    return Panel(
        name,
        WINDOWS[name],
        [one[name] for one in synthetic if name in one],
        {scan: one[name] for scan, one in real.items() if name in one},
    )


def _rounded(values: FloatArray) -> list[str]:
    return [f"{value:.0f}" for value in np.quantile(values, QUANTILES)]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
