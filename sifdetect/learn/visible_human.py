"""The two pelves of the Visible Human as meshes with the landmarks of their sacra.

They belong to the HuBMAP CCF 3D reference object library (CC BY 4.0).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sifdetect.errors import UnreadableInput
from sifdetect.synth.bones import BoneMeshes
from sifdetect.synth.rasterize import Mesh

if TYPE_CHECKING:
    import trimesh

_LPS_OF_GLTF = 1000.0 * np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""glTF is in metres with Y up; these bodies face +Z and have their left at +X."""


@dataclass(frozen=True)
class _Landmarks:
    """Measured once on each mesh's midsagittal and parasagittal sections, LPS mm.

    The levels S1/S2 … S4/S5 are where the foramina lie and the canal's front wall steps back.
    """

    body_centers: tuple[tuple[float, float, float], ...]
    endplate: tuple[tuple[float, float, float], ...]


_VISIBLE_HUMAN = {
    "VH_F": _Landmarks(
        body_centers=(
            (-8.6, 96.1, 120.1),
            (-9.1, 122.1, 104.1),
            (-9.4, 142.1, 91.1),
            (-9.7, 158.1, 78.1),
            (-10.0, 168.1, 65.1),
            (-10.2, 173.1, 45.1),
        ),
        endplate=((-8.6, 81.6, 109.6), (-8.7, 111.1, 130.6)),
    ),
    # The man's first coccygeal segment is fused to S5; the curve ends above it.
    "VH_M": _Landmarks(
        body_centers=(
            (8.7, 12.5, 138.3),
            (7.0, 38.5, 122.8),
            (5.2, 64.4, 108.3),
            (3.7, 85.4, 91.8),
            (2.6, 99.3, 75.8),
            (1.5, 108.8, 54.8),
        ),
        endplate=((9.1, 0.5, 127.8), (8.4, 24.5, 148.8)),
    ),
}


PELVES = tuple(f"{stem}_Pelvis.glb" for stem in _VISIBLE_HUMAN)
"""Names of the files."""


def read_visible_human(path: Path) -> BoneMeshes:
    """The bones of one Visible Human pelvis, LPS mm as the file places them.

    Raises:
        UnreadableInput: not one of the two known pelves, damaged, or a bone is missing in it.
    """
    stem = path.name.removesuffix("_Pelvis.glb")
    if stem not in _VISIBLE_HUMAN:
        raise UnreadableInput(f"{path.name} is not a known pelvis", hint="VH_F or VH_M is")
    # Of the extra "train"; cases of other anatomy are made without it.
    import trimesh  # noqa: PLC0415  # see above

    try:
        geometry = trimesh.load_scene(path).geometry
    except (ValueError, OSError, IndexError) as error:
        raise UnreadableInput(f"{path.name} is damaged ({error})") from error
    try:
        hips = [
            tuple(
                _mesh(geometry[f"{stem}_{bone}_compact_bone_{side}"])
                for bone in ("ilium", "ischium", "pubis")
            )
            for side in "RL"
        ]
        sacrum, coccyx = (_mesh(geometry[f"{stem}_{bone}"]) for bone in ("sacrum", "coccyx"))
    except KeyError as missing:
        raise UnreadableInput(f"{path.name} holds no bone {missing}") from missing
    landmarks = _VISIBLE_HUMAN[stem]
    return BoneMeshes(
        sacrum=sacrum,
        hips=(hips[0], hips[1]),
        coccyx=coccyx,
        body_centers_lps_mm=np.array(landmarks.body_centers),
        endplate_lps_mm=np.array(landmarks.endplate),
    )


def _mesh(geometry: trimesh.Trimesh) -> Mesh:
    return Mesh(np.asarray(geometry.vertices) @ _LPS_OF_GLTF.T, np.asarray(geometry.faces))
