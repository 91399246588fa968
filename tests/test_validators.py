"""Every object of every kind of study, before every outside judge; and that each judge fires."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cache, partial
from io import BytesIO
from pathlib import Path

import pytest
from highdicom.pr import GrayscaleSoftcopyPresentationState
from PIL import Image
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

from sifdetect.anatomy import Modality
from sifdetect.dicom.results import KINDS, encode_results
from sifdetect.dicom.text_report import encode_text_report
from sifdetect.findings import Presence
from sifdetect.study import Analysis
from tests import validators
from tests.result_cases import ODD, PATIENT, Case, bilateral, without_finding
from tests.result_objects import (
    images_of,
    indeterminate,
    results_of,
    uncertain,
    with_findings,
)
from tests.validators import JUDGES_OF, Judge, complaints

NAMES = {
    "Latin": ("Müller^Änne", "ISO_IR 100"),
    "Greek": ("Παπαδοπούλου^Ελένη", "ISO_IR 126"),
    "Polish": ("Łukasz^Świątek", "ISO_IR 192"),
    "Japanese": ("Yamada^Tarou=山田^太郎=やまだ^たろう", "\\ISO 2022 IR 87"),
}
STUDIES: dict[str, Callable[[], Case]] = {
    "CT": lambda: bilateral(Modality.CT),
    "MR": lambda: bilateral(Modality.MR),
    "Enhanced-CT": lambda: bilateral(Modality.CT, enhanced=True),
    "Enhanced-MR": lambda: bilateral(Modality.MR, enhanced=True),
    "odd": lambda: bilateral(Modality.MR, shape=ODD),
    "one": lambda: with_findings(1, Modality.CT),
    "six": lambda: with_findings(6),
    "none": lambda: without_finding(Presence.ABSENT),
    "indeterminate": indeterminate,
    "uncertain": uncertain,
}
"""All of them oblique, with pixels that are not square."""


def _named(name: str, character_set: str) -> Case:
    about = replace(PATIENT, patient_name=name, character_set=character_set, study_description="")
    return bilateral(about=about)


WHOLE = ("CT", "odd", "Japanese")
"""Studies of which every report is judged."""
STUDIES |= {key: partial(_named, *NAMES[key]) for key in NAMES}


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES)
def test_no_judge_finds_anything_wrong_with_any_object(study: str, tmp_path: Path) -> None:
    """CT and MR, single and Enhanced, one and six findings, none, indeterminate, four scripts.

    What ``analyze`` writes where every output is asked for; PixelMed takes ten seconds a report,
    and so the second and third report of most studies are left out.
    """
    results = _made(study)
    always = {"sr", "summary", "report.pdf", "anatomy"}
    whole = always | {"seg", "gsps"}
    whole |= {"sr-data", "text"} if study in WHOLE else set()
    assert set(results) == (always if study in ("none", "indeterminate") else whole)
    assert complaints(results, tmp_path) == []


@cache
def _made(study: str) -> dict[str, Dataset]:
    """The objects of a study by their names, encoded once for all tests."""
    case = STUDIES[study]()
    kinds = set(KINDS) - (set() if study in WHOLE else {"data", "text"})
    made = encode_results(Analysis(case.findings, case.labels), case.study, kinds)
    return {name.removesuffix(".dcm"): result for name, result in made.items()}


@pytest.mark.slow
def test_no_judge_finds_anything_wrong_with_the_report_of_a_failure(tmp_path: Path) -> None:
    """A study that could not be assessed."""
    failed = encode_text_report(None, bilateral().study, failure="No sacrum was found.")
    assert complaints({"failed": failed}, tmp_path) == []


def test_an_object_that_nobody_judges_is_a_complaint(tmp_path: Path) -> None:
    """A new kind of object cannot slip past."""
    strange = results_of(bilateral())["summary"]
    strange.SOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    assert complaints({"strange": strange}, tmp_path) == [
        "strange: nobody judges RT Structure Set Storage"
    ]


def _report() -> Dataset:
    return results_of(with_findings(1))["sr"]


def _segmentation() -> Dataset:
    return results_of(with_findings(1))["seg"]


def _presentation() -> Dataset:
    """A presentation state of the library's own, for as long as none of ours is needed here."""
    return GrayscaleSoftcopyPresentationState(
        referenced_images=images_of(bilateral(Modality.CT))[:1],
        series_instance_uid="1.2.3.4",
        series_number=1,
        sop_instance_uid="1.2.3.4.5",
        instance_number=1,
        manufacturer="tests",
        manufacturer_model_name="tests",
        software_versions="1",
        device_serial_number="1",
        content_label="TEST",
    )


