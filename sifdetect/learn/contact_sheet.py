"""Contact sheets of synthetic cases, to be looked at: ``python -m sifdetect.learn.contact_sheet``.

Every cell is one plane through one patient, drawn as a viewer shows it: the patient's right is on
the left of axial and coronal pictures, anterior is on the left of sagittal ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sifdetect.anatomy import MrWeighting
from sifdetect.findings import Morphology
from sifdetect.learn.planes import BONE, PIXEL_MM, Plane
from sifdetect.learn.real_row import RealScan, read_scans
from sifdetect.synth import ct, mr
from sifdetect.synth.confounders import ConfounderParams
from sifdetect.synth.fracture import Stage
from sifdetect.synth.mimic import Mimic
from sifdetect.synth.scene import VISIBLE, CaseParams, points_of, sample_case, scene_at

LABEL_HEIGHT, LABEL_WIDTH, FONT = 16, 100, 12
_SEARCH_MM = 4.0
HIPS_LOW_MM, HIPS_HIGH_MM = (-143.0, -60.0, -150.0), (143.0, 144.0, 95.0)
"""A box with both hips, of the proportions of the sacrum's."""


AXIAL, CORONAL, SAGITTAL = Plane(2, 20.0), Plane(1, -10.0), Plane(0, 0.0)
Painter = Callable[[CaseParams, Plane], NDArray[np.float32]]


class Column(NamedTuple):
    """What is drawn of every case below one name; ``weighting`` is None on CT."""

    name: str
    paint: Painter
    plane: Plane
    weighting: MrWeighting | None = None


def ct_picture(case: CaseParams, plane: Plane) -> NDArray[np.float32]:
    """Grey values 0–1 of a CT at the bone window."""
    grid = plane.grid(case.frame)
    points = points_of(case, grid)
    rng = np.random.default_rng([case.seed, 3])
    scan = replace(ct.CtParams.sample(rng, tagged=case.body.tagged_stool), slice_mm=0.8)
    scene = scene_at(case, points, PIXEL_MM)
    hu = ct.render(scene, points, scan, spacing_mm=grid.spacing_mm, rng=rng)
    return plane.picture((hu - BONE[0]) / (BONE[1] - BONE[0]))


def mr_picture(weighting: MrWeighting) -> Painter:
    """Grey values of a series, its 99th percentile white."""

    def paint(case: CaseParams, plane: Plane) -> NDArray[np.float32]:
        grid = plane.grid(case.frame)
        points = points_of(case, grid)
        rng = np.random.default_rng([case.seed, 3])
        exam = mr.MrParams.sample(rng, random_contrast=False)
        sequence = exam.sequence(rng, weighting)
        scene = scene_at(case, points, PIXEL_MM)
        subject = mr.Subject.of(scene, points, mr.Microstructure.sample(rng))
        series = replace(mr.Acquisition.sample(rng, plane.normal), ghost=0.0, pixel_mm=1.0)
        image = mr.render(subject, exam, sequence, series, spacing_mm=grid.spacing_mm, rng=rng)
        return plane.picture(image / max(float(np.percentile(image, 99)), 1e-6))

    return paint


def mr_column(name: str, weighting: MrWeighting, plane: Plane) -> Column:
    """A column of one kind of series."""
    return Column(name, mr_picture(weighting), plane, weighting)


COLUMNS = (
    Column("CT axial S1", ct_picture, AXIAL),
    Column("CT coronal", ct_picture, CORONAL),
    Column("CT sagittal", ct_picture, SAGITTAL),
    mr_column("STIR coronal", MrWeighting.STIR, CORONAL),
    mr_column("T1 coronal", MrWeighting.T1, CORONAL),
    mr_column("STIR axial S1", MrWeighting.STIR, AXIAL),
)


