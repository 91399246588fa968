"""Labels, sides, sacral levels and Denis zones: the only place where voxel numbers exist."""

from __future__ import annotations

from enum import Enum, IntEnum, IntFlag


class Modality(Enum):
    """DICOM Modality (0008,0060), as far as it is analysed."""

    CT = "CT"
    MR = "MR"


class MrWeighting(Enum):
    """Contrast of an MR series, told apart by what it shows of marrow edema."""

    STIR = "STIR"
    T2_FATSAT = "T2_FATSAT"
    DIXON_WATER = "DIXON_WATER"
    T2 = "T2"
    T1 = "T1"
    OTHER = "OTHER"

    @property
    def fluid_sensitive(self) -> bool:
        """True where fat is suppressed, so that marrow edema is bright."""
        return self in (MrWeighting.STIR, MrWeighting.T2_FATSAT, MrWeighting.DIXON_WATER)


class Plane(Enum):
    """Orientation of a stack by its slice normal; more than 20° off a main plane is OBLIQUE."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"
    OBLIQUE = "oblique"


class Side(Enum):
    """The patient's side, never the picture's."""

    LEFT = "left"
    RIGHT = "right"
    MIDLINE = "midline"

    @property
    def opposite(self) -> Side:
        """The contralateral side; the midline is its own opposite."""
        return {Side.LEFT: Side.RIGHT, Side.RIGHT: Side.LEFT, Side.MIDLINE: Side.MIDLINE}[self]


class SacralLevel(IntEnum):
    """Sacral segment, cranial to caudal."""

    S1 = 1
    S2 = 2
    S3 = 3
    S4 = 4
    S5 = 5


class DenisZone(IntEnum):
    """Denis zone (Denis 1988): 1 lateral to the foramina, 2 through a foramen, 3 the midline."""

    ALAR = 1
    FORAMINAL = 2
    CENTRAL = 3


class AnatomyLabel(IntEnum):
    """Value of a voxel in an anatomy label map."""

    BACKGROUND = 0
    SACRAL_BODY = 1  # bone between the medial borders of the foramina, dorsal wall included
    SACRAL_CORRIDOR_RIGHT = 2  # bone between the medial and lateral borders of the foramina
    SACRAL_CORRIDOR_LEFT = 3
    SACRAL_ALA_RIGHT = 4  # bone lateral to the foramina
    SACRAL_ALA_LEFT = 5
    SACRAL_FORAMEN_RIGHT = 6
    SACRAL_FORAMEN_LEFT = 7
    SACRAL_CANAL = 8
    L5 = 9
    HIP_RIGHT = 10
    HIP_LEFT = 11
    LUMBAR = 12  # vertebrae above L5


SACRUM_LABELS = (
    AnatomyLabel.SACRAL_BODY,
    AnatomyLabel.SACRAL_CORRIDOR_RIGHT,
    AnatomyLabel.SACRAL_CORRIDOR_LEFT,
    AnatomyLabel.SACRAL_ALA_RIGHT,
    AnatomyLabel.SACRAL_ALA_LEFT,
)
"""The labels that make up the whole sacral bone."""


class LesionBit(IntFlag):
    """Bits of a voxel in a lesion label map; lesions overlap, so the bits add up."""

    EDEMA = 1
    FRACTURE_LINE = 2
    SCLEROSIS = 4
    MASS_LIKE = 8
    CEMENT = 16


class RegionClass(IntEnum):
    """Softmax channel of a region network; sides come from the sacral frame."""

    BACKGROUND = 0
    SACRAL_BODY = 1
    SACRAL_CORRIDOR = 2
    SACRAL_ALA = 3
    SACRAL_FORAMEN = 4
    SACRAL_CANAL = 5
    L5 = 6
    HIP = 7


class LocalizerClass(IntEnum):
    """Softmax channel of the localizer."""

    BACKGROUND = 0
    SACRUM = 1
    L5 = 2
    LUMBAR = 3
    HIP_RIGHT = 4
    HIP_LEFT = 5


REGION_CLASS_OF_LABEL = {
    AnatomyLabel.BACKGROUND: RegionClass.BACKGROUND,
    AnatomyLabel.SACRAL_BODY: RegionClass.SACRAL_BODY,
    AnatomyLabel.SACRAL_CORRIDOR_RIGHT: RegionClass.SACRAL_CORRIDOR,
    AnatomyLabel.SACRAL_CORRIDOR_LEFT: RegionClass.SACRAL_CORRIDOR,
    AnatomyLabel.SACRAL_ALA_RIGHT: RegionClass.SACRAL_ALA,
    AnatomyLabel.SACRAL_ALA_LEFT: RegionClass.SACRAL_ALA,
    AnatomyLabel.SACRAL_FORAMEN_RIGHT: RegionClass.SACRAL_FORAMEN,
    AnatomyLabel.SACRAL_FORAMEN_LEFT: RegionClass.SACRAL_FORAMEN,
    AnatomyLabel.SACRAL_CANAL: RegionClass.SACRAL_CANAL,
    AnatomyLabel.L5: RegionClass.L5,
    AnatomyLabel.HIP_RIGHT: RegionClass.HIP,
    AnatomyLabel.HIP_LEFT: RegionClass.HIP,
    AnatomyLabel.LUMBAR: RegionClass.BACKGROUND,
}

LOCALIZER_CLASS_OF_LABEL = {
    AnatomyLabel.BACKGROUND: LocalizerClass.BACKGROUND,
    AnatomyLabel.SACRAL_BODY: LocalizerClass.SACRUM,
    AnatomyLabel.SACRAL_CORRIDOR_RIGHT: LocalizerClass.SACRUM,
    AnatomyLabel.SACRAL_CORRIDOR_LEFT: LocalizerClass.SACRUM,
    AnatomyLabel.SACRAL_ALA_RIGHT: LocalizerClass.SACRUM,
    AnatomyLabel.SACRAL_ALA_LEFT: LocalizerClass.SACRUM,
    AnatomyLabel.SACRAL_FORAMEN_RIGHT: LocalizerClass.SACRUM,
    AnatomyLabel.SACRAL_FORAMEN_LEFT: LocalizerClass.SACRUM,
    AnatomyLabel.SACRAL_CANAL: LocalizerClass.SACRUM,
    AnatomyLabel.L5: LocalizerClass.L5,
    AnatomyLabel.HIP_RIGHT: LocalizerClass.HIP_RIGHT,
    AnatomyLabel.HIP_LEFT: LocalizerClass.HIP_LEFT,
    AnatomyLabel.LUMBAR: LocalizerClass.LUMBAR,
}

_SIDED = {
    RegionClass.SACRAL_CORRIDOR: (
        AnatomyLabel.SACRAL_CORRIDOR_RIGHT,
        AnatomyLabel.SACRAL_CORRIDOR_LEFT,
    ),
    RegionClass.SACRAL_ALA: (AnatomyLabel.SACRAL_ALA_RIGHT, AnatomyLabel.SACRAL_ALA_LEFT),
    RegionClass.SACRAL_FORAMEN: (
        AnatomyLabel.SACRAL_FORAMEN_RIGHT,
        AnatomyLabel.SACRAL_FORAMEN_LEFT,
    ),
    RegionClass.HIP: (AnatomyLabel.HIP_RIGHT, AnatomyLabel.HIP_LEFT),
}
_UNSIDED = {
    RegionClass.BACKGROUND: AnatomyLabel.BACKGROUND,
    RegionClass.SACRAL_BODY: AnatomyLabel.SACRAL_BODY,
    RegionClass.SACRAL_CANAL: AnatomyLabel.SACRAL_CANAL,
    RegionClass.L5: AnatomyLabel.L5,
}


def label_of(region_class: RegionClass, side: Side) -> AnatomyLabel:
    """Anatomy label of a region network's class on one side of the midline.

    Raises:
        ValueError: a paired structure was asked for on the midline.
    """
    if region_class in _UNSIDED:
        return _UNSIDED[region_class]
    if side is Side.MIDLINE:
        raise ValueError(f"{region_class.name} is a paired structure and has no midline label")
    right, left = _SIDED[region_class]
    return right if side is Side.RIGHT else left


def mirrored(label: AnatomyLabel) -> AnatomyLabel:
    """The label of the contralateral structure; unpaired structures mirror to themselves."""
    for right, left in _SIDED.values():
        if label is right:
            return left
        if label is left:
            return right
    return label


def side_of(label: AnatomyLabel) -> Side:
    """The patient's side of a label; MIDLINE for an unpaired structure."""
    if label.name.endswith("_RIGHT"):
        return Side.RIGHT
    return Side.LEFT if label.name.endswith("_LEFT") else Side.MIDLINE


def group_of(label: AnatomyLabel) -> str:
    """Group of a label in ``labels.json``: sacrum, L5, hip_left, hip_right or other."""
    if label in SACRUM_LABELS:
        return "sacrum"
    named = {
        AnatomyLabel.L5: "L5",
        AnatomyLabel.HIP_LEFT: "hip_left",
        AnatomyLabel.HIP_RIGHT: "hip_right",
    }
    return named.get(label, "other")
