"""What was found, in the words of the field, and its JSON form (``schema_version`` 1).

Every number is in patient coordinates (LPS) and millimetres, square or cubic millimetres, or
degrees. The JSON is the public contract: ``docs/findings.schema.json`` describes it.
"""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from typing import Any

from sifdetect.anatomy import Modality, MrWeighting, Plane, SacralLevel, Side
from sifdetect.changes import Comparison, Registration
from sifdetect.sacroplasty import Sacroplasty
from sifdetect.terms import BakkerType, Basis, FfpType, Morphology, Presence

__all__ = [
    "SCHEMA_VERSION",
    "Algorithm",
    "BakkerFinding",
    "BakkerType",
    "Basis",
    "Classified",
    "Coverage",
    "DenisFinding",
    "FfpFinding",
    "FfpType",
    "Fracture",
    "Morphology",
    "MorphologyFinding",
    "OtherFinding",
    "Presence",
    "SeriesEvidence",
    "SourceSeries",
    "StudyFindings",
    "Warning",
    "from_json",
    "plain",
    "to_json",
]

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Classified:
    """Why a class was stated.

    Attributes:
        rule: name of the rule that fired.
        evidence: the measurements it fired on, by name with unit suffix.
        unseen: what could not be seen and might change the class.
    """

    rule: str = ""
    evidence: dict[str, float | str | bool] = field(default_factory=dict)
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DenisFinding(Classified):
    """Denis zones. ``left`` and ``right`` are 0 where that side has no fracture, None unknown."""

    zone: int | None = None
    left: int | None = None
    right: int | None = None
    subtype: int | None = None


@dataclass(frozen=True, kw_only=True)
class MorphologyFinding(Classified):
    """Pattern of the whole sacrum."""

    value: Morphology = Morphology.NONE


@dataclass(frozen=True, kw_only=True)
class BakkerFinding(Classified):
    """Bakker type per ala and of the corpus; None where there is none."""

    left: BakkerType | None = None
    right: BakkerType | None = None
    corpus: BakkerType | None = None


@dataclass(frozen=True, kw_only=True)
class FfpFinding(Classified):
    """FFP type; ``at_least`` where the anterior ring is out of view."""

    value: FfpType | None = None
    at_least: bool = False


@dataclass(frozen=True, kw_only=True)
class Fracture:
    """One fracture-like finding; distances are 0 where it touches, None where not measured."""

    id: str
    side: Side
    levels: tuple[SacralLevel, ...]
    basis: Basis
    volume_mm3: float
    length_mm: float
    centroid_lps_mm: tuple[float, float, float]
    foramen_distance_mm: dict[SacralLevel, float] = field(default_factory=dict)
    canal_distance_mm: float | None = None
    crosses_midline: bool = False
    step_mm: float | None = None
    angle_deg: float | None = None
    edema_mm3: float | None = None
    sclerosis_mm3: float | None = None
    confidence: float = 0.0


@dataclass(frozen=True, kw_only=True)
class OtherFinding:
    """Something seen that is not a fracture: mass-like, sacroiliac edema, cement, metal …"""

    kind: str
    side: Side
    centroid_lps_mm: tuple[float, float, float]
    volume_mm3: float


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Share of the sacrum in the field of view, 0–1, and what limits it, in words."""

    sacrum: float
    by_level: dict[SacralLevel, float] = field(default_factory=dict)
    limits: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Warning:
    """Something the reader must know about the result."""

    code: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """Who says so: name, version and the SHA-256 of each bundle's weights."""

    name: str
    version: str
    bundles: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SourceSeries:
    """One series of the study: used, or not and why."""

    series_instance_uid: str
    modality: Modality | None
    weighting: MrWeighting | None
    plane: Plane | None
    used: bool
    reason: str
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class SeriesEvidence:
    """What the series of one modality say by themselves, in a study that has both CT and MR.

    Attributes:
        series: UIDs of those that were read.
        fluid_sensitive: True where marrow edema could be judged.
        fractures: as seen on these series alone.
        registration: of these series to those that are reported; None for the latter.
    """

    modality: Modality
    series: tuple[str, ...]
    fluid_sensitive: bool
    presence: Presence
    probability: float
    denis: DenisFinding
    bakker: BakkerFinding
    fractures: tuple[Fracture, ...] = ()
    registration: Registration | None = None


@dataclass(frozen=True, kw_only=True)
class StudyFindings:
    """All that is said about one study; the truth of a synthetic case has the same type.

    Attributes:
        evidence: of CT and of MR, the reported one first; empty where only one was read.
        presence_reason: why ``presence`` is stated; None in a truth, and from older writers.
        comparison: with an earlier study; None where none was given.
    """

    study_instance_uid: str
    presence: Presence
    probability: float
    denis: DenisFinding
    morphology: MorphologyFinding
    bakker: BakkerFinding
    ffp: FfpFinding
    coverage: Coverage
    algorithm: Algorithm
    fractures: tuple[Fracture, ...] = ()
    other_findings: tuple[OtherFinding, ...] = ()
    warnings: tuple[Warning, ...] = ()
    sources: tuple[SourceSeries, ...] = ()
    evidence: tuple[SeriesEvidence, ...] = ()
    comparison: Comparison | None = None
    timings_s: dict[str, float] = field(default_factory=dict)
    access: Sacroplasty | None = None
    presence_reason: Classified | None = None
    patient_side_convention: str = "patient"
    schema_version: int = SCHEMA_VERSION


def to_json(findings: StudyFindings) -> dict[str, Any]:
    """The findings as plain JSON values (dict, list, str, int, float, bool, None)."""
    return plain(findings)


def plain(part: StudyFindings | Comparison) -> dict[str, Any]:
    """Findings, or a comparison alone, as plain JSON values."""
    encoded = _encode(part)
    assert isinstance(encoded, dict)
    return encoded


def from_json(document: dict[str, Any]) -> StudyFindings:
    """Findings from their JSON form; unknown keys are ignored, so that newer writers can be read.

    Raises:
        ValueError: the schema version is another one, or a value is not of its type.
    """
    if document.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(
            f"schema_version {document.get('schema_version')!r} is not {SCHEMA_VERSION}"
        )
    decoded = _decode(document, StudyFindings)
    assert isinstance(decoded, StudyFindings)
    return decoded


def _encode(value: Any) -> Any:
    if isinstance(value, SacralLevel):
        return value.name
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        return {f.name: _encode(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {_encode(key): _encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_encode(item) for item in value]
    return value


def _decode(value: Any, kind: Any) -> Any:
    origin = typing.get_origin(kind)
    arguments = typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return _decode_union(value, arguments)
    if origin is tuple:
        return tuple(_decode(item, arguments[0]) for item in value)
    if origin is dict:
        return {_decode(k, arguments[0]): _decode(v, arguments[1]) for k, v in value.items()}
    if kind is SacralLevel:
        return SacralLevel[value]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return kind(
            **{
                f.name: _decode(value[f.name], hints[f.name])
                for f in fields(kind)
                if f.name in value
            }
        )  # type: ignore[operator]  # a dataclass type is callable
    return float(value) if kind is float else value


def _decode_union(value: Any, kinds: tuple[Any, ...]) -> Any:
    if value is None:
        return None
    choices = [kind for kind in kinds if kind is not type(None)]
    return _decode(value, choices[0]) if len(choices) == 1 else value
