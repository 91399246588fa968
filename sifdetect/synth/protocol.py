"""Examination protocols: which series there are, and what each of them covers.

Boxes are given from the centre of S2, along right→left, posterior→anterior, caudal→cranial of the
sacrum or of the scanner. Sizes and slice thicknesses: common departmental protocols, own estimate.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import MrWeighting
from sifdetect.volume import Floats, Grid, SacralFrame

Triple = tuple[float, float, float]
_LEAST_MATRIX = 64
"""No scanner makes a smaller one; a coarse box keeps its size."""


class Along(Enum):
    """Whose axes a box follows."""

    SACRUM = "sacrum"
    SCANNER = "scanner"


@dataclass(frozen=True)
class Field:
    """A box of voxels; lengths in mm, the three axes as in the module's docstring."""

    size_mm: Triple
    center_mm: Triple
    along: Along = Along.SCANNER

    def grid(self, frame: SacralFrame, spacing_mm: Triple) -> Grid:
        """The box as a grid around a sacrum, in patient coordinates."""
        axes = frame.axes
        if self.along is Along.SCANNER:
            axes = np.array([[1.0, 0, 0], [0, -1.0, 0], [0, 0, 1.0]])
        spacing = np.array(spacing_mm)
        shape = _matrix(np.array(self.size_mm) / spacing, spacing)
        affine = np.eye(4)
        affine[:3, :3] = axes.T * spacing
        corner = np.array(self.center_mm) - (shape - 1) / 2 * spacing
        affine[:3, 3] = SacralFrame(frame.origin_lps_mm, axes).to_lps_mm(corner)
        return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def _matrix(wanted: Floats, spacing_mm: Floats) -> NDArray[np.int64]:
    """Voxels along each axis; multiples of 8 within the slices, as scanners have them.

    Some viewers and archives cannot cut a segmentation into frames of other sizes.
    """
    within = [np.isclose(spacing_mm, one).sum() > 1 for one in spacing_mm]
    matrix = np.where(within & (wanted >= _LEAST_MATRIX), 8 * np.rint(wanted / 8), np.rint(wanted))
    return np.asarray(matrix, dtype=np.int64)


@dataclass(frozen=True)
class MrSeries:
    """One MR series.

    Attributes:
        weighting: ``OTHER`` is a Dixon fat image.
        spacing_mm: the largest of the three is the distance of the slices.
        gap: share of that distance between two slices, 0–1.
        fold_mm: tissue at each end of the phase axis that folds into the field of view.
    """

    weighting: MrWeighting
    spacing_mm: Triple
    field: Field
    gap: float = 0.1
    fold_mm: float = 0.0

    @property
    def slice_axis(self) -> int:
        """0 for sagittal, 1 for coronal, 2 for axial slices."""
        return int(np.argmax(self.spacing_mm))

    @property
    def thickness_mm(self) -> float:
        """Of a slice: what the gap leaves of the distance of two."""
        return max(self.spacing_mm) * (1 - self.gap)


PELVIS = Field((300.0, 230.0, 190.0), (0.0, 10.0, 5.0))
SACRUM = Field((250.0, 104.0, 210.0), (0.0, 0.0, -10.0), Along.SACRUM)
"""The fields of the default protocol: an axial CT and an oblique coronal MR."""


