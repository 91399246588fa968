"""What may be wrong with one case of a dataset: file, field, difference and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import SACRUM_LABELS, AnatomyLabel, LesionBit, Modality, Side, side_of
from sifdetect.learn.external.names import MEANINGS, UNKNOWN, UNKNOWN_LESION, covered, lesions_in
from sifdetect.learn.external.store import CaseRecord
from sifdetect.learn.external.voxels import RAS_TO_LPS, Voxels
from sifdetect.volume import Floats

PLACE_MM, SPACING_MM, ANGLE_DEG, SHEAR_DEG = 0.1, 1e-3, 0.1, 0.5
"""Differences up to these are rounding. A lattice may be 0.5° off right angles (``Grid``: 0.01)."""
LOWEST_HU, HIGHEST_HU = -4096.0, 32767.0
FAT_HU = -60.0
"""Every scan of a pelvis has fat, and fat has voxels below this."""
BONE_HU = (-150.0, 900.0)
"""Where the median of a whole bone lies; fatty marrow of old age is near -50, an offset of 1024
that was not subtracted makes 1000 and more."""
SIDE_MM = 5.0
"""The centres of two sides lie farther apart than this, and the left one lies to the left."""

_STRUCTURES = ", ".join(
    name for name, one in MEANINGS.items() if (one.anatomy or one.lesion) and not one.part
)
_PAIRS = tuple(
    (right, AnatomyLabel[right.name.replace("_RIGHT", "_LEFT")])
    for right in AnatomyLabel
    if side_of(right) is Side.RIGHT
)


@dataclass(frozen=True)
class Fault:
    """Something wrong.

    Attributes:
        file: relative to the dataset.
        field: what of it is wrong, in one or two words.
        difference: what is there and what should be, with units.
        fix: what to do.
    """

    file: str
    field: str
    difference: str
    fix: str

    def __str__(self) -> str:
        return f"{self.file}: {self.field}: {self.difference}. {self.fix}."


class Labelled(NamedTuple):
    """The files of a case as read; ``image`` is the one that the labels lie on."""

    record: CaseRecord
    image: Voxels
    anatomy: Voxels | None
    lesions: Voxels | None


def image_faults(file: str, image: Voxels, modality: Modality) -> Iterator[Fault]:
    """Values that are no numbers or no Hounsfield units, axes that are not at right angles."""
    yield from axis_faults(file, image)
    finite = np.isfinite(image.values)
    if not finite.all():
        lost = int((~finite).sum())
        yield Fault(
            file,
            "values",
            f"{lost} of {finite.size} voxels are not a finite number (NaN or infinite)",
            "Export the image again, or set them to air (-1024 HU; 0 in MR)",
        )
    values = image.values[finite]
    if values.size and values.min() == values.max():
        yield Fault(file, "values", f"all voxels are {values[0]:g}", "Export the image again")
    elif modality is Modality.CT and values.size:
        yield from _range_faults(file, values.astype(np.float32))


def axis_faults(file: str, voxels: Voxels) -> Iterator[Fault]:
    """A lattice that is sheared or flat."""
    matrix = voxels.affine_ras_mm[:3, :3]
    spacing = np.linalg.norm(matrix, axis=0)
    if not np.isfinite(voxels.affine_ras_mm).all() or (spacing < 1e-6).any():
        yield Fault(file, "affine", "an axis has no length", "Convert it again from DICOM")
        return
    cosines = (matrix / spacing).T @ (matrix / spacing) - np.eye(3)
    off_deg = float(np.degrees(np.arcsin(np.clip(np.abs(cosines).max(), 0, 1))))
    if off_deg > SHEAR_DEG:
        yield Fault(
            file,
            "affine",
            f"its axes are {off_deg:.1f}° off right angles (sheared, as by gantry tilt)",
            "Resample image and labels to a lattice at right angles",
        )


def geometry_faults(file: str, labels: Voxels, image_file: str, image: Voxels) -> Iterator[Fault]:
    """Where labels do not lie on the voxels of their image: shape, spacing, direction, origin."""
    fix = f"Resample the labels to the grid of {image_file}, or export both again together"
    if labels.values.shape != image.values.shape:
        yield Fault(file, "shape", f"{_size(labels)} voxels, {image_file} has {_size(image)}", fix)
    ours, theirs = (one.affine_ras_mm[:3, :3] for one in (labels, image))
    step, wanted = (np.linalg.norm(one, axis=0) for one in (ours, theirs))
    if np.abs(step - wanted).max() > SPACING_MM:
        yield Fault(file, "spacing", f"{_mm(step)} mm, {image_file} has {_mm(wanted)} mm", fix)
    cosine = ((ours / step) * (theirs / wanted)).sum(axis=0)
    off_deg = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))).max())
    if off_deg > ANGLE_DEG:
        yield Fault(file, "direction", f"an axis is {off_deg:.1f}° off that of {image_file}", fix)
    shift = RAS_TO_LPS[:3, :3] @ (labels.affine_ras_mm - image.affine_ras_mm)[:3, 3]
    if np.linalg.norm(shift) > PLACE_MM:
        yield Fault(
            file,
            "origin",
            f"{np.linalg.norm(shift):.1f} mm off that of {image_file} ({_mm(shift)} mm to the left,"
            " back and top)",
            fix,
        )


def value_faults(case: Labelled) -> Iterator[Fault]:
    """Numbers that mean nothing, or a class that ``annotated`` does not list; empty labels."""
    record = case.record
    allowed = {label for one in record.annotated for label in covered(one)}
    for file, labels, known, listed in (
        (record.anatomy, case.anatomy, {*AnatomyLabel, UNKNOWN}, allowed | {AnatomyLabel.LUMBAR}),
        (record.lesions, case.lesions, _sums(LesionBit(31)), _sums(lesions_in(record.annotated))),
    ):
        if file is None or labels is None:
            continue
        present = set(np.unique(labels.values).tolist())
        strange = sorted(present - known)
        if strange:
            yield Fault(
                file,
                "labels",
                f"the values {', '.join(f'{value:g}' for value in strange)} mean nothing here",
                "Import the case again with a label map (--labels MAP.yaml)",
            )
        unlisted = sorted(present & known - listed - {0, UNKNOWN})
        if unlisted:
            yield Fault(
                file,
                "annotated",
                f"the values {', '.join(map(str, map(int, unlisted)))} are there, but dataset.json"
                " does not list them as annotated",
                "Add the structure to annotated in dataset.json",
            )
    yield from _empty(case)


def side_faults(case: Labelled) -> Iterator[Fault]:
    """Paired structures of which the left one lies to the patient's right."""
    if case.anatomy is None or case.record.anatomy is None:
        return
    centres = {
        label: _centre_x_lps_mm(case.anatomy, label)
        for label in AnatomyLabel
        if label and (case.anatomy.values == label).any()
    }
    wrong: list[tuple[AnatomyLabel, AnatomyLabel, float]] = []
    right_way: list[tuple[AnatomyLabel, AnatomyLabel, float]] = []
    for right, left in _PAIRS:
        apart = _apart(centres, right, left)
        if apart is not None:
            (wrong if apart < -SIDE_MM else right_way).append((right, left, apart))
    others = [right.name.lower().removesuffix("_right") for right, _, _ in right_way]
    for right, left, apart in wrong:
        name = right.name.lower().removesuffix("_right")
        against = f" while {', '.join(others)} lie on their sides" if others else ""
        yield Fault(
            case.record.anatomy,
            f"sides of {name}",
            f"{left.name.lower()} lies {-apart:.0f} mm to the right of {_beside(centres, right)}"
            f"{against}",
            f"Exchange {right.name.lower()} and {left.name.lower()}"
            if others
            else "Exchange the sides in the label map; where the picture is mirrored as well,"
            " convert the image again",
        )


