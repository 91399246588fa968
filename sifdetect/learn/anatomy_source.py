"""Real bone shapes from a folder of the user's: the Visible Human and drawn shapes.

The files are read where they lie and never copied. The pelves of the Visible Human belong to the
HuBMAP CCF 3D reference object library (CC BY 4.0); for the shape model see shape_model.py.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh

from sifdetect.errors import UnreadableInput
from sifdetect.learn.shape_model import PelvisModel, read_shape_model
from sifdetect.synth.meshes import BoneField, BoneMeshes, field_of
from sifdetect.synth.rasterize import Mesh
from sifdetect.volume import Grid

CACHE_VERSION = 1
"""To be raised with every change of what field_of makes of the same meshes."""
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


def load(
    folder: Path, *, shapes: int = 6, seed: int = 0, cache: Path | None = None
) -> list[BoneField]:
    """Every pelvis that ``folder`` and the folders in it have to give, about 8 s each.

    ``VH_F_Pelvis.glb`` and ``VH_M_Pelvis.glb`` give one each; where ``Sacrum.h5`` and
    ``LeftHip.h5`` lie there too, ``shapes`` more are drawn from the shape model. With ``cache``,
    a folder outside the repository, the voxels are kept there for the next time.

    Raises:
        UnreadableInput: the folder holds none of the known pelves, or a file is damaged.
    """
    if cache is None:
        return [field_of(meshes) for meshes in load_meshes(folder, shapes=shapes, seed=seed)]
    key = _digest(folder, shapes, seed)
    kept = sorted(cache.glob(f"pelvis-{key}-*.npz"))
    if kept and (cache / f"pelvis-{key}.complete").exists():
        return [_read_field(path) for path in kept]
    fields = [field_of(meshes) for meshes in load_meshes(folder, shapes=shapes, seed=seed)]
    cache.mkdir(parents=True, exist_ok=True)
    for number, field in enumerate(fields):
        _write_field(cache / f"pelvis-{key}-{number:03}.npz", field)
    (cache / f"pelvis-{key}.complete").touch()
    return [_read_field(path) for path in sorted(cache.glob(f"pelvis-{key}-*.npz"))]


def load_meshes(folder: Path, *, shapes: int = 6, seed: int = 0) -> list[BoneMeshes]:
    """The pelves of ``load`` before they are made voxels; raises as ``load`` does."""
    files = _files(folder)
    bodies = [
        read_visible_human(files[name])
        for stem in _VISIBLE_HUMAN
        if (name := f"{stem}_Pelvis.glb") in files
    ]
    if not bodies:
        raise UnreadableInput(
            f"no pelvic meshes in {folder}", hint="expected VH_F_Pelvis.glb or VH_M_Pelvis.glb"
        )
    if "Sacrum.h5" not in files or "LeftHip.h5" not in files:
        return bodies
    sacrum, hip = (read_shape_model(files[f"{bone}.h5"]) for bone in ("Sacrum", "LeftHip"))
    rng = np.random.default_rng(seed)
    drawn = [PelvisModel(sacrum, hip, bodies[n % len(bodies)]).sample(rng) for n in range(shapes)]
    return bodies + drawn


def read_visible_human(path: Path) -> BoneMeshes:
    """The bones of one Visible Human pelvis, LPS mm as the file places them.

    Raises:
        UnreadableInput: not one of the two known pelves, or a bone is missing in it.
    """
    stem = path.name.removesuffix("_Pelvis.glb")
    if stem not in _VISIBLE_HUMAN:
        raise UnreadableInput(f"{path.name} is not a known pelvis", hint="VH_F or VH_M is")
    geometry = trimesh.load_scene(path).geometry
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


def _digest(folder: Path, shapes: int, seed: int) -> str:
    """Names what the voxels depend on: the files' contents, the draws and the code's version."""
    digest = hashlib.sha256(f"{CACHE_VERSION} {shapes} {seed}".encode())
    for name, path in sorted(_files(folder).items()):
        digest.update(name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _files(folder: Path) -> dict[str, Path]:
    """The known files below a folder, by name."""
    known = {"Sacrum.h5", "LeftHip.h5", *(f"{stem}_Pelvis.glb" for stem in _VISIBLE_HUMAN)}
    return {path.name: path for path in sorted(Path(folder).rglob("*")) if path.name in known}


def _write_field(path: Path, field: BoneField) -> None:
    """Half precision is ample: 0.002 of a level, 0.02 mm of depth."""
    part = path.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as file:
        np.savez(
            file,
            affine=field.grid.affine_lps_mm,
            **{name: getattr(field, name).astype(np.float16) for name in _FLOATS},
            **{name: getattr(field, name) for name in _OTHERS},
        )
    part.rename(path)


def _read_field(path: Path) -> BoneField:
    with np.load(path) as kept:
        arrays = {name: kept[name].astype(np.float32) for name in _FLOATS}
        others = {name: kept[name] for name in _OTHERS}
        grid = Grid(arrays["level"].shape, kept["affine"])
    return BoneField(grid=grid, **arrays, **others)


_FLOATS = ("level", "lateral", "sacrum_depth_mm", "hip_depth_mm")
_OTHERS = ("hip_side", "cavity", "landmarks_lps_mm")
