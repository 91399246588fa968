"""Names of findings and numbers as text, the same in every result object."""

from __future__ import annotations

from collections.abc import Sequence

from sifdetect.anatomy import DenisZone, MrWeighting, SacralLevel, Side
from sifdetect.findings import Fracture, Morphology, StudyFindings

_PLACE = {
    DenisZone.ALAR: "ala",
    DenisZone.FORAMINAL: "foraminal zone",
    DenisZone.CENTRAL: "side",  # a lateral limb of a fracture that reaches the midline
}

BASIS = {  # by its word in the findings
    "line": "fracture line",
    "edema": "marrow edema without a visible line",
    "line+edema": "fracture line in marrow edema",
    "sclerosis": "band of sclerosis",
}
PATTERN = {
    Morphology.NONE: "no pattern",
    Morphology.UNILATERAL: "one ala",
    Morphology.BILATERAL: "both alae",
    Morphology.TRANSVERSE: "transverse only",
    Morphology.H: "H pattern",
    Morphology.U: "U pattern",
    Morphology.T: "T pattern",
    Morphology.LAMBDA: "lambda pattern",
    Morphology.INDETERMINATE: "indeterminate",
}
WEIGHTING = {
    MrWeighting.T2_FATSAT: "T2 fat-suppressed",
    MrWeighting.DIXON_WATER: "Dixon water",
    MrWeighting.OTHER: "other contrast",
}
"""Where its own word is no radiologist's."""


def zone_of(fracture: Fracture, findings: StudyFindings) -> DenisZone | None:
    """Denis zone of one fracture: the midline is zone 3, else the zone stated for its side."""
    if fracture.side is Side.MIDLINE or fracture.crosses_midline:
        return DenisZone.CENTRAL
    denis = findings.denis
    stated = denis.right if fracture.side is Side.RIGHT else denis.left
    return DenisZone(stated) if stated else None


def place(fracture: Fracture, findings: StudyFindings) -> str:
    """Where a fracture is, by the patient's sides: "right ala", "left foraminal zone" …"""
    if fracture.side is Side.MIDLINE:
        return "midline"
    zone = zone_of(fracture, findings)
    return f"{fracture.side.value} {_PLACE[zone] if zone else 'side'}"


def tracking_identifier(number: int, fracture: Fracture, findings: StudyFindings) -> str:
    """Name of finding ``number`` (from 1) that all result objects of a study share."""
    return f"SIF-{number} {place(fracture, findings)}"


def segment_label(fracture: Fracture, findings: StudyFindings) -> str:
    """What a viewer lists for a segment, as "SIF-like right ala, Denis 1 (93 %)"."""
    zone = zone_of(fracture, findings)
    denis = f", Denis {int(zone)}" if zone else ""
    return f"SIF-like {place(fracture, findings)}{denis} ({percent(fracture.confidence)})"


def site(fracture: Fracture, findings: StudyFindings) -> str:
    """The finding site with side and zone: the one text that some viewers print at a contour."""
    zone = zone_of(fracture, findings)
    denis = f", Denis zone {int(zone)}" if zone else ""
    return f"Sacrum, {place(fracture, findings)}{denis}"


def contour_label(number: int, fracture: Fracture, findings: StudyFindings) -> str:
    """Number, side and zone, as "SIF-1 right ala, Denis 1"; longer ones run into each other."""
    zone = zone_of(fracture, findings)
    denis = f", Denis {int(zone)}" if zone else ""
    return f"{tracking_identifier(number, fracture, findings)}{denis}"


def percent(share: float) -> str:
    """0–1 as a whole percentage; what is not quite everything never reads 100 %."""
    whole = round(100 * share)
    if whole == 100 and share < 0.995:
        whole = 99
    return f"{whole} %"


def probability(share: float) -> str:
    """A probability as a percentage that never claims to be certain."""
    if share > 0.99:
        return "over 99 %"
    return "under 1 %" if share < 0.01 else percent(share)


def level_range(levels: Sequence[SacralLevel]) -> str:
    """Levels as "S1", "S1-S3" or "S1, S3"."""
    numbers = sorted({int(level) for level in levels})
    if len(numbers) > 1 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"S{numbers[0]}-S{numbers[-1]}"
    return ", ".join(f"S{number}" for number in numbers)


def millilitres(volume_mm3: float) -> str:
    """A volume in ml, two digits below 1 ml and one above."""
    volume = volume_mm3 / 1000
    return f"{volume:.1f} ml" if volume >= 1 else f"{volume:.2f} ml"


def enumerated(parts: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def sentence(text: str) -> str:
    """``text`` with a capital first letter and a full stop."""
    clean = text.strip()
    if not clean:
        return ""
    return clean[0].upper() + clean[1:] + ("" if clean[-1] in ".!?" else ".")


def cells(fracture: Fracture, findings: StudyFindings) -> tuple[str, ...]:
    """A finding as a row of a table: place and zone, levels, what is seen, then bare numbers.

    The numbers are volume in ml, length, distance to the nearest foramen and to the canal and step
    in mm, angle in degrees, certainty; "-" where it was not measured.
    """
    foramen = "-"
    if fracture.foramen_distance_mm:
        level, distance = min(fracture.foramen_distance_mm.items(), key=lambda pair: pair[1])
        foramen = f"{_touching(distance)} ({level.name})"
    zone = zone_of(fracture, findings)
    denis = f", Denis {int(zone)}" if zone else ""
    name = place(fracture, findings)
    return (
        f"{name[0].upper()}{name[1:]}{denis}",
        level_range(fracture.levels) or "-",
        fracture.basis.value.replace("+", " + "),
        millilitres(fracture.volume_mm3).removesuffix(" ml"),
        f"{fracture.length_mm:.0f}",
        foramen,
        _touching(fracture.canal_distance_mm),
        "-" if fracture.step_mm is None else f"{fracture.step_mm:.1f}",
        "-" if fracture.angle_deg is None else f"{fracture.angle_deg:.0f}",
        probability(fracture.confidence),
    )


def _touching(distance_mm: float | None) -> str:
    if distance_mm is None:
        return "-"
    return "touches" if distance_mm <= 0 else f"{distance_mm:.1f}"