def sheet(
    rows: Sequence[tuple[str, CaseParams]],
    columns: Sequence[Column] = COLUMNS,
    *,
    height_px: int = 120,
    place: Callable[[CaseParams, Plane], Plane] = lambda _, plane: plane,
    real: Sequence[RealScan] = (),
) -> Image.Image:
    """All cells, one row a case, with names above and on the left; ``place`` may move a plane.

    Below them a row for each of ``real``, black where it has no series of a column's kind.
    """
    cells = [
        [_scaled(one.paint(case, place(case, one.plane)), height_px) for one in columns]
        for _, case in rows
    ]
    names = [name for name, _ in rows] + [f"real {scan.name}" for scan in real]
    cells += [[_real_cell(scan, column, height_px) for column in columns] for scan in real]
    widths = [cell.width for cell in cells[0]]
    page = Image.new(
        "L", (LABEL_WIDTH + sum(widths), LABEL_HEIGHT + (height_px + 2) * len(cells)), 0
    )
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(FONT)
    left = LABEL_WIDTH
    for column, width in zip(columns, widths, strict=True):
        pen.text((left + 2, 1), column.name, fill=255, font=font)
        left += width
    for number, (name, row) in enumerate(zip(names, cells, strict=True)):
        top, left = LABEL_HEIGHT + number * (height_px + 2), LABEL_WIDTH
        pen.multiline_text((2, top + 2), name.replace(" ", "\n"), fill=255, font=font)
        for cell in row:
            page.paste(cell, (left, top))
            left += cell.width
    return page


def _real_cell(scan: RealScan, column: Column, height_px: int) -> Image.Image:
    found = scan.picture(column.weighting, column.plane)
    empty = column.plane.picture(np.zeros(column.plane.grid(scan.frame).shape, dtype=np.float32))
    return _scaled(empty if found is None else found, height_px)


def _scaled(picture: NDArray[np.float32], height_px: int) -> Image.Image:
    grey = (np.clip(picture, 0, 1) * 255).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(grey))
    width = round(image.width * height_px / image.height)
    return image.resize((width, height_px), Image.Resampling.LANCZOS)


def patterns(first_seed: int) -> list[tuple[str, CaseParams]]:
    """A fresh case of each pattern; the first seed of each that is acute."""
    chosen = [one for one in Morphology if one is not Morphology.INDETERMINATE]
    return [(one.value, _first(one, Stage.ACUTE, first_seed)) for one in chosen]


def stages(first_seed: int) -> list[tuple[str, CaseParams]]:
    """A fracture of both alae of each stage; the same patient where nothing else differs."""
    case = _first(Morphology.BILATERAL, Stage.ACUTE, first_seed)
    return [
        (stage.value, replace(case, fracture=replace(case.fracture, stage=stage)))
        for stage in Stage
    ]


def mimics(first_seed: int) -> list[tuple[str, CaseParams]]:
    """Each mimic alone in one and the same unbroken patient."""
    case = sample_case(first_seed, morphology=Morphology.NONE, mimics=0.0)
    case = replace(case, ring=replace(case.ring, fractures=()))
    rng = np.random.default_rng(first_seed)
    return [(m.value, replace(case, confounders=ConfounderParams.only(m, rng))) for m in Mimic]


def most_of_it(case: CaseParams, plane: Plane) -> Plane:
    """The parallel plane that shows most of what the case's mimics changed, wider for a hip."""
    if Mimic.HIP_PROSTHESIS in case.confounders.mimics:
        plane = replace(plane, low_mm=HIPS_LOW_MM, high_mm=HIPS_HIGH_MM)
    low, high = list(plane.low_mm), list(plane.high_mm)
    grid = case.frame.grid(low, high, _SEARCH_MM)
    seen = scene_at(case, points_of(case, grid), _SEARCH_MM)
    lesions = np.maximum(seen.edema, seen.sclerosis)
    changed = np.maximum(seen.material_share, lesions * (lesions > VISIBLE))
    others = tuple(axis for axis in range(3) if axis != plane.normal)
    best = int(np.argmax(changed.sum(axis=others)))
    return replace(plane, at_mm=low[plane.normal] + (best + 0.5) * _SEARCH_MM)


