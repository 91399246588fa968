"""Ligaments of the pelvis, the sacroiliac joints, and the roots in front of the sacrum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sifdetect.synth.body import Tissue
from sifdetect.synth.lattice import Lattice
from sifdetect.synth.noise import Array
from sifdetect.synth.place import Place, tube
from sifdetect.synth.shape import BoneField

ROOTS = (
    (((18, 2, 12), (30, 4, -6), (44, -8, -40), (52, -22, -72)), (2.5, 3.6, 3.6, 4.0)),
    (((22, -16, -22), (36, -20, -48), (52, -24, -74)), (3.2, 3.8, 4.5)),
    (((18, -26, -46), (34, -26, -62), (54, -26, -78)), (2.4, 2.8, 4.0)),
    (((54, -25, -76), (68, -46, -112), (82, -40, -190)), (5.0, 6.5, 5.5)),
)
"""L5 root and lumbosacral trunk over the ala, S1 and S2 roots, sciatic nerve: knots and radii."""
SACROSPINOUS = (((13, -30, -92), (52, -17, -106)), (5.0, 2.6))
SACROTUBEROUS = (((22, -50, -80), (40, -34, -130), (54, -6, -176)), (4.0, 3.4, 4.5))


def evaluate(
    tissue: NDArray[np.uint8],
    lattice: Lattice,
    place: Place,
    bones: BoneField,
    *,
    fine: Array,
) -> None:
    """Write ligaments, joints, roots and the veins in front of the sacrum into ``tissue``."""
    _presacral(tissue, bones, fine)
    ligament = np.minimum(tube(place, *SACROSPINOUS), tube(place, *SACROTUBEROUS))
    tissue[lattice.filled(ligament) < 0] = Tissue.LIGAMENT
    root = lattice.filled(np.minimum.reduce([tube(place, *course) for course in ROOTS]))
    tissue[root < 1.8] = Tissue.FAT
    tissue[root < 0] = Tissue.NERVE
    _joints(tissue, lattice, place, bones, fine=fine)


def _presacral(tissue: NDArray[np.uint8], bones: BoneField, fine: Array) -> None:
    """Fat and a venous plexus on the ventral face of bodies and foramina."""
    front = (bones.sacrum_mm < 6) & (bones.v_mm > 0) & (bones.s_mm > 2) & (bones.level < 4.8)
    medial = np.abs(bones.lateral) < 2.2
    tissue[front & medial] = Tissue.FAT
    tissue[front & medial & (bones.sacrum_mm < 4.5) & (np.abs(fine) < 0.07)] = Tissue.VEIN


def _joints(
    tissue: NDArray[np.uint8],
    lattice: Lattice,
    place: Place,
    bones: BoneField,
    *,
    fine: Array,
) -> None:
    """Cartilage in the ventral part of the joint; ligament and fat behind and above it."""
    recess = np.maximum(place.sacrum - 17, place.wing - 15)
    recess = np.maximum(recess, np.maximum(place.v + 15, -place.v - 50))
    recess = np.maximum(recess, np.abs(place.s - 28 * place.scale) - 40)
    behind = lattice.filled(recess.astype(np.float32)) < 0
    behind &= (np.abs(bones.lateral) > 2.2) & (bones.labels == 0)
    tissue[behind] = Tissue.FAT
    tissue[behind & (np.abs(fine) < 0.45)] = Tissue.SEPTUM
    tissue[behind & (np.abs(fine) < 0.2)] = Tissue.LIGAMENT
    tissue[bones.joint & (bones.v_mm > -24)] = Tissue.CARTILAGE
    symphysis = np.maximum(place.side - 5, np.maximum(place.wing - 7, 30 - place.at.y))
    symphysis = np.maximum(symphysis, place.at.z + 70).astype(np.float32)
    tissue[lattice.filled(symphysis) < 0] = Tissue.CARTILAGE
