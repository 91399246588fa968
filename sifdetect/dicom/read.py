"""DICOM files to studies: the series that can be analysed, and why the others cannot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.uid import UID

from sifdetect.anatomy import Modality
from sifdetect.dicom.candidates import examine
from sifdetect.dicom.frames import Frame, Instance
from sifdetect.dicom.gather import gather
from sifdetect.dicom.pixels import decode
from sifdetect.dicom.series import Candidate
from sifdetect.dicom.stack import Stack, build_stack
from sifdetect.errors import InputError, UnreadableInput
from sifdetect.findings import SourceSeries, Warning
from sifdetect.study import Series, Study
from sifdetect.volume import FloatImage, Grid, Volume

COVERED_SHARE = 0.9
"""A CT series is left out where this share of its box lies in that of a more telling one."""


@dataclass(frozen=True)
class DicomSeries:
    """One usable series.

    Attributes:
        source: what is known of it; ``source.used`` is True.
        volume: axis 0 slice, axis 1 row, axis 2 column.
        datasets: without pixels; one a slice in the order of axis 0, or the one of an Enhanced
            multi-frame. At a slice in ``filled`` that of the nearest slice stands in.
        frame_numbers: for each slice, the frame of its data set, from 1.
        filled: slices that were not sent and were filled from their neighbours.
    """

    source: SourceSeries
    volume: Volume
    datasets: tuple[Dataset, ...] = field(repr=False)
    frame_numbers: tuple[int, ...] = field(default=(), repr=False)
    filled: tuple[int, ...] = ()


@dataclass(frozen=True)
class DicomStudy:
    """All series of one study: usable ones, most telling first, and refused ones.

    Attributes:
        header: one instance of the study without pixels, usable or not: whose images these are.
    """

    study_instance_uid: str
    series: tuple[DicomSeries, ...]
    refused: tuple[SourceSeries, ...]
    warnings: tuple[Warning, ...]
    header: Dataset | None = field(default=None, repr=False)
    file_warnings: tuple[Warning, ...] = ()

    @property
    def own_warnings(self) -> tuple[Warning, ...]:
        """Those of the study alone, and how many files of the whole input could not be used.

        The others quote paths, which may name other patients: they are not for result objects.
        """
        own = tuple(one for one in self.warnings if one not in self.file_warnings)
        if not self.file_warnings:
            return own
        text = f"{len(self.file_warnings)} of the files given could not be used or came twice"
        return (*own, Warning(code="files-not-used", text=text))

    def to_study(self) -> Study:
        """The study as the pipeline sees it."""
        series = tuple(Series(one.volume, one.source) for one in self.series)
        return Study(self.study_instance_uid, series, self.refused)


def read_studies(paths: Sequence[Path]) -> list[DicomStudy]:
    """Every study below ``paths``, all at once; see ``iter_studies``."""
    return list(iter_studies(paths))


def iter_studies(paths: Sequence[Path]) -> Iterator[DicomStudy]:
    """Every study below ``paths``: DICOM files, folders of any depth, DICOMDIR, zip.

    The pixels of a study are decoded when it is asked for: one is in memory at a time. A damaged
    file or an unusable series costs only itself: it is named among the warnings or the refused
    series of its study. A study of which no series can be used is returned, too.

    Raises:
        UnreadableInput: a path does not exist, or nothing below the paths is DICOM.
    """
    with ExitStack() as resources:
        gathered = gather(paths, resources)
        for uid, series in sorted(gathered.studies.items()):
            yield read_study(uid, series, gathered.warnings)


def read_study(
    uid: str, series: dict[str, list[Instance]], file_warnings: Sequence[Warning]
) -> DicomStudy:
    """One study whose instances are at hand, by Series Instance UID; see ``iter_studies``."""
    warnings = [*file_warnings, *_patient_warnings(series.values())]
    candidates: list[Candidate] = []
    refused: list[SourceSeries] = []
    for series_uid, instances in sorted(series.items()):
        chosen, others = examine(series_uid, instances, warnings)
        candidates += chosen
        refused += others
    used: list[DicomSeries] = []
    for candidate in sorted(candidates, key=lambda one: one.rank):
        try:
            stack = build_stack(candidate.frames, _name(candidate.source))
            _refuse_covered(candidate, stack.grid, used)
            used.append(_decoded(candidate, stack, warnings))
        except InputError as error:
            refused.append(_refused(candidate.source, error))
    header = _header(series.values())
    return DicomStudy(
        uid, tuple(used), tuple(refused), tuple(warnings), header, tuple(file_warnings)
    )


def _header(series: Iterable[list[Instance]]) -> Dataset | None:
    """The first instance by its UID, private SOP classes last: the same in whatever order."""

    def place(dataset: Dataset) -> tuple[bool, str]:
        standard = UID(str(dataset.get("SOPClassUID") or "")).keyword != ""
        return (not standard, str(dataset.get("SOPInstanceUID", "")))

    return min((one.dataset for group in series for one in group), key=place, default=None)


def _patient_warnings(series: Iterable[list[Instance]]) -> list[Warning]:
    """One study with several patients is a mix-up that no one downstream can see."""
    patients = {str(one.dataset.get("PatientID", "")) for group in series for one in group}
    if len(patients) < 2:
        return []
    text = f"the study holds {len(patients)} different Patient IDs; check whose images these are"
    return [Warning(code="several-patients", text=text)]


def _name(source: SourceSeries) -> str:
    label = source.description.split(";")[0] or f"…{source.series_instance_uid[-12:]}"
    return f"series {label!r}"


def _refused(source: SourceSeries, error: InputError) -> SourceSeries:
    return SourceSeries(
        series_instance_uid=source.series_instance_uid,
        modality=source.modality,
        weighting=source.weighting,
        plane=source.plane,
        used=False,
        reason=str(error),
        description=source.description,
    )


def _refuse_covered(candidate: Candidate, grid: Grid, used: Sequence[DicomSeries]) -> None:
    """A second CT reconstruction of the same region costs memory and tells nothing new."""
    if candidate.modality is not Modality.CT or grid.frame_of_reference_uid is None:
        return
    samples = np.stack(np.meshgrid(*[np.linspace(0, n - 1, 9) for n in grid.shape]), axis=-1)
    points = grid.index_to_mm(samples.reshape(-1, 3))
    for other in used:
        theirs = other.volume.grid
        if (
            other.volume.modality is Modality.CT
            and grid.frame_of_reference_uid == theirs.frame_of_reference_uid
            and theirs.contains(points).mean() >= COVERED_SHARE
        ):
            raise InputError(
                f"{_name(other.source)} shows the same region with thinner slices or a kernel that "
                "fits better"
            )


def _decoded(candidate: Candidate, stack: Stack, warnings: list[Warning]) -> DicomSeries:
    """The series with its pixels; planes that cannot be decoded count as missing."""
    name = _name(candidate.source)
    values, failed = decode(stack, candidate.modality)
    mended: list[Warning] = []
    if failed:
        for one in failed:
            text = f"{one.frame.instance.located.name} could not be decoded ({one.reason})"
            mended.append(Warning(code="unreadable-file", text=text))
        warnings += mended
        lost = {id(one.frame) for one in failed}
        rest = [frame for frame in candidate.frames if id(frame) not in lost]
        if not rest:
            raise UnreadableInput(f"{name} could not be decoded ({failed[0].reason})")
        stack = build_stack(rest, name)
        values, failed = decode(stack, candidate.modality)
        if failed:
            raise UnreadableInput(f"{name} could not be decoded ({failed[0].reason})")
    warnings += stack.warnings
    return _series(candidate.source, stack, values)


def _series(source: SourceSeries, stack: Stack, values: FloatImage) -> DicomSeries:
    assert source.modality is not None
    frames: tuple[Frame, ...] = stack.frames
    datasets = tuple(frame.instance.dataset for frame in frames)
    return DicomSeries(
        source=source,
        volume=Volume(values, stack.grid, source.modality, source.weighting),
        datasets=datasets[:1] if frames[0].instance.enhanced else datasets,
        frame_numbers=tuple(frame.number for frame in frames),
        filled=stack.filled,
    )
