"""What the result objects hold, attribute by attribute, read off what the encoders write."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from pydicom import DataElement, Dataset
from pydicom.tag import BaseTag

from sifdetect.dicom.example import Example, examples
from sifdetect.dicom.results import KINDS, encode_results

COPIED = "copied from the source"
MADE = "set for each object"
NO_VALUE = "empty"
_LONGEST = 60


@dataclass(frozen=True)
class Attribute:
    """One attribute at the top level of a result object.

    Attributes:
        value: ``COPIED``, ``MADE``, ``NO_VALUE``, or the value that it always has.
    """

    tag: str
    name: str
    vr: str
    value: str


@dataclass(frozen=True)
class ObjectKind:
    """One kind of result.

    Attributes:
        output: what the settings call it, of ``results.KINDS``.
        file: the name it is written under.
    """

    output: str
    file: str
    sop_class_uid: str
    modality: str
    series_number: int
    series_description: str
    transfer_syntax_uid: str
    attributes: tuple[Attribute, ...]


@lru_cache(maxsize=1)
def object_kinds() -> tuple[ObjectKind, ...]:
    """Every kind of result, in the order of ``KINDS``, as made of a study with one finding."""
    pair = examples()
    kinds = []
    for output in KINDS:
        first, second = (encode_results(one.analysis, one.study, (output,)).items() for one in pair)
        for (file, one), (_, other) in zip(first, second, strict=True):
            kinds.append(_kind(output, file, (one, other), pair))
    return tuple(kinds)


def _kind(
    output: str, file: str, made: tuple[Dataset, Dataset], pair: tuple[Example, Example]
) -> ObjectKind:
    one = made[0]
    return ObjectKind(
        output=output,
        file=file,
        sop_class_uid=str(one.SOPClassUID),
        modality=str(one.Modality),
        series_number=int(one.SeriesNumber),
        series_description=str(one.SeriesDescription),
        transfer_syntax_uid=str(one.file_meta.TransferSyntaxUID),
        attributes=tuple(_attributes(made, pair)),
    )


def _attributes(
    made: tuple[Dataset, Dataset], pair: tuple[Example, Example]
) -> Iterator[Attribute]:
    sources = [example.study.series[0].datasets[0] for example in pair]
    for element in made[0]:
        tag = element.tag
        copied = all(
            _same(one.get(tag), source.get(tag)) for one, source in zip(made, sources, strict=True)
        )
        yield Attribute(
            tag=_spelt(tag),
            name=element.name,
            vr=str(element.VR),
            value=_value(element, made[1].get(tag), copied=copied),
        )


def _value(element: DataElement, other: DataElement | None, *, copied: bool) -> str:
    if element.is_empty:
        return NO_VALUE
    if not _same(element, other):
        return COPIED if copied else MADE
    if element.VR in ("SQ", "OB", "OW", "OB or OW"):
        return MADE
    text = "\\".join(map(str, element.value)) if element.VM > 1 else str(element.value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _same(one: DataElement | None, other: DataElement | None) -> bool:
    return one is not None and other is not None and one.value == other.value


def _spelt(tag: BaseTag) -> str:
    return f"({tag.group:04X},{tag.element:04X})"
