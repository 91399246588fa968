"""Metal on MR: a void, and nothing beyond its reach."""

from __future__ import annotations

import numpy as np

from sifdetect.synth.susceptibility import with_metal


def test_metal_makes_a_void_on_mr_that_is_larger_than_itself() -> None:
    """Signal vanishes 2 mm beside the metal and is unchanged beyond its reach."""
    distance = np.broadcast_to(np.abs(np.arange(-30.0, 31.0)) - 3, (5, 5, 61)).astype(np.float32)
    image = np.ones(distance.shape, dtype=np.float32)
    image[..., 60] = 2
    changed = with_metal(image, distance, np.array([1.0, 1.0, 1.0]))
    assert changed[2, 2, 30] < 0.1
    assert changed[2, 2, 34] < 0.2
    assert changed[2, 2, 60] == 2
    assert with_metal(image, None, np.ones(3)) is image
