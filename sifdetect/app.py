"""Files in, files out: reading, the pipeline and the encoders put together."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from sifdetect.anatomy import Modality, MrWeighting
from sifdetect.dicom.fhir import diagnostic_report
from sifdetect.dicom.nifti import read_nifti, write_labels
from sifdetect.dicom.read import DicomStudy, iter_studies
from sifdetect.dicom.results import KINDS, encode_results
from sifdetect.dicom.text_report import encode_text_report
from sifdetect.engine import Engine, Models
from sifdetect.errors import InputError, SifdetectError, UsageError
from sifdetect.findings import StudyFindings, Warning, to_json
from sifdetect.folder import whole
from sifdetect.pipeline import analyze_study
from sifdetect.study import Analysis, Study

OUTPUTS = (*KINDS, "fhir", "nifti")
"""What ``analyze`` can write."""

_FILE_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


@dataclass(frozen=True)
class Options:
    """How to analyse.

    Attributes:
        models: folder of the bundles; None for the one that is installed.
        engine, device: what runs the networks, and where.
        modality: of NIfTI input, which does not say.
        weightings: of NIfTI input from MR, one for each file, or one for all.
    """

    models: Path | None = None
    engine: Engine = Engine.AUTO
    device: str = "cpu"
    modality: Modality | None = None
    weightings: tuple[MrWeighting, ...] = ()


@dataclass(frozen=True)
class Analyzed:
    """What became of one study.

    Attributes:
        findings: None where it could not be assessed.
        folder: holds what was written.
        files: what was written, in that folder.
        error: why it could not be assessed.
    """

    findings: StudyFindings | None
    folder: Path
    files: tuple[Path, ...]
    error: SifdetectError | None


@dataclass(frozen=True)
class _Input:
    study: Study
    dicom: DicomStudy | None
    seconds: float


def analyze(paths: Sequence[Path], *, options: Options | None = None) -> list[StudyFindings]:
    """Findings of every study in DICOM files, folders, DICOMDIRs, zips or NIfTI files.

    Raises:
        SifdetectError: the input cannot be read, or one of the studies cannot be assessed.
    """
    found = []
    for one in analyze_each(paths, options=options):
        if isinstance(one, SifdetectError):
            raise one
        found.append(one)
    return found


def analyze_each(
    paths: Sequence[Path], *, options: Options | None = None
) -> Iterator[StudyFindings | InputError]:
    """The findings of one study after another, or why it cannot be assessed.

    Raises:
        SifdetectError: the input cannot be read, or a bundle is missing or altered.
    """
    options = options or Options()
    models = load_models(options)
    for one in _inputs([Path(path) for path in paths], options):
        try:
            findings = analyze_study(one.study, models).findings
        except InputError as error:
            yield error
        else:
            yield _timed(findings, read=one.seconds)


def analyze_to_folder(
    paths: Sequence[Path],
    out: Path,
    *,
    outputs: Collection[str] = ("sr", "seg", "summary"),
    options: Options | None = None,
) -> list[Analyzed]:
    """Analyse every study and write ``out/<StudyInstanceUID>/``; each folder appears whole.

    A study that cannot be assessed has its ``error``, and for DICOM input a report that says so.

    Raises:
        UsageError: an output has no meaning, or not for this input.
        UnreadableInput: nothing can be read.
        ModelError: a bundle is missing or altered.
    """
    options = options or Options()
    unknown = sorted(set(outputs) - set(OUTPUTS))
    if unknown:
        raise UsageError(
            f"There is no output named {', '.join(unknown)}", hint=f"Use {', '.join(OUTPUTS)}"
        )
    models = load_models(options)
    return [
        _analyzed(one, out, outputs, models)
        for one in _inputs([Path(path) for path in paths], options)
    ]


def load_models(options: Options) -> Models:
    """The bundles that the options name; each is opened when it is first used, and kept."""
    return _models(options.models or default_models(), options.engine, options.device)


@lru_cache(maxsize=2)
def _models(folder: Path, engine: Engine, device: str) -> Models:
    return Models(folder, engine=engine, device=device)


def default_models() -> Path:
    """``SIFDETECT_MODELS``, else the ``models`` folder beside the package."""
    named = os.environ.get("SIFDETECT_MODELS")
    return Path(named) if named else Path(__file__).resolve().parent.parent / "models"


def _inputs(paths: Sequence[Path], options: Options) -> Iterator[_Input]:
    start = time.perf_counter()
    nifti = [path for path in paths if path.name.endswith((".nii", ".nii.gz"))]
    if nifti and len(nifti) < len(paths):
        raise UsageError("NIfTI files and DICOM cannot be analysed together", hint="Run it twice")
    if nifti:
        study = _read_nifti(nifti, options)
        yield _Input(study, None, time.perf_counter() - start)
        return
    for dicom in iter_studies(paths):
        yield _Input(dicom.to_study(), dicom, time.perf_counter() - start)
        start = time.perf_counter()


def _read_nifti(paths: Sequence[Path], options: Options) -> Study:
    """One study: the files of one examination, each with its weighting."""
    given: Sequence[MrWeighting | None] = options.weightings or (None,)
    if len(given) == 1:
        return read_nifti(paths, modality=options.modality, weighting=given[0])
    if len(given) != len(paths):
        raise UsageError(
            f"{len(given)} weightings were given for {len(paths)} NIfTI files",
            hint="Give one for each file, or one for all",
        )
    studies = [
        read_nifti([path], modality=options.modality, weighting=weighting)
        for path, weighting in zip(paths, given, strict=True)
    ]
    return replace(studies[0], series=tuple(one for study in studies for one in study.series))


def _analyzed(one: _Input, out: Path, outputs: Collection[str], models: Models) -> Analyzed:
    start = time.perf_counter()
    folder = out / folder_name(one.study.study_instance_uid)
    with whole(folder) as draft:
        try:
            analysis = analyze_study(one.study, models)
        except InputError as error:
            if one.dicom is not None and "sr" in outputs:
                report = encode_text_report(None, one.dicom, failure=str(error))
                report.save_as(draft / "sr.dcm", enforce_file_format=True)
            return Analyzed(None, folder, _names(draft, folder), error)
        encoding = time.perf_counter()
        if one.dicom is not None:
            _write_dicom(_warned(analysis, one.dicom.own_warnings), one.dicom, draft, outputs)
            analysis = _warned(analysis, one.dicom.warnings)
        if "nifti" in outputs:
            write_labels(draft, analysis.labels)
        encode = time.perf_counter() - encoding
        total = one.seconds + time.perf_counter() - start
        findings = _timed(analysis.findings, read=one.seconds, encode=encode, total=total)
        _write_json(draft / "findings.json", to_json(findings))
        return Analyzed(findings, folder, _names(draft, folder), None)


def folder_name(study_instance_uid: str) -> str:
    """The study's UID where it is safe as a file name, else a hash of it: peers choose UIDs."""
    if _FILE_NAME.fullmatch(study_instance_uid):
        return study_instance_uid
    return f"study-{hashlib.sha256(study_instance_uid.encode()).hexdigest()[:32]}"


def _write_dicom(
    analysis: Analysis, study: DicomStudy, draft: Path, outputs: Collection[str]
) -> None:
    for name, dataset in encode_results(analysis, study, outputs).items():
        dataset.save_as(draft / name, enforce_file_format=True)
    if "fhir" in outputs:
        _write_json(draft / "fhir.json", diagnostic_report(analysis.findings, study))


def _write_json(path: Path, document: object) -> None:
    text = json.dumps(document, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def _warned(analysis: Analysis, more: Sequence[Warning]) -> Analysis:
    warnings = (*analysis.findings.warnings, *more)
    return replace(analysis, findings=replace(analysis.findings, warnings=warnings))


def _timed(findings: StudyFindings, **seconds: float) -> StudyFindings:
    return replace(findings, timings_s={**findings.timings_s, **seconds})


def _names(draft: Path, folder: Path) -> tuple[Path, ...]:
    files = sorted(path for path in draft.rglob("*") if path.is_file())
    return tuple(folder / path.relative_to(draft) for path in files)
