"""Patches for training, drawn from rendered samples: contrast, field of view, place, mirroring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, ndimage

from sifdetect.anatomy import LesionBit, LocalizerClass, Modality
from sifdetect.bundle import BundleSpec, Task, normalised
from sifdetect.learn.dataset import CLASS_KNOWN, DATA_KNOWN, PLACE_KNOWN, Rendered
from sifdetect.learn.remodel import remodel
from sifdetect.learn.views import View, draw_cut, draw_view
from sifdetect.segment import coordinates

FloatArray = NDArray[np.float32]
Bytes = NDArray[np.uint8]
_TURN_DEG = np.array([9.0, 4.0, 4.0])
_SHIFT_MM = 4.0
"""Beside what the frames of a pool are off: localizers err by 4-6 mm (median), 10-12 mm (90 %)."""
_NOTHING = np.zeros(1, dtype=np.float32)
_LESION_SHIFT = 5
"""Bits of a packed voxel below its lesions: one of weight, four of class."""
_HIPS = (LocalizerClass.HIP_RIGHT, LocalizerClass.HIP_LEFT)


@dataclass(frozen=True)
class Patch:
    """One training example; all arrays share the last three axes.

    Attributes:
        channels: float32 (inputs, …) as the network sees them.
        classes: int64 (…), RegionClass or LocalizerClass.
        targets: float32 (k, …): lesions as 0/1 and level for a region network; place for a
            localizer.
        weight: float32 (…), 0 where there is no data.
        known, possible: uint8 (…), see ``dataset``; None where everything is known.
    """

    channels: FloatArray
    classes: NDArray[np.int64]
    targets: FloatArray
    weight: FloatArray
    known: Bytes | None = None
    possible: Bytes | None = None


@dataclass(frozen=True)
class Recipe:
    """How hard training is, 0–1; grows over time (curriculum, learning.md)."""

    spec: BundleSpec
    size: tuple[int, int, int]
    cut: float = 0.35
    single: float = 0.5
    lesion_centred: float = 0.5
    turned: float = 0.5
    remodelled: float = 0.6
    view: View | None = None


def draw_patch(sample: Rendered, recipe: Recipe, rng: np.random.Generator) -> Patch:
    """A random patch of a sample; its fields are those of the recipe's task."""
    full = _images(sample, recipe, rng)
    if recipe.spec.task is Task.LOCALIZER:
        patch = _localizer_patch(sample, full[0], recipe, rng)
        return mirrored(patch, recipe.spec) if rng.random() < 0.5 else patch
    shape = full[0].shape
    in_view = field_of_view(shape, rng, probability=recipe.cut, spec=recipe.spec)
    knowledge = known_of(sample, sample["region"])
    if knowledge is not None:
        if recipe.spec.modality is Modality.CT:  # which never shows edema: its absence is known
            knowledge = (knowledge[0] | np.uint8(LesionBit.EDEMA.value), knowledge[1])
        in_view &= (knowledge[0] & DATA_KNOWN) > 0
    rule = recipe.spec.intensity
    images = [normalised(image, in_view, rule) if image.any() else image for image in full]
    start = _start(sample, shape, recipe, rng)
    box = tuple(slice(a, a + n) for a, n in zip(start, recipe.size, strict=True))
    channels = [_shaded(_blurred(image[box], rng), rng) for image in images]
    patch = _region_patch(sample, recipe, channels, box)
    if recipe.spec.modality is Modality.CT and rng.random() < recipe.remodelled:
        remodel(patch.channels[0], patch.classes, patch.channels[-3:] * 100.0, rng)
    weight = in_view[box].astype(np.float32)
    known, possible = (None, None) if knowledge is None else (one[box] for one in knowledge)
    patch = Patch(patch.channels, patch.classes, patch.targets, weight, known, possible)
    if rng.random() < recipe.turned:
        patch = turned(patch, recipe.spec, rng)
    return mirrored(patch, recipe.spec) if rng.random() < 0.5 else patch


def _images(sample: Rendered, recipe: Recipe, rng: np.random.Generator) -> list[FloatArray]:
    """One image for each image channel; zeros where a sequence is left out."""
    if recipe.spec.modality is Modality.CT:
        return [np.asarray(sample["ct"], dtype=np.float32)]
    images = [_of_role(sample, role, rng) for role in ("fluid", "anatomical")]
    if recipe.spec.task is Task.LOCALIZER:
        return [images[int(rng.integers(2))]]
    if all(image.any() for image in images) and rng.random() < recipe.single:
        images[0 if rng.random() < 0.35 else 1] = np.zeros_like(images[0])
    return images


