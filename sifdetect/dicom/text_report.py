"""Text report (Enhanced SR, LOINC 18748-4): what is said where no contour can be drawn.

Absent, indeterminate, not assessable, failed: a measurement report without measurements blanks a
viewer, this one is shown as text. It is always preliminary and unverified.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from highdicom.sr import (
    CodeContentItem,
    ContainerContentItem,
    ContentSequence,
    EnhancedSR,
    RelationshipTypeValues,
    TextContentItem,
)
from pydicom import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import UID

from sifdetect import __version__
from sifdetect.access_words import access_said
from sifdetect.dicom import codes, reasons, sentences
from sifdetect.dicom.carried import carry
from sifdetect.dicom.collecting import without_collecting
from sifdetect.dicom.observer import language, observation_context, procedure_reported
from sifdetect.dicom.progress import progress
from sifdetect.dicom.provenance import STATEMENT, finish, header_of, moment_of, nameless, written
from sifdetect.dicom.read import DicomStudy
from sifdetect.dicom.uids import algorithm_parts, result_uid, source_parts
from sifdetect.errors import MissingAttribute
from sifdetect.findings import Algorithm, SourceSeries, StudyFindings
from sifdetect.measurements import UNCERTAIN

SERIES_NUMBER = 9800


@dataclass(frozen=True)
class Section:
    """One section of the report: its heading, the name of its paragraphs, and their text."""

    heading: Code
    paragraph: Code
    texts: tuple[str, ...]


@without_collecting()
def encode_text_report(
    findings: StudyFindings | None, study: DicomStudy, *, failure: str | None = None
) -> Dataset:
    """A report in plain English that needs no contour.

    Args:
        findings: what was found; None where the study could not be assessed.
        study: the source.
        failure: why it could not be assessed, one or more sentences.

    Raises:
        MissingAttribute: the study has no readable image at all, so that nobody can say whose
            report it would be.
        ValueError: there is neither an answer nor a failure to report.
    """
    if findings is None and failure is None:
        raise ValueError("a text report needs findings or the reason why there are none")
    datasets = _readable(study)
    header = header_of(datasets[0])
    algorithm = findings.algorithm if findings else Algorithm(name="sifdetect", version=__version__)
    sections = list(_sections(findings, study, failure=failure, algorithm=algorithm))
    key = findings.presence.value if findings else "not assessable"
    key += " access" if findings and findings.access else ""
    key += repr(findings.comparison) if findings and findings.comparison else ""
    parts = (*algorithm_parts(algorithm), *source_parts(datasets), key, failure or "")
    result = EnhancedSR(
        evidence=[nameless(header), *_key_images(study)],
        content=_root(sections, header, algorithm),
        series_instance_uid=result_uid("text report series", *parts),
        series_number=SERIES_NUMBER,
        sop_instance_uid=result_uid("text report", *parts),
        instance_number=1,
        is_complete=True,
        specific_character_set=None,
    )
    result.SeriesDescription = "SIF report, text (research)"
    finish(result, header, algorithm=algorithm, moment=moment_of(datasets))
    return carry(result, findings) if findings else result


def _readable(study: DicomStudy) -> list[Dataset]:
    """The images that say whose report it is; one that could not be read as an image will do."""
    datasets = [dataset for series in study.series for dataset in series.datasets]
    if not datasets and study.header is not None and _standard(study.header):
        datasets = [study.header]
    if not datasets:
        raise MissingAttribute(
            f"study {study.study_instance_uid} has no readable image to take the patient from",
            hint="Send the study again with at least one image series",
        )
    return datasets


def _standard(header: Dataset) -> bool:
    """True for an instance of a standard SOP class, of which the library knows the attributes."""
    return UID(str(header.get("SOPClassUID") or "")).keyword != ""


def _sections(
    findings: StudyFindings | None,
    study: DicomStudy,
    *,
    failure: str | None,
    algorithm: Algorithm,
) -> Iterator[Section]:
    impression = sentences.headline(findings) if findings else "The study could not be assessed."
    reasons = (failure,) if failure else ()
    yield Section(codes.IMPRESSIONS, codes.IMPRESSION, (impression, *reasons, STATEMENT))
    if findings:
        yield Section(codes.FINDINGS, codes.FINDING, tuple(_found(findings)))
        advice = tuple(sentences.recommendations(findings))
    else:
        advice = ("Nothing is known about a sacral fracture from this report: read the images.",)
    if advice:
        yield Section(codes.RECOMMENDATIONS, codes.RECOMMENDATION, advice)
    sources = findings.sources if findings else _sources(study)
    used = tuple(sentences.series_line(source) for source in sources)
    by = tuple(_algorithm_lines(algorithm))
    yield Section(codes.PROCEDURE_DESCRIPTIONS, codes.PROCEDURE_DESCRIPTION, (*used, *by))


def _found(findings: StudyFindings) -> Iterator[str]:
    yield from progress(findings.comparison)
    for number, fracture in enumerate(findings.fractures, start=1):
        yield sentences.described(number, fracture, findings)
    if any(one.kind == UNCERTAIN for one in findings.other_findings):
        yield "Nothing was certain enough to be called a fracture; what was seen is listed below."
    elif not findings.fractures:
        yield sentences.none_found(findings)
    for row in reasons.classes(findings):
        yield reasons.reason(*row)
    unseen = reasons.unseen(findings)
    if unseen and not findings.fractures:
        yield f"Not assessed: {'; '.join(unseen)}."
    yield from sentences.coverage(findings)
    yield from sentences.notes(findings)
    yield from access_said(findings)
    share = sentences.chance(findings)
    yield f"Probability of a sacral insufficiency fracture-like finding: {share}."


def _sources(study: DicomStudy) -> Sequence[SourceSeries]:
    return (*(series.source for series in study.series), *study.refused)


def _algorithm_lines(algorithm: Algorithm) -> Iterator[str]:
    yield f"Algorithm: {algorithm.name} {algorithm.version}."
    for name, checksum in sorted(algorithm.bundles.items()):
        yield f"Model {name}, SHA-256 of its weights {checksum}."


def _key_images(study: DicomStudy) -> list[Dataset]:
    """First, middle and last image of each series: a full list would outweigh the report."""
    images = []
    for series in study.series:
        count = len(series.datasets)
        images += [series.datasets[index] for index in sorted({0, count // 2, count - 1})]
    return images


def _root(sections: list[Section], header: Dataset, algorithm: Algorithm) -> ContainerContentItem:
    """Source: PS3.16 TID 2000 (Basic Diagnostic Imaging Report), TID 1001."""
    root = ContainerContentItem(name=codes.REPORT_TITLE, template_id="2000")
    root.ContentSequence = ContentSequence()
    root.ContentSequence.extend(language())
    root.ContentSequence.extend(observation_context(algorithm))
    for procedure in procedure_reported(header):
        root.ContentSequence.append(
            CodeContentItem(
                name=codes.PROCEDURE_REPORTED,
                value=procedure,
                relationship_type=RelationshipTypeValues.HAS_CONCEPT_MOD,
            )
        )
    for section in sections:
        root.ContentSequence.append(_container(section, header))
    return root


def _container(section: Section, header: Dataset) -> ContainerContentItem:
    container = ContainerContentItem(
        name=section.heading, relationship_type=RelationshipTypeValues.CONTAINS
    )
    container.ContentSequence = ContentSequence()
    for text in section.texts:
        container.ContentSequence.append(
            TextContentItem(
                name=section.paragraph,
                value=written(text, header),
                relationship_type=RelationshipTypeValues.CONTAINS,
            )
        )
    return container
