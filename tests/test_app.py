"""Files in, files out: what ``analyze`` writes, and what it leaves alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest

from sifdetect import app
from sifdetect.anatomy import LesionBit, Modality, MrWeighting
from sifdetect.app import Options, analyze, analyze_to_folder, folder_name
from sifdetect.cli import main
from sifdetect.dicom.write import SeriesHeader, write_series
from sifdetect.errors import ModelError, NoSacrumInView, UnreadableInput, UsageError
from sifdetect.findings import Presence, from_json
from sifdetect.volume import Volume
from tests.bundles import LINE, PaintedModels, Painting
from tests.test_pipeline import CENTER, axial, broken_on_the_left, empty


@pytest.fixture(autouse=True)
def _painted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every analysis in this module reads painted scans."""
    monkeypatch.setattr(app, "load_models", lambda options: PaintedModels())


def scan(folder: Path, volume: Volume, name: str) -> str:
    """Write the volume as a study of its own; gives its UID."""
    header = SeriesHeader(seed=name)
    write_series(volume, folder / name, header=header)
    return header.study_instance_uid


def intact() -> Volume:
    """A sacrum without a line."""
    return Painting(axial(), CENTER).volume()


def test_a_fracture_gives_report_segmentation_and_summary(tmp_path: Path) -> None:
    """All three objects belong to the source's study and its patient."""
    uid = scan(tmp_path, broken_on_the_left(axial()).volume(), "broken")
    (done,) = analyze_to_folder([tmp_path / "broken"], tmp_path / "out")
    assert done.error is None
    assert done.folder == tmp_path / "out" / uid
    assert [path.name for path in done.files] == [
        "findings.json",
        "seg.dcm",
        "sr.dcm",
        "summary.dcm",
    ]
    for path in done.files[1:]:
        dataset = pydicom.dcmread(path)
        assert (dataset.StudyInstanceUID, dataset.PatientID) == (uid, "SYNTHETIC")
    assert pydicom.dcmread(done.folder / "sr.dcm").Modality == "SR"


def test_the_findings_file_is_what_is_returned(tmp_path: Path) -> None:
    """The JSON holds the same findings, with the time of every stage."""
    scan(tmp_path, broken_on_the_left(axial()).volume(), "broken")
    (done,) = analyze_to_folder([tmp_path / "broken"], tmp_path / "out", outputs=())
    assert [path.name for path in done.files] == ["findings.json"]
    found = from_json(json.loads(done.files[0].read_text()))
    assert found == done.findings
    assert set(found.timings_s) == {"read", "localize", "segment", "measure", "encode", "total"}
    assert found.timings_s["total"] >= max(found.timings_s.values())


def test_without_a_finding_the_report_is_text(tmp_path: Path) -> None:
    """No segmentation, and a report that a viewer shows as text."""
    scan(tmp_path, intact(), "intact")
    (done,) = analyze_to_folder([tmp_path / "intact"], tmp_path / "out")
    assert done.findings is not None
    assert done.findings.presence is Presence.ABSENT
    assert {path.name for path in done.files} == {"findings.json", "sr.dcm", "summary.dcm"}
    report = pydicom.dcmread(done.folder / "sr.dcm")
    assert report.SOPClassUID.name == "Enhanced SR Storage"


def test_a_study_that_cannot_be_assessed_gets_a_report_that_says_so(tmp_path: Path) -> None:
    """One study's error does not stop the other, and its reader is told."""
    empty_uid = scan(tmp_path / "in", empty(), "empty")
    scan(tmp_path / "in", intact(), "intact")
    done = {study.folder.name: study for study in analyze_to_folder([tmp_path / "in"], tmp_path)}
    assert len(done) == 2
    failed = done.pop(empty_uid)
    assert isinstance(failed.error, NoSacrumInView)
    assert failed.findings is None
    assert [path.name for path in failed.files] == ["sr.dcm"]
    assert b"No sacrum in the field of view" in failed.files[0].read_bytes()
    assert next(iter(done.values())).error is None


