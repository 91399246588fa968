"""What is known of a training sample made from real data: the keys ``known`` and ``possible``.

A synthetic sample knows everything; it has neither key, and **absent means that everything is
known**. A real sample has both, uint8, of the shape of its ``region`` or ``classes``:

``known``, bits of :class:`Known` a voxel:

====  =================  ==========================================================================
 bit  name               set where
====  =================  ==========================================================================
1–16  as ``lesions``     this lesion was looked for here: the bit in ``lesions`` is the truth
  32  ``CLASS``          ``region`` or ``classes`` is the truth (``possible`` has one bit)
  64  ``PLACE``          ``level`` (region) or ``place`` (localizer) is the truth
 128  ``IN_VIEW``        the scan has data here; elsewhere no other bit is set
====  =================  ==========================================================================

``possible``: bit ``1 << c`` for every class ``c`` (RegionClass or LocalizerClass) that the voxel
may be of. A whole sacrum is some of body, corridor, ala, foramen or canal; what lies beside it is
none of body, corridor or ala, and may be hip where nobody outlined hips. ``CLASS`` is set where one
class is possible. The full use of it is the marginal likelihood, the log of the sum of the
probabilities of the possible classes (Shi et al. 2021, Med Image Anal 70:101979; Fang and Yan 2020,
IEEE TMI 39:3619); where one class is possible that is cross entropy. Where ``CLASS`` is not set,
``region`` and ``classes`` hold a guess.

In a mirrored localizer sample the bits of HIP_RIGHT and HIP_LEFT change places, as the classes do;
region classes have no sides. Resample both keys by nearest neighbour; 0 comes in from outside.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sifdetect.anatomy import SACRUM_LABELS, AnatomyLabel, LesionBit
from sifdetect.learn.external.names import SACRUM, UNKNOWN, UNKNOWN_LESION, covered, lesions_in

HOLLOW_MM = 12.0
"""Foramina and canal are no wider than twice this: they lie where a ball of this radius does not
get between the bone around them (half of the canal's width at S1)."""

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]
ClassTable = Mapping[AnatomyLabel, IntEnum]
"""``REGION_CLASS_OF_LABEL`` or ``LOCALIZER_CLASS_OF_LABEL``."""

_HOLLOWS = (
    AnatomyLabel.SACRAL_FORAMEN_RIGHT,
    AnatomyLabel.SACRAL_FORAMEN_LEFT,
    AnatomyLabel.SACRAL_CANAL,
)
_SPINE = (AnatomyLabel.L5, AnatomyLabel.LUMBAR)


class Known(IntFlag):
    """Bits of a voxel of ``known``; the first five are those of LesionBit."""

    EDEMA = 1
    FRACTURE_LINE = 2
    SCLEROSIS = 4
    MASS_LIKE = 8
    CEMENT = 16
    CLASS = 32
    PLACE = 64
    IN_VIEW = 128


@dataclass(frozen=True)
class Annotation:
    """What somebody outlined, on the grid of a sample; all arrays have its shape.

    Attributes:
        anatomy: AnatomyLabel values; 255 where nobody looked. The last axis runs caudal→cranial.
        lesions: LesionBit sums; with 128 where nobody looked.
        in_view: True where the scan has data.
        annotated: structures that were looked for.
        spacing_mm: of the grid, alike along all axes.
    """

    anatomy: Bytes
    lesions: Bytes
    in_view: Mask
    annotated: Collection[str]
    spacing_mm: float

    @property
    def whole_sacrum(self) -> bool:
        """True where the parts of the sacrum are not told apart."""
        parts = {label.name.lower() for label in SACRUM_LABELS}
        return SACRUM in self.annotated and not parts <= set(self.annotated)


def possible_classes(drawn: Annotation, table: ClassTable) -> Bytes:
    """The key ``possible``: bits of the classes that each voxel may be of."""
    every = np.uint8(sum({1 << int(one) for one in table.values()}))
    looked_for = frozenset().union(*(covered(name) for name in drawn.annotated))
    bone = np.isin(drawn.anatomy, SACRUM_LABELS)
    missing = set(AnatomyLabel) - looked_for - {AnatomyLabel.BACKGROUND}
    beside = _bits(missing - set(_HOLLOWS), table) | _bits({AnatomyLabel.BACKGROUND}, table)
    hollow = _bits(missing & set(_HOLLOWS), table)
    empty = np.full(bone.shape, beside | hollow, dtype=np.uint8)
    if hollow & ~beside and set(SACRUM_LABELS) <= looked_for:
        empty[~hollows(bone, drawn.spacing_mm)] = beside
    spine = _bits(missing & set(_SPINE), table) & ~_bits(missing - set(_SPINE), table)
    spine &= ~_bits({AnatomyLabel.BACKGROUND}, table)
    floor = _spine_floor(drawn.anatomy, bone)
    empty[:, :, :floor] &= ~spine
    lookup = np.full(256, every, dtype=np.uint8)
    for label, one in table.items():
        lookup[label] = 1 << int(one)
    if drawn.whole_sacrum:
        lookup[AnatomyLabel.SACRAL_BODY] = _bits({*SACRUM_LABELS, *_HOLLOWS}, table)
    lookup[UNKNOWN] = every
    found = np.where(drawn.anatomy == AnatomyLabel.BACKGROUND, empty, lookup[drawn.anatomy])
    return np.where(drawn.in_view, found, every).astype(np.uint8)


def known_bits(drawn: Annotation, possible: Bytes, *, place: bool) -> Bytes:
    """The key ``known``; ``place`` is True where the level or the place of voxels is known."""
    lesions = np.uint8(lesions_in(drawn.annotated) & LesionBit(31))
    known = np.where(drawn.lesions & UNKNOWN_LESION, 0, lesions).astype(np.uint8)
    one = (possible & (possible - np.uint8(1))) == 0
    known |= np.where(one, np.uint8(Known.CLASS), np.uint8(0))
    known |= np.uint8(Known.IN_VIEW) | np.uint8(Known.PLACE if place else 0)
    return np.where(drawn.in_view, known, 0).astype(np.uint8)


def hollows(bone: Mask, spacing_mm: float) -> Mask:
    """True in and between bone, where a ball of ``HOLLOW_MM`` does not get from outside."""
    if not bone.any():
        return np.zeros_like(bone)
    pad = int(np.ceil(HOLLOW_MM / spacing_mm)) + 1
    away = ndimage.distance_transform_edt(~np.pad(bone, pad)) * spacing_mm
    deep = ndimage.distance_transform_edt(away <= HOLLOW_MM) * spacing_mm
    core = tuple(slice(pad, -pad) for _ in range(3))
    return np.asarray(deep[core] > HOLLOW_MM)


def _spine_floor(anatomy: Bytes, bone: Mask) -> int:
    """Index along the last axis (caudal→cranial) below which there is no lumbar vertebra.

    The lower end of an outlined L5, else the middle of an outlined sacrum, else the lower border.
    """
    fifth = np.flatnonzero((anatomy == AnatomyLabel.L5).any(axis=(0, 1)))
    if len(fifth):
        return int(fifth[0])
    return int(np.argwhere(bone)[:, 2].mean()) if bone.any() else 0


def _bits(labels: Collection[AnatomyLabel], table: ClassTable) -> np.uint8:
    return np.uint8(sum({1 << int(table[label]) for label in labels}))