@dataclass(frozen=True)
class Protocol:
    """Which series an examination has, and their voxels.

    Attributes:
        weightings: of oblique coronal series along the sacrum, all with ``mr_spacing_mm``.
        ct_spacing_mm: right→left, posterior→anterior, caudal→cranial.
        mr_spacing_mm: right→left, through the slice, along the sacrum (oblique coronal).
        ct_field: what the CT covers.
        series: MR series of any other kind, after those of ``weightings``.
    """

    with_ct: bool = True
    weightings: tuple[MrWeighting, ...] = (MrWeighting.STIR, MrWeighting.T1)
    ct_spacing_mm: Triple = (1.2, 1.2, 2.5)
    mr_spacing_mm: Triple = (1.0, 4.0, 1.0)
    ct_field: Field = PELVIS
    series: tuple[MrSeries, ...] = field(default=())

    @property
    def mr_series(self) -> tuple[MrSeries, ...]:
        """All MR series in their order."""
        plain = tuple(MrSeries(w, self.mr_spacing_mm, SACRUM) for w in self.weightings)
        return plain + self.series

    def grids(self, frame: SacralFrame) -> tuple[Grid, ...]:
        """The grid of every series around a sacrum, CT first."""
        ct = [self.ct_field.grid(frame, self.ct_spacing_mm)] if self.with_ct else []
        return (*ct, *(one.field.grid(frame, one.spacing_mm) for one in self.mr_series))

    def varied(self, rng: np.random.Generator) -> Protocol:
        """The protocol of another department or day: moved, resized, refined; some fold in."""
        shift = rng.normal(0, 1, 3) * np.array([4.0, 6.0, 9.0])
        scale, fineness = float(rng.uniform(0.93, 1.1)), float(rng.uniform(0.85, 1.25))
        fold = float(rng.uniform(5, 25)) if rng.random() < 0.25 else 0.0

        def moved(box: Field) -> Field:
            x, y, z = (float(c + s) for c, s in zip(box.center_mm, shift, strict=True))
            a, b, c = (size * scale for size in box.size_mm)
            return replace(box, size_mm=(a, b, c), center_mm=(x, y, z))

        def refined(spacing: Triple) -> Triple:
            a, b, c = (s * fineness for s in spacing)
            return a, b, c

        return replace(
            self,
            ct_field=moved(self.ct_field),
            ct_spacing_mm=refined(self.ct_spacing_mm),
            series=tuple(
                replace(s, field=moved(s.field), spacing_mm=refined(s.spacing_mm), fold_mm=fold)
                for s in self.series
            ),
        )


def _series(
    box: Field, spacing_mm: Triple, *weightings: MrWeighting, gap: float = 0.1
) -> tuple[MrSeries, ...]:
    return tuple(MrSeries(w, spacing_mm, box, gap) for w in weightings)


def _mr(*groups: tuple[MrSeries, ...]) -> Protocol:
    return Protocol(False, (), series=tuple(one for group in groups for one in group))


def _ct(box: Field, spacing_mm: Triple) -> Protocol:
    return Protocol(True, (), ct_spacing_mm=spacing_mm, ct_field=box)


_STIR, _T1, _T2 = MrWeighting.STIR, MrWeighting.T1, MrWeighting.T2
_FATSAT, _WATER, _FAT = MrWeighting.T2_FATSAT, MrWeighting.DIXON_WATER, MrWeighting.OTHER
_OBLIQUE = Field((200.0, 92.0, 200.0), (0.0, -2.0, -8.0), Along.SACRUM)
_SLAB = Field((92.0, 220.0, 220.0), (0.0, 20.0, 10.0))
_LUMBAR = Field((76.0, 240.0, 290.0), (0.0, 25.0, 118.0))
_AXIAL = Field((360.0, 250.0, 230.0), (0.0, 22.0, -30.0))
_CORONAL = Field((360.0, 160.0, 330.0), (0.0, 0.0, -20.0))

PROTOCOLS = {
    "sacral-mr": _mr(
        _series(_OBLIQUE, (0.7, 3.6, 0.7), _STIR, _T1),
        _series(_SLAB, (4.0, 0.9, 0.9), _T2),
    ),
    "lumbar-mr": _mr(_series(_LUMBAR, (4.4, 0.9, 0.9), _T1, _T2, _STIR)),
    "pelvic-mr": _mr(
        _series(_AXIAL, (1.0, 1.0, 5.5), _T1, _FATSAT),
        _series(_CORONAL, (1.1, 5.0, 1.1), _STIR, gap=0.2),
    ),
    "dixon-mr": _mr(
        _series(_OBLIQUE, (0.8, 3.6, 0.8), _WATER, _FAT), _series(_OBLIQUE, (0.8, 3.6, 0.8), _T1)
    ),
    "pelvic-ct": _ct(Field((380.0, 290.0, 240.0), (0.0, 15.0, -15.0)), (0.9, 0.9, 2.0)),
    "trunk-ct": _ct(Field((420.0, 320.0, 440.0), (0.0, 15.0, 60.0)), (1.1, 1.1, 3.0)),
    "sacral-ct": _ct(Field((200.0, 140.0, 160.0), (0.0, 5.0, -8.0)), (0.7, 0.7, 1.5)),
    "cut-ct": _ct(Field((340.0, 260.0, 200.0), (0.0, 15.0, 85.0)), (0.9, 0.9, 2.5)),
}
"""Protocols by name. ``lumbar-mr`` and ``cut-ct`` cut the sacrum, at about S3 and S2."""
