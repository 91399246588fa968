"""What is measured on a segmentation: the types that stand between voxels and words."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sifdetect.anatomy import DenisZone, Modality, SacralLevel, Side
from sifdetect.findings import Basis, Fracture, OtherFinding
from sifdetect.volume import LabelMap

SIDES = (Side.RIGHT, Side.LEFT)
"""The two halves of the sacrum, in the order in which they are reported."""

REACHED_MM2 = 240.0
"""Contact from which a line that lies wholly in the ala reaches a foramen or the canal and does not
graze it: on true labels of synthetic sacra alar lines have up to 190 mm²; along the lateral wall of
one foramen, 9 mm high and 30 mm deep, it is 270."""


LEAVES = 0.25
"""A vertical line goes on beyond a transverse one from this on, on the level scale: 6–7 mm. On true
labels of synthetic sacra lines that end at the junction read at most 0.12, others 0.27 and more."""

LEAVES_EDEMA = 0.45
"""The same for edema, which spreads around a line by up to 15 mm; its outer tenth is left out."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """The course of one ala's line.

    Attributes:
        foramen_contact_mm2: area of line that lies against the wall of each foramen of its side.
        canal_contact_mm2: the same for the sacral canal.
        joint_contact_mm: cranio-caudal length over which the line reaches the joint face.
        joint_contact_share: share of the line in the ala that lies against the joint face, 0–1.
        lean_deg: angle in the axial plane between line and the lateral surface of the ala, positive
            where the line nears it dorsally; None where the line is too small to have one.
        depth_mm: how far the line goes in from the anterior cortex, 90th percentile.
        anterior_contact_mm: cranio-caudal length over which the line parts the anterior cortex.
        joint_depth_mm: median distance of the line in the ala from the joint face.
    """

    foramen_contact_mm2: dict[SacralLevel, float] = field(default_factory=dict)
    canal_contact_mm2: float = 0.0
    joint_contact_mm: float = 0.0
    joint_contact_share: float = 0.0
    lean_deg: float | None = None
    depth_mm: float | None = None
    anterior_contact_mm: float = 0.0
    joint_depth_mm: float | None = None

    @property
    def reached_foramina(self) -> tuple[SacralLevel, ...]:
        """Foramina with more than a grazing contact."""
        return tuple(lv for lv, area in self.foramen_contact_mm2.items() if area >= REACHED_MM2)

    @property
    def reaches_canal(self) -> bool:
        """True for more than a grazing contact with the sacral canal."""
        return self.canal_contact_mm2 >= REACHED_MM2


@dataclass(frozen=True, kw_only=True)
class Ring:
    """The anterior ring of the pelvis.

    Attributes:
        seen: sides whose pubic rami are in view.
        broken: sides with a fracture line in them.
    """

    seen: frozenset[Side] = frozenset()
    broken: frozenset[Side] = frozenset()


@dataclass(frozen=True, kw_only=True)
class WallBreak:
    """How two parts of the sacrum lie to each other in the midsagittal plane.

    Attributes:
        level: of the break on the level scale.
        step_mm: of the posterior wall, positive where the upper part lies ventral to the lower.
        angle_deg: beyond the sacrum's own curve, positive to more kyphosis.
        body_depth_mm: of the body at the break; a step of that size is a complete offset.
    """

    level: float
    step_mm: float
    angle_deg: float
    body_depth_mm: float


@dataclass(frozen=True, kw_only=True)
class VerticalLimb:
    """A fracture that runs along the load path of one ala.

    Attributes:
        basis: what the limb rests on.
        upper, lower: cranial and caudal end on the level scale: 0 at the S1 upper end plate, 1 at
            S1/S2, … 5 at the tip of S5.
    """

    basis: Basis
    upper: float
    lower: float


@dataclass(frozen=True, kw_only=True)
class TransverseLimb:
    """A fracture that runs across the bodies from one side of the midline to the other.

    Attributes:
        basis: what the limb rests on.
        level: where it meets the midline, on the level scale.
        junction: where it leaves the bodies on each side, on the level scale.
        width_mm: extent from right to left within the bodies.
        area_mm2: cross-section of the sacrum that lines take up at its height.
    """

    basis: Basis
    level: float
    junction: dict[Side, float]
    width_mm: float
    area_mm2: float = 0.0


def main_limb(limbs: tuple[TransverseLimb, ...]) -> TransverseLimb | None:
    """Of several transverse limbs the one that parts most of the sacrum; None of none."""
    return max(limbs, key=lambda limb: (limb.area_mm2, limb.width_mm), default=None)


@dataclass(frozen=True, kw_only=True)
class SideMeasurements:
    """One half of the sacrum, from the midline to the sacroiliac joint.

    Attributes:
        basis: what a fracture statement about this ala rests on; None where there is none.
        line_mm3: volume of this ala's own line; a transverse limb is not part of it.
        zone_mm3: volume of the line, or of the edema or sclerosis where there is no line, by the
            Denis zone that the voxels lie in.
        edema_mm3: marrow edema of ala and foraminal corridor; None where it cannot be seen.
        sclerosis_mm3: the same for sclerosis; None where it cannot be seen.
        foramen_distance_mm: gap between line and foramen; 0 where they touch; empty without a line.
        touched_foramina: foramina whose wall the line reaches.
        crossed_foramina: foramina whose opposite walls the line reaches.
        canal_distance_mm: gap between line and sacral canal; 0 where they touch.
        joint_distance_mm: gap between the line in the ala and the joint face of the sacrum.
        joint_angle_deg: angle between the planes of the line in the ala and of the joint face,
            0–90; None where either is too small or too round to have a plane.
        course: of the line; without contacts and angles where there is none.
        shift_mm: how far the bone lateral to the line lies above its place; None without a line.
        cortex_ridge_mm: height of a ridge of the anterior cortex over edema without a line; None
            where there is none such.
        limb: the vertical limb; None where there is none.
        in_view: share of the ala's expected extent that the scan covers, 0–1.
    """

    basis: Basis | None = None
    line_mm3: float = 0.0
    zone_mm3: dict[DenisZone, float] = field(default_factory=dict)
    edema_mm3: float | None = None
    sclerosis_mm3: float | None = None
    foramen_distance_mm: dict[SacralLevel, float] = field(default_factory=dict)
    touched_foramina: tuple[SacralLevel, ...] = ()
    crossed_foramina: tuple[SacralLevel, ...] = ()
    canal_distance_mm: float | None = None
    joint_distance_mm: float | None = None
    joint_angle_deg: float | None = None
    course: Course = field(default_factory=Course)
    shift_mm: float | None = None
    cortex_ridge_mm: float | None = None
    cortex_bent_mm: float | None = None
    limb: VerticalLimb | None = None
    in_view: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """All that is measured on one segmentation.

    Attributes:
        fractures: at most one for each ala and one for the midline, right before left.
        components: value n marks the voxels that ``fractures[n - 1]`` was measured on: its line, or
            its edema or sclerosis where there is no line.
        sides: RIGHT and LEFT.
        transverse: limbs that cross the bodies, cranial to caudal.
        wall: step and angle of the posterior wall at the main transverse limb; None where there
            is none, or too little to be measured on.
        boundaries: the same at S1/S2, S2/S3 and S3/S4, by the upper segment.
        comminution_mm3: volume of lines in the S1 body away from the transverse limb.
        ring: the anterior ring.
        midline_line: True where a line lies in the midline and does not run across.
        other_findings: what was seen and is not called a fracture.
        score: 0–1, the lesion probability that a line or an edema of the least size reaches.
        modality: of the scan.
        fluid_sensitive: True where marrow edema can be judged.
    """

    fractures: tuple[Fracture, ...]
    components: LabelMap
    sides: dict[Side, SideMeasurements]
    transverse: tuple[TransverseLimb, ...] = ()
    wall: WallBreak | None = None
    boundaries: dict[SacralLevel, WallBreak] = field(default_factory=dict)
    comminution_mm3: float = 0.0
    ring: Ring = field(default_factory=Ring)
    midline_line: bool = False
    other_findings: tuple[OtherFinding, ...] = ()
    score: float = 0.0
    modality: Modality
    fluid_sensitive: bool


UNCERTAIN = "uncertain fracture-like line or edema"
"""Kind of an other finding that would be a fracture if its probability were higher."""


def withheld(measurements: Measurements) -> Measurements:
    """The measurements with every fracture listed among the other findings, and none stated.

    For a study whose calibrated probability does not reach the point from which one is stated.
    """
    demoted = tuple(
        OtherFinding(
            kind=UNCERTAIN,
            side=fracture.side,
            centroid_lps_mm=fracture.centroid_lps_mm,
            volume_mm3=fracture.volume_mm3,
        )
        for fracture in measurements.fractures
    )
    components = measurements.components
    return replace(
        measurements,
        fractures=(),
        components=LabelMap(components.values * 0, components.grid),
        sides={
            side: SideMeasurements(
                edema_mm3=one.edema_mm3, sclerosis_mm3=one.sclerosis_mm3, in_view=one.in_view
            )
            for side, one in measurements.sides.items()
        },
        transverse=(),
        wall=None,
        comminution_mm3=0.0,
        midline_line=False,
        other_findings=(*demoted, *measurements.other_findings),
    )
