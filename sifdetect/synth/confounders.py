"""What looks like a fracture and is none: which mimics a case has, and what they are at points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sifdetect.synth.canvas import Bendable, Canvas, Lesion, Lodgings
from sifdetect.synth.implants import CementDeposit, HipProsthesis, IliosacralScrews, Screws
from sifdetect.synth.joint_mimics import EndPlateChange, FacetArthropathy, Vacuum
from sifdetect.synth.marrow_mimics import BoneIsland, Hemangioma, RadiationField, RedMarrow
from sifdetect.synth.mimic import RATE, USUAL_BUDGET, Mimic
from sifdetect.synth.noise import Array, Points
from sifdetect.synth.sacroiliac_mimics import SacroiliacDisease
from sifdetect.synth.shape import BoneField
from sifdetect.synth.structure_mimics import NutrientChannel, PhysealRemnant, TarlovCyst
from sifdetect.synth.tumor_mimics import Metastasis, Myeloma

DRAW: dict[Mimic, Callable[[np.random.Generator], tuple[Lesion, ...]]] = {
    Mimic.SACROILIITIS: SacroiliacDisease.sacroiliitis,
    Mimic.SACROILIAC_DEGENERATION: SacroiliacDisease.degeneration,
    Mimic.END_PLATE_CHANGE: EndPlateChange.sample,
    Mimic.FACET_ARTHROPATHY: FacetArthropathy.sample,
    Mimic.RED_MARROW: RedMarrow.sample,
    Mimic.RADIATION: RadiationField.sample,
    Mimic.HEMANGIOMA: Hemangioma.sample,
    Mimic.BONE_ISLAND: BoneIsland.sample,
    Mimic.NUTRIENT_CHANNEL: NutrientChannel.sample,
    Mimic.PHYSEAL_REMNANT: PhysealRemnant.sample,
    Mimic.LYTIC_METASTASIS: Metastasis.lytic,
    Mimic.BLASTIC_METASTASIS: Metastasis.blastic,
    Mimic.INFILTRATION: Metastasis.infiltration,
    Mimic.MYELOMA: Myeloma.sample,
    Mimic.TARLOV_CYST: TarlovCyst.sample,
    Mimic.VACUUM: Vacuum.sample,
    Mimic.CEMENT: CementDeposit.sample,
    Mimic.HIP_PROSTHESIS: HipProsthesis.sample,
    Mimic.ILIOSACRAL_SCREW: IliosacralScrews.sample,
    Mimic.PEDICLE_SCREWS: Screws.pedicle,
}
"""How each mimic is drawn, in the order in which they are painted."""


@dataclass(frozen=True)
class ConfounderParams:
    """Mimics of one case, in the order in which they are painted."""

    lesions: tuple[Lesion, ...] = ()

    @staticmethod
    def sample(rng: np.random.Generator, share: float) -> ConfounderParams:
        """Draw mimics; each kind occurs with RATE, scaled by ``share`` over the usual budget.

        Each kind has a stream of its own: what one draws never changes another.
        """
        lesions: list[Lesion] = []
        for mimic, draw in DRAW.items():
            stream = np.random.default_rng(int(rng.integers(2**62)))
            if stream.random() < min(RATE[mimic] * share / USUAL_BUDGET, 1.0):
                lesions += draw(stream)
        return ConfounderParams(tuple(lesions))

    @staticmethod
    def only(mimic: Mimic, rng: np.random.Generator) -> ConfounderParams:
        """Draw one kind and nothing else."""
        return ConfounderParams(DRAW[mimic](rng))

    @property
    def mimics(self) -> frozenset[Mimic]:
        """The kinds that the case has."""
        return frozenset(lesion.mimic for lesion in self.lesions)


@dataclass(frozen=True)
class MimicField:
    """Mimics at a set of points, arrays of the points' shape.

    Attributes:
        edema, sclerosis: strengths, 0–1.
        mass, cement: True where labelled as such.
        material: Material values; ``share`` is the part of each voxel that it takes, 0–1.
        owner: number of the mimic that a voxel belongs to (its place in ``lesions``, from 1).
        metal_mm: distance to metal, up to 20 mm; None where there is none.
    """

    edema: Array
    sclerosis: Array
    mass: NDArray[np.bool_]
    cement: NDArray[np.bool_]
    material: NDArray[np.uint8]
    share: Array
    owner: NDArray[np.uint8]
    metal_mm: Array | None


@dataclass(frozen=True)
class Host:
    """The pelvis that bears the mimics: its bends, and its left hip joint's centre, mm.

    ``lodgings`` remembers where they found bone, for the next set of points.
    """

    shape: Bendable
    hip_center_mm: NDArray[np.float64]
    voxel_mm: float
    lodgings: Lodgings = field(default_factory=dict)


def evaluate(params: ConfounderParams, points: Points, bones: BoneField, host: Host) -> MimicField:
    """All mimics at points in the pelvic frame."""
    canvas = Canvas(points, bones, host.shape, host.hip_center_mm, host.voxel_mm, host.lodgings)
    for number, lesion in enumerate(params.lesions, start=1):
        canvas.number = number
        lesion.paint(canvas)
    return MimicField(
        edema=canvas.edema,
        sclerosis=canvas.sclerosis,
        mass=canvas.mass,
        cement=canvas.cement,
        material=canvas.material,
        share=canvas.share,
        owner=canvas.owner,
        metal_mm=canvas.metal_mm,
    )
