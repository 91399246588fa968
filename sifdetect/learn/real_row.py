"""Real scans for a contact sheet: the same planes of the sacral frame, at the same windows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import AnatomyLabel, Modality, MrWeighting
from sifdetect.dicom.nifti import read_nifti
from sifdetect.dicom.read import read_studies
from sifdetect.engine import Models
from sifdetect.errors import NoSacrumInView
from sifdetect.fit import MEAN_PLACE_MM
from sifdetect.learn.planes import BONE, Plane
from sifdetect.pipeline import analyze_study
from sifdetect.volume import SacralFrame, Volume

_OBLIQUE = 0.5
"""Cosine between a plane and a scan's slices below which the slices cut it into strips."""


@dataclass(frozen=True)
class RealScan:
    """One examination: its volumes and where its sacrum lies."""

    name: str
    frame: SacralFrame
    volumes: tuple[Volume, ...]

    def has(self, weighting: MrWeighting | None) -> bool:
        """True where it has an MR series of that weighting; for None, a CT."""
        return any(one.weighting is weighting for one in self.volumes)

    def picture(self, weighting: MrWeighting | None, plane: Plane) -> NDArray[np.float32] | None:
        """Grey values 0-1 of the plane; None where the examination has no such series.

        CT (``weighting`` None) is drawn at the window of bone, MR with its 99th percentile white.
        Of several series the one whose slices lie nearest to the plane is taken.
        """
        mine = [one for one in self.volumes if one.weighting is weighting]
        if not mine:
            return None
        chosen = max(mine, key=lambda one: self._alike(one, plane))
        values = plane.picture(chosen.resampled(plane.grid(self.frame)).values)
        if weighting is None:
            return np.asarray((values - BONE[0]) / (BONE[1] - BONE[0]), dtype=np.float32)
        return np.asarray(values / max(float(np.percentile(values, 99)), 1e-6), dtype=np.float32)

    def _alike(self, volume: Volume, plane: Plane) -> float:
        """1 where the slices are parallel to the plane; finer voxels decide below _OBLIQUE."""
        spacing = volume.grid.spacing_mm
        axis = int(np.argmax(spacing))
        normal = volume.grid.affine_lps_mm[:3, axis] / spacing[axis]
        cosine = abs(float(normal @ self.frame.axes[plane.normal]))
        return cosine if cosine > _OBLIQUE else -float(spacing[axis])


def read_scans(
    paths: Iterable[tuple[str, Path]],
    models: Path,
    landmarks: Mapping[str, tuple[float, ...]] | None = None,
) -> list[RealScan]:
    """The examinations by name, each with its sacral frame as the pipeline finds it.

    Args:
        paths: name and DICOM study (file, folder or zip) or CT as NIfTI.
        models: folder of the bundles.
        landmarks: by name, where a human put them, see ``frame_of_landmarks``; the networks are
            then not asked.

    Raises:
        NoSacrumInView: one of them shows no sacrum.
        InputError: one of them cannot be read.
    """
    known = landmarks or {}
    return [_read(name, path, Models(models), known.get(name)) for name, path in paths]


def frame_of_landmarks(centers_mm: Sequence[float]) -> SacralFrame:
    """The frame of a sacrum whose S1 and S3 bodies have their centres at two points.

    Args:
        centers_mm: x, y, z of S1, then of S3, in LPS; the patient is taken to lie straight, so that
            left is the scanner's as far as the sacrum's own axis allows.
    """
    upper, lower = np.reshape(np.asarray(centers_mm, dtype=np.float64), (2, 3))
    cranial = (upper - lower) / np.linalg.norm(upper - lower)
    left = np.array([1.0, 0.0, 0.0]) - cranial[0] * cranial
    left /= np.linalg.norm(left)
    axes = np.stack([left, np.cross(left, cranial), cranial])
    of_frame = np.mean(MEAN_PLACE_MM[AnatomyLabel.SACRAL_BODY][::2], axis=0)
    return SacralFrame((upper + lower) / 2 - of_frame @ axes, axes)


def _read(
    name: str, path: Path, models: Models, landmarks: Sequence[float] | None = None
) -> RealScan:
    nifti = path.name.endswith((".nii", ".nii.gz"))
    study = (
        read_nifti([path], modality=Modality.CT) if nifti else read_studies([path])[0].to_study()
    )
    volumes = tuple(one.volume for one in study.series)
    if landmarks is not None:
        return RealScan(name, frame_of_landmarks(landmarks), volumes)
    regions = analyze_study(study, models).regions
    if not regions:
        raise NoSacrumInView(f"{path} shows no sacrum")
    return RealScan(name, regions[0].segmentation.frame, volumes)