MIMIC_COLUMNS = (
    Column("CT axial", ct_picture, AXIAL),
    mr_column("STIR coronal", MrWeighting.STIR, CORONAL),
    mr_column("T1 coronal", MrWeighting.T1, CORONAL),
)
SEQUENCES = tuple(one for one in MrWeighting if one is not MrWeighting.OTHER)


def draw(name: str, seed: int, real: Sequence[RealScan] = ()) -> Image.Image:
    """One of ``SHEETS``, real scans below."""
    if name == "sequences":
        return sequences(seed, real)
    if name != "mimics":
        return sheet(ROWS[name](seed), real=real)
    rows = mimics(seed)
    half = (len(rows) + 1) // 2
    sides = [
        sheet(part, MIMIC_COLUMNS, height_px=110, place=most_of_it, real=real)
        for part in (rows[:half], rows[half:])
    ]
    page = Image.new("L", (sum(side.width for side in sides), max(s.height for s in sides)), 0)
    page.paste(sides[0], (0, 0))
    page.paste(sides[1], (sides[0].width, 0))
    return page


def sequences(seed: int, real: Sequence[RealScan]) -> Image.Image:
    """Every kind of MR series in three planes: an intact sacrum, then both alae freshly broken.

    Below each kind the real examinations that have such a series.
    """
    planes = (("axial S1", AXIAL), ("coronal", CORONAL), ("sagittal", SAGITTAL))
    intact = sample_case(seed, morphology=Morphology.NONE, mimics=0.0)
    broken = _first(Morphology.BILATERAL, Stage.ACUTE, seed)
    rows = [("intact", intact), ("bilateral", broken)]
    parts = []
    for kind in SEQUENCES:
        columns = [mr_column(f"{kind.value} {name}", kind, plane) for name, plane in planes]
        having = [scan for scan in real if scan.has(kind)]
        parts.append(sheet(rows, columns, height_px=150, real=having))
    page = Image.new("L", (max(p.width for p in parts), sum(p.height for p in parts)), 0)
    top = 0
    for part in parts:
        page.paste(part, (0, top))
        top += part.height
    return page


ROWS = {"patterns": patterns, "stages": stages, "mimics": mimics}
SHEETS = (*sorted(ROWS), "sequences")


def _first(morphology: Morphology, stage: Stage, first_seed: int) -> CaseParams:
    for seed in range(first_seed, first_seed + 1000):
        case = sample_case(seed, morphology=morphology)
        wanted = case.fracture.stage is stage and not any(
            limb.lineless for limb in case.fracture.limbs
        )
        if wanted or morphology is Morphology.NONE:
            return case
    raise ValueError(f"no {stage.value} {morphology.value} within 1000 seeds")


def main() -> None:
    """Write ``synth-<name>.png`` for every sheet into a folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1, help="first seed to look at")
    parser.add_argument("--sheets", nargs="*", choices=SHEETS, default=SHEETS)
    parser.add_argument(
        "--real",
        nargs="*",
        default=(),
        metavar="NAME=STUDY",
        help="real examinations (DICOM, or a CT as NIfTI) to draw below, at the same windows",
    )
    parser.add_argument("--models", type=Path, default=Path("models"), help="find their sacra")
    parser.add_argument(
        "--landmarks",
        nargs="*",
        default=(),
        metavar="NAME=X,Y,Z,X,Y,Z",
        help="centres of the bodies of S1 and S3 in LPS mm, where the networks err",
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    named = [one.partition("=") for one in options.real]
    placed = {
        name: _numbers(text) for name, _, text in (p.partition("=") for p in options.landmarks)
    }
    real = read_scans(((name, Path(path)) for name, _, path in named), options.models, placed)
    for name in options.sheets:
        draw(name, options.seed, real).save(options.out / f"synth-{name}.png", optimize=True)


def _numbers(text: str) -> tuple[float, ...]:
    numbers = tuple(float(one) for one in text.split(","))
    if len(numbers) != 6:
        raise SystemExit(f"--landmarks takes six numbers a name, not {text!r}")
    return numbers


if __name__ == "__main__":
    main()
