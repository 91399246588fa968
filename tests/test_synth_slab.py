"""Work slab by slab gives what work on the whole gives."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from sifdetect.synth import blur, noise, slab
from sifdetect.synth.lattice import Array, Points, coarsely
from sifdetect.synth.scene import points_of, sample_case, scene_at
from sifdetect.synth.slab import in_pieces, in_slabs


def grid_points(shape: tuple[int, int, int]) -> Points:
    """Points one millimetre apart."""
    return Points(*np.meshgrid(*[np.arange(n, dtype=np.float32) for n in shape], indexing="ij"))


def test_pieces_of_arrays_tuples_and_dataclasses_are_put_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every point gets what its own coordinates give, and the function sees slabs."""
    monkeypatch.setattr(slab, "SLAB_POINTS", 100)
    points, seen = grid_points((17, 6, 5)), []

    def moved(at: Points, weight: Array) -> tuple[Points, Array]:
        seen.append(at.x.shape)
        return Points(at.x + 1, at.y, at.z), at.z * weight

    there, product = in_slabs(moved, points, points.y)
    assert len(seen) == 6
    np.testing.assert_array_equal(there.x, points.x + 1)
    np.testing.assert_array_equal(product, points.z * points.y)


def test_a_patient_is_the_same_in_slabs_and_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hardly a voxel has another label or tissue; none is off by more than interpolation."""
    case = sample_case(3)
    points = points_of(case, case.frame.grid((-66, -50, -70), (66, 40, 60), 2.0))
    whole = scene_at(case, points, 2.0)
    monkeypatch.setattr(slab, "SLAB_POINTS", points.x.size // 5)
    parts = scene_at(case, points, 2.0)
    assert np.mean(whole.bones.labels != parts.bones.labels) < 0.002
    assert np.mean(whole.tissue != parts.tissue) < 0.02
    near = np.abs(whole.bones.depth_mm) < 3
    assert np.percentile(np.abs(whole.bones.depth_mm - parts.bones.depth_mm)[near], 99) < 0.4


@pytest.mark.parametrize("spacing_mm", [1.0, 2.0, 3.0, 8.0])
@pytest.mark.parametrize("shape", [(13, 14, 15), (2, 7, 1), (3, 3, 3)])
def test_a_linear_function_survives_the_lattice(
    shape: tuple[int, int, int], spacing_mm: float
) -> None:
    """Trilinear filling between every n-th point is exact for it, the last cell included."""
    points = grid_points(shape)

    def linear(at: Points) -> Array:
        return np.asarray(2 * at.x - 3 * at.y + at.z + 1)

    found = coarsely(points, spacing_mm, linear)
    np.testing.assert_allclose(found, linear(points), atol=1e-4)


def test_pieces_of_flat_arrays_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of none at all, and where a function gives several arrays."""
    monkeypatch.setattr(slab, "PIECE_POINTS", 7)
    a, b = np.arange(20.0), np.arange(20.0)[::-1]
    total, product = in_pieces(lambda a, b: (a + b, a * b), a, b)
    np.testing.assert_array_equal(total, a + b)
    np.testing.assert_array_equal(product, a * b)
    assert in_pieces(lambda a: 2 * a, a[:0]).shape == (0,)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_blur_is_that_of_scipy(axis: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks of any size, edges included, whichever way the image lies in memory."""
    monkeypatch.setattr(blur, "BLOCK_POINTS", 500)
    image = np.random.default_rng(0).standard_normal((13, 17, 11)).astype(np.float32)
    weights = np.array([0.1, -0.2, 0.3, 0.6, 0.3, -0.2, 0.1], dtype=np.float32)
    for one in (image, image.transpose(2, 0, 1)):
        wanted = ndimage.correlate1d(one, weights, axis=axis, mode="nearest")
        np.testing.assert_allclose(blur.correlated(one, weights, axis), wanted, atol=1e-6)


def test_noise_is_looked_up_as_scipy_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trilinear and periodic, at negative places, at nodes and far away too."""
    monkeypatch.setattr(noise, "AT_ONCE", 100)
    field = noise.SmoothNoise.sample(np.random.default_rng(0), 2.5, 8)
    rng = np.random.default_rng(1)
    at = [np.append(rng.uniform(-90, 90, 300), [0, 2.5, -2.5, 20.0]) for _ in range(3)]
    found = field.at(Points(*(axis.astype(np.float32) for axis in at)))
    index = [axis / 2.5 for axis in at]
    wanted = ndimage.map_coordinates(field.lattice, index, order=1, mode="grid-wrap")
    np.testing.assert_allclose(found, wanted, atol=1e-4)
