"""Paths to studies: DICOM in any wrapping, or NIfTI files with what they do not say themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sifdetect.anatomy import Modality, MrWeighting
from sifdetect.dicom.identity import Identity, identity_of
from sifdetect.dicom.nifti import read_nifti
from sifdetect.dicom.read import DicomStudy, iter_studies
from sifdetect.errors import UsageError
from sifdetect.study import Study


@dataclass(frozen=True)
class StudyInput:
    """One study as it was read.

    Attributes:
        dicom: None for NIfTI.
        seconds: that reading took.
    """

    study: Study
    dicom: DicomStudy | None
    seconds: float

    @property
    def identity(self) -> Identity | None:
        """Of patient and date; None where the input does not say."""
        header = None if self.dicom is None else self.dicom.header
        return None if header is None else identity_of(header)


def read_inputs(
    paths: Sequence[Path], *, modality: Modality | None, weightings: Sequence[MrWeighting]
) -> Iterator[StudyInput]:
    """One study after another.

    Raises:
        UsageError: NIfTI and DICOM together, or NIfTI without what it does not say.
        UnreadableInput: nothing can be read.
    """
    start = time.perf_counter()
    nifti = [path for path in paths if path.name.endswith((".nii", ".nii.gz"))]
    if nifti and len(nifti) < len(paths):
        raise UsageError("NIfTI files and DICOM cannot be analysed together", hint="Run it twice")
    if nifti:
        study = _read_nifti(nifti, modality, weightings)
        yield StudyInput(study, None, time.perf_counter() - start)
        return
    for dicom in iter_studies(paths):
        yield StudyInput(dicom.to_study(), dicom, time.perf_counter() - start)
        start = time.perf_counter()


def _read_nifti(
    paths: Sequence[Path], modality: Modality | None, weightings: Sequence[MrWeighting]
) -> Study:
    """One study: the files of one examination, each with its weighting."""
    given: Sequence[MrWeighting | None] = weightings or (None,)
    if len(given) == 1:
        return read_nifti(paths, modality=modality, weighting=given[0])
    if len(given) != len(paths):
        raise UsageError(
            f"{len(given)} weightings were given for {len(paths)} NIfTI files",
            hint="Give one for each file, or one for all",
        )
    studies = [
        read_nifti([path], modality=modality, weighting=weighting)
        for path, weighting in zip(paths, given, strict=True)
    ]
    return replace(studies[0], series=tuple(one for study in studies for one in study.series))
