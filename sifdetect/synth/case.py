"""A synthetic examination: volumes as a scanner would give them, labels, and the truth.

The truth (truth.py) comes from the parameters of the case, never from the pipeline's rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sifdetect.anatomy import Modality
from sifdetect.findings import Morphology, StudyFindings
from sifdetect.synth import ct, ct_series
from sifdetect.synth.bones import BoneField
from sifdetect.synth.coverage import as_covered
from sifdetect.synth.mr_series import mr_volumes
from sifdetect.synth.protocol import Protocol
from sifdetect.synth.scene import CaseParams, sample_case
from sifdetect.synth.shifted import Shift
from sifdetect.synth.truth import truth_of
from sifdetect.volume import LabelMap, Volume

__all__ = ["Protocol", "SyntheticCase", "make_case"]


@dataclass(frozen=True)
class SyntheticCase:
    """One examination.

    Attributes:
        params: everything that made it.
        volumes: CT first, then MR series in one frame of reference.
        anatomy, lesions: AnatomyLabel values and LesionBit sums for each volume, on its grid.
        truth: what a perfect reader would say of what is in view (coverage.py).
        thickness_mm: slice thickness of each volume; slices may overlap or leave gaps.
        shift: what is unlike training in it (shifted.py); None where nothing is.
    """

    params: CaseParams
    volumes: tuple[Volume, ...]
    anatomy: tuple[LabelMap, ...]
    lesions: tuple[LabelMap, ...]
    truth: StudyFindings
    thickness_mm: tuple[float, ...] = ()
    shift: Shift | None = None


DEFAULT = Protocol()
"""An axial CT of the pelvis, and oblique coronal STIR and T1."""


def make_case(
    seed: int,
    *,
    morphology: Morphology | None = None,
    protocol: Protocol = DEFAULT,
    sources: Sequence[BoneField] = (),
    shifted: bool = False,
) -> SyntheticCase:
    """Render the examination of a seed; the same seed gives the same voxels.

    Args:
        sources: real bones to vary, as ``scene.sample_case`` takes them.
        shifted: make patient and scanner unlike those of training, as ``shifted.py`` does.
    """
    params = sample_case(seed, morphology=morphology, sources=sources)
    shift = Shift.sample(seed) if shifted else None
    if shift is not None:
        params, protocol = shift.patient(params), shift.protocol(protocol)
    rng = np.random.default_rng([seed, 3])
    volumes: list[Volume] = []
    labels: list[tuple[LabelMap, LabelMap]] = []
    thickness = []
    if protocol.with_ct:
        grid = protocol.ct_field.grid(params.frame, protocol.ct_spacing_mm)
        scan = ct.CtParams.sample(rng, tagged=params.body.tagged_stool)
        scan = scan if shift is None else shift.ct(scan)
        values, *both = ct_series.rendered(params, grid, scan, rng)
        volumes.append(Volume(values, grid, Modality.CT))
        labels.append((LabelMap(both[0], grid), LabelMap(both[1], grid)))
        thickness.append(protocol.ct_spacing_mm[2] * scan.overlap)
    thickness += [one.thickness_mm for one in protocol.mr_series]
    for volume, anatomy, lesions in mr_volumes(params, protocol.mr_series, rng, shift):
        volumes.append(volume)
        labels.append((anatomy, lesions))
    return SyntheticCase(
        params=params,
        volumes=tuple(volumes),
        anatomy=tuple(pair[0] for pair in labels),
        lesions=tuple(pair[1] for pair in labels),
        truth=as_covered(truth_of(params), params, [volume.grid for volume in volumes]),
        thickness_mm=tuple(thickness),
        shift=shift,
    )
