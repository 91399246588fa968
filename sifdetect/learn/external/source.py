"""What a source hands over, whatever its layout: cases with images, labels and names of labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sifdetect.anatomy import Modality, MrWeighting
from sifdetect.errors import UsageError
from sifdetect.learn.external.voxels import Voxels


@dataclass(frozen=True)
class Told:
    """What the user says of images that do not say it themselves.

    Attributes:
        modality: of all of them.
        weightings: one for all, or one for each channel.
        patients: by case, whose it is.
    """

    modality: Modality | None = None
    weightings: tuple[MrWeighting, ...] = ()
    patients: dict[str, str] = field(default_factory=dict)

    def patient_of(self, case: str) -> str:
        """As told; else the subject of a name like ``sub-07_ses-2`` (BIDS); else the case."""
        subject = re.match(r"sub-[0-9A-Za-z]+", case)
        return self.patients.get(case) or (subject.group() if subject else case)


NOTHING_TOLD = Told()


@dataclass(frozen=True)
class SourceImage:
    """One image, read when it is asked for."""

    read: Callable[[], Voxels]
    modality: Modality
    weighting: MrWeighting | None
    source: str


@dataclass(frozen=True)
class SourceLabels:
    """One array of labels.

    Attributes:
        meaning: by value, the names of what its voxels are (several where labels overlap); each
            name with other spellings of itself behind it, the most telling first.
        source: the file, for messages.
    """

    read: Callable[[], Voxels]
    meaning: dict[int, tuple[tuple[str, ...], ...]]
    source: str


@dataclass(frozen=True)
class SourceCase:
    """One case of a source.

    Attributes:
        images: the first is the one that the labels belong to.
        annotated: names of structures here, where the source says more than its labels do.
    """

    name: str
    patient: str
    images: tuple[SourceImage, ...]
    labels: tuple[SourceLabels, ...]
    annotated: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Source:
    """All that was found in a source."""

    layout: str
    cases: Sequence[SourceCase]


_WEIGHTING_WORDS = {
    MrWeighting.STIR: ("stir", "tirm", "tir"),
    MrWeighting.T2_FATSAT: ("t2_fatsat", "t2fs", "t2_fs", "t2_spair", "t2_spir", "pdfs", "pd_fs"),
    MrWeighting.DIXON_WATER: ("dixon_water", "dixon_w", "t2_dixon_w"),
    MrWeighting.T1: ("t1", "t1w"),
    MrWeighting.T2: ("t2", "t2w"),
    MrWeighting.OTHER: ("other",),
}


def kind_of(name: str, told: Told, channel: int = 0) -> tuple[Modality, MrWeighting | None]:
    """Modality and weighting of an image: as told, else from what its channel is called.

    Raises:
        UsageError: neither says the modality.
    """
    word = re.sub(r"[^0-9a-z]+", "_", name.lower()).strip("_")
    if told.modality is Modality.CT or (told.modality is None and word == "ct"):
        return Modality.CT, None
    if told.weightings:
        weighting = told.weightings[min(channel, len(told.weightings) - 1)]
        return Modality.MR, weighting
    found = next((w for w, words in _WEIGHTING_WORDS.items() if word in words), None)
    if found is None and told.modality is None and word not in ("mr", "mri"):
        raise UsageError(
            f"Nothing says whether {name!r} is CT or MR",
            hint="Add --modality ct or mr, and for MR --weighting",
        )
    return Modality.MR, found or MrWeighting.OTHER
