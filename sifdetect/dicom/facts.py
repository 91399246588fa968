"""What the rules about a series look at: plain values, gathered from its planes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydicom.uid import (
    UID,
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
)

from sifdetect.anatomy import Modality
from sifdetect.dicom.frames import as_number

CT_CLASSES = (CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
MR_CLASSES = (MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage)


@dataclass(frozen=True, kw_only=True)
class SeriesFacts:
    """What the rules look at. Times in milliseconds, None where absent; words in lower case.

    Attributes:
        options: Scan Options (0018,0022) and, Enhanced, Spectrally Selected Suppression.
        words: Series Description, Protocol Name and Sequence Name.
        b_value: largest Diffusion b-value, s/mm².
        colored: more than one sample a pixel.
    """

    sop_class_uid: str
    modality: Modality | None
    image_type: tuple[str, ...] = ()
    sequence: frozenset[str] = frozenset()
    options: frozenset[str] = frozenset()
    contrast: str = ""
    repetition_ms: float | None = None
    echo_ms: float | None = None
    inversion_ms: float | None = None
    b_value: float = 0.0
    colored: bool = False
    words: str = ""


class Attributes(Protocol):
    """A data set, or a plane of one."""

    def get(self, keyword: str, default: Any = None, /) -> Any:
        """An attribute by its keyword."""


def facts_of(source: Attributes) -> SeriesFacts:
    """Gather the facts from one plane of a series, or from a data set that is no image."""
    sop_class_uid = str(source.get("SOPClassUID") or "")
    words = (_text(source.get(name)) for name in ("SeriesDescription", "ProtocolName"))
    return SeriesFacts(
        sop_class_uid=sop_class_uid,
        modality=modality_of(sop_class_uid, _text(source.get("Modality"))),
        image_type=tuple(value.upper().strip() for value in _values(source.get("ImageType"))),
        sequence=_sequence(source),
        options=frozenset(
            value.upper().strip()
            for name in ("ScanOptions", "SpectrallySelectedSuppression")
            for value in _values(source.get(name))
        ),
        contrast=_text(source.get("AcquisitionContrast")).upper(),
        repetition_ms=_positive(source, "RepetitionTime"),
        echo_ms=_positive(source, "EchoTime"),
        inversion_ms=_positive(source, "InversionTime"),
        b_value=as_number(source.get("DiffusionBValue")) or 0.0,
        colored=(as_number(source.get("SamplesPerPixel")) or 1) > 1,
        words=" ".join([*words, _text(source.get("SequenceName"))]).lower(),
    )


def modality_of(sop_class_uid: str, modality: str) -> Modality | None:
    """CT or MR by SOP class; Modality (0008,0060) may be missing or wrong. None for all else."""
    if sop_class_uid in CT_CLASSES:
        return Modality.CT
    if sop_class_uid in MR_CLASSES:
        return Modality.MR
    return {"CT": Modality.CT, "MR": Modality.MR}.get(modality) if not sop_class_uid else None


def object_name(sop_class_uid: str) -> str:
    """The SOP class in words, for a message."""
    return UID(sop_class_uid).name if sop_class_uid else "object without SOP Class UID"


def any_of(values: Sequence[str], *wanted: str) -> bool:
    """True where one of the values is one of those wanted (upper case)."""
    return any(value.upper() in wanted for value in values)


def says(pattern: str) -> Callable[[SeriesFacts], bool]:
    """Words of the description; an underscore, a digit or a sign ends a word as a blank does."""
    compiled = re.compile(rf"(?<![a-z])(?:{pattern})(?![a-z])")
    return lambda facts: bool(compiled.search(facts.words))


def is_dixon(facts: SeriesFacts) -> bool:
    """True for an image that a Dixon method computed: water, fat, in phase or out of phase."""
    return any_of(facts.image_type, "DIXON", "WATER", "W", "FAT", "F", "IN_PHASE", "IP") or bool(
        re.search(r"dixon|ideal|flex|mdixon", facts.words)
    )


def _text(value: Any) -> str:
    return " ".join(_values(value))


def _values(value: Any) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(one) for one in _iterated(value)]


def _iterated(value: Any) -> list[Any]:
    return list(value) if hasattr(value, "__iter__") else [value]


def _positive(source: Attributes, keyword: str) -> float | None:
    number = as_number(source.get(keyword))
    return number if number is not None and number > 0 else None


def _sequence(source: Attributes) -> frozenset[str]:
    """Scanning Sequence (0018,0020); Enhanced: Echo Pulse Sequence and Inversion Recovery."""
    found = {value.upper() for value in _values(source.get("ScanningSequence"))}
    echo = _text(source.get("EchoPulseSequence")).upper()
    found |= {"SPIN": {"SE"}, "GRADIENT": {"GR"}, "BOTH": {"SE", "GR"}}.get(echo, set())
    if _text(source.get("InversionRecovery")).upper() == "YES":
        found.add("IR")
    return frozenset(found)
