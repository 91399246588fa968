"""What is said of sacroplasty, as geometry: lines of access to an ala, and where cement lies."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from sifdetect.anatomy import SacralLevel, Side

Point = tuple[float, float, float]


class Approach(Enum):
    """How a needle comes to an ala (Smith and Gilula, ASSR 2006; Kortman 2013, JNIS 5:461)."""

    SHORT_AXIS = "short axis"
    LONG_AXIS = "long axis"


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """A straight line from the dorsal cortex to a tip in the bone, and what it comes close to.

    Attributes:
        entry_lps_mm, target_lps_mm: where it enters the sacrum and where the tip lies.
        direction_lps: unit vector from entry to target.
        length_mm: from entry to target, in bone.
        foramen_distance_mm: least distance of the line to each foramen of the side; 0 where the
            line runs through it. None or missing where the structure is not in view.
        canal_distance_mm, joint_distance_mm: the same for canal and joint face of the sacrum.
        anterior_cortex_distance_mm: the same for the ventral surface of the half.
        fracture_share: share of the fracture's voxels within 5 mm of the line, 0–1.
        clear: True where all distances are at least those of docs/access.md.
    """

    approach: Approach
    entry_lps_mm: Point
    target_lps_mm: Point
    direction_lps: Point
    length_mm: float
    foramen_distance_mm: dict[SacralLevel, float] = field(default_factory=dict)
    canal_distance_mm: float | None = None
    anterior_cortex_distance_mm: float | None = None
    joint_distance_mm: float | None = None
    fracture_share: float = 0.0
    clear: bool = True


@dataclass(frozen=True, kw_only=True)
class AlaAccess:
    """One fractured ala.

    Attributes:
        fracture_id: of the fracture in the same findings.
        ala_mm3: volume of the bone lateral to the foramina, S1 to S3.
        cement_range_ml: volumes of the literature for one ala, least and most.
        trajectories: at most one of each approach.
        against: what speaks against a sacroplasty or a trajectory, in words.
    """

    side: Side
    fracture_id: str
    ala_mm3: float
    cement_range_ml: tuple[float, float]
    trajectories: tuple[Trajectory, ...] = ()
    against: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CementSide:
    """Cement of one side, mm³: in the bone of ala and corridor, and in each of its foramina."""

    side: Side
    bone_mm3: float
    foramen_mm3: dict[SacralLevel, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Cement:
    """Cement that a CT shows, mm³.

    Attributes:
        sides: right and left.
        body_mm3: in the bodies, between the foramina.
        canal_mm3: in the sacral canal.
        outside_mm3: beyond the cortex, not in a foramen or the canal.
    """

    sides: tuple[CementSide, ...]
    body_mm3: float = 0.0
    canal_mm3: float = 0.0
    outside_mm3: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Sacroplasty:
    """Geometry for a physician to judge, never advice to treat.

    Attributes:
        alae: one for each fractured ala, right before left.
        cement: None where no CT shows cement.
        total_limit_ml: most cement for a whole sacrum in the literature.
        statement: what this is and what it is not.
    """

    alae: tuple[AlaAccess, ...]
    cement: Cement | None = None
    total_limit_ml: float = 12.0
    statement: str = "Geometry for a physician to judge; it is no advice to treat."
