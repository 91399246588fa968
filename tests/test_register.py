"""One sacrum over another: known motions are found again, and what does not fit is said."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sifdetect.anatomy import SACRUM_LABELS
from sifdetect.register import MAX_RESIDUAL_MM, register, residual_mm
from sifdetect.surface import Bone, applied, moved
from sifdetect.volume import LabelMap, SacralFrame
from tests.phantoms import Phantom, oblique_frame, straight_frame

CORNERS_MM = np.array(
    [[x, y, z] for x in (-50, 50) for y in (-25, 10) for z in (-60, 45)], dtype=float
)
"""Of the sacrum, in its frame."""


def bone(phantom: Phantom, *, turned_deg: float = 0.0, shifted_mm: float = 0.0) -> Bone:
    """A phantom's labels with a frame that is wrong by so much, as networks find it."""
    seg = phantom.segmentation()
    turn = Rotation.from_rotvec(np.radians(turned_deg) * np.array([0.6, -0.5, 0.62]))
    axes = seg.frame.axes @ turn.as_matrix()
    origin = seg.frame.origin_lps_mm + shifted_mm * np.array([0.5, -0.6, 0.62])
    return Bone(seg.anatomy, seg.in_view, SacralFrame(origin, axes))


def off_mm(matrix: NDArray[np.float64], moving: Phantom, fixed: Phantom) -> float:
    """The farthest that a corner of the sacrum lies from its true place."""
    there = applied(matrix, moving.frame.to_lps_mm(CORNERS_MM))
    return float(np.linalg.norm(there - fixed.frame.to_lps_mm(CORNERS_MM), axis=1).max())


@pytest.fixture(scope="module")
def here() -> Phantom:
    """A sacrum along the patient's axes."""
    return Phantom(straight_frame())


@pytest.fixture(scope="module")
def there() -> Phantom:
    """The same one 37° and 42 cm away."""
    return Phantom(oblique_frame())


def test_a_known_motion_is_found_from_frames_that_are_off(here: Phantom, there: Phantom) -> None:
    """Frames off by 6° and 7 mm leave corners wrong by over 9 mm; the fit leaves under 1.5."""
    moving, fixed = bone(there, turned_deg=6.0, shifted_mm=7.0), bone(here)
    fit = register(moving, fixed)
    assert fit is not None
    assert off_mm(fit.matrix, there, here) < 1.5
    assert fit.registration.accepted
    assert fit.registration.residual_mm is not None
    assert fit.registration.residual_mm < 1.5
    assert fit.registration.rotation_deg == pytest.approx(36.9, abs=1.0)


def test_without_frames_the_labelled_parts_start_the_fit(here: Phantom, there: Phantom) -> None:
    """Labels read from a file come without a frame."""
    seen = [Bone(p.segmentation().anatomy) for p in (there, here)]
    fit = register(*seen)
    assert fit is not None
    assert off_mm(fit.matrix, there, here) < 1.5


def test_a_cut_scan_is_fitted_on_what_both_show(here: Phantom) -> None:
    """The prior ends in S2; its cut face is no surface."""
    whole = Phantom(oblique_frame())
    cut = Phantom(oblique_frame())
    cut.without(np.asarray(cut.z < -5.0))
    fit = register(bone(cut, turned_deg=3.0, shifted_mm=4.0), bone(here))
    assert fit is not None
    assert fit.registration.accepted
    assert off_mm(fit.matrix, whole, here) < 3.0


def test_scans_that_share_no_bone_are_not_fitted(here: Phantom) -> None:
    """One shows S1 alone, the other S4 and S5."""
    upper, lower = Phantom(straight_frame()), Phantom(straight_frame())
    upper.without(np.asarray(upper.z < 20.0))
    lower.without(np.asarray(lower.z > -40.0))
    assert register(bone(lower), bone(upper)) is None


def test_another_sacrum_is_not_accepted(here: Phantom) -> None:
    """A sacrum a quarter larger cannot be laid over this one within 3 mm."""
    seg = here.segmentation()
    affine = seg.anatomy.grid.affine_lps_mm.copy()
    affine[:3, :3] *= 1.25
    grown = LabelMap(seg.anatomy.values, type(seg.anatomy.grid)(seg.anatomy.grid.shape, affine))
    fit = register(Bone(grown), Bone(seg.anatomy))
    assert fit is not None
    assert fit.registration.residual_mm is not None
    assert fit.registration.residual_mm > MAX_RESIDUAL_MM
    assert not fit.registration.accepted


def test_the_residual_is_about_how_far_the_bones_lie_apart(here: Phantom) -> None:
    """A shift of 4 mm shows as 4 mm, whichever way it goes."""
    seen = bone(here)
    for axis in range(3):
        shifted = np.eye(4)
        shifted[axis, 3] = 4.0
        assert residual_mm(seen, seen, shifted) == pytest.approx(4.0, abs=1.0)


def test_moved_labels_lie_where_the_motion_puts_them(here: Phantom) -> None:
    """The centroid of the sacrum goes where its points go."""
    labels, shifted = here.segmentation().anatomy, np.eye(4)
    shifted[:3, 3] = (3.0, -4.0, 5.0)
    before, after = (
        one.centroid_lps_mm(int(SACRUM_LABELS[0])) for one in (labels, moved(labels, shifted))
    )
    assert before is not None
    assert after is not None
    assert after - before == pytest.approx(np.array([3.0, -4.0, 5.0]))