def test_without_a_folder_one_study_does_not_stop_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Findings on stdout, the refusal on stderr, and the exit code of an incomplete batch."""
    scan(tmp_path, empty(), "empty")
    uid = scan(tmp_path, intact(), "intact")
    assert main(["analyze", str(tmp_path), "--json", "-q"]) == 7
    said = capsys.readouterr()
    assert [json.loads(line)["study_instance_uid"] for line in said.out.splitlines()] == [uid]
    assert "No sacrum in the field of view" in said.err


def test_labels_of_a_nifti_scan_lie_on_its_own_grid(tmp_path: Path) -> None:
    """Anatomy and lesions can be laid over the file voxel by voxel."""
    volume = broken_on_the_left(axial()).volume()
    path = save(tmp_path / "pelvis.nii.gz", volume)
    options = Options(modality=Modality.CT)
    (done,) = analyze_to_folder([path], tmp_path / "out", outputs=("nifti",), options=options)
    assert done.folder.name == "pelvis"
    lesions = load(done.folder / "series-1/lesions.nii.gz")
    bits = np.asarray(lesions.dataobj)
    assert bits.shape == volume.grid.shape
    assert lesions.affine == pytest.approx(load(path).affine)
    line = volume.values == LINE * 100.0
    # the painted line is partly thicker than a fracture gap can be, and that part is left out
    assert ((bits[line] & LesionBit.FRACTURE_LINE) > 0).mean() > 0.5


def test_each_nifti_file_can_have_its_own_weighting(tmp_path: Path) -> None:
    """STIR and T1 as two files are one examination; a wrong count is refused."""
    volume = Painting(axial(), CENTER).volume()
    paths = [save(tmp_path / f"{name}.nii.gz", volume) for name in ("a", "b")]
    both = (MrWeighting.STIR, MrWeighting.T1)
    (found,) = analyze(paths, options=Options(modality=Modality.MR, weightings=both))
    assert [(one.weighting, one.used) for one in found.sources] == [(w, True) for w in both]
    with pytest.raises(UsageError, match="3 weightings"):
        analyze(paths, options=Options(modality=Modality.MR, weightings=(*both, both[0])))


def test_a_second_run_replaces_the_first(tmp_path: Path) -> None:
    """The folder holds the newer results alone, and no scraps lie beside it."""
    uid = scan(tmp_path, intact(), "intact")
    out = tmp_path / "out"
    analyze_to_folder([tmp_path / "intact"], out)
    analyze_to_folder([tmp_path / "intact"], out, outputs=("summary",))
    assert [path.name for path in out.iterdir()] == [uid]
    assert {path.name for path in (out / uid).iterdir()} == {"findings.json", "summary.dcm"}


def test_results_never_take_the_place_of_the_images(tmp_path: Path) -> None:
    """An archive whose folders are named by study would lose its images to the results."""
    uid = scan(tmp_path, intact(), "intact")
    images = (tmp_path / "intact").rename(tmp_path / uid)
    before = sorted(images.iterdir())
    with pytest.raises(UsageError, match="did not write"):
        analyze_to_folder([images], tmp_path)
    assert sorted(images.iterdir()) == before
    assert [path.name for path in tmp_path.iterdir()] == [uid]


def test_a_refusal_without_a_report_leaves_the_earlier_results(tmp_path: Path) -> None:
    """Nothing to write is no reason to throw away what was there."""
    path = save(tmp_path / "pelvis.nii.gz", intact())
    options = Options(modality=Modality.CT)
    (first,) = analyze_to_folder([path], tmp_path / "out", outputs=(), options=options)
    save(path, empty())
    (second,) = analyze_to_folder([path], tmp_path / "out", outputs=(), options=options)
    assert second.error is not None
    assert first.files[0].exists()


def test_result_objects_do_not_quote_the_paths_of_other_files(tmp_path: Path) -> None:
    """A damaged file's path may name another patient; the JSON names it, the objects count it."""
    scan(tmp_path / "in", intact(), "intact")
    damaged = tmp_path / "in" / "DOE^JANE.dcm"
    damaged.write_bytes(bytes(128) + b"DICM" + b"\x02\x00\x00\x00UL\x04\x00")
    (done,) = analyze_to_folder([tmp_path / "in"], tmp_path / "out")
    assert "DOE^JANE" in (done.folder / "findings.json").read_text()
    report = (done.folder / "sr.dcm").read_bytes()
    assert b"DOE^JANE" not in report
    assert b"1 of the files given could not be used" in report


