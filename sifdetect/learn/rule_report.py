"""What the rules say of true labels beside the truth of synthetic cases: docs/rules.md.

python -m sifdetect.learn.rule_report --cases 100 --seed 0 --out agreement.jsonl

Each case is rendered as labels at 1.5 mm in the region's box, without images, measured and
classified. A case is read as MR; a healed fracture, which shows on CT alone, as CT. FFP is compared
with what can be said without the pubic rami, which lie outside the box.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sifdetect.anatomy import LesionBit, Modality, MrWeighting, SacralLevel, Side
from sifdetect.bundle import region_spec
from sifdetect.classify import Classification, Context, classify
from sifdetect.findings import BakkerType, FfpType
from sifdetect.measure import Measurements, measure
from sifdetect.synth.anterior_ring import AnteriorRing
from sifdetect.synth.fracture import Stage
from sifdetect.synth.scene import CaseParams, points_of, sample_case, scene_at
from sifdetect.synth.truth import ffp_of, subtype, truth_of
from sifdetect.volume import LabelMap, Segmentation

Row = dict[str, Any]

CLASSES = (
    "side",
    "morphology",
    "denis_right",
    "denis_left",
    "denis_subtype",
    "bakker_right",
    "bakker_left",
    "bakker_corpus",
    "ffp",
    "step_level",
)
ERRORS = ("step_mm", "angle_deg")
SPACING_MM = 1.5
LEVEL_OFF = 0.25
"""A step is at its level where it lies this close, a quarter of a segment."""
_Z95 = 1.959964


def main(arguments: list[str]) -> int:
    """Compare, resume where a file holds cases already, print the table."""
    parser = argparse.ArgumentParser(prog="python -m sifdetect.learn.rule_report")
    parser.add_argument("--cases", type=int, default=100, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the first case")
    parser.add_argument("--jobs", type=int, default=1, metavar="J")
    parser.add_argument("--out", type=Path, help="JSON lines, one a case; resumed where it exists")
    chosen = parser.parse_args(arguments)
    seeds = range(chosen.seed, chosen.seed + chosen.cases)
    known = {row["seed"]: row for row in _read(chosen.out)}
    missing = [seed for seed in seeds if seed not in known]
    for row in _compared(missing, chosen.jobs):
        known[row["seed"]] = row
        if chosen.out is not None:
            with chosen.out.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(row) + "\n")
    sys.stdout.write(report([known[seed] for seed in seeds]) + "\n")
    return 0


def segmentation_of(params: CaseParams, spacing_mm: float = SPACING_MM) -> Segmentation:
    """A case as a perfect network would see it: its own labels, probability 0 or 1."""
    spec = region_spec(Modality.MR)
    assert spec.low_mm is not None
    assert spec.high_mm is not None
    grid = params.frame.grid(spec.low_mm, spec.high_mm, spacing_mm)
    scene = scene_at(params, points_of(params, grid), spacing_mm)
    bits = scene.lesion_bits()
    return Segmentation(
        anatomy=LabelMap(scene.anatomy(), grid),
        lesions=LabelMap(bits, grid),
        probability=np.stack([((bits & bit.value) > 0).astype(np.float32) for bit in LesionBit]),
        level=np.clip(scene.bones.level, 0, 5).astype(np.float32),
        frame=params.frame,
        in_view=np.ones(grid.shape, dtype=np.bool_),
    )


def compare_case(seed: int) -> Row:
    """Truth and statement of one case without mimics, and what drew it."""
    params = sample_case(seed, mimics=0.0)
    healed = bool(params.fracture.sheets) and params.fracture.stage is Stage.HEALED
    modality = Modality.CT if healed else Modality.MR
    measured = measure(segmentation_of(params), fluid_sensitive=not healed, modality=modality)
    weightings = () if healed else (MrWeighting.STIR, MrWeighting.T1)
    whole = dict.fromkeys(SacralLevel, 1.0)
    stated = classify(measured, Context(coverage=whole, weightings=weightings))
    return {
        "seed": seed,
        "stage": params.fracture.stage.value if params.fracture.sheets else "none",
        "truth": _truth(params),
        "stated": _stated(measured, stated),
        "drawn": _drawn(params),
    }


def report(rows: list[Row]) -> str:
    """Markdown: agreement with Wilson's 95 % interval, errors, and each disagreement.

    Healed fractures are counted apart: their lines have closed, and a band of sclerosis is all that
    is left of them.
    """
    parts = []
    for name, healed in (("with a line or edema, or none", False), ("healed", True)):
        chosen = [row for row in rows if (row["stage"] == "healed") is healed]
        if chosen:
            parts += [f"{len(chosen)} cases, {name}", "", *_table(chosen), ""]
    parts += [*_differences(rows)]
    return "\n".join(parts)


def wilson(hits: int, count: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927, J Am Stat Assoc 22:209); (0, 1) for no cases."""
    if count == 0:
        return 0.0, 1.0
    share, z2 = hits / count, _Z95**2
    center = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z95 * np.sqrt(share * (1 - share) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return max(0.0, float(center - half)), min(1.0, float(center + half))


def agrees(name: str, truth: Any, stated: Any) -> bool:
    """Equal; a level within LEVEL_OFF."""
    if name == "step_level" and truth is not None and stated is not None:
        return bool(abs(truth - stated) <= LEVEL_OFF)
    return bool(truth == stated)


def _compared(seeds: list[int], jobs: int) -> Iterator[Row]:
    if jobs <= 1:
        yield from map(compare_case, seeds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(compare_case, seeds)


def _read(path: Path | None) -> list[Row]:
    if path is None or not path.exists():
        return []
    rows: list[Row] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return rows


def _truth(params: CaseParams) -> Row:
    truth, broken = truth_of(params), params.fracture
    moved = params.displacement if broken.transverse is not None else None
    hidden = replace(params, ring=AnteriorRing((), params.ring.stage, params.ring.margin))
    transverse = broken.transverse
    return {
        "side": sorted({limb.side.value for limb in broken.limbs}),
        "morphology": truth.morphology.value.value,
        "denis_right": truth.denis.right,
        "denis_left": truth.denis.left,
        "denis_subtype": subtype(params),
        "bakker_right": _name(truth.bakker.right),
        "bakker_left": _name(truth.bakker.left),
        "bakker_corpus": _name(truth.bakker.corpus),
        "ffp": _name(ffp_of(hidden)),
        "step_level": None if transverse is None else transverse.level,
        "step_mm": None if transverse is None else (moved.step_mm if moved else 0.0),
        "angle_deg": None if transverse is None else (moved.kyphosis_deg if moved else 0.0),
    }


def _stated(measured: Measurements, stated: Classification) -> Row:
    wall = measured.wall
    return {
        "side": sorted(f.side.value for f in measured.fractures if f.side is not Side.MIDLINE),
        "morphology": stated.morphology.value.value,
        "denis_right": stated.denis.right,
        "denis_left": stated.denis.left,
        "denis_subtype": stated.denis.subtype,
        "bakker_right": _name(stated.bakker.right),
        "bakker_left": _name(stated.bakker.left),
        "bakker_corpus": _name(stated.bakker.corpus),
        "ffp": _name(stated.ffp.value),
        "step_level": None if wall is None else round(wall.level, 2),
        "step_mm": None if wall is None else round(wall.step_mm, 2),
        "angle_deg": None if wall is None else round(wall.angle_deg, 2),
    }


def _name(kind: BakkerType | FfpType | None) -> str | None:
    return None if kind is None else kind.value


def _drawn(params: CaseParams) -> Row:
    broken, moved = params.fracture, params.displacement
    return {
        "limbs": [
            f"{limb.side.value} {limb.course.name} lateral {limb.lateral:.2f} levels"
            f" {limb.upper:.2f}-{limb.lower:.2f} depth {limb.dorsal:.2f}"
            f"{' occult' if limb.occult else ''}"
            for limb in broken.limbs
        ],
        "fragments": len(broken.fragments),
        "moved": None
        if moved is None
        else f"{moved.part.value} {moved.step_mm:.1f} mm {moved.kyphosis_deg:.1f} deg",
    }


def _table(rows: list[Row]) -> Iterator[str]:
    yield "| | agree | of | share | 95 % interval |"
    yield "|---|---|---|---|---|"
    for name in CLASSES:
        pairs = [(row["truth"][name], row["stated"][name]) for row in rows]
        if name in ("step_level", "denis_subtype", "bakker_corpus"):
            pairs = [pair for pair in pairs if pair != (None, None)]
        hits = sum(agrees(name, *pair) for pair in pairs)
        low, high = wilson(hits, len(pairs))
        share = hits / len(pairs) if pairs else float("nan")
        yield f"| {name} | {hits} | {len(pairs)} | {share:.3f} | {low:.3f}–{high:.3f} |"
    for name in ERRORS:
        yield _error_line(name, rows)


def _error_line(name: str, rows: list[Row]) -> str:
    errors = [
        abs(row["stated"][name] - row["truth"][name])
        for row in rows
        if row["truth"][name] is not None and row["stated"][name] is not None
    ]
    if not errors:
        return f"| {name} | not measured | 0 | | |"
    half, most = np.percentile(errors, (50, 95))
    return f"| {name}, error | median {half:.2f} | {len(errors)} | 95th percentile {most:.2f} | |"


def _differences(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        wrong = {
            name: f"{row['truth'][name]} -> {row['stated'][name]}"
            for name in CLASSES
            if not agrees(name, row["truth"][name], row["stated"][name])
        }
        if wrong:
            yield json.dumps({"seed": row["seed"], "stage": row["stage"], **wrong, **row["drawn"]})


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
