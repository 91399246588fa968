"""Sacroplasty as geometry: lines of access to each fractured ala, what speaks against, and cement.

Nothing here advises a treatment: it measures what a physician wants to know who thinks of one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sifdetect.anatomy import LesionBit, Modality, SacralLevel, Side
from sifdetect.approach import trajectories
from sifdetect.cement import cement_of
from sifdetect.components import HALF, Points, Sacrum, describe, lesion
from sifdetect.denis import BENT_DEG, TRANSLATED_MM
from sifdetect.ffp import DISPLACED_MM
from sifdetect.findings import Basis, Fracture
from sifdetect.limbs import sort_lines
from sifdetect.measurements import SIDES
from sifdetect.patient_order import in_patient_order
from sifdetect.rules import LINES
from sifdetect.sacroplasty import AlaAccess, Approach, Sacroplasty, Trajectory
from sifdetect.shift import limb_shift_mm
from sifdetect.study import Analysis
from sifdetect.trajectory import CLEAR_MM, Ala
from sifdetect.volume import Segmentation

CEMENT_ML = (3.0, 8.0)
"""Cement of one ala: 3–8 ml in fluoroscopy-guided series, 4.1 ml on average in 243 patients
(Kortman 2013, JNIS 5:461); 3–9 ml a side were tested on cadavers without a gain in strength
(Richards 2009, AJNR 30:315)."""

CEMENT_TOTAL_ML = 12.0
"""Most cement for a whole sacrum in the same series."""

_BIT = {Basis.EDEMA: LesionBit.EDEMA, Basis.SCLEROSIS: LesionBit.SCLEROSIS}
_REACHES_MM = 0.0


def with_access(analysis: Analysis) -> Analysis:
    """The analysis with ``findings.access``: alae of the first region, cement of the first CT.

    The findings rest on the first region; cement is told from bone on CT alone.
    """
    if not analysis.regions:
        return analysis
    findings = analysis.findings
    on_ct = {s.series_instance_uid for s in findings.sources if s.modality is Modality.CT}
    ct = [region.segmentation for region in analysis.regions if on_ct & set(region.series)]
    stated = access(analysis.regions[0].segmentation, findings.fractures, ct=ct[0] if ct else None)
    return replace(analysis, findings=replace(findings, access=stated))


def access(
    segmentation: Segmentation, fractures: Sequence[Fracture], *, ct: Segmentation | None = None
) -> Sacroplasty:
    """Geometry for sacroplasty.

    Args:
        segmentation: that the fractures were measured on.
        fractures: of the study; those of the midline have no ala.
        ct: where cement is looked for; None where there is no CT.
    """
    sacrum = describe(in_patient_order(segmentation))
    lines = sort_lines(sacrum).of
    alae = []
    for side in SIDES:
        for fracture in fractures:
            if fracture.side is side:
                points = _voxels(sacrum, fracture, lines[side])
                alae.append(_ala(sacrum, fracture, points, tuple(fractures)))
    cement = None
    if ct is not None:
        cement = cement_of(sacrum if ct is segmentation else describe(in_patient_order(ct)))
    return Sacroplasty(alae=tuple(alae), cement=cement, total_limit_ml=CEMENT_TOTAL_ML)


def _voxels(sacrum: Sacrum, fracture: Fracture, line: Points) -> Points:
    """The line of a fracture, or where it has none its edema or sclerosis."""
    if fracture.basis in LINES and len(line):
        return line
    bit = _BIT.get(fracture.basis, LesionBit.FRACTURE_LINE)
    points = sacrum.points(lesion(sacrum.segmentation, bit) & sacrum.mask)
    return points.of(*HALF[fracture.side])


def _ala(
    sacrum: Sacrum, fracture: Fracture, points: Points, fractures: tuple[Fracture, ...]
) -> AlaAccess:
    ala = Ala(sacrum, fracture.side, points.frame_mm)
    named = trajectories(ala) if len(points) else ()
    bone = ala.half.of(*HALF[fracture.side][:1])
    against = (*_displacement(sacrum, fracture, points, fractures), *_reached(fracture))
    return AlaAccess(
        side=fracture.side,
        fracture_id=fracture.id,
        ala_mm3=sacrum.volume_mm3(bone.only(bone.level <= SacralLevel.S3)),
        cement_range_ml=CEMENT_ML,
        trajectories=named,
        against=(*against, *_unclear(named)),
    )


def _displacement(
    sacrum: Sacrum, fracture: Fracture, points: Points, fractures: tuple[Fracture, ...]
) -> Iterator[str]:
    """Displacement excludes a sacroplasty in the series that the volumes come from."""
    shift = limb_shift_mm(sacrum, points, fracture.side) if fracture.basis in LINES else None
    if shift is not None and abs(shift) >= DISPLACED_MM:
        yield f"the {fracture.side.value} side is displaced by {abs(shift):.1f} mm"
    for one in fractures:
        if one.side is Side.MIDLINE and (one.step_mm or 0.0) >= TRANSLATED_MM:
            yield f"the posterior wall has a step of {one.step_mm:.1f} mm"
        if one.side is Side.MIDLINE and (one.angle_deg or 0.0) >= BENT_DEG:
            yield f"the posterior wall is bent by {one.angle_deg:.0f} degrees"


def _reached(fracture: Fracture) -> Iterator[str]:
    """A line into a foramen or the canal lets cement through."""
    open_to = [lv.name for lv, gap in fracture.foramen_distance_mm.items() if gap <= _REACHES_MM]
    if open_to:
        yield f"the fracture line touches the {', '.join(open_to)} foramen"
    if fracture.canal_distance_mm is not None and fracture.canal_distance_mm <= _REACHES_MM:
        yield "the fracture line touches the sacral canal"


def _unclear(named: tuple[Trajectory, ...]) -> Iterator[str]:
    for one in named:
        name = one.approach.value
        reached = [lv.name for lv, gap in one.foramen_distance_mm.items() if gap <= _REACHES_MM]
        if reached:
            yield f"{name}: the line runs through the {', '.join(reached)} foramen"
        if one.canal_distance_mm is not None and one.canal_distance_mm <= _REACHES_MM:
            yield f"{name}: the line runs through the sacral canal"
        if not one.clear:
            yield (
                f"{name}: no line keeps {CLEAR_MM:.1f} mm from foramina, canal, joint and ventral"
                " cortex"
            )
    missing = [a.value for a in Approach if a not in {one.approach for one in named}]
    for name in missing:
        yield f"{name}: no straight line through the bone was found"