def _document() -> Dataset:
    """One empty page."""
    stream = BytesIO()
    Image.new("L", (60, 80), 255).save(stream, "PDF")
    result = Dataset()
    result.SOPClassUID = EncapsulatedPDFStorage
    result.SOPInstanceUID = "1.2.3.4.6"
    result.EncapsulatedDocument = stream.getvalue()
    result.file_meta = FileMetaDataset()
    result.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return result


def _without(keyword: str) -> Callable[[Dataset], None]:
    def broken(dataset: Dataset) -> None:
        delattr(dataset, keyword)

    return broken


def _without_observer(report: Dataset) -> None:
    del report.ContentSequence[1]


def _without_name(report: Dataset) -> None:
    del report.ContentSequence[0].ConceptNameCodeSequence


def _cut(document: Dataset) -> None:
    document.EncapsulatedDocument = document.EncapsulatedDocument[:-90]


MUTATIONS: dict[Judge, tuple[Callable[[], Dataset], Callable[[Dataset], None], str]] = {
    validators.dciodvfy: (_segmentation, _without("ContentLabel"), "ContentLabel"),
    validators.pixelmed: (_report, _without_observer, "not in template"),
    validators.dsrdump: (_report, _without("CompletionFlag"), "CompletionFlag"),
    validators.dsr2xml: (_report, _without("CompletionFlag"), "CompletionFlag"),
    validators.dcsrdump: (_report, _without_name, "name or value lacks"),
    validators.dcmpschk: (_presentation, _without("ContentLabel"), "presentationLabel"),
    validators.pdfinfo: (_document, _cut, "Error"),
}
"""For each judge a sound object, how one attribute of it is broken, and a word of the answer."""


@pytest.mark.slow
@pytest.mark.parametrize("judge", MUTATIONS, ids=lambda judge: judge.__name__)
def test_each_judge_passes_the_sound_and_tells_the_broken(judge: Judge, tmp_path: Path) -> None:
    """The same object before and after one attribute was broken."""
    make, spoil, word = MUTATIONS[judge]
    path, dataset = tmp_path / "object.dcm", make()
    dataset.save_as(path, enforce_file_format=True)
    assert judge([path]) == []
    spoil(dataset)
    dataset.save_as(path, enforce_file_format=True)
    assert any(word in line for line in judge([path]))


BREAKS = {judge: spoil for judge, (_, spoil, _) in MUTATIONS.items()} | {
    validators.dciodvfy: _without("StudyInstanceUID")
}
"""For each judge what breaks any object that it judges."""
TEMPLATED = ("Enhanced-MR", "one", "six", "none", "indeterminate", "uncertain", "Japanese")
"""Studies whose trees differ: PixelMed takes ten seconds for each report that it is to refuse."""


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES)
def test_each_judge_fires_on_the_objects_of_every_kind_of_study(study: str, tmp_path: Path) -> None:
    """Not on one sound example alone: no object of any study is passed whatever is in it."""
    asked, passed = set(), []
    for name, sound in _made(study).items():
        for judge in JUDGES_OF[sound.SOPClassUID]:
            if judge is validators.pixelmed and study not in TEMPLATED:
                continue
            broken, path = deepcopy(sound), tmp_path / f"{name}-{judge.__name__}.dcm"
            BREAKS[judge](broken)
            broken.save_as(path, enforce_file_format=True)
            asked.add(judge)
            passed += [] if judge([path]) else [path.name]
    assert passed == []
    always = {validators.dciodvfy, validators.dsrdump, validators.dsr2xml, validators.dcsrdump}
    assert asked >= always | {validators.pdfinfo}


def test_every_judge_has_its_mutation() -> None:
    """A gate that was never seen to fire is none."""
    assert {judge for judges in JUDGES_OF.values() for judge in judges} == set(MUTATIONS)
