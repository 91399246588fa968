"""Painted cases with a truth, in folders as ``sifdetect synth --format nifti`` writes them."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import AnatomyLabel, LesionBit, SacralLevel, Side
from sifdetect.findings import (
    Algorithm,
    BakkerFinding,
    Basis,
    Coverage,
    DenisFinding,
    FfpFinding,
    Fracture,
    Morphology,
    MorphologyFinding,
    Presence,
    StudyFindings,
    to_json,
)
from sifdetect.learn.evaluation.row import About, Row, SeriesScore
from tests.bundles import LINE, Painting
from tests.test_pipeline import CENTER, axial, broken_on_the_left

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def truth(*, fractured: bool) -> StudyFindings:
    """A whole sacrum, intact or with a line in the left ala."""
    line = Fracture(
        id="SIF-1",
        side=Side.LEFT,
        levels=(SacralLevel.S1,),
        basis=Basis.LINE,
        volume_mm3=2000.0,
        length_mm=60.0,
        centroid_lps_mm=(CENTER[0] + 35, CENTER[1], CENTER[2] + 10),
        confidence=1.0,
    )
    morphology = Morphology.UNILATERAL if fractured else Morphology.NONE
    return StudyFindings(
        study_instance_uid="painted",
        presence=Presence.PRESENT if fractured else Presence.ABSENT,
        probability=float(fractured),
        denis=DenisFinding(zone=1 if fractured else None, left=int(fractured), right=0),
        morphology=MorphologyFinding(value=morphology),
        bakker=BakkerFinding(),
        ffp=FfpFinding(),
        coverage=Coverage(sacrum=1.0, by_level=dict.fromkeys(SacralLevel, 1.0)),
        algorithm=Algorithm(name="painted", version="1"),
        fractures=(line,) if fractured else (),
    )


def write_case(folder: Path, *, fractured: bool, looks_fractured: bool) -> Path:
    """A painted CT with its labels; what it shows may differ from its truth."""
    intact = Painting(axial(), CENTER)
    shown = broken_on_the_left(axial()) if looks_fractured else intact
    true = broken_on_the_left(axial()) if fractured else intact
    images = folder / "nifti"
    images.mkdir(parents=True)
    x = np.abs(intact.offset[..., 0])
    left = intact.offset[..., 0] > 0
    ala = np.where(left, AnatomyLabel.SACRAL_ALA_LEFT, AnatomyLabel.SACRAL_ALA_RIGHT)
    corridor = np.where(left, AnatomyLabel.SACRAL_CORRIDOR_LEFT, AnatomyLabel.SACRAL_CORRIDOR_RIGHT)
    anatomy = np.select([x >= 25, x >= 15], [ala, corridor], AnatomyLabel.SACRAL_BODY)
    anatomy[intact.values == 0] = 0
    line = (true.values == LINE * 100) * int(LesionBit.FRACTURE_LINE)
    _save(images / "ct.nii.gz", shown.values)
    _save(images / "ct_anatomy.nii.gz", anatomy.astype(np.uint8))
    _save(images / "ct_lesions.nii.gz", line.astype(np.uint8))
    document = to_json(truth(fractured=fractured))
    (folder / "truth.json").write_text(json.dumps(document))
    return folder


def row(name: str, *, fractured: bool, said: Presence | None, probability: float = 0.0) -> Row:
    """A case that was answered so; None is no answer."""
    answer = truth(fractured=said is Presence.PRESENT)
    return Row(
        about=About(name=name, digest=name),
        truth=truth(fractured=fractured),
        found=None if said is None else _answered(answer, said, probability),
        error="" if said is not None else "No sacrum is in view.",
        series=(SeriesScore(name="ct", modality="CT", sequence="CT", slice_mm=2.5),),
    )


def _answered(findings: StudyFindings, said: Presence, probability: float) -> StudyFindings:
    return StudyFindings(**{**vars(findings), "presence": said, "probability": probability})


def _save(path: Path, values: NDArray[np.generic]) -> None:
    affine = _LPS_TO_RAS @ axial().affine_lps_mm
    nib.save(nib.Nifti1Image(values, affine), path)  # type: ignore[no-untyped-call]  # nibabel's
