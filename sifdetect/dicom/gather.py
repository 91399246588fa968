"""Files to instances, sorted by study and series; what is no DICOM or is damaged is named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag
from pydicom.uid import MediaStorageDirectoryStorage

from sifdetect.dicom.deflated import is_deflated, refuse_bomb
from sifdetect.dicom.files import Located, locate
from sifdetect.dicom.frames import Instance
from sifdetect.errors import UnreadableInput
from sifdetect.findings import Warning

_MAX_NAMED = 3
_HEADER_BYTES = 256 * 1024
_TAG_BYTES = 16
_LONGEST_KNOWN = 1024
"""Bytes of a value that is remembered as one that can be decoded."""

_Known = set[tuple[object, ...]]


@dataclass
class Gathered:
    """What lies below the paths.

    Attributes:
        studies: Study Instance UID → Series Instance UID → instances, each once.
        warnings: files that could not be used, and why.
    """

    studies: dict[str, dict[str, list[Instance]]] = field(default_factory=dict)
    warnings: list[Warning] = field(default_factory=list)


def gather(paths: Sequence[Path], resources: ExitStack) -> Gathered:
    """Read every header below ``paths``; archives stay open as long as ``resources``.

    Raises:
        UnreadableInput: a path does not exist, or nothing below the paths is DICOM.
    """
    gathered = Gathered()
    seen: dict[tuple[str, ...], str] = {}
    doubles: list[str] = []
    known: _Known = set()
    for located in locate(paths, resources, gathered.warnings):
        instance = _instance(located, known, gathered.warnings)
        if instance is None:
            continue
        dataset = instance.dataset
        key = _identity(dataset)
        if key in seen:
            doubles.append(f"{located.name} (as {seen[key]})")
            continue
        seen[key] = located.name
        series = gathered.studies.setdefault(str(dataset.StudyInstanceUID), {})
        series.setdefault(str(dataset.SeriesInstanceUID), []).append(instance)
    if doubles:
        text = f"{len(doubles)} files hold an instance that was already read: {_listed(doubles)}"
        gathered.warnings.append(Warning(code="duplicate-instances", text=text))
    if not gathered.studies:
        raise _nothing(paths, gathered.warnings)
    return gathered


def _instance(located: Located, known: _Known, warnings: list[Warning]) -> Instance | None:
    """The data set without pixels; None for what is no DICOM object of a series."""
    try:
        if not located.looks_like_dicom():
            if located.name.lower().endswith((".dcm", ".ima")):
                raise UnreadableInput("it does not start like DICOM")
            return None
        dataset, unread = _parsed(located)
        _drop_undecodable(dataset, known)
        meta = getattr(dataset, "file_meta", Dataset())
        sop_class = meta.get("MediaStorageSOPClassUID") or dataset.get("SOPClassUID")
        if sop_class == MediaStorageDirectoryStorage:
            return None
        if "SOPClassUID" not in dataset and sop_class:
            dataset.SOPClassUID = sop_class
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            if not dataset.get(keyword):
                raise UnreadableInput(f"it has no {keyword}")
    except Exception as error:  # noqa: BLE001  # a damaged file fails in more ways than can be named
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        text = f"{located.name} could not be read and was left out ({reason})"
        warnings.append(Warning(code="unreadable-file", text=text))
        return None
    return Instance(dataset, located, unread)


def _parsed(located: Located) -> tuple[Dataset, int | None]:
    """The data set up to its pixels, and at which byte they begin, but for a deflated one."""
    with located.open(at_most=_HEADER_BYTES) as stream:
        if is_deflated(stream):
            return _inflated(located), None
        stream.seek(0)
        dataset = dcmread(stream, stop_before_pixels=True, force=True)
        if stream.tell() < _HEADER_BYTES - _TAG_BYTES:
            return dataset, stream.tell()
    with located.open() as stream:  # the header is longer: a multi-frame
        dataset = dcmread(stream, stop_before_pixels=True, force=True)
        return dataset, stream.tell()


def _inflated(located: Located) -> Dataset:
    """The library inflates a data set whole: only one that is no bomb is given to it."""
    with located.open() as stream:
        is_deflated(stream)
        refuse_bomb(stream)
        stream.seek(0)
        return dcmread(stream, stop_before_pixels=True, force=True)


def _drop_undecodable(dataset: Dataset, known: _Known) -> None:
    """Elements are decoded when first read; one that cannot be must not fail there and then.

    What it was missed for says so: a lost position is a missing position. Most elements of a series
    are the same in every slice: what could be decoded once is ``known``, and is not decoded again.
    """
    charset = str(dataset.get("SpecificCharacterSet", ""))
    for tag in list(dataset.keys()):
        key = _key(dataset, tag, charset)
        if key is not None and key in known:
            continue
        try:
            value = dataset[tag].value
        except Exception:  # noqa: BLE001  # a damaged element fails in more ways than can be named
            del dataset[tag]
            continue
        if isinstance(value, Sequence) and value and isinstance(value[0], Dataset):
            for item in value:
                _drop_undecodable(item, known)
        elif key is not None:
            known.add(key)


def _key(dataset: Dataset, tag: BaseTag, charset: str) -> tuple[object, ...] | None:
    """All that the decoding of an element depends on; None where that is more than can be said."""
    raw: Any = dataset.get_item(tag)
    if not isinstance(raw, RawDataElement) or tag.is_private:
        return None  # it is decoded; or another element says what it means
    if raw.VR == "SQ" or not isinstance(raw.value, bytes) or len(raw.value) > _LONGEST_KNOWN:
        return None
    return (tag, raw.VR, raw.value, raw.is_little_endian, charset)


def _identity(dataset: Dataset) -> tuple[str, ...]:
    """One instance, also where a faulty exporter gave many the same SOP Instance UID."""
    keywords = ("SOPInstanceUID", "SeriesInstanceUID", "InstanceNumber", "ImagePositionPatient")
    return tuple(str(dataset.get(keyword)) for keyword in keywords)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MAX_NAMED
    return ", ".join(names[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def _nothing(paths: Iterable[Path], warnings: Sequence[Warning]) -> UnreadableInput:
    where = ", ".join(str(path) for path in paths) or "nothing"
    detail = f": {warnings[0].text}" if warnings else ""
    return UnreadableInput(
        f"no readable DICOM file in {where}{detail}",
        hint="Give DICOM files, a folder, a DICOMDIR or a zip that holds them",
    )