def bone_faults(case: Labelled) -> Iterator[Fault]:
    """CT in which the annotated bone does not have the density of bone."""
    first = case.record.images[0]
    if first.modality is not Modality.CT or case.anatomy is None:
        return
    if case.anatomy.values.shape != case.image.values.shape:
        return
    bone = np.isin(case.anatomy.values, [*SACRUM_LABELS, 9, 10, 11, 12])
    values = case.image.values[bone & np.isfinite(case.image.values)]
    if values.size == 0:
        return
    middle = float(np.median(values))
    if not BONE_HU[0] <= middle <= BONE_HU[1]:
        yield Fault(
            first.file,
            "Hounsfield units",
            f"the median of the annotated bone is {middle:.0f}, bone lies between {BONE_HU[0]:.0f}"
            f" and {BONE_HU[1]:.0f} HU",
            "Apply Rescale Slope and Intercept (often -1024), or see if the labels lie on bone",
        )


def _range_faults(file: str, values: NDArray[np.float32]) -> Iterator[Fault]:
    low, high = float(values.min()), float(values.max())
    bright = float(np.percentile(values, 99.9))
    fix = "Convert the CT again with Rescale Slope and Intercept applied, not normalised"
    if low < LOWEST_HU or high > HIGHEST_HU:
        yield Fault(file, "Hounsfield units", f"values from {low:g} to {high:g}", fix)
    elif bright - low < 100:
        yield Fault(
            file, "Hounsfield units", f"values from {low:g} to {high:g}: they were scaled", fix
        )
    elif low > FAT_HU:
        yield Fault(
            file,
            "Hounsfield units",
            f"no value is below {low:g}: air and fat are, so an intercept is missing",
            fix,
        )


