"""The geometry of a sacroplasty in plain English, one sentence a line."""

from __future__ import annotations

from collections.abc import Iterator

from sifdetect.anatomy import Side
from sifdetect.findings import StudyFindings
from sifdetect.sacroplasty import AlaAccess, Cement, Trajectory

_NOT_SEEN = "not in view"


def access_said(findings: StudyFindings) -> tuple[str, ...]:
    """Access to each fractured ala, and cement; nothing where it was not asked for."""
    stated = findings.access
    if stated is None:
        return ()
    lines = [f"Sacroplasty: {_lowered(stated.statement)}"]
    for ala in stated.alae:
        lines.append(_ala(ala, stated.total_limit_ml))
        lines += [_trajectory(ala.side, one) for one in ala.trajectories]
        if ala.against:
            lines.append(f"Against, {ala.side.value} ala: {'; '.join(ala.against)}.")
    if not stated.alae:
        lines.append("No fractured ala: no line of access was measured.")
    if stated.cement is not None:
        lines.append(_cement(stated.cement))
    return tuple(lines)


def _ala(ala: AlaAccess, total_ml: float) -> str:
    least, most = ala.cement_range_ml
    bone = f"{ala.ala_mm3 / 1000:.0f} ml of bone lateral to the foramina"
    return (
        f"{ala.side.value.capitalize()} ala ({ala.fracture_id}): {bone}; in the literature"
        f" {least:.0f}-{most:.0f} ml of cement an ala, at most {total_ml:.0f} ml in all."
    )


def _trajectory(side: Side, one: Trajectory) -> str:
    gaps = [
        f"{level.name} foramen {gap:.1f} mm"
        for level, gap in sorted(one.foramen_distance_mm.items(), key=lambda pair: pair[1])[:2]
    ]
    for name, gap in (
        ("canal", one.canal_distance_mm),
        ("anterior cortex", one.anterior_cortex_distance_mm),
        ("joint", one.joint_distance_mm),
    ):
        gaps.append(f"{name} {_NOT_SEEN if gap is None else f'{gap:.1f} mm'}")
    entry, target, way = (
        ", ".join(f"{value:.{digits}f}" for value in point)
        for point, digits in (
            (one.entry_lps_mm, 0),
            (one.target_lps_mm, 0),
            (one.direction_lps, 2),
        )
    )
    return (
        f"{one.approach.value.capitalize()}, {side.value}: entry ({entry}), tip ({target}) mm LPS,"
        f" direction ({way}), {one.length_mm:.0f} mm in bone; {', '.join(gaps)};"
        f" {100 * one.fracture_share:.0f} % of the fracture within 5 mm of the line."
    )


def _cement(cement: Cement) -> str:
    parts = list(_places(cement))
    return f"Cement on CT: {', '.join(parts)}."


def _places(cement: Cement) -> Iterator[str]:
    for one in cement.sides:
        yield f"{one.side.value} ala {one.bone_mm3 / 1000:.1f} ml"
        for level, volume in one.foramen_mm3.items():
            yield f"{one.side.value} {level.name} foramen {volume / 1000:.2f} ml"
    if cement.body_mm3:
        yield f"bodies {cement.body_mm3 / 1000:.1f} ml"
    yield f"canal {cement.canal_mm3 / 1000:.2f} ml"
    yield f"outside the cortex {cement.outside_mm3 / 1000:.2f} ml"


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
