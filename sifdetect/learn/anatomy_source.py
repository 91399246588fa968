"""Real bone shapes from files of the user's: the Visible Human and drawn shapes.

The files are read where they lie and never copied. The pelves of the Visible Human belong to the
HuBMAP CCF 3D reference object library (CC BY 4.0); for the shape model see shape_model.py.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sifdetect.errors import UnreadableInput, UsageError
from sifdetect.learn.shape_model import PelvisModel, read_shape_model
from sifdetect.learn.visible_human import PELVES, read_visible_human
from sifdetect.synth.meshes import BoneField, BoneMeshes, field_of
from sifdetect.volume import Grid

CACHE_VERSION = 1
"""To be raised with every change of what field_of makes of the same meshes."""


class Kind(Enum):
    """What the bones of a source come from."""

    PROCEDURAL = "procedural"
    SHAPE_MODEL = "ssm"
    MESHES = "meshes"
    FOLDER = "folder"


@dataclass(frozen=True)
class AnatomySource:
    """Where the bones of cases come from; files are known by their names, never by their places."""

    kind: Kind = Kind.PROCEDURAL
    files: tuple[tuple[str, Path], ...] = ()

    def record(self) -> dict[str, Any]:
        """Kind, and the SHA-256 of each file by its name, as JSON has it."""
        return {"kind": self.kind.value, "files": {n: _sha256(path) for n, path in self.files}}


def parse(text: str) -> AnatomySource:
    """The source that a user names: ``ssm:FILE``, ``meshes:DIR`` or a folder.

    ``ssm:`` takes the sacrum of the shape model; the hip lies beside it, and the Visible Human that
    completes it below S3 in its folder or in one beside that. ``meshes:`` takes the Visible Human
    alone. A folder gives whatever known pelves lie in it, drawn ones included.

    Raises:
        UsageError: there is no such kind of source. UnreadableInput: files are missing.
    """
    if Path(text).is_dir():
        return _known(Kind.FOLDER, Path(text))
    prefix, separator, place = text.partition(":")
    if prefix == Kind.MESHES.value and separator:
        return _known(Kind.MESHES, Path(place))
    if prefix == Kind.SHAPE_MODEL.value and separator:
        return _shape_model(Path(place))
    if separator:
        raise UsageError(f"There is no anatomy source {prefix!r}", hint=_HINT)
    raise UnreadableInput(f"the folder {text} does not exist", hint=_HINT)


def load(
    folder: Path, *, shapes: int = 6, seed: int = 0, cache: Path | None = None
) -> list[BoneField]:
    """``fields`` of every pelvis that ``folder`` and the folders in it have to give.

    ``VH_F_Pelvis.glb`` and ``VH_M_Pelvis.glb`` give one each; where ``Sacrum.h5`` and
    ``LeftHip.h5`` lie there too, ``shapes`` more are drawn from the shape model.

    Raises:
        UnreadableInput: the folder holds none of the known pelves, or a file is damaged.
    """
    source = _known(Kind.FOLDER, folder)
    return list(fields(source, shapes=shapes, seed=seed, cache=cache))


def load_meshes(folder: Path, *, shapes: int = 6, seed: int = 0) -> list[BoneMeshes]:
    """The pelves of ``load`` before they are made voxels; raises as ``load`` does."""
    return meshes(_known(Kind.FOLDER, folder), shapes=shapes, seed=seed)


def fields(
    source: AnatomySource, *, shapes: int = 6, seed: int = 0, cache: Path | None = None
) -> Sequence[BoneField]:
    """The pelves of a source as voxels, about 8 s each; none where the bones are procedural.

    With ``cache``, a folder outside the repository, they are kept there for the next time and read
    one by one when asked for. What comes from there has the same voxels as what was just built.

    Raises:
        UnreadableInput: a file is damaged.
    """
    if source.kind is Kind.PROCEDURAL:
        return ()
    if cache is None:
        return [_as_kept(field_of(one)) for one in meshes(source, shapes=shapes, seed=seed)]
    key = _digest(source, shapes, seed)
    if not (cache / f"pelvis-{key}.complete").exists():
        cache.mkdir(parents=True, exist_ok=True)
        for number, one in enumerate(meshes(source, shapes=shapes, seed=seed)):
            _write_field(cache / f"pelvis-{key}-{number:03}.npz", field_of(one))
        (cache / f"pelvis-{key}.complete").touch()
    return _Kept(tuple(sorted(cache.glob(f"pelvis-{key}-*.npz"))))


def meshes(source: AnatomySource, *, shapes: int = 6, seed: int = 0) -> list[BoneMeshes]:
    """The pelves of a source that has files, before they are made voxels.

    Raises:
        UnreadableInput: a file is damaged.
    """
    files = dict(source.files)
    bodies = [read_visible_human(files[name]) for name in PELVES if name in files]
    if "Sacrum.h5" not in files or "LeftHip.h5" not in files:
        return bodies
    sacrum, hip = (read_shape_model(files[f"{bone}.h5"]) for bone in ("Sacrum", "LeftHip"))
    rng = np.random.default_rng(seed)
    drawn = [PelvisModel(sacrum, hip, bodies[n % len(bodies)]).sample(rng) for n in range(shapes)]
    return drawn if source.kind is Kind.SHAPE_MODEL else bodies + drawn


def default_cache() -> Path:
    """Where pelves are kept between calls: the user's cache folder (XDG base directories)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sifdetect"


