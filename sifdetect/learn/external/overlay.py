"""A picture of a case with its labels, to be looked at: three planes through what is outlined."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from skimage.measure import find_contours

from sifdetect.anatomy import SACRUM_LABELS, AnatomyLabel, LesionBit, Modality
from sifdetect.learn.external.faults import Fault, Labelled
from sifdetect.learn.external.voxels import Voxels
from sifdetect.volume import Floats, Grid, LabelMap, Volume

PIXEL_MM = 1.0
SCALE = 2
SIZE = 240
"""Pixels of 1 mm along each side of a plane; drawn twice as large."""
BONE_HU = (-250.0, 900.0)

Color = tuple[int, int, int]
_ANATOMY: tuple[tuple[str, tuple[int, ...], Color], ...] = (
    ("sacrum", tuple(SACRUM_LABELS), (120, 200, 230)),
    ("body | corridor", (2, 3), (90, 140, 170)),
    ("foramina", (6, 7), (255, 208, 48)),
    ("canal", (8,), (255, 150, 60)),
    ("L5", (9,), (160, 230, 120)),
    ("hip right", (10,), (230, 110, 110)),
    ("hip left", (11,), (110, 130, 255)),
    ("lumbar", (12,), (190, 190, 120)),
)
_LESIONS: tuple[tuple[str, int, Color], ...] = (
    ("edema", LesionBit.EDEMA, (255, 96, 220)),
    ("fracture line", LesionBit.FRACTURE_LINE, (255, 60, 40)),
    ("sclerosis", LesionBit.SCLEROSIS, (255, 255, 255)),
    ("mass-like", LesionBit.MASS_LIKE, (180, 90, 255)),
    ("cement", LesionBit.CEMENT, (60, 255, 160)),
)
_AXES = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
"""Rows: to the left, to the front, upwards, in LPS."""


def draw_case(case: Labelled, path: Path) -> Iterator[Fault]:
    """Write the picture of a case: axial, coronal, sagittal, the patient's right on the left.

    The planes go through the middle of the lesions, else of the sacrum, else of what is outlined.
    Yields a fault where no picture can be made.
    """
    try:
        page = overlay(case)
    except ValueError as error:
        yield Fault(
            case.record.images[0].file, "picture", f"none can be drawn: {error}", "See above"
        )
        return
    partial = path.with_name(f".{path.name}.part")
    page.save(partial, format="PNG", optimize=True)
    partial.replace(path)


def overlay(case: Labelled) -> Image.Image:
    """The picture of a case.

    Raises:
        ValueError: image or labels do not lie on a lattice at right angles.
    """
    record = case.record.images[0]
    values = np.nan_to_num(np.asarray(case.image.values, np.float32))
    volume = Volume(values, case.image.grid, record.modality, record.weighting)
    labels = [
        None if one is None else LabelMap(np.asarray(one.values, np.uint8), one.grid)
        for one in (case.anatomy, case.lesions)
    ]
    center = _center_lps_mm(case)
    window = BONE_HU
    if record.modality is Modality.MR:
        window = (0.0, max(float(np.percentile(values, 99.5)), 1e-6))
    page = Image.new("RGB", (3 * SIZE * SCALE, SIZE * SCALE + 36), (12, 15, 20))
    for place, normal in enumerate((2, 1, 0)):
        grid = _plane(center, normal)
        grey = np.clip((_flat(volume.resampled(grid).values) - window[0]) / np.ptp(window), 0, 1)
        maps = [None if one is None else _flat(one.resampled(grid).values) for one in labels]
        picture = _picture(grey, maps[0], maps[1])
        _mark(picture, "R" if normal else "A")
        page.paste(picture, (place * SIZE * SCALE, 36))
    said = f"{case.record.name}  {record.kind}  annotated: {', '.join(case.record.annotated)}"
    pen = ImageDraw.Draw(page)
    pen.text((6, 3), said.encode("ascii", "replace").decode(), font=_font(13))
    _legend(pen, labels[0], labels[1])
    return page


def _center_lps_mm(case: Labelled) -> Floats:
    chosen: list[tuple[Voxels | None, tuple[int, ...]]] = [
        (case.lesions, tuple(range(1, 32))),
        (case.anatomy, tuple(SACRUM_LABELS)),
        (case.anatomy, tuple(AnatomyLabel)[1:]),
    ]
    for labels, values in chosen:
        if labels is not None and (mask := np.isin(labels.values, values)).any():
            return labels.grid.index_to_mm(np.argwhere(mask).mean(axis=0))
    return case.image.grid.center_lps_mm


def _plane(center: Floats, normal: int) -> Grid:
    """One layer of voxels across an axis of ``_AXES``, centred."""
    shape = [SIZE, SIZE, SIZE]
    shape[normal] = 1
    affine = np.eye(4)
    affine[:3, :3] = _AXES.T * PIXEL_MM
    affine[:3, 3] = center - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid((shape[0], shape[1], shape[2]), affine)


def _flat(values: NDArray[Any]) -> NDArray[Any]:
    """Rows from the top: upwards in the body, or to the front on an axial plane.

    Columns run to the patient's left; on a sagittal plane to the back.
    """
    normal = values.shape.index(1)
    flat = np.take(values, 0, axis=normal)
    upright = flat.T[::-1]
    return np.asarray(upright[:, ::-1] if normal == 0 else upright)


def _picture(
    grey: NDArray[Any],
    anatomy: NDArray[Any] | None,
    lesions: NDArray[Any] | None,
) -> Image.Image:
    image = Image.fromarray((np.asarray(grey, np.float32) * 255).astype(np.uint8))
    large = (SIZE * SCALE, SIZE * SCALE)
    image = image.resize(large, Image.Resampling.BILINEAR).convert("RGB")
    pen = ImageDraw.Draw(image)
    if anatomy is not None:
        for _, values, color in _ANATOMY:
            _outline(pen, np.isin(anatomy, values), color)
    if lesions is not None:
        for _, bit, color in _LESIONS:
            marked = np.asarray(lesions, np.uint8)
            _outline(pen, ((marked & bit) > 0) & (marked < 128), color)
    return image


def _outline(pen: ImageDraw.ImageDraw, mask: NDArray[np.bool_], color: Color) -> None:
    padded = np.pad(mask, 1).astype(np.float64)
    for line in find_contours(padded, 0.5):  # type: ignore[no-untyped-call]  # skimage
        points = (line[:, ::-1] - 0.5) * SCALE
        pen.line([(float(x), float(y)) for x, y in points], fill=color, width=1)


def _mark(picture: Image.Image, side: str) -> None:
    """R or A at the left border: the patient's right, or the front."""
    ImageDraw.Draw(picture).text((5, SIZE * SCALE // 2), side, fill=(255, 255, 255), font=_font(16))


def _legend(pen: ImageDraw.ImageDraw, anatomy: LabelMap | None, lesions: LabelMap | None) -> None:
    left = 6.0
    shown = [(n, c) for n, values, c in _ANATOMY if anatomy is not None and _any(anatomy, values)]
    if lesions is not None:
        held = np.bitwise_or.reduce(np.unique(lesions.values[lesions.values < 128]), initial=0)
        shown += [(name, color) for name, bit, color in _LESIONS if int(held) & bit]
    for name, color in shown:
        pen.text((left, 19), name, fill=color, font=_font(13))
        left += pen.textlength(name, font=_font(13)) + 14


def _any(labels: LabelMap, values: tuple[int, ...]) -> bool:
    return bool(np.isin(labels.values, values).any())


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