def known_of(sample: Rendered, classes: NDArray[Any]) -> tuple[Bytes, Bytes] | None:
    """What is known by voxel, and which classes are possible; None where everything is known."""
    if "known" not in sample:
        return None
    known = np.asarray(sample["known"], dtype=np.uint8)
    certain = np.left_shift(np.uint8(1), np.asarray(classes, dtype=np.uint8))
    if known.ndim > 1:
        return known, np.asarray(sample.get("possible", certain), dtype=np.uint8)
    bits = int(known[1]) | DATA_KNOWN | (CLASS_KNOWN | PLACE_KNOWN if known[0] else 0)
    possible = certain if known[0] else np.full_like(certain, 255)
    return np.full(certain.shape, bits, dtype=np.uint8), possible


def _of_role(sample: Rendered, role: str, rng: np.random.Generator) -> FloatArray:
    """One of a role's three images; zeros where the sample has none of it."""
    image = np.asarray(sample[f"{role}{int(rng.choice(3, p=(0.4, 0.4, 0.2)))}"], dtype=np.float32)
    return image + np.float32(1e-4) if image.any() else image


def field_of_view(
    shape: tuple[int, ...], rng: np.random.Generator, *, probability: float, spec: BundleSpec
) -> NDArray[np.bool_]:
    """True where the scan has data: everything, or what up to three random planes leave."""
    seen = np.ones(shape, dtype=bool)
    if rng.random() > probability:
        return seen
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij", sparse=True)
    nearest = 0.1 if spec.task is Task.REGION else 0.25
    for _ in range(int(rng.integers(1, 4))):
        normal = np.eye(3)[int(rng.integers(3))] * rng.choice([-1.0, 1.0])
        normal = normal + rng.normal(0, 0.15, 3)
        reach = float(rng.uniform(nearest, 1.0))
        seen &= sum(axes[k] * normal[k] for k in range(3)) < reach
    return seen


def _start(
    sample: Rendered, shape: tuple[int, ...], recipe: Recipe, rng: np.random.Generator
) -> tuple[int, ...]:
    """Corner of the patch: anywhere, or around a voxel of a lesion."""
    room = np.array(shape, dtype=np.int64) - recipe.size
    start = rng.integers(0, room + 1)
    if rng.random() < recipe.lesion_centred:
        index = np.flatnonzero(sample["lesions"] > 0)
        if len(index):
            center = np.array(np.unravel_index(int(rng.choice(index)), shape))
            start = center - np.array(recipe.size) // 2 + rng.integers(-12, 13, 3)
    return tuple(np.clip(start, 0, room).tolist())


def _blurred(image: FloatArray, rng: np.random.Generator) -> FloatArray:
    """The image as a scan of up to about 4 mm resolution would show it, half of the time."""
    if rng.random() < 0.5 or not image.any():
        return image
    sigma = rng.uniform(0.2, 1.1, 3)
    return np.asarray(ndimage.gaussian_filter(image, sigma, truncate=2.0), dtype=np.float32)


