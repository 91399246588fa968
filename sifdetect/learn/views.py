"""Fields of view for training a localizer: trunk blocks, and slabs as MR examinations have them.

A view is cut from a trunk case by one rotation and one crop. The network sees what it will see in
use: the scan's own axes, from along the table to along the sacrum, and nothing around the scan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from sifdetect.anatomy import LocalizerClass, Modality
from sifdetect.learn.dataset import Rendered


@dataclass(frozen=True)
class View:
    """A kind of examination.

    Attributes:
        size: voxels right→left, posterior→anterior, caudal→cranial.
        patches: how many make up a batch of about the usual number of voxels.
        along_sacrum: share of these examinations that are angled along the sacrum.
        center_mm: standard deviation of the centre about the sacrum's.
        share: how often it is drawn, by modality.
        above: share of these examinations that show the spine above the sacrum.
        toward_mm: mean of the centre about the sacrum's.
    """

    size: tuple[int, int, int]
    patches: int
    along_sacrum: float
    center_mm: tuple[float, float, float]
    share: dict[Modality, float]
    above: float = 0.08
    toward_mm: tuple[float, float, float] = (0, 0, 0)


_ORGANS_MM = (0.0, 55.0, -20.0)
VIEWS = (
    View((64, 64, 64), 4, 0.1, (35, 35, 60), {Modality.CT: 0.75, Modality.MR: 0.2}),
    View((64, 24, 56), 10, 0.8, (8, 14, 22), {Modality.CT: 0.05, Modality.MR: 0.25}),
    View((16, 64, 64), 12, 0.2, (12, 25, 60), {Modality.CT: 0.05, Modality.MR: 0.22}, above=0.3),
    View((64, 56, 24), 10, 0.4, (15, 20, 30), {Modality.CT: 0.15, Modality.MR: 0.1}),
    View((24, 56, 56), 10, 0.1, (8, 30, 25), {Modality.CT: 0, Modality.MR: 0.15}, 0, _ORGANS_MM),
    View((48, 48, 24), 14, 0.1, (8, 30, 35), {Modality.CT: 0, Modality.MR: 0.08}, 0, _ORGANS_MM),
)
"""Trunk; coronal along the sacrum; sagittal lumbar or sacral; axial; sagittal and axial of the
organs of the lesser pelvis, with the sacrum at the edge or out of view."""
TURN_DEG = (14.0, 7.0, 7.0)
"""Standard deviation of pitch, roll and yaw about the table's or the sacrum's axes."""


def draw_view(modality: Modality, rng: np.random.Generator) -> View:
    """One kind of examination, as often as its share says."""
    share = np.array([view.share[modality] for view in VIEWS])
    return VIEWS[int(rng.choice(len(VIEWS), p=share / share.sum()))]


@dataclass(frozen=True)
class Cut:
    """A view of one case: input index = matrix · output index + offset."""

    matrix: NDArray[np.float64]
    offset: NDArray[np.float64]
    size: tuple[int, int, int]

    def sampled(self, values: NDArray[Any], *, order: int, outside: float) -> NDArray[Any]:
        """An array (i, j, k) of the case as the view has it."""
        result: NDArray[Any] = ndimage.affine_transform(
            values, self.matrix, self.offset, self.size, order=order, cval=outside
        )
        return result


def draw_cut(sample: Rendered, view: View, rng: np.random.Generator) -> Cut:
    """Place and direction of a view of one case."""
    turn = Rotation.from_euler("xyz", rng.normal(0, TURN_DEG), degrees=True).as_matrix()
    axes = sacral_axes(sample["place"]) if rng.random() < view.along_sacrum else np.eye(3)
    matrix = axes @ turn
    sacrum = np.argwhere(sample["classes"] == LocalizerClass.SACRUM)
    shape = np.array(sample["classes"].shape)
    middle = sacrum.mean(axis=0) if len(sacrum) else shape / 2
    center = middle + matrix @ (rng.normal(view.toward_mm, view.center_mm) / 4.0)
    if rng.random() < view.above:
        center = center + np.array([0.0, 0.0, rng.uniform(100, 200) / 4.0])
    offset = center - matrix @ ((np.array(view.size) - 1) / 2)
    return Cut(matrix, offset, view.size)


def sacral_axes(place: NDArray[Any]) -> NDArray[np.float64]:
    """(3, 3), columns are the sacral frame's axes in array axes, from the places of the voxels."""
    corner = place[:, 0, 0, 0].astype(np.float64)
    steps = []
    for axis in range(3):
        line = np.moveaxis(place, axis + 1, 1)[:, :, 0, 0].astype(np.float64)
        steps.append((line[:, -1] - corner) / (line.shape[1] - 1))
    u, _, vt = np.linalg.svd(np.stack(steps, axis=1))
    return np.asarray((u @ vt).T)
