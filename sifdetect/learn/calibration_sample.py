"""Samples of a pool as calibration asks for them: one by one, with what is known of each voxel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import LesionBit, Modality, RegionClass
from sifdetect.bundle import BundleSpec, normalised
from sifdetect.learn.augment import known_of
from sifdetect.learn.dataset import DATA_KNOWN, Pool, Rendered
from sifdetect.segment import coordinates
from sifdetect.volume import FloatImage

VOXEL_MM3 = 1.5**3
"""Of a sample's grid, which is that of the region networks."""


def samples(pool: Pool) -> Iterator[Rendered]:
    """Each sample of a pool, with its arrays by name."""
    for name in pool.names():
        with np.load(name) as stored:
            yield dict(stored.items())


def known_bits(sample: Rendered) -> NDArray[np.uint8]:
    """By voxel, the bits of what is known; all of them where the sample does not say."""
    knowledge = known_of(sample, sample["lesions"])
    everything = np.full(np.shape(sample["lesions"]), 255, dtype=np.uint8)
    return everything if knowledge is None else np.broadcast_to(knowledge[0], everything.shape)


def sacral(sample: Rendered) -> NDArray[np.bool_]:
    """Body, corridor or ala; of a real sample also where which of them is a guess."""
    region = np.asarray(sample["region"])
    return (region >= RegionClass.SACRAL_BODY) & (region <= RegionClass.SACRAL_ALA)


def network_input(sample: Rendered, spec: BundleSpec) -> tuple[FloatImage, NDArray[np.bool_]]:
    """A sample as the network sees it, and where it has data."""
    names = ("ct",) if spec.modality is Modality.CT else ("fluid0", "anatomical0")
    in_view = (known_bits(sample) & DATA_KNOWN) > 0
    arrays = [sample[name].astype(np.float32) for name in names]
    images = [normalised(a, in_view, spec.intensity) if a.any() else a for a in arrays]
    return np.concatenate([np.stack(images), coordinates(spec)]), in_view


def labelled_mm3(sample: Rendered, where: NDArray[np.bool_], lesion: LesionBit) -> float:
    """Labelled volume of a lesion in part of a sample."""
    bits = np.asarray(sample["lesions"], dtype=np.uint8)
    return float((((bits & lesion) > 0) & where).sum() * VOXEL_MM3)
