"""Our own results back to findings: reports of either profile, text reports, segmentations.

What is carried must agree with what is stated in codes: a report that was edited after it was
written is refused, because nobody could say which of the two is right.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    SegmentationStorage,
)

from sifdetect.dicom import codes, sentences
from sifdetect.dicom.carried import carried
from sifdetect.dicom.provenance import MANUFACTURER, header_of, written
from sifdetect.dicom.seg import tracking_uid
from sifdetect.errors import InputError, UnreadableInput
from sifdetect.findings import StudyFindings

_TREES = (Comprehensive3DSRStorage, ComprehensiveSRStorage)
_REPORTS = (*_TREES, EnhancedSRStorage)


def read_findings(path: Path) -> StudyFindings:
    """The findings that one of our reports or segmentations was written from.

    All but ``timings_s``, which no result object carries.

    Raises:
        UnreadableInput: the file is absent, no DICOM, damaged, or was changed after it was written.
        InputError: it is no report or segmentation, was written by others, or lost its findings.
    """
    dataset = _opened(path)
    findings = _carried(dataset, path.name)
    if str(dataset.get("StudyInstanceUID")) != findings.study_instance_uid:
        raise _changed(path.name, "it lies in another study than its findings")
    disagreement = _disagreement(dataset, findings)
    if disagreement:
        raise _changed(path.name, disagreement)
    return findings


def _opened(path: Path) -> Dataset:
    try:
        dataset = dcmread(path)
        kind = UID(str(dataset.get("SOPClassUID", "")))
    except FileNotFoundError:
        raise UnreadableInput(f"{path.name} does not exist") from None
    except InvalidDicomError:
        raise UnreadableInput(f"{path.name} is no DICOM file") from None
    except Exception as error:  # a damaged file fails in more ways than can be named
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise UnreadableInput(f"{path.name} is damaged ({reason})") from error
    if kind not in (*_REPORTS, SegmentationStorage):
        raise InputError(
            f"{path.name} is {kind.name or 'of no known kind'}, no report or segmentation",
            hint="Give sr.dcm, sr-data.dcm or seg.dcm as sifdetect wrote them",
        )
    return dataset


def _carried(dataset: Dataset, name: str) -> StudyFindings:
    try:
        findings = carried(dataset)
    except ValueError as error:
        raise UnreadableInput(
            f"The findings in {name} are damaged or of another version ({error})",
            hint="Use findings.json of the same study, or analyse it again",
        ) from error
    if findings is not None:
        return findings
    maker = str(dataset.get("Manufacturer", "") or "somebody who is not named")
    if maker != MANUFACTURER:
        raise InputError(
            f"{name} was written by {maker}, not by sifdetect",
            hint="Only sifdetect's own reports can be read back",
        )
    raise InputError(
        f"{name} is a report of sifdetect without its findings",
        hint="An older version wrote it, its study could not be assessed, or a de-identification"
        " removed private attributes",
    )


def _changed(name: str, how: str) -> UnreadableInput:
    return UnreadableInput(
        f"{name} was changed after it was written: {how}", hint="Use the report as it was sent"
    )


def _disagreement(dataset: Dataset, findings: StudyFindings) -> str:
    """What the object states otherwise than its findings do; empty where nothing."""
    kind = dataset.SOPClassUID
    numbers = range(1, len(findings.fractures) + 1)
    known = {tracking_uid(findings, number): number for number in numbers}
    if kind == SegmentationStorage:
        stated = {str(item.get("TrackingUID")) for item in dataset.get("SegmentSequence", [])}
        return "" if stated and stated <= set(known) else "its segments are not those findings"
    if kind == EnhancedSRStorage:
        told = [str(node.get("TextValue", "")) for node in _nodes(dataset)]
        answer = written(sentences.headline(findings), header_of(dataset))
        return "" if answer in told else "its text gives another answer"
    codes_stated = {
        str(node.ConceptNameCodeSequence[0].CodeValue): str(node.ConceptCodeSequence[0].CodeValue)
        for node in _nodes(dataset)
        if node.get("ConceptCodeSequence") and node.get("ConceptNameCodeSequence")
    }
    if codes_stated.get("SIF-LIKE") != codes.PRESENCE[findings.presence].value:
        return "it states another presence"
    return _disagreeing_group(dataset, findings, known)


def _disagreeing_group(dataset: Dataset, findings: StudyFindings, known: dict[str, int]) -> str:
    """A group that belongs to no finding, or states another volume than it."""
    for group in _nodes(dataset):
        inside = group.get("ContentSequence") or []
        uids = [str(node.UID) for node in inside if node.get("ValueType") == "UIDREF"]
        volumes = [
            float(node.MeasuredValueSequence[0].NumericValue)
            for node in inside
            if node.get("ValueType") == "NUM"
            and node.ConceptNameCodeSequence[0].CodeValue == codes.VOLUME.value
        ]
        if not uids or not volumes:
            continue
        number = known.get(uids[0])
        if number is None:
            return "a measurement group belongs to none of its findings"
        if abs(volumes[0] - round(findings.fractures[number - 1].volume_mm3, 1)) > 0.05:
            return f"finding {number} has another volume"
    return ""


def _nodes(node: Dataset) -> Iterator[Dataset]:
    for child in node.get("ContentSequence") or []:
        yield child
        yield from _nodes(child)
