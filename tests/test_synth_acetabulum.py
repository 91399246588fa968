"""Femoral heads in real hip bones: the socket is found, and the head sits in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sifdetect.anatomy import AnatomyLabel, Side
from sifdetect.learn import anatomy_source
from sifdetect.synth.acetabulum import CARTILAGE_MM, EXPECTED_MM, fit_socket
from sifdetect.synth.bones import BoneField
from sifdetect.synth.mesh_shape import MeshShape
from sifdetect.synth.noise import Points
from sifdetect.synth.shape import FEMUR
from sifdetect.volume import Floats, Grid

SPACING_MM = 2.0
LANDMARKS = np.array([[0, -15, 0], [0, 15, 0], [-25, 0, 0], [25, 0, 0], [0, 0, 0], [0, 10, -30]])


def cups(center: Floats, radius_mm: float, *, hollow: bool = True) -> BoneField:
    """Two balls of bone about the hip joints, perhaps with a socket that opens to the side."""
    low, high = np.array([-140.0, -90, -160]), np.array([140.0, 40, -50])
    shape = tuple(int(n) for n in np.ceil((high - low) / SPACING_MM))
    affine = np.diag([SPACING_MM] * 3 + [1.0])
    affine[:3, 3] = low
    grid = Grid((shape[0], shape[1], shape[2]), affine)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)
    place = grid.index_to_mm(index)
    side = np.where(place[..., 0] < 0, -1, 1).astype(np.int8)
    place[..., 0] = np.abs(place[..., 0])
    distance = np.linalg.norm(place - center, axis=-1)
    depth = (38.0 if hollow else 26.0) - distance
    if hollow:
        opening = place[..., 0] - center[0]
        depth = np.minimum(np.minimum(depth, distance - radius_mm), 8 - opening)
    values = depth.astype(np.float32)
    none = np.zeros(grid.shape, dtype=np.float32)
    return BoneField(
        grid=grid,
        level=none,
        lateral=none,
        sacrum_depth_mm=none - 20,
        hip_depth_mm=values,
        hip_side=side,
        cavity=none.astype(np.uint8),
        landmarks_lps_mm=LANDMARKS.astype(np.float64),
    )


@pytest.mark.parametrize("side", [Side.RIGHT, Side.LEFT])
@pytest.mark.parametrize("radius_mm", [23.0, 28.0])
def test_a_socket_is_found_where_it_is(side: Side, radius_mm: float) -> None:
    """Centre within 1 mm, radius within 0.7 mm, 17 mm from where a joint is expected."""
    center = np.array(EXPECTED_MM) + np.array([8.0, -11.0, 10.0])
    found = fit_socket(cups(center, radius_mm), side)
    assert found is not None
    sign = -1 if side is Side.RIGHT else 1
    assert np.linalg.norm(found.center_lps_mm - center * np.array([sign, 1, 1])) < 1.0
    assert found.radius_mm == pytest.approx(radius_mm, abs=0.7)
    assert found.head_mm == found.radius_mm - CARTILAGE_MM


def test_bone_without_a_socket_has_none() -> None:
    """The outside of a ball faces away from its centre."""
    assert fit_socket(cups(np.array(EXPECTED_MM), 25.0, hollow=False), Side.LEFT) is None


@pytest.mark.real
def test_the_heads_lie_in_the_sockets_of_the_visible_human() -> None:
    """Medially and cranially of the head hip bone follows after a gap of some millimetres."""
    folder = Path(__file__).parents[1] / ".." / "shared" / "real" / "mesh_visible_human"
    if not folder.is_dir():
        pytest.skip("no ../shared/real/mesh_visible_human beside the repository")
    cache = anatomy_source.default_cache()
    for number, source in enumerate(anatomy_source.load(folder, cache=cache)):
        shape = MeshShape.sample(np.random.default_rng(number), source)
        for sign, center in zip((-1, 1), shape._heads[0], strict=True):
            start = center * np.array([sign, 1, 1])
            ways = np.array([[-sign, y, z] for y in (-0.4, 0.0, 0.4) for z in (0.0, 0.5, 1.0)])
            ways /= np.linalg.norm(ways, axis=1)[:, None]
            along = np.arange(0.0, 45.0, 0.5)
            place = start + ways[:, None] * along[:, None]
            labels = shape.bones(Points(*np.moveaxis(place, -1, 0).astype(np.float32))).labels
            hips = np.isin(labels, (AnatomyLabel.HIP_RIGHT, AnatomyLabel.HIP_LEFT))
            assert (labels[:, 0] == FEMUR).all()
            first = np.where(hips.any(axis=1), np.argmax(hips, axis=1), -1)
            gaps = [
                along[end] - along[np.flatnonzero(row[:end] == FEMUR)[-1]]
                for row, end in zip(labels, first, strict=True)
                if end > 0
            ]
            assert len(gaps) >= 7
            assert 0.5 <= np.median(gaps) <= 5
            assert max(gaps) < 9
