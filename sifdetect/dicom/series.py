"""What a series is worth: weighting, plane, description, and its rank among the others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from sifdetect.anatomy import Modality, MrWeighting, Plane
from sifdetect.dicom.facts import SeriesFacts, facts_of
from sifdetect.dicom.frames import Frame
from sifdetect.dicom.groups import Group, along_normal_mm, normal_of
from sifdetect.dicom.weightings import TELLING, weighting_rule
from sifdetect.findings import SourceSeries

OBLIQUE_DEG = 20.0
THIN_MM = 1.5
"""CT slices up to here show a fracture line in every plane; among them the kernel decides."""

_LUNG = re.compile(r"\blung|\bpulmo|\bair\b|\bb8\d|\bbl\d\d|\bfc5\d|^l$")


@dataclass(frozen=True)
class Candidate:
    """Planes that may be analysed, and what is known of them before their pixels are read."""

    frames: tuple[Frame, ...]
    facts: SeriesFacts
    source: SourceSeries

    @property
    def modality(self) -> Modality:
        """CT or MR."""
        assert self.source.modality is not None
        return self.source.modality

    @property
    def rank(self) -> tuple[float, ...]:
        """The most telling series has the lowest rank.

        CT: a kernel fit for bone, thin slices, much tissue covered. MR: the weighting in the order
        of ``TELLING``, then thin slices.
        """
        extent = float(np.ptp(along_normal_mm(self.frames))) if self.frames else 0.0
        thickness = slice_distance_mm(self.frames)
        if self.modality is Modality.CT:
            kernel = kernel_rank(_kernel(self.frames[0]), self.facts.words)
            return (0, kernel, max(thickness, THIN_MM), -extent, thickness)
        return (1, TELLING.index(self.source.weighting or MrWeighting.OTHER), thickness, -extent)


def candidate_of(group: Group, source: SourceSeries) -> Candidate:
    """One stack of a series with its weighting, plane and description."""
    frame = group.frames[0]
    facts = facts_of(frame)
    weighting, why = None, "CT"
    if facts.modality is Modality.MR:
        rule = weighting_rule(facts)
        weighting, why = rule.weighting, f"{rule.weighting.value}: {rule.name}"
    known = replace(
        source,
        modality=facts.modality,
        weighting=weighting,
        plane=plane_of(normal_of(frame)),
        used=True,
        reason=why,
        description=description_of(group.frames),
    )
    return Candidate(group.frames, facts, known)


def plane_of(normal_lps: ArrayLike) -> Plane:
    """Orientation of a stack by its slice normal (3,), a unit vector in LPS."""
    cosines = np.abs(np.asarray(normal_lps, dtype=np.float64))
    nearest = int(cosines.argmax())
    if cosines[nearest] < np.cos(np.radians(OBLIQUE_DEG)):
        return Plane.OBLIQUE
    return (Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL)[nearest]


def kernel_rank(kernel: str, words: str) -> int:
    """0 for a soft-tissue or bone kernel, 1 for one that is unfit for bone (lung)."""
    return int(any(_LUNG.search(text.lower()) for text in (kernel, words)))


def slice_distance_mm(frames: Sequence[Frame]) -> float:
    """Median distance of neighbouring slices, or Slice Thickness (0018,0050) where there is one."""
    steps = np.diff(np.unique(along_normal_mm(frames).round(2)))
    if len(steps):
        return float(np.median(steps))
    return frames[0].number_of("SliceThickness") or 0.0


def description_of(frames: Sequence[Frame]) -> str:
    """Series Description, then what a reader wants to know: kernel, contrast medium, voxels."""
    frame = frames[0]
    rows_mm, columns_mm = frame.spacing_mm
    contrast = frame.get("ContrastBolusAgent")
    parts = [
        str(frame.get("SeriesDescription", "")).strip(),
        f"kernel {_kernel(frame)}" if _kernel(frame) else "",
        f"contrast medium {contrast}" if contrast else "",
        f"{len(frames)} × {frame.rows} × {frame.columns} at {slice_distance_mm(frames):.2f} × "
        f"{rows_mm:.2f} × {columns_mm:.2f} mm",
    ]
    return "; ".join(part for part in parts if part)


def _kernel(frame: Frame) -> str:
    """Convolution Kernel (0018,1210); its further values are the vendor's strength settings."""
    value = frame.get("ConvolutionKernel", "")
    return value if isinstance(value, str) else str(next(iter(value), ""))