def _empty(case: Labelled) -> Iterator[Fault]:
    record = case.record
    fix = "Take the case out, or the structure out of annotated if nobody looked for it"
    anatomy = case.anatomy
    if anatomy is not None and record.anatomy is not None and not anatomy.values.any():
        yield Fault(record.anatomy, "labels", "all voxels are 0: nothing is outlined", fix)
    where = f"annotated of {record.name}"
    if not record.annotated:
        yield Fault("dataset.json", where, "it lists nothing", fix)
    strange = [one for one in record.annotated if one not in MEANINGS]
    if strange:
        yield Fault(
            "dataset.json", where, f"{', '.join(strange)} are no structures", f"Use {_STRUCTURES}"
        )
    for file, there in ((record.anatomy, False), (record.lesions, True)):
        kinds = [
            one
            for one in record.annotated
            if one in MEANINGS and (MEANINGS[one].lesion is not None) is there
        ]
        if kinds and file is None:
            yield Fault(
                "dataset.json",
                where,
                f"{', '.join(kinds)} are listed, but there is no file of them",
                "Take them out of annotated, or add the file",
            )


def _sums(bits: LesionBit) -> set[int]:
    """All sums of some of the bits, each with the mark of a voxel that nobody looked at."""
    sums = {total for total in range(32) if total & ~int(bits) == 0}
    return sums | {UNKNOWN_LESION}


def _centre_x_lps_mm(labels: Voxels, label: int) -> float:
    middle = np.argwhere(labels.values == label).mean(axis=0)
    return float((RAS_TO_LPS @ labels.affine_ras_mm @ [*middle, 1.0])[0])


def _apart(
    centres: dict[AnatomyLabel, float], right: AnatomyLabel, left: AnatomyLabel
) -> float | None:
    """How far the left one lies to the left of the right one, or of the sacrum if alone."""
    if right in centres and left in centres:
        return centres[left] - centres[right]
    middle = centres.get(AnatomyLabel.SACRAL_BODY, centres.get(AnatomyLabel.L5))
    if middle is None:
        return None
    if left in centres:
        return centres[left] - middle
    return middle - centres[right] if right in centres else None


def _beside(centres: dict[AnatomyLabel, float], right: AnatomyLabel) -> str:
    return right.name.lower() if right in centres else "the midline"


def _size(voxels: Voxels) -> str:
    return " × ".join(map(str, voxels.values.shape))


def _mm(values: Floats) -> str:
    return " × ".join(f"{value:.3g}" for value in values)
