"""Findings that were written before, read again as an earlier study."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from sifdetect.anatomy import AnatomyLabel, LesionBit, Modality, Side
from sifdetect.dicom.identity import identity_in
from sifdetect.dicom.nifti import read_label_map
from sifdetect.errors import UnreadableInput, UnsuitablePrior
from sifdetect.findings import Basis, Fracture, SeriesEvidence, StudyFindings, from_json
from sifdetect.prior import Examination, Scan, shown, version_of
from sifdetect.surface import Bone
from sifdetect.volume import LabelMap

FILE = "findings.json"

_SIDE = {
    Side.RIGHT: (AnatomyLabel.SACRAL_CORRIDOR_RIGHT, AnatomyLabel.SACRAL_ALA_RIGHT),
    Side.LEFT: (AnatomyLabel.SACRAL_CORRIDOR_LEFT, AnatomyLabel.SACRAL_ALA_LEFT),
    Side.MIDLINE: (AnatomyLabel.SACRAL_BODY,),
}
_BITS = {
    Basis.LINE: LesionBit.FRACTURE_LINE,
    Basis.EDEMA: LesionBit.EDEMA,
    Basis.LINE_AND_EDEMA: LesionBit.FRACTURE_LINE | LesionBit.EDEMA,
    Basis.SCLEROSIS: LesionBit.SCLEROSIS,
}


def findings_file(path: Path) -> Path | None:
    """The findings that a path names, by itself or as a results folder; None where it is images."""
    if path.suffix.lower() == ".json":
        return path
    inside = path / FILE
    return inside if path.is_dir() and inside.is_file() else None


def read_results(path: Path) -> Examination:
    """An examination from its ``findings.json``, with what lies beside it.

    Result objects (SR, SEG, summary) say whose it is; ``series-1`` (``--outputs nifti``) holds the
    labels that the sacra are laid over each other by.

    Raises:
        UnreadableInput: the file is missing, or no findings of this version of the schema.
        UnsuitablePrior: no series was used, so that there is nothing to compare.
    """
    findings = read_document(path)
    stated = findings.evidence or _stated(findings)
    if not stated:
        raise UnsuitablePrior(
            f"The findings in {path} rest on no series", hint="Analyse that study again"
        )
    scans = [Scan(shown(findings, one)) for one in stated]
    labels = path.parent / "series-1"
    if (labels / "anatomy.nii.gz").is_file():
        scans[0] = _labelled(scans[0], labels)
    return Examination(
        study_instance_uid=findings.study_instance_uid,
        identity=identity_in(path.parent),
        scans=tuple(scans),
        version=version_of(findings),
    )


def read_document(path: Path) -> StudyFindings:
    """The findings in a JSON file.

    Raises:
        UnreadableInput: the file is missing, or no findings of this version of the schema.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            raise ValueError("it holds no object")
        return from_json(document)
    except FileNotFoundError:
        raise UnreadableInput(f"{path} does not exist", hint="Check the path") from None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise UnreadableInput(
            f"{path} holds no findings that can be read ({error})",
            hint="Give the findings.json that sifdetect analyze wrote, or the images themselves",
        ) from error


def _stated(findings: StudyFindings) -> tuple[SeriesEvidence, ...]:
    """What the one modality says, that of a study with a single one."""
    used = [one for one in findings.sources if one.used and one.modality is not None]
    if not used or used[0].modality is None:
        return ()
    fluid = any(one.weighting is not None and one.weighting.fluid_sensitive for one in used)
    one = SeriesEvidence(
        modality=used[0].modality,
        series=tuple(source.series_instance_uid for source in used),
        fluid_sensitive=used[0].modality is Modality.MR and fluid,
        presence=findings.presence,
        probability=findings.probability,
        denis=findings.denis,
        bakker=findings.bakker,
        fractures=findings.fractures,
    )
    return (one,)


def _labelled(scan: Scan, folder: Path) -> Scan:
    anatomy = read_label_map(folder / "anatomy.nii.gz")
    marked = None
    if (folder / "lesions.nii.gz").is_file():
        lesions = read_label_map(folder / "lesions.nii.gz")
        if lesions.grid.same_place(anatomy.grid, tolerance_mm=0.1):
            marked = _marked(scan.shown.fractures, anatomy, lesions)
    return Scan(replace(scan.shown, marked=marked), Bone(anatomy))


def _marked(fractures: tuple[Fracture, ...], anatomy: LabelMap, lesions: LabelMap) -> LabelMap:
    """Each finding's voxels: what it rests on, in its half of the bone."""
    values = np.zeros(anatomy.grid.shape, dtype=np.uint8)
    for number, one in enumerate(fractures, start=1):
        mine = np.isin(anatomy.values, _SIDE[one.side])
        mine &= (lesions.values & _BITS[one.basis].value) > 0
        values[mine] = number
    return LabelMap(values, anatomy.grid)
