"""One synthetic case as labels without images: what the rules say of it, beside its truth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sifdetect.anatomy import SACRUM_LABELS, LesionBit, Modality, MrWeighting, SacralLevel, Side
from sifdetect.bundle import region_spec
from sifdetect.classify import Classification, Context, classify
from sifdetect.findings import BakkerType, FfpType, Morphology
from sifdetect.measure import Measurements, measure
from sifdetect.measurements import Ring
from sifdetect.ring import ring_of
from sifdetect.synth.anterior_ring import AnteriorRing
from sifdetect.synth.fracture import Stage
from sifdetect.synth.lesions import LesionField
from sifdetect.synth.scene import VISIBLE, CaseParams, broken_at, points_of, sample_case
from sifdetect.synth.shape import FEMUR, BoneField
from sifdetect.synth.truth import classes_of, subtype
from sifdetect.volume import Grid, LabelMap, SacralFrame, Segmentation

Row = dict[str, Any]

SPACING_MM = 1.5
RING_SPACING_MM = 2.5
COARSE_MM, MARGIN_MM = 6.0, 9.0
"""Spacing at which the sacrum is looked for, and what is rendered around it: its joints too."""
RING_BOX_MM = ((-92.0, -70.0, -72.0), (92.0, 44.0, 52.0))
"""Both rami around the centre of the symphysis: left, ventral, cranial."""


def compare_case(seed: int, morphology: Morphology | None = None) -> Row:
    """Truth and statement of one case without mimics, and what drew it.

    A case is read as MR; a healed fracture, which shows on CT alone, as CT. The labels are rendered
    at 1.5 mm in the region's box, and at 2 mm around the symphysis for the pubic rami.

    Args:
        morphology: of the fracture; drawn from the seed where it is None.
    """
    params = sample_case(seed, morphology=morphology, mimics=0.0)
    measured, stated, drawn = read_case(params)
    return {
        "seed": seed,
        "stage": params.fracture.stage.value if params.fracture.sheets else "none",
        "truth": _truth(replace(params, ring=drawn)),
        "stated": _stated(measured, stated),
        "drawn": _drawn(params),
        "evidence": {**stated.morphology.evidence, **stated.bakker.evidence, **stated.ffp.evidence},
    }


def read_case(params: CaseParams) -> tuple[Measurements, Classification, AnteriorRing]:
    """What the rules measure and state of a case's own labels, and the rami that are broken."""
    healed = bool(params.fracture.sheets) and params.fracture.stage is Stage.HEALED
    modality = Modality.CT if healed else Modality.MR
    measured = measure(segmentation_of(params), fluid_sensitive=not healed, modality=modality)
    seen, drawn = _ring(params)
    measured = replace(measured, ring=seen)
    weightings = () if healed else (MrWeighting.STIR, MrWeighting.T1)
    whole = dict.fromkeys(SacralLevel, 1.0)
    return measured, classify(measured, Context(coverage=whole, weightings=weightings)), drawn


def segmentation_of(params: CaseParams, spacing_mm: float = SPACING_MM) -> Segmentation:
    """A case as a perfect network would see it: its own labels, probability 0 or 1.

    Of the region's box as much as the sacrum takes, which is a third of it.
    """
    grid = _around_sacrum(params, spacing_mm)
    anatomy, lesions, (bones, _) = _labels(params, grid, spacing_mm)
    bits = lesions.values
    return Segmentation(
        anatomy=anatomy,
        lesions=lesions,
        probability=np.stack([((bits & bit.value) > 0).astype(np.float32) for bit in LesionBit]),
        level=np.clip(bones.level, 0, 5).astype(np.float32),
        frame=params.frame,
        in_view=np.ones(grid.shape, dtype=np.bool_),
    )


def _around_sacrum(params: CaseParams, spacing_mm: float) -> Grid:
    spec = region_spec(Modality.MR)
    assert spec.low_mm is not None
    assert spec.high_mm is not None
    coarse = params.frame.grid(spec.low_mm, spec.high_mm, COARSE_MM)
    bones, _ = broken_at(params, points_of(params, coarse), COARSE_MM)
    sacral = np.argwhere(np.isin(bones.labels, SACRUM_LABELS))
    at = params.frame.to_frame_mm(coarse.index_to_mm(sacral))
    whole = params.frame.grid(spec.low_mm, spec.high_mm, spacing_mm)
    low = np.floor((at.min(axis=0) - MARGIN_MM - spec.low_mm) / spacing_mm)
    high = np.ceil((at.max(axis=0) + MARGIN_MM - spec.low_mm) / spacing_mm)
    a, b, c = np.clip(low, 0, whole.shape).astype(int).tolist()
    i, j, k = np.clip(high, 0, whole.shape).astype(int).tolist()
    return whole.cropped((a, b, c), (i, j, k))


def _ring(params: CaseParams) -> tuple[Ring, AnteriorRing]:
    """The pubic rami, as a scan of the whole pelvis would show them, and those that are broken.

    A plane that was drawn beside its ramus breaks nothing and is left out.
    """
    y, z = params.shape.symphysis_mm
    center = params.pose.rotation @ np.array([0.0, -y, z]) + params.pose.shift_mm
    axes = np.array([[1.0, 0, 0], [0, -1.0, 0], [0, 0, 1.0]]) @ params.pose.rotation.T
    grid = SacralFrame(center, axes).grid(*RING_BOX_MM, RING_SPACING_MM)
    anatomy, lesions, (_, broken) = _labels(params, grid, RING_SPACING_MM)
    first = len(params.fracture.sheets) + 1
    numbers = set(np.unique(broken.limb[broken.line]).tolist())
    drawn = params.ring.fractures
    hit = tuple(one for number, one in enumerate(drawn, start=first) if number in numbers)
    return ring_of(anatomy, lesions, params.frame), replace(params.ring, fractures=hit)


def _labels(
    params: CaseParams, grid: Grid, spacing_mm: float
) -> tuple[LabelMap, LabelMap, tuple[BoneField, LesionField]]:
    bones, broken = broken_at(params, points_of(params, grid), spacing_mm)
    anatomy = np.where(bones.labels < FEMUR, bones.labels, 0).astype(np.uint8)
    bits = np.zeros(grid.shape, dtype=np.uint8)
    bits[broken.edema > VISIBLE] |= np.uint8(LesionBit.EDEMA)
    bits[broken.line] |= np.uint8(LesionBit.FRACTURE_LINE)
    bits[broken.sclerosis > VISIBLE] |= np.uint8(LesionBit.SCLEROSIS)
    return LabelMap(anatomy, grid), LabelMap(bits, grid), (bones, broken)


def _truth(params: CaseParams) -> Row:
    truth, broken = classes_of(params), params.fracture
    moved = params.displacement if broken.transverse is not None else None
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
        "ffp": _name(truth.ffp.value),
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