@dataclass(frozen=True)
class _Kept(Sequence[BoneField]):
    """Pelves in files, of which few are in memory at a time: one holds some 100 MB."""

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> Any:
        return _read_field(self.paths[index])


def _known(kind: Kind, folder: Path) -> AnatomySource:
    if not folder.is_dir():
        raise UnreadableInput(f"the folder {folder} does not exist", hint=_HINT)
    found = _files(folder)
    if kind is Kind.MESHES:
        found = {name: path for name, path in found.items() if name in PELVES}
    if not set(found) & set(PELVES):
        raise UnreadableInput(
            f"no pelvic meshes in {folder}", hint=f"expected {' or '.join(PELVES)}"
        )
    return AnatomySource(kind, tuple(sorted(found.items())))


def _shape_model(sacrum: Path) -> AnatomySource:
    if sacrum.is_dir():
        raise UnreadableInput(f"{sacrum} is a folder; a file is needed", hint=_HINT)
    if not sacrum.is_file():
        raise UnreadableInput(f"the file {sacrum} does not exist", hint=_HINT)
    hip = sacrum.with_name("LeftHip.h5")
    if not hip.is_file():
        raise UnreadableInput(
            f"there is no LeftHip.h5 beside {sacrum}", hint="Both bones' models are needed"
        )
    near = sacrum.resolve().parent
    around = [near, *sorted(path for path in near.parent.iterdir() if path.is_dir())]
    pelves = {name: path for place in around for name in PELVES if (path := place / name).is_file()}
    if not pelves:
        raise UnreadableInput(
            f"no Visible Human completes {sacrum.name} below S3",
            hint=f"put {' or '.join(PELVES)} beside it or into a folder beside its own",
        )
    return AnatomySource(
        Kind.SHAPE_MODEL,
        (("LeftHip.h5", hip), ("Sacrum.h5", sacrum), *sorted(pelves.items())),
    )


def _digest(source: AnatomySource, shapes: int, seed: int) -> str:
    """Names what the voxels depend on: the files' contents, the draws and the code's version."""
    digest = hashlib.sha256(f"{CACHE_VERSION} {source.kind.value} {shapes} {seed}".encode())
    for name, path in source.files:
        digest.update(f"{name} {_sha256(path)}".encode())
    return digest.hexdigest()[:16]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _files(folder: Path) -> dict[str, Path]:
    """The known files below a folder, by name."""
    known = {"Sacrum.h5", "LeftHip.h5", *PELVES}
    return {path.name: path for path in sorted(folder.rglob("*")) if path.name in known}


def _as_kept(field: BoneField) -> BoneField:
    """The field as its file would give it back."""
    kept: dict[str, Any] = {name: half.astype(np.float32) for name, half in _halves(field).items()}
    return replace(field, **kept)


def _halves(field: BoneField) -> dict[str, Any]:
    """Half precision is ample: 0.002 of a level, 0.02 mm of depth."""
    return {name: getattr(field, name).astype(np.float16) for name in _FLOATS}


def _write_field(path: Path, field: BoneField) -> None:
    part = path.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as file:
        np.savez(
            file,
            affine=field.grid.affine_lps_mm,
            **_halves(field),
            **{name: getattr(field, name) for name in _OTHERS},
        )
    part.rename(path)


@lru_cache(maxsize=2)
def _read_field(path: Path) -> BoneField:
    with np.load(path) as kept:
        arrays = {name: kept[name].astype(np.float32) for name in _FLOATS}
        others = {name: kept[name] for name in _OTHERS}
        grid = Grid(arrays["level"].shape, kept["affine"])
    return BoneField(grid=grid, **arrays, **others)


_HINT = "Use ssm:FILE, meshes:DIR or a folder"
_FLOATS = ("level", "lateral", "sacrum_depth_mm", "hip_depth_mm")
_OTHERS = ("hip_side", "cavity", "landmarks_lps_mm")