def _shaded(image: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Small random gain, offset and noise after normalisation."""
    if not image.any():
        return image
    noise = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(rng.uniform(0, 0.08))
    return image * np.float32(rng.uniform(0.88, 1.12)) + np.float32(rng.normal(0, 0.06)) + noise


def _region_patch(
    sample: Rendered, recipe: Recipe, images: list[FloatArray], box: tuple[slice, ...]
) -> Patch:
    place = coordinates(recipe.spec)[(slice(None), *box)]
    bits = np.asarray(sample["lesions"][box], dtype=np.uint8)
    lesions = [((bits & lesion.value) > 0).astype(np.float32) for lesion in LesionBit]
    if recipe.spec.modality is Modality.CT:
        lesions[0] = np.zeros_like(lesions[0])  # edema is not visible on CT
    level = np.asarray(sample["level"][box], dtype=np.float32)
    classes = np.asarray(sample["region"][box], dtype=np.int64)
    return Patch(np.stack([*images, *place]), classes, np.stack([*lesions, level]), level)


def _localizer_patch(
    sample: Rendered, image: FloatArray, recipe: Recipe, rng: np.random.Generator
) -> Patch:
    """What a localizer sees of one case in one view."""
    cut = draw_cut(sample, recipe.view or draw_view(recipe.spec.modality, rng), rng)
    seen = cut.sampled(np.ones(image.shape, np.uint8), order=0, outside=0) > 0
    seen &= field_of_view(cut.size, rng, probability=recipe.cut, spec=recipe.spec)
    values = cut.sampled(image, order=1, outside=float(image.min()))
    channel = _shaded(_blurred(normalised(values, seen, recipe.spec.intensity), rng), rng)
    place = [cut.sampled(axis.astype(np.float32), order=1, outside=0.0) for axis in sample["place"]]
    classes = cut.sampled(sample["classes"], order=0, outside=0).astype(np.int64)
    knowledge = known_of(sample, sample["classes"])
    moved = (
        [None, None]
        if knowledge is None
        else [cut.sampled(k, order=0, outside=0) for k in knowledge]
    )
    if moved[0] is not None:
        seen &= (moved[0] & DATA_KNOWN) > 0
    weight = seen.astype(np.float32)
    return Patch(channel[None], np.where(seen, classes, 0), np.stack(place), weight, *moved)


def turned(patch: Patch, spec: BundleSpec, rng: np.random.Generator) -> Patch:
    """A region's patch turned about its centre, most of all in pitch, and moved, as by a
    localizer's error.

    What comes in is out of view. Coordinates of the box stay: they belong to the frame.
    """
    a, b, c = np.radians(rng.normal(0, _TURN_DEG))
    skew = np.array([[0, -c, b], [c, 0, -a], [-b, a, 0]])
    matrix = linalg.expm(skew)
    middle = (np.array(patch.classes.shape) - 1) / 2
    offset = middle - matrix @ middle + rng.normal(0, _SHIFT_MM, 3) / spec.spacing_mm

    def moved(values: NDArray[Any], order: int, outside: float) -> NDArray[Any]:
        return np.asarray(
            ndimage.affine_transform(values, matrix, offset, order=order, cval=outside)
        )

    count = patch.channels.shape[0] - 3
    empty = float(normalised(_NOTHING, _NOTHING > 0, spec.intensity)[0])
    images = [moved(i, 1, empty) if i.any() else i for i in patch.channels[:count]]
    classes, lesions, weight = _unpacked(moved(_packed(patch), 0, 0), len(patch.targets) - 1)
    level = moved(patch.targets[-1], 1, 0.0)
    return Patch(
        np.concatenate([np.stack(images), patch.channels[count:]]),
        classes,
        np.stack([*lesions, level]),
        weight,
        *(None if k is None else moved(k, 0, 0.0) for k in (patch.known, patch.possible)),
    )


def _packed(patch: Patch) -> NDArray[np.uint16]:
    """Weight, class and lesions of each voxel as bits, so that one turn moves them all."""
    bits = (patch.weight > 0).astype(np.uint16) | (patch.classes << 1).astype(np.uint16)
    for number, lesion in enumerate(patch.targets[:-1]):
        bits |= (lesion > 0).astype(np.uint16) << np.uint16(_LESION_SHIFT + number)
    return bits


def _unpacked(
    bits: NDArray[np.uint16], lesions: int
) -> tuple[NDArray[np.int64], list[FloatArray], FloatArray]:
    classes = ((bits >> 1) & ((1 << (_LESION_SHIFT - 1)) - 1)).astype(np.int64)
    found = [((bits >> (_LESION_SHIFT + k)) & 1).astype(np.float32) for k in range(lesions)]
    return classes, found, (bits & 1).astype(np.float32)


def mirrored(patch: Patch, spec: BundleSpec) -> Patch:
    """The patch seen in a mirror: sides change, and with them what names a side."""
    flipped = Patch(
        np.flip(patch.channels, axis=-3).copy(),
        np.flip(patch.classes, axis=-3).copy(),
        np.flip(patch.targets, axis=-3).copy(),
        np.flip(patch.weight, axis=-3).copy(),
        *(None if k is None else np.flip(k, axis=-3).copy() for k in (patch.known, patch.possible)),
    )
    if spec.task is Task.REGION:
        flipped.channels[-3] *= -1
        return flipped
    flipped.targets[0] *= -1
    right, left = (flipped.classes == hip for hip in _HIPS)
    flipped.classes[right], flipped.classes[left] = _HIPS[1], _HIPS[0]
    if flipped.possible is not None:
        right, left = ((flipped.possible >> hip) & 1 for hip in _HIPS)
        flipped.possible[right != left] ^= (1 << _HIPS[0]) | (1 << _HIPS[1])
    return flipped
