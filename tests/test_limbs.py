"""A transverse limb among fragments: what crosses the bodies stays one thing with two ends."""

from __future__ import annotations

import numpy as np

from sifdetect.anatomy import AnatomyLabel, Side
from sifdetect.components import Points
from sifdetect.findings import Basis
from sifdetect.limbs import as_transverse


def _sheet(offset: tuple[float, float], level: tuple[float, float]) -> Points:
    """A band of points from one offset (mm) and level to another, 12 mm deep."""
    share, depth = np.meshgrid(np.linspace(0, 1, 60), np.arange(8) * 1.5, indexing="ij")
    across = offset[0] + share.ravel() * (offset[1] - offset[0])
    height = level[0] + share.ravel() * (level[1] - level[0])
    frame = np.stack([across, depth.ravel(), -30.0 * height], axis=1)
    return Points(
        index=np.rint(frame / 1.5).astype(np.int64),
        frame_mm=frame,
        offset_mm=across,
        label=np.full(len(across), AnatomyLabel.SACRAL_BODY, dtype=np.uint8),
        level=height.astype(np.float32),
    )


def _together(*parts: Points) -> Points:
    names = ("index", "frame_mm", "offset_mm", "label", "level")
    return Points(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def test_the_fullest_sheet_that_runs_across_is_the_limb() -> None:
    """Beside a fuller one that stays on the right the limb keeps both ends."""
    limb, fragment = _sheet((-14, 14), (1.5, 1.5)), _sheet((-16, -2), (0.5, 0.5))
    line = _together(limb, fragment, _sheet((-60, -18), (0.5, 0.5)))
    found = as_transverse(_together(limb, fragment), Basis.LINE, line)
    assert found.level == np.float32(1.5)
    assert found.junction == {Side.RIGHT: 1.5, Side.LEFT: 1.5}
    assert found.width_mm > 25


def test_a_slanting_line_that_no_level_holds_is_taken_whole() -> None:
    """It climbs by two segments from right to left: no level has a sheet that runs across."""
    found = as_transverse(_sheet((-16, 16), (0.2, 2.2)), Basis.LINE)
    assert np.isfinite([found.level, *found.junction.values()]).all()
    assert found.junction[Side.RIGHT] < found.level < found.junction[Side.LEFT]
    assert found.width_mm > 28
