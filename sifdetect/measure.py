"""Segmentation to measurements: fractures of each ala and of the midline, in patient mm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import LesionBit, Modality, SacralLevel, Side
from sifdetect.comminution import comminution_mm3
from sifdetect.components import Points, Sacrum, describe, length_mm
from sifdetect.findings import Basis, Fracture
from sifdetect.gaps import gap_mm
from sifdetect.limbs import Lines, as_transverse, large, own_edema
from sifdetect.marrow import Marrow, marrow_of, shown_by, told_apart
from sifdetect.measurements import (
    SIDES,
    Measurements,
    SideMeasurements,
    TransverseLimb,
    main_limb,
)
from sifdetect.mimics import find, follows_joint
from sifdetect.patient_order import as_it_was, in_patient_order
from sifdetect.ring import ring_of
from sifdetect.score import MIN_EDEMA_MM3, likelihood, score
from sifdetect.sides import foramen_gaps, measure_side
from sifdetect.volume import LabelMap, Segmentation
from sifdetect.voxels import together
from sifdetect.wall import boundary_breaks, wall_break, with_break

__all__ = ["Measurements", "measure"]

MIN_SCLEROSIS_MM3 = 1000.0
"""As for edema; a bone island of 12 mm has 900 mm³."""

MIN_SCLEROSIS_MM = 20.0
"""A band along a healing line is longer than any common bone island."""

MIN_LEVEL_SHARE = 0.05
"""A level counts where at least this share of the finding lies in it."""

MIDLINE_MM = 3.0
"""A finding crosses the midline where it reaches this far, two voxels, on both sides of it."""


def measure(
    segmentation: Segmentation, *, fluid_sensitive: bool, modality: Modality
) -> Measurements:
    """Fracture-like findings of one scan and their measurements.

    One finding for each ala: all of its lines together, or, where none is seen, at least
    MIN_EDEMA_MM3 of connected edema (MR with fat suppression) or a band of sclerosis (CT). One for
    the midline: lines that run across the bodies. Volume and centroid are those of what is
    outlined: the line with the edema around it, where MR shows both, else the one that is seen.
    Length and levels are those of the line, else of the edema or sclerosis; length is the largest
    extent along the principal axis.
    Distances run from the line to the wall of foramen and canal and are 0 where voxels touch.

    Args:
        segmentation: labels and probabilities on one grid.
        fluid_sensitive: True where a fat-suppressed MR series was among the images.
        modality: of the scan.
    """
    stored, segmentation = segmentation, in_patient_order(segmentation)
    sacrum = describe(segmentation)
    mimics = find(sacrum)
    marrow = marrow_of(sacrum, mimics, shown_by(fluid_sensitive, modality))
    lines, marrow, uncertain = told_apart(sacrum, marrow)
    found = list(_found(sacrum, lines, marrow))
    components = np.zeros(segmentation.grid.shape, dtype=np.uint8)
    outlined = [_outlined(sacrum, one, points, marrow) for one, points in found]
    # A line is its own finding's, also where the edema of another reaches it.
    for parts in (outlined, [points.index for _, points in found]):
        for number, index in enumerate(parts, start=1):
            components[tuple(index.T)] = number
    of = {fracture.side: points for fracture, points in found}
    limb, across = main_limb(lines.transverse), lines.of[Side.MIDLINE]
    wall = None if limb is None else wall_break(sacrum, limb.level)
    transverse = _transverse(lines, marrow, of.get(Side.MIDLINE))
    placed = tuple(
        _placed(sacrum, fracture, number, index)
        for number, ((fracture, _), index) in enumerate(zip(found, outlined, strict=True), 1)
    )
    return Measurements(
        fractures=with_break(placed, wall),
        components=as_it_was(LabelMap(components, segmentation.grid), stored),
        sides={side: _half(sacrum, side, lines, marrow, found) for side in SIDES},
        transverse=transverse,
        wall=wall,
        boundaries=boundary_breaks(sacrum),
        comminution_mm3=0.0 if limb is None else comminution_mm3(sacrum, across, limb),
        ring=ring_of(segmentation.anatomy, segmentation.lesions, segmentation.frame),
        midline_line=lines.midline_line and not transverse,
        other_findings=(*uncertain, *mimics.findings, *marrow.set_aside),
        score=score(sacrum, mimics, shown=marrow.edema, aside=marrow.aside, modality=modality),
        modality=modality,
        fluid_sensitive=fluid_sensitive,
    )


def _found(sacrum: Sacrum, lines: Lines, marrow: Marrow) -> Iterator[tuple[Fracture, Points]]:
    """Each finding with the voxels that it is measured on: right, left, midline."""
    alae = 0
    for side in SIDES:
        edema = marrow.edema[side] if marrow.edema is not None else None
        dense = marrow.sclerosis[side] if marrow.sclerosis is not None else None
        own = (
            edema
            if edema is None
            else own_edema(sacrum, edema, lines, side, least_mm3=MIN_EDEMA_MM3)
        )
        named = _named(sacrum, side, line=lines.of[side], edema=own, dense=dense)
        if named is not None:
            alae += 1
            basis, points = named
            fracture = _fracture(sacrum, side, basis=basis, points=points, edema=edema, dense=dense)
            yield fracture, points
    across, strut = lines.of[Side.MIDLINE], marrow.strut
    if len(across):
        basis = Basis.LINE if strut is None else Basis.LINE_AND_EDEMA
        yield _fracture(sacrum, Side.MIDLINE, basis=basis, points=across, edema=strut), across
        return
    strut = marrow.faint if strut is None and alae == len(SIDES) else strut
    if alae and strut is not None:
        basis = Basis.EDEMA
        yield _fracture(sacrum, Side.MIDLINE, basis=basis, points=strut, edema=strut), strut


def _outlined(
    sacrum: Sacrum, fracture: Fracture, points: Points, marrow: Marrow
) -> NDArray[np.int64]:
    """(n, 3) voxels of a finding as it is shown: a line that lies in edema with that edema."""
    if fracture.basis is not Basis.LINE_AND_EDEMA or marrow.edema is None:
        return points.index
    middle = fracture.side is Side.MIDLINE
    around = marrow.strut if middle else marrow.edema[fracture.side]
    swollen = None if around is None else large(sacrum, around, MIN_EDEMA_MM3)
    parts = [points.index] if swollen is None else [points.index, swollen.index]
    return together(parts)


def _placed(sacrum: Sacrum, fracture: Fracture, number: int, index: NDArray[np.int64]) -> Fracture:
    """The finding with its number, and volume and centroid of what is outlined."""
    return replace(
        fracture,
        id=f"F{number}",
        volume_mm3=float(len(index) * sacrum.segmentation.grid.voxel_volume_mm3),
        centroid_lps_mm=sacrum.centroid_lps_mm(index),
    )


def _named(
    sacrum: Sacrum, side: Side, *, line: Points, edema: Points | None, dense: Points | None
) -> tuple[Basis, Points] | None:
    """What a finding in one ala rests on, and its voxels; None where there is no finding."""
    swollen = None if edema is None else large(sacrum, edema, MIN_EDEMA_MM3)
    if len(line):
        return (Basis.LINE if swollen is None else Basis.LINE_AND_EDEMA), line
    if swollen is not None:
        return Basis.EDEMA, swollen
    band = None if dense is None else large(sacrum, dense, MIN_SCLEROSIS_MM3)
    if band is None or follows_joint(sacrum, band, side):
        return None
    long = length_mm(band.frame_mm, sacrum.voxel_mm) >= MIN_SCLEROSIS_MM
    return (Basis.SCLEROSIS, band) if long else None


def _fracture(
    sacrum: Sacrum,
    side: Side,
    *,
    basis: Basis,
    points: Points,
    edema: Points | None = None,
    dense: Points | None = None,
) -> Fracture:
    has_line = basis in (Basis.LINE, Basis.LINE_AND_EDEMA)
    bone_mm = points.frame_mm if has_line else np.zeros((0, 3))
    reach = np.percentile(points.offset_mm, (2, 98))
    return Fracture(
        id="",
        side=side,
        levels=_levels(points),
        basis=basis,
        volume_mm3=sacrum.volume_mm3(points),
        length_mm=length_mm(points.frame_mm, sacrum.voxel_mm),
        centroid_lps_mm=sacrum.centroid_lps_mm(points.index),
        foramen_distance_mm=foramen_gaps(sacrum, bone_mm, side),
        canal_distance_mm=gap_mm(bone_mm, sacrum.canal_mm, sacrum.voxel_mm),
        crosses_midline=bool(reach[0] <= -MIDLINE_MM and reach[1] >= MIDLINE_MM),
        edema_mm3=None if edema is None else sacrum.volume_mm3(edema),
        sclerosis_mm3=None if dense is None else sacrum.volume_mm3(dense),
        confidence=_confidence(sacrum, basis, points),
    )


def _levels(points: Points) -> tuple[SacralLevel, ...]:
    segment = np.clip(np.floor(points.level) + 1, 1, 5).astype(int)
    share = np.bincount(segment, minlength=6) / len(segment)
    return tuple(level for level in SacralLevel if share[level] >= MIN_LEVEL_SHARE)


def _confidence(sacrum: Sacrum, basis: Basis, points: Points) -> float:
    """How likely what a finding rests on is, where it is seen best."""
    bit = {Basis.EDEMA: LesionBit.EDEMA, Basis.SCLEROSIS: LesionBit.SCLEROSIS}
    return likelihood(sacrum, bit.get(basis, LesionBit.FRACTURE_LINE), points)


def _half(
    sacrum: Sacrum,
    side: Side,
    lines: Lines,
    marrow: Marrow,
    found: list[tuple[Fracture, Points]],
) -> SideMeasurements:
    own = {fracture.side: (points, fracture.basis) for fracture, points in found}
    points, basis = own.get(side, (None, None))
    half = measure_side(
        sacrum,
        side,
        points=points,
        basis=basis,
        transverse=lines.transverse,
        other_whole=own.get(side.opposite, (None, None))[1] is not Basis.EDEMA,
    )
    return replace(
        half,
        edema_mm3=_volume_mm3(sacrum, marrow.edema, side),
        sclerosis_mm3=_volume_mm3(sacrum, marrow.sclerosis, side),
    )


def _volume_mm3(sacrum: Sacrum, marrow: dict[Side, Points] | None, side: Side) -> float | None:
    return None if marrow is None else sacrum.volume_mm3(marrow[side])


def _transverse(lines: Lines, marrow: Marrow, midline: Points | None) -> tuple[TransverseLimb, ...]:
    """The limbs that the lines make, else that of edema across the bodies.

    Of a line in it only a part may be seen: one that is wider than it is tall is the edema's.
    """
    if lines.transverse or midline is None:
        return lines.transverse
    line, edema = lines.of[Side.MIDLINE], marrow.strut
    if len(line) == 0:
        return (as_transverse(midline, Basis.EDEMA),)
    if edema is None or np.ptp(line.frame_mm[:, 0]) <= np.ptp(line.frame_mm[:, 2]):
        return ()
    within = edema.level.min() <= np.median(line.level) <= edema.level.max()
    return (as_transverse(edema, Basis.EDEMA),) if within else ()
