"""A symmetric point spread along one axis of an image."""

from __future__ import annotations

import numpy as np

from sifdetect.synth.lattice import Array

BLOCK_POINTS = 100_000
"""Points that are blurred at a time: they stay in the processor's cache."""


def correlated(image: Array, weights: Array, axis: int) -> Array:
    """What ``scipy.ndimage.correlate1d`` gives in its mode "nearest", three times as fast.

    In blocks that stay in the cache; in a block, whose edges are repeated, a step along the axis is
    one of fixed length in memory.

    Args:
        image: (i, j, k) float32.
        weights: of odd length and symmetric.
    """
    reach, size = len(weights) // 2, image.shape[axis]
    repeated = np.clip(np.arange(-reach, size + reach), 0, size - 1)
    across = 1 if axis == 0 else 0
    each = max(1, BLOCK_POINTS * image.shape[across] // image.size)
    result = np.empty(image.shape, dtype=np.float32)
    for start in range(0, image.shape[across], each):
        part = (slice(None),) * across + (slice(start, start + each),)
        block = image[part].take(repeated, axis)
        step = int(np.prod(block.shape[axis + 1 :]))
        flat, total = block.reshape(-1), np.empty_like(block)
        first, stop = reach * step, flat.size - reach * step
        middle = total.reshape(-1)[first:stop]
        np.multiply(flat[first:stop], weights[reach], out=middle)
        for k in range(1, reach + 1):
            away = k * step
            pair = flat[first - away : stop - away] + flat[first + away : stop + away]
            pair *= weights[reach + k]
            middle += pair
        result[part] = total[(slice(None),) * axis + (slice(reach, reach + size),)]
    return result
