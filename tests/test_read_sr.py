"""``sifdetect read-sr``: our own results back to findings, and clear words for everything else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from sifdetect.anatomy import Modality
from sifdetect.cli import main
from sifdetect.dicom.carried import CREATOR, GROUP
from sifdetect.dicom.read_sr import read_findings
from sifdetect.dicom.results import encode_results
from sifdetect.errors import BatchIncomplete, InputError, SifdetectError
from sifdetect.findings import Presence, to_json
from sifdetect.study import Analysis
from tests.result_cases import PATIENT, Case, bilateral, without_finding


def _written(case: Case, folder: Path) -> dict[str, Path]:
    kinds = ("sr", "seg", "data")
    objects = encode_results(Analysis(case.findings, case.labels), case.study, kinds)
    for name, dataset in objects.items():
        dataset.save_as(folder / name, enforce_file_format=True)
    return {name: folder / name for name in objects}


@pytest.mark.parametrize(
    "case",
    [
        bilateral(Modality.CT),
        bilateral(enhanced=True),
        bilateral(about=replace(PATIENT, character_set="ISO_IR 192", patient_name="山田^花子")),
        without_finding(Presence.ABSENT),
        without_finding(Presence.INDETERMINATE),
    ],
    ids=["CT", "Enhanced MR", "Japanese", "absent", "indeterminate"],
)
def test_what_is_written_is_read_back(case: Case, tmp_path: Path) -> None:
    """Reports of both profiles, text reports and segmentations give the findings again, exactly."""
    files = _written(case, tmp_path)
    assert len(files) == (3 if case.findings.fractures else 1)
    for path in files.values():
        assert read_findings(path) == case.findings


def test_timings_are_not_carried(tmp_path: Path) -> None:
    """The same UID means the same bytes, however long the analysis took."""
    case = bilateral()
    slow = replace(case, findings=replace(case.findings, timings_s={"total": 99.0}))
    (tmp_path / "slow").mkdir()
    one, two = _written(case, tmp_path), _written(slow, tmp_path / "slow")
    assert [p.read_bytes() for p in one.values()] == [p.read_bytes() for p in two.values()]


def _no_dicom(path: Path, dataset: Dataset) -> None:
    path.write_bytes(b"no DICOM at all" * 40)


def _cut(path: Path, dataset: Dataset) -> None:
    path.write_bytes(path.read_bytes()[:-2000])


def _foreign(path: Path, dataset: Dataset) -> None:
    del dataset.private_block(GROUP, CREATOR)[1]
    dataset.Manufacturer = "Somebody Else"
    dataset.save_as(path)


def _deidentified(path: Path, dataset: Dataset) -> None:
    dataset.remove_private_tags()
    dataset.save_as(path)


def _damaged(path: Path, dataset: Dataset) -> None:
    element = dataset.private_block(GROUP, CREATOR)[1]
    element.value = str(element.value)[:100]
    dataset.save_as(path)


def _other_version(path: Path, dataset: Dataset) -> None:
    element = dataset.private_block(GROUP, CREATOR)[1]
    element.value = str(element.value).replace('"schema_version":1', '"schema_version":2')
    dataset.save_as(path)


def _other_study(path: Path, dataset: Dataset) -> None:
    dataset.StudyInstanceUID = "1.2.3"
    dataset.save_as(path)


def _other_presence(path: Path, dataset: Dataset) -> None:
    for node in dataset.iterall():
        if node.keyword == "CodeValue" and node.value == "52101004":
            node.value = "272519000"
    dataset.save_as(path)


def _other_volume(path: Path, dataset: Dataset) -> None:
    for node in dataset.iterall():
        if node.keyword == "NumericValue" and float(node.value) == 5630.4:
            node.value = "12.0"
    dataset.save_as(path)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_no_dicom, "is no DICOM file"),
        (_cut, "sr.dcm"),
        (_foreign, "written by Somebody Else, not by sifdetect"),
        (_deidentified, "without its findings"),
        (_damaged, "damaged or of another version"),
        (_other_version, "damaged or of another version"),
        (_other_study, "changed after it was written: it lies in another study"),
        (_other_presence, "changed after it was written: it states another presence"),
        (_other_volume, "changed after it was written: finding 1 has another volume"),
    ],
)
def test_what_cannot_be_trusted_is_refused_in_one_sentence(
    spoil: Callable[[Path, Dataset], None], sentence: str, tmp_path: Path
) -> None:
    """Foreign, damaged, stripped or edited: the sender's fault, and it says which."""
    path = _written(bilateral(), tmp_path)["sr.dcm"]
    spoil(path, dcmread(path))
    with pytest.raises(InputError) as caught:
        read_findings(path)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_edited_text_report_is_refused(tmp_path: Path) -> None:
    """Its answer must be that of the findings that it carries."""
    path = _written(without_finding(Presence.ABSENT), tmp_path)["sr.dcm"]
    report = dcmread(path)
    for node in report.iterall():
        if node.keyword == "TextValue" and str(node.value).startswith("No finding"):
            node.value = "Everything is fine."
    report.save_as(path)
    with pytest.raises(InputError, match="another answer"):
        read_findings(path)


def test_images_are_no_reports(tmp_path: Path) -> None:
    """A CT image names its kind in the refusal."""
    image = bilateral(Modality.CT).study.series[0].datasets[0]
    image.save_as(tmp_path / "image.dcm", enforce_file_format=True)
    with pytest.raises(InputError, match=r"image\.dcm is CT Image Storage, no report"):
        read_findings(tmp_path / "image.dcm")


def test_the_command_prints_one_object_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON on stdout, refusals on stderr, and exit codes as everywhere."""
    case = bilateral()
    files = _written(case, tmp_path)
    absent = str(tmp_path / "absent.dcm")
    assert main(["read-sr", *map(str, files.values())]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert printed == [json.loads(json.dumps(to_json(case.findings)))] * 3
    assert main(["read-sr", absent]) == InputError.exit_code
    assert main(["read-sr", absent, str(files["sr.dcm"])]) == BatchIncomplete.exit_code
    assert "absent.dcm does not exist" in capsys.readouterr().err
    assert issubclass(InputError, SifdetectError)
