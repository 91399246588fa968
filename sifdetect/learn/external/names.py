"""Names of labels in other people's data, and what each is here: the only place that knows both.

A *structure* is what somebody outlined: an anatomy label, the whole sacrum, or a lesion. What was
not outlined in a case is unknown there, never background.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import yaml

from sifdetect.anatomy import SACRUM_LABELS, AnatomyLabel, LesionBit
from sifdetect.errors import ConfigurationError, UsageError

UNKNOWN = 255
"""Value of an anatomy voxel that nobody looked at (nnU-Net: ``ignore``)."""
UNKNOWN_LESION = 128
"""Value of a lesion voxel that nobody looked at."""
SACRUM = "sacrum"
"""The whole bone, its parts not told apart; such voxels hold SACRAL_BODY."""

ANY_OTHER = ""
"""Key of a map that was read for ``"*"``: all labels that are neither in the map nor known."""


class Other(Enum):
    """What a label may be besides a structure."""

    BACKGROUND = "background"
    IGNORE = "ignore"


@dataclass(frozen=True)
class Meaning:
    """What a label of another data set is here.

    Attributes:
        structure: name in ``annotated``; ``background`` or ``ignore`` for neither bone nor lesion.
        anatomy, lesion: what its voxels hold; None where it is of the other kind.
        part: True where it is but a part of the structure (one of the lumbar vertebrae): voxels
            elsewhere may be of the structure as well.
    """

    structure: str
    anatomy: AnatomyLabel | None = None
    lesion: LesionBit | None = None
    part: str = ""


LUMBAR_PARTS = ("vertebrae_l1", "vertebrae_l2", "vertebrae_l3", "vertebrae_l4")
MEANINGS: dict[str, Meaning] = {
    **{
        str(label.name).lower(): Meaning(label.name.lower(), anatomy=label)
        for label in AnatomyLabel
        if label is not AnatomyLabel.BACKGROUND
    },
    **{str(bit.name).lower(): Meaning(str(bit.name).lower(), lesion=bit) for bit in LesionBit},
    **{name: Meaning("lumbar", anatomy=AnatomyLabel.LUMBAR, part=name) for name in LUMBAR_PARTS},
    SACRUM: Meaning(SACRUM, anatomy=AnatomyLabel.SACRAL_BODY),
    Other.BACKGROUND.value: Meaning(Other.BACKGROUND.value),
    Other.IGNORE.value: Meaning(Other.IGNORE.value),
}
"""Our own names, which are what a map may name on its right-hand side."""

_ALSO = {
    "sacrum": (SACRUM, "sacral_bone", "os_sacrum", "whole_sacrum"),
    "l5": ("vertebra_l5", "vertebrae_l5", "lumbar_vertebra_5", "fifth_lumbar_vertebra"),
    "lumbar": ("lumbar_spine", "lumbar_vertebrae"),
    "hip_left": ("left_hip", "hip_bone_left", "left_hip_bone"),
    "hip_right": ("right_hip", "hip_bone_right", "right_hip_bone"),
    "sacral_canal": ("canal",),
    "sacral_ala_left": ("left_ala", "ala_left", "sacral_wing_left"),
    "sacral_ala_right": ("right_ala", "ala_right", "sacral_wing_right"),
    "edema": ("oedema", "bone_marrow_edema", "bone_marrow_oedema", "marrow_edema", "bme"),
    "fracture_line": ("fracture", "fractures", "insufficiency_fracture", "sacral_fracture"),
    "sclerosis": ("sclerotic_zone",),
    "mass_like": ("mass", "tumor", "tumour", "metastasis", "bone_metastasis"),
    "cement": ("bone_cement", "pmma"),
    "vertebrae_l1": ("vertebra_l1", "l1"),
    "vertebrae_l2": ("vertebra_l2", "l2"),
    "vertebrae_l3": ("vertebra_l3", "l3"),
    "vertebrae_l4": ("vertebra_l4", "l4"),
    "background": ("si_joint", "sacroiliac_joint", "si_joint_left", "si_joint_right"),
    "ignore": ("ignore_label", "not_annotated"),
}
_KNOWN = {other: name for name, others in _ALSO.items() for other in others}


def normal(name: str) -> str:
    """A name without case and punctuation: ``SI joint (left)`` is ``si_joint_left``."""
    return re.sub(r"[^0-9a-z]+", "_", name.strip().lower()).strip("_")


def meaning_of(name: str, chosen: Mapping[str, str]) -> Meaning | None:
    """What a label is here: as ``chosen`` (a map that was read) says, else as is known; or None."""
    key = normal(name)
    ours = chosen.get(key) or _KNOWN.get(key, key)
    return MEANINGS.get(ours) or MEANINGS.get(chosen.get(ANY_OTHER, ""))


def meanings_of(names: Iterable[tuple[str, ...]], chosen: Mapping[str, str]) -> dict[str, Meaning]:
    """What every label is here, by its first name.

    Args:
        names: for each label its names, the most telling first.
        chosen: a map that was read, from ``read_map``.

    Raises:
        UsageError: labels that nothing is known of; the hint is the map to write.
    """
    found: dict[str, Meaning] = {}
    unknown: list[str] = []
    for spellings in names:
        said = (meaning_of(name, chosen) for name in spellings)
        meaning = next((one for one in said if one is not None), None)
        if meaning is None:
            unknown.append(spellings[0])
        else:
            found[spellings[0]] = meaning
    if unknown:
        raise _unknown(sorted(set(unknown)))
    return found


def read_map(path: Path | None) -> dict[str, str]:
    """A map from names of labels to ours; empty without a file.

    The file is YAML, one line a label: ``their name: our name``. Our names are the keys of
    ``MEANINGS``, with the synonyms known here; ``background`` for a structure that is none of ours
    and ``ignore`` for voxels that say nothing. ``"*": background`` is for all labels not known.

    Raises:
        ConfigurationError: it cannot be read, or names what does not exist on its right-hand side.
    """
    if path is None:
        return {}
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path} cannot be read as a label map ({error})") from error
    if not isinstance(document, dict):
        raise ConfigurationError(
            f"{path} is not a label map",
            hint="Write one line a label, such as hueftbein_li: hip_left",
        )
    chosen = {normal(str(theirs)): normal(str(ours)) for theirs, ours in document.items()}
    chosen = {theirs: _KNOWN.get(ours, ours) for theirs, ours in chosen.items()}
    wrong = sorted({ours for ours in chosen.values() if ours not in MEANINGS})
    if wrong:
        raise ConfigurationError(
            f"{path} names what does not exist here: {', '.join(wrong)}",
            hint=f"Use {', '.join(MEANINGS)}",
        )
    return chosen


def covered(structure: str) -> frozenset[AnatomyLabel]:
    """The anatomy labels that a structure of ``annotated`` covers; none for a lesion."""
    if structure == SACRUM:
        return frozenset(SACRUM_LABELS)
    anatomy = MEANINGS[structure].anatomy if structure in MEANINGS else None
    return frozenset() if anatomy is None else frozenset((anatomy,))


def lesions_in(annotated: Iterable[str]) -> LesionBit:
    """The lesions among annotated structures, as a sum of bits."""
    bits = LesionBit(0)
    for structure in annotated:
        meaning = MEANINGS.get(structure)
        if meaning is not None and meaning.lesion is not None:
            bits |= meaning.lesion
    return bits


def _unknown(names: list[str]) -> UsageError:
    lines = "; ".join(f'"{name}": …' for name in names)
    return UsageError(
        f"Nothing is known of the labels {', '.join(repr(name) for name in names)}",
        hint=f"Write a file MAP.yaml with the lines {lines} (each … one of {', '.join(MEANINGS)})"
        " and give it with --labels MAP.yaml",
    )
