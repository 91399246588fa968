"""What changed between two examinations of one sacrum: the words and numbers of a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sifdetect.anatomy import Modality, Side
from sifdetect.terms import Presence


class Change(Enum):
    """What became of a finding since the prior study."""

    NEW = "new"
    GROWN = "grown"
    UNCHANGED = "unchanged"
    SHRUNK = "shrunk"
    HEALED = "healed"
    NOT_COMPARED = "not compared"


@dataclass(frozen=True, kw_only=True)
class Registration:
    """How one scan was laid over another, on the sacrum.

    Attributes:
        method: what it rests on.
        residual_mm: distance of the two sacral surfaces afterwards, 90th percentile; None where
            there is none.
        shift_mm: how far the centre of the sacrum was moved.
        rotation_deg: by how much it was turned.
        accepted: the residual allows voxels to be compared.
    """

    method: str
    residual_mm: float | None = None
    shift_mm: float = 0.0
    rotation_deg: float = 0.0
    accepted: bool = False


@dataclass(frozen=True, kw_only=True)
class FindingChange:
    """What became of one finding.

    Attributes:
        side: ala, or midline.
        id: of the fracture in this study; None where it is gone.
        prior_id: of the fracture in the prior study; None where it is new.
        measure: what is compared: "edema", "line" or "sclerosis"; empty where nothing is.
        volume_mm3, prior_volume_mm3: of that measure.
        overlap: Dice coefficient of the two after registration; None where not registered.
        reason: why this change is stated, in words.
    """

    side: Side
    change: Change
    id: str | None = None
    prior_id: str | None = None
    measure: str = ""
    volume_mm3: float | None = None
    prior_volume_mm3: float | None = None
    overlap: float | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A study beside an earlier one of the same patient.

    Attributes:
        prior_study_instance_uid: of the earlier study, or its name.
        prior_date: ISO 8601 date; None where not known.
        days: from the earlier study to this one; None where not known.
        modality, prior_modality: of the series that were compared.
        prior_presence: what was said of the earlier study.
        new_contralateral: alae with a new finding opposite one that had a finding before.
        changes: the new ones first, a new contralateral ala before all others.
        registration: of the earlier scan to this one; None where it was not possible.
        limits: what could not be compared or checked, in words.
    """

    prior_study_instance_uid: str
    prior_presence: Presence
    modality: Modality
    prior_modality: Modality
    prior_date: str | None = None
    days: int | None = None
    new_contralateral: tuple[Side, ...] = ()
    changes: tuple[FindingChange, ...] = ()
    registration: Registration | None = None
    limits: tuple[str, ...] = ()