def test_nothing_is_written_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder that fails leaves the earlier results as they were."""
    uid = scan(tmp_path, intact(), "intact")
    out = tmp_path / "out"
    analyze_to_folder([tmp_path / "intact"], out)
    before = {path.name: path.stat().st_mtime_ns for path in (out / uid).iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(app, "encode_results", full)
    with pytest.raises(OSError, match="No space"):
        analyze_to_folder([tmp_path / "intact"], out)
    assert [path.name for path in out.iterdir()] == [uid]
    assert {path.name: path.stat().st_mtime_ns for path in (out / uid).iterdir()} == before


def test_two_runs_make_the_same_objects(tmp_path: Path) -> None:
    """A result that is sent twice is a duplicate to the archive, never a second report."""
    scan(tmp_path, broken_on_the_left(axial()).volume(), "broken")
    runs = [analyze_to_folder([tmp_path / "broken"], tmp_path / name)[0] for name in "ab"]
    for name in ("sr.dcm", "seg.dcm", "summary.dcm"):
        uids = {pydicom.dcmread(run.folder / name).SOPInstanceUID for run in runs}
        assert len(uids) == 1


@pytest.mark.parametrize("uid", ["../../etc", "/abs", "", "a" * 65, ".hidden", "1.2\x00", "a/b"])
def test_a_uid_is_never_a_path(uid: str) -> None:
    """What a peer chose as UID cannot leave the folder; different UIDs stay different."""
    name = folder_name(uid)
    assert Path(name).name == name
    assert name != uid
    assert name != folder_name(uid + "x")


def test_a_plain_uid_is_its_folders_name() -> None:
    """Ordinary UIDs are kept, so that a folder can be found."""
    assert folder_name("1.2.840.113619.2.5") == "1.2.840.113619.2.5"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["none"], UnreadableInput.exit_code),
        (["scan.nii.gz"], UsageError.exit_code),
        (["scan.nii.gz", "--modality", "ct", "--outputs", "wav"], UsageError.exit_code),
    ],
)
def test_what_cannot_be_used_ends_with_its_code(
    arguments: list[str], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence on stderr, nothing on stdout, no folder."""
    save(tmp_path / "scan.nii.gz", intact())
    arguments[0] = str(tmp_path / arguments[0])
    assert main(["analyze", *arguments, "-o", str(tmp_path / "out")]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("sifdetect: ")
    assert not (tmp_path / "out").exists()


def test_the_command_prints_json_alone_on_stdout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One object a line; a study that failed is named on stderr and makes the exit code 7."""
    scan(tmp_path / "in", intact(), "intact")
    scan(tmp_path / "in", empty(), "empty")
    out = str(tmp_path / "out")
    assert main(["analyze", str(tmp_path / "in"), "-o", out, "--json"]) == 7
    said = capsys.readouterr()
    (line,) = said.out.splitlines()
    assert from_json(json.loads(line)).presence is Presence.ABSENT
    assert "No sacrum in the field of view" in said.err


def test_one_study_without_a_sacrum_is_exit_code_4(tmp_path: Path) -> None:
    """The code of the only study's error is that of the command."""
    scan(tmp_path / "in", empty(), "empty")
    assert main(["analyze", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "-q"]) == 4


def test_missing_models_are_an_error_of_the_whole_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study is not blamed for a bundle that is not there, and nothing is written."""
    monkeypatch.undo()
    scan(tmp_path, intact(), "intact")
    options = Options(models=tmp_path / "nowhere")
    with pytest.raises(ModelError, match="localizer_ct"):
        analyze_to_folder([tmp_path / "intact"], tmp_path / "out", options=options)
    assert not list((tmp_path / "out").iterdir())


def test_bundles_are_looked_for_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIFDETECT_MODELS goes before the folder beside the package."""
    assert app.default_models().name == "models"
    monkeypatch.setenv("SIFDETECT_MODELS", str(tmp_path))
    assert app.default_models() == tmp_path


def save(path: Path, volume: Volume) -> Path:
    """The volume as NIfTI."""
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.grid.affine_lps_mm
    image = nib.Nifti1Image(volume.values, affine)  # type: ignore[no-untyped-call]  # nibabel's
    nib.save(image, path)
    return path


def load(path: Path) -> Any:
    """A NIfTI image."""
    return nib.nifti1.load(path)  # type: ignore[no-untyped-call]  # nibabel's
