"""Files in, files out: reading, the pipeline and the encoders put together."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from sifdetect.access import with_access
from sifdetect.anatomy import Modality, MrWeighting
from sifdetect.changes import Comparison
from sifdetect.dicom.fhir import diagnostic_report
from sifdetect.dicom.nifti import write_labels
from sifdetect.dicom.read import DicomStudy
from sifdetect.dicom.results import KINDS, encode_results
from sifdetect.dicom.text_report import encode_text_report
from sifdetect.engine import Engine, Models
from sifdetect.errors import InputError, SifdetectError, UsageError
from sifdetect.findings import StudyFindings, Warning, to_json
from sifdetect.folder import whole
from sifdetect.followup import Earlier, analyzed, read_examination, read_prior, require
from sifdetect.inputs import StudyInput, read_inputs
from sifdetect.prior import compared, require_comparable
from sifdetect.study import Analysis

OUTPUTS = (*KINDS, "fhir", "nifti")
"""What ``analyze`` can write."""

_FILE_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


@dataclass(frozen=True)
class Options:
    """How to analyse.

    Attributes:
        models: folder of the bundles; None for the one that is installed.
        engine, device: what runs the networks, and where.
        prior: an earlier study of the same patient, or its results, to compare with.
        modality: of NIfTI input, which does not say.
        weightings: of NIfTI input from MR, one for each file, or one for all.
        access: True to add the geometry of a sacroplasty to findings and report.
        remarks: sentences about the input that the results repeat among their warnings.
    """

    models: Path | None = None
    engine: Engine = Engine.AUTO
    device: str = "cpu"
    prior: tuple[Path, ...] = ()
    modality: Modality | None = None
    weightings: tuple[MrWeighting, ...] = ()
    access: bool = False
    remarks: tuple[str, ...] = ()


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
        SifdetectError: the input cannot be read, a bundle is missing or altered, or the prior
            study must not be compared.
    """
    options = options or Options()
    models = load_models(options)
    earlier = _earlier(options, models)
    for one in _inputs(paths, options):
        require(one, earlier)
        try:
            findings = _analysis(one, models, earlier, options).findings
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
        UnsuitablePrior: the prior study is another patient's, newer, or the study itself.
        ModelError: a bundle is missing or altered.
    """
    options = options or Options()
    unknown = sorted(set(outputs) - set(OUTPUTS))
    if unknown:
        raise UsageError(
            f"There is no output named {', '.join(unknown)}", hint=f"Use {', '.join(OUTPUTS)}"
        )
    models = load_models(options)
    earlier = _earlier(options, models)
    done = []
    for one in _inputs(paths, options):
        require(one, earlier)
        done.append(
            _analyzed(one, out, outputs, analyze=lambda it: _analysis(it, models, earlier, options))
        )
    return done


def compare_studies(
    now: Sequence[Path], prior: Sequence[Path], *, options: Options | None = None
) -> Comparison:
    """What has changed between two examinations of one patient.

    Raises:
        UnsuitablePrior: another patient, the wrong order, or the same study twice.
        InputError: one of them cannot be read or assessed.
        ModelError: a bundle is missing or altered.
    """
    options = options or Options()
    models = load_models(options)
    earlier, later = (
        read_examination(paths, models, modality=options.modality, weightings=options.weightings)
        for paths in (prior, now)
    )
    require_comparable(later.study_instance_uid, later.identity, earlier)
    return compared(later, earlier)


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


def _inputs(paths: Sequence[Path], options: Options) -> Iterator[StudyInput]:
    named = [Path(path) for path in paths]
    return read_inputs(named, modality=options.modality, weightings=options.weightings)


def _earlier(options: Options, models: Models) -> Earlier:
    return read_prior(
        options.prior, models, modality=options.modality, weightings=options.weightings
    )


def _analysis(one: StudyInput, models: Models, earlier: Earlier, options: Options) -> Analysis:
    analysis = analyzed(one, models, earlier)
    remarks = [Warning(code="input-remark", text=text) for text in options.remarks]
    analysis = _warned(analysis, remarks)
    return with_access(analysis) if options.access else analysis


def _analyzed(
    one: StudyInput,
    out: Path,
    outputs: Collection[str],
    *,
    analyze: Callable[[StudyInput], Analysis],
) -> Analyzed:
    start = time.perf_counter()
    folder = out / folder_name(one.study.study_instance_uid)
    with whole(folder) as draft:
        try:
            analysis = analyze(one)
        except InputError as error:
            if one.dicom is not None and {"sr", "text"} & set(outputs):
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
