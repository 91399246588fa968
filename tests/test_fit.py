"""The frame from the sacrum's parts, and what a segmentation may not contain."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sifdetect.anatomy import Modality, RegionClass
from sifdetect.bundle import region_spec
from sifdetect.fit import frame_of_parts
from sifdetect.segment import coordinates, lumps, plausible
from sifdetect.synth.scene import points_of, sample_case, scene_at
from sifdetect.volume import LabelMap, SacralFrame, Segmentation


def seen_in(frame: SacralFrame, seed: int) -> Segmentation:
    """A synthetic sacrum without error, cut in a frame."""
    case = sample_case(seed)
    grid = frame.grid((-84, -66, -102), (84, 66, 66), 3.0)
    scene = scene_at(case, points_of(case, grid), 3.0)
    return Segmentation(
        anatomy=LabelMap(scene.anatomy(), grid),
        lesions=LabelMap(np.zeros(grid.shape, np.uint8), grid),
        probability=np.zeros((5, *grid.shape), np.float32),
        level=scene.bones.level.astype(np.float32),
        frame=frame,
        in_view=np.ones(grid.shape, dtype=bool),
    )


@pytest.mark.parametrize("seed", [2, 9])
def test_a_frame_that_is_off_is_brought_back(seed: int) -> None:
    """A frame 15° and 10 mm off comes back to within 12° and 8 mm of the true one."""
    true = sample_case(seed).frame
    turn = Rotation.from_euler("xyz", [15, 4, -3], degrees=True).as_matrix()
    off = SacralFrame(true.origin_lps_mm + np.array([4.0, -7.0, 6.0]), true.axes @ turn)
    found = frame_of_parts(seen_in(off, seed))
    assert found is not None
    cosine = (np.trace(found[0].axes @ true.axes.T) - 1) / 2
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))) < 12
    assert np.linalg.norm(found[0].origin_lps_mm - true.origin_lps_mm) < 8


def test_too_few_parts_set_no_frame() -> None:
    """Where hardly anything was found, the localizer's frame stays."""
    frame = sample_case(2).frame
    segmentation = seen_in(frame, 2)
    nothing = LabelMap(np.zeros(segmentation.grid.shape, np.uint8), segmentation.grid)
    empty = Segmentation(
        nothing,
        nothing,
        segmentation.probability,
        segmentation.level,
        frame,
        segmentation.in_view,
    )
    assert frame_of_parts(empty) is None


def test_a_sheet_stays_and_a_lump_goes() -> None:
    """A fracture is thin; what is thick every way is none."""
    mask = np.zeros((40, 40, 40), dtype=bool)
    mask[5:35, 5:35, 10:12] = True
    assert not lumps(mask, 1.5).any()
    mask[10:18, 10:18, 24:32] = True
    removed = lumps(mask, 1.5)
    assert not removed[:, :, 10:12].any()
    assert removed[13:15, 13:15, 27:29].all()


def test_hips_near_the_midline_and_second_sacra_are_left_out() -> None:
    """One sacrum below the lumbar spine; no ilium in the midline."""
    spec = region_spec(Modality.CT)
    x, _, z = coordinates(spec) * 100
    region = np.zeros(x.shape, dtype=np.int64)
    region[(np.abs(x) < 40) & (np.abs(z) < 30)] = RegionClass.SACRAL_ALA
    region[(np.abs(x) < 10) & (z < -80)] = RegionClass.SACRAL_BODY
    region[(np.abs(x) < 10) & (z > 40)] = RegionClass.HIP
    kept = plausible(region, spec)
    assert (kept == RegionClass.SACRAL_ALA).sum() == (region == RegionClass.SACRAL_ALA).sum()
    assert not (kept == RegionClass.SACRAL_BODY).any()
    assert not (kept == RegionClass.HIP).any()
