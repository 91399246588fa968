"""Content items of the measurement report: numbers of one finding, and classes of the study."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from highdicom.sr import (
    CodeContentItem,
    CodedConcept,
    ContainerContentItem,
    ContentSequence,
    FindingSite,
    Measurement,
    RelationshipTypeValues,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom import Dataset
from pydicom.sr.coding import Code

from sifdetect.access_words import access_said
from sifdetect.anatomy import DenisZone
from sifdetect.dicom import codes, reasons, sentences, words
from sifdetect.dicom.codes import private
from sifdetect.dicom.progress import progress
from sifdetect.dicom.provenance import STATEMENT, written
from sifdetect.dicom.seg import tracking_uid
from sifdetect.findings import Fracture, Presence, StudyFindings

Item = CodeContentItem | TextContentItem

_ZERO = 0.001
"""A zero, to the tenth that values are rounded to; a viewer prints nothing for a 0 itself."""


def group_of(number: int, findings: StudyFindings, label: str = "") -> dict[str, Any]:
    """What a group of either kind says of finding ``number`` (from 1): which, what, where, numbers.

    Args:
        label: as in ``group_measurements``.
    """
    fracture = findings.fractures[number - 1]
    site = Code(*codes.SACRUM[:2], words.site(fracture, findings))
    return {
        "tracking_identifier": TrackingIdentifier(
            uid=tracking_uid(findings, number),
            identifier=words.tracking_identifier(number, fracture, findings),
        ),
        "finding_type": codes.INSUFFICIENCY_FRACTURE,
        "finding_sites": [
            FindingSite(
                anatomic_location=CodedConcept.from_code(site),
                laterality=codes.LATERALITY[fracture.side],
            )
        ],
        "measurements": group_measurements(fracture, label),
    }


def group_measurements(fracture: Fracture, label: str = "") -> list[Measurement]:
    """The numbers of one finding as NUM items, in the order of ``measured``.

    A viewer that prints five lines at a contour prints the first five: the meaning of the first
    number's code then says which finding it is and where. See
    docs/decisions/0015-what-a-viewer-prints-at-a-contour.md.

    Args:
        label: number, side and zone of the finding, at most 64 characters; empty in a report that
            is not for viewers.
    """
    meanings = {codes.CERTAINTY: label, codes.LENGTH: "Length of finding"} if label else {}
    items = []
    for name, value, unit in measured(fracture):
        said = Code(*name[:2], meanings[name]) if name in meanings else name
        number = round(value, 1) or (_ZERO if label else 0.0)
        items.append(Measurement(name=said, value=number, unit=unit))
    return items


def measured(fracture: Fracture) -> list[tuple[Code, float, Code]]:
    """The numbers of one finding with UCUM units, what tells most first; what was not measured is
    left out.
    """
    foramina = [
        (private(f"FORAMEN-{level.name}"), distance, codes.MILLIMETRE)
        for level, distance in sorted(
            fracture.foramen_distance_mm.items(), key=lambda pair: (pair[1], pair[0])
        )
    ]
    rows: list[tuple[Code, float | None, Code]] = [
        (codes.CERTAINTY, 100 * fracture.confidence, codes.PERCENT),
        (codes.VOLUME, fracture.volume_mm3, codes.CUBIC_MILLIMETRE),
        (codes.LENGTH, fracture.length_mm, codes.MILLIMETRE),
        *foramina[:1],
        (private("CANAL-DISTANCE"), fracture.canal_distance_mm, codes.MILLIMETRE),
        *foramina[1:],
        (private("STEP"), fracture.step_mm, codes.MILLIMETRE),
        (codes.ANGLE, fracture.angle_deg, codes.DEGREE),
        (private("EDEMA-VOLUME"), fracture.edema_mm3, codes.CUBIC_MILLIMETRE),
        (private("SCLEROSIS-VOLUME"), fracture.sclerosis_mm3, codes.CUBIC_MILLIMETRE),
    ]
    return [(name, float(value), unit) for name, value, unit in rows if value is not None]


def study_evaluations(findings: StudyFindings, header: Dataset) -> ContainerContentItem:
    """The root container "Qualitative Evaluations": what is said of the whole study.

    Presence and classes are coded; each class is followed by the rule that fired, and the text
    says what was seen, what was not, and for what the report may be used.
    Source: PS3.16 TID 1500, rows 12 to 14.
    """
    container = ContainerContentItem(
        name=codes.QUALITATIVE_EVALUATIONS,
        relationship_type=RelationshipTypeValues.CONTAINS,
    )
    container.ContentSequence = ContentSequence()
    for item in (*_coded(findings), *_texts(findings, header)):
        container.ContentSequence.append(item)
    return container


def _coded(findings: StudyFindings) -> Iterator[CodeContentItem]:
    yield _code(private("SIF-LIKE"), codes.PRESENCE[findings.presence])
    denis = findings.denis
    stated = (("DENIS", denis.zone), ("DENIS-RIGHT", denis.right), ("DENIS-LEFT", denis.left))
    for name, zone in stated:
        if zone is not None:
            value = codes.DENIS_ZONE[DenisZone(zone)] if zone else codes.PRESENCE[Presence.ABSENT]
            yield _code(private(name), value)
    if denis.subtype is not None:
        yield _code(private("DENIS-SUBTYPE"), codes.DENIS_SUBTYPE[denis.subtype])
    yield _code(private("MORPHOLOGY"), codes.MORPHOLOGY[findings.morphology.value])
    bakker = findings.bakker
    parts = (("RIGHT", bakker.right), ("LEFT", bakker.left), ("CORPUS", bakker.corpus))
    for name, kind in parts:
        if kind is not None:
            yield _code(private(f"BAKKER-{name}"), codes.BAKKER[kind])
    if findings.ffp.value is not None:
        name = "FFP-AT-LEAST" if findings.ffp.at_least else "FFP"
        yield _code(private(name), codes.FFP[findings.ffp.value])
    if sentences.is_partial(findings):
        yield _code(private("COVERAGE"), codes.COVERAGE_INCOMPLETE)


def _texts(findings: StudyFindings, header: Dataset) -> Iterator[TextContentItem]:
    rows: list[tuple[Code, str]] = [(codes.IMPRESSION, sentences.headline(findings))]
    rows += [(codes.COMMENT, text) for text in progress(findings.comparison)]
    rows += [(private("RULE"), reasons.reason(*row)) for row in reasons.classes(findings)]
    rows += [(private("COVERAGE"), text) for text in sentences.coverage(findings)]
    rows += [(codes.RECOMMENDATION, text) for text in sentences.recommendations(findings)]
    rows += [(codes.COMMENT, text) for text in sentences.notes(findings)]
    rows += [(codes.COMMENT, text) for text in access_said(findings)]
    rows += [(codes.PROCEDURE_DESCRIPTION, sentences.series_line(s)) for s in findings.sources]
    rows += [(private("STATEMENT"), STATEMENT)]
    for name, text in rows:
        yield TextContentItem(
            name=name,
            value=written(text, header),
            relationship_type=RelationshipTypeValues.CONTAINS,
        )


def _code(name: Code, value: Code) -> CodeContentItem:
    return CodeContentItem(
        name=name, value=value, relationship_type=RelationshipTypeValues.CONTAINS
    )
